"""Lag sums, what the statistics of learning and the gradient with respect to a kernel are made of."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from . import _native
from ._errors import ShapeError


def lag_sums(
    a: NDArray, b: NDArray, *, threads: int, origins: tuple[float, float] = (0.0, 0.0), single: bool = False
) -> NDArray[np.float64]:  # fmt: skip
    """``L[p, q]``: the sum over planes, y and x of ``(a[..., y, x] - origins[0]) * (b[..., y + p, x + q] - origins[1])``.

    Parameters
    ----------
    a : array, shape (..., H, W)
        Of real numbers, any strides and byte order.
    b : array, shape (..., H + P - 1, W + Q - 1)
        With the same leading axes, over which is summed too.
    threads : int
        At most this many; the sums do not depend on it.
    origins : (float, float)
        Subtracted from the samples of a and b as they are read.
    single : bool
        Multiply in float32 and add up at most 960 products in float32, those sums in float64.
        Without it all is float64. Samples of one byte within 128 of their origin are always
        multiplied in float32: exactly.

    Returns
    -------
    array of float64, shape (P, Q)
        Exact where the samples, less their origins, are integers and the sums of their
        products' magnitudes stay below 2**53.

    Samples have to be finite: a NaN may spread from the lags that see it to others.

    Raises
    ------
    ShapeError
        If b is not at least as large as a, or their leading axes differ.

    Examples
    --------
    >>> lag_sums(np.array([[1, 2]]), np.array([[1, 10, 100]]), threads=1)
    array([[ 21., 210.]])
    """
    if a.ndim < 2 or a.shape[:-2] != b.shape[:-2] or any(n > m for n, m in zip(a.shape[-2:], b.shape[-2:], strict=True)):
        raise ShapeError(f"lag sums need stacks of planes, those of b at least as large as those of a; got {a.shape} and {b.shape}")
    out = np.empty(tuple(m - n + 1 for n, m in zip(a.shape[-2:], b.shape[-2:], strict=True)))
    exact_in_single = all(_is_small(x, origin) for x, origin in zip((a, b), origins, strict=True))
    _native.lag_sums(a, b, out, *origins, single or exact_in_single, threads)
    return out


def lag_spectra(
    firsts: list[NDArray], b: NDArray, *, tile: tuple[int, int], threads: int, origins: list[float], origin: float = 0.0
) -> NDArray[np.float64]:  # fmt: skip
    """Those of several a, planes, with one b that is at least as large: by transforms of tiles, whose spectra add up.

    The result has room for the most lags of any; what an a has beyond its own means nothing. A tile's sides
    are powers of two, or three times one, from 64 to 2048, and larger than the lags.
    """
    spans = [max(m - a.shape[axis] for a in firsts) for axis, m in enumerate(b.shape)]
    out = np.empty((len(firsts), spans[0] + 1, spans[1] + 1))
    _native.lag_spectra(firsts, b, out, origins, origin, tile, threads)
    return out


def _is_small(samples: NDArray, origin: float) -> bool:
    """Whether they are integers within 128 of the origin, whatever they are."""
    kind = samples.dtype
    if kind.itemsize > 1 or origin != int(origin):
        return False
    low, high = (0, 1) if kind == bool else (np.iinfo(kind).min, np.iinfo(kind).max)
    return max(high - origin, origin - low) <= 128
