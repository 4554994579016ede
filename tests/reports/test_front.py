"""Several objectives in reports: the front, its knee, and what is made of them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from experiments.config import SearchConfig, load_toml
from experiments.record.front import arrivals, find_front, non_dominated
from experiments.studies.export_study import export_study
from experiments.studies.free_disk import free_disk
from experiments.studies.next_search import write_next
from reports import Study, load_study, write_report
from reports.analysis.health import health
from reports.analysis.study_front import last_arrival, study_front
from reports.analysis.verdict import verdict
from reports.analysis.verdict_words import verdict_sentence
from reports.figures import figures
from reports.figures._render import picture
from reports.page.listing import studies_table
from reports.page.tables import front
from reports.page.terminal import study_text, trial_text
from tests.reports.synthetic import SPACE, Synthetic, write_study
from tests.stand_ins import drawn_alone

COSTS = (("params", "min"), ("flops", "min"))


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    plan = Synthetic(40, name="several", num_failed=2, further=COSTS)
    return load_study(write_study(tmp_path_factory.mktemp("runs"), plan))


def test_the_front_is_what_none_beats() -> None:
    rng = np.random.default_rng(0)
    losses = rng.integers(0, 6, (300, 3)).astype(float)  # with many ties
    found = set(non_dominated(losses).tolist())
    for i, one in enumerate(losses):
        beaten = any(
            (other <= one).all() and ((other < one).any() or j < i)
            for j, other in enumerate(losses)
            if j != i
        )
        assert (i in found) != beaten


def test_of_two_objectives_front_and_knee_are_those_of_the_plane() -> None:
    rng = np.random.default_rng(1)
    bent = 0
    for _ in range(50):
        costs, scores = 10 ** rng.uniform(2, 5, 30), rng.uniform(0.5, 1, 30)
        found = find_front(np.column_stack([scores, costs]), ["max", "min"], [False, True])
        best, plane = -np.inf, []  # cheapest first
        for position in np.argsort(costs):
            if scores[position] > best:
                best = scores[position]
                plane.append(int(position))
        assert found.members.tolist() == plane[::-1]
        useful = [p for p, loss in zip(found.members, found.losses, strict=True) if loss[0] <= 1]
        if len(useful) < 3:
            continue
        # Farthest from the line between the ends (Das 1999).
        x, y = np.log(costs[useful[::-1]]), scores[useful[::-1]]
        above = (y - y[0]) / (y[-1] - y[0]) - (x - x[0]) / (x[-1] - x[0])
        assert found.knee == (useful[::-1][int(above.argmax())] if above.max() > 1e-9 else None)
        bent += found.knee is not None
    assert bent > 25


def test_the_knee_does_not_hang_on_useless_networks() -> None:
    front = [[0.98, 1e6], [0.97, 1e5], [0.90, 1e4]]
    for useless in ([], [[0.10, 1e3]], [[0.12, 1e3], [0.11, 500.0], [0.10, 100.0]]):
        points = np.array(front + useless)
        for values, directions in ((points, ["max", "min"]), (points * [-1, 1], ["min", "min"])):
            found = find_front(values, directions, [False, True])
            assert found.knee == 1
            assert found.members.tolist() == list(range(len(points)))


def test_the_knee_is_nearest_and_comes_first() -> None:
    scores_and_costs = np.array(
        [
            [0.99, 1e6, 9.0],  # best, dearest
            [0.97, 1e4, 2.0],  # knee
            [0.50, 1e3, 1.0],  # cheapest
            [0.96, 2e4, 3.0],  # beaten by the knee
            [np.nan, 1.0, 0.1],  # not known
        ]
    )
    found = find_front(scores_and_costs, ["max", "min", "min"], [False, True, True])
    assert found.members.tolist() == [0, 1, 2]
    assert found.ranked() == [1, 0, 2]
    straight = np.array([[3.0, 3.0], [2.0, 2.0], [1.0, 1.0]])
    assert find_front(straight, ["max", "min"], [False, False]).knee is None
    assert find_front(np.empty((0, 2)), ["max", "min"], [False, True]).ranked() == []


def test_arrivals_are_the_trials_that_joined_the_front() -> None:
    values = np.array([[1.0, 5.0], [0.5, 6.0], [0.9, 2.0], [0.8, 2.0], [2.0, 1.0]])
    assert arrivals(values, ["max", "min"]) == [0, 2, 4]


def test_verdict_names_front_and_knee(study: Study) -> None:
    found, answer = study_front(study), verdict(study)
    assert found is not None
    best, knee = found.ids[0], found.trials.iloc[found.front.knee or 0]["trial_id"]
    assert best == study.completed.iloc[0]["trial_id"]
    assert knee != best
    assert answer.trial_id == knee
    said = verdict_sentence(study, answer)
    assert f"{len(found.ids)} of 38 completed trials are beaten by none in validation" in said
    assert f"Train the network of trial {knee}, the front's knee" in said
    assert f"against trial {best}" in said
    row = study.trial(knee)
    assert answer.trainable_parameters == row["trainable_parameters"]


def test_one_trial_that_is_best_in_everything_is_said_to_be(tmp_path: Path) -> None:
    plan = Synthetic(80, name="alone", seed=4, further=COSTS[1:])
    study = load_study(write_study(tmp_path, plan))
    answer, module = verdict(study), figures()["tradeoffs"]
    said = verdict_sentence(study, answer)
    assert f"trial {answer.trial_id}: none of 79 completed trials is better in any of" in said
    assert f"better than trial {answer.trial_id} in any" in module.finding(module.info(study))


def test_the_page_shows_the_front(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    # Others are drawn as they are of one objective.
    monkeypatch.setattr("reports.figures._render.render", drawn_alone("tradeoffs", "progress"))
    page = write_report(study)
    text = page.read_text(encoding="utf-8")
    assert "further objectives: parameters (less is better), FLOPs (less is better)" in text
    assert "The trials of the front" in text
    assert "can't be made of this record" not in text
    found = study_front(study)
    assert found is not None
    rows = (page.parent / "front.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows[1:]] == found.ids
    embedded = json.loads(text.split('id="trials">')[1].split("</script>")[0])
    assert [o["name"] for o in embedded["objectives"]] == ["val_accuracy", "params", "flops"]


def test_hyperparameters_named_like_columns_of_the_front_are_kept_apart(tmp_path: Path) -> None:
    renamed = {"pooling": "role", "dropout": "given_away"}
    space = [hp | {"name": renamed.get(hp["name"], hp["name"])} for hp in SPACE]
    plan = Synthetic(12, name="named", further=COSTS, changes={"space": space})
    folder = write_study(tmp_path, plan)
    for path in folder.glob("trial_*/trial.json"):
        state = json.loads(path.read_text())
        values = state["hyperparameters"]["values"]
        values |= {new: values.pop(old) for old, new in renamed.items()}
        path.write_text(json.dumps(state))
    table = front(load_study(folder))
    assert set(table["role"]) <= {"knee", ""}
    assert set(table["role (hyperparameter)"]) <= {"max", "average"}
    assert table["given away"].str.endswith(" %").all()
    assert "given away (hyperparameter)" in table


def test_figures_are_of_the_objectives_named(study: Study) -> None:
    module, found = figures()["tradeoffs"], study_front(study)
    info = module.info(study)
    assert found is not None
    assert [p.title for p in info.panels] == [
        "parameters, less is better", "FLOPs, less is better",
    ]  # fmt: skip
    for panel in info.panels:
        assert {info.ids[panel.numbers[i]] for i in panel.front} == set(found.ids)
        assert info.ids[panel.numbers[panel.knee]] == verdict(study).trial_id
    assert "loses" in module.finding(info)
    progress = figures()["progress"]
    assert f"number {last_arrival(study)} to end" in progress.finding(progress.info(study))


def test_one_objective_is_as_it_was(tmp_path: Path) -> None:
    study = load_study(write_study(tmp_path, Synthetic(6)))
    assert study_front(study) is None
    assert "objectives" not in json.loads((study.folder / "study.json").read_text())
    assert "val_accuracy" not in study.trials
    assert figures()["tradeoffs"].info(study).exchange is None
    assert last_arrival(study) is None


def test_metrics_are_objectives_too(tmp_path: Path) -> None:
    plan = Synthetic(12, name="metrics", further=(("val_loss", "min"), ("val_f1_score", "max")))
    study = load_study(write_study(tmp_path, plan))
    assert study.trials["val_loss"].notna().sum() == 11
    picture_of = picture(study, "tradeoffs", figures()["tradeoffs"])
    assert picture_of.svg is not None
    assert "validation f1 score, more is better" in picture_of.svg


def test_the_terminal_names_front_and_knee(study: Study) -> None:
    found, text = study_front(study), study_text(study)
    assert found is not None
    assert f"front: {len(found.ids)} of 38 trials: {', '.join(found.ids)}" in text
    assert f"knee: trial {verdict(study).trial_id}, val_accuracy" in text
    assert "FLOPs" in trial_text(study, found.ids[0])
    assert "val_accuracy, params, flops" in studies_table(study.folder.parent)


def test_the_next_search_has_the_same_objectives(study: Study, tmp_path: Path) -> None:
    record = study.record["config"] | {
        "objective": ["val_accuracy", "params", "flops"], "method": "tpe",
    }  # fmt: skip
    copy = write_study(tmp_path, Synthetic(12, name="next", further=COSTS))
    content = json.loads((copy / "study.json").read_text()) | {"config": record}
    (copy / "study.json").write_text(json.dumps(content))
    config = SearchConfig(**load_toml(write_next(load_study(copy), tmp_path / "next.toml")))
    assert [o.name for o in config.objectives] == ["val_accuracy", "params", "flops"]
    assert not any("which of them is first" in f.title for f in health(study))


def test_exports_have_all_objectives(study: Study, tmp_path: Path) -> None:
    import optuna

    path = export_study(study, "optuna", tmp_path / "optuna.db")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    loaded = optuna.load_study(study_name=study.name, storage=f"sqlite:///{path}")
    assert loaded.metric_names == ["val_accuracy", "params", "flops"]
    found = study_front(study)
    assert found is not None
    front = {t.user_attrs["trial_id"] for t in loaded.best_trials}
    assert front == set(found.ids)
    export_study(study, "csv", tmp_path / "csv")
    assert "flops" in (tmp_path / "csv" / "trials.csv").read_text().splitlines()[0]
    exported = json.loads(export_study(study, "json", tmp_path / "study.json").read_text())
    assert len(exported["objectives"]) == 3


def write_costs(folder: Path, content: dict[str, Any]) -> None:
    path = folder / "artifacts" / "latency.json"
    path.write_text(json.dumps({"trials": content}))


def test_latencies_of_the_search_and_of_later_are_not_mixed(tmp_path: Path) -> None:
    plan = Synthetic(6, name="timed", num_failed=0, further=(("latency_ms", "min"),))
    folder = write_study(tmp_path, plan)
    before = load_study(folder).trials["latency_ms"]
    write_costs(folder, {"0": {"latency_ms": 77.0}})
    assert load_study(folder).trials["latency_ms"].equals(before)
    flops = {str(i): {"flops": 5.0 + i} for i in range(1, 6)}
    write_costs(folder, {"0": {"latency_ms": 77.0, "flops": 5.0}} | flops)
    trials = load_study(folder).trials
    assert trials["latency_ms"].equals(before)
    assert trials["flops"].tolist() == [5, 6, 7, 8, 9, 10]
    write_costs(folder, {str(i): {"latency_ms": 70.0 + i} for i in range(6)})
    assert load_study(folder).trials["latency_ms"].tolist() == [70, 71, 72, 73, 74, 75]


@pytest.mark.parametrize("damaged", [3, [3], [{"name": "score", "direction": "min"}], [{}]])
def test_objectives_that_can_not_be_read_are_left_out(damaged: Any, tmp_path: Path) -> None:
    folder = write_study(tmp_path, Synthetic(4, changes={"objectives": damaged}))
    study = load_study(folder)
    assert [o.name for o in study.objectives] == ["val_accuracy"]
    assert len(study.problems) == (damaged not in (3, [3]))


def test_prune_keeps_the_front_first(tmp_path: Path) -> None:
    study = load_study(write_study(tmp_path, Synthetic(20, name="heavy", further=COSTS)))
    for trial in study.completed["trial_id"]:
        (study.folder / f"trial_{trial}" / "checkpoint.weights.h5").write_bytes(b"weights")
    removed, _ = free_disk(study.folder, 2)
    assert removed == 17
    kept = {p.parent.name for p in study.folder.glob("trial_*/checkpoint.weights.h5")}
    found = study_front(study)
    assert found is not None
    first = [found.trials.iloc[p]["trial_id"] for p in found.front.ranked()[:2]]
    assert kept == {f"trial_{trial}" for trial in first}
