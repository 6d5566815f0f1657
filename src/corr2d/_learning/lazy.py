"""Planes that are read some rows at a time: Dask arrays, and images on disk.

Everything that learning reads goes down the picture, in bands of whole rows whose windows overlap. What a
band shares with the one before it, and what else was decoded of the chunks that it met, is kept until
then, so that each chunk is decoded once a pass. Tiles here and there are read by themselves.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["LazyPlanes", "is_dask", "of_dask", "of_store", "parts", "sample", "taken"]

_FEWEST = 64  # rows that are read at once
_PART = 1 << 24  # samples
_BLOCK, _BLOCKS = 64, 4  # the sample of a picture: so many blocks of that side along each axis


class LazyPlanes:
    """A stack of shape (N, C, H, W) of which ``[plane, channels, rows, columns]`` is read when asked for.

    `reader` has a method ``read(plane, rows, columns) -> (C, h, w)`` and can be pickled where pairs go to a cluster.
    """

    ndim = 4

    def __init__(self, reader: Any, shape: tuple[int, int, int, int], dtype: np.dtype[Any], grid: int) -> None:
        self.reader, self.shape, self.dtype = reader, shape, np.dtype(dtype)
        self.step = min(shape[2], -(-max(_FEWEST, grid) // grid) * grid)  # rows: whole chunks
        self.spread: Any = None  # see `Pair`
        self.heard: Callable[[float], None] | None = None  # told how far down a pass has come
        self._kept: tuple[Any, int, NDArray] | None = None

    def __getstate__(self) -> Any:
        return self.__dict__ | {"_kept": None, "spread": None, "heard": None}

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray:
        """All of it, for what needs all at once."""
        whole = np.stack([self[plane] for plane in range(len(self))])
        return whole if dtype is None else whole.astype(dtype)

    def __getitem__(self, index: Any) -> NDArray:
        plane, channels, rows, columns = (*index, *[slice(None)] * 3)[:4] if isinstance(index, tuple) else (index, *[slice(None)] * 3)
        start, stop, step = rows.indices(self.shape[2])
        across = slice(*columns.indices(self.shape[3])[:2])
        if step > 1:
            lines = [self._rows(int(plane), y, y + 1, across) for y in range(start, stop, step)]
            return np.concatenate(lines, 1)[channels]
        return self._rows(int(plane), start, max(start, stop), across)[channels]

    def _rows(self, plane: int, start: int, stop: int, columns: slice) -> NDArray:
        if stop <= start or 2 * (columns.stop - columns.start) <= self.shape[3]:
            return self.reader.read(plane, slice(start, stop), columns)
        where, first, found = (plane, columns.start, columns.stop), start, []
        if self._kept is not None and self._kept[0] == where and self._kept[1] <= start < self._kept[1] + self._kept[2].shape[1]:
            _, top, kept = self._kept
            found, first = [kept[:, start - top :]], top + kept.shape[1]
        if first < stop:
            self._kept = None
            last = min(self.shape[2], -(-stop // self.step) * self.step)
            found.append(self.reader.read(plane, slice(first, last), columns))
            if self.heard:
                self.heard((plane + last / self.shape[2]) / self.shape[0])
        rows = found[0] if len(found) == 1 else np.concatenate(found, 1)
        # The next band begins a window above this one's end; a row of chunks is enough for any.
        after = max(start, min(stop, start + rows.shape[1]) - self.step)
        self._kept = where, after, rows[:, after - start :].copy() if first < stop else rows[:, after - start :]
        return rows[:, : stop - start]


class _DaskReader:
    def __init__(self, array: Any) -> None:
        self.array = array

    def read(self, plane: int, rows: slice, columns: slice) -> NDArray:
        return np.asarray(self.array[plane, :, rows, columns])


class _StoreReader:
    def __init__(self, store: Any, lead: tuple[int, ...], mixing: bool) -> None:
        self.store, self.lead, self.mixing = store, lead, mixing
        self.last = store.axes.endswith("C")

    def read(self, plane: int, rows: slice, columns: slice) -> NDArray:
        place = [slice(int(i), int(i) + 1) for i in np.unravel_index(plane, self.lead)] if self.lead else []
        end: list[slice] = []
        if self.last:
            colours = self.store.shape[-1] - bool(self.store.alpha)
            end = [slice(0, colours)] if self.mixing else [place.pop()]
        elif self.mixing:
            place.append(slice(None))
        block = self.store.read((*place, rows, columns, *end))
        if self.last:
            block = np.moveaxis(block, -1, -3)
        return block.reshape(-1, *block.shape[-2:])


def is_dask(image: Any) -> bool:
    return hasattr(image, "compute") and hasattr(image, "chunks")


def of_dask(array: Any) -> LazyPlanes:
    """Of a Dask array of shape (N, C, H, W)."""
    return LazyPlanes(_DaskReader(array), array.shape, array.dtype, max(array.chunks[2]))


def of_store(store: Any, mixing: bool) -> LazyPlanes | None:
    """Of an image on disk (`_stores`); None if channels are to be mixed and it has none before or after its rows and columns."""
    y, last = store.axes.index("Y"), store.axes.endswith("C")
    lead = tuple(store.shape[:y])
    colours = store.shape[-1] - bool(store.alpha)
    channels = 1
    if mixing:
        if not last and (not y or store.axes[y - 1] != "C"):
            return None
        channels = colours if last else lead[-1]
        lead = lead if last else lead[:-1]
    elif last:
        lead = (*lead, colours)
    shape = (math.prod(lead), channels, *store.size)
    return LazyPlanes(_StoreReader(store, lead, mixing), shape, store.dtype, store.grid[0])


def parts(stack: Any, plane: int) -> Iterator[NDArray]:
    """A plane (C, H, W), some rows at a time where it is not in memory."""
    if isinstance(stack, np.ndarray):
        yield stack[plane]
        return
    step = max(1, _PART // (stack.shape[1] * stack.shape[3]))
    for top in range(0, stack.shape[2], step):
        yield stack[plane, :, top : top + step]


def sample(stack: Any) -> NDArray:
    """Pixels of the first plane, (C, h, w), by which to see how large samples are: all, or blocks all over it."""
    if isinstance(stack, np.ndarray):
        return stack[0]
    if stack.dtype.itemsize == 1:  # known from the type, whatever they are
        return np.zeros((1, 1, 1), stack.dtype)
    starts = [sorted({int(s) for s in np.linspace(0, max(0, n - _BLOCK), _BLOCKS)}) for n in stack.shape[2:]]
    blocks = [stack[0, :, y : y + _BLOCK, x : x + _BLOCK] for y in starts[0] for x in starts[1]]
    return np.concatenate([block.reshape(block.shape[0], 1, -1) for block in blocks], 2)


def taken(plane: Any, stack: Any, rows: NDArray, columns: NDArray) -> NDArray:
    """``stack[plane, 0][np.ix_(rows, columns)]``, by the few runs in which the indices lie."""
    if isinstance(stack, np.ndarray):
        return stack[plane, 0][np.ix_(rows, columns)]
    out = np.empty((len(rows), len(columns)), stack.dtype)
    for down in _runs(rows):
        for across in _runs(columns):
            i = (rows >= down.start) & (rows < down.stop)
            j = (columns >= across.start) & (columns < across.stop)
            out[np.ix_(i, j)] = stack[plane, 0, down, across][np.ix_(rows[i] - down.start, columns[j] - across.start)]
    return out


def _runs(index: NDArray) -> list[slice]:
    known = np.unique(index)
    ends = np.flatnonzero(np.diff(known) > _BLOCK) + 1
    return [slice(int(run[0]), int(run[-1]) + 1) for run in np.split(known, ends)]
