"""Lag sums by whichever way is faster: in registers, or by tiles of a linear, not circular, Fourier transform."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from .._lags import lag_spectra, lag_sums

__all__ = ["by_transform", "by_transforms", "lags", "together"]

_DIRECT = 70  # lags; beyond, transforms are faster (benchmarks/learning.py)
_TOGETHER = 20, 100  # those of one picture with itself and with another, which share a transform; of integers, whose sums are exact in registers
_LENGTHS = (64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048)
_CACHED = 100_000  # points of a tile; larger ones leave the cache


def lags(a: NDArray, b: NDArray, origins: tuple[float, float], threads: int) -> NDArray[np.float64]:
    """``L[p, q] = sum of (a[y, x] - origins[0]) * (b[y + p, x + q] - origins[1])``."""
    spans = tuple(m - n for n, m in zip(a.shape, b.shape, strict=True))
    if math.prod(s + 1 for s in spans) > _DIRECT and _worthwhile(b, spans):
        return by_transform(a, b, origins, threads)
    return lag_sums(a, b, origins=origins, threads=threads)


def together(b: NDArray, size: tuple[int, int]) -> bool:
    """Whether transforms that share that of b are faster for the lags of windows of this size."""
    return math.prod(size) > _TOGETHER[b.dtype.kind != "f"] and _worthwhile(b, (size[0] - 1, 2 * size[1] - 2))


def _worthwhile(b: NDArray, spans: tuple[int, ...]) -> bool:
    return min(b.shape) > 64 and 2 * max(spans) < _LENGTHS[-1]


def by_transform(
    a: NDArray, b: NDArray, origins: tuple[float, float], threads: int, tile: tuple[int, int] | None = None
) -> NDArray[np.float64]:  # fmt: skip
    """The same through spectra."""
    return by_transforms([(a, origins[0])], b, origins[1], threads, tile)[0]


def by_transforms(
    firsts: list[tuple[NDArray, float]], b: NDArray, origin: float, threads: int, tile: tuple[int, int] | None = None
) -> list[NDArray[np.float64]]:  # fmt: skip
    """Of several a, each with its origin, and one b: through spectra, which add up over tiles; one transform back, at the end.

    Products of integers are rounded to integers, which they are.
    """
    spans = [tuple(m - n for n, m in zip(a.shape, b.shape, strict=True)) for a, _ in firsts]
    span = tuple(max(s) for s in zip(*spans, strict=True))
    outputs = tuple(m - min(s) for m, s in zip(b.shape, zip(*spans, strict=True), strict=True))
    images, origins = (list(part) for part in zip(*firsts, strict=True))
    found = lag_spectra(images, b, tile=tile or _tile(outputs, span), threads=threads, origins=origins, origin=origin)
    whole = [all(x.dtype.kind in "biu" and x.dtype.itemsize == 1 and o == int(o) for x, o in ((a, less), (b, origin))) for a, less in firsts]
    return [
        (np.rint(sums) if exact else sums)[: down + 1, : across + 1]
        for sums, exact, (down, across) in zip(found, whole, spans, strict=True)
    ]  # fmt: skip


@lru_cache(maxsize=256)
def _tile(outputs: tuple[int, int], span: tuple[int, int]) -> tuple[int, int]:
    """Rows and columns of the tiles of least work."""

    def work(size: tuple[int, int]) -> float:
        tiles = math.prod(-(-n // (k - s)) for n, k, s in zip(outputs, size, span, strict=True))
        points = math.prod(size)
        return (tiles + 1) // 2 * points * math.log2(points) * max(1.0, (0.3 + 0.7 * points / _CACHED))

    lengths = [[n for n in _LENGTHS if n > s] for s in span]
    return min(((down, across) for down in lengths[0] for across in lengths[1]), key=work)
