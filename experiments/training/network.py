"""The network of a training: built from its hyperparameters, whole or cut at its frozen part."""

import copy

import keras
import keras_tuner

from experiments.hyperparameters.space import make_space
from experiments.training.task import BuildError, TrialTask
from search_spaces.frozen import ORIGINAL


class Network:
    """The network of a task, ready to be trained.

    Args:
        task: What to build.

    Raises:
        BuildError: The hyperparameters describe no model that can be built.
    """

    def __init__(self, task: TrialTask) -> None:
        self.task = task
        self.space = make_space(task.space, task.data, task.settings, task.source)
        for name in (task.objective.name, *task.further):
            self.space.report(name.removeprefix("val_"))
        # A copy: Keras Tuner deserializes conditions in place.
        self.hp = keras_tuner.HyperParameters.from_config(copy.deepcopy(task.hyperparameters))
        try:
            self.split = self.space.split(self.hp)
            self.views = (ORIGINAL,) if self.split is None else self.split.views
            # A split network is joined only when it is needed.
            self._whole = self.space.build(self.hp) if self.split is None else None
        except (Exception, SystemExit) as error:
            raise BuildError(f"{type(error).__name__}: {error}") from error

    @property
    def whole(self) -> keras.Model:
        """The network from raw images to probabilities; shares the weights trained so far."""
        if self._whole is None:
            assert self.split is not None
            self._whole = self.split.join()
        return self._whole

    def trained_whole(self) -> keras.Model:
        """Returns the whole network for training; the feed makes the views, not its layers."""
        return self.whole if self.split is None else self.split.join(augment=False)


def new_network(task: TrialTask) -> Network:
    """Makes the network of a training, and frees what earlier networks left."""
    keras.backend.clear_session()
    return Network(task)


def build_network(task: TrialTask) -> keras.Model:
    """Builds the network of a finished training, from raw images to probabilities.

    Args:
        task: The training.
    """
    network = new_network(task)
    model = network.whole
    for phase in network.space.phases(network.hp, task.epochs):
        if phase.prepare is not None and phase.epochs:  # it determines which weights are trainable
            phase.prepare(model)
    return model
