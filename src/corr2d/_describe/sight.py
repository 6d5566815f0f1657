"""The kernel as the naming engine sees it: trimmed, scaled, with what is often asked of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

__all__ = ["Sight", "sights"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Sight:
    """Weights without empty margins, divided by the largest, sign included."""

    weights: Array
    tolerance: Array  # how far each may be off, in the same unit
    unit: float  # what they were divided by
    margin: int  # taps that were left out: zero as far as the tolerance can tell
    middle: tuple[float, float]  # of the window, seen from the anchor: (y, x) in pixels

    @property
    def shape(self) -> tuple[int, int]:
        return self.weights.shape

    @property
    def radius(self) -> tuple[int, int]:
        return self.shape[0] // 2, self.shape[1] // 2

    @property
    def odd(self) -> bool:
        """Whether a tap lies in the middle."""
        return self.shape[0] % 2 == self.shape[1] % 2 == 1

    @cached_property
    def power(self) -> float:
        """Root mean square of the weights."""
        return float(np.sqrt(np.mean(self.weights**2)))

    @cached_property
    def floor(self) -> float:
        """What a perfect model may miss, as a share of the power."""
        return max(float(np.sqrt(np.mean(self.tolerance**2))) / self.power, 1e-15)

    @cached_property
    def coordinates(self) -> tuple[Array, Array]:
        """y as a column and x as a row, from the middle of the window."""
        y, x = (np.arange(n) - (n - 1) / 2 for n in self.shape)
        return y[:, None], x[None, :]

    @cached_property
    def squared_radius(self) -> Array:
        y, x = self.coordinates
        return y**2 + x**2

    def moment(self, p: int, q: int) -> float:
        """Σ w y^p x^q about the middle of the window."""
        y, x = self.coordinates
        return float((self.weights * y**p * x**q).sum())

    def same(self, other: Array) -> bool:
        """Whether *other* is these weights, as far as the tolerance can tell."""
        return self.misfit(other) <= 1

    def like(self, image: Array) -> bool:
        """Whether *image*, made of these weights, is these weights: both sides are off by the tolerance."""
        return self.misfit(image) <= np.sqrt(2)

    def misfit(self, model: Array) -> float:
        """Root mean square of the difference in tolerances, 1 being the most that chance explains."""
        excess = np.sqrt(np.mean(((self.weights - model) / self.tolerance) ** 2))
        return float(excess / (1 + 3 / np.sqrt(self.weights.size)))

    @cached_property
    def even(self) -> bool:
        """Unchanged by half a turn."""
        return self.like(self.weights[::-1, ::-1])

    @cached_property
    def nonnegative(self) -> bool:
        return bool((self.weights >= -4 * self.tolerance).all())

    @cached_property
    def round(self) -> bool:
        """Unchanged by mirrors and quarter turns."""
        w = self.weights
        return self.shape[0] == self.shape[1] and self.even and self.like(w.T) and self.like(w[::-1])

    @cached_property
    def factors(self) -> tuple[Array, Array] | None:
        """Column and row whose product this is, the column's largest weight ±1."""
        u, s, vt = np.linalg.svd(self.weights, full_matrices=False)
        column, row = u[:, 0], s[0] * vt[0]
        scale = column[np.abs(column).argmax()]
        column, row = column / scale, row * scale
        return (column, row) if self.same(np.outer(column, row)) else None

    @cached_property
    def numbers(self) -> int:
        """How many weights are free to choose, once mirrors and half turns that hold are known."""
        seen = np.arange(self.weights.size).reshape(self.shape)
        w, n = self.weights, self.weights.size
        images = [(w[::-1], seen[::-1]), (w[:, ::-1], seen[:, ::-1]), (w[::-1, ::-1], seen[::-1, ::-1])]
        if w.shape[0] == w.shape[1]:
            images += [(w.T, seen.T), (np.rot90(w), np.rot90(seen))]
        least = seen.copy()
        for image, index in images:
            if self.like(image) or self.like(-image):
                least = np.minimum(least, index)
        for _ in range(3):  # to the smallest index of the whole orbit
            least = least.ravel()[least]
        return min(n, len(np.unique(least)))


def sights(weights: Array, tolerance: Array, tap: tuple[int, int]) -> list[Sight]:
    """The kernel without rows and columns of zeros; and, where that is less, without those that noise explains."""
    found = []
    for empty in (weights == 0, np.abs(weights) <= 4 * tolerance):
        rows, columns = (np.flatnonzero(~empty.all(axis=axis)) for axis in (1, 0))
        if not rows.size:
            break
        window = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        part = weights[window]
        unit = float(part.flat[np.abs(part).argmax()])
        middle = tuple((a[0] + a[-1]) / 2 - t for a, t in zip((rows, columns), tap, strict=True))
        sight = Sight(part / unit, np.maximum(tolerance[window] / abs(unit), 1e-15), unit, weights.size - part.size, middle)
        if not found or found[0].shape != sight.shape:
            found.append(sight)
    return found
