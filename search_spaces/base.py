"""What every image search space shares: facts of the dataset, compiling, fitting in phases."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import keras
import keras_tuner
import numpy as np
import numpy.typing as npt
from keras_tuner.engine.hyperparameters import HyperParameter

from search_spaces._metrics import ON_REQUEST
from search_spaces._recipe import learning_rate_at, loss_of
from search_spaces.frozen import FrozenPart, Split

# Changes a batch of training images, (batch, height, width, channels), uint8, as drawn from the
# generator; returns as many, of the same shape and dtype.
Augmentation = Callable[[npt.NDArray[np.uint8], np.random.Generator], npt.NDArray[np.uint8]]


@dataclass(frozen=True)
class Phase:
    """A stretch of training with one optimizer.

    Args:
        epochs: How many epochs it lasts.
        prepare: Changes and recompiles the model before the phase; `None` leaves it as built. Where
            features are kept, the phase's own cut makes the model instead.
    """

    epochs: int
    prepare: Callable[[keras.Model], None] | None = None


class ImageSpace(keras_tuner.HyperModel):
    """A search space for image classification. Works in plain Keras Tuner.

    Models take raw images, `(batch, height, width, channels)` with values 0..255, and give
    probabilities: `(batch, 1)` for two classes, `(batch, num_classes)` for more. Labels are
    integers, `(batch,)`.

    Args:
        input_shape: `(height, width, channels)` of the images.
        num_classes: Number of classes, at least 2.

    Raises:
        ValueError: A fact of the dataset or a setting does not fit.
    """

    summary: ClassVar[str] = ""
    # hyperparameter (a trailing _0 stands for the whole family) -> what it means
    meanings: ClassVar[Mapping[str, str]] = {}
    # setting (keyword argument of __init__) -> what it means
    settings: ClassVar[Mapping[str, str]] = {}
    # what its models can report of each epoch, and again with "val_" before it
    metrics: ClassVar[tuple[str, ...]] = ("accuracy", "loss", *ON_REQUEST)
    # Batches run by one call into the graph: small models are up to 1.7 times faster with 16.
    steps_per_execution: ClassVar[int] = 16
    # hyperparameters that are choices of architecture: the report compares scores by them
    architecture: ClassVar[tuple[str, ...]] = ()
    # hyperparameters held at their default until --range or --fix opens them, as they are then
    held: ClassVar[tuple[HyperParameter, ...]] = ()
    # hyperparameters that earlier versions did not have: at the default, models are as they were
    added: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, input_shape: tuple[int, int, int], num_classes: int) -> None:
        # TensorFlow takes no name that begins with an underscore, as `__main__` does.
        super().__init__(name=type(self).__module__.rpartition(".")[2].strip("_"))
        if len(input_shape) != 3 or min(input_shape) < 1:
            raise ValueError(
                f"input_shape should be (height, width, channels), it is {input_shape}"
            )
        if num_classes < 2:
            raise ValueError(f"num_classes should be at least 2, it is {num_classes}")
        self.input_shape: tuple[int, int, int] = (
            int(input_shape[0]),
            int(input_shape[1]),
            int(input_shape[2]),
        )
        self.num_classes = num_classes
        self._requested: set[str] = set()

    def architecture_names(self) -> tuple[str, ...]:
        """Returns the names of `architecture`, and those that only these settings bring."""
        return self.architecture

    def report(self, metric: str) -> None:
        """Makes models report `metric`, one of `metrics`; accuracy and loss they always do."""
        if metric in ON_REQUEST:
            self._requested.add(metric)

    def starting_points(self) -> Sequence[Mapping[str, Any]]:
        """Returns points worth trying first, best first: at most 8, each different.

        Hyperparameters that a point leaves out have their default.
        """
        return ()

    @classmethod
    def required_shape(cls, channels: int, settings: Mapping[str, Any]) -> tuple[int, int, int]:
        """Returns the `(height, width, channels)` images must be brought to.

        Args:
            channels: Channels of the dataset's own images.
            settings: Settings of the space, by name.
        """
        raise NotImplementedError

    @classmethod
    def reported_metrics(cls) -> tuple[str, ...]:
        """Returns what its models report of each epoch, of training and of validation."""
        return cls.metrics

    @classmethod
    def setting_defaults(cls) -> dict[str, Any]:
        """Returns every setting with its default."""
        return {name: declared.default for name, declared in cls.setting_parameters().items()}

    @classmethod
    def setting_parameters(cls) -> dict[str, inspect.Parameter]:
        """Returns the parameter of each setting, of the class itself or of one that it extends.

        Raises:
            ValueError: A setting is no parameter.
        """
        found: dict[str, inspect.Parameter] = {}
        for owner in reversed(cls.__mro__[:-1]):  # the last is `object`
            if made := vars(owner).get("__init__"):
                found |= inspect.signature(made).parameters
        if missing := [name for name in cls.settings if name not in found]:
            raise ValueError(f"its setting {missing[0]} is no parameter of __init__")
        return {name: found[name] for name in cls.settings}

    @classmethod
    def check_settings(cls, settings: Mapping[str, Any]) -> None:
        """Checks settings that a new search was given: none of them may be without effect.

        Args:
            settings: Those that were given, by name.

        Raises:
            ValueError: One is.
        """

    def fetch(self) -> None:
        """Fetches what building needs from elsewhere, before anything depends on it.

        Raises:
            ValueError: It can't be had.
        """

    def compile(
        self,
        model: keras.Model,
        optimizer: keras.optimizers.Optimizer,
        label_smoothing: float = 0.0,
    ) -> None:
        """Compiles `model` with the loss and metrics that fit the number of classes."""
        requested = [
            m(self.num_classes) for name, m in ON_REQUEST.items() if name in self._requested
        ]
        model.compile(
            optimizer=optimizer,
            loss=loss_of(self.num_classes, label_smoothing),
            metrics=["accuracy", *requested],
            jit_compile=self._jit_compile(),
            steps_per_execution=self.steps_per_execution,
        )

    @staticmethod
    def _jit_compile() -> bool:
        # XLA trains small CNNs 2.5 to 4 times slower on a CPU.
        import tensorflow as tf

        return bool(tf.config.list_physical_devices("GPU"))

    def output_layer(self) -> keras.layers.Layer:
        """Returns the last layer: one sigmoid unit for two classes, softmax for more."""
        if self.num_classes == 2:
            return keras.layers.Dense(1, activation="sigmoid", name="probabilities")
        return keras.layers.Dense(self.num_classes, activation="softmax", name="probabilities")

    def head_layers(self, values: Mapping[str, Any]) -> list[keras.layers.Layer]:
        """Makes dense layers, dropout and the output, to be put on a vector one after another."""
        dense = [
            keras.layers.Dense(units, activation="relu", name=f"dense_{index}")
            for index, units in enumerate(values["dense_units"])
        ]
        dropout = keras.layers.Dropout(values["dropout"], name="dropout")
        return [*dense, dropout, self.output_layer()]

    def draw(self, hp: keras_tuner.HyperParameters) -> dict[str, Any]:
        """Draws every hyperparameter, the inactive ones too, so that one call declares them all.

        Returns:
            The values that `build` needs.
        """
        raise NotImplementedError

    def draw_held(self, hp: keras_tuner.HyperParameters, *names: str) -> dict[str, Any]:
        """Draws the hyperparameters of `held`: their defaults, unless a search opened them.

        Args:
            hp: Where to draw from.
            *names: Which of them; all if none is named.
        """
        held = [each for each in self.held if not names or each.name in names]
        return {each.name: hp.Fixed(each.name, each.default) for each in held}

    def declare_hyperparameters(self, hp: keras_tuner.HyperParameters) -> None:
        """Declares the whole space without building a model."""
        self.draw(hp)

    def phases(self, hp: keras_tuner.HyperParameters, epochs: int) -> list[Phase]:
        """Returns the stretches of training of a trial of `epochs` epochs."""
        return [Phase(epochs)]

    def split(self, hp: keras_tuner.HyperParameters) -> Split | None:
        """Cuts the network of `hp` into a frozen and a trained part; `None` if all is trained."""
        return None

    def augmentation(self, hp: keras_tuner.HyperParameters) -> Augmentation | None:
        """Returns how training images are changed for `hp`; `None` if they stay as they are.

        The suite calls it for every batch of images, with a generator of the training's seed, the
        epoch and the batch. Where there is one, no features are kept. Plain Keras Tuner does not
        call it: there models are trained on images as they are.
        """
        return None

    def possible_parts(
        self, hp: keras_tuner.HyperParameters
    ) -> list[tuple[FrozenPart, tuple[str, ...]]]:
        """Returns frozen parts that trials of the space `hp` may need, with their views.

        These are the parts of the default. A space whose trials may need others names them all.
        """
        split = self.split(hp.copy())
        if split is None or split.uncached:
            return []
        return [(cut.part, split.views) for cut in split.cuts(1)]

    def batch_size(self, hp: keras_tuner.HyperParameters) -> int:
        """Returns the number of images a batch for these hyperparameters."""
        return int(hp.values.get("batch_size", 32))

    def fit(
        self, hp: keras_tuner.HyperParameters, model: keras.Model, *args: Any, **kwargs: Any
    ) -> keras.callbacks.History:
        """Trains `model` through its phases and returns one history of all epochs."""
        data = args[0] if args else kwargs.get("x")
        if hasattr(data, "shape"):  # arrays; a dataset brings its own batches
            kwargs.setdefault("batch_size", self.batch_size(hp))
        epochs = kwargs.pop("epochs", 1)
        start = kwargs.pop("initial_epoch", 0)
        merged: dict[str, list[float]] = {}
        history, end = keras.callbacks.History(), 0
        for phase in self.phases(hp, epochs):
            begin, end = max(start, end), end + phase.epochs
            if phase.prepare is not None:
                phase.prepare(model)
            if begin >= end:  # done before, in the trial that this one continues
                continue
            history = self.fit_phase(hp, model, begin, end, args, kwargs)
            for name, values in history.history.items():
                merged.setdefault(name, []).extend(values)
        history.history = merged
        history.epoch = list(range(max((len(v) for v in merged.values()), default=0)))
        return history

    def fit_phase(
        self,
        hp: keras_tuner.HyperParameters,
        model: keras.Model,
        begin: int,
        end: int,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> keras.callbacks.History:
        """Trains `model` from epoch `begin` to `end`; the rest goes to its `fit`."""
        callbacks = [*(kwargs.get("callbacks") or []), *self.phase_callbacks(hp, model, end)]
        return model.fit(
            *args, **(kwargs | {"initial_epoch": begin, "epochs": end, "callbacks": callbacks})
        )

    def phase_callbacks(
        self, hp: keras_tuner.HyperParameters, model: keras.Model, end: int
    ) -> list[keras.callbacks.Callback]:
        """Returns callbacks that a phase which ends with epoch `end` needs: its schedule."""
        cosine = hp.values.get("learning_rate_schedule") == "cosine"
        warmup_epochs = int(hp.values.get("warmup_epochs", 0))
        if not cosine and not warmup_epochs:
            return []
        schedule = learning_rate_at(float(hp.get("learning_rate")), end, cosine, warmup_epochs)
        return [keras.callbacks.LearningRateScheduler(schedule)]


def draw_sizes(
    hp: keras_tuner.HyperParameters,
    count_name: str,
    size_name: str,
    counts: tuple[int, int, int],
    sizes: tuple[int, int, int],
    later: tuple[int, int, int] | None = None,
) -> list[int]:
    """Draws a number of layers and the size of each; sizes of layers not used are inactive.

    Args:
        hp: Where to draw from.
        count_name: Hyperparameter of the number of layers.
        size_name: Hyperparameters of the sizes, followed by `_0`, `_1`, ...
        counts: Fewest layers, default, most.
        sizes: Smallest size, largest (a power of 2 times the smallest), default.
        later: The same for layers after the first, if not as for the first.
    """
    least, default, most = counts
    count = hp.Int(count_name, least, most, default=default)
    drawn = []
    for index in range(most):
        low, high, usual = sizes if later is None or index == 0 else later
        with hp.conditional_scope(count_name, list(range(max(index + 1, least), most + 1))):
            size = hp.Int(f"{size_name}_{index}", low, high, step=2, sampling="log", default=usual)
            drawn.append(size)
    return drawn[:count]
