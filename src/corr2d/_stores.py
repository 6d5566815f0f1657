"""Images on disk that are read and written a region at a time: Zarr, OME-Zarr and NPY (TIFF: `_tiff_tiles`).

A source gives any region of its array; a sink takes any region that is aligned to its grid. Both
can be pickled: a worker elsewhere opens the same files. What is being written carries another
name until it is finished.
"""

from __future__ import annotations

import math
import os
import shutil
from copy import deepcopy
from itertools import product
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ._errors import ImageFileError, MissingExtraError, OptionError
from ._files import one_line
from ._zarr_arrays import ZarrSamples, load_zarr

__all__ = ["NpySink", "NpySource", "Store", "ZarrSink", "ZarrSource", "is_zarr", "partial", "reserve", "write_all"]

Index = tuple[slice, ...]  # one for every axis


class Store:
    """What sources and sinks have in common.

    ``axes`` names each axis with a letter: ``Y`` and ``X`` for rows and columns, ``C`` for channels.
    ``grid`` is the rows and columns in which the store keeps its samples, ``depth`` how many planes
    of a batch it keeps together; () where that does not matter.
    """

    path: Path
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    axes: str
    grid: tuple[int, int]
    depth: tuple[int, ...] = ()
    alpha = False
    threads: int | None = None  # that code chunks, in this process; None: all

    @property
    def size(self) -> tuple[int, int]:
        return self.shape[self.axes.index("Y")], self.shape[self.axes.index("X")]

    @property
    def nbytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize

    def close(self) -> None:
        """Let go of open files."""

    def mark(self, recipe: str) -> None:
        """Have the output say what it was made by, where it can."""

    def marked(self) -> str | None:
        """What the finished output was made by, where it says so."""
        return None


def is_zarr(path: Path) -> bool:
    """Whether a folder holds a Zarr array or group, or a name means to."""
    marks = ("zarr.json", ".zarray", ".zgroup")
    return any((path / mark).is_file() for mark in marks) or path.suffix.lower() == ".zarr"


def partial(out: Path) -> Path:
    """The name under which `out` is written until it is finished."""
    return out.with_name(f"{out.name}.partial")


def reserve(path: Path) -> None:
    """Take the disk space of a file that was only made long: a full disk is known before the work, not amid it."""
    with open(path, "r+b") as file:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, os.fstat(file.fileno()).st_size)


def write_all(file: BinaryIO, offset: int, block: np.ndarray) -> None:
    """Write samples at a place of an unbuffered file; in a mapping, every page would first be faulted in."""
    data = memoryview(np.ascontiguousarray(block)).cast("B")
    file.seek(offset)
    while data:
        data = data[file.write(data) :]  # the system takes at most 2 GiB at once


def default_axes(shape: tuple[int, ...], last_is_channels: bool | None = None) -> str:
    """Letters for axes that nobody named: (H, W), (H, W, C) where the last is short, else planes before (H, W)."""
    if last_is_channels is None:
        last_is_channels = len(shape) == 3 and shape[2] <= 4
    end = "YXC" if last_is_channels else "YX"
    return "QRSTUVW"[: len(shape) - len(end)] + end


# -- NPY -------------------------------------------------------------------------------------------


class NpySource(Store):
    """A ``.npy`` file, mapped for as long as a region is copied, so that its pages are not ours for longer."""

    def __init__(self, path: Path):
        self.path = path
        mapped = self._map()
        if mapped.dtype.kind not in "biufc":
            raise ImageFileError(f"{path}: an array of dtype {mapped.dtype}; an image holds numbers")
        if mapped.ndim not in (2, 3):
            raise ImageFileError(f"{path}: an array of shape {mapped.shape}; an image is (H, W) or (H, W, C)")
        self.shape, self.dtype = mapped.shape, mapped.dtype.newbyteorder("=")
        self.axes = default_axes(self.shape, mapped.ndim == 3)
        self.grid = (1, mapped.shape[1])

    def _map(self) -> np.ndarray:
        try:
            return np.lib.format.open_memmap(self.path, mode="r")
        except (ValueError, OSError) as error:
            raise ImageFileError(f"{self.path}: {one_line(error)}") from error

    def read(self, index: Index) -> np.ndarray:
        return np.array(self._map()[index], dtype=self.dtype, order="C", subok=False)


class NpySink(Store):
    """A ``.npy`` file of reserved length, written anywhere in it."""

    def __init__(self, out: Path, shape: tuple[int, ...], dtype: np.dtype[Any], axes: str):
        self.out, self.path, self.shape, self.dtype, self.axes = out, partial(out), shape, dtype, axes
        self.grid = (16, 512)

    def create(self) -> None:
        np.lib.format.open_memmap(self.path, mode="w+", dtype=self.dtype, shape=self.shape)
        reserve(self.path)

    def write(self, index: Index, block: np.ndarray) -> None:
        mapped = np.lib.format.open_memmap(self.path, mode="r+")
        target = mapped[index]
        if not target.flags.c_contiguous:
            target[...] = block
            return
        with open(self.path, "r+b", buffering=0) as file:
            offset = mapped.offset + target.__array_interface__["data"][0] - mapped.__array_interface__["data"][0]
            write_all(file, offset, block.astype(self.dtype, copy=False))

    def finish(self) -> None:
        os.replace(self.path, self.out)

    def discard(self) -> None:
        self.path.unlink(missing_ok=True)


# -- Zarr ------------------------------------------------------------------------------------------


class ZarrSource(Store):
    """A Zarr array (format 2 or 3), or one level of an OME-Zarr pyramid."""

    def __init__(self, path: Path, level: int | None = None):
        self.path, self.level = path, level
        self._samples: ZarrSamples | None = None
        self._open()

    def __getstate__(self) -> Any:
        return self.path, self.level

    def __setstate__(self, state: Any) -> None:
        self.__init__(*state)

    def _open(self) -> None:
        try:
            node = load_zarr().open(str(self.path), mode="r")
        except MissingExtraError:
            raise
        except Exception as error:  # whatever broken metadata makes it raise
            raise ImageFileError(f"{self.path}: no Zarr array that can be read: {one_line(error)}") from error
        self.group, self.dataset, names = None, None, None
        if hasattr(node, "members"):
            node, names = self._level(node)
        elif self.level:
            raise OptionError(f"--level {self.level}: {self.path} is a single array and has no levels")
        if node.dtype.kind not in "biufc":
            raise ImageFileError(f"{self.path}: an array of dtype {node.dtype}; an image holds numbers")
        if node.ndim < 2 or 0 in node.shape:
            raise ImageFileError(f"{self.path}: an array of shape {node.shape}; an image is (..., H, W) or (H, W, C)")
        self.array, self.shape, self.dtype = node, node.shape, node.dtype.newbyteorder("=")
        self.names = names or getattr(node.metadata, "dimension_names", None) or node.attrs.get("_ARRAY_DIMENSIONS")
        self.axes = _letters(self.names, node.shape)
        self.grid = tuple(node.chunks[self.axes.index(axis)] for axis in "YX")
        self.depth = node.chunks[: self.axes.index("Y")]

    def _level(self, group: Any) -> tuple[Any, list[str]]:
        """The array of a pyramid's level, and the names of its axes."""
        attributes = dict(group.attrs)
        scales = attributes.get("ome", attributes).get("multiscales")
        if not scales:
            arrays = ", ".join(sorted(name for name, _ in group.arrays())[:5])
            hint = f"name one of its arrays, {arrays}" if arrays else "it holds no array"
            raise ImageFileError(f"{self.path}: a Zarr group without an OME pyramid; {hint}")
        levels = scales[0]["datasets"]
        which = self.level or 0
        if not 0 <= which < len(levels):
            raise OptionError(f"--level {which}: {self.path} has levels 0 to {len(levels) - 1}")
        self.group, self.dataset = attributes, levels[which]
        self.format = group.metadata.zarr_format
        axes = scales[0].get("axes", list("tczyx")[-5:])
        return group[levels[which]["path"]], [axis["name"] if isinstance(axis, dict) else axis for axis in axes]

    def read(self, index: Index) -> np.ndarray:
        try:
            if self._samples is None:
                self._samples = ZarrSamples(self.path, "" if self.dataset is None else self.dataset["path"], threads=self.threads)
            return np.ascontiguousarray(self._samples.read(index), dtype=self.dtype)
        except Exception as error:
            raise self._blame(index, error) from error

    def _blame(self, index: Index, error: Exception) -> Exception:
        """Which chunk it was."""
        ranges = []
        for part, n, chunk in zip(index, self.shape, self.array.chunks, strict=True):
            start, stop, _ = part.indices(n)
            ranges.append(range(start // chunk, -(-stop // chunk)))
        for cell in product(*ranges):
            at = tuple(slice(c * n, (c + 1) * n) for c, n in zip(cell, self.array.chunks, strict=True))
            try:
                self.array[at]
            except Exception as why:
                where = ", ".join(str(c) for c in cell)
                return ImageFileError(f"{self.path}: chunk ({where}) cannot be read: {one_line(why)}")
        return ImageFileError(f"{self.path}: cannot be read: {one_line(error)}")


def _letters(names: Any, shape: tuple[int, ...]) -> str:
    """A letter an axis from the names of a file, where they tell rows and columns."""
    letters = [str(name or "?")[0].upper() for name in names or ()]
    if letters.count("Y") != 1 or letters.count("X") != 1 or letters.index("Y") > letters.index("X"):
        return default_axes(shape)
    for i, letter in enumerate(letters):  # a letter each; B for band is a channel
        letters[i] = "C" if letter == "B" and "C" not in letters else letter
        if letters.index(letters[i]) != i:
            letters[i] = next(spare for spare in "QRSUVW" if spare not in letters)
    return "".join(letters)


# Chunks that are lines, or the whole of a large image, are of no use to others.
_THINNEST, _MOST_SAMPLES = 16, 1 << 26
_CHUNK_SIDE = 1024


def _usable(chunk: list[int], size: list[int]) -> bool:
    return math.prod(chunk) <= _MOST_SAMPLES and all(c >= min(n, _THINNEST) for c, n in zip(chunk, size, strict=True))


class ZarrSink(Store):
    """A Zarr array like its source, or an OME-Zarr image of the one level that was filtered."""

    def __init__(self, out: Path, shape: tuple[int, ...], dtype: np.dtype[Any], axes: str, like: Any, geometry: dict[str, Any]):
        self.out, self.path, self.shape, self.dtype, self.axes = out, partial(out), shape, dtype, axes
        array = getattr(like, "array", None)
        self.format = array.metadata.zarr_format if array is not None else 3
        chunks = list(array.chunks) if array is not None else [1] * len(shape)
        sides = [axes.index(axis) for axis in "YX"]
        if array is None or not _usable([chunks[s] for s in sides], [shape[s] for s in sides]):
            for s in sides:
                chunks[s] = _CHUNK_SIDE
        if axes.endswith("C"):
            chunks[-1] = shape[-1]
        self.chunks = tuple(min(c, n) for c, n in zip(chunks, shape, strict=True))
        # A shard can only be written whole.
        self.shards = array.shards if array is not None and array.shards and array.chunks == self.chunks else None
        self.grid = tuple((self.shards or self.chunks)[s] for s in sides)
        self.depth = (self.shards or self.chunks)[: sides[0]]
        self.names = [str(name) for name in like.names] if getattr(like, "names", None) else None
        self.options: dict[str, Any] = {}
        if array is not None:
            self.options = {"compressors": array.compressors, "fill_value": 0}
        self.group = _image_metadata(like, geometry) if getattr(like, "group", None) else None
        self.recipe: str | None = None
        self._samples: ZarrSamples | None = None

    def __getstate__(self) -> Any:
        return self.__dict__ | {"_samples": None, "threads": None}

    def mark(self, recipe: str) -> None:
        self.recipe = recipe

    def marked(self) -> str | None:
        try:
            return load_zarr().open(str(self.out), mode="r").attrs.get("corr2d")
        except Exception:  # no Zarr: a folder of something else
            return None

    def create(self) -> None:
        if self.path.exists():
            shutil.rmtree(self.path)
        zarr, options = load_zarr(), dict(self.options)
        if self.format == 3:
            options |= {"dimension_names": self.names, "shards": self.shards}
        options |= {"shape": self.shape, "chunks": self.chunks, "dtype": self.dtype, "zarr_format": self.format}
        mark = {"corr2d": self.recipe}
        if self.group is None:
            names = {"_ARRAY_DIMENSIONS": self.names} if self.format == 2 and self.names else {}
            zarr.create_array(str(self.path), attributes=names | mark, **options)
        else:
            zarr.create_group(str(self.path), zarr_format=self.format, attributes=self.group | mark)
            separator = {"chunk_key_encoding": {"name": "v2", "separator": "/"}} if self.format == 2 else {}
            zarr.create_array(str(self.path), name="0", **options, **separator)

    def write(self, index: Index, block: np.ndarray) -> None:
        if self._samples is None:
            self._samples = ZarrSamples(self.path, "" if self.group is None else "0", "r+", self.threads)
        self._samples.write(index, block)

    def finish(self) -> None:
        os.rename(self.path, self.out)

    def discard(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)


def _image_metadata(like: ZarrSource, geometry: dict[str, Any]) -> dict[str, Any]:
    """The attributes of an OME-Zarr image, of which one level is left; a stride makes its pixels larger."""
    attributes = deepcopy(like.group)
    image = attributes.get("ome", attributes)
    scale = image["multiscales"][0]
    dataset = deepcopy(like.dataset) | {"path": "0"}
    steps, first = [1.0] * len(like.axes), [0.0] * len(like.axes)
    for axis, step, shift in zip("YX", geometry["stride"], geometry["first"], strict=True):
        steps[like.axes.index(axis)], first[like.axes.index(axis)] = step, shift
    spacing = [1.0] * len(like.axes)
    for transform in dataset.get("coordinateTransformations", []):
        if transform.get("type") == "scale":
            spacing = list(transform["scale"])
            transform["scale"] = [s * n for s, n in zip(spacing, steps, strict=True)]
    if any(first):
        moved = [s * n for s, n in zip(spacing, first, strict=True)]
        for transform in dataset.setdefault("coordinateTransformations", []):
            if transform.get("type") == "translation":
                transform["translation"] = [a + b for a, b in zip(transform["translation"], moved, strict=True)]
                break
        else:
            dataset["coordinateTransformations"].append({"type": "translation", "translation": moved})
    scale["datasets"] = [dataset]
    image["multiscales"] = [scale]
    return attributes
