"""A file of NumPy arrays, `.npz`: inputs and targets, divided or not."""

from pathlib import Path

import numpy as np

from experiments.data.sources.arrays import KNOWN, dataset_of_arrays
from experiments.data.sources.base import Access, RawDataset
from experiments.record.errors import UserError
from experiments.record.layout import expanded


def load(name: str, argument: str, access: Access) -> RawDataset:
    """Opens the file `argument`. Python objects in it are refused: loading them could run code.

    Raises:
        UserError: It can't be read, or holds nothing that the space takes.
    """
    return dataset_of_arrays(name, read_npz(name, expanded(argument)), wanted=access.wanted)


def read_npz(name: str, path: Path) -> dict[str, object]:
    """Reads the arrays that are used; others are there by name."""
    key = ""
    try:
        with path.open("rb") as file:
            found = np.load(file, allow_pickle=False)
            if isinstance(found, np.ndarray):
                raise UserError(
                    f"dataset {name!r}: {str(path)!r} holds a single array: expected a file of "
                    "np.savez(path, x_train=..., y_train=...)"
                )
            arrays: dict[str, object] = {}
            for key in found.files:
                arrays[key] = found[key] if key in KNOWN else None
            return arrays
    except UserError:
        raise
    except OSError as error:
        reason = error.strerror or str(error)
    except MemoryError:
        reason = "too large for the memory"
    except Exception as error:  # the file may hold anything
        reason = _words(error)
    where = f"array {key!r} of {str(path)!r}" if key else f"{str(path)!r}"
    raise UserError(f"dataset {name!r}: {where} can't be read ({reason})")


def _words(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    if "Object arrays" in lines[0]:
        return "it holds Python objects, which are never loaded: save numbers, or fixed-length text"
    if "pickled" in lines[0] or "No data left" in lines[0]:
        return "it is no .npz file: write it with np.savez(path, x_train=..., y_train=...)"
    return lines[0][:200]
