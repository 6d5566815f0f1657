"""TIFF pages by their tiles: any region is read, any tile is written, whatever the size of the image.

Strips are tiles as wide as the image. What is written is an uncompressed (Big)TIFF, whose tiles
have known places in the file, so that they can be written in any order, by anyone.
"""

from __future__ import annotations

import io
import logging
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from ._constants import available_cores
from ._errors import ImageFileError, OptionError
from ._files import one_line
from ._image_formats import extra
from ._stores import Index, Store, partial, reserve, write_all

__all__ = ["TiffSink", "TiffSource"]


class TiffSource(Store):
    """One series and level of a TIFF, BigTIFF or OME-TIFF file."""

    def __init__(self, path: Path, level: int | None = None):
        self.path, self.level = path, level
        logging.getLogger("tifffile").addHandler(logging.NullHandler())
        self.tiff: Any = None
        try:
            self._open(extra("tifffile"))
        except (ImageFileError, OptionError, ImportError):
            self.close()
            raise
        except Exception as error:  # whatever a broken file makes a decoder raise
            self.close()
            raise ImageFileError(f"{path}: {one_line(error)}") from error

    def __getstate__(self) -> Any:
        return self.path, self.level

    def __setstate__(self, state: Any) -> None:
        self.__init__(*state)

    def _open(self, tifffile: Any) -> None:
        self.tiff = tiff = tifffile.TiffFile(self.path)
        if not tiff.series:
            raise ImageFileError(f"{self.path}: the TIFF holds no picture")
        levels = tiff.series[0].levels
        which = self.level or 0
        if not 0 <= which < len(levels):
            raise OptionError(f"--level {which}: {self.path} has levels 0 to {len(levels) - 1}")
        series = levels[which]
        page = series.keyframe
        self.reason = _unlike(page, series, tifffile)
        self.pages, self.page, self.shape, self.dtype = list(series.pages), page, series.shape, np.dtype(series.dtype)
        self.axes = series.axes.replace("S", "C") if series.axes.endswith("S") else series.axes.replace("S", "Q")
        self.tiled = page.is_tiled
        rows = page.tilelength if page.is_tiled else min(page.rowsperstrip or page.imagelength, page.imagelength)
        self.grid = (rows, page.tilewidth if page.is_tiled else page.imagewidth)
        extras = [int(kind) for kind in page.extrasamples]
        samples = self.shape[-1] if self.axes.endswith("C") else 1
        self.alpha = len(extras) == 1 and samples > 1 and (extras[0] in (1, 2) or samples == 4)
        self.premultiplied = self.alpha and extras[0] == 1
        self.icc_profile = page.iccprofile or None
        resolution = page.tags.valueof(296, 2) in (2, 3) and page.get_resolution("inch")
        self.dpi = tuple(resolution) if resolution and all(r > 0 for r in resolution) else None
        self.ome = tiff.ome_metadata

    def close(self) -> None:
        if self.tiff is not None:
            self.tiff.close()

    def read(self, index: Index) -> np.ndarray:
        samples = self.shape[-1:] if self.axes.endswith("C") else ()
        planes = len(self.shape) - 2 - len(samples)
        pages = np.arange(len(self.pages)).reshape(self.shape[:planes])[index[:planes]]
        y, x = (range(*part.indices(n)) for part, n in zip(index[planes:], self.size, strict=False))
        out = np.empty((*pages.shape, len(y), len(x), *samples), self.dtype)
        (th, tw), across = self.grid, -(-self.size[1] // self.grid[1])
        tiles = [(r, c) for r in range(y.start // th, -(-y.stop // th)) for c in range(x.start // tw, -(-x.stop // tw))]

        def put(tile: tuple[int, int]) -> None:
            r, c = tile
            segment = self._tile(page, r, c, across)
            rows = slice(max(y.start, r * th), min(y.stop, r * th + th))
            columns = slice(max(x.start, c * tw), min(x.stop, c * tw + tw))
            here = segment[rows.start - r * th : rows.stop - r * th, columns.start - c * tw : columns.stop - c * tw]
            target[rows.start - y.start : rows.stop - y.start, columns.start - x.start : columns.stop - x.start] = (
                here if samples else here[..., 0]
            )

        for at in np.ndindex(pages.shape):
            page, target = self.pages[pages[at]], out[at]
            if len(tiles) > 1:
                with ThreadPoolExecutor(available_cores()) as pool:  # decoders release the interpreter
                    list(pool.map(put, tiles))
            elif tiles:
                put(tiles[0])
        return out

    def _tile(self, page: Any, row: int, column: int, across: int) -> np.ndarray:
        """A decoded tile, (rows, columns, samples)."""
        which, keyframe = row * across + column, self.page
        try:
            offset, count = page.dataoffsets[which], page.databytecounts[which]
            if not count:  # a tile that was left out
                return np.zeros((*self.grid, keyframe.samplesperpixel), self.dtype)
            data = os.pread(self.tiff.filehandle.fileno(), count, offset)
            if len(data) < count:
                raise ValueError("the file ends within it")
            options = {"jpegtables": keyframe.jpegtables} if keyframe.jpegtables is not None else {}
            segment, _, _ = keyframe.decode(data, which, **options)
            return segment[0]
        except Exception as error:
            kind = "tile" if self.tiled else "strip"
            raise ImageFileError(f"{self.path}: {kind} ({row}, {column}) cannot be read: {one_line(error)}") from error


def _unlike(page: Any, series: Any, tifffile: Any) -> str:
    """Why a page cannot be read tile by tile, or nothing."""
    kinds = tifffile.PHOTOMETRIC
    jpeg = page.photometric == kinds.YCBCR and page.compression in (6, 7)
    if page.photometric not in (kinds.MINISBLACK, kinds.RGB) and not jpeg:
        return f"colours of kind {getattr(page.photometric, 'name', page.photometric)}"
    if page.planarconfig != 1 and page.samplesperpixel > 1:
        return "colours in planes of their own"
    if page.bitspersample not in (8, 16, 32, 64):
        return f"samples of {page.bitspersample} bits"
    if page.tags.valueof(274, 1) not in (0, 1):
        return "an orientation that turns it"
    if not series.axes.endswith(("YX", "YXS")):
        return f"axes {series.axes}"
    if any(p is None for p in series.pages):
        return "pages in other files"
    return ""


class _Hollow(io.FileIO):
    """A new file in which empty tiles are holes: tifffile writes them, which takes as long as what then takes their place."""

    def __init__(self, path: Path, tile_bytes: int):
        super().__init__(path, "w+")
        self.empty = bytes(tile_bytes)

    def write(self, data: Any) -> int:
        if data != self.empty:
            return super().write(data)
        self.truncate(self.seek(len(data), os.SEEK_CUR))
        return len(data)


class TiffSink(Store):
    """An uncompressed BigTIFF of tiles, or an OME-TIFF where the name ends in ``.ome.tif``."""

    def __init__(self, out: Path, shape: tuple[int, ...], dtype: np.dtype[Any], axes: str, like: Any):
        self.out, self.path, self.shape, self.dtype, self.axes = out, partial(out), shape, dtype, axes
        side = getattr(like, "grid", (512, 512)) if getattr(like, "tiled", False) else (512, 512)
        self.grid = side if all(n % 16 == 0 for n in side) else (512, 512)
        self.alpha = like.alpha
        samples = shape[-1] if axes.endswith("C") else 1
        self.options: dict[str, Any] = {
            "photometric": "rgb" if samples - self.alpha == 3 and axes.endswith("C") else "minisblack",
            "bigtiff": True, "tile": self.grid, "software": "corr2d",
        }  # fmt: skip
        if samples > 1:
            self.options["planarconfig"] = "contig"
        if self.alpha:
            self.options["extrasamples"] = ["assocalpha" if getattr(like, "premultiplied", False) else "unassalpha"]
        if getattr(like, "icc_profile", None):
            self.options["iccprofile"] = like.icc_profile
        if getattr(like, "dpi", None):
            self.options |= {"resolution": like.dpi, "resolutionunit": "inch"}
        self.ome = out.name.lower().endswith((".ome.tif", ".ome.tiff"))
        if self.ome:
            known = axes if not set(axes) - set("TCZYX") else "".join(axis if axis in "YXC" else "TZM"[i] for i, axis in enumerate(axes))
            self.options |= {"ome": True, "metadata": {"axes": known.replace("YXC", "YXS"), **_pixel_sizes(like)}}
        else:
            self.options["metadata"] = None
        self.offsets: tuple[int, ...] = ()

    def mark(self, recipe: str) -> None:
        self.options["software"] = f"corr2d {recipe}"

    def marked(self) -> str | None:
        try:
            with extra("tifffile").TiffFile(self.out) as tiff:
                return str(tiff.pages[0].tags.valueof(305, "")).removeprefix("corr2d ")
        except Exception:  # a file of something else, which is replaced
            return None

    def create(self) -> None:
        with _Hollow(self.path, self._tile_bytes()) as file:
            extra("tifffile").imwrite(file, shape=self.shape, dtype=self.dtype, **self.options)
        reserve(self.path)
        self.locate()

    def _tile_bytes(self) -> int:
        return self.grid[0] * self.grid[1] * (self.shape[-1] if self.axes.endswith("C") else 1) * self.dtype.itemsize

    def locate(self) -> None:
        """Where the pages' tiles lie, in a file that exists."""
        with extra("tifffile").TiffFile(self.path) as tiff:
            self.offsets = tuple(page.dataoffsets[0] for page in tiff.pages)

    def write(self, index: Index, block: np.ndarray) -> None:
        if not self.axes.endswith("C"):
            block = block[..., None]
        planes = block.ndim - 3
        pages = np.arange(len(self.offsets)).reshape(self.shape[:planes])[index[:planes]]
        for at in np.ndindex(pages.shape):
            self._put(int(pages[at]), index[planes], index[planes + 1], block[at])

    def _put(self, page: int, rows: slice, columns: slice, block: np.ndarray) -> None:
        (th, tw), (height, width, samples) = self.grid, block.shape
        across = -(-self.size[1] // tw)
        padded = np.pad(block, ((0, -height % th), (0, -width % tw), (0, 0))) if height % th or width % tw else block
        tiles = padded.reshape(padded.shape[0] // th, th, padded.shape[1] // tw, tw, samples).swapaxes(1, 2)
        with open(self.path, "r+b", buffering=0) as file:
            for i, line in enumerate(tiles, rows.start // th):
                write_all(file, self.offsets[page] + (i * across + columns.start // tw) * self._tile_bytes(), line.astype(self.dtype, copy=False))

    def finish(self) -> None:
        os.replace(self.path, self.out)

    def discard(self) -> None:
        self.path.unlink(missing_ok=True)


def _pixel_sizes(like: Any) -> dict[str, Any]:
    """PhysicalSizeX and its like of an OME-TIFF, as tifffile writes them."""
    text = getattr(like, "ome", None)
    if not text:
        return {}
    from xml.etree import ElementTree

    pixels = next((node for node in ElementTree.fromstring(text).iter() if node.tag.endswith("}Pixels")), None)
    kept = {} if pixels is None else dict(pixels.attrib)
    sizes = {name: float(value) for name, value in kept.items() if name.startswith("PhysicalSize") and not name.endswith("Unit")}
    return sizes | {name: value for name, value in kept.items() if name.startswith("PhysicalSize") and name.endswith("Unit")}
