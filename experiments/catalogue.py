"""Every selectable name, one row each; importing it loads nothing heavy."""

from dataclasses import dataclass

from experiments.record.errors import UserError
from experiments.record.methods import HALVING, METHODS, PRUNERS
from experiments.record.objective import COSTS

__all__ = [
    "BALANCED",
    "COSTS",
    "DATASETS",
    "HALVING",
    "METHODS",
    "PRUNERS",
    "Dataset",
    "check_name",
]


BALANCED = "balanced"  # the one way to weigh classes


@dataclass(frozen=True)
class Dataset:
    """A dataset, or a kind of datasets.

    Args:
        what: Its description.
        module: The module of `experiments.data.sources` whose `load` opens it.
        argument: The part after its name, where the name ends in a colon.
    """

    what: str
    module: str
    argument: str = ""


_OWN_IMAGES = (
    "your own images: one sub-folder a class, or train/, val/, test/ of such, or with "
    "?labels=<csv> behind the path"
)
_OWN_ARRAYS = "your own arrays, inputs as x_train and targets as y_train"
DATASETS = {
    "mnist": Dataset(
        "60,000 + 10,000 handwritten digits, 28x28 grey (tensorflow-datasets)", "tfds"
    ),
    "cats_vs_dogs": Dataset(
        "23,262 photographs of cats and dogs, any size (tensorflow-datasets)", "tfds"
    ),
    "digits": Dataset(
        "1,797 handwritten digits, 8x8 grey (embedded in scikit-learn, no network)", "digits"
    ),
    "tfds:": Dataset("any other image classification of tensorflow-datasets", "tfds", "<name>"),
    "folder:": Dataset(_OWN_IMAGES, "folder", "<path>"),
    "npz:": Dataset(f"{_OWN_ARRAYS}, in a file of np.savez", "npz", "<path>"),
    "file:": Dataset(
        f"{_OWN_ARRAYS}, returned by a function of a Python file",
        "own_file",
        "<path.py>[:<function>]",
    ),
    "arrays:": Dataset(
        "arrays that were given in Python, run_search(..., data=(x, y)), and are kept in the cache",
        "given",
        "<fingerprint>",
    ),
}


def check_name(name: str) -> tuple[str, str]:
    """Splits `name` into the key of its row and the argument.

    Raises:
        UserError: The dataset is unknown.
    """
    scheme, colon, argument = name.partition(":")
    key = scheme + colon
    if key not in DATASETS or (colon and not argument):
        listed = ", ".join(k + ("<...>" if k.endswith(":") else "") for k in DATASETS)
        raise UserError(f"unknown dataset {name!r}: there are {listed}")
    return key, argument or name


def shown_names() -> list[str]:
    """Returns the names of datasets as users write them, for example `tfds:<name>`."""
    return [name + dataset.argument for name, dataset in DATASETS.items()]
