"""Bytes of PNG, JPEG, TIFF and NPY files to samples, and back.

One decoder and one encoder a format. They raise whatever explains the problem
best in a few words; `corr2d.images` catches it and adds the file's name.
Pillow reads and writes PNG and JPEG, except that it has no 16-bit colour: those
PNGs go through imagecodecs (libpng). TIFF goes through tifffile.
"""

import io
import logging
import math
import struct
import warnings
import zlib
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ._errors import MissingExtraError

__all__ = ["DECODERS", "ENCODERS", "Raster", "Source", "sniff"]

# Pillow's own limit, at which it warns. TIFF has none: there, pixels above it
# must be paid for by the file, at no more than this many bytes for each of its own.
_SUSPICIOUS_PIXELS = 89_478_485
_SUSPICIOUS_RATIO = 200
# A block of 64 pixels costs a JPEG one bit at least; libjpeg paints what is missing grey.
_JPEG_PIXELS_PER_BYTE = 512


@dataclass(frozen=True, eq=False)
class Raster:
    """What a file holds: samples, and how they are meant."""

    samples: NDArray[Any]  # (H, W) or (H, W, C), alpha last where there is one
    alpha: bool = False
    premultiplied: bool = False
    orientation: int = 1  # EXIF's number, 1 to 8
    icc_profile: bytes | None = None
    dpi: tuple[float, float] | None = None  # (x, y)


@dataclass(frozen=True, eq=False)
class Source:
    """Where a picture comes from, a file or bytes in memory, and how large it may be."""

    held: Path | bytes
    most_pixels: int | None = None

    @property
    def size(self) -> int:
        return len(self.held) if isinstance(self.held, bytes) else self.held.stat().st_size

    @property
    def path(self) -> Path | None:
        return None if isinstance(self.held, bytes) else self.held

    def open(self) -> BinaryIO:
        return io.BytesIO(self.held) if isinstance(self.held, bytes) else open(self.held, "rb")

    def read(self) -> bytes:
        return self.held if isinstance(self.held, bytes) else self.held.read_bytes()

    def check(self, height: int, width: int) -> None:
        """Refuse by the size in the header, before memory is asked for."""
        if self.most_pixels is not None and height * width > self.most_pixels:
            raise ValueError(
                f"{height} × {width} pixels, and at most {self.most_pixels // 10**6} megapixels are taken here; "
                "use the command line or Python for larger ones"
            )


def sniff(source: Source) -> str:
    """The format of a file by its first bytes, or ``""``."""
    with source.open() as file:
        head = file.read(8)
    if not head:
        raise ValueError("the file is empty")
    magic = {
        b"\x89PNG\r\n\x1a\n": "png",
        b"\xff\xd8\xff": "jpeg",
        b"II*\0": "tiff",
        b"MM\0*": "tiff",
        b"II+\0": "tiff",
        b"MM\0+": "tiff",
        b"\x93NUMPY": "npy",
    }
    return next((name for start, name in magic.items() if head.startswith(start)), "")


def extra(module: str) -> Any:
    """Import an optional *module*, or say how to get it."""
    try:
        return import_module(module)
    except ImportError as error:
        package = "pillow" if module.startswith("PIL.") else module
        raise MissingExtraError(
            f'image files need {package}: pip install "corr2d[images]"', name=package
        ) from error


# -- PNG and JPEG --------------------------------------------------------------


def decode_jpeg(source: Source) -> Raster:
    return _decode_pillow(source, "JPEG")


def decode_png(source: Source) -> Raster:
    encoded = source.read()
    chunks = _png_chunks(encoded)
    return _decode_pillow(source, "PNG", lambda image: _png16(image, encoded, chunks))


def _decode_pillow(
    source: Source, codec: str, samples_of: Callable[[Any], NDArray[Any] | None] = lambda image: None
) -> Raster:
    pillow = extra("PIL.Image")
    with warnings.catch_warnings():
        # Between Pillow's limit and twice that it warns; above, it refuses.
        warnings.simplefilter("ignore", pillow.DecompressionBombWarning)
        try:
            image = pillow.open(source.path or source.open(), formats=(codec,))
        except pillow.UnidentifiedImageError:
            raise ValueError(f"the {codec} header is broken or cut off") from None
    with image:
        source.check(image.height, image.width)
        if codec == "PNG" and getattr(image, "n_frames", 1) > 1:
            raise ValueError(f"an animation of {image.n_frames} frames; extract one first")
        if codec == "JPEG" and image.width * image.height > _JPEG_PIXELS_PER_BYTE * source.size:
            raise ValueError(f"the JPEG is cut off: {source.size} bytes do not hold {image.width} x {image.height} pixels")
        if image.mode in ("CMYK", "YCCK", "LAB", "HSV"):
            raise ValueError(f"{image.mode} colours; convert the picture to RGB with its profile first")
        samples = samples_of(image)
        if samples is None:
            samples = np.asarray(image.convert(_expanded_mode(image)))
        image.load()  # to the end of the file, where PNG may keep its EXIF
        return Raster(
            samples,
            alpha=samples.ndim == 3 and samples.shape[2] in (2, 4),
            orientation=_exif_orientation(image),
            icc_profile=image.info.get("icc_profile"),
            dpi=_sane_dpi(image.info.get("dpi")),
        )


def _expanded_mode(image: Any) -> str:
    """Pillow's mode with palettes, single bits and transparent colours written out."""
    transparent = "transparency" in image.info
    if image.mode in ("P", "PA"):
        return "RGBA" if transparent or image.mode == "PA" else "RGB"
    if image.mode in ("1", "L"):
        return "LA" if transparent else "L"
    return "RGBA" if image.mode == "RGB" and transparent else image.mode


def _png16(image: Any, encoded: bytes, chunks: dict[bytes, list[slice]]) -> NDArray[np.uint16] | None:
    """Samples of a 16-bit PNG, or ``None`` where Pillow keeps all the bits there are."""
    depth, colour_type = encoded[24:26]
    if depth != 16:
        return None
    if colour_type == 0:
        samples = np.asarray(image).astype(np.uint16)
    else:
        # Only the chunks that make pixels: libpng prints what it thinks of the others.
        needed = (encoded[part] for kind in (b"IHDR", b"IDAT", b"IEND") for part in chunks[kind])
        samples = extra("imagecodecs").png_decode(encoded[:8] + b"".join(needed))
    if "transparency" in image.info and colour_type in (0, 2):
        transparent = (np.atleast_3d(samples) == image.info["transparency"]).all(axis=-1)
        samples = np.dstack([samples, np.where(transparent, np.uint16(0), np.uint16(65535))])
    return samples


def _png_chunks(encoded: bytes) -> dict[bytes, list[slice]]:
    """Where the chunks of a PNG lie, by kind; cut off or damaged files are refused.

    Decoders stop at the last pixel and would not miss what comes after it; and
    libpng prints a wrong checksum on stderr before it reports it.
    """
    chunks: dict[bytes, list[slice]] = defaultdict(list)
    start, kind = 8, b""
    while kind != b"IEND":
        if start + 12 > len(encoded):
            raise ValueError("the PNG is cut off before its end")
        length, kind = struct.unpack_from(">I4s", encoded, start)
        stop = start + 12 + length  # length, kind and checksum are 4 bytes each
        if stop > len(encoded):
            raise ValueError(f"the PNG is cut off in its chunk {kind.decode('latin-1')!r}")
        needed = kind[:1].isupper()  # in PNG's naming, what a picture cannot do without
        if needed and encoded[stop - 4 : stop] != _png_checksum(memoryview(encoded)[start + 4 : stop - 4]):
            raise ValueError(f"the PNG is damaged: wrong checksum in its chunk {kind.decode('latin-1')!r}")
        chunks[kind].append(slice(start, stop))
        start = stop
    if next(iter(chunks)) != b"IHDR":
        raise ValueError("the PNG does not begin with its header")
    return chunks


def _exif_orientation(image: Any) -> int:
    try:
        orientation = image.getexif().get(0x0112, 1)
    except Exception:  # EXIF is written by everybody, and its parser raises anything
        return 1
    return orientation if orientation in range(1, 9) else 1


def _sane_dpi(dpi: Any) -> tuple[float, float] | None:
    try:
        x, y = map(float, dpi)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return (x, y) if 0 < x < 1e6 and 0 < y < 1e6 else None


def encode_jpeg(file: BinaryIO, raster: Raster) -> None:
    # Full chroma: halved, the coloured edges that filters make would bleed.
    _encode_pillow(file, raster, "JPEG", quality=95, subsampling=0)


def encode_png(file: BinaryIO, raster: Raster) -> None:
    if raster.samples.dtype == np.uint16 and raster.samples.ndim == 3:
        _encode_png16(file, raster)
    else:
        _encode_pillow(file, raster, "PNG")


def _encode_pillow(file: BinaryIO, raster: Raster, codec: str, **options: Any) -> None:
    pillow = extra("PIL.Image")
    if raster.icc_profile:
        options["icc_profile"] = raster.icc_profile
    if raster.dpi:
        options["dpi"] = raster.dpi
    # Through memory: on a full disk Pillow's own writing loses the reason.
    encoded = io.BytesIO()
    pillow.fromarray(raster.samples).save(encoded, codec, **options)
    file.write(encoded.getbuffer())


def _encode_png16(file: BinaryIO, raster: Raster) -> None:
    codecs = extra("imagecodecs")
    encoded = codecs.png_encode(raster.samples)
    after_header = 8 + 25  # signature and IHDR; colour and size chunks come next
    file.write(encoded[:after_header])
    if raster.icc_profile:
        file.write(_png_chunk(b"iCCP", b"ICC Profile\0\0" + zlib.compress(raster.icc_profile)))
    if raster.dpi:
        per_metre = (round(dots / 0.0254) for dots in raster.dpi)
        file.write(_png_chunk(b"pHYs", struct.pack(">IIB", *per_metre, 1)))
    file.write(encoded[after_header:])


def _png_chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + _png_checksum(kind + content)


def _png_checksum(kind_and_content: bytes | memoryview) -> bytes:
    return struct.pack(">I", zlib.crc32(kind_and_content))


# -- TIFF ----------------------------------------------------------------------


def decode_tiff(source: Source) -> Raster:
    tifffile = extra("tifffile")
    # tifffile logs what it finds odd; what matters here becomes an exception.
    logging.getLogger("tifffile").addHandler(logging.NullHandler())
    with tifffile.TiffFile(source.path or source.open()) as tiff:
        pages = _tiff_pictures(tiff)
        if not pages:
            raise ValueError("the TIFF holds no picture")
        page = pages[0]
        if len(pages) > 1 or (tiff.series and tiff.series[0].size != page.size):
            raise ValueError("a TIFF of several pages; extract one, or filter the stack in Python")
        source.check(page.imagelength, page.imagewidth)
        _check_tiff_page(page, source.size)
        samples = _tiff_samples(page, tifffile.PHOTOMETRIC)
        extras = [int(kind) for kind in page.extrasamples]
        colours = samples.shape[2] - len(extras) if samples.ndim == 3 else 1
        # One extra sample beside RGB is alpha even where the file does not say so.
        alpha = len(extras) == 1 and (extras[0] in (1, 2) or colours == 3)
        orientation = page.tags.valueof(274, 1)
        return Raster(
            samples,
            alpha=alpha,
            premultiplied=alpha and extras[0] == 1,
            orientation=orientation if orientation in range(1, 9) else 1,
            icc_profile=page.iccprofile or None,
            dpi=_tiff_dpi(page),
        )


def _tiff_pictures(tiff: Any) -> list[Any]:
    """The pages that are no thumbnails: the first two of them, as more than one is one too many."""
    pages, seen = [], set()
    for page in tiff.pages:
        if page.offset in seen:
            raise ValueError("the TIFF's pages follow one another in a circle")
        seen.add(page.offset)
        pages += [] if page.is_reduced else [page]
        if len(pages) == 2:
            break
    return pages


def _check_tiff_page(page: Any, size: int) -> None:
    pixels = page.imagelength * page.imagewidth
    if page.nbytes == 0 or page.dtype is None:
        raise ValueError("the TIFF page holds no samples that can be read")
    if pixels > _SUSPICIOUS_PIXELS and page.nbytes > _SUSPICIOUS_RATIO * size:
        raise ValueError(
            f"{size} bytes that unpack to {page.nbytes} bytes, which looks like a decompression bomb"
        )
    segments = zip(page.dataoffsets, page.databytecounts, strict=False)
    if any(offset + count > size for offset, count in segments):
        raise ValueError("the TIFF is cut off: its header refers to bytes past the end")


def _tiff_samples(page: Any, photometric: Any) -> NDArray[Any]:
    kind, bits = page.photometric, page.bitspersample
    plain = kind in (photometric.MINISBLACK, photometric.MINISWHITE, photometric.RGB, photometric.PALETTE)
    jpeg_colours = kind == photometric.YCBCR and page.compression in (6, 7)  # decoded to RGB
    if not plain and not jpeg_colours:
        name = getattr(kind, "name", kind)
        raise ValueError(f"TIFF colours of kind {name}; convert the picture to RGB first")
    if page.axes not in ("YX", "YXS", "SYX"):
        raise ValueError(f"a TIFF with axes {page.axes}; a picture has YX, or YXS with channels")
    samples = page.asarray()
    samples = np.ascontiguousarray(samples.transpose(1, 2, 0) if page.axes == "SYX" else samples)
    samples = samples.astype(samples.dtype.newbyteorder("="), copy=False)
    if kind == photometric.PALETTE:
        colours = page.colormap.T  # 16-bit, except where writers forgot to scale
        colours = colours if colours.max() < 256 else (colours.astype(np.uint32) + 128) // 257
        return colours.astype(np.uint8)[samples.astype(np.intp)]
    if samples.dtype == np.bool_ or bits in (2, 4):
        samples = samples.astype(np.uint8) * np.uint8(255 // (2**bits - 1))
    if kind == photometric.MINISWHITE and samples.dtype.kind == "u":
        samples = np.iinfo(samples.dtype).max - samples
    return samples


def _tiff_dpi(page: Any) -> tuple[float, float] | None:
    if page.tags.valueof(296, 2) not in (2, 3):  # no unit: a ratio of sides, and no resolution
        return None
    return _sane_dpi(page.get_resolution("inch"))


def encode_tiff(file: BinaryIO, raster: Raster) -> None:
    tifffile = extra("tifffile")
    samples = raster.samples
    channels = samples.shape[2] if samples.ndim == 3 else 1
    colours = channels - raster.alpha
    options: dict[str, Any] = {}
    if channels > 1:
        options["planarconfig"] = "contig"
    if raster.alpha:
        options["extrasamples"] = ["assocalpha" if raster.premultiplied else "unassalpha"]
    if raster.dpi:
        options |= {"resolution": raster.dpi, "resolutionunit": "inch"}
    tifffile.imwrite(
        file,
        samples,
        photometric="rgb" if colours == 3 else "minisblack",
        iccprofile=raster.icc_profile,
        metadata=None,
        **options,
    )


# -- NPY -----------------------------------------------------------------------


def decode_npy(source: Source) -> Raster:
    samples = _mapped_npy(source.path) if source.path else _npy_of(source)
    if samples.dtype.kind not in "biufc":
        raise ValueError(f"an array of dtype {samples.dtype}; an image holds numbers")
    if samples.ndim not in (2, 3):
        raise ValueError(f"an array of shape {samples.shape}; an image is (H, W) or (H, W, C)")
    source.check(*samples.shape[:2])
    return Raster(np.array(samples, dtype=samples.dtype.newbyteorder("="), order="C", subok=False))


def _mapped_npy(path: Path) -> NDArray[Any]:
    # Mapped first, so that a header that promises more than the file has is
    # refused before memory is asked for. Object arrays (pickles) cannot be mapped.
    return np.lib.format.open_memmap(path, mode="r")


def _npy_of(source: Source) -> NDArray[Any]:
    """The same for bytes in memory: a view, which cannot be larger than what it views."""
    with source.open() as file:
        version = np.lib.format.read_magic(file)
        read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = read_header(file)
        flat = np.frombuffer(source.held, dtype, math.prod(shape), file.tell())
    return flat.reshape(shape, order="F" if fortran else "C")


def encode_npy(file: BinaryIO, raster: Raster) -> None:
    np.lib.format.write_array(file, raster.samples, allow_pickle=False)


DECODERS: dict[str, Callable[[Source], Raster]] = {
    "png": decode_png,
    "jpeg": decode_jpeg,
    "tiff": decode_tiff,
    "npy": decode_npy,
}
ENCODERS: dict[str, Callable[[BinaryIO, Raster], None]] = {
    "png": encode_png,
    "jpeg": encode_jpeg,
    "tiff": encode_tiff,
    "npy": encode_npy,
}
