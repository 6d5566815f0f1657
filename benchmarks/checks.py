"""Nothing is timed before it is right.

corr2d is held to the contract's accuracy bound against tests/oracle.py's exact sums, in
windows at the corners, the edges and the centre. A rival is compared with corr2d over the
whole image; where they differ by more than both may err, the exact sum at the worst pixel
says who is wrong.
"""

from __future__ import annotations

from itertools import product
from typing import Any, NamedTuple

import numpy as np
import suites  # noqa: F401  (puts tests/ on the path)
from rivals import Job

import oracle

WINDOW = 10  # outputs a side
INTEGER_SHARE = 0.01  # of a rival's integer results may be one step off: its sums are rounded differently


class Difference(NamedTuple):
    """Largest differences as a share of what is allowed, and where the worst one is."""

    interior: float
    border: float
    where: tuple[int, ...]

    @property
    def matches(self) -> bool:
        return max(self.interior, self.border) <= 1


class Yardstick:
    """The exact result of a job, window by window, and what may differ from it."""

    def __init__(self, job: Job, dtype: Any):
        self.job, self.dtype = job, dtype
        image = job.image
        low, high = image.min(), image.max()
        self.extremes = np.array([[low, high]], image.dtype)  # all that the bound wants to know of the image
        self.bound = float(oracle.tolerance(self.extremes, job.kernel, dtype=dtype))
        self._windows: list[tuple[tuple, np.ndarray]] | None = None

    def windows(self) -> list[tuple[tuple, np.ndarray]]:
        """(index into a planes-first result, exact values) of every window that is checked."""
        if self._windows is None:
            planes = planes_first(self.job.image, self.job)
            lead = [i for i in np.ndindex(*planes.shape[:-2])]
            spots = product(dict.fromkeys((lead[0], lead[-1])), *map(_places, planes.shape[-2:]))
            self._windows = [((*i, y, x), self.exact(i, y, x)) for i, y, x in spots]
        return self._windows

    def exact(self, plane: tuple, rows: slice, columns: slice) -> np.ndarray:
        """The exact outputs of one window, through the oracle's index maps."""
        job = self.job
        pixels = planes_first(job.image, job)[plane]
        ys, xs = (
            oracle.source(np.arange(part.start - r, part.stop + r), n, job.boundary)
            for part, r, n in zip((rows, columns), job.radius, pixels.shape, strict=True)
        )
        seen = pixels[np.ix_(ys, xs)]
        seen[(ys < 0)[:, None] | (xs < 0)[None, :]] = 0
        return oracle.exact(seen, job.kernel)

    def objection(self, result: np.ndarray) -> str:
        """What is wrong with corr2d's result by the contract, or ""."""
        if result.shape != self.job.out.shape:
            return f"shape {result.shape} instead of {self.job.out.shape}"
        result = planes_first(result, self.job)
        for index, truth in self.windows():
            problem = self._verify(result[index], truth)
            if problem:
                return f"window {_text(index)}: {problem}"
        return ""

    def objection_at(self, result: np.ndarray, where: tuple[int, ...]) -> str:
        """The same for one pixel."""
        *plane, y, x = where
        one = slice(y, y + 1), slice(x, x + 1)
        problem = self._verify(planes_first(result, self.job)[(*plane, *one)], self.exact(tuple(plane), *one))
        return problem and f"pixel {where}: {problem}"

    def _verify(self, result, truth) -> str:
        try:
            oracle.check(result, self.extremes, self.job.kernel, truth=truth, dtype=self.dtype)
        except AssertionError as error:
            return str(error)
        return ""

    def error(self, result: np.ndarray) -> float:
        """Largest error in the windows, as a share of the contract's bound (of one step, for integers)."""
        result, worst = planes_first(result, self.job), 0.0
        for index, truth in self.windows():
            got = result[index].astype(np.longdouble)
            if result.dtype.kind in "iu":
                info = np.iinfo(result.dtype)
                worst = max(worst, float(np.abs(got - np.clip(np.rint(truth), info.min, info.max)).max()))
            else:
                worst = max(worst, float(np.abs(got - truth).max()) / self.bound)
        return worst

    def difference(self, ours: np.ndarray, theirs: np.ndarray) -> Difference:
        """Two results compared over the whole image; both may err by the contract's bound."""
        ours, theirs = planes_first(ours, self.job), planes_first(theirs, self.job)
        if ours.shape != theirs.shape:
            return Difference(np.inf, np.inf, (0,) * ours.ndim)
        if ours.dtype.kind in "iu":
            gap = np.abs(ours.astype(np.int32) - theirs).astype(np.float32)
            gap *= max(1.0, (gap > 0).mean() / INTEGER_SHARE)  # 1 = one step off, in few places
        else:
            gap = np.abs(np.subtract(theirs, ours))
            gap /= 2 * self.bound
        gap[np.isnan(gap)] = np.inf
        inner = tuple(slice(r, n - r) for r, n in zip(self.job.radius, gap.shape[-2:], strict=True))
        interior = float(gap[(..., *inner)].max(initial=0))
        where = tuple(int(i) for i in np.unravel_index(np.argmax(gap), gap.shape))
        worst = float(gap[where])
        gap[(..., *inner)] = 0
        return Difference(interior, float(gap.max(initial=0)), where) if worst else Difference(0.0, 0.0, where)


def planes_first(array: np.ndarray, job: Job) -> np.ndarray:
    """A view (..., H, W), channels moved to the front."""
    return np.moveaxis(array, -1, -3) if job.channels_last else array


def _places(n: int) -> list[slice]:
    """First, middle and last window along an axis."""
    size = min(WINDOW, n)
    return [slice(a, a + size) for a in sorted({0, (n - size) // 2, n - size})]


def _text(index: tuple) -> str:
    return "[" + ", ".join(f"{i.start}:{i.stop}" if isinstance(i, slice) else str(i) for i in index) + "]"
