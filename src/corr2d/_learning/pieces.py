"""Pictures looked at in pieces that stay in the second-level cache, so that what NumPy makes on the way never goes to memory."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

__all__ = ["PIECE", "all_finite", "pieces", "square", "totals"]

PIECE = 1 << 16  # samples: half a MiB of doubles
_ALONE = 1 << 13  # of a product sum: BLAS shares out longer ones among threads, whose number would show in the last digit


def pieces(shape: tuple[int, ...]) -> Iterator[tuple[slice, slice]]:
    """Rows and columns of all pieces of a plane, of its last two axes."""
    h, w = shape[-2:]
    across = min(w, PIECE)
    down = max(1, PIECE // max(1, across))
    for top in range(0, h, down):
        for left in range(0, w, max(1, across)):
            yield slice(top, min(top + down, h)), slice(left, min(left + across, w))


def all_finite(planes: NDArray) -> bool:
    """Whether all samples of (C, H, W) are numbers."""
    return planes.dtype.kind != "f" or all(bool(np.isfinite(plane[part]).all()) for plane in planes for part in pieces(plane.shape))


def totals(image: NDArray, origin: float) -> tuple[float, float]:
    """The sums of a picture's samples, less the origin, and of their squares; those of integers below 2**53 exactly."""
    total = squares = 0.0
    room = np.empty(PIECE)
    for part in pieces(image.shape):
        seen = image[part]
        values = room[: seen.size]
        np.copyto(values.reshape(seen.shape), seen, casting="unsafe")
        if origin:
            values -= origin
        total += float(values.sum())
        squares += square(values)
    return total, squares


def square(values: NDArray[np.float64]) -> float:
    """The sum of the squares of a vector."""
    return float(sum(part @ part for part in (values[i : i + _ALONE] for i in range(0, len(values), _ALONE))))
