"""The finalists: trained again from scratch over seeds, judged on the test split."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from experiments.config import SearchConfig
from experiments.data import PreparedData
from experiments.files import atomic, check_room, write_json
from experiments.front import finalists
from experiments.snapshot import Keeper
from experiments.trial import derive_seed, room_for
from experiments.tuner import SuiteTuner

_CONFIRM_STREAM = 2


def confirm(
    config: SearchConfig, data: PreparedData, tuner: SuiteTuner, folder: Path, display: Any
) -> tuple[float, ...]:
    """Trains the best trials again, tests them, exports the winner and writes artifacts.

    Finalists are ranked by their validation scores of the search, of several objectives as
    `front.finalists` says; the test split ranks nothing.
    The exported model is the winner's training with the best validation score.

    Returns:
        Test accuracy of the winner, one a seed; empty if no trial was completed.
    """
    from experiments.artifacts import write_artifacts

    best = finalists(tuner.oracle, config.confirm)
    records = []
    for rank, trial in enumerate(best):
        runs, exported = [], None
        for seed_index in range(config.seeds):
            seed = derive_seed(config.seed, _CONFIRM_STREAM, int(trial.trial_id), seed_index)
            run, model = _train_and_test(config, tuner, trial, seed, display)
            runs.append(run)
            if rank == 0 and (
                exported is None
                or config.parsed_objective.better(run["score"], runs[exported]["score"])
            ):
                exported = seed_index
                _export(folder, model)
                write_artifacts(folder / "artifacts", model, data)
        records.append(
            {
                "trial_id": trial.trial_id,
                "runs": runs,
                "exported_run": exported,
                "max_epochs": config.max_epochs,
            }
        )
    write_json(folder / "artifacts" / "finalists.json", records)
    return tuple(run["test"]["accuracy"] for run in records[0]["runs"]) if records else ()


def _train_and_test(
    config: SearchConfig, tuner: SuiteTuner, trial: Any, seed: int, display: Any
) -> tuple[dict[str, Any], Any]:
    from experiments.feed import dataset_of
    from experiments.training import train

    task = replace(
        tuner.task(trial),
        epochs=config.max_epochs,
        snapshots=None,
        start_snapshots=None,
        checkpoint=None,
    )
    display.confirming(trial.trial_id, seed)
    trained = train(
        task,
        Keeper(task, 0, seed),
        lambda epoch, metrics: int(bool(display.epoch_ended(0, epoch, metrics))),
    )
    model = trained.model
    test = tuner.data.open("test")
    scores = model.evaluate(dataset_of(test, 64), verbose=0, return_dict=True)
    run = asdict(trained.execution) | {
        "test": {name: float(value) for name, value in scores.items()}
    }
    run["test_size"] = int(np.shape(test.labels)[0])
    return run, model


def _export(folder: Path, model: Any) -> None:
    # With Keras' own metric alone: the file has to load where the suite is not.
    model.compile(model.optimizer, loss=model.loss, metrics=["accuracy"], jit_compile=False)
    model.optimizer.build(model.trainable_variables)  # or loading the file warns of its absence
    check_room(folder, room_for(model))
    with atomic(folder / "best_model.keras") as temporary:
        model.save(temporary)
