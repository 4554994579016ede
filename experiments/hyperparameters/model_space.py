"""A user's own model as a search space: a `build_model(hp)` function or a `HyperModel`."""

import inspect
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import keras
import keras_tuner
import numpy as np
import numpy.typing as npt
from keras_tuner.engine import hyperparameters as hp_module

from experiments.data.prepare import PreparedData
from experiments.data.sources.base import Inputs, Wanted
from experiments.hyperparameters.combinations import point_with
from experiments.hyperparameters.declared import declared_points
from experiments.hyperparameters.fit_arguments import instead, on_batches, unneeded_by
from experiments.hyperparameters.model_checks import (
    check_fits,
    check_inputs,
    check_model,
    lacks_scaling,
    settle,
    targets_for,
    tried,
)
from experiments.hyperparameters.model_file import (
    FACTS,
    Loaded,
    candidate,
    load,
    said,
    source_file,
)
from experiments.hyperparameters.model_graph import input_shape
from experiments.record.errors import UserError
from experiments.record.predictions import Targets
from experiments.space_reference import SpaceReference
from search_spaces.base import ImageSpace

_IMAGE_SIZE = 64  # side in pixels where a model takes any
_MOST_BUILDS = 40  # to find hyperparameters that appear only with others' values
_BATCH = 32  # images of the batch that is tried
_UNFIT = (
    "{label}: its fit fails: {error}; it is called as fit(hp, model, x, validation_data=..., "
    "epochs=..., callbacks=...), and x and validation_data are each a tf.data.Dataset of batches: "
    "leave them to *args and **kwargs, or take experiments.Tuner in a script, which gives arrays"
)
_classes: dict[tuple[str, str], type[ImageSpace]] = {}  # (reference, text) -> its class

Shape = tuple[int | None, int | None, int | None]
_OPEN: Shape = (None, None, None)
_EXAMPLES: tuple[tuple[int, ...], ...] = ((_IMAGE_SIZE, _IMAGE_SIZE, 3), (16, 8), (8,))


@dataclass(frozen=True)
class Probe:
    """What a default model tells of images without a dataset.

    Args:
        shape: `(height, width, channels)` that it takes; `None` for what it leaves open.
        metrics: Names of what it reports of each epoch.
        wrong: Why it can't be trained on classes of images; `None` if it can.
    """

    shape: Shape
    metrics: tuple[str, ...]
    wrong: UserError | None


@dataclass(frozen=True)
class Checked:
    """What a model told when it was tried on a dataset.

    Args:
        lines: What is to be said of it.
        metrics: Names of what it reports of each epoch.
    """

    lines: list[str]
    metrics: tuple[str, ...]


class ModelSpace(ImageSpace):
    """The space of a user's own model, which comes compiled.

    Args:
        input_shape: `(height, width, channels)` of the images, or the shape of another row.
        num_classes: Number of classes; of other targets, of labels or values.
        image_size: Side of the images, if the model leaves it open.
    """

    label: ClassVar[str] = ""  # what messages call it
    made_by: ClassVar[Any] = None  # function, class or instance
    file: ClassVar[Path | None] = None  # of the user's file
    settings: ClassVar[Mapping[str, str]] = {
        "image_size": "side of the square images, in pixels, where the model leaves it open"
    }
    _probe: ClassVar[Probe | None] = None

    def __init__(
        self,
        input_shape: tuple[int, ...],
        num_classes: int,
        image_size: int = _IMAGE_SIZE,
    ) -> None:
        keras_tuner.HyperModel.__init__(self, name="own_model")  # other rows are no images
        self.input_shape: Any = tuple(map(int, input_shape))
        self.num_classes = num_classes
        self._facts = dict(zip(FACTS, (self.input_shape, num_classes), strict=True))
        self._explored: keras_tuner.HyperParameters | None = None
        self._maker: Any = self.made_by
        if inspect.isclass(self.made_by):
            self._maker = self._called(self.made_by)

    def _called(self, callee: Any, *arguments: Any) -> Any:
        """Calls a user's function or class with what it takes of the dataset."""
        taken = {n: v for n, v in self._facts.items() if n in _parameters(callee)}
        return callee(*arguments, **taken)

    def starting_points(self) -> Sequence[Mapping[str, Any]]:
        """Returns the points that the user's model declares."""
        return declared_points(self._maker)

    def report(self, metric: str) -> None:
        """Does nothing: the model comes with its metrics."""

    @classmethod
    def probe(cls) -> Probe:
        """Builds a model with default hyperparameters, and trains it on blank images.

        Raises:
            UserError: It can't be built, or takes no images.
        """
        if "_probe" not in vars(cls) or cls._probe is None:
            cls._probe = cls._probed()
        return cls._probe

    @classmethod
    def _probed(cls) -> Probe:
        given = cls._given_shape()
        with _told(cls.label, cls.file):
            space = cls(_filled(given or _OPEN, (_IMAGE_SIZE, _IMAGE_SIZE, 3)), 2)
            raw = space.raw(keras_tuner.HyperParameters())
            is_open = not getattr(raw, "inputs", None)
            model = settle(raw, cls.label, space.input_shape)
        check_inputs(model, cls.label)
        takes: Any = input_shape(model)
        images = np.zeros((2, *_filled(takes, space.input_shape)), dtype=np.uint8)
        metrics: tuple[str, ...] = ()
        wrong = None
        try:
            metrics = tried(model, cls.label, images, np.zeros(2, dtype=np.int64), cls.file)
        except UserError as error:
            wrong = error
        keras.backend.clear_session()
        return Probe(given or (_OPEN if is_open else takes), metrics, wrong)

    @classmethod
    def example(cls) -> ImageSpace:
        """Returns the space for rows of the model's own shape, to be shown without a dataset.

        Raises:
            UserError: The model can't be built.
        """
        with _told(cls.label, cls.file):
            shapes = list(_EXAMPLES)
            if cls._given_shape() is None:
                model = cls(shapes[0], 2).raw(keras_tuner.HyperParameters())
                if inputs := getattr(model, "inputs", None):
                    shapes = [tuple(size or _IMAGE_SIZE for size in inputs[0].shape[1:])]
            for shape in shapes[:-1]:
                with suppress(Exception):
                    space = cls(shape, 2)
                    space.build(keras_tuner.HyperParameters())
                    return space
            return cls(shapes[-1], 2)

    @classmethod
    def wanted(cls) -> Wanted:
        """Returns what the model takes of arrays, as far as it tells before there are some.

        Raises:
            UserError: It fails, whatever the arrays are, or is none that can be searched.
        """
        is_given = bool({*FACTS} & {*_parameters(cls.made_by)})
        try:
            with _told(cls.label, cls.file):
                space = cls((_IMAGE_SIZE, _IMAGE_SIZE, 3), 2)
                model = space.raw(keras_tuner.HyperParameters())
        except UserError:
            if is_given:  # it may fail for what stood in for the arrays
                return Wanted(arrays=True, targets=None)
            raise
        check_model(model, cls.label)
        inputs = getattr(model, "inputs", None)
        rank = len(inputs[0].shape) - 1 if inputs and cls._given_shape() is None else None
        wanted = Wanted(rank in (None, 3), arrays=True, targets=targets_for(model))
        keras.backend.clear_session()
        return wanted

    @classmethod
    def _given_shape(cls) -> Shape | None:
        """Returns what a model that takes `input_shape` takes it for; `None` if it takes none."""
        parameter = _parameters(cls.made_by).get("input_shape")
        if parameter is None:
            return None
        default = parameter.default
        if isinstance(default, list | tuple) and len(default) == 3:
            return (default[0], default[1], None)
        return (None, None, None)

    @classmethod
    def required_shape(cls, channels: int, settings: Mapping[str, Any]) -> tuple[int, int, int]:
        """Returns the model's own input shape; the setting and the data decide what is open."""
        height, width, own = cls.probe().shape
        size = settings.get("image_size")
        is_given = cls._given_shape() is not None
        if size is not None and not is_given and None not in (height, width):
            raise UserError(
                f"--set image_size={size}: {cls.label} takes images of {height}x{width}; take "
                "input_shape as a parameter, build_model(hp, input_shape), or leave the setting out"
            )
        if size is not None and is_given:
            height = width = None
        side = int(size or _IMAGE_SIZE)
        return (height or side, width or side, own or channels)

    @classmethod
    def reported_metrics(cls) -> tuple[str, ...]:
        """Returns the names of what the compiled model reports."""
        probe = cls.probe()
        if probe.wrong is not None:
            raise probe.wrong
        return probe.metrics

    def raw(self, hp: keras_tuner.HyperParameters) -> Any:
        """Returns what the user's own code builds."""
        if isinstance(self._maker, keras_tuner.HyperModel):
            return self._maker.build(hp)
        return self._called(self._maker, hp)

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        """Builds the user's model for `hp`; it comes compiled."""
        return settle(self.raw(hp), self.label, self.input_shape)

    def declare_hyperparameters(self, hp: keras_tuner.HyperParameters) -> None:
        """Declares what builds of the model ask for, those that appear with others' values too."""
        if self._explored is None:
            self._explored = self._explore()
        hp.merge(self._explored.copy().space)

    def _explore(self) -> keras_tuner.HyperParameters:
        """Builds at the defaults, then at other choices and ends, one at a time."""
        found = keras_tuner.HyperParameters()
        with _told(self.label, self.file):
            if isinstance(self._maker, keras_tuner.HyperModel):
                self._maker.declare_hyperparameters(found)
            self._ask(found)
        add_appearing(found, self._ask)
        return found

    def _ask(self, hp: keras_tuner.HyperParameters) -> None:
        """Lets the user's code declare what it needs at the values of `hp`."""
        self.build(hp)

    def phase_callbacks(
        self, hp: keras_tuner.HyperParameters, model: keras.Model, end: int
    ) -> list[keras.callbacks.Callback]:
        """Returns none: the model is trained as it was compiled."""
        return []


class FittingModelSpace(ModelSpace):
    """The space of a `HyperModel` that trains in a way of its own."""

    def fit(
        self, hp: keras_tuner.HyperParameters, model: keras.Model, *args: Any, **kwargs: Any
    ) -> Any:
        """Trains with the user's `fit`."""
        return self._maker.fit(hp, model, *args, **unneeded_by(self._maker.fit) | kwargs)

    def _ask(self, hp: keras_tuner.HyperParameters) -> None:
        """Lets `fit` declare what it needs too, on a model that does not train."""
        model = self.build(hp)
        rows = np.zeros((2, *self.input_shape), dtype=np.uint8)
        with (
            instead(model, lambda *args, **kwargs: keras.callbacks.History()),
            suppress(Exception, SystemExit),  # a history without epochs may be missed
        ):
            _fit_once(self, hp, model, (rows, np.zeros(2, dtype=np.int64)))


def _fit_once(
    space: ImageSpace,
    hp: keras_tuner.HyperParameters,
    model: keras.Model,
    batch: tuple[npt.NDArray[Any], npt.NDArray[Any]],
    **weighed: Any,
) -> None:
    """Calls a space's own `fit` as a trial does, with one batch of rows and targets."""
    import tensorflow as tf

    data = tf.data.Dataset.from_tensors(batch)
    space.fit(hp, model, data, validation_data=data, epochs=1, callbacks=[], **weighed)


@contextmanager
def told_of(reference: SpaceReference | None) -> Iterator[None]:
    """Turns what the code of a user's own file or module raises in the block into one line."""
    try:
        yield
    except UserError:
        raise
    except (Exception, SystemExit) as error:
        file = None if reference is None else source_file(reference)
        frames = traceback.extract_tb(error.__traceback__)
        if file is None or all(frame.filename != str(file) for frame in frames):
            raise
        raise UserError(f"{reference} fails: {said(error, file)}; mend it there") from error


@contextmanager
def _told(label: str, file: Path | None) -> Iterator[None]:
    """Turns what a user's code raises in the block into one line."""
    try:
        yield
    except UserError:
        raise
    except (Exception, SystemExit) as error:
        raise UserError(
            f"{label} fails with the default hyperparameters: {said(error, file)}; mend it there"
        ) from error


def _filled(shape: Shape, others: tuple[int, int, int]) -> tuple[int, int, int]:
    """Returns `shape` with what it leaves open taken from `others`."""
    height, width, channels = (own or other for own, other in zip(shape, others, strict=True))
    return height, width, channels


def _parameters(callee: Any) -> Mapping[str, inspect.Parameter]:
    if isinstance(callee, keras_tuner.HyperModel):
        return {}
    return inspect.signature(callee).parameters


def add_appearing(
    found: keras_tuner.HyperParameters, build: Callable[[keras_tuner.HyperParameters], object]
) -> None:
    """Adds what builds ask for at other choices and ends than the defaults, one at a time.

    Args:
        found: What a build at the defaults has asked for.
        build: Builds a model, which asks for its hyperparameters.
    """
    builds, position = 1, 0
    while position < len(found.space) and builds < _MOST_BUILDS:
        own = found.space[position]
        position += 1
        for value in list(_others(own))[: _MOST_BUILDS - builds]:
            point = point_with(found, own, value)
            builds += 1
            with suppress(Exception, SystemExit):  # a trial there fails for itself
                build(point)
            found.merge(point.space, overwrite=False)
    keras.backend.clear_session()


def _others(hp: hp_module.HyperParameter) -> Iterator[Any]:
    """Yields the values at which other hyperparameters may appear."""
    if isinstance(hp, hp_module.Boolean | hp_module.Choice):
        values = [False, True] if isinstance(hp, hp_module.Boolean) else list(hp.values)
    elif isinstance(hp, hp_module.Int):
        values = [hp.max_value, hp.min_value]
    else:
        values = []
    yield from (value for value in dict.fromkeys(values) if value != hp.default)


def own_space_class(reference: SpaceReference, text: str | None = None) -> type[ImageSpace]:
    """Returns the space of a user's own file or module.

    Args:
        reference: What names it.
        text: The text of the file, if it is not to be read.

    Raises:
        UserError: It can't be used.
    """
    loaded = load(reference, text)
    key = reference.full, loaded.text
    if key not in _classes:
        _classes[key] = _made(loaded)
    return _classes[key]


def _made(loaded: Loaded) -> type[ImageSpace]:
    name, value = candidate(loaded)
    label = f"{loaded.reference.file}:{name}"
    if inspect.isclass(value) and issubclass(value, ImageSpace):
        return value
    _check_callable(label, value)
    is_function = inspect.isfunction(value)
    owner = value if is_function or inspect.isclass(value) else type(value)
    is_model = inspect.isclass(owner) and issubclass(owner, keras_tuner.HyperModel)
    fits = is_model and owner.fit is not keras_tuner.HyperModel.fit
    summary = (owner.__doc__ or "").strip().partition("\n")[0]
    members = {
        "label": label,
        "made_by": staticmethod(value) if is_function else value,
        "file": loaded.reference.path,
        "summary": summary or f"{name} of {loaded.reference.file}",
        "__doc__": ModelSpace.__doc__,
        "__module__": ModelSpace.__module__,
    }
    return type("OwnModel", (FittingModelSpace if fits else ModelSpace,), members)


def _check_callable(label: str, value: Any) -> None:
    """Checks that nothing has to be given but hyperparameters and facts of the dataset."""
    if isinstance(value, keras_tuner.HyperModel):
        return
    parameters = list(_parameters(value).values())
    if not inspect.isclass(value):
        if not parameters:
            name = label.rpartition(":")[2]
            raise UserError(f"{label} takes no hyperparameters: write `def {name}(hp)`")
        parameters = parameters[1:]
    starred = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    missing = [
        p.name
        for p in parameters
        if p.name not in FACTS and p.default is p.empty and p.kind not in starred
    ]
    if missing:
        raise UserError(
            f"{label} needs {', '.join(missing)}, which nothing gives it: give each a default"
            + ("; or put an instance in the file and name that" if inspect.isclass(value) else "")
            + f"; of the dataset it may take {' and '.join(FACTS)}"
        )


def check_on_data(
    label: str,
    hypermodel: ImageSpace,
    space: keras_tuner.HyperParameters,
    data: PreparedData,
    is_weighed: bool = False,
) -> Checked:
    """Builds a user's own model with default hyperparameters, and trains it on one batch.

    Args:
        label: What messages call it.
        hypermodel: The space, for this dataset.
        space: What is searched.
        data: The prepared dataset.
        is_weighed: Whether classes are weighed.

    Returns:
        What the model told.

    Raises:
        UserError: Model and dataset do not fit.
    """
    label = getattr(hypermodel, "label", "") or label
    file = getattr(hypermodel, "file", None)
    hp = space.copy()
    with _told(label, file):
        model = hypermodel.build(hp)
    if data.inputs == Inputs.IMAGES:
        check_inputs(model, label)
    check_fits(model, label, data)
    train = data.open("train")
    chosen = np.linspace(0, len(train.labels) - 1, min(_BATCH, len(train.labels))).astype(int)
    rows, labels = np.asarray(train.images[chosen]), np.asarray(train.labels[chosen])
    metrics = tried(model, label, rows, labels, file, data.targets)
    if type(hypermodel).fit is not ImageSpace.fit:
        weights = {"class_weight": dict(enumerate(data.class_weights))} if is_weighed else {}
        error = _error_of_fit(hypermodel, hp, model, (rows, labels), weights)
        if isinstance(error, TypeError | AttributeError):  # others may be of so few rows
            raise UserError(_UNFIT.format(label=label, error=said(error, file))) from error
    lines = _brought(label, data, model)
    if not space.space:
        lines.append(
            f"{label} asks hp for nothing, so that all trials are alike: ask for "
            'hp.Int("units", 16, 64), say'
        )
    checked = Checked(lines, metrics)
    keras.backend.clear_session()
    return checked


def _error_of_fit(
    space: ImageSpace,
    hp: keras_tuner.HyperParameters,
    model: keras.Model,
    batch: tuple[npt.NDArray[Any], npt.NDArray[Any]],
    weights: Mapping[str, Any],
) -> BaseException | None:
    """Returns what a space's own `fit` raises of one batch."""
    try:
        with on_batches(model, len(batch[0]), len(batch[0]), lambda shuffles: None):
            _fit_once(space, hp, model, batch, **weights)
    except (Exception, SystemExit) as error:
        return error
    return None


def _brought(label: str, data: PreparedData, model: keras.Model) -> list[str]:
    """Says how rows are brought to a model, and what it predicts."""
    if data.inputs == Inputs.ARRAYS:
        lines = [f"{label} takes rows of shape {data.shape}, as they are"]
    else:
        lines = [
            f"{label} takes images of {'x'.join(map(str, data.shape))}: all are brought to that"
        ]
        if lacks_scaling(model):
            lines.append(
                f"{label} gets values of 0 to 255 and has no layer that scales them: training is "
                "slow or fails without keras.layers.Rescaling(1 / 255) first"
            )
    if data.targets == Targets.VALUES:
        lines.append(f"{label} predicts numbers, of shape {data.target_shape}: regression")
    if data.targets == Targets.LABELS:
        lines.append(f"{label} predicts {data.num_outputs} labels, each of them or not")
    return lines
