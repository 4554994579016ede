"""The network of a training that has ended, and its export."""

from pathlib import Path
from typing import Any

from experiments.record.files import atomic, check_room
from experiments.trial import TrialTask, room_for


def build_network(task: TrialTask) -> Any:
    """Builds the network of a training, from raw images to probabilities, as it was at its end.

    Args:
        task: The training.
    """
    import keras

    from experiments.training import Network

    keras.backend.clear_session()
    network = Network(task)
    model = network.whole
    for phase in network.space.phases(network.hp, task.epochs):
        if phase.prepare is not None and phase.epochs:  # it decides what counts as trainable
            phase.prepare(model)
    return model


def load_weights(model: Any, weights: Path) -> None:
    """Sets the weights of a training's best epoch."""
    from experiments.training import without_optimizer

    without_optimizer(model).load_weights(weights)


def export(folder: Path, model: Any) -> None:
    """Writes `best_model.keras`, which loads where the suite is not."""
    # With Keras' own metric alone.
    model.compile(model.optimizer, loss=model.loss, metrics=["accuracy"], jit_compile=False)
    model.optimizer.build(model.trainable_variables)  # or loading the file warns of its absence
    check_room(folder, room_for(model))
    with atomic(folder / "best_model.keras") as temporary:
        model.save(temporary)
