"""The compiled transform as a candidate: which tiles, which parts of large kernels, and when results are integers."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import lru_cache

import numpy as np

from .._analysis import KernelFacts
from .._cost import Machine
from .._problem import Problem
from .accuracy import EXACT_TRANSFORM, F32, F64, integral
from .native import STREAM_BYTES, Recipe, _Native

# Sides of a transform's tiles (native/fft.hpp).
TILE_SIDES = (64, 96, 128, 192, 256, 384, 512, 768, 1024)
# Bytes of spectra, where planes have kernels of their own.
SPECTRA = 24 << 20
# Gathering a tile and writing its outputs, counted as further levels of its transform: for each
# point (memory's part in it is large), and for each row.
POINT_LEVELS, ROW_LEVELS = 8, 400
# Kernels that reach as far are taken in parts, whose correlations add up. Each is one more rounding of the
# sum, beside at most 19 of a transform (native/fft.hpp): more than these would not keep the accuracy.
REACH, MOST_PARTS = 768, 12
# Spectra of parts that are kept, in bytes; others are made for each call, and one at a time.
KEPT_SPECTRA = 32 << 20


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
            # Shares of the tile that hold pixels: only those are gathered, and columns without any not transformed.
            high, wide = (min(1.0, (o / c + r) / n) for o, c, r, n in zip(dense, (down, across), span, (ny, nx), strict=True))
            levels = math.log2(nx) + math.log2(ny) * wide + POINT_LEVELS * high * wide
            size = points * (16 if double else 8)
            # Beyond the second-level cache, then beyond a core's share of the third.
            spill = 1.0 if size < 1 << 20 else 1.05 if size <= 2 << 20 else 1.2 if size <= 4 << 20 else 1.5
            flop = 5 * (points * levels * spill + ny * ROW_LEVELS)
            # Half the weight is on the time that two threads would take, who share no pair.
            best = min(best, (flop * (pairs + pairs % 2 / 2), flop * pairs, (ny, nx)))
    return best[1:]


@lru_cache(maxsize=512)
def _best_parts(
    dense: tuple[int, int], size: tuple[int, int], dilation: tuple[int, int], planes: int, double: bool, reach: int
) -> tuple[float, tuple[int, int], tuple[int, int]] | None:
    """Flop of all transforms, their tiles, and the rows and columns of the kernel's parts; None: too many are needed."""
    choices = []
    for taps, d in zip(size, dilation, strict=True):
        fewest = -(-((taps - 1) * d + 1) // reach)
        sides = sorted({-(-taps // parts) for parts in range(fewest, min(taps, fewest + 3) + 1)})
        choices.append([n for n in sides if (n - 1) * d < reach])
    best = None
    for rows in choices[0]:
        for columns in choices[1]:
            parts = -(-size[0] // rows) * -(-size[1] // columns)
            if parts > MOST_PARTS:
                continue
            flop, tile = _best_tiles(dense, ((rows - 1) * dilation[0], (columns - 1) * dilation[1]), planes, double)
            if best is None or flop * parts < best[0]:
                best = flop * parts, tile, (rows, columns)
    return best


def too_far(problem: Problem, facts: KernelFacts) -> str:
    """Why a kernel reaches too far for the compiled transform, or nothing."""
    if max(problem.span) < REACH:
        return ""
    reaches = f"the kernel reaches over {max(problem.span) + 1} pixels, "
    if facts.weights.ndim != 2:
        return reaches + "too far for the tiles of several kernels"
    if facts.integer or problem.out_dtype != ("float32" if problem.single else "float64"):
        return reaches + "and parts of it would add up in the result, which is exact for integers only in one piece"
    if _best_parts(_dense_size(problem), problem.kernel_size, problem.dilation, problem.planes, not problem.single, REACH) is None:
        return reaches + "too far for its tiles"
    return ""


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
        if integral(problem, facts) and facts.abs_sum * problem.largest_integer > EXACT_TRANSFORM:
            return "integer sums may pass 2**44, beyond which rounding the transform is not exact"
        return too_far(problem, facts)

    def _tiles(self, problem: Problem, facts: KernelFacts) -> tuple[float, tuple[int, int], tuple[int, int]]:
        double = self._double(problem, facts)
        if max(problem.span) < REACH:
            return *_best_tiles(_dense_size(problem), problem.span, problem.planes, double), problem.kernel_size
        return _best_parts(_dense_size(problem), problem.kernel_size, problem.dilation, problem.planes, double, REACH)

    def work(self, problem: Problem, facts: KernelFacts, machine: Machine) -> float:
        double = self._double(problem, facts)
        flop = self._tiles(problem, facts)[0]
        seconds = flop / machine.transform_rate * (2 if double else 1)
        if problem.trained:  # kernels are transformed anew at every call, in double
            tile = math.prod(self._tiles(problem, facts)[1])
            seconds += problem.bank * 2.5 * tile * math.log2(tile) * 2 / machine.transform_rate
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
        _, tile, part = self._tiles(problem, facts)
        # Rounding back to multiples of 2**-places: always, for integer images; for float ones
        # with an integer kernel, in tiles that hold integers.
        places = self._places(problem, facts)
        rounding = 2 if places is not None else 1 if facts.integer else 0
        code = F64 if self._double(problem, facts) else F32
        recipe = Recipe(code, transform=tile, rounding=rounding, places=places or 0)
        if part != problem.kernel_size:
            return self._in_parts(problem, facts, recipe, part)
        at_once = max(1, SPECTRA // (math.prod(tile) * (16 if code == F64 else 8)))
        return self._runner(problem, facts, recipe) if problem.bank <= at_once else self._in_turn(problem, facts, recipe, at_once)

    def _in_parts(self, problem: Problem, facts: KernelFacts, recipe: Recipe, part: tuple[int, int]):
        """A kernel of several parts: the first one's correlation, to which the others' are added in their order."""
        corners = [(i, j) for i in range(0, problem.kernel_size[0], part[0]) for j in range(0, problem.kernel_size[1], part[1])]

        def filter_at(i: int, j: int, down: int = 0):
            weights = np.ldexp(facts.weights[i : i + part[0], j : j + part[1]], -down)
            # The part's first tap lies so much further into the image.
            shifts = i * problem.dilation[0], j * problem.dilation[1]
            pads = tuple((pad[0] - shift, pad[1]) for pad, shift in zip(problem.pads, shifts, strict=True))
            bias = problem.bias * 2.0**-down if (i, j) == (0, 0) else 0j
            piece = replace(problem, kernel_size=weights.shape, pads=pads, bias=bias)
            biases = facts.biases * 2.0**-down if facts.biases is not None and (i, j) == (0, 0) else None
            return self._filter(piece, replace(facts, weights=weights, biases=biases), recipe)

        spectrum = math.prod(recipe.transform) * (8 if recipe.accumulator == F32 else 16)
        kept = [filter_at(*corner) for corner in corners] if len(corners) * spectrum <= KEPT_SPECTRA else None

        # Weights that add up to less than one: no part of a sum is larger than the pixels.
        down = max(0, math.frexp(facts.abs_sum)[1])

        def run(image: np.ndarray, out: np.ndarray, threads: int) -> None:
            # What the parts add up to may leave the result's range on the way.
            scaled = down if out.size and image.size and out.dtype.kind == "f" and _near_the_end(image, facts.abs_sum, out.dtype) else 0
            for n, corner in enumerate(corners):
                native = kept[n] if kept and not scaled else filter_at(*corner, scaled)
                native.run(image, out, problem.image_dtype == "bfloat16", False, threads, STREAM_BYTES, add=n > 0)
            if scaled:
                with np.errstate(over="ignore"):
                    np.ldexp(out, scaled, out=out)

        run.filter = None  # calls that are known come here too
        return run

    def _in_turn(self, problem: Problem, facts: KernelFacts, recipe: Recipe, at_once: int):
        """So many kernels of a bank at a time that their spectra fit the memory; none is kept."""

        def run(image: np.ndarray, out: np.ndarray, threads: int) -> None:
            per_kernel = 1 if facts.biases is None else len(facts.biases) // problem.bank
            for a in range(0, problem.bank, at_once):
                b = min(a + at_once, problem.bank)
                biases = None if facts.biases is None else facts.biases[a * per_kernel : b * per_kernel]
                part = replace(problem, bank=b - a), replace(facts, weights=facts.weights[a:b], biases=biases)
                self._runner(*part, recipe)(image[..., a:b, :, :], out[..., a:b, :, :], threads)

        return run


def _near_the_end(image: np.ndarray, abs_sum: float, dtype: np.dtype) -> bool:
    """Whether sums over the finite pixels may pass what the result's type holds; without a copy of the image."""
    end = float(np.finfo(dtype).max) / 4 / max(abs_sum, 1.0)
    if image.dtype.kind != "f":  # integers are near it under enormous weights only: no need to look
        return not 2.0 ** (8 * image.dtype.itemsize) < end
    largest = np.fmax(float(np.fmax.reduce(image, axis=None)), -float(np.fmin.reduce(image, axis=None)))
    return not largest < end
