"""Folders that anyone may have written: a report or one clear line, and no write elsewhere."""

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.hostile_studies import places
from experiments.record.errors import UserError
from reports import load_study, write_report
from reports.page.model_card import layers_sentence
from tests.reports.synthetic import Synthetic, write_study

SCALARS: list[Any] = [
    None, True, -1, 0, 10**400, 1e308, -1e308, float("nan"), float("inf"), "", "nan", "../../up",
    "/etc/passwd", "<b>", "\u202e\ud800\x00", "x" * 5000, [], {}, [[]], {"a": {}}, [None, "1"],
]  # fmt: skip


def files_of(folder: Path) -> list[Path]:
    trials = [
        folder / f"trial_{i}" / name for i in (0, 5) for name in ("trial.json", "result.json")
    ]
    artifacts = [folder / "artifacts" / n for n in ("finalists.json", "model.json")]
    return [folder / "study.json", *trials, *artifacts]


def spoil(data: Any, path: tuple[Any, ...], value: Any) -> Any:
    """Returns a copy with the value at `path` replaced, or removed if it is `...`."""
    spoiled = copy.deepcopy(data)
    parent = spoiled
    for key in path[:-1]:
        parent = parent[key]
    if value is ...:
        del parent[path[-1]]
    else:
        parent[path[-1]] = value
    return spoiled


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    plan = Synthetic(7, name="template", num_epochs=3)
    return write_study(tmp_path_factory.mktemp("runs"), plan)


def report_or_line(folder: Path) -> str | None:
    """Writes the report; returns the one line that refuses, if it is refused."""
    try:
        page = write_report(folder)
    except UserError as error:
        return str(error)
    text = page.read_text(encoding="utf-8")
    assert "<b>" not in text.split("<h1>")[1].split("</h1>")[0]
    return None


@pytest.mark.slow
@settings(
    max_examples=30, deadline=None, derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
@given(data=st.data())
def test_spoilt_records_load_or_are_one_line(data: st.DataObject, template: Path) -> None:
    path = data.draw(st.sampled_from(files_of(template)))
    original = path.read_text()
    content = json.loads(original)
    for _ in range(data.draw(st.integers(1, 3))):
        found = places(content)
        if not found:
            break
        place = data.draw(st.sampled_from(found))
        content = spoil(content, place, data.draw(st.sampled_from([..., *SCALARS])))
    path.write_text(json.dumps(content))
    try:
        # What only looks at the frames is checked each time, the whole page below.
        study = load_study(template)
        from reports.analysis.health import health
        from reports.page.report import _findings, _verdict
        from reports.page.tables import all_trials, best_trials, failures, finalists, layers

        _verdict(study)
        _findings(study, {})
        health(study)
        for table in (all_trials, best_trials, failures, finalists, layers):
            table(study)
        study._repr_html_()
    except UserError:
        pass  # one line
    finally:
        path.write_text(original)


@pytest.mark.parametrize("seed", range(4))
def test_spoilt_studies_become_a_page_or_one_line(
    seed: int, tmp_path: Path, template: Path
) -> None:
    rng = np.random.default_rng(seed)
    folder = write_study(tmp_path, Synthetic(7, name="spoilt", num_epochs=3, seed=seed))
    for path in files_of(folder)[1 if seed % 2 else 0 :]:
        content = json.loads(path.read_text())
        for _ in range(3):
            found = places(content)
            content = spoil(
                content, found[rng.integers(len(found))], SCALARS[rng.integers(len(SCALARS))]
            )
        path.write_text(json.dumps(content))
    before = {p for p in tmp_path.rglob("*") if "report" not in p.parts}
    line = report_or_line(folder)
    assert line is None or len(line) < 3000
    assert {p for p in tmp_path.rglob("*") if "report" not in p.parts} == before


@pytest.mark.usefixtures("without_drawing")
def test_hostile_files(tmp_path: Path) -> None:
    folder = write_study(tmp_path, Synthetic(12, name="hostile", num_failed=0))
    (folder / "trial_00" / "trial.json").write_text("[" * 100_000)
    (folder / "trial_01" / "trial.json").write_text("{" + '"a":{' * 100_000)
    (folder / "trial_02" / "result.json").write_bytes(b"\xff\xfe\x00")
    (folder / "trial_03" / "trial.json").write_text('{"score": ' + "9" * 5000 + "}")
    (folder / "trial_04" / "result.json").write_text("")
    for name in ("predictions", "pictures", "features"):
        (folder / "artifacts" / f"{name}.npz").write_bytes(b"PK\x03\x04 no archive")
    (folder / "artifacts" / "model.json").write_text('{"layers": [')
    study = load_study(folder)
    assert len(study.problems) == 6
    text = write_report(study).read_text(encoding="utf-8")
    assert "6 parts of the record could not be read" in text
    assert layers_sentence(study) == "The layers of the exported model can't be read."
    assert "can&#39;t be read" in text  # the arrays, where their figures would be


@pytest.mark.usefixtures("without_drawing")
def test_arrays_that_lie_are_refused_figure_by_figure(tmp_path: Path) -> None:
    folder = write_study(tmp_path, Synthetic(7, name="lying"))
    artifacts = folder / "artifacts"
    np.savez(artifacts / "predictions.npz", labels=np.array([7, -3]), probabilities=np.eye(2))
    np.savez(artifacts / "features.npz", image=np.zeros(3), pooling_kind=np.array("max"))
    np.savez(artifacts / "pictures.npz", x=np.array([object()], dtype=object))
    text = write_report(folder).read_text(encoding="utf-8")
    assert "impossible values" in text
    assert "feature maps are damaged" in text


def test_nothing_is_written_through_links(tmp_path: Path) -> None:
    folder = write_study(tmp_path, Synthetic(5, name="linked", num_seeds=0))
    target = tmp_path / "target"
    target.mkdir()
    (folder / "report").symlink_to(target)
    with pytest.raises(UserError, match="no folder of its own"):
        write_report(folder)
    assert list(target.iterdir()) == []


def test_hyperparameters_named_like_fields_are_kept_apart(tmp_path: Path) -> None:
    space = [
        {"name": "score", "kind": "Float", "min_value": 0, "max_value": 1, "conditions": []},
        {"name": "<i>n</i>", "kind": "Choice", "values": ["a", "b"], "conditions": []},
    ]
    plan = Synthetic(12, name="fields", num_seeds=0, num_failed=0, changes={"space": space})
    folder = write_study(tmp_path, plan)
    for index, path in enumerate(sorted(folder.glob("trial_*/trial.json"))):
        state = json.loads(path.read_text())
        state["hyperparameters"]["values"] = {"score": index / 12, "<i>n</i>": "ab"[index % 2]}
        path.write_text(json.dumps(state))
    study = load_study(folder)
    assert study.trials["score (hyperparameter)"].tolist() == [i / 12 for i in range(12)]
    assert study.trials["score"].max() > 0.8
    text = write_report(study).read_text(encoding="utf-8")
    assert "<i>" not in text


@pytest.mark.usefixtures("without_drawing")
@pytest.mark.parametrize(
    "names",
    [
        ("seconds",),
        ("epoch", "execution", "trial_id"),
        tuple(f"{'a' * 40}{i}{'b' * 40}" for i in "12"),
    ],
)
def test_metrics_named_like_fields_or_each_other_are_kept_apart(
    names: tuple[str, ...], tmp_path: Path
) -> None:
    folder = write_study(tmp_path, Synthetic(4, name="fields", num_epochs=3))
    for path in folder.glob("trial_*/result.json"):
        record = json.loads(path.read_text())
        for execution in record["executions"]:
            execution["history"] |= {n: [12.0 + i] * 3 for i, n in enumerate(names)}
        path.write_text(json.dumps(record))
    study = load_study(folder)
    assert set(study.epochs["seconds"]) == {1.4}
    own = [name for name in study.epochs if set(study.epochs[name]) <= {12.0, 13.0, 14.0}]
    assert [study.epochs[name].iloc[0] for name in own] == [12.0 + i for i in range(len(names))]
    assert report_or_line(folder) is None
