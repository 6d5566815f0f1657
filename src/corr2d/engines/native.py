"""The compiled methods: which accumulator keeps the promises, and the call itself."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from .. import _native
from .._analysis import RANK_ONE_DOUBLE, RANK_ONE_SINGLE, KernelFacts
from .._arrays import split_complex
from .._boundary import Boundary
from .._cost import Machine
from .._problem import Problem

F32, F64, I128, U16 = range(4)  # the compiled code's accumulators

# Sums of integers are exact below these.
EXACT_SINGLE, EXACT_DOUBLE = 2**24, 2**53
# Rounding a transform to integers is exact while its error is below one half.
EXACT_TRANSFORM = 2.0**44

# The contract allows 32 u sum|k| max|x|; one is kept for the rounding of the result.
ROUNDINGS = 31

# Outputs larger than this are written past the cache: they would only push out the image,
# and a store that first reads its line moves half as much again (measured best from 8 MB).
STREAM_BYTES = 8 << 20

# Samples that a row is rounded up to, and the width from which rows are read where they lie.
_VECTOR = 16
_IN_PLACE = 256


def accumulator(problem: Problem, facts: KernelFacts, roundings: int) -> int:
    """The narrowest accumulator that keeps the accuracy bound and integers exact.

    `roundings` bounds the method's rounding error in units of u sum|k| max|x|.
    """
    largest = problem.largest_integer
    if largest is not None and facts.integer and problem.bias.imag == 0 and problem.bias.real.is_integer():
        peak = facts.abs_sum * largest * (1 if facts.real else 1.5) + abs(problem.bias.real)  # |re| + |im| <= 1.5 |k|
        if problem.single and peak < EXACT_SINGLE:
            return F32
        wide = facts.abs_sum < 2**62 and problem.out_dtype not in ("float16", "bfloat16") and not problem.complex_result
        return I128 if peak >= EXACT_DOUBLE and wide else F64
    # Outside this range float32 weights, or their products with float32 pixels, could
    # underflow where the result does not.
    comfortable = facts.abs_sum == 0 or 2.0**-60 < facts.abs_sum < 2.0**60
    return F32 if problem.single and comfortable and roundings <= ROUNDINGS else F64


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


def small_integers(problem: Problem, facts: KernelFacts) -> bool:
    """Whether 16-bit sums are exact: samples of one byte, and few, binary weights."""
    limits = {"bool": (0, 1), "uint8": (0, 255), "int8": (-128, 127)}.get(problem.image_dtype)
    if limits is None or facts.binary_places is None or problem.bias or not facts.real or _mixes(problem, facts):
        return False
    if problem.kernel_size[0] > BLOCK_ROWS or facts.abs_sum * 2.0**facts.binary_places * (limits[1] - limits[0]) > 65535:
        return False
    fill = problem.fill
    padded = problem.boundary is Boundary.CONSTANT and problem.pads_used
    return not padded or (fill.imag == 0 and fill.real.is_integer() and limits[0] <= fill.real <= limits[1])


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


def chain_for(columns: np.ndarray, rows: np.ndarray, total: float, spare: float) -> tuple[int, float]:
    """The longest chains that the accuracy allows with `spare` more roundings, and the roundings."""
    for group in CHAINS:
        roundings = factor_roundings(columns, rows, group, total) + spare
        if roundings <= ROUNDINGS:
            break
    return group, roundings


@dataclass(frozen=True, slots=True)
class Recipe:
    """How the compiled code is to compute: its accumulator and one of its methods."""

    accumulator: int
    group: int = 0  # direct: kernel rows that the register blocks sum at a time; else: taps in a chain
    factors: tuple[np.ndarray, np.ndarray] | None = None  # separable: columns and rows, a rank each
    transform: tuple[int, int] = (0, 0)  # fft: rows and columns of the tiles
    rounding: int = 0  # of the transform's results: 0 never, 1 in tiles that hold integers, 2 always
    places: int = 0  # ... to multiples of 2**-places
    box: bool = False  # one weight
    taps: bool = False  # one sum of all taps, in chains
    sparse: bool = False  # ... leave zero taps out of the list of taps


class _Native:
    engine = "native"

    def _arithmetic(self, problem: Problem, seconds: float, m: Machine, double: bool, rate: float | None = None) -> float:
        """Core-seconds of all outputs, where one float32 takes `seconds`, and of bringing the image to them.

        Rows are computed in whole vectors; a row that does not lie in memory as the sums need
        it is first gathered, at `rate`, and so is every row of a narrow image.
        """
        lanes = 2 if problem.complex_result else 1
        width, (rows, columns) = problem.out_size[1] * lanes, problem.out_size
        computed = problem.planes * (problem.channels[0] if problem.channels else 1) * rows * -(-width // _VECTOR) * _VECTOR
        total = computed * seconds * (2 if double else 1)
        inputs = problem.planes * (problem.channels[1] if problem.channels else 1)
        gathered = inputs * (rows * problem.stride[0] + problem.span[0]) if problem.outputs else 0
        own = ("float64", "complex128") if double else ("float32", "complex64")
        in_place = problem.image_dtype in own and problem.stride[1] == 1 and width >= _IN_PLACE and problem.channel_axis is None
        read = 2 * problem.span[1] if in_place else columns * problem.stride[1] + problem.span[1]
        return total + gathered * (m.row_overhead + read * lanes / (rate or m.convert_rate))

    def _passes(self, problem: Problem, ranks: int, m: Machine, double: bool) -> float:
        """Core-seconds of sums along the columns, then along the rows, of so many ranks."""
        kh, kw = problem.kernel_size
        # The first pass computes the columns between strided outputs too; the lines between the
        # passes are written and read.
        seconds = ranks * ((kh * problem.stride[1] + 1) / m.column_rate + (kw + 1) / m.row_rate)
        return self._arithmetic(problem, seconds, m, double)

    @staticmethod
    def _filter(problem: Problem, facts: KernelFacts, recipe: Recipe) -> _native.Filter:
        weights, mixing = facts.weights, _mixes(problem, facts)
        if mixing:
            weights = _mix_complex(weights.reshape((-1,) + weights.shape[-3:]) if weights.ndim == 4 else weights[None, None], problem)
        else:
            weights = weights[None, None]
        outputs, inputs = weights.shape[:2]
        fill = [problem.fill.real, problem.fill.imag] if problem.complex_image else [problem.fill.real]
        if mixing:
            fill = fill * (inputs // len(fill))
        bias = [problem.bias.real, problem.bias.imag][: 2 if problem.complex_result else 1]
        bias = bias * (outputs // len(bias)) if mixing else bias[:1]
        column, row = recipe.factors or (None, None)
        return _native.Filter(
            np.ascontiguousarray(weights, dtype=float), outputs, inputs, problem.kernel_size, mixing, column, row,
            recipe.accumulator, int(problem.boundary), tuple(pad[0] for pad in problem.pads), problem.stride,
            problem.dilation, np.array(fill, dtype=float), np.array(bias, dtype=float), recipe.group, recipe.transform,
            recipe.rounding, recipe.places, recipe.box, recipe.taps, recipe.sparse,
        )  # fmt: skip

    def _runner(self, problem: Problem, facts: KernelFacts, recipe: Recipe):
        native, mixing = self._filter(problem, facts, recipe), _mixes(problem, facts)
        image_bfloat, out_bfloat = problem.image_dtype == "bfloat16", problem.out_dtype == "bfloat16"

        def run(image: np.ndarray, out: np.ndarray, threads: int) -> None:
            if mixing:
                # (..., channels, parts, H, W): parts are real and imaginary, or just the one.
                if not problem.channels:
                    image, out = image[..., None, :, :], out[..., None, :, :]
                image = split_complex(image) if problem.complex_image else image[..., None, :, :]
                out = split_complex(out) if problem.complex_result else out[..., None, :, :]
            elif problem.complex_image:
                image, out = split_complex(image), split_complex(out)
            elif problem.complex_result:  # a real image and kernel, a complex result asked for
                parts = split_complex(out)
                parts[..., 1, :, :] = 0
                out = parts[..., 0, :, :]
            native.run(image, out, image_bfloat, out_bfloat, threads, STREAM_BYTES)

        # What calls that are known go to, past all of this (native/recall.cpp).
        views = mixing or problem.complex_image or problem.complex_result or image_bfloat or out_bfloat
        run.filter = None if views else native
        return run


class Direct(_Native):
    """Every tap of every output, register-blocked (native/direct.hpp)."""

    method = "direct"

    def refuse(self, problem: Problem, facts: KernelFacts) -> str:
        return ""

    def _recipe(self, problem: Problem, facts: KernelFacts) -> Recipe:
        if small_integers(problem, facts):
            return Recipe(U16, group=problem.kernel_size[0], places=facts.binary_places)
        inputs = problem.channels[1] if problem.channels else 1
        inputs *= 2 if problem.complex_image and _mixes(problem, facts) else 1
        spare = 1 + (1 if problem.bias else 0)  # one for the rounding of the weights
        group = rows_in_group(facts.weights, inputs, spare)
        if group:
            return Recipe(accumulator(problem, facts, direct_roundings(facts.weights, inputs, group) + spare), group)
        taps = inputs * math.prod(problem.kernel_size)
        return Recipe(accumulator(problem, facts, pairwise_roundings(taps) + spare), chain_length(taps), taps=True)

    def work(self, problem: Problem, facts: KernelFacts, machine: Machine) -> float:
        recipe = self._recipe(problem, facts)
        if recipe.accumulator == I128:
            return problem.outputs * problem.taps / machine.exact_rate
        kh, kw = problem.kernel_size
        inputs = problem.taps // (kh * kw) * (2 if problem.complex_image and _mixes(problem, facts) else 1)
        double = recipe.accumulator == F64
        if recipe.taps:
            return self._arithmetic(problem, inputs * kh * kw / machine.sum_rate, machine, double, machine.load_rate)
        # Blocks set each group aside; where the rows are strided they share no loads.
        taps = inputs * (kh * kw + machine.flush_taps * -(-kh // recipe.group)) * (1 if problem.stride[0] == 1 else 2.5)
        rate = machine.integer_rate if recipe.accumulator == U16 else machine.fma_rate
        return self._arithmetic(problem, taps / rate, machine, double, machine.load_rate)

    def prepare(self, problem: Problem, facts: KernelFacts):
        return self._runner(problem, facts, self._recipe(problem, facts))


class Sparse(_Native):
    """The taps that are not zero, as one sum of shifted rows (native/sum.hpp)."""

    method = "sparse"

    def refuse(self, problem: Problem, facts: KernelFacts) -> str:
        if accumulator(problem, facts, self.roundings(problem, facts)) == I128:
            return "integer sums may pass 2**53, where only 'direct' stays exact"
        return ""

    def roundings(self, problem: Problem, facts: KernelFacts) -> int:
        return pairwise_roundings(self._taps(problem, facts)) + 1 + (1 if problem.bias else 0)

    @staticmethod
    def _taps(problem: Problem, facts: KernelFacts) -> int:
        """Taps that some output uses: for each output every one of them is multiplied."""
        return max(1, facts.used) * (2 if _mixes(problem, facts) and not facts.real and problem.complex_image else 1)

    def work(self, problem: Problem, facts: KernelFacts, machine: Machine) -> float:
        double = accumulator(problem, facts, self.roundings(problem, facts)) == F64
        taps = self._taps(problem, facts)
        return self._arithmetic(problem, (taps + 2.5) / machine.sum_rate, machine, double)

    def prepare(self, problem: Problem, facts: KernelFacts):
        code = accumulator(problem, facts, self.roundings(problem, facts))
        return self._runner(problem, facts, Recipe(code, chain_length(self._taps(problem, facts)), taps=True, sparse=True))


class Separable(_Native):
    """Rank-1 kernels: columns, then rows, fused in cache (native/sum.hpp)."""

    method = "separable"

    def refuse(self, problem: Problem, facts: KernelFacts) -> str:
        if problem.channels:
            return "the kernel mixes channels"
        if _mixes(problem, facts):
            return "the kernel is complex"
        if not facts.finite:
            return "the kernel has weights that are not finite"
        if facts.factors is None:
            return "the kernel is not of rank 1"
        if facts.residual > (RANK_ONE_SINGLE if problem.single else RANK_ONE_DOUBLE):
            return f"the nearest rank-1 kernel misses {facts.residual:.1e} of the weights"
        if self._recipe(problem, facts).accumulator == I128:
            return "integer sums may pass 2**53, where only 'direct' stays exact"
        return ""

    def _recipe(self, problem: Problem, facts: KernelFacts) -> Recipe:
        columns, rows = facts.factors[0][None], facts.factors[1][None]
        # What rank 1 misses, and the bias.
        group, roundings = chain_for(columns, rows, facts.abs_sum, 2 + (1 if problem.bias else 0))
        return Recipe(accumulator(problem, facts, roundings), group, factors=(columns, rows))

    def work(self, problem: Problem, facts: KernelFacts, machine: Machine) -> float:
        return self._passes(problem, 1, machine, self._recipe(problem, facts).accumulator == F64)

    def prepare(self, problem: Problem, facts: KernelFacts):
        return self._runner(problem, facts, self._recipe(problem, facts))


class LowRank(_Native):
    """Sums of few products of a column and a row, fused as one separable kernel is (native/separable.hpp)."""

    method = "lowrank"

    def refuse(self, problem: Problem, facts: KernelFacts) -> str:
        if problem.channels:
            return "the kernel mixes channels"
        if _mixes(problem, facts):
            return "the kernel is complex"
        if not facts.finite:
            return "the kernel has weights that are not finite"
        if facts.integer:
            return "the weights are integers, whose sums the other methods keep exact"
        if facts.separable:
            return "the kernel is of rank 1, which 'separable' takes"
        if facts.terms is None:
            return "the kernel is not of low rank"
        recipe, roundings = self._recipe(problem, facts)
        if not problem.single and roundings > ROUNDINGS:
            return f"its {len(recipe.factors[0])} products cancel or miss too much: {roundings:.0f} roundings where {ROUNDINGS} may be"
        return ""

    def _recipe(self, problem: Problem, facts: KernelFacts) -> tuple[Recipe, float]:
        columns, rows = facts.terms
        spare = 1 if problem.bias else 0
        if problem.single:
            spare += facts.terms_residual * 2.0**24
        else:  # the residual was measured with roundings of its own
            spare += facts.terms_residual * 2.0**53 + len(rows) * cancellation(columns, rows, facts.abs_sum)
        group, roundings = chain_for(columns, rows, facts.abs_sum, spare)
        return Recipe(accumulator(problem, facts, roundings), group, factors=facts.terms), roundings

    def work(self, problem: Problem, facts: KernelFacts, machine: Machine) -> float:
        recipe, _ = self._recipe(problem, facts)
        return self._passes(problem, len(recipe.factors[0]), machine, recipe.accumulator == F64)

    def prepare(self, problem: Problem, facts: KernelFacts):
        return self._runner(problem, facts, self._recipe(problem, facts)[0])


class Box(_Native):
    """Kernels of one weight: sums of windows by doubling, in few additions (native/box.hpp)."""

    method = "box"

    def refuse(self, problem: Problem, facts: KernelFacts) -> str:
        if problem.channels:
            return "the kernel mixes channels"
        if _mixes(problem, facts):
            return "the kernel is complex"
        if not facts.constant:
            return "the weights are not all the same"
        if problem.stride != (1, 1):
            return "the output is strided"
        if self.roundings(problem) > ROUNDINGS and not problem.single:
            return "the kernel is too large to be summed by doubling within the accuracy"
        if max(problem.kernel_size) > 4096:
            return "the kernel has more than 4096 taps a side"
        if accumulator(problem, facts, self.roundings(problem)) == I128:
            return "integer sums may pass 2**53, where only 'direct' stays exact"
        return ""

    @staticmethod
    def additions(taps: int) -> int:
        """Additions on the way to a sum of so many: a doubling for each binary digit, one more for each 1."""
        return taps.bit_length() + taps.bit_count() - 2

    def roundings(self, problem: Problem) -> int:
        # The weight, the product with it, and the bias.
        return sum(map(self.additions, problem.kernel_size)) + 2 + (1 if problem.bias else 0)

    def work(self, problem: Problem, facts: KernelFacts, machine: Machine) -> float:
        double = accumulator(problem, facts, self.roundings(problem)) == F64
        kh, kw = problem.kernel_size
        # In multiply-adds of the direct loops: each addition is loaded and stored, those along the rows
        # unaligned; a band begins with kh - 1 rows that give no output yet.
        taps = (3 * self.additions(kh) + 12) * (1 + kh / max(1, min(96, problem.out_size[0]))) + 3 * self.additions(kw) + 8
        taps *= 1 + problem.span[1] / 512  # ... and a tile with samples that others have too
        return self._arithmetic(problem, taps / machine.fma_rate, machine, double)

    def prepare(self, problem: Problem, facts: KernelFacts):
        return self._runner(problem, facts, Recipe(accumulator(problem, facts, self.roundings(problem)), box=True))


# Sides of a transform's tiles (native/fft.hpp).
TILE_SIDES = (64, 96, 128, 192, 256, 384, 512, 768, 1024)
# Gathering a tile and writing its outputs, counted as further levels of its transform: for each
# point (memory's part in it is large), and for each row.
POINT_LEVELS, ROW_LEVELS = 8, 400


def _dense_size(problem: Problem) -> tuple[int, int]:
    """Outputs along each axis if there were no stride: the transform computes them all."""
    return tuple((count - 1) * s + 1 for count, s in zip(problem.out_size, problem.stride, strict=True))


@lru_cache(maxsize=512)
def _best_tiles(
    dense: tuple[int, int], span: tuple[int, int], planes: int, double: bool
) -> tuple[float, tuple[int, int]]:
    """Flop of all transforms, and the tiles' rows and columns, for which it is least.

    Nothing here depends on the machine or the threads: the tiles decide the bits of the result.
    """
    if min(dense) <= 0:
        return 0.0, (TILE_SIDES[0],) * 2
    axes = []
    for outputs, reach in zip(dense, span, strict=True):
        counts = [(n, -(-outputs // (n - reach))) for n in TILE_SIDES if n > reach]
        # Beyond the side that needs one tile, a larger one is only waste.
        axes.append(counts[: next((i for i, (_, count) in enumerate(counts) if count == 1), len(counts)) + 1])
    best = math.inf, 0.0, TILE_SIDES[:2]
    for ny, down in axes[0]:
        for nx, across in axes[1]:
            points, pairs = ny * nx, -(-down * across // 2) * planes
            size = points * (16 if double else 8)
            # Beyond the second-level cache, then beyond a core's share of the third.
            spill = 1.0 if size < 1 << 20 else 1.05 if size <= 2 << 20 else 1.2 if size <= 4 << 20 else 1.5
            flop = 5 * (points * (math.log2(points) + POINT_LEVELS) * spill + ny * ROW_LEVELS)
            # Half the weight is on the time that two threads would take, who share no pair.
            best = min(best, (flop * (pairs + pairs % 2 / 2), flop * pairs, (ny, nx)))
    return best[1:]


class Transform(_Native):
    """Overlap-save by fast Fourier transform, in tiles that stay in cache (native/fft.hpp)."""

    method = "fft"

    def refuse(self, problem: Problem, facts: KernelFacts) -> str:
        if problem.channels:
            return "the kernel mixes channels"
        if problem.complex_result:
            return "the result is complex"
        if not facts.finite:
            return "the kernel has weights that are not finite"
        if _integral(problem, facts) and facts.abs_sum * problem.largest_integer > EXACT_TRANSFORM:
            return "integer sums may pass 2**44, beyond which rounding the transform is not exact"
        if max(problem.span) >= TILE_SIDES[-1] * 3 // 4:
            return f"the kernel reaches over {max(problem.span) + 1} pixels, too far for its tiles"
        return ""

    def work(self, problem: Problem, facts: KernelFacts, machine: Machine) -> float:
        double = self._double(problem, facts)
        flop = _best_tiles(_dense_size(problem), problem.span, problem.planes, double)[0]
        seconds = flop / machine.transform_rate * (2 if double else 1)
        if problem.channel_axis is not None:  # taken apart: every tile touches all channels' memory
            seconds += (problem.pixels + problem.outputs) / machine.strided_rate
        return seconds

    @staticmethod
    def _places(problem: Problem, facts: KernelFacts) -> int | None:
        """Binary places of the sums of an integer image, if they have few and it shows.

        It shows in integer results: weights such as 1/16 make many sums end in .5 exactly, and
        a transform that misses by its rounding would turn them the wrong way.
        """
        places, largest = facts.binary_places, problem.largest_integer
        if places is None or largest is None or not (facts.integer or "int" in problem.out_dtype):
            return None
        return places if facts.abs_sum * largest * 2**places <= EXACT_TRANSFORM else None

    def _double(self, problem: Problem, facts: KernelFacts) -> bool:
        return not problem.single or facts.integer or self._places(problem, facts) is not None

    def prepare(self, problem: Problem, facts: KernelFacts):
        tile = _best_tiles(_dense_size(problem), problem.span, problem.planes, self._double(problem, facts))[1]
        # Rounding back to multiples of 2**-places: always, for integer images; for float ones
        # with an integer kernel, in tiles that hold integers.
        places = self._places(problem, facts)
        rounding = 2 if places is not None else 1 if facts.integer else 0
        code = F64 if self._double(problem, facts) else F32
        return self._runner(problem, facts, Recipe(code, transform=tile, rounding=rounding, places=places or 0))


def _integral(problem: Problem, facts: KernelFacts) -> bool:
    """Whether every sum, before the bias, is an integer."""
    return problem.largest_integer is not None and facts.integer


def _mixes(problem: Problem, facts: KernelFacts) -> bool:
    """Whether planes are computed from one another: channels, or real and imaginary parts."""
    return problem.channels is not None or not facts.real or (problem.complex_result and problem.bias != 0)


def _mix_complex(weights: np.ndarray, problem: Problem) -> np.ndarray:
    """Complex correlation as real channel mixing: (O, I) complex is (2 O, 2 I or I) real."""
    if not problem.complex_result:
        return weights
    real, imag = weights.real, weights.imag
    o, i, kh, kw = weights.shape
    parts = 2 if problem.complex_image else 1
    mixed = np.zeros((o, 2, i, parts, kh, kw))
    mixed[:, 0, :, 0] = real
    mixed[:, 1, :, 0] = imag
    if parts == 2:
        mixed[:, 0, :, 1] = -imag
        mixed[:, 1, :, 1] = real
    return mixed.reshape(2 * o, parts * i, kh, kw)
