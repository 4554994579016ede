"""Several bases: scores beside costs, which to take, what each sees, and bases without a trial."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import keras
import numpy as np
import pytest
from click.testing import CliRunner

from experiments.cli.main import main
from experiments.finalists import bases as written
from experiments.finalists.artifacts import first_and_last
from reports import load_study, write_report
from reports.analysis.comparison.arms import arms_by
from reports.analysis.comparison.decide import compare
from reports.analysis.comparison.words import verdict
from reports.analysis.costs import (
    LATENCY,
    PARAMETERS,
    costs_of_arms,
    costs_of_bases,
    costs_table,
    phone_sentence,
)
from reports.figures import bases as figure
from reports.figures import what_bases_see
from reports.page.comparison import pairs_table
from tests.reports.synthetic import SPACE, Synthetic, write_study
from tests.stand_ins import drawn_alone

NAMES = ["Small", "Medium", "Large"]
BASE: dict[str, Any] = {
    "name": "base", "kind": "Choice", "values": NAMES, "default": "Small", "conditions": []
}  # fmt: skip
# score, parameters, milliseconds, seconds
COSTS = {
    "Small": (0.80, 100_000, 1.0, 2.0),
    "Medium": (0.94, 200_000, 2.0, 5.0),
    "Large": (0.95, 900_000, 8.0, None),
}
PHONE = (
    "On a phone: Medium: 1.00 points below the best, Large, at 1/4 of its latency (2 against 8 ms)"
)


def change(path: Path, **values: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def study_of_bases(runs: Path, costs: dict[str, Any] = COSTS, **statuses: str) -> Path:
    """Writes a study of nine trials, each base drawn thrice; `statuses` changes those of a base."""
    plan = Synthetic(9, name="bases", num_failed=0, changes={"space": [*SPACE, BASE]})
    folder = write_study(runs, plan)
    for number, trial in enumerate(sorted(folder.glob("trial_*"))):
        name = NAMES[number % 3]
        value, parameters, milliseconds, seconds = costs[name]
        state = json.loads((trial / "trial.json").read_text())
        state["hyperparameters"]["values"]["base"] = name
        (trial / "trial.json").write_text(json.dumps(state))
        result = {
            "score": value - 0.001 * (number // 3),
            "trainable_parameters": parameters,
            "frozen_parameters": 0,
            "flops": None,
            "latency_ms": milliseconds,
            "feature_seconds": seconds,
        }
        if statuses.get(name) == "failed":
            result |= {"score": None, "executions": []}
        elif statuses.get(name):  # the second one was stopped last
            epochs = json.loads((trial / "result.json").read_text())["executions"]
            epochs[0]["epoch_seconds"] = [1.0] * (4 if number // 3 == 1 else 2)
            result["executions"] = epochs
        change(trial / "result.json", status=statuses.get(name, "completed"), **result)
    return folder


def test_the_table_has_what_is_recorded_of_each_bases_best_trial(tmp_path: Path) -> None:
    study = load_study(study_of_bases(tmp_path))
    found = costs_of_bases(study)
    assert found is not None
    table = costs_table(found, "base")
    assert table["base"].tolist() == ["Large", "Medium", "Small"]
    assert table["validation accuracy"].tolist() == ["0.9500", "0.9400", "0.8000"]
    assert table["95 % interval"].iloc[1] == "0.9034 to 0.9633"  # Wilson's, of 235 in 250
    assert table["parameters"].tolist() == ["900,000", "200,000", "100,000"]
    assert table["features, s per 1,000 images"].tolist() == ["", "5.00", "2.00"]
    assert table["on the front of"].iloc[0] == "parameters, latency"
    assert phone_sentence(found).startswith(PHONE)
    assert phone_sentence(found).endswith(": the knee.")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"Small": (0.96, 10, 0.5, 1)}, "Small: none has a better score, and none less latency"),
        (
            {"Small": (0.80, 10, 9.0, 1)},
            "Against the best, Large, and its latency: Medium is 1.00",
        ),
        (
            {"Medium": (0.801, 10, 7.5, 1)},
            "no knee stands out. Against the best, Large",
        ),
    ],
)
def test_a_front_without_a_knee_is_told_as_it_is(
    changes: dict[str, Any], words: str, tmp_path: Path
) -> None:
    found = costs_of_bases(load_study(study_of_bases(tmp_path, COSTS | changes)))
    assert found is not None
    assert words in phone_sentence(found)


def test_a_network_without_a_cost_is_not_left_out_unnamed(tmp_path: Path) -> None:
    costs = COSTS | {"Large": (0.95, 900_000, None, None)}
    found = costs_of_bases(load_study(study_of_bases(tmp_path / "one", costs)))
    assert found is not None
    assert "Large, at 1/4.5 of its parameters" in phone_sentence(found)
    costs |= {"Medium": (0.94, None, 2.0, 5.0), "Small": (0.8, 100_000, 1.0, 2.0)}
    found = costs_of_bases(load_study(study_of_bases(tmp_path / "two", costs)))
    assert found is not None
    assert phone_sentence(found).endswith(" Left out without a recorded latency: Large.")


@pytest.mark.usefixtures("without_drawing")
def test_what_nobody_recorded_is_left_out(tmp_path: Path) -> None:
    bare = {name: (*COSTS[name][:2], None, None) for name in NAMES}
    study = load_study(study_of_bases(tmp_path, bare))
    found = costs_of_bases(study)
    assert found is not None
    assert set(found.costs) == {PARAMETERS}
    assert what_bases_see.info(study) == ""
    other = load_study(write_study(tmp_path, Synthetic(6, name="other")))
    assert figure.info(other) == ""
    page = write_report(other).read_text(encoding="utf-8")
    assert "each base" not in page
    assert "Bases against cost" not in page


def test_the_report_shows_table_figure_and_what_each_base_sees(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reports.figures._render.render", drawn_alone("bases", "what_bases_see"))
    folder = study_of_bases(tmp_path)
    rng = np.random.default_rng(0)
    arrays: dict[str, Any] = {"image": rng.integers(0, 255, (40, 40, 3)).astype(np.uint8)}
    arrays |= {"names": np.array(NAMES), "trials": np.array(["0", "1", "2"])}
    for place in range(3):
        arrays[f"filters_{place}"] = rng.normal(size=(3, 3, 3, 5)).astype(np.float16)
        arrays[f"first_{place}"] = rng.integers(0, 255, (20, 20, 5)).astype(np.uint8)
        arrays[f"last_{place}"] = rng.integers(0, 255, (2, 2, 5)).astype(np.uint8)
        arrays[f"sizes_{place}"] = np.array([[20, 20], [2, 2]])
    np.savez(folder / "artifacts" / "bases.npz", **arrays)
    page = write_report(folder).read_text(encoding="utf-8")
    for name in ("bases", "what_bases_see"):
        assert f'id="figure-{name}"' in page
    assert "can't be made of this record" not in page
    assert PHONE in page
    assert "Small 20x20, then 2x2" in page
    assert "<bdi>900,000</bdi>" in page
    assert (folder / "report" / "bases.csv").read_text().startswith("base,trial,validation")
    arrays["first_1"] = arrays["first_1"][0]
    np.savez(folder / "artifacts" / "bases.npz", **arrays)
    assert what_bases_see.info(load_study(folder)) == "What the bases see is recorded, and damaged."


def test_a_comparison_by_base_has_costs_of_tested_arms_with_their_groups(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reports.figures._render.render", drawn_alone("arm_costs"))
    folder = study_of_bases(tmp_path)
    comparison = compare(arms_by(load_study(folder), "base"))
    found = costs_of_arms(comparison)
    assert found is not None
    assert found.metric == "validation accuracy"  # not all of them were tested
    assert found.groups == ()
    runs = json.loads((folder / "artifacts" / "finalists.json").read_text())[0]["runs"]
    tests = {"0": (0.60, 0.61, 0.60), "1": (0.94, 0.95, 0.94), "2": (0.95, 0.94, 0.95)}
    for trial_id, scores in tests.items():
        confirmed = [
            run | {"test": {"accuracy": score}} for run, score in zip(runs, scores, strict=True)
        ]
        path = folder / "artifacts" / "confirmed" / f"{trial_id}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps([{"trial_id": trial_id, "runs": confirmed}]))
    (folder / "artifacts" / "finalists.json").write_text("[]")
    said = CliRunner().invoke(main, ["compare", str(folder), "--by", "base"])
    assert said.exit_code == 0, said.output
    assert "test accuracy" in said.stdout
    costed = costs_of_arms(compare(arms_by(load_study(folder), "base")))
    assert costed is not None
    table = costs_table(costed, "arm").set_index("arm")
    assert table["group"].tolist() == ["A", "A", "B"]
    assert table.loc["base Small", "latency, ms per image"] == "1.00"
    assert "base Medium: 0.33 points below the best" in said.stdout
    assert "A test can't tell the two apart." in said.stdout
    page = Path(said.stdout.rsplit("comparison: ")[1].strip()).read_text(encoding="utf-8")
    assert 'id="figure-arm_costs"' in page
    assert "can't be made of this record" not in page
    assert "Which would I take on a phone?" in page
    path = folder / "artifacts" / "confirmed" / "1.json"  # no test is possible of one training
    records = json.loads(path.read_text())
    path.write_text(json.dumps([records[0] | {"runs": records[0]["runs"][:1]}]))
    single = compare(arms_by(load_study(folder), "base"))
    costed = costs_of_arms(single)
    assert costed is not None
    assert "tell" not in phone_sentence(costed)
    assert pairs_table(single)["can be told apart"].tolist() == ["unknown", "yes", "unknown"]


def test_a_base_whose_trials_were_all_stopped_is_stood_for_by_its_longest(tmp_path: Path) -> None:
    arms = arms_by(load_study(study_of_bases(tmp_path, Large="pruned")), "base")
    (large,) = [arm for arm in arms if arm.name == "base Large"]
    assert large.trial_id == "5"  # of the trials 2, 5 and 8
    said = verdict(compare(arms))
    assert "base Large has no trial that was trained whole (3 pruned): its longest, trial 5" in said
    assert "(4 epochs), stands for it" in said


def test_a_base_without_any_score_is_left_out_and_the_others_are_compared(tmp_path: Path) -> None:
    folder = study_of_bases(tmp_path, Large="failed")
    arms = arms_by(load_study(folder), "base")
    said = verdict(compare(arms))
    assert "base Large has no trial with a score (3 failed): it is left out of the verdict" in said
    assert "base Large was not tested" not in said
    folder = study_of_bases(tmp_path / "few", Large="failed", Medium="failed")
    result = CliRunner().invoke(main, ["compare", str(folder), "--by", "base", "--seeds", "2"])
    assert result.exit_code == 2
    assert len(result.stderr.splitlines()) == 1
    assert "--seeds has no two arms to train" in result.stderr


def tiny_base(path: Path, filters: int) -> str:
    inputs = keras.Input((None, None, 3))
    x = keras.layers.Conv2D(filters, 3, strides=2, activation="relu")(inputs)
    keras.Model(inputs, keras.layers.Conv2D(filters, 3, strides=2)(x)).save(path)
    return str(path)


@pytest.mark.parametrize("shown", [["Small", "Large"], ["Large"], []])
def test_bases_without_maps_are_looked_at_once(
    shown: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    maps = {"filters": np.ones((3, 3, 1, 2)), "first": np.ones((4, 4, 2)),
            "last": np.ones((2, 2, 2))}  # fmt: skip
    monkeypatch.setattr(written, "example_image", lambda data: np.zeros((8, 8, 1), np.uint8))
    monkeypatch.setattr(
        written, "first_and_last", lambda model, *_: maps if model in shown else None
    )
    study, data, built = load_study(study_of_bases(tmp_path)), cast(Any, None), list[str]()

    def build(trial: Any) -> Any:
        built.append(NAMES[int(trial.trial_id)])
        return built[-1]

    def write(names: list[str]) -> None:
        best = {n: SimpleNamespace(trial_id=str(NAMES.index(n))) for n in names}
        written.write_bases(study.files, best, build, data, with_latency=False)

    old = {"names": np.array(["other"]), "trials": np.array(["7"])}
    np.savez(study.files.arrays("bases"), **old)  # as of other trials, by an earlier version
    write(NAMES)
    write(NAMES)
    assert built == NAMES
    seen = what_bases_see.info(study)
    assert [base.name for base in getattr(seen, "bases", ())] == (shown if len(shown) > 1 else [])
    assert isinstance(seen, what_bases_see.Info) == (len(shown) > 1)
    write(NAMES[:2])
    assert built == [*NAMES, *NAMES[:2]]


def test_first_and_last_maps_of_a_base() -> None:
    inputs = keras.Input((16, 16, 3))
    x = keras.layers.Conv2D(8, 3, strides=2, padding="same")(inputs)
    base = keras.Model(inputs, keras.layers.Conv2D(4, 3, strides=2, padding="same")(x))
    images = keras.Input((16, 16, 3))
    pooled = keras.layers.GlobalAveragePooling2D()(base(keras.layers.Rescaling(1 / 255)(images)))
    model = keras.Model(images, keras.layers.Dense(2)(pooled))
    image = np.random.default_rng(0).integers(0, 255, (16, 16, 3)).astype(np.uint8)
    found = first_and_last(model, image, 5)
    assert found is not None
    assert found["filters"].shape == (3, 3, 3, 5)
    assert found["first"].shape == (8, 8, 5)
    expected = np.asarray(base(image[None] / 255))[0]
    np.testing.assert_allclose(np.sort(found["last"]), np.sort(expected), atol=1e-5)


@pytest.mark.slow
@pytest.mark.usefixtures("without_drawing")
def test_a_search_of_two_bases_records_and_compares_them(tmp_path: Path, cache_dir: Path) -> None:
    names = [tiny_base(tmp_path / f"{name}.keras", n) for name, n in (("narrow", 4), ("wide", 24))]
    places = ["--runs-dir", str(tmp_path / "runs")]
    kept = ["--cache-dir", str(cache_dir)]
    result = CliRunner().invoke(
        main,
        [
            "search", "transfer_head", "--dataset", "digits", "--sample", "100",
            "--no-try-default", "--try", "base=narrow", "--try", "base=wide",
            "--set", f"base={','.join(names)}", "--set", "image_size=32",
            "--max-trials", "2", "--max-epochs", "2", "--seeds", "1", "--confirm", "1",
            "--workers", "0", "--name", "two", "--fix", "flip=false", *places, *kept,
        ],
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    study = load_study(tmp_path / "runs" / "two")
    assert set(study.completed["base"]) == {"narrow", "wide"}
    assert (study.completed["feature_seconds"] > 0).all()
    assert (study.completed["latency_ms"] > 0).all()
    seen = what_bases_see.info(study)
    assert isinstance(seen, what_bases_see.Info)
    shapes = {base.name: (base.filters.shape, base.sizes.tolist()) for base in seen.bases}
    assert shapes["narrow"] == ((3, 3, 3, 4), [[15, 15], [7, 7]])
    assert shapes["wide"] == ((3, 3, 3, 5), [[15, 15], [7, 7]])
    page = (study.folder / "report" / "index.html").read_text(encoding="utf-8")
    assert 'id="figure-what_bases_see"' in page
    assert 'id="figure-bases"' in page
    # A pruner stopped all trials of one of them: its longest is trained whole.
    (stopped,) = study.completed[study.completed["base"] == "wide"]["trial_id"]
    change(study.files.trial(stopped).result, status="pruned")
    (study.folder / "artifacts" / "latency.json").unlink()
    result = CliRunner().invoke(
        main, ["compare", "two", "--by", "base", "--seeds", "2", *places, *kept]
    )
    assert result.exit_code == 0, result.output
    assert f"its longest, trial {stopped} (2 epochs), stands for it" in result.stdout
    arms = arms_by(load_study(study.folder), "base")
    assert [len(arm.tests) for arm in arms] == [2, 2]
    costed = costs_of_arms(compare(arms))
    assert costed is not None
    assert LATENCY in costed.costs
    assert costed.metric == "test accuracy"
