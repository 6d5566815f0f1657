"""A block of the result from the pixels that it needs: what images larger than memory are cut into.

A block runs the method that was chosen for the whole, with the arithmetic of the whole, so that
seams do not show. Its input is the region under its windows: what lies outside the image is found
by the closed-form index maps of `_boundary`, so a halo may be wider than a block, or than the image.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from . import _arrays
from ._boundary import Boundary, source_indices
from ._errors import OptionError, ShapeError
from ._problem import Pair, Problem


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """What one axis of a block needs: runs of pixels, their order, and how much padding around them."""

    runs: tuple[Pair, ...]  # (start, stop) in the image, ascending
    take: np.ndarray | None  # places in the concatenated runs; None: as they are
    pads: Pair  # padding before and after; less than nothing where the block lies beyond the image


def window(p: Problem, axis: int, start: int, stop: int) -> Window:
    """What outputs [start, stop) of an axis (0: rows, 1: columns) read."""
    size, step, span = p.size[axis], p.stride[axis], p.span[axis]
    first = start * step - p.pads[axis][0]
    count = (stop - start - 1) * step + span + 1
    if p.boundary is Boundary.CONSTANT or (first >= 0 and first + count <= size):
        low, high = max(0, first), min(size, first + count)
        if low >= high:  # the nearest pixel stands for the image
            low = max(0, min(first, size - 1))
            high = min(low + 1, size)
        return Window(((low, high),), None, (low - first, first + count - high))
    low, high = max(0, first), min(size, first + count)
    before, after = pads = low - first, first + count - high
    if (before and after and low < high) or (p.boundary is not Boundary.WRAP and max(pads) < high - low):
        # The border of the region is the image's, with as much behind it as padding mirrors: the method
        # pads as it does for a whole image, which spares a copy of every band as wide as the image.
        return Window(((low, high),), None, pads)
    source = source_indices(p.boundary, first, count, size)
    used = np.unique(source)
    runs = np.split(used, np.flatnonzero(np.diff(used) > 1) + 1)
    take = np.searchsorted(used, source)
    ordered = len(take) == len(used) and bool((np.diff(take) == 1).all())
    return Window(tuple((int(run[0]), int(run[-1]) + 1) for run in runs), None if ordered else take, (0, 0))


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Part of a plan: call it with the pixels that it needs. Made by `corr2d.Plan.block`.

    Attributes
    ----------
    rows, columns : tuple of slice
        The input region: runs of rows and of columns of the image, ascending. There is more
        than one where ``"wrap"`` reaches around.
    shape : (int, int)
        Rows and columns of the block's result.
    """

    plan: Any
    size: Pair
    windows: tuple[Window, Window]

    @property
    def rows(self) -> tuple[slice, ...]:
        return tuple(slice(*run) for run in self.windows[0].runs)

    @property
    def columns(self) -> tuple[slice, ...]:
        return tuple(slice(*run) for run in self.windows[1].runs)

    @property
    def shape(self) -> Pair:
        return self.size

    def __call__(self, pixels: Any, out: Any = None) -> Any:
        """The block's result.

        Parameters
        ----------
        pixels : array
            The image at `rows` and `columns`, the runs joined in their order; other axes as in
            the image, or a part of the batch.
        out : array, optional
            Where to write.
        """
        p = self.plan.problem
        source = _arrays.take(pixels)
        if source.dtype != p.image_dtype:
            raise ShapeError(f"the block's pixels have dtype {source.dtype} and the plan's image has {p.image_dtype}")
        data = source.data
        for axis, need in zip(p.axes, self.windows, strict=True):
            wanted = sum(stop - start for start, stop in need.runs)
            if data.ndim != len(p.shape) or data.shape[axis] != wanted:
                raise ShapeError(
                    f"the block's pixels have shape {data.shape}; along axis {axis} it needs {wanted}, which are {need.runs} of the image"
                )
            if need.take is not None:
                data = np.take(data, need.take, axis)
        canonical = p.canonical(data).shape
        lead = canonical[:-2] if p.channels is None else canonical[:-3]
        if p.channels and canonical[-3] != p.channels[1]:
            raise ShapeError(f"the kernel mixes {p.channels[1]} channels and the block's pixels have {canonical[-3]}")
        part = replace(
            p, shape=data.shape, lead=lead, size=canonical[-2:], pads=tuple(need.pads for need in self.windows),
            out_size=self.size, whole_pads=p.pads,
        )  # fmt: skip
        return self.plan.part(part).run(replace(source, data=data), pixels, out)


def block_of(plan: Any, rows: slice, columns: slice) -> Block:
    """Outputs `rows` and `columns` of a plan."""
    p, ranges = plan.problem, []
    for name, part, size in (("rows", rows, p.out_size[0]), ("columns", columns, p.out_size[1])):
        start, stop, step = part.indices(size)
        if step != 1 or stop <= start or (part.stop is not None and part.stop > size):
            raise OptionError(f"{name}={part}: use a slice of at least one of the result's {size} {name}, without a step")
        ranges.append((start, stop))
    return Block(
        plan, tuple(stop - start for start, stop in ranges), tuple(window(p, axis, *each) for axis, each in enumerate(ranges))
    )  # fmt: skip
