"""Two pictures that belong together: checked once, then seen through one window.

Output pixel (i, j) of `after` sees the window of `before` whose top left tap is (i + oy, j + ox).
Only outputs whose window lies inside are used, so no border rule enters.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

import corr2d

from .._errors import DTypeError, OptionError, ShapeError
from .lazy import LazyPlanes, is_dask, of_dask, sample
from .moments import Moments, of_pair, origin_for
from .pieces import all_finite

__all__ = ["Band", "Frame", "Pair", "bands", "check", "moments", "origins_of", "over", "places", "read_size", "usable"]

_BAND = 1 << 18  # output samples that are looked at at a time, with what is made of them in cache
_TASK = 1 << 24  # and that are worth a task on a cluster
_WORK = 3e9  # multiplications that a rough look may cost


@dataclass(frozen=True, slots=True)
class Frame:
    """A window and where it lies: its size, and its top left tap at output (0, 0)."""

    size: tuple[int, int]
    corner: tuple[int, int]
    guarded: bool = True  # keep off a rim that may be special; tiles of a picture have none

    def inside(self, top: int, left: int, size: tuple[int, int]) -> Frame:
        """A smaller window, so far from the top and the left of this one."""
        return replace(self, size=size, corner=(self.corner[0] + top, self.corner[1] + left))


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """before (N, C, H, W), after (N, D, H', W'), arrays or `LazyPlanes`; mask and weights (N, H', W') or None.

    `spread(function, tasks)` gives the results of tasks, tuples of arguments, in their order, from other machines.
    """

    before: Any
    after: Any
    mask: Any
    weights: Any
    mixing: bool
    spread: Callable[..., Iterator[Any]] | None = None

    @property
    def lazy(self) -> bool:
        return not (isinstance(self.before, np.ndarray) and isinstance(self.after, np.ndarray))

    @property
    def same(self) -> bool:
        return self.before.shape[-2:] == self.after.shape[-2:]

    @property
    def margin(self) -> tuple[int, int]:
        """By how many rows and columns `before` is larger."""
        return tuple(m - n for m, n in zip(self.before.shape[-2:], self.after.shape[-2:], strict=True))

    def outputs(self, frame: Frame) -> tuple[slice, slice]:
        """Rows and columns of `after` whose windows lie inside `before`.

        In pictures of equal size the margin is as wide on all sides as on the widest: a program that was given a 3 x 3 kernel
        treats a rim of one pixel specially, also where the outer taps are zeros.
        """
        (oy, ox), (kh, kw) = frame.corner, frame.size
        reach = max(-oy, -ox, kh - 1 + oy, kw - 1 + ox)
        guard = reach if frame.guarded and self.same and 8 * reach < min(self.after.shape[-2:]) else 0
        spans = []
        for corner, taps, size, out in zip(frame.corner, frame.size, self.before.shape[-2:], self.after.shape[-2:], strict=True):
            first, last = max(guard, -corner), min(out - guard, size - taps - corner + 1)
            spans.append(slice(first, max(first, last)))
        return spans[0], spans[1]

    def count(self, frame: Frame) -> int:
        rows, columns = self.outputs(frame)
        return (rows.stop - rows.start) * (columns.stop - columns.start)


@dataclass(frozen=True, slots=True, eq=False)
class Band:
    """Some rows of one plane: x (C, h + kh - 1, w + kw - 1), y (D, h, w), and where they are."""

    plane: int
    rows: slice
    columns: slice
    x: NDArray
    y: NDArray
    used: NDArray | None


def check(before: Any, after: Any, channels: str, mask: Any, weights: Any, channel_axis: int | None = None) -> Pair:
    """The two pictures as stacks of planes, or the error that says why they cannot belong together."""
    if channels not in ("depthwise", "full"):
        raise OptionError(f'channels={channels!r} is not understood; use "depthwise" or "full"')
    x, y = _pixels(before, "before", channel_axis), _pixels(after, "after", channel_axis)
    mixing = channels == "full"
    for name, image in (("before", x), ("after", y)):
        if image.ndim < 2 + mixing:
            wanted = "(C, H, W)" if mixing else "(..., H, W)"
            raise ShapeError(f"{name} has shape {image.shape}; it needs {wanted}" + (", e.g. image[None]" if image.ndim >= 2 else ""))
        if not image.size:
            raise ShapeError(f"{name} is empty, its shape is {image.shape}; there is nothing to learn from")
    lead = -3 if mixing else -2
    if x.shape[:lead] != y.shape[:lead]:
        hint = "leading axes are further pictures and have to agree; for (H, W, C) images say channel_axis=-1"
        raise ShapeError(f"before has shape {x.shape} and after {y.shape}: {hint}")
    h, w = y.shape[-2:]
    if h > x.shape[-2] or w > x.shape[-1]:
        raise ShapeError(
            f"after, {h}x{w}, is larger than before, {x.shape[-2]}x{x.shape[-1]}, and cannot be a filtered copy of it; "
            "swap the two, or crop after to before's size"
        )
    planes = tuple(x.shape[:lead])
    n = int(np.prod(planes, dtype=int))
    mask = _of_after(mask, "mask", planes, y.shape, mixing)
    weights = _of_after(weights, "weights", planes, y.shape, mixing)
    if mask is not None and mask.dtype != bool:
        raise DTypeError(f"mask has dtype {mask.dtype}; it is True where a pixel of after may be used: mask.astype(bool)")
    if weights is not None and not (np.isfinite(weights).all() and (weights >= 0).all()):
        raise OptionError("weights are 1/variance of each pixel of after: finite and at least 0")
    one = (n, 1) if not mixing else (n,)
    return Pair(*(_stacked(image, (*one, *image.shape[lead:])) for image in (x, y)), mask, weights, mixing, getattr(x, "spread", None))


def _stacked(image: Any, shape: tuple[int, ...]) -> Any:
    if isinstance(image, LazyPlanes):
        return image
    return of_dask(image.reshape(shape)) if is_dask(image) else image.reshape(shape)


def _of_after(value, name, planes, shape, mixing):
    """A mask or weights, one value for each pixel of after, as (N, H', W')."""
    if value is None:
        return None
    value = np.asarray(value)
    wanted = (*planes, *shape[-2:])
    if value.shape not in (wanted, shape[-2:]):
        raise ShapeError(f"{name} has shape {value.shape}; it needs after's, {wanted}")
    return np.broadcast_to(value, wanted).reshape(-1, *shape[-2:])


def _pixels(image: Any, name: str, channel_axis: int | None) -> Any:
    if isinstance(image, (str, bytes)):
        raise DTypeError(f"{name} is a {type(image).__name__}; read the file first: corr2d.images.read({image!r:.60}).pixels")
    if hasattr(image, "pixels") and hasattr(image, "alpha"):  # images.Image
        image = image.pixels
    if hasattr(image, "detach"):  # torch
        image = image.detach().cpu().numpy()
    lazy = is_dask(image)
    if not lazy and not isinstance(image, LazyPlanes):
        try:
            image = np.asarray(image)
        except (TypeError, ValueError) as error:
            raise DTypeError(f"{name} of type {type(image).__name__} cannot be read as an array: {error}") from None
    if image.dtype.kind not in "biuf":
        raise DTypeError(f"{name} has dtype {image.dtype}; kernels are learned from real numbers, e.g. {name}.real or {name}.astype(float)")
    if isinstance(image, LazyPlanes):  # which has its axes in order
        return image
    if image.dtype.itemsize > 8:
        image = image.astype(np.float64)
    if channel_axis is not None:
        if image.ndim < 3 or not -image.ndim <= channel_axis < image.ndim:
            raise OptionError(f"channel_axis={channel_axis} needs an image with that axis beside rows and columns; {name} has shape {image.shape}")
        image = (np.moveaxis if not lazy else _module_of(image).moveaxis)(image, channel_axis, -3 if channel_axis in (-1, image.ndim - 1) else 0)
    return image


def _module_of(lazy):
    import sys

    return sys.modules["dask.array"]


def read_size(size: Any) -> tuple[int, int] | None:
    """(rows, columns), or None for "auto"."""
    if isinstance(size, str):
        if size != "auto":
            raise OptionError(f'size={size!r} is not understood; use "auto", an integer or (rows, columns)')
        return None
    try:
        pair = (operator.index(size),) * 2 if not isinstance(size, (tuple, list)) else tuple(operator.index(n) for n in size)
    except TypeError:
        raise OptionError(f'size={size!r} is not understood; use "auto", an integer or (rows, columns)') from None
    if len(pair) != 2 or min(pair) < 1:
        raise OptionError(f"size={size!r} is not a kernel's size; use (rows, columns) of at least 1")
    return pair


def usable(pair: Pair, frame: Frame, plane: int, rows: slice, columns: slice, x: NDArray, y: NDArray) -> NDArray | None:
    """Which outputs have a finite value and only finite pixels in their window, and are not masked; None for all."""
    used = None if pair.mask is None else pair.mask[plane, rows, columns].copy()
    if not all_finite(y):
        finite = np.isfinite(y).all(0)
        used = finite if used is None else used & finite
    if not all_finite(x):
        reach = corr2d.corr2d(~np.isfinite(x).all(0), np.ones(frame.size), dtype="float64") < 0.5
        used = reach if used is None else used & reach
    return used


def bands(pair: Pair, frame: Frame, samples: int | None = None) -> Iterator[Band]:
    """All outputs, some rows at a time."""
    for place in places(pair, frame, samples or _BAND):
        yield cut(pair, frame, *place)


def places(pair: Pair, frame: Frame, samples: int) -> Iterator[tuple[int, slice, slice]]:
    """Plane, rows and columns of all bands."""
    rows, columns = pair.outputs(frame)
    step = max(1, samples // max(1, columns.stop - columns.start))
    for plane in range(len(pair.after)):
        for top in range(rows.start, rows.stop, step):
            yield plane, slice(top, min(top + step, rows.stop)), columns


def over(pair: Pair, frame: Frame, function: Callable[..., Any], *arguments: Any, samples: int | None = None) -> Iterator[Any]:
    """``function(pair, frame, band, *arguments)`` of all bands, in their order, whoever works them out."""
    samples = samples or _BAND
    if pair.spread is None:
        for band in bands(pair, frame, samples):
            yield function(pair, frame, band, *arguments)
        return
    here, group = replace(pair, spread=None), max(1, _TASK // samples)
    todo = places(pair, frame, samples)
    tasks = ((here, frame, some, function, arguments) for some in iter(lambda: list(islice(todo, group)), []))
    for results in pair.spread(_task, tasks):
        yield from results


def _task(pair: Pair, frame: Frame, some: list[tuple[int, slice, slice]], function: Any, arguments: Any) -> list[Any]:
    return [function(pair, frame, cut(pair, frame, *place), *arguments) for place in some]


def cut(pair: Pair, frame: Frame, plane: int, rows: slice, columns: slice) -> Band:
    """These outputs of a plane, and what they see."""
    (oy, ox), (kh, kw) = frame.corner, frame.size
    x = np.asarray(pair.before[plane, :, rows.start + oy : rows.stop + oy + kh - 1, columns.start + ox : columns.stop + ox + kw - 1])
    y = np.asarray(pair.after[plane, :, rows, columns])
    return Band(plane, rows, columns, x, y, usable(pair, frame, plane, rows, columns, x, y))


def moments(
    pair: Pair, frame: Frame, origins: tuple[float, float], threads: int, extra: Any = None, weights: Any = None, enough: bool = False
) -> Moments:  # fmt: skip
    """Of all usable outputs; `extra` (N, rows, columns of outputs), a mask too; weights likewise.

    Where masks or weights make that slow and some rows here and there are `enough`, those.
    """
    total = None
    if enough and (extra is not None or weights is not None or pair.weights is not None or pair.mask is not None):
        work = len(pair.after) * pair.count(frame) * (pair.before.shape[1] * frame.size[0] * frame.size[1]) ** 2
        if (every := int(work / _WORK)) > 1:
            for place in islice(places(pair, frame, 8 * max(1, pair.after.shape[-1])), 0, None, every):
                part = _of_band(pair, frame, cut(pair, frame, *place), origins, threads, extra, weights)
                total = part if total is None else replace(total, matrix=total.matrix + part.matrix)
            return total
    for part in over(pair, frame, _of_band, origins, threads, extra, weights, samples=_TASK):
        total = part if total is None else replace(total, matrix=total.matrix + part.matrix)
    return total


def origins_of(pair: Pair) -> tuple[float, float]:
    """What samples of both pictures are best taken around."""
    return origin_for(sample(pair.before)), origin_for(sample(pair.after))


def _of_band(pair: Pair, frame: Frame, band: Band, origins: tuple[float, float], threads: int, extra: Any, weights: Any) -> Moments:
    used = band.used
    if extra is not None:
        more = extra[band.plane, band.rows, band.columns]
        used = more if used is None else used & more
    w = used
    factor = pair.weights if weights is None else weights
    if factor is not None:
        w = np.asarray(factor[band.plane, band.rows, band.columns], dtype=float)
        w = w if used is None else np.where(used, w, 0.0)
    return of_pair(band.x, band.y, frame.size, origins, threads, w)
