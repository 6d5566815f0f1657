"""Image files in and out without losing what was in them.

PNG, JPEG, TIFF and NPY, 8 and 16 bits, floats, gray or RGB, with or without
alpha. The format of an input is told from its content and that of an output
from its name. A file that is written is complete or absent.

=======  ==================================  ===========================
format   sample types                        channels
=======  ==================================  ===========================
PNG      uint8, uint16                       gray or RGB, alpha or not
JPEG     uint8                               gray or RGB
TIFF     integers, floats, complex           any, alpha or not
NPY      every number NumPy has              any; alpha is the last one
=======  ==================================  ===========================

What a file cannot say in samples is written out on reading: palettes become
RGB, single bits become 0 and 255, a transparent colour becomes an alpha plane,
and the EXIF orientation is applied. CMYK is refused: without its profile the
colours would be wrong.
"""

import io
import os
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ._errors import ImageFileError, MissingExtraError
from ._files import one_line, replacing
from ._image_formats import DECODERS, ENCODERS, Raster, Source, sniff

__all__ = ["Image", "decode", "encode", "read", "refusal", "sample", "write"]

_FORMATS = {
    ".png": "png",
    ".jpg": "jpeg",
    ".jpeg": "jpeg",
    ".tif": "tiff",
    ".tiff": "tiff",
    ".npy": "npy",
}


@dataclass(frozen=True, eq=False)
class Image:
    """Pixels, and what a file says about them.

    Attributes
    ----------
    pixels : ndarray
        ``(H, W)``, or ``(H, W, C)`` with channels last; alpha is not among them.
    alpha : ndarray or None
        ``(H, W)``, of the pixels' type.
    format : str
        ``"png"``, ``"jpeg"``, ``"tiff"`` or ``"npy"``; empty for one not from a file.
    icc_profile : bytes or None
        The colour profile, as in the file.
    dpi : (float, float) or None
        Resolution along x and y.
    premultiplied : bool
        Whether the pixels are already multiplied with alpha (TIFF only).

    Examples
    --------
    >>> np.asarray(Image(np.zeros((2, 3)))).shape
    (2, 3)
    """

    pixels: NDArray[Any]
    alpha: NDArray[Any] | None = None
    format: str = ""
    icc_profile: bytes | None = None
    dpi: tuple[float, float] | None = None
    premultiplied: bool = False

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        return np.array(self.pixels, dtype=dtype, copy=copy)


def read(path: str | os.PathLike[str]) -> Image:
    """Read an image file.

    Parameters
    ----------
    path
        A PNG, JPEG, TIFF or NPY file, whatever its name.

    Returns
    -------
    Image
        With the samples as they are in the file: 8 bits stay 8, 16 stay 16,
        floats stay floats.

    Raises
    ------
    ImageFileError
        The file is missing, cut off, broken, larger than its bytes make
        plausible, or holds something other than one picture.
    MissingExtraError
        The package that reads this format is not installed.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "ramp.png"
    >>> write(path, np.arange(6, dtype=np.uint16).reshape(2, 3))
    >>> read(path).pixels
    array([[0, 1, 2],
           [3, 4, 5]], dtype=uint16)
    """
    path = Path(path)
    try:
        if path.exists() and not path.is_dir() and not path.is_file():
            raise ValueError("a pipe or device, which cannot be read twice; give a regular file")
        return _decoded(Source(path))
    except MissingExtraError:
        raise
    except MemoryError as error:
        raise ImageFileError(f"{path}: not enough memory to read it") from error
    # Decoders answer hostile bytes with every exception there is.
    except Exception as error:
        raise ImageFileError(f"{path}: {one_line(error)}") from error


def decode(encoded: bytes, *, most_pixels: int | None = None) -> Image:
    """Read an image from the bytes of a file; the file system takes no part in it.

    Parameters
    ----------
    encoded
        A PNG, JPEG, TIFF or NPY file.
    most_pixels
        Refuse a picture of more than this many, before memory is asked for.

    Raises
    ------
    ImageFileError, MissingExtraError
        As `read`.

    Examples
    --------
    >>> decode(encode("png", np.arange(6, dtype=np.uint16).reshape(2, 3))).pixels
    array([[0, 1, 2],
           [3, 4, 5]], dtype=uint16)
    """
    try:
        return _decoded(Source(encoded, most_pixels))
    except MissingExtraError:
        raise
    except MemoryError as error:
        raise ImageFileError("not enough memory to read the picture") from error
    except Exception as error:  # as above
        raise ImageFileError(one_line(error)) from error


def _decoded(source: Source) -> Image:
    name = sniff(source)
    if not name:
        raise ValueError("neither PNG, JPEG, TIFF nor NPY by its first bytes")
    raster = DECODERS[name](source)
    if not raster.samples.size:
        raise ValueError(f"no pixels, its shape is {raster.samples.shape}")
    samples = _upright(raster.samples, raster.orientation)
    dpi = raster.dpi[::-1] if raster.dpi and raster.orientation > 4 else raster.dpi
    pixels, alpha = _split(samples) if raster.alpha else (samples, None)
    if pixels.ndim == 3 and pixels.shape[2] == 1 and name != "npy":
        pixels = pixels[..., 0]
    return Image(pixels, alpha, name, raster.icc_profile, dpi, raster.premultiplied)


def write(path: str | os.PathLike[str], image: Image | NDArray[Any]) -> None:
    """Write an image file; its format is told by the name's ending.

    Parameters
    ----------
    path
        Ends in ``.png``, ``.jpg``, ``.jpeg``, ``.tif``, ``.tiff`` or ``.npy``.
    image
        An `Image`, or an array: ``(H, W)`` gray, ``(H, W, 2)`` gray and alpha,
        ``(H, W, 3)`` RGB, ``(H, W, 4)`` RGB and alpha. Samples are written as
        they are, never scaled; JPEG at quality 95.

    Raises
    ------
    ImageFileError
        The format does not hold such samples (`refusal` says so beforehand), or
        the file cannot be written. Nothing is left behind.
    MissingExtraError
        The package that writes this format is not installed.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> write(folder / "noise.tif", np.zeros((2, 3), np.float32))
    >>> [path.name for path in folder.iterdir()]
    ['noise.tif']
    """
    path = Path(path)
    name, raster = _encodable(path, image)
    try:
        with replacing(path) as file:
            ENCODERS[name](file, raster)
    except MissingExtraError:
        raise
    except Exception as error:
        reason = "not enough memory" if isinstance(error, MemoryError) else one_line(error)
        raise ImageFileError(f"{path}: cannot be written: {reason}") from error


def encode(format: str, image: Image | NDArray[Any]) -> bytes:
    """The bytes of an image file, as `write` would write them.

    Parameters
    ----------
    format
        ``"png"``, ``"jpg"``, ``"tif"`` or ``"npy"``.
    image
        As for `write`.

    Examples
    --------
    >>> encode("png", np.zeros((2, 3), np.uint8))[1:4]
    b'PNG'
    """
    name, raster = _encodable(Path(f"image.{format}"), image)
    file = io.BytesIO()
    ENCODERS[name](file, raster)
    return file.getvalue()


def _encodable(path: Path, image: Image | NDArray[Any]) -> tuple[str, Raster]:
    """The format that a name asks for, and the samples as it holds them; or the refusal."""
    if not isinstance(image, Image):
        array = np.asarray(image)
        with_alpha = array.ndim == 3 and array.shape[2] in (2, 4)
        image = Image(*_split(array)) if with_alpha else Image(array)
    pixels = image.pixels
    if pixels.ndim not in (2, 3) or not pixels.size:
        raise ImageFileError(f"{path}: an image is (H, W) or (H, W, C); got {pixels.shape}")
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    alpha = image.alpha is not None
    reason = refusal(path, pixels.dtype, channels=channels, alpha=alpha)
    name = _FORMATS.get(path.suffix.lower(), "")
    if not reason and image.premultiplied and alpha and name != "tiff":
        reason = f"{name.upper()} has no premultiplied alpha; write a .tif"
    if reason:
        raise ImageFileError(f"{path}: {reason}")
    return name, Raster(_joined(image, name), alpha, image.premultiplied, 1, image.icc_profile, image.dpi)


def refusal(
    path: str | os.PathLike[str], dtype: DTypeLike, *, channels: int = 1, alpha: bool = False
) -> str:
    """Why a file of this name cannot hold such samples; empty if it can.

    Parameters
    ----------
    path
        Only its ending is looked at.
    dtype
        Sample type.
    channels
        Colour channels, alpha not counted.
    alpha
        Whether there is an alpha plane beside them.

    Examples
    --------
    >>> refusal("a.png", "uint16", channels=3)
    ''
    >>> refusal("a.jpg", "uint8", alpha=True)
    'JPEG has no alpha; write .png or .tif'
    """
    dtype = np.dtype(dtype)
    suffix = Path(path).suffix.lower()
    name = _FORMATS.get(suffix)
    if name is None:
        return f"the name must end in one of {', '.join(_FORMATS)}, which tells the format"
    if name == "npy":
        return "" if dtype.kind in "biufc" else f"{dtype} is no number"
    if name == "tiff":
        return "" if dtype.kind in "iufc" and dtype.itemsize <= 16 else f"TIFF has no {dtype} samples"
    held = ("uint8",) if name == "jpeg" else ("uint8", "uint16")
    if dtype.name not in held:
        return f"{name.upper()} holds {' or '.join(held)} and not {dtype.name}; write .tif or .npy"
    if channels not in (1, 3):
        return f"{name.upper()} holds 1 or 3 colour channels and not {channels}; write .tif or .npy"
    return "JPEG has no alpha; write .png or .tif" if alpha and name == "jpeg" else ""


def sample() -> Image:
    """The photograph that ships with the package: 512 × 512, 8-bit gray.

    A cameraman on the grass at MIT, by Lav and Kush Varshney, CC0;
    ``corr2d/data/SOURCE.txt`` has the details.

    Examples
    --------
    >>> sample().pixels.shape
    (512, 512)
    """
    with resources.as_file(resources.files("corr2d") / "data" / "cameraman.png") as path:
        return read(path)


def _upright(samples: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Apply EXIF's orientation: a mirror image or not, then quarter turns."""
    if orientation == 1:
        return samples
    mirrored = samples[:, ::-1] if orientation in (2, 4, 5, 7) else samples
    # np.rot90 turns anticlockwise.
    turns = {1: 0, 2: 0, 3: 2, 4: 2, 5: 1, 6: 3, 7: 3, 8: 1}[orientation]
    return np.ascontiguousarray(np.rot90(mirrored, turns))


def _split(samples: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Colours and alpha, as separate contiguous arrays."""
    colours = samples[..., 0] if samples.shape[2] == 2 else samples[..., :-1]
    return np.ascontiguousarray(colours), np.ascontiguousarray(samples[..., -1])


def _joined(image: Image, name: str | None) -> NDArray[Any]:
    """Samples in the file's order: channels last, alpha the last of them."""
    pixels = image.pixels
    if pixels.ndim == 3 and pixels.shape[2] == 1 and name != "npy":
        pixels = pixels[..., 0]
    if image.alpha is not None:
        pixels = np.dstack([pixels, _rescaled(image.alpha, pixels.dtype)])
    return np.ascontiguousarray(pixels)


def _rescaled(alpha: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Alpha in the pixels' type: opaque stays opaque between integers."""
    if alpha.dtype == dtype or dtype.kind not in "iu":
        return alpha.astype(dtype, copy=False)
    most = np.iinfo(dtype).max
    if alpha.dtype.kind in "iu":
        alpha = alpha * (most / np.iinfo(alpha.dtype).max)
    return np.clip(np.rint(alpha), 0, most).astype(dtype)
