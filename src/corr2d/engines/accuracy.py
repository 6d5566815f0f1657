"""Which accumulator keeps the promises: roundings counted, for the weights at hand."""

from __future__ import annotations

import math

import numpy as np

from .._analysis import KernelFacts
from .._boundary import Boundary
from .._problem import Problem

F32, F64, I128, U16 = range(4)  # the compiled code's accumulators

# Sums of integers are exact below these.
EXACT_SINGLE, EXACT_DOUBLE, EXACT_WIDE = 2**24, 2**53, 2**126
# Rounding a transform to integers is exact while its error is below one half.
EXACT_TRANSFORM = 2.0**44

# The contract allows 32 u sum|k| max|x|; one is kept for the rounding of the result.
ROUNDINGS = 31


def accumulator(problem: Problem, facts: KernelFacts, roundings: int) -> int:
    """The narrowest accumulator that keeps the accuracy bound and integers exact.

    `roundings` bounds the method's rounding error in units of u sum|k| max|x|.
    """
    largest = problem.largest_integer
    if largest is not None and facts.integer and problem.bias.imag == 0 and problem.bias.real.is_integer():
        peak = facts.abs_sum * largest * (1 if facts.real else 1.5) + abs(problem.bias.real)  # |re| + |im| <= 1.5 |k|
        if problem.single and peak < EXACT_SINGLE:
            return F32
        wide = facts.abs_sum < 2**62 and peak < EXACT_WIDE and problem.out_dtype not in ("float16", "bfloat16") and not problem.complex_result
        return I128 if peak >= EXACT_DOUBLE and wide else F64
    return F32 if problem.single and comfortable(facts) and roundings <= ROUNDINGS else F64


def comfortable(facts: KernelFacts) -> bool:
    """Whether neither float32 weights nor their products with float32 pixels can underflow where the result does not."""
    return facts.abs_sum == 0 or 2.0**-60 < facts.abs_sum < 2.0**60


# Kernel rows that the register blocks can sum at a time (native/direct.hpp), beside all of them.
BLOCK_ROWS, GROUPS = 15, (5, 4, 2, 1)


def direct_roundings(weights: np.ndarray, inputs: int, group: int) -> float:
    """Roundings of the register blocks' sums, in units of u sum|k| max|x|.

    Taps are added row by row, `group` rows at a time, so the last taps of a group meet fewer
    roundings than the first (Higham, *Accuracy and Stability of Numerical Algorithms*, §3.1),
    and how many count depends on the weights. Where channels mix, the longest chain is taken.
    """
    kh, kw = weights.shape[-2:]
    groups = -(-kh // group)
    if inputs > 1 or weights.ndim != 2:
        return min(group, kh) * kw + groups - 1 + inputs - 1
    magnitude = np.abs(weights)
    total = magnitude.sum()
    if not (0 < total < math.inf):
        return min(group, kh) * kw + groups - 1
    row = np.arange(kh)[:, None]
    first = row // group * group
    taps = np.minimum(group, kh - first) * kw  # of this tap's group
    before = (row - first) * kw + np.arange(kw)
    # Without fused multiply-adds the product is rounded too.
    chain = np.minimum(taps, taps - before + 1) + (groups - np.maximum(row // group, 1) if groups > 1 else 0)
    return float((magnitude / total * chain).sum())


def fold_columns(weights: np.ndarray) -> np.ndarray:
    """Magnitudes of the products that are left where mirrored columns are added before they are multiplied."""
    kw = weights.shape[1]
    magnitude = np.abs(weights)
    folded = magnitude[:, : (kw + 1) // 2].copy()
    folded[:, : kw // 2] += magnitude[:, ::-1][:, : kw // 2]
    return folded


def rows_in_group(weights: np.ndarray, inputs: int, spare: int) -> int:
    """How many kernel rows the register blocks sum at a time; 0: use tap lists.

    As many as the error allows with `spare` more roundings.
    """
    kh = weights.shape[-2]
    if kh <= BLOCK_ROWS:
        for group in (kh, *(g for g in GROUPS if g < kh)):
            if direct_roundings(weights, inputs, group) + spare <= ROUNDINGS:
                return group
    return 0


_BYTES = {"bool": (0, 1), "uint8": (0, 255), "int8": (-128, 127)}


def small_integers(problem: Problem, facts: KernelFacts) -> bool:
    """Whether 16-bit sums are exact: samples of one byte, and few, binary weights."""
    limits = _BYTES.get(problem.image_dtype)
    if limits is None or facts.binary_places is None or problem.bias or problem.bank > 1 or not facts.real or mixes(problem, facts):
        return False
    if problem.kernel_size[0] > BLOCK_ROWS or facts.abs_sum * 2.0**facts.binary_places * (limits[1] - limits[0]) > 65535:
        return False
    return _holds_fill(problem)


# Bytes whose sum 16 bits hold, and samples between the taps of a row (native/box_bytes.hpp).
_BYTE_ROWS, _BYTE_STEPS = 257, 4


def tap_step(problem: Problem) -> int:
    """Samples between neighbouring taps of a row: channels may lie between them."""
    lanes = problem.lead[-1] if problem.channel_axis == -1 and problem.lead else 1
    return lanes * problem.dilation[1]


def running_bytes(problem: Problem) -> bool:
    """Whether the sums of a box may run, in integers: over unsigned bytes."""
    if problem.image_dtype not in ("uint8", "bool") or problem.kernel_size[0] > _BYTE_ROWS or tap_step(problem) > _BYTE_STEPS:
        return False
    return _holds_fill(problem)


def _holds_fill(problem: Problem) -> bool:
    """Whether the padding that is used, if any, is a value that the image could hold."""
    low, high = _BYTES[problem.image_dtype]
    padded = problem.boundary is Boundary.CONSTANT and problem.pads_used
    fill = problem.fill
    return not padded or (fill.imag == 0 and fill.real.is_integer() and low <= fill.real <= high)


def chain_length(taps: int) -> int:
    """Taps that a sum of shifted rows adds one after the other (native/sum.hpp)."""
    return 8 if taps <= 64 else 4


def pairwise_roundings(taps: int) -> int:
    """Roundings of a sum of shifted rows, whatever the weights."""
    chunk = chain_length(taps)
    return min(taps, chunk) + math.ceil(math.log2(max(1.0, taps / chunk)))


# Taps that the passes of separable kernels add one after the other: the fewer, the more exact.
CHAINS = (16, 8, 4)


def factor_roundings(columns: np.ndarray, rows: np.ndarray, group: int, total: float) -> float:
    """Roundings of kernels of low rank, in units of u sum|k| max|x|; `total` is sum|k|.

    Each tap of a pass meets those of its chain that come after it, then those of the chains,
    added up pairwise (native/separable.hpp); two more are those of the factors themselves.
    Where the products of the factors cancel, they add up to more than sum|k|.
    """

    def passes(weights, lines):
        taps = weights.shape[-1]
        position = np.arange(taps) % group
        length = np.minimum(group, taps - np.arange(taps) // group * group)
        # Without fused multiply-adds the product is rounded too.
        each = np.minimum(length, length - position + 1) + math.ceil(math.log2(lines * -(-taps // group)))
        return np.abs(weights) @ each

    if not 0 < total < math.inf:
        return 2.0 * group
    down, across = np.abs(columns).sum(axis=1), np.abs(rows).sum(axis=1)
    return float((passes(columns, 1) * across + down * (passes(rows, len(rows)) + 2 * across)).sum() / total)


def cancellation(columns: np.ndarray, rows: np.ndarray, total: float) -> float:
    """How much more than sum|k| the products of the factors add up to."""
    return float((np.abs(columns).sum(axis=1) * np.abs(rows).sum(axis=1)).sum() / total)


def _foldable(rows: np.ndarray, step: int) -> bool:
    """Whether mirrored taps of rows are added before they are multiplied: where native/separable.hpp unrolls them.

    `step` is how many samples neighbouring taps of a row lie apart.
    """
    taps = rows.shape[1]
    unrolled = 5 <= taps <= 17 or (step == 1 and taps <= 31 and taps % 2)
    return bool(unrolled and np.array_equal(rows, rows[:, ::-1]))


def chain_for(columns: np.ndarray, rows: np.ndarray, total: float, spare: float, step: int) -> tuple[int, float, int]:
    """The longest chains that the accuracy allows with `spare` more roundings, the roundings, and whether rows are folded."""

    def longest(rows, spare):
        for group in CHAINS:
            roundings = factor_roundings(columns, rows, group, total) + spare
            if roundings <= ROUNDINGS:
                break
        return group, roundings

    if _foldable(rows, step):
        group, roundings = longest(fold_columns(rows), spare + 1)
        if roundings <= ROUNDINGS and group >= (rows.shape[1] + 1) // 2:
            return group, roundings, 1
    return *longest(rows, spare), 0


def integral(problem: Problem, facts: KernelFacts) -> bool:
    """Whether every sum, before the bias, is an integer."""
    return problem.largest_integer is not None and facts.integer


def biased(problem: Problem, facts: KernelFacts) -> int:
    """Roundings of the bias."""
    return 1 if problem.bias or facts.biases is not None else 0


def mixes(problem: Problem, facts: KernelFacts) -> bool:
    """Whether planes are computed from one another: channels, or real and imaginary parts."""
    return problem.channels is not None or not facts.real or (problem.complex_result and problem.bias != 0)
