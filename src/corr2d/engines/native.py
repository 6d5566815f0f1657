"""The compiled methods: when each is willing, what it costs, and the call itself."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from .. import _native
from .._analysis import RANK_ONE_DOUBLE, RANK_ONE_SINGLE, KernelFacts
from .._arrays import split_complex
from .._cost import Machine
from .._problem import Problem
from .accuracy import (
    BLOCK_ROWS,
    F32,
    F64,
    I128,
    ROUNDINGS,
    U16,
    accumulator,
    biased,
    cancellation,
    chain_for,
    chain_length,
    direct_roundings,
    fold_columns,
    mixes,
    pairwise_roundings,
    rows_in_group,
    running_bytes,
    small_integers,
    tap_step,
)

# Outputs larger than this are written past the cache: they would only push out the image,
# and a store that first reads its line moves half as much again (measured best from 8 MB).
STREAM_BYTES = 8 << 20

# Seconds in which the taps of weights that learn are listed, anew for each call (measured for 144 to 800 of them).
LISTING = 75e-6

# What a tap of a row costs whose mirror image is added to it first, in those of other rows.
_FOLDED = 0.65

# Samples that a row is rounded up to, and the width from which rows are read where they lie.
_VECTOR = 16
_IN_PLACE = 1024


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
    across: int = 0  # direct, separable: the sign by which mirrored columns are added before they are multiplied; 0: they are not


class Compiled:
    """A runner: a filter of the compiled code, and how it sees a problem's arrays."""

    __slots__ = ("filter", "_native", "_problem", "_mixing", "_bfloats")

    def __init__(self, problem: Problem, mixing: bool, native: _native.Filter) -> None:
        self._native, self._problem, self._mixing = native, problem, mixing
        self._bfloats = problem.image_dtype == "bfloat16", problem.out_dtype == "bfloat16"
        # What calls that are known go to, past all of this (native/recall.cpp).
        views = mixing or problem.complex_image or problem.complex_result or any(self._bfloats)
        self.filter = None if views else native

    def renewed(self, weights: np.ndarray, biases: np.ndarray | None) -> Compiled | None:
        """The same with other weights, float32 or float64; None where those may need another method or precision.

        Itself where they are those that it was renewed with: layers that do not learn are called with the same ones.
        """
        native = self._native.renewed(weights, biases)
        if native is self._native:
            return self
        return native and Compiled(self._problem, self._mixing, native)

    def __call__(self, image: np.ndarray, out: np.ndarray, threads: int) -> None:
        problem = self._problem
        if self._mixing:
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
        self._native.run(image, out, *self._bfloats, threads, STREAM_BYTES)


class _Native:
    engine = "native"

    def _arithmetic(
        self, problem: Problem, seconds: float, m: Machine, double: bool, rate: float | None = None, unit: int = _VECTOR
    ) -> float:
        """Core-seconds of all outputs, where one float32 takes `seconds`, and of bringing the image to them.

        Rows are computed in whole units of so many samples; a row that does not lie in memory as the
        sums need it is first gathered, at `rate`, and so is every row of a narrow image.
        """
        lanes = 2 if problem.complex_result else 1
        width, (rows, columns) = problem.out_size[1] * lanes, problem.out_size
        computed = problem.planes * (problem.channels[0] if problem.channels else 1) * rows * -(-width // unit) * unit
        total = computed * seconds * (2 if double else 1)
        inputs = problem.planes * (problem.channels[1] if problem.channels else 1)
        gathered = inputs * (rows * problem.stride[0] + problem.span[0]) if problem.outputs else 0
        own = ("float64", "complex128") if double else ("float32", "complex64")
        in_place = problem.image_dtype in own and problem.stride[1] == 1 and width >= _IN_PLACE and problem.channel_axis is None
        read = 2 * problem.span[1] if in_place else columns * problem.stride[1] + problem.span[1]
        if problem.channel_axis is not None and problem.stride[1] > 1:  # channels are taken apart, sample by sample
            rate = m.strided_rate
        return total + gathered * (m.row_overhead + read * lanes / (rate or m.convert_rate))

    def _passes(self, problem: Problem, recipe: Recipe, m: Machine) -> float:
        """Core-seconds of sums along the columns, then along the rows."""
        kh, kw = problem.kernel_size
        if recipe.across:
            kw *= _FOLDED
        # The first pass computes the columns between strided outputs too; the lines between the
        # passes are written and read.
        seconds = len(recipe.factors[0]) * ((kh * problem.stride[1] + 1) / m.column_rate + (kw + 1) / m.row_rate)
        return self._arithmetic(problem, seconds, m, recipe.accumulator == F64)

    @staticmethod
    def _filter(problem: Problem, facts: KernelFacts, recipe: Recipe) -> _native.Filter:
        weights, mixing = facts.weights, mixes(problem, facts)
        weights = weights if problem.channels else weights[..., None, None, :, :]
        if mixing and problem.complex_result:
            weights = _mix_complex(weights, problem)
        outputs, inputs = weights.shape[-4:-2]
        fill = [problem.fill.real, problem.fill.imag] if problem.complex_image else [problem.fill.real]
        if mixing:
            fill = fill * (inputs // len(fill))
        bias = [problem.bias.real, problem.bias.imag][: 2 if problem.complex_result else 1]
        bias = bias * (outputs // len(bias)) * problem.bank if mixing else bias[:1] * problem.bank
        if facts.biases is not None:
            bias = facts.biases
        column, row = recipe.factors or (None, None)
        return _native.Filter(
            np.ascontiguousarray(weights, dtype=float), outputs, inputs, problem.kernel_size, mixing, column, row,
            recipe.accumulator, int(problem.boundary), tuple(pad[0] for pad in problem.pads), problem.stride,
            problem.dilation, np.array(fill, dtype=float), np.array(bias, dtype=float), recipe.group, recipe.transform,
            recipe.rounding, recipe.places, recipe.box, recipe.taps, recipe.sparse, recipe.across,
        )  # fmt: skip

    def _runner(self, problem: Problem, facts: KernelFacts, recipe: Recipe) -> Compiled:
        return Compiled(problem, mixes(problem, facts), self._filter(problem, facts, recipe))


class Direct(_Native):
    """Every tap of every output, register-blocked; mirrored columns are added first (native/direct.hpp)."""

    method = "direct"

    def refuse(self, problem: Problem, facts: KernelFacts) -> str:
        return ""

    def _recipe(self, problem: Problem, facts: KernelFacts) -> Recipe:
        if small_integers(problem, facts):
            return Recipe(U16, group=problem.kernel_size[0], places=facts.binary_places, across=self._across(problem, facts))
        if problem.relaxed and problem.kernel_size[0] <= BLOCK_ROWS:
            return Recipe(accumulator(problem, facts, 0), problem.kernel_size[0])
        inputs = problem.channels[1] if problem.channels else 1
        inputs *= 2 if problem.complex_image and mixes(problem, facts) else 1
        spare = 1 + biased(problem, facts)  # one for the rounding of the weights
        if across := self._across(problem, facts):
            folded = fold_columns(facts.weights)
            if group := rows_in_group(folded, 1, spare + 1):
                code = accumulator(problem, facts, direct_roundings(folded, 1, group) + spare + 1)
                return Recipe(code, group, across=across if code != I128 else 0)
        group = rows_in_group(facts.weights, inputs, spare)
        if group:
            return Recipe(accumulator(problem, facts, direct_roundings(facts.weights, inputs, group) + spare), group)
        taps = inputs * math.prod(problem.kernel_size)
        return Recipe(accumulator(problem, facts, pairwise_roundings(taps) + spare), chain_length(taps), taps=True)

    @staticmethod
    def _across(problem: Problem, facts: KernelFacts) -> int:
        """The sign of the kernel's mirror image left to right, where using it was measured to pay.

        From 12 taps on: 3 x 3 lose up to 7 %, 5 x 5 gain 11 %, 7 x 7 26 %, 9 x 9 40 %; and not in few rows,
        for what is added first is shared by the kernel's rows.
        """
        kh, kw = problem.kernel_size
        pays = kh >= 3 and kw >= 2 and kh * kw >= 12 and problem.stride == (1, 1)
        return facts.mirror if pays and facts.finite and not mixes(problem, facts) else 0

    def work(self, problem: Problem, facts: KernelFacts, machine: Machine) -> float:
        recipe = self._recipe(problem, facts)
        if recipe.accumulator == I128:
            return problem.outputs * problem.taps / machine.exact_rate
        kh, kw = problem.kernel_size
        inputs = problem.taps // (kh * kw) * (2 if problem.complex_image and mixes(problem, facts) else 1)
        double = recipe.accumulator == F64
        if recipe.taps:
            return self._arithmetic(problem, inputs * kh * kw / machine.sum_rate, machine, double, machine.load_rate)
        # Blocks set each group aside; where the rows are strided they share no loads.
        pairs = kw // 2 if recipe.across else 0
        products = kh * (kw - pairs) + pairs * (kh + 5) / 6  # six rows of output share what is added first
        taps = inputs * (products + 0.5 * -(-kh // recipe.group)) * (1 if problem.stride[0] == 1 else 2.5)
        # The rows of many channels leave the first-level cache; and each row of an output begins anew.
        taps *= 1 + inputs / 150 if problem.channels else 1
        begun = problem.planes * problem.channels[0] * problem.out_size[0] * machine.row_overhead if problem.channels else 0
        # ... whose sums are written out after they were made, not meanwhile.
        moved = problem.bytes_moved
        begun += problem.outputs * 4 / machine.bytes_rate * moved / (moved + machine.cache_bytes) if begun else 0
        rate = machine.integer_rate if recipe.accumulator == U16 else machine.fma_rate
        # Blocks are four vectors wide, but for kernels that one vector at a time is compiled for (native/direct.hpp).
        vector = _VECTOR * (2 if recipe.accumulator == U16 else 1)
        narrow = problem.out_size[1] < 4 * vector and kh <= 7 and recipe.group == kh
        return begun + self._arithmetic(problem, taps / rate, machine, double, machine.load_rate, vector if narrow else 4 * vector)

    def prepare(self, problem: Problem, facts: KernelFacts):
        return self._runner(problem, facts, self._recipe(problem, facts))


class Sparse(_Native):
    """The taps that are not zero, as one sum of shifted rows (native/sum.hpp)."""

    method = "sparse"

    def refuse(self, problem: Problem, facts: KernelFacts) -> str:
        if problem.bank > 1:
            return "planes have kernels of their own"
        if accumulator(problem, facts, self.roundings(problem, facts)) == I128:
            return "integer sums may pass 2**53, where only 'direct' stays exact"
        return ""

    def roundings(self, problem: Problem, facts: KernelFacts) -> int:
        return pairwise_roundings(self._taps(problem, facts)) + 1 + biased(problem, facts)

    @staticmethod
    def _taps(problem: Problem, facts: KernelFacts) -> int:
        """Taps that some output uses: for each output every one of them is multiplied."""
        return max(1, facts.used) * (2 if mixes(problem, facts) and not facts.real and problem.complex_image else 1)

    def work(self, problem: Problem, facts: KernelFacts, machine: Machine) -> float:
        double = accumulator(problem, facts, self.roundings(problem, facts)) == F64
        taps = self._taps(problem, facts)
        return self._arithmetic(problem, (taps + 2.5) / machine.sum_rate, machine, double) + (LISTING if problem.trained else 0)

    def prepare(self, problem: Problem, facts: KernelFacts):
        code = accumulator(problem, facts, self.roundings(problem, facts))
        return self._runner(problem, facts, Recipe(code, chain_length(self._taps(problem, facts)), taps=True, sparse=True))


class Separable(_Native):
    """Rank-1 kernels: columns, then rows, fused in cache (native/sum.hpp)."""

    method = "separable"

    def refuse(self, problem: Problem, facts: KernelFacts) -> str:
        if reason := _unlike_others(problem, facts):
            return reason
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
        group, roundings, across = chain_for(columns, rows, facts.abs_sum, 2 + biased(problem, facts), tap_step(problem))
        return Recipe(accumulator(problem, facts, roundings), group, factors=(columns, rows), across=across)

    def work(self, problem: Problem, facts: KernelFacts, machine: Machine) -> float:
        return self._passes(problem, self._recipe(problem, facts), machine)

    def prepare(self, problem: Problem, facts: KernelFacts):
        return self._runner(problem, facts, self._recipe(problem, facts))


class LowRank(_Native):
    """Sums of few products of a column and a row, fused as one separable kernel is (native/separable.hpp)."""

    method = "lowrank"

    def refuse(self, problem: Problem, facts: KernelFacts) -> str:
        if reason := _unlike_others(problem, facts):
            return reason
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
        spare = biased(problem, facts)
        if problem.single:
            spare += facts.terms_residual * 2.0**24
        else:  # the residual was measured with roundings of its own
            spare += facts.terms_residual * 2.0**53 + len(rows) * cancellation(columns, rows, facts.abs_sum)
        group, roundings, across = chain_for(columns, rows, facts.abs_sum, spare, tap_step(problem))
        return Recipe(accumulator(problem, facts, roundings), group, factors=facts.terms, across=across), roundings

    def work(self, problem: Problem, facts: KernelFacts, machine: Machine) -> float:
        return self._passes(problem, self._recipe(problem, facts)[0], machine)

    def prepare(self, problem: Problem, facts: KernelFacts):
        return self._runner(problem, facts, self._recipe(problem, facts)[0])


class Box(_Native):
    """Kernels of one weight: sums of windows by doubling, in few additions (native/box.hpp).

    Not sums of several, such as a centre and its surround: two boxes cost more than one transform of the
    whole kernel (core time over that of 'fft', 15 in 31 1.2, 31 in 63 1.3, 63 in 127 1.7, for bytes 1.4 and more).
    """

    method = "box"

    def refuse(self, problem: Problem, facts: KernelFacts) -> str:
        if reason := _unlike_others(problem, facts):
            return reason
        if not facts.constant:
            return "the weights are not all the same"
        if problem.stride != (1, 1):
            return "the output is strided"
        if max(problem.kernel_size) > 4096:
            return "the kernel has more than 4096 taps a side"
        if accumulator(problem, facts, self.roundings(problem, facts)) == I128:
            return "integer sums may pass 2**53, where only 'direct' stays exact"
        return ""

    @staticmethod
    def additions(taps: int) -> int:
        """Additions that make a sum of so many: a doubling for each binary digit, one more for each 1."""
        return taps.bit_length() + taps.bit_count() - 2

    @staticmethod
    def depth(taps: int) -> int:
        """... and those on the longest way to it: digit l of those set, the j-th of c, is in l + c - max(j, 1) of them."""
        return (taps - 1).bit_length()

    def _recipe(self, problem: Problem, facts: KernelFacts) -> Recipe:
        code = accumulator(problem, facts, self.roundings(problem, facts))
        return Recipe(U16 if code == F32 and running_bytes(problem) else code, box=True)

    def roundings(self, problem: Problem, facts: KernelFacts) -> int:
        # The weight, the product with it, and the bias.
        return sum(map(self.depth, problem.kernel_size)) + 2 + biased(problem, facts)

    def work(self, problem: Problem, facts: KernelFacts, machine: Machine) -> float:
        recipe = self._recipe(problem, facts)
        double = recipe.accumulator == F64
        kh, kw = problem.kernel_size
        # In multiply-adds of the direct loops. A band begins with kh - 1 rows that give no output yet, and a tile
        # has samples that others have too.
        if recipe.accumulator == U16:
            taps = (5 * (1 + kh / max(1, min(256, problem.out_size[0] / 8))) + 16) * (1 + problem.span[1] / 1024)
        else:  # sums along the rows are shifted, those down the columns are not
            taps = (self.additions(kh) + 6) * (1 + (kh - 1) / max(1, min(96, problem.out_size[0]))) + 3 * self.additions(kw) + 4
            taps *= (1 + problem.span[1] / 512) * (0.8 if double else 1)
        return self._arithmetic(problem, taps / machine.fma_rate, machine, double)

    def prepare(self, problem: Problem, facts: KernelFacts):
        return self._runner(problem, facts, self._recipe(problem, facts))


def _mix_complex(weights: np.ndarray, problem: Problem) -> np.ndarray:
    """Complex correlation as real channel mixing: (O, I) complex is (2 O, 2 I or I) real."""
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


def _unlike_others(problem: Problem, facts: KernelFacts) -> str:
    """Why a method for one real, finite kernel on every plane refuses, or nothing."""
    if problem.channels:
        return "the kernel mixes channels"
    if problem.bank > 1:
        return "planes have kernels of their own"
    if mixes(problem, facts):
        return "the kernel is complex"
    return "" if facts.finite else "the kernel has weights that are not finite"
