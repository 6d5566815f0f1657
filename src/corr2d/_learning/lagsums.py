"""Lag sums by whichever way is faster: in registers, or by tiles of a linear, not circular, Fourier transform."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .._lags import lag_sums

__all__ = ["by_transform", "by_transforms", "lags", "together"]

_DIRECT = 1000  # lags; beyond, transforms are faster (benchmarks/learning.py)
_TOGETHER = 600, 1200  # those of one picture with itself and with another, which share a transform; samples of one byte
_TILE = 1024


def lags(a: NDArray, b: NDArray, origins: tuple[float, float], threads: int) -> NDArray[np.float64]:
    """``L[p, q] = sum of (a[y, x] - origins[0]) * (b[y + p, x + q] - origins[1])``."""
    wanted = (b.shape[0] - a.shape[0] + 1) * (b.shape[1] - a.shape[1] + 1)
    if wanted > _DIRECT and min(b.shape) > 64:
        return by_transform(a, b, origins, threads)
    return lag_sums(a, b, origins=origins, threads=threads)


def together(b: NDArray, wanted: int) -> bool:
    """Whether transforms that share that of b are faster for so many lags of each."""
    return wanted > _TOGETHER[b.dtype.itemsize == 1] and min(b.shape) > 64


def by_transform(a: NDArray, b: NDArray, origins: tuple[float, float], threads: int, tile: int = _TILE) -> NDArray[np.float64]:
    """The same through spectra."""
    return by_transforms([(a, origins[0])], b, origins[1], threads, tile)[0]


def by_transforms(
    firsts: list[tuple[NDArray, float]], b: NDArray, origin: float, threads: int, tile: int = _TILE
) -> list[NDArray[np.float64]]:  # fmt: skip
    """Of several a, each with its origin, and one b: through spectra, which add up over tiles; one transform back, at the end.

    Each tile of a is followed by zeros as far as the lags reach: the circle never closes.
    Products of integers are rounded to integers, which they are.
    """
    from scipy import fft

    spans = [tuple(m - n for n, m in zip(a.shape, b.shape, strict=True)) for a, _ in firsts]
    span = tuple(max(s) for s in zip(*spans, strict=True))
    n = tuple(fft.next_fast_len(min(max(tile, 4 * s), m), real=True) for s, m in zip(span, b.shape, strict=True))
    step = tuple(k - s for k, s in zip(n, span, strict=True))
    totals = [np.zeros((n[0], n[1] // 2 + 1), complex) for _ in firsts]
    first, second = np.zeros(n), np.zeros(n)
    rows, columns = (max(sides) for sides in zip(*(a.shape for a, _ in firsts), strict=True))
    for top in range(0, rows, step[0]):
        for left in range(0, columns, step[1]):
            # What tiles of b hold beyond the lags of their tile of a meets its zeros.
            _fill(second, b[top : top + n[0], left : left + n[1]], origin)
            there = fft.rfft2(second, workers=threads)
            for (a, less), total in zip(firsts, totals, strict=True):
                _fill(first, a[top : top + step[0], left : left + step[1]], less)
                spectrum = fft.rfft2(first, workers=threads)
                np.conj(spectrum, out=spectrum)
                spectrum *= there
                total += spectrum
    found = []
    for (a, less), total, (down, across) in zip(firsts, totals, spans, strict=True):
        sums = fft.irfft2(total, n, workers=threads)[: down + 1, : across + 1]
        whole = all(x.dtype.kind in "biu" and x.dtype.itemsize == 1 and o == int(o) for x, o in ((a, less), (b, origin)))
        found.append(np.rint(sums) if whole else sums.copy())
    return found


def _fill(tile: NDArray, part: NDArray, origin: float) -> None:
    rows, columns = part.shape
    tile[rows:] = 0
    tile[:rows, columns:] = 0
    np.subtract(part, origin, out=tile[:rows, :columns], dtype=float, casting="unsafe")
