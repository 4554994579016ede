"""Methods are rows: whatever is chosen by name derives from them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.simulated import Simulation, space
from experiments.catalogue import METHODS, PRUNERS
from experiments.config import SearchConfig
from experiments.methods.make import make_oracle, parse_method_settings
from experiments.record.errors import UserError
from experiments.record.methods import Sampler, optuna_methods


@pytest.fixture
def uniform(monkeypatch: pytest.MonkeyPatch) -> str:
    """A method of Optuna's random sampler, added by a row and nothing else."""
    sampler = Sampler("optuna.samplers:RandomSampler")
    row = replace(METHODS["qmc"], what="draws at random", sampler=sampler)
    monkeypatch.setitem(METHODS, "uniform", row)
    return "uniform"


@pytest.fixture
def nsga3(monkeypatch: pytest.MonkeyPatch) -> str:
    """A method of Optuna's NSGA-III, likewise."""
    sampler = Sampler("optuna.samplers:NSGAIIISampler")
    monkeypatch.setitem(METHODS, "nsga3", replace(METHODS["nsga2"], sampler=sampler))
    return "nsga3"


def test_a_row_is_a_sampler_that_searches(uniform: str, tmp_path: Path) -> None:
    simulations = [
        Simulation(tmp_path / name, method=uniform, max_trials=12, pruner="asha", epochs=9)
        for name in ("one", "other")
    ]
    for simulation in simulations:
        simulation.run()
    table = simulations[0].table()
    assert [status for _, status, *_ in table] == ["COMPLETED"] * 12
    assert len({values for _, _, values, *_ in table}) == 12
    assert table == simulations[1].table()
    assert uniform in optuna_methods()


def test_a_row_decides_what_a_method_takes(uniform: str) -> None:
    with pytest.raises(
        UserError, match=r"uniform draws at random, .* take tpe, gp, cmaes, nsga2 or"
    ):
        SearchConfig("mnist_cnn", method=uniform, sources=["before"])
    with pytest.raises(UserError, match="'uniform' takes one objective; for several take tpe, ns"):
        SearchConfig("mnist_cnn", method=uniform, objective=["val_accuracy", "params"])
    given = {"factor": "4"}
    config = SearchConfig("mnist_cnn", method=uniform, pruner="asha", method_settings=given)
    assert parse_method_settings(config) == {"factor": 4}


def test_a_row_of_a_genetic_sampler_has_generations(nsga3: str, tmp_path: Path) -> None:
    simulation = Simulation(tmp_path / "study", method=nsga3, max_trials=45)
    simulation.run()
    scores = [row[3] for row in simulation.table()]
    assert sum(scores[-5:]) / 5 > sum(scores[:20]) / 20
    several = ["val_accuracy", "params"]
    assert make_oracle(SearchConfig("mnist_cnn", method=nsga3, objective=several), space())


@pytest.mark.parametrize("name", [name for name in METHODS if name not in ("gp", "auto")])
def test_every_row_makes_an_oracle_with_its_settings(name: str) -> None:
    row = METHODS[name]
    given: dict[str, Any] = {n: s.least or 0.5 for n, s in row.settings.items()}
    pruner = "asha" if "asha" in row.pruners else None
    config = SearchConfig("mnist_cnn", method=name, pruner=pruner, method_settings=given)
    oracle = make_oracle(config, space())
    oracle._set_project_dir("unused", "unused")
    assert oracle.populate_space("0000")["status"] == "RUNNING"


@pytest.mark.parametrize("name", PRUNERS)
def test_a_method_takes_the_pruners_of_its_row(name: str) -> None:
    for method, row in METHODS.items():
        takes = name == "none" or name in row.pruners
        try:
            SearchConfig("mnist_cnn", method=method, pruner=name)
            refused = False
        except UserError as error:
            refused = "does not take it" in str(error)
        assert refused != takes, method
