"""What was measured on a kernel: the facts that methods decide by.

Facts are measured on the array, never declared; with no absolute epsilon anywhere, so a
kernel and a thousandth of it get the same answer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from ._remember import Remembered, content

Factors = tuple[np.ndarray, np.ndarray]

# How far a kernel may be from its rank-1 form, as a share of sum|k|. Weights that were
# rounded to float32 on the way differ by up to 2^-24; a float64 result tolerates 2^-52.
RANK_ONE_SINGLE = 2.0**-23
RANK_ONE_DOUBLE = 2.0**-52

# Weights that add up to more are no integers to anyone: no sum of theirs is exact, and beyond 2^53
# every float is whole, which must not make another kernel of a large one.
LARGEST_INTEGERS = 2.0**62

# Products of a column and a row that are looked for; more were never the fastest.
MOST_TERMS = 6


@dataclass(frozen=True, slots=True)
class KernelFacts:
    """Facts about one kernel; `weights` is what was measured."""

    weights: np.ndarray = field(compare=False, repr=False)
    finite: bool
    integer: bool  # every weight is an integer, and their sums are worth keeping exact
    binary_places: int | None  # least s such that every weight is an integer times 2**-s; None above 32
    real: bool
    abs_sum: float  # the largest sum of |k| over one output's taps
    nonzeros: int
    used: int  # taps that are not zero for some output: of (I, kh, kw)
    factors: Factors | None = field(compare=False, repr=False)  # (column, row) of the nearest rank-1 kernel
    residual: float  # sum |k - column row| / sum |k|; inf when no factors were found
    constant: bool  # one weight everywhere
    mirror: int  # the kernel left to right is itself (1), its negative (-1) or neither (0)
    terms: Factors | None = field(compare=False, repr=False)  # (columns, rows), a product each, that add up to the kernel
    terms_residual: float  # sum |k - what they add up to| / sum |k|; inf where many would be needed
    biases: np.ndarray | None = field(default=None, compare=False, repr=False)  # of each output channel, in the problem's place

    @property
    def separable(self) -> bool:
        """Whether the factors reproduce the kernel to float32 precision."""
        return self.residual <= RANK_ONE_SINGLE


_kept: Remembered[KernelFacts] = Remembered(16 << 20)


def analyse(weights: np.ndarray) -> KernelFacts:
    """Measure a kernel (float64 or complex128); facts are remembered by its content.

    Examples
    --------
    >>> analyse(np.outer([1.0, 2.0, 1.0], [-1.0, 0.0, 1.0])).separable
    True
    """
    return _kept.get(content(weights), lambda: _measure(_own(weights)), lambda facts: 2 * facts.weights.nbytes + 1024)


def unmeasured(weights: np.ndarray, biases: np.ndarray | None) -> KernelFacts:
    """What is taken for granted of real weights that a training step will change: dense, without structure."""
    own = tuple(range(-2 if weights.ndim < 4 else -3, 0))  # the taps of one output
    abs_sum = float(np.abs(weights).sum(axis=own).max(initial=0))
    finite = math.isfinite(abs_sum)
    return KernelFacts(
        weights, finite, False, None, True, abs_sum, weights.size, math.prod(weights.shape[axis] for axis in own), None, math.inf,
        False, 0, None, math.inf, biases,
    )  # fmt: skip


def _own(weights: np.ndarray) -> np.ndarray:
    """What is remembered must not change with the caller's array."""
    if not weights.flags.writeable and weights.flags.c_contiguous and weights.base is None:
        return weights
    weights = weights.copy()
    weights.flags.writeable = False
    return weights


def _measure(weights: np.ndarray) -> KernelFacts:
    magnitude = np.abs(weights)
    finite = bool(np.isfinite(magnitude).all())
    real = weights.dtype.kind != "c"
    abs_sum = float(magnitude.sum(axis=tuple(range(1, weights.ndim))).max()) if weights.ndim == 4 else float(magnitude.sum())
    integer = finite and abs_sum < LARGEST_INTEGERS and bool((weights == np.rint(weights)).all())  # both parts of a complex one
    used = int(np.count_nonzero(magnitude.any(axis=0) if weights.ndim == 4 else magnitude))
    places = 0 if integer else _binary_places(weights) if finite and real and abs_sum < LARGEST_INTEGERS else None
    factors, residual = None, math.inf
    if finite and real and weights.ndim == 2:
        factors, residual = _rank_one(weights, integer)
    constant = finite and real and weights.ndim == 2 and bool((weights == weights[0, 0]).all())
    mirror = _mirror(weights) if real and weights.ndim == 2 else 0
    terms, missed = None, math.inf
    if finite and real and weights.ndim == 2 and not integer and residual > RANK_ONE_SINGLE:
        terms, missed = _few_terms(weights)
    return KernelFacts(
        weights, finite, integer, places, real, abs_sum, int(np.count_nonzero(weights)), used, factors, residual, constant,
        mirror, terms, missed,
    )  # fmt: skip


def _mirror(k: np.ndarray) -> int:
    turned = k[:, ::-1]
    return 1 if np.array_equal(k, turned) else -1 if np.array_equal(k, -turned) else 0


def _binary_places(k: np.ndarray) -> int | None:
    def whole(places):
        scaled = np.ldexp(k, places)
        return bool((scaled == np.rint(scaled)).all())

    return next(filter(whole, range(1, 33))) if whole(32) else None


def _rank_one(k: np.ndarray, integer: bool) -> tuple[Factors | None, float]:
    """The factors of the nearest rank-1 kernel, and the share of sum|k| that they miss.

    Through the largest weight first (exact for a rank-1 kernel, and cheap to refuse with);
    then by singular vectors, which spread the rounding of the weights evenly.
    """
    scale = np.abs(k).max()
    if scale == 0:
        return (np.zeros(k.shape[0]), np.zeros(k.shape[1])), 0.0
    _, exponent = math.frexp(scale)
    k = np.ldexp(k, -exponent)  # exact, so tiny and huge kernels are measured alike
    total = np.abs(k).sum()
    y, x = np.unravel_index(np.abs(k).argmax(), k.shape)
    column, row = k[:, x] / k[y, x], k[y].copy()
    if integer:
        return _integer_factors(np.ldexp(k, exponent), y, x)
    residual = _missing(k, column, row, total)
    if residual > 1e-3:
        return None, math.inf
    if residual > 0 and min(k.shape) > 1:
        u, s, vt = np.linalg.svd(k, full_matrices=False)
        vt = _as_mirrored(vt, k)
        better = _missing(k, u[:, 0], s[0] * vt[0], total)
        if better < residual:
            column, row, residual = u[:, 0], s[0] * vt[0], better
    half = exponent // 2  # shared, so that neither factor leaves float32's range
    return _balanced(np.ldexp(column, half), np.ldexp(row, exponent - half)), float(residual)


def _few_terms(k: np.ndarray) -> tuple[Factors | None, float]:
    """The fewest products of a column and a row that add up to the kernel as well as float32 can tell.

    Elimination through the largest weight left finds the space of the columns, and refuses a
    kernel of full rank after a few steps; singular vectors within it cancel least.
    """
    _, exponent = math.frexp(np.abs(k).max())
    k = np.ldexp(k, -exponent)
    total, rest, columns = np.abs(k).sum(), k.copy(), []
    most = min(MOST_TERMS, min(k.shape) // 2)
    while len(columns) < most and np.abs(rest).sum() > RANK_ONE_SINGLE * total:
        y, x = np.unravel_index(np.abs(rest).argmax(), k.shape)
        columns.append(rest[:, x].copy())
        rest -= np.outer(rest[:, x] / rest[y, x], rest[y])
    if not columns or np.abs(rest).sum() > 2.0**-20 * total:
        return None, math.inf
    basis = np.linalg.qr(np.array(columns).T)[0]
    u, s, vt = np.linalg.svd(basis.T @ k, full_matrices=False)
    u, vt = basis @ u, _as_mirrored(vt, k)
    for rank in range(1, len(s) + 1):
        residual = float(np.abs(k - (u[:, :rank] * s[:rank]) @ vt[:rank]).sum() / total)
        if residual <= RANK_ONE_SINGLE:
            half = exponent // 2
            pairs = [
                _balanced(np.ldexp(u[:, l], half), np.ldexp(s[l] * vt[l], exponent - half)) for l in range(rank)
            ]  # fmt: skip
            return (np.array([c for c, _ in pairs]), np.array([r for _, r in pairs])), residual
    return None, math.inf


def _missing(k, column, row, total) -> float:
    return float(np.abs(k - np.outer(column, row)).sum() / total)


def _as_mirrored(rows: np.ndarray, k: np.ndarray) -> np.ndarray:
    """Of a kernel that is its own mirror image left to right so are the rows, but for roundings: these are taken out."""
    return (rows + rows[:, ::-1]) / 2 if _mirror(k) == 1 else rows


def _balanced(column, row) -> Factors:
    """Factors whose largest entries have like exponents: shifted by a power of two, exactly."""
    _, c = math.frexp(float(np.abs(column).max()))
    _, r = math.frexp(float(np.abs(row).max()))
    shift = (r - c) // 2
    return np.ldexp(column, shift), np.ldexp(row, -shift)


def _integer_factors(k, y, x) -> tuple[Factors | None, float]:
    """An integer kernel of rank 1 is an integer column times a primitive integer row: exact."""
    if np.abs(k).max() >= 2.0**53:
        return None, math.inf
    row = [int(w) for w in k[y]]
    divisor = math.gcd(*row)
    row = np.array([w // divisor for w in row], dtype=float)
    column = np.array([int(w) for w in k[:, x]], dtype=object)
    pivot = int(row[x])
    if any(int(w) % pivot for w in column):
        return None, math.inf
    column = np.array([int(w) // pivot for w in column], dtype=float)
    if not np.array_equal(np.outer(column, row), k):
        return None, math.inf
    return (column, row), 0.0
