"""The nearest simple fractions: ``[1 2 1; 2 4 2; 1 2 1] / 16``."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

__all__ = ["Rational", "nearest_rational"]

_LARGEST_DIVISOR = 100_000


@dataclass(frozen=True)
class Rational:
    """Whole numbers over one divisor."""

    numerators: NDArray[np.int64]
    divisor: int

    def __str__(self) -> str:
        rows = "; ".join(" ".join(map(str, row)) for row in self.numerators.tolist())
        return f"[{rows}]" + (f" / {self.divisor}" if self.divisor != 1 else "")


def nearest_rational(weights: NDArray[np.float64], tolerance: NDArray[np.float64]) -> Rational | None:
    """Fractions with the least common divisor within the tolerance; None where it would pass 100,000.

    Each weight takes the simplest fraction of its interval (the first that the tree of Stern
    and Brocot meets), given the divisor that the weights before it need.

    Examples
    --------
    >>> w = np.array([[1.0, 2, 1]]) / 16
    >>> str(nearest_rational(w, np.full(w.shape, 1e-9)))
    '[1 2 1] / 16'
    """
    divisor = 1
    order = np.argsort(-np.abs(weights), axis=None)
    for value, slack in zip(weights.ravel()[order].tolist(), tolerance.ravel()[order].tolist(), strict=True):
        scaled = value * divisor
        if abs(scaled - round(scaled)) <= slack * divisor:
            continue
        simplest = _simplest(Fraction(value - slack) * divisor, Fraction(value + slack) * divisor)
        divisor *= simplest.denominator
        if divisor > _LARGEST_DIVISOR:
            return None
    numerators = np.rint(weights * divisor)
    if np.abs(numerators).max() >= 2**53 or not numerators.any():
        return None
    whole = numerators.astype(np.int64)
    # As many true equalities as chance would give are no form: a divisor that large fits anything.
    if divisor > 1 and divisor * float(tolerance.max()) > 0.05:
        return None
    common = math.gcd(divisor, *map(int, whole.ravel()))
    return Rational(whole // common, divisor // common)


def _simplest(low: Fraction, high: Fraction) -> Fraction:
    """The fraction of least denominator between two."""
    if low < 0 < high or low == 0 or high == 0:
        return Fraction(0)
    if high < 0:
        return -_simplest(-high, -low)
    floor = math.floor(low)
    if floor == low:
        return Fraction(floor)
    if floor + 1 <= high:
        return Fraction(floor + 1)
    return floor + 1 / _simplest(1 / (high - floor), 1 / (low - floor))
