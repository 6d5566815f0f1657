"""One pass, then no pixels: every product sum that fitting a kernel needs.

For each output pixel let ``v = (1, patch, outputs)``: one, the C * kh * kw pixels of `before`
under the window, the D samples of `after`, each less a fixed origin. The moments are
``M = sum of v v'``. The normal equations, every smaller support, constraints, criteria and
error bars are read off M; M of two sets of pixels together is the sum of theirs.

Origins keep the products small: the background of a photograph would otherwise cost digits. Those
of 8-bit images are fixed and their sums are integers below 2**53: exact, whatever came first.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .gram import patch_gram, patch_sums
from .lagsums import by_transforms, lags, together
from .pieces import all_finite, totals

__all__ = ["Moments", "of_pair", "of_rows", "origin_for"]

_BLOCK = 1 << 21  # numbers in a block of rows of patches: 16 MiB


@dataclass(frozen=True, slots=True, eq=False)
class Moments:
    """``sum v v'`` of the pixels seen so far, for windows of `size`."""

    size: tuple[int, int]
    channels: int
    outputs: int
    origins: tuple[float, float]
    matrix: NDArray[np.float64]

    @property
    def taps(self) -> int:
        return self.channels * self.size[0] * self.size[1]

    @property
    def count(self) -> float:
        """The number of output pixels, or the sum of their weights."""
        return float(self.matrix[0, 0])

    def __add__(self, other: Moments) -> Moments:
        moved = other.around(self.origins).matrix
        return Moments(self.size, self.channels, self.outputs, self.origins, self.matrix + moved)

    def around(self, origins: tuple[float, float]) -> Moments:
        """The same pixels less other origins."""
        if origins == self.origins:
            return self
        change = np.zeros(len(self.matrix))
        change[1 : 1 + self.taps] = self.origins[0] - origins[0]
        change[1 + self.taps :] = self.origins[1] - origins[1]
        m = self.matrix + np.outer(change, self.matrix[0])  # v becomes v + change * v[0]
        m = m + np.outer(m[:, 0], change)
        return Moments(self.size, self.channels, self.outputs, origins, m)

    def crop(self, top: int, left: int, size: tuple[int, int]) -> Moments:
        """Of windows of `size` that lie so far inside the larger ones; no pixels are needed."""
        index = np.arange(self.taps).reshape(self.channels, *self.size)
        kept = index[:, top : top + size[0], left : left + size[1]].ravel()
        rows = np.concatenate([[0], 1 + kept, 1 + self.taps + np.arange(self.outputs)])
        return Moments(size, self.channels, self.outputs, self.origins, self.matrix[np.ix_(rows, rows)])


def origin_for(image: NDArray) -> float:
    """What samples of this image are best taken around: known from the type for one byte, else near the mean."""
    if image.dtype.itemsize == 1 or not image.size:
        return 128.0 if image.dtype == np.uint8 else 0.0
    step = tuple(slice(None, None, max(1, n // 512)) for n in image.shape[-2:])
    sample = np.asarray(image[(..., *step)], dtype=float)
    finite = sample[np.isfinite(sample)]
    mean = float(finite.mean()) if finite.size else 0.0
    if image.dtype.kind in "iu" or not mean:
        return float(round(mean))
    return float(np.ldexp(round(np.ldexp(mean, 8 - (e := int(np.frexp(mean)[1])))), e - 8))  # few digits: differences are exact


def of_pair(
    x: NDArray, y: NDArray, size: tuple[int, int], origins: tuple[float, float], threads: int,
    weights: NDArray | None = None,
) -> Moments:  # fmt: skip
    """Of one pair: x (C, H, W), y (D, H - kh + 1, W - kw + 1), weights (H - kh + 1, W - kw + 1) or None.

    Pixels of weight 0 take no part, whatever is in them.
    """
    channels, outputs = len(x), len(y)
    if weights is None:
        matrix = _by_lags(x, y, size, origins, threads)
    else:
        used = weights != 0
        unit = weights.dtype == bool
        missing = used.size - int(np.count_nonzero(used))
        # Few pixels that take no part are taken out again, unless they are no numbers.
        if unit and missing * 4 < used.size and all_finite(x) and all_finite(y):
            matrix = _by_lags(x, y, size, origins, threads)
            matrix -= of_rows(x, y, size, origins, ~used, None).matrix
        else:
            matrix = of_rows(x, y, size, origins, used, None if unit else weights).matrix
    return Moments(size, channels, outputs, origins, matrix)


def of_rows(
    x: NDArray, y: NDArray, size: tuple[int, int], origins: tuple[float, float], used: NDArray, weights: NDArray | None
) -> Moments:  # fmt: skip
    """The same by writing the patches out, block by block: only of the pixels used, with weights if there are any."""
    channels, outputs = len(x), len(y)
    n = 1 + channels * size[0] * size[1] + outputs
    matrix = np.zeros((n, n))
    rows = max(1, _BLOCK // (n * max(1, y.shape[-1])))
    for top in range(0, y.shape[-2], rows):
        keep = used[top : top + rows]
        if not keep.any():
            continue
        band = slice(top, top + keep.shape[0])
        v = np.ones((n, np.count_nonzero(keep)))
        patches = np.lib.stride_tricks.sliding_window_view(x[:, top : top + keep.shape[0] + size[0] - 1], size, axis=(-2, -1))
        v[1 : n - outputs] = patches[:, keep].transpose(0, 2, 3, 1).reshape(n - 1 - outputs, -1)
        v[n - outputs :] = y[:, band][:, keep]
        v[1 : n - outputs] -= origins[0]
        v[n - outputs :] -= origins[1]
        matrix += (v if weights is None else v * weights[band][keep]) @ v.T
    return Moments(size, channels, outputs, origins, matrix)


def _by_lags(x, y, size, origins, threads) -> NDArray[np.float64]:
    channels, outputs = len(x), len(y)
    taps = channels * size[0] * size[1]
    matrix = np.empty((1 + taps + outputs,) * 2)
    patch, out = slice(1, 1 + taps), slice(1 + taps, None)
    matrix[0, 0] = y.shape[-2] * y.shape[-1]
    matrix[0, patch] = matrix[patch, 0] = patch_sums(x, size, origins[0])
    wide, crosses = None, None
    if channels == 1 and outputs < 4 and y.shape[-1] >= size[1] > 1 and together(x[0], size):
        shared = x[0, : y.shape[-2], size[1] - 1 : y.shape[-1]]
        wide, *crosses = by_transforms([(shared, origins[0]), *((image, origins[1]) for image in y)], x[0], origins[0], threads)
    matrix[patch, patch] = patch_gram(x, size, origins[0], threads, wide)
    for d in range(outputs):
        total, matrix[1 + taps + d, 1 + taps + d] = totals(y[d], origins[1])
        matrix[0, 1 + taps + d] = matrix[1 + taps + d, 0] = total
        cross = crosses[d].ravel() if crosses else np.concatenate([lags(y[d], x[c], origins[::-1], threads).ravel() for c in range(channels)])
        matrix[patch, 1 + taps + d] = matrix[1 + taps + d, patch] = cross
        for e in range(d + 1, outputs):
            matrix[1 + taps + d, 1 + taps + e] = matrix[1 + taps + e, 1 + taps + d] = lags(y[d], y[e], (origins[1],) * 2, threads)[0, 0]
    return matrix
