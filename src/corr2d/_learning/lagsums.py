"""Lag sums by whichever way is faster: in registers, or by tiles of a linear, not circular, Fourier transform."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .._lags import lag_sums

__all__ = ["by_transform", "lags"]

_DIRECT = 1000  # lags; beyond, transforms are faster (benchmarks/learning.py)
_TILE = 1024


def lags(a: NDArray, b: NDArray, origins: tuple[float, float], threads: int) -> NDArray[np.float64]:
    """``L[p, q] = sum of (a[y, x] - origins[0]) * (b[y + p, x + q] - origins[1])``."""
    wanted = (b.shape[0] - a.shape[0] + 1) * (b.shape[1] - a.shape[1] + 1)
    if wanted > _DIRECT and min(b.shape) > 64:
        return by_transform(a, b, origins, threads)
    return lag_sums(a, b, origins=origins, threads=threads)


def by_transform(a: NDArray, b: NDArray, origins: tuple[float, float], threads: int, tile: int = _TILE) -> NDArray[np.float64]:
    """The same through spectra, which add up over tiles; one transform back, at the end.

    Each tile of a is followed by zeros as far as the lags reach: the circle never closes.
    Products of integers are rounded to integers, which they are.
    """
    from scipy import fft

    span = tuple(m - n for n, m in zip(a.shape, b.shape, strict=True))
    n = tuple(fft.next_fast_len(min(max(tile, 4 * s), m), real=True) for s, m in zip(span, b.shape, strict=True))
    step = tuple(k - s for k, s in zip(n, span, strict=True))
    total = np.zeros((n[0], n[1] // 2 + 1), complex)
    first, second = np.zeros(n), np.zeros(n)
    for top in range(0, a.shape[0], step[0]):
        for left in range(0, a.shape[1], step[1]):
            _fill(first, a[top : top + step[0], left : left + step[1]], origins[0])
            # What tiles of b hold beyond the lags of their tile of a meets its zeros.
            _fill(second, b[top : top + n[0], left : left + n[1]], origins[1])
            spectrum = fft.rfft2(first, workers=threads)
            np.conj(spectrum, out=spectrum)
            spectrum *= fft.rfft2(second, workers=threads)
            total += spectrum
    sums = fft.irfft2(total, n, workers=threads)[: span[0] + 1, : span[1] + 1]
    whole = all(x.dtype.kind in "biu" and x.dtype.itemsize == 1 and o == int(o) for x, o in zip((a, b), origins, strict=True))
    return np.rint(sums) if whole else sums.copy()


def _fill(tile: NDArray, part: NDArray, origin: float) -> None:
    rows, columns = part.shape
    tile[rows:] = 0
    tile[:rows, columns:] = 0
    np.subtract(part, origin, out=tile[:rows, :columns], dtype=float, casting="unsafe")
