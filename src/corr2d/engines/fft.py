"""Correlation by scipy.fft: what the compiled transform (native/fft.hpp) does not take.

Complex and channel-mixing kernels, and those too large for its tiles that are not to be taken in parts. A tile
of L x L pixels yields (L - span) x (L - span) outputs free of wrap-around (Oppenheim & Schafer,
*Discrete-Time Signal Processing*, §8.7). The error is spread evenly
over a tile, about u sqrt(log2 L^2) sum|k| rms(x), well inside the contract's bound.
"""

from __future__ import annotations

import math
import threading
from functools import lru_cache

import numpy as np

from .. import _native
from .._analysis import KernelFacts
from .._boundary import Boundary, source_indices
from .._cost import Machine
from .._problem import Problem
from .transform import too_far

# Memory for tiles and spectra, of the 64 MB that a call may use beside its arrays.
BUDGET = 40 << 20
# Integer results are rounded to integers; that is exact while the error is below one half.
EXACT = 2.0**44


class FFT:
    """Overlap-save with scipy.fft, one tile per thread at a time."""

    engine = method = "fft"

    def refuse(self, problem: Problem, facts: KernelFacts) -> str:
        if not (problem.channels or problem.complex_result or too_far(problem, facts)):
            return "the compiled transform takes this"
        if problem.bank > 1:
            return "planes have kernels of their own"
        if not facts.finite:
            return "the kernel has weights that are not finite"
        if problem.out_dtype == "bfloat16":
            return "the transform's output is not written as bfloat16"
        if _integral(problem, facts) and facts.abs_sum * problem.largest_integer > EXACT:
            return "integer sums may pass 2**44, beyond which rounding the transform is not exact"
        if problem.outputs and _tiling(problem, _itemsize(problem, facts)) is None:
            return f"tiles for a reach of {problem.span[0] + 1} x {problem.span[1] + 1} pixels would need more than 64 MB"
        return ""

    def work(self, problem: Problem, facts: KernelFacts, machine: Machine) -> float:
        if not problem.outputs:
            return 0.0
        item = _itemsize(problem, facts)
        (ly, lx), tiles = _tiling(problem, item)
        outputs, inputs = problem.channels or (1, 1)
        n = ly * lx
        flops = 2.5 * n * math.log2(n) * (inputs + outputs) + 8 * n * inputs * outputs
        overhead = machine.tile_overhead * (8 + inputs + outputs) / 10  # a little more for every channel
        return tiles * problem.planes * (flops / machine.fft_rate * item / 4 + overhead)

    def prepare(self, problem: Problem, facts: KernelFacts):
        return _Transform(problem, facts)


def _integral(problem: Problem, facts: KernelFacts) -> bool:
    """Whether every sum, before the bias, is an integer; the transform's are then rounded to them.

    Pixels of a float image may be integers too: that is looked at tile by tile.
    """
    return problem.largest_integer is not None and facts.integer


def _itemsize(problem: Problem, facts: KernelFacts) -> int:
    """Bytes of a sample of the transform: float32 or float64, twice that when complex."""
    double = not problem.single or facts.integer
    return (8 if double else 4) * (2 if problem.complex_image or not facts.real else 1)


def _bytes(n: int, item: int, channels: tuple[int, int]) -> tuple[int, int]:
    """(shared, per worker) bytes of tiles of n pixels: kernel spectra; tile, its spectra, a product, a result."""
    outputs, inputs = channels
    return item * n * outputs * inputs, item * n * (3 + inputs)


def _workers(threads: int, n: int, item: int, problem: Problem) -> int:
    shared, each = _bytes(n, item, problem.channels or (1, 1))
    return max(1, min(threads, (BUDGET - shared) // each))


def _tiling(problem: Problem, item: int) -> tuple[tuple[int, int], int] | None:
    """((Ly, Lx), number of tiles) of least work, or None when none fits the memory."""
    dense = tuple((n - 1) * s + 1 for n, s in zip(problem.out_size, problem.stride, strict=True))
    return _best_tiling(dense, problem.span, item, problem.channels or (1, 1))


@lru_cache(maxsize=512)
def _best_tiling(dense, span, item, channels):
    best = None
    for ly in _lengths(dense[0], span[0]):
        for lx in _lengths(dense[1], span[1]):
            shared, each = _bytes(ly * lx, item, channels)
            if shared + each > BUDGET:
                continue
            tiles = math.ceil(dense[0] / (ly - span[0])) * math.ceil(dense[1] / (lx - span[1]))
            # The last term: a tile that leaves the second-level cache costs half as much again.
            spill = 1.0 if ly * lx * item * 3 <= 1 << 20 else 1.5
            work = tiles * (ly * lx * math.log2(ly * lx + 1) * spill + 20_000)
            if best is None or work < best[0]:
                best = (work, (ly, lx), tiles)
    return None if best is None else best[1:]


def _lengths(outputs: int, span: int) -> list[int]:
    """Lengths to try: from a little more than the kernel to the whole axis."""
    whole = _fast_length(outputs + span)
    return [n for n in (64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048) if span + 8 < n < whole] + [whole]


def _fast_length(n: int) -> int:
    """The next length without prime factors above 5; beyond any tile, the next power of two."""
    if n > 1 << 16:
        return 1 << (n - 1).bit_length()
    while True:
        rest = n
        for prime in (2, 3, 5):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return n
        n += 1


class _Transform:
    """A prepared correlation: tile size chosen, the kernel's spectrum kept."""

    def __init__(self, problem: Problem, facts: KernelFacts):
        import scipy.fft  # 0.2 s that only those pay who need it

        self.fft = scipy.fft
        self.problem = problem
        self.integral = _integral(problem, facts)
        self.abs_sum = facts.abs_sum if facts.integer else math.inf
        self.biases = facts.biases
        self.item = _itemsize(problem, facts)
        self.complex = problem.complex_image or not facts.real
        double = self.item // (2 if self.complex else 1) == 8
        self.real_type = np.float64 if double else np.float32
        self.pixel_type = np.dtype((np.complex128 if double else np.complex64) if self.complex else self.real_type)
        # Weights are scaled by a power of two so that their products cannot overflow.
        self.exponent = math.frexp(facts.abs_sum)[1] if facts.abs_sum else 0
        weights = facts.weights if problem.channels else facts.weights[None, None]
        self.weights = _ldexp(weights, -self.exponent)
        self._spectrum = None
        self._lock = threading.Lock()
        if problem.outputs:
            (self.ly, self.lx), _ = _tiling(problem, self.item)

    def _spectra(self) -> np.ndarray:
        with self._lock:
            if self._spectrum is None:
                (dy, dx), (sy, sx) = self.problem.dilation, self.problem.span
                shape = self.weights.shape[:2] + (self.ly, self.lx if self.complex else self.lx // 2 + 1)
                spectrum = np.empty(shape, np.complex128 if self.real_type is np.float64 else np.complex64)
                for which in np.ndindex(*shape[:2]):
                    spread = np.zeros((self.ly, self.lx), self.pixel_type)
                    spread[: sy + 1 : dy, : sx + 1 : dx] = self.weights[which].conj()
                    np.conjugate(self._forward(spread), out=spectrum[which])
                self._spectrum = spectrum
            return self._spectrum

    def _forward(self, tile):
        return self.fft.fft2(tile) if self.complex else self.fft.rfft2(tile)

    def _backward(self, spectrum):
        if self.complex:
            return self.fft.ifft2(spectrum, overwrite_x=True)
        return self.fft.irfft2(spectrum, s=(self.ly, self.lx), overwrite_x=True)

    def __call__(self, image: np.ndarray, out: np.ndarray, threads: int) -> None:
        _native.enter()
        try:
            self._run(image, out, threads)
        finally:
            _native.leave()

    def _run(self, image: np.ndarray, out: np.ndarray, threads: int) -> None:
        p = self.problem
        if not p.outputs:
            return
        spectra = self._spectra()
        if p.channels is None:
            image, out = image[..., None, :, :], out[..., None, :, :]
        step_y, step_x = self.ly - p.span[0], self.lx - p.span[1]
        dense = tuple((n - 1) * s + 1 for n, s in zip(p.out_size, p.stride, strict=True))
        tiles = [
            (plane, y, x)
            for plane in np.ndindex(*p.lead)
            for y in range(0, dense[0], step_y)
            for x in range(0, dense[1], step_x)
        ]  # fmt: skip

        def work(tile):
            plane, y, x = tile
            self._tile(spectra, image[plane], out[plane], y, min(step_y, dense[0] - y), x, min(step_x, dense[1] - x))

        for_each(work, tiles, _workers(threads, self.ly * self.lx, self.item, p))

    def _tile(self, spectra, channels, out, y, height, x, width) -> None:
        """Dense outputs [y, y + height) x [x, x + width), every stride-th of them written."""
        p = self.problem
        rows = source_indices(p.boundary, y - p.pads[0][0], height + p.span[0], p.size[0])
        columns = source_indices(p.boundary, x - p.pads[1][0], width + p.span[1], p.size[1])
        total, poisoned, shift = None, None, 0
        tiles = [self._gather(channel, rows, columns) for channel in channels]
        peak = _peak(tiles)
        if not math.isfinite(peak):
            poisoned = self._poison(tiles)
            peak = _peak(tiles)
        integral = self.integral or (self.abs_sum * peak < EXACT and all((tile == np.rint(tile)).all() for tile in tiles))
        if peak > 2.0**40 or 0 < peak < 2.0**-40:  # products with the spectrum could leave the range
            shift = math.frexp(peak)[1]
            tiles = [_ldexp(tile, -shift) for tile in tiles]
        transformed = [self._forward(tile) for tile in tiles]
        (sy, sx), scale = p.stride, self.exponent + shift
        oy, ox = -y % sy, -x % sx  # first output of the stride inside this tile
        for o, row in enumerate(spectra):
            total = transformed[0] * row[0]
            for spectrum, k in zip(transformed[1:], row[1:], strict=True):
                total += spectrum * k
            result = self._backward(total)[oy:height:sy, ox:width:sx]
            if scale:
                result = _ldexp(result, scale)
            if integral:
                result = np.rint(result)
            if self.biases is not None:
                result = result + self.biases[o]
            elif p.bias:
                result = result + (p.bias if self.complex or p.complex_result else p.bias.real)
            if poisoned is not None:
                result = np.where(poisoned[oy:height:sy, ox:width:sx], np.nan, result)
            target = out[o, (y + oy) // sy : (y + oy) // sy + result.shape[0], (x + ox) // sx : (x + ox) // sx + result.shape[1]]
            _write(target, result)

    def _gather(self, channel, rows, columns) -> np.ndarray:
        """The pixels under a tile, padded by the boundary, then with zeros to (Ly, Lx)."""
        tile = np.zeros((self.ly, self.lx), dtype=self.pixel_type)
        inside = tile[: len(rows), : len(columns)]
        if self.problem.image_dtype == "bfloat16":
            channel = _Bits(channel)
        if _run(rows) and _run(columns):
            inside[...] = channel[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
            return tile
        if self.problem.boundary is Boundary.CONSTANT:
            fill = self.problem.fill
            inside[...] = fill if self.complex else fill.real
            ys, xs = np.flatnonzero(rows >= 0), np.flatnonzero(columns >= 0)
            if ys.size and xs.size:
                inside[ys[0] : ys[-1] + 1, xs[0] : xs[-1] + 1] = channel[
                    rows[ys[0]] : rows[ys[-1]] + 1, columns[xs[0]] : columns[xs[-1]] + 1
                ]
        else:
            inside[...] = channel[np.ix_(rows, columns)]
        return tile

    def _poison(self, tiles) -> np.ndarray:
        """Zero the pixels that are not finite, in place; where outputs see one is returned.

        A transform would spread them over the whole tile; the definition confines them to
        the windows that contain them. The mask is itself a correlation, of zeros and ones.
        """
        seen = np.zeros((self.ly, self.lx))
        for tile in tiles:
            bad = ~np.isfinite(tile)
            seen += bad
            tile[bad] = 0
        (dy, dx), (sy, sx) = self.problem.dilation, self.problem.span
        window = np.zeros((self.ly, self.lx))
        window[: sy + 1 : dy, : sx + 1 : dx] = 1
        count = self.fft.irfft2(self.fft.rfft2(seen) * self.fft.rfft2(window).conj(), s=seen.shape)
        return count > 0.5


class _Bits:
    """bfloat16 pixels, which travel as their bits, read like an array."""

    def __init__(self, bits):
        self.bits = bits

    def __getitem__(self, index):
        return (self.bits[index].astype(np.uint32) << 16).view(np.float32)


def _peak(tiles) -> float:
    """The largest magnitude of a part; not finite if any pixel is not.

    Of a part, for the modulus of a finite complex number may be infinite.
    """
    return float(np.max([np.abs(tile.view(tile.real.dtype)).max() for tile in tiles]))


def _run(indices: np.ndarray) -> bool:
    return bool(indices[0] >= 0 and indices[-1] - indices[0] == len(indices) - 1 and (np.diff(indices) == 1).all())


def _ldexp(array: np.ndarray, exponent: int) -> np.ndarray:
    """array * 2**exponent, exactly, complex too."""
    if exponent == 0:
        return array
    result = np.empty_like(array)
    with np.errstate(over="ignore", under="ignore"):  # what leaves the range does so in the result
        if array.dtype.kind != "c":
            np.ldexp(array, exponent, out=result)
        else:
            result.real, result.imag = np.ldexp(array.real, exponent), np.ldexp(array.imag, exponent)
    return result


def _write(target: np.ndarray, result: np.ndarray) -> None:
    """Results to samples: half to even and saturated for integers, NaN to 0."""
    if target.dtype.kind not in "iu":
        with np.errstate(over="ignore"):
            target[...] = result
        return
    limits = np.iinfo(target.dtype)
    rounded = np.rint(result.real).astype(np.float64)
    high, low = rounded >= float(limits.max), rounded <= float(limits.min)
    rounded[high | low | np.isnan(rounded)] = 0
    target[...] = rounded.astype(target.dtype)
    target[high], target[low] = limits.max, limits.min


def for_each(work, items: list, workers: int) -> None:
    """work(item) for every item, on `workers` threads, the caller's among them.

    An exception, Ctrl-C included, stops the others after their current item.
    """
    queue, lock, failures = iter(items), threading.Lock(), []

    def loop():
        try:
            while not failures:
                with lock:
                    item = next(queue, None)
                if item is None:
                    return
                work(item)
        except BaseException as error:  # handed to the caller below
            failures.append(error)

    helpers = [threading.Thread(target=loop, daemon=True) for _ in range(min(workers, len(items)) - 1)]
    for helper in helpers:
        helper.start()
    loop()
    for helper in helpers:
        helper.join()
    if failures:
        raise failures[0]
