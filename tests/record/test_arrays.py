"""Damaged files of arrays: what can't be read is a `UserError`, whatever was damaged in them."""

import io
import random
import zipfile
from pathlib import Path

import numpy as np
import pytest

from experiments import UserError
from experiments.record.reading import read_arrays


def compressed() -> bytes:
    """Returns an `.npz` whose arrays are compressed."""
    file = io.BytesIO()
    np.savez_compressed(file, labels=np.arange(300) % 7, predicted=np.arange(600).reshape(2, 300))
    return file.getvalue()


@pytest.mark.filterwarnings("ignore")  # of headers that are still read
def test_a_damaged_byte_anywhere_is_refused_or_harmless(tmp_path: Path) -> None:
    path, sound, rng = tmp_path / "a.npz", compressed(), random.Random(0)
    refused = 0
    for place in range(len(sound)):
        damaged = bytearray(sound)
        damaged[place] ^= rng.randrange(1, 256)
        path.write_bytes(damaged)
        try:
            arrays = read_arrays(path)
        except UserError:
            refused += 1
        else:
            assert all(isinstance(array, np.ndarray) for array in arrays.values())
    assert refused > len(sound) / 2


def test_what_is_no_array_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("labels.npy", b"not an array")
    with pytest.raises(UserError, match="labels in it is no array"):
        read_arrays(path)
