"""The steps of integer samples, and where they stop: quantisation and saturation."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._errors import OptionError
from .moments import Moments
from .lazy import parts
from .pairs import Frame, Pair, cut, moments, over
from .pieces import pieces
from .residual import predicted
from .solve import normal, solve

__all__ = ["clipped", "level_unit", "precision_of"]

_ENOUGH = 16  # pixels at a level that make it worth a look
_SHARE = 5e-4
_ROWS = 1 << 18  # outputs of which it is worked out at a time whether they lie inside


def level_unit(pair: Pair) -> float:
    """The step between samples of `after`: 1 for integers, also held as floats; 1/255 or 1/65535; 0 for anything else."""
    if pair.after.dtype.kind != "f":
        return 1.0
    rows = slice(None, None, max(1, pair.after.shape[-2] // 64))
    y = np.asarray(pair.after[0, 0, rows], dtype=float)
    y = y[np.isfinite(y)]
    for unit in (1.0, 1 / 255, 1 / 65535):
        steps = y / unit
        if y.size and np.abs(steps - np.rint(steps)).max() < 0.01:
            return unit if np.ptp(y) >= 8 * unit else 0.0
    return 0.0


def precision_of(total: Moments, pair: Pair, k: NDArray | None = None) -> float:
    """What float samples of `after` may be off by arithmetic alone; 0 where they are integers."""
    if pair.after.dtype.kind != "f":
        return 0.0
    n = max(total.count, 1e-300)
    diagonal = np.diag(total.matrix)
    if k is None:
        size = np.sqrt(float(diagonal[1 + total.taps :].max()) / n) + abs(total.origins[1])
    else:
        size = (np.sqrt(float(diagonal[1 : 1 + total.taps].max(initial=0)) / n) + abs(total.origins[0])) * float(np.abs(k).sum(0).max(initial=0))
    return (2.0**-10 if pair.after.dtype.itemsize == 2 else 2.0**-22) * size


def clipped(pair: Pair, frame: Frame, total: Moments, origins: tuple[float, float], request: Any) -> tuple[_Between | None, int]:
    """Which outputs to leave out because they are *predicted* beyond the levels where `after` stops; and how many there are.

    Leaving out those that are observed at a level would prefer noise of one sign near it.
    """
    levels = _levels(pair, request.clip)
    if levels is None:
        return None, 0
    low, high = levels
    at = _share_at(pair, low, high)
    if request.clip == "auto" and not at:
        return None, 0
    system = normal(total, request.bias)
    solution = solve(system)
    n = max(total.count, 1)
    unit = level_unit(pair)
    noise = np.sqrt(float(solution.rss.sum()) / n / total.outputs)
    # Flat parts of a picture are predicted to lie on the level itself, give or take arithmetic.
    floor = max(unit, precision_of(total, pair, solution.k))
    if noise <= max(0.31 * unit, 1e-6 * np.sqrt(float(system.energy.sum()) / n)):
        k = np.ascontiguousarray(solution.k.T).reshape(total.outputs, total.channels, *total.size)
        if _by_prediction(pair, frame, k, system.offsets(solution.k), low, high, max(noise, floor), request.threads)[1] < _ENOUGH:
            return None, 0  # nothing is predicted beyond, and hardly anything is left to explain
    inside = _Between(replace(pair, spread=None), low, high)
    best = None
    for _ in range(5):
        part = moments(pair, frame, origins, request.threads, inside, enough=True)
        if part.count < 4 * part.taps + 8:
            break
        system = normal(part, request.bias)
        solution = solve(system)
        if solution.deficiency:
            break
        k = np.ascontiguousarray(solution.k.T).reshape(total.outputs, total.channels, *total.size)
        bias = system.offsets(solution.k)
        margin = max(np.sqrt(float(solution.rss.sum()) / part.count / total.outputs), floor)
        last, best = best, _by_prediction(pair, frame, k, bias, low, high, margin, request.threads)
        inside = best[0]
        if last is not None and last[1] == best[1]:
            break
    if best is None or best[1] < _ENOUGH:
        return None, 0
    # What was cut off lies on a level; what a wrong kernel predicts to lie beyond lies anywhere.
    inside, beyond, there = best
    return (inside, beyond) if there > 0.8 * beyond else (None, 0)


def _levels(pair: Pair, clip: Any) -> tuple[float, float] | None:
    if clip is None or (isinstance(clip, str) and clip == "none"):
        return None
    if isinstance(clip, str):
        if clip != "auto":
            raise OptionError(f'clip={clip!r} is not understood; use "auto", None or (low, high)')
        low, high = np.inf, -np.inf
        for y in (y for plane in range(len(pair.after)) for part in parts(pair.after, plane) for y in _pieces(part)):
            y = y[np.isfinite(y)] if y.dtype.kind == "f" and not np.isfinite(y.min() + y.max()) else y
            if y.size:
                low, high = min(low, float(y.min())), max(high, float(y.max()))
        return (low, high) if low < high else None
    try:
        low, high = (float(v) for v in clip)
    except (TypeError, ValueError):
        raise OptionError(f'clip={clip!r} is not understood; use "auto", None or (low, high)') from None
    if not low < high:
        raise OptionError(f"clip=({low:g}, {high:g}) is empty; give the lower level first")
    return low, high


def _share_at(pair: Pair, low: float, high: float) -> bool:
    """Whether so many pixels lie exactly on a level that they may have been cut off there."""
    there = sum(np.array([np.count_nonzero(y == level) for level in (low, high)]) for part in parts(pair.after, 0) for y in _pieces(part))
    return bool((there >= max(_ENOUGH, _SHARE * math.prod(pair.after.shape[1:]))).any())


def _pieces(part: NDArray) -> Iterator[NDArray]:
    return (plane[piece] for plane in part for piece in pieces(plane.shape))


@dataclass(frozen=True, slots=True, eq=False)
class _Between:
    """Which outputs lie between the levels, as observed, or as predicted by a kernel: worked out, again, where it is asked for.

    That takes no longer than it did to keep a byte of every output, and no memory that grows with the picture.
    """

    pair: Pair
    low: float
    high: float
    frame: Frame | None = None
    k: NDArray | None = None
    bias: NDArray | None = None
    threads: int = 1

    def __getitem__(self, index: tuple[int, slice, slice]) -> NDArray:
        plane, rows, columns = index
        out = np.empty((rows.stop - rows.start, columns.stop - columns.start), bool)
        step = max(1, _ROWS // max(1, out.shape[1]))
        for top in range(0, len(out), step):
            out[top : top + step] = self._rows(plane, slice(rows.start + top, min(rows.start + top + step, rows.stop)), columns)
        return out

    def _rows(self, plane: int, rows: slice, columns: slice) -> NDArray:
        if self.frame is None:
            return self._within(self.pair.after[plane, :, rows, columns])
        # Of a smaller window there are more outputs than were predicted.
        known = [slice(min(max(s.start, k.start), s.stop), max(s.start, min(s.stop, k.stop))) for s, k in zip((rows, columns), self.pair.outputs(self.frame), strict=True)]
        out = np.zeros((rows.stop - rows.start, columns.stop - columns.start), bool)
        if all(k.stop > k.start for k in known):
            there = tuple(slice(k.start - s.start, k.stop - s.start) for k, s in zip(known, (rows, columns), strict=True))
            out[there] = self._within(predicted(cut(self.pair, self.frame, plane, *known).x, self.k, self.bias, self.threads))
        return out

    def _within(self, values: NDArray) -> NDArray:
        return ((values > self.low) & (values < self.high)).all(0)


def _by_prediction(pair, frame, k, bias, low, high, margin, threads) -> tuple[_Between, int, int]:
    """Outputs predicted inside the levels by a margin, how many are predicted beyond, and how many of those are on a level."""
    inside = _Between(replace(pair, spread=None), low + margin, high - margin, frame, k, bias, threads)
    counts = np.zeros(2, int)
    for found in over(pair, frame, _judged, k, bias, low, high, margin, threads):
        counts += found
    return inside, int(counts[0]), int(counts[1])


def _judged(_pair, _frame, band, k, bias, low, high, margin, threads) -> tuple[int, int]:
    p = predicted(band.x, k, bias, threads)
    below, above = p < low - margin, p > high + margin
    out, hit = (below | above).any(0), ((below & (band.y <= low)) | (above & (band.y >= high))).any(0)
    if band.used is not None:
        out, hit = out & band.used, hit & band.used
    return int(np.count_nonzero(out)), int(np.count_nonzero(hit))
