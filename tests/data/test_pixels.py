"""Images keep what is drawn in them, whatever kind of numbers they have."""

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from experiments.data.prepare import fit_image, prepare
from experiments.data.sources import pixels
from experiments.data.sources.pixels import UnusableImageError, decode

RAMP = np.linspace(0, 1, 16).reshape(4, 4)  # black to white


def saved(image: Image.Image, path: Path, **options: object) -> Path:
    image.save(path, **options)
    return path


def grey(path: Path) -> np.ndarray:
    """Returns the decoded image as shares of white; all its channels are alike."""
    found = decode(path)
    assert found is not None
    assert (found.pixels == found.pixels[..., :1]).all()
    return found.pixels[..., 0] / 255


@pytest.mark.parametrize("suffix", ["png", "tiff", "pgm"])
def test_16_bits_are_scaled_to_8(tmp_path: Path, suffix: str) -> None:
    image = Image.fromarray(np.rint(RAMP * 65_535).astype(np.uint16))
    assert np.allclose(grey(saved(image, tmp_path / f"a.{suffix}")), RAMP, atol=0.003)


@pytest.mark.parametrize("kind", [np.int32, np.float32])
def test_other_numbers_are_scaled_by_the_range_they_declare(tmp_path: Path, kind: type) -> None:
    image = Image.fromarray((RAMP * 80_000 - 1_000).astype(kind))
    declared = {340: -1_000.0, 341: 79_000.0}
    path = saved(image, tmp_path / "a.tiff", tiffinfo=declared)
    assert np.allclose(grey(path), RAMP, atol=0.003)


@pytest.mark.parametrize(
    ("kind", "message"), [(np.int32, "32-bit numbers"), (np.float32, "floating-point numbers")]
)
def test_numbers_without_a_range_are_refused(tmp_path: Path, kind: type, message: str) -> None:
    path = saved(Image.fromarray((RAMP * 1000).astype(kind)), tmp_path / "a.tiff")
    with pytest.raises(UnusableImageError, match=f"{message} without a declared range"):
        decode(path)


def test_numbers_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    image = Image.fromarray(np.full((2, 2), np.nan, np.float32))
    path = saved(image, tmp_path / "a.tiff", tiffinfo={340: 0.0, 341: 1.0})
    with pytest.raises(UnusableImageError, match="not finite"):
        decode(path)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_what_is_drawn_in_the_transparency_alone_stays(tmp_path: Path, mode: str) -> None:
    alpha = Image.fromarray(np.rint((1 - RAMP) * 255).astype(np.uint8))
    image = Image.new(mode, (4, 4), 0)
    image.putalpha(alpha)
    assert np.allclose(grey(saved(image, tmp_path / "a.png")), RAMP, atol=0.005)


def test_transparent_palettes_are_laid_on_white(tmp_path: Path) -> None:
    image = Image.new("P", (2, 1), 0)  # both black; the second colour is transparent
    image.putpalette([0, 0, 0, 0, 0, 0])
    image.putpixel((1, 0), 1)
    path = saved(image, tmp_path / "a.png", transparency=1)
    assert grey(path).tolist() == [[0.0, 1.0]]


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "CMYK"])
def test_opaque_images_are_what_a_plain_conversion_makes_of_them(tmp_path: Path, mode: str) -> None:
    """So data that was prepared by format 1 keep their fingerprint."""
    drawn = np.random.default_rng(0).integers(0, 256, (5, 6, 3)).astype(np.uint8)
    path = saved(Image.fromarray(drawn).convert(mode), tmp_path / "a.tiff")
    found = decode(path)
    assert found is not None
    assert not found.rescued
    assert np.array_equal(found.pixels, np.asarray(Image.open(path).convert("RGB")))


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "I;16"])
def test_images_are_upright(tmp_path: Path, mode: str) -> None:
    flat = np.repeat(np.array([[0, 60, 255]], np.uint8), 2, axis=0)
    image = Image.fromarray(flat.astype(np.uint16) * 257 if mode == "I;16" else flat)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees, clockwise
    image = image if mode == "I;16" else image.convert(mode)
    upright = grey(saved(image, tmp_path / "a.png", exif=exif)) * 255
    assert np.rint(upright).tolist() == [[0, 0], [60, 60], [255, 255]]


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
def test_an_image_whose_exif_is_broken_is_an_image(tmp_path: Path, suffix: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3)).astype(np.uint8)
    whole = saved(Image.fromarray(noise), tmp_path / f"whole.{suffix}")
    broken = saved(Image.fromarray(noise), tmp_path / f"a.{suffix}", exif=b"Exif\0\0no header")
    expected, found = decode(whole), decode(broken)
    assert expected is not None
    assert found is not None
    assert np.array_equal(found.pixels, expected.pixels)
    broken.write_bytes(broken.read_bytes()[:-200])
    with pytest.raises(UnusableImageError, match=r"damaged|truncated"):
        decode(broken)


def test_four_channels_of_a_dataset_are_laid_on_white() -> None:
    image = np.zeros((4, 4, 4), np.uint8)
    image[..., 3] = np.rint((1 - RAMP) * 255)
    assert np.allclose(fit_image(image, (4, 4, 1))[..., 0] / 255, RAMP, atol=0.005)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.jpg", b"", "empty file"),
        ("a.jpg", b"no image", "no image that Pillow can read"),
        ("a.HEIC", b"0000ftypheic", "HEIC needs the package pillow-heif"),
        ("a.nef", b"no image", "camera raw is not read"),
        ("a.png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "no image|damaged"),
    ],
)
def test_what_cannot_be_used_says_why(
    tmp_path: Path, name: str, content: bytes, reason: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UnusableImageError, match=reason):
        decode(tmp_path / name)


def test_a_truncated_image_says_so(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3)).astype(np.uint8)
    path = saved(Image.fromarray(noise), tmp_path / "a.jpg")
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(UnusableImageError, match="damaged: image file is truncated"):
        decode(path)


@pytest.mark.parametrize("name", ["labels.csv", "Makefile", "notes.txt", "page.eps.zip"])
def test_files_that_are_not_called_images_are_none(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"no image")
    assert decode(tmp_path / name) is None


def test_heic_is_read_where_its_plugin_is(monkeypatch: pytest.MonkeyPatch) -> None:
    called = []
    plugin = SimpleNamespace(register_heif_opener=lambda: called.append(True))
    monkeypatch.setitem(sys.modules, "pillow_heif", plugin)
    caches = (pixels._register_heif, pixels._formats, pixels.reader)
    for cache in caches:
        cache.cache_clear()
    try:
        assert pixels.reader().endswith("/heif")
        assert called == [True]
    finally:
        for cache in caches:
            cache.cache_clear()


def test_images_of_one_colour_are_counted_and_said(tmp_path: Path) -> None:
    from experiments.data.health import warnings_of

    for index in range(24):
        (tmp_path / "set" / f"{index % 2}").mkdir(parents=True, exist_ok=True)
        drawn = np.random.default_rng(index).integers(0, 256, (9, 9, 3)).astype(np.uint8)
        image = Image.fromarray(drawn) if index > 1 else Image.new("RGB", (9, 9), (index, 0, 9))
        image.save(tmp_path / "set" / f"{index % 2}" / f"{index}.png")
    data = prepare(f"folder:{tmp_path / 'set'}", lambda c: (8, 8, c), tmp_path / "cache")
    assert sum(data.health["constant"].values()) == 2
    assert warnings_of(data.health) == ["warning: 2 images are of one colour throughout"]
