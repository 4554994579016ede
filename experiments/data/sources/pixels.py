"""Decodes image files to RGB without losing what is drawn in them."""

import importlib
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np
import numpy.typing as npt

from experiments.data.sources.base import Image
from experiments.record.errors import first_line

if TYPE_CHECKING:
    import PIL.Image

# Formats that Pillow only names, or hands to another program.
_NOT_DECODED = ("BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF")
_PLUGINS = {
    ".heic": "HEIC needs the package pillow-heif",
    ".heif": "HEIF needs the package pillow-heif",
    ".avif": "AVIF needs a Pillow that was built with it",
    ".jxl": "JPEG XL is not read: convert it",
    ".eps": "EPS is not read: convert it",
    ".svg": "SVG is not read: convert it",
}
_CAMERA = (".arw", ".cr2", ".cr3", ".dng", ".nef", ".orf", ".raf", ".rw2")
_SAMPLE_RANGE = (340, 341)  # TIFF's SMinSampleValue and SMaxSampleValue
_HIGHEST_16_BIT = 65_535
_OPAQUE = 255


class UnusableImageError(ValueError):
    """A file that can't serve as an image; says why in a few words.

    Args:
        why: The reason.
        passing: Whether the system is the reason, so that the file may be usable later.
    """

    def __init__(self, why: str, passing: bool = False) -> None:
        super().__init__(why)
        self.passing = passing


@dataclass(frozen=True)
class Decoded:
    """An image file's content.

    Args:
        pixels: `(height, width, 3)`, uint8, 0..255.
        rescued: Whether a plain conversion to RGB would have given other pixels, as format 1 of
            the prepared data did: it had transparency, 16 bits or other numbers.
    """

    pixels: Image
    rescued: bool


@lru_cache(maxsize=1)
def reader() -> str:
    """Names what reads images: where it changes, files may be readable that were not."""
    import PIL

    return f"3/Pillow {PIL.__version__}/{'heif' if _register_heif() else ''}"


@lru_cache(maxsize=1)
def _register_heif() -> bool:
    try:
        importlib.import_module("pillow_heif").register_heif_opener()
    except ImportError:
        return False
    return True


@lru_cache(maxsize=1)
def _formats() -> tuple[str, ...]:
    from PIL import Image as PillowImage

    _register_heif()
    PillowImage.init()
    return tuple(name for name in PillowImage.OPEN if name not in _NOT_DECODED)


@lru_cache(maxsize=1)
def image_suffixes() -> frozenset[str]:
    """Returns the endings, in lower case, of files that are meant as images."""
    from PIL import Image as PillowImage

    formats = set(_formats())
    known = PillowImage.registered_extensions().items()
    return frozenset({s for s, name in known if name in formats} | {*_PLUGINS, *_CAMERA})


def is_meant_as_image(path: Path) -> bool:
    """Whether a file's name, or else its first bytes, say that it is an image."""
    if path.suffix:
        return path.suffix.lower() in image_suffixes()
    from PIL import Image as PillowImage

    try:
        with warnings.catch_warnings(action="ignore"), PillowImage.open(path, formats=_formats()):
            return True
    except Exception:  # Pillow raises whatever a broken file leads it into
        return False


def decode(path: Path) -> Decoded | None:
    """Decodes an image file, upright; of several frames the first.

    Transparency is laid on white, 16-bit greys are scaled to 0..255, and so are other numbers if
    the file declares their range.

    Returns:
        The image, or `None` for a file that is none and isn't called one.

    Raises:
        UnusableImageError: It is called an image, or is one, and can't be used.
    """
    from PIL import Image as PillowImage
    from PIL import ImageOps, UnidentifiedImageError

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what Pillow finds odd in an image that it can read
        try:
            with PillowImage.open(path, formats=_formats()) as image:
                declared = _declared_range(image)
                image.load()
                with _unreadable_exif_passed_over():
                    ImageOps.exif_transpose(image, in_place=True)  # without a copy
                return _to_rgb(image, declared)
        except UnidentifiedImageError:
            if path.suffix.lower() not in image_suffixes():
                return None
            raise UnusableImageError(_why_unidentified(path)) from None
        except PillowImage.DecompressionBombError:
            most = 2 * (PillowImage.MAX_IMAGE_PIXELS or 0) / 1e6
            raise UnusableImageError(f"too large: more than {most:.0f} million pixels") from None
        except UnusableImageError:
            raise
        except MemoryError:
            raise UnusableImageError("too large for the memory", passing=True) from None
        except Exception as error:  # Pillow raises whatever a broken file leads it into
            if _is_of_system(error):
                raise of_system(error) from None
            raise UnusableImageError(f"damaged: {first_line(error, 100)}") from None


def _is_of_system(error: Exception) -> TypeGuard[OSError]:
    """Whether the system failed; of a damaged file, Pillow raises the same without a number."""
    return isinstance(error, OSError) and error.errno is not None


def of_system(error: OSError) -> UnusableImageError:
    """Returns the error for a file that the system did not give."""
    return UnusableImageError((error.strerror or str(error)).lower(), passing=True)


@contextmanager
def _unreadable_exif_passed_over() -> Iterator[None]:
    """Takes an image whose EXIF can't be read as one without."""
    try:
        yield
    except MemoryError:
        raise
    except Exception as error:
        if _is_of_system(error):
            raise


def _why_unidentified(path: Path) -> str:
    suffix = path.suffix.lower()
    if path.stat().st_size == 0:
        return "empty file"
    if suffix in _CAMERA:
        return "camera raw is not read: convert it"
    return _PLUGINS.get(suffix, "no image that Pillow can read")


def _declared_range(image: "PIL.Image.Image") -> tuple[float, float] | None:
    """Returns the values that stand for black and white, if mode or file says which they are."""
    if image.mode.startswith("I;16"):
        return 0, _HIGHEST_16_BIT
    if image.mode == "I" and image.format in ("PNG", "PPM"):  # of 16 bits, the most they have
        return 0, _HIGHEST_16_BIT
    tags = getattr(image, "tag_v2", {})
    if image.mode in ("I", "F") and all(tag in tags for tag in _SAMPLE_RANGE):
        low, high = (float(np.ravel(tags[tag])[0]) for tag in _SAMPLE_RANGE)
        if np.isfinite([low, high]).all() and low < high:
            return low, high
    return None


def _to_rgb(image: Any, declared: tuple[float, float] | None) -> Decoded:
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        if declared is None:
            kind = "floating-point" if image.mode == "F" else "32-bit"
            raise UnusableImageError(
                f"{kind} numbers without a declared range: save it with 8 or 16 bits"
            )
        return Decoded(np.repeat(_scaled(np.asarray(image), *declared)[..., None], 3, -1), True)
    if image.mode in ("LA", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        picture = image if image.mode == "RGBA" else image.convert("RGBA")
        if picture.getchannel("A").getextrema()[0] < _OPAQUE:
            return Decoded(np.asarray(on_white(picture), dtype=np.uint8), True)
        image = picture
    return Decoded(np.asarray(image.convert("RGB"), dtype=np.uint8), False)


def _scaled(values: npt.NDArray[Any], low: float, high: float) -> npt.NDArray[np.uint8]:
    if not np.isfinite(values).all():
        raise UnusableImageError("numbers that are not finite (NaN or infinite)")
    share = (values.astype(np.float32) - np.float32(low)) / np.float32(high - low)
    levels: npt.NDArray[np.uint8] = np.rint(np.clip(share, 0, 1) * 255).astype(np.uint8)
    return levels


def on_white(picture: "PIL.Image.Image") -> "PIL.Image.Image":
    """Lays a Pillow image with transparency on white; returns it as RGB."""
    from PIL import Image as PillowImage

    white = PillowImage.new("RGB", picture.size, "white")
    white.paste(picture, mask=picture.getchannel("A"))
    return white
