"""The contract of the two halves: where files are and what records hold, each in one place."""

import ast
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

import experiments
import reports
from experiments import UserError
from experiments.record import layout, schema
from experiments.record.layout import StudyFolder, TrialFolder
from experiments.record.schema import Key, check_record, checked_result

_WORDS = {
    "artifacts",
    "confirmed",
    "finalists",
    "report",
    "export",
    ".lock",
}  # that have other uses too


def _names() -> set[str]:
    """Returns the names of files and folders that the layout knows."""
    places = [*vars(StudyFolder).values(), *vars(TrialFolder).values()]
    names = {part for p in places if isinstance(p, layout._Place) for part in p.name.split("/")}
    return names | {layout.TRIAL, layout.TEMPORARY, layout.SNAPSHOTS, f"{layout.TRIAL}*"}


def _literals(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yields texts with their lines; of words, those that are parts of paths alone."""
    divided = {id(n.right) for n in ast.walk(tree) if isinstance(n, ast.BinOp)}
    docstrings = {id(n.value) for n in ast.walk(tree) if isinstance(n, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            is_word = node.value in _WORDS and id(node) not in divided
            if id(node) not in docstrings and not is_word:
                yield node.lineno, node.value


def test_the_layout_alone_names_the_files_of_a_study() -> None:
    names = _names()
    assert {"study.json", "result.json", "trial.json", "looks.json", "finalists"} <= names
    found = []
    for package in (experiments, reports):
        root = Path(str(package.__file__)).parent
        for path in sorted(root.rglob("*.py")):
            if path == Path(layout.__file__):
                continue
            for line, text in _literals(ast.parse(path.read_text(encoding="utf-8"))):
                if names & set(text.split("/")):
                    found.append(f"{path.relative_to(root.parent)}:{line}: {text}")
    assert found == []


def _agrees(record: Mapping[str, Any], keys: Mapping[str, Key]) -> None:
    """Checks that a record written now holds what the schema says, in everything it describes."""
    assert record.keys() <= keys.keys()
    assert {name for name, key in keys.items() if key.always} <= record.keys()
    for name, key in keys.items():
        if name in record and key.of and name != "space":  # which Keras Tuner describes
            for item in record[name]:
                _agrees(item, key.of)


def test_what_is_written_now_holds_the_keys_of_the_schema(study_folder: Path) -> None:
    folder = StudyFolder(study_folder)
    record = json.loads(folder.record.read_text(encoding="utf-8"))
    check_record(record, folder.record)
    _agrees(record, schema.STUDY_KEYS)
    assert {"ended", "search_ended"} <= record.keys()
    for trial in folder.trials():
        result = checked_result(json.loads(trial.result.read_text(encoding="utf-8")))
        _agrees(result, schema.RESULT_KEYS)


@pytest.fixture
def record(study_folder: Path) -> dict[str, Any]:
    """The content of `study.json`."""
    found: dict[str, Any] = json.loads(StudyFolder(study_folder).record.read_text(encoding="utf-8"))
    return found


def test_a_newer_format_is_refused_in_one_line(record: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="newer version") as refused:
        check_record(record | {"format": schema.FORMAT + 1}, Path("study/study.json"))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("keys", [("format", "space_source", "earlier", "sessions"), ("ended",)])
def test_an_older_record_is_read(keys: tuple[str, ...], record: dict[str, Any]) -> None:
    check_record({n: v for n, v in record.items() if n not in keys}, Path("study/study.json"))


def test_what_a_later_format_needs_is_not_asked_of_an_earlier_one(
    record: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    later = {"new": Key(schema.TEXT, needed=True, since=2)}
    monkeypatch.setattr(schema, "FORMAT", 2)
    monkeypatch.setattr(schema, "STUDY_KEYS", schema.STUDY_KEYS | later)
    check_record(record, Path("study/study.json"))
    with pytest.raises(UserError, match="new"):
        check_record(record | {"format": 2}, Path("study/study.json"))


@pytest.mark.parametrize(
    "changes",
    [
        {"status": 3}, {"status": "invalid"}, {"executions": {}}, {"executions": []},
        {"executions": [{"history": {}}]}, {"trial_id": "a"},
    ],
)  # fmt: skip
def test_a_result_of_another_kind_is_none(changes: dict[str, Any], study_folder: Path) -> None:
    result = json.loads(StudyFolder(study_folder).trials()[0].result.read_text(encoding="utf-8"))
    with pytest.raises(ValueError, match=next(iter(changes))):
        checked_result(result | changes)


def test_a_promotion_from_no_epoch_is_none(study_folder: Path) -> None:
    result = json.loads(StudyFolder(study_folder).trials()[0].result.read_text(encoding="utf-8"))
    values = result["hyperparameters"] | {"tuner/initial_epoch": "x"}
    with pytest.raises(ValueError, match="tuner/initial_epoch"):
        checked_result(result | {"hyperparameters": values})


@pytest.mark.parametrize(
    "damage",
    [
        {"best_epoch": 99},
        {"history": {"val_accuracy": ["x"]}, "epoch_seconds": [1.0]},
        {"history": {"val_accuracy": [[0.5]]}, "epoch_seconds": [1.0]},
        {"history": {"val_accuracy": [10**400]}, "epoch_seconds": [1.0]},
        {"history": {"val_accuracy": []}, "epoch_seconds": []},
    ],
)
def test_an_execution_that_does_not_agree_with_itself_is_none(
    damage: dict[str, Any], study_folder: Path
) -> None:
    result = json.loads(StudyFolder(study_folder).trials()[0].result.read_text(encoding="utf-8"))
    with pytest.raises(ValueError, match="execution"):
        checked_result(result | {"executions": [result["executions"][0] | damage]})


def test_metrics_that_were_not_finite_are_read(study_folder: Path) -> None:
    result = json.loads(StudyFolder(study_folder).trials()[0].result.read_text(encoding="utf-8"))
    execution = result["executions"][0]
    count = len(execution["epoch_seconds"])
    execution["history"] |= {"f1_score": ["nan"] * count, "auc": [None] * count}
    assert checked_result(result) == result


@pytest.mark.parametrize(
    "changes",
    [
        {"score": None}, {"score": [0.5]}, {"score": "0.9"}, {"best_step": []}, {"message": 3},
        {"metrics": {"metrics": {"a": {"direction": "max", "observations": [
            {"step": 0, "value": ["x"]}]}}}},
        {"hyperparameters": {"space": [], "values": {"dropout": [0.5]}}},
        {"hyperparameters": {"space": [{"config": {"name": 0.5, "conditions": []}}], "values": {}}},
        {"hyperparameters": {"space": [{"config": {"name": "a", "conditions": [None]}}],
                             "values": {}}},
    ],
)  # fmt: skip
def test_a_state_of_another_kind_is_none(changes: dict[str, Any], study_folder: Path) -> None:
    state = json.loads(StudyFolder(study_folder).trials()[0].state.read_text(encoding="utf-8"))
    schema.check_ended_state(state)
    with pytest.raises(ValueError, match=r"hyperparameter|trial|best_step|message|metric"):
        schema.check_ended_state(state | changes)
