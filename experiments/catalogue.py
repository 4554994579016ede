"""Names of datasets; importing it loads nothing heavy."""

from experiments.record.errors import UserError

# name -> what it is; names that end in ':' take an argument
DATASETS = {
    "mnist": "60,000 + 10,000 handwritten digits, 28x28 grey (tensorflow-datasets)",
    "cats_vs_dogs": "23,262 photographs of cats and dogs, any size (tensorflow-datasets)",
    "digits": "1,797 handwritten digits, 8x8 grey (embedded in scikit-learn, no network)",
    "tfds:": "any other image classification of tensorflow-datasets",
    "folder:": "your own images: one sub-folder a class, or train/, val/, test/ of such",
}


def check_name(name: str) -> tuple[str, str]:
    """Splits `name` into the registry's key and the argument.

    Raises:
        UserError: There is no such dataset.
    """
    scheme, colon, argument = name.partition(":")
    key = scheme + colon
    if key not in DATASETS or (colon and not argument):
        listed = ", ".join(k + ("<...>" if k.endswith(":") else "") for k in DATASETS)
        raise UserError(f"unknown dataset {name!r}: there are {listed}")
    return key, argument or name
