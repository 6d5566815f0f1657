"""Correlation by PyTorch's own operators: images on other devices, and kernels that mix many channels.

Borders are gathered by the closed-form index maps, sums are ``conv2d`` or Fourier transforms, in
the precision that the accuracy contract asks for. On the CPU work goes in bands, so that it needs
little memory and signals are heard between them. PyTorch is imported when it computes: whoever has
a tensor has it already, and an array goes to it only where ``method="matmul"`` was asked for.
"""

from __future__ import annotations

import math
import os
import sys
from contextlib import contextmanager
from dataclasses import replace
from importlib.util import find_spec
from typing import Any

import numpy as np

from .._analysis import KernelFacts
from .._boundary import Boundary, source_indices
from .._cost import Machine
from .._problem import Problem
from .accuracy import EXACT_TRANSFORM, F32, I128, ROUNDINGS, accumulator, biased, direct_roundings, integral
from .fft import _ldexp
from .native import _mix_complex

# Bytes of extended pixels, sums and columns at a time: of the 64 MB that a call may use on the CPU.
BUDGET = {"cpu": 32 << 20}
ELSEWHERE = 1 << 30
# What one call of conv2d costs, in seconds; its multiplications beside those of the direct sums; and samples brought
# into its layout and back beside those that are converted (fitted to 1 ... 64 channels of 28 x 28 ... 256 x 256, Zen 4).
CONV_OVERHEAD, CONV_SHARE, CONV_READ, CONV_WRITE = 25e-6, 1.27, 8, 4
# oneDNN's gradient of the kernel takes so much longer than its sums; a lag sum's multiplications, and what each pixel
# costs beside them as so many more (the same measurements).
CONV_GRADIENT, LAG_SHARE, LAG_PIXEL = 1.35, 0.88, 46
# A device's rates beside one core's. Only the choice between sums and transforms hangs on them.
DEVICE_RATE, DEVICE_CALL = 100.0, 50e-6

_forked = False  # OpenMP's threads, which PyTorch uses, do not survive a fork: one thread is what is left


def _note_fork() -> None:
    global _forked
    _forked = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_note_fork)


class _Torch:
    engine = "torch"

    @staticmethod
    def _roundings(problem: Problem, facts: KernelFacts) -> float:
        """``conv2d`` adds an output's products one after the other."""
        if problem.relaxed:
            return 0
        spare = 1 + biased(problem, facts)
        if facts.weights.ndim == 2 and facts.real:
            return direct_roundings(facts.weights, 1, problem.kernel_size[0]) + spare
        return problem.taps * (2 if problem.complex_image and not facts.real else 1) + spare

    def _sums(self, problem: Problem, facts: KernelFacts) -> int:
        return accumulator(problem, facts, self._roundings(problem, facts))


def _blocked(channels: int) -> int:
    """oneDNN computes 16 output channels at a time."""
    return -(-channels // 16) * 16


def many_channels(outputs: int, inputs: int) -> bool:
    """Whether ``conv2d`` and both its gradients are faster than ours on the CPU, whatever the size of image and kernel."""
    return CONV_SHARE * outputs > _blocked(outputs) and CONV_SHARE * inputs > _blocked(inputs)


class MatMul(_Torch):
    """The windows as a matrix, times the kernel: ``conv2d``, on the CPU oneDNN's or a BLAS product."""

    method = "matmul"

    def refuse(self, problem: Problem, facts: KernelFacts) -> str:
        if problem.device == "cpu":
            if not sys.modules.get("torch") and find_spec("torch") is None:
                return 'PyTorch is not installed: pip install "corr2d[torch]"'
            if not problem.channels:
                return "one channel at a time is faster in the compiled code"
        if not facts.finite:
            return "the kernel has weights that are not finite"
        if not problem.single and not integral(problem, facts) and self._roundings(problem, facts) > ROUNDINGS:
            return "its sums, product after product, may miss float64's accuracy"
        if self._sums(problem, facts) == I128 and facts.abs_sum * problem.largest_integer >= 2**62:
            return "integer sums may pass 2**62"
        return ""

    def work(self, problem: Problem, facts: KernelFacts, machine: Machine) -> float:
        multiplications = problem.outputs * problem.taps * (1 if facts.real else 4)
        double = self._sums(problem, facts) != F32
        if problem.device != "cpu":
            return DEVICE_CALL + multiplications * (4 if double else 1) / (machine.fma_rate * DEVICE_RATE)
        blocks = _blocked(problem.channels[0]) / problem.channels[0]
        passes = CONV_WRITE * blocks + (0 if problem.relaxed else 8)  # sums looked through and copied
        moved = CONV_READ * problem.pixels + passes * problem.outputs
        computed = multiplications * blocks * (2.5 if double else 1)
        return CONV_OVERHEAD + moved / machine.convert_rate + computed / (machine.fma_rate * CONV_SHARE)

    def prepare(self, problem: Problem, facts: KernelFacts):
        sums = self._sums(problem, facts)
        kept: dict[Any, Any] = {}  # weights by device

        def run(image: Any, out: Any, threads: int) -> None:
            import torch

            image = as_tensor(torch, image, problem.image_dtype)
            if not problem.outputs:
                return
            with settings(torch, threads), as_result(torch, out, problem.out_dtype) as out:
                if sums == I128:
                    _exact(torch, problem, facts, image, out)
                    return
                wide = torch.float32 if sums == F32 else torch.float64
                if image.device not in kept:
                    kept[image.device] = _weights(torch, problem, facts, wide).to(image.device)
                _in_bands(torch, problem, facts, image, out, kept[image.device], wide)

        return run


class TorchFFT(_Torch):
    """Whole planes by ``torch.fft``, for large kernels on devices that have the memory."""

    method = "fft"

    def refuse(self, problem: Problem, facts: KernelFacts) -> str:
        if problem.device == "cpu":
            return "the compiled transform takes this"
        if not facts.finite:
            return "the kernel has weights that are not finite"
        if integral(problem, facts) and facts.abs_sum * problem.largest_integer > EXACT_TRANSFORM:
            return "integer sums may pass 2**44, beyond which rounding the transform is not exact"
        return ""

    def work(self, problem: Problem, facts: KernelFacts, machine: Machine) -> float:
        n = math.prod(_extent(problem, axis) for axis in (0, 1))
        outputs, inputs = problem.channels or (1, 1)
        flop = problem.planes * (5 * n * math.log2(n + 1) * (inputs + outputs) + 8 * n * inputs * outputs)
        # Memory, not arithmetic, sets a transform's pace: measured as a tenth of the sums'.
        return 4 * DEVICE_CALL + flop * (4 if self._double(problem, facts) else 1) / (machine.fma_rate * DEVICE_RATE / 10)

    @staticmethod
    def _double(problem: Problem, facts: KernelFacts) -> bool:
        return not problem.single or facts.integer

    def prepare(self, problem: Problem, facts: KernelFacts):
        def run(image: Any, out: Any, threads: int) -> None:
            import torch

            image = as_tensor(torch, image, problem.image_dtype)
            if problem.outputs:
                with settings(torch, threads), as_result(torch, out, problem.out_dtype) as out:
                    _transform(torch, problem, facts, image, out, torch.float64 if self._double(problem, facts) else torch.float32)

        return run


@contextmanager
def settings(torch: Any, threads: int):
    """No gradients, no more threads than were asked for, and float32 that is float32 (cuDNN's TF32 is not)."""
    with torch.no_grad(), torch.backends.cudnn.flags(enabled=torch.backends.cudnn.enabled, allow_tf32=False), thread_count(torch, threads):
        yield


class thread_count:
    """So many of PyTorch's threads."""

    __slots__ = ("torch", "wanted", "before")

    def __init__(self, torch: Any, threads: int) -> None:
        self.torch, self.wanted, self.before = torch, 1 if _forked else threads, torch.get_num_threads()

    def __enter__(self) -> None:
        if self.wanted != self.before:
            self.torch.set_num_threads(self.wanted)

    def __exit__(self, *raised: Any) -> None:
        if self.wanted != self.before and not _forked:
            self.torch.set_num_threads(self.before)


def as_tensor(torch: Any, array: Any, dtype: str) -> Any:
    """The same memory as a tensor, or a copy where no tensor has such strides."""
    if not isinstance(array, np.ndarray):
        return array
    if any(s < 0 or s % array.itemsize for s in array.strides) or not array.flags.writeable or not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="), order="C", copy=True)
    tensor = torch.from_numpy(array)
    return tensor.view(torch.bfloat16) if dtype == "bfloat16" else tensor


@contextmanager
def as_result(torch: Any, out: Any, dtype: str):
    """A tensor to compute into; `out` holds what it held when the block ends."""
    tensor = as_tensor(torch, out, dtype)
    yield tensor
    if isinstance(out, np.ndarray) and tensor.data_ptr() != out.__array_interface__["data"][0]:
        out[...] = (tensor.view(torch.uint16) if dtype == "bfloat16" else tensor).numpy()


# -------------------------------------------------------------------------------------------------
# shapes


def _split(torch: Any, problem: Problem, tensor: Any, channels: int) -> Any:
    """(images, bank, channels, H, W) with the parts of complex samples among the channels."""
    lead = problem.lead[:-1] if problem.bank > 1 else problem.lead
    if tensor.is_complex():
        tensor = torch.view_as_real(tensor.resolve_conj()).movedim(-1, -3)
        channels *= 2
    return tensor.reshape(math.prod(lead), problem.bank, channels, *tensor.shape[-2:])


def _weights(torch: Any, problem: Problem, facts: KernelFacts, wide: Any) -> Any:
    """(bank * O, I, kh, kw) as ``conv2d`` wants them, complex channels as two real ones."""
    outputs, inputs = problem.channels or (1, 1)
    weights = facts.weights.reshape(problem.bank * outputs, inputs, *problem.kernel_size)
    if problem.complex_image or not facts.real or (problem.complex_result and problem.bias):  # a bias has both parts
        weights = _mix_complex(weights, problem)
    return torch.from_numpy(np.array(weights, order="C")).to(wide)


def _biases(torch: Any, problem: Problem, facts: KernelFacts, like: Any) -> Any:
    """(bank, O, 1, 1), or None."""
    if facts.biases is not None:
        return torch.from_numpy(np.asarray(facts.biases)).to(like.device, like.dtype).reshape(problem.bank, -1, 1, 1)
    if not problem.bias:
        return None
    parts = [problem.bias.real, problem.bias.imag] if problem.complex_result else [problem.bias.real]
    outputs = (problem.channels or (1, 1))[0]
    return torch.tensor(parts * outputs, dtype=like.dtype, device=like.device).reshape(1, -1, 1, 1)


def _extent(problem: Problem, axis: int) -> int:
    """Extended pixels that outputs read."""
    return (problem.out_size[axis] - 1) * problem.stride[axis] + problem.span[axis] + 1


def extend(torch: Any, image: Any, problem: Problem, rows: range | None = None) -> Any:
    """The image (..., H, W) with its padding, or those of its extended rows; the index maps are closed-form.

    `image` is (..., parts, H, W) with as many parts as a pixel of the problem's has.
    """
    rows = range(_extent(problem, 0)) if rows is None else rows
    maps = [
        source_indices(problem.boundary, first - before, count, n)
        for first, count, before, n in zip(
            (rows.start, 0), (len(rows), _extent(problem, 1)), (problem.pads[0][0], problem.pads[1][0]), problem.size, strict=True
        )
    ]
    for axis, positions in zip((-2, -1), maps, strict=True):
        image = _along(torch, image, axis, positions)
    if problem.boundary is Boundary.CONSTANT and problem.fill and any((m < 0).any() for m in maps):
        beyond = torch.from_numpy((maps[0] < 0)[:, None] | (maps[1] < 0)).to(image.device)
        if problem.complex_image:
            fill = torch.tensor([problem.fill.real, problem.fill.imag], dtype=image.dtype, device=image.device)
            fill = fill.repeat(image.shape[-3] // 2)[:, None, None]
            return torch.where(beyond, fill, image)
        return image.masked_fill(beyond, problem.fill.real)
    return image


def _along(torch: Any, image: Any, axis: int, positions: np.ndarray) -> Any:
    """The pixels at `positions` along an axis, zeroes for -1; a view where they follow one another."""
    inside = positions >= 0
    kept = positions[inside]
    if not kept.size:
        return image.new_zeros([len(positions) if a == image.dim() + axis else n for a, n in enumerate(image.shape)])
    if (np.diff(kept) == 1).all():
        image = image.narrow(axis, int(kept[0]), len(kept))
    else:
        image = image.index_select(axis, torch.from_numpy(kept).to(image.device))
    if inside.all():
        return image
    before = int(inside.argmax())
    after = len(positions) - before - len(kept)
    return torch.nn.functional.pad(image, (before, after) if axis == -1 else (0, 0, before, after))


# -------------------------------------------------------------------------------------------------
# sums


def _in_bands(torch: Any, problem: Problem, facts: KernelFacts, image: Any, out: Any, weights: Any, wide: Any) -> None:
    """As many images, or rows of one, at a time as the memory holds."""
    p = problem
    inputs = p.channels[1] if p.channels else 1
    x = _split(torch, p, image, inputs)
    direct = out.is_contiguous() and not out.is_complex()
    shape = (x.shape[0], p.bank, weights.shape[0] // p.bank, *p.out_size)
    to = out.view(shape) if direct else out.new_empty(shape, dtype=wide if out.is_complex() else out.dtype)
    biases = _biases(torch, p, facts, weights)
    item = 4 if wide == torch.float32 else 8
    width, (sy, _) = p.out_size[1], p.stride
    columns = p.taps * p.bank * width if item == 8 else 0  # a double product writes the windows down
    per_row = item * (x.shape[2] * p.bank * _extent(p, 1) * sy + 2 * to.shape[2] * p.bank * width + columns)
    most = max(1, BUDGET.get(image.device.type, ELSEWHERE) // max(1, per_row))
    at_once, height = max(1, most // p.out_size[0]), min(most, p.out_size[0])
    for n in range(0, x.shape[0], at_once):
        images = x[n : n + at_once]
        for y in range(0, p.out_size[0], height):
            lines = min(height, p.out_size[0] - y)
            band = range(y * sy, (y + lines - 1) * sy + p.span[0] + 1)
            sums = _conv(torch, p, images, band, weights, wide, biases)
            if wide == torch.float32 and not p.relaxed and (image.is_floating_point() or image.is_complex()) and not bool(sums.isfinite().all()):
                # A partial sum may have left float's range where the result does not.
                double = _weights(torch, p, facts, torch.float64).to(image.device)
                sums = _conv(torch, p, images, band, double, torch.float64, _biases(torch, p, facts, double))
            _round(torch, sums, to[n : n + at_once, ..., y : y + lines, :])
    if not direct:
        _give(torch, to, out)


def _give(torch: Any, result: Any, out: Any) -> None:
    """(images, bank, O or its parts, H', W') to the caller's samples."""
    if out.is_complex():
        parts = result.unflatten(2, (-1, 2)) if result.numel() == 2 * out.numel() else torch.stack((result, torch.zeros_like(result)), 3)
        result = torch.complex(parts[:, :, :, 0], parts[:, :, :, 1])
    out.copy_(result.reshape(out.shape))


def _conv(torch: Any, p: Problem, images: Any, band: range, weights: Any, wide: Any, biases: Any) -> Any:
    """(images, bank, O, rows, W') of a band of extended rows."""
    plain = own_padding(p) and len(band) == _extent(p, 0)
    pixels = images.to(wide)  # first: the fill may be no integer where the image is
    flat = (pixels if plain else extend(torch, pixels, p, band)).flatten(1, 2)
    padding = (p.pads[0][0], p.pads[1][0]) if plain else 0
    flat_biases = None if biases is None else biases.expand(p.bank, -1, 1, 1).flatten()
    sums = torch.nn.functional.conv2d(flat, weights, flat_biases, p.stride, padding, p.dilation, p.bank)
    return sums.unflatten(1, (p.bank, -1))


def _round(torch: Any, sums: Any, out: Any) -> None:
    """Sums to samples: rounded half to even and saturated, once, for integers."""
    if out.dtype.is_floating_point:
        out.copy_(sums)
        return
    limits, half = torch.iinfo(out.dtype), 2.0**63
    if sums.dtype == torch.int64:
        integers = sums.clamp(limits.min, min(limits.max, 2**63 - 1))
    else:
        rounded = sums.double().round().nan_to_num(0.0, posinf=math.inf, neginf=-math.inf).clamp(float(limits.min), float(limits.max))
        # The largest integers of 64 bits are no floats, and PyTorch's int64 has to stand for uint64.
        top, high = rounded >= float(limits.max), rounded >= half
        integers = torch.where(high, rounded - 2 * half, rounded).masked_fill(top, 0).to(torch.int64)
        integers = integers.masked_fill(top, limits.max - (2**64 if limits.max > 2**63 else 0))
    out.copy_(integers.view(torch.uint64) if out.dtype == torch.uint64 else integers.to(out.dtype))


def _exact(torch: Any, problem: Problem, facts: KernelFacts, image: Any, out: Any) -> None:
    """Integers whose sums a float does not hold: shifted planes in int64, tap by tap."""
    p = problem
    outputs, inputs = p.channels or (1, 1)
    pixels = extend(torch, _split(torch, p, image, inputs).to(torch.int64), p)
    kernels = facts.weights.reshape(p.bank, outputs, inputs, *p.kernel_size)
    total = torch.zeros((pixels.shape[0], p.bank, outputs, *p.out_size), dtype=torch.int64, device=image.device)
    for b, o, i, y, x in np.argwhere(kernels).tolist():
        rows = slice(y * p.dilation[0], y * p.dilation[0] + (p.out_size[0] - 1) * p.stride[0] + 1, p.stride[0])
        columns = slice(x * p.dilation[1], x * p.dilation[1] + (p.out_size[1] - 1) * p.stride[1] + 1, p.stride[1])
        total[:, b, o] += pixels[:, b, i, rows, columns] * int(kernels[b, o, i, y, x])
    total += int(p.bias.real)
    result = torch.empty_like(total, dtype=out.dtype)
    _round(torch, total, result)
    _give(torch, result, out)


# -------------------------------------------------------------------------------------------------
# adjoints


def sums_lags_faster(problem: Problem) -> bool:
    """Whether oneDNN's gradient of the kernel beats a pass of lag sums for each pair of channels on the CPU."""
    if problem.channels is None:
        return False
    outputs, taps = problem.channels[0], math.prod(problem.kernel_size)
    return outputs * (LAG_PIXEL + taps) / LAG_SHARE > _blocked(outputs) * taps * CONV_GRADIENT / CONV_SHARE


def own_padding(problem: Problem) -> bool:
    """Whether the padding is one that ``conv2d`` has itself."""
    return problem.boundary is Boundary.CONSTANT and problem.fill == 0 and all(a == b for a, b in problem.pads)


def _wide(torch: Any, tensor: Any) -> Any:
    return tensor if tensor.dtype in (torch.float32, torch.float64) else tensor.float()


def kernel_gradient(torch: Any, problem: Problem, image: Any, gradient: Any) -> Any:
    """(bank * O, I, kh, kw), summed over images and outputs."""
    p = problem
    outputs, inputs = p.channels or (1, 1)
    pixels, padding = _split(torch, p, _wide(torch, image), inputs), (p.pads[0][0], p.pads[1][0])
    if not own_padding(p):
        pixels, padding = extend(torch, pixels, p), (0, 0)
    pixels = pixels.flatten(1, 2)
    g = _split(torch, p, _wide(torch, gradient), outputs).flatten(1, 2)
    weights = pixels.new_empty((p.bank * outputs, inputs, *p.kernel_size))
    return torch.ops.aten.convolution_backward(
        g.to(pixels.dtype), pixels, weights, None, p.stride, padding, p.dilation, False, (0, 0), p.bank, (False, True, False)
    )[1]  # fmt: skip


def image_gradient(torch: Any, problem: Problem, weight: Any, gradient: Any, dtype: Any) -> Any:
    """(images, bank, I, H, W): the transpose of ``conv2d``, then padding added to the pixels it copied."""
    p = problem
    outputs, inputs = p.channels or (1, 1)
    g = _split(torch, p, _wide(torch, gradient), outputs).flatten(1, 2)
    extended = g.new_empty((g.shape[0], p.bank * inputs, _extent(p, 0), _extent(p, 1)))
    weights = weight.to(g.dtype).reshape(p.bank * outputs, inputs, *p.kernel_size)
    result = torch.ops.aten.convolution_backward(
        g, extended, weights, None, p.stride, (0, 0), p.dilation, False, (0, 0), p.bank, (True, False, False)
    )[0]  # fmt: skip
    for axis in (0, 1):
        sources = source_indices(p.boundary, -p.pads[axis][0], _extent(p, axis), p.size[axis])
        inside = torch.from_numpy(np.flatnonzero(sources >= 0)).to(g.device)
        to = torch.from_numpy(sources[sources >= 0]).to(g.device)
        shape = list(result.shape)
        shape[axis - 2] = p.size[axis]
        result = result.new_zeros(shape).index_add(axis - 2, to, result.index_select(axis - 2, inside))
    return result.to(dtype)


# -------------------------------------------------------------------------------------------------
# transforms


def _scaled(values: Any, exponent: int) -> Any:
    """Times a power of two that may itself be beyond float's range."""
    while exponent:
        step = max(-100, min(exponent, 100))
        values, exponent = values * 2.0**step, exponent - step
    return values


def _transform(torch: Any, problem: Problem, facts: KernelFacts, image: Any, out: Any, wide: Any) -> None:
    p = problem
    x = _split(torch, p, image, p.channels[1] if p.channels else 1)
    parts = x.shape[2]
    size = [_extent(p, axis) for axis in (0, 1)]
    exponent = math.frexp(facts.abs_sum)[1]  # powers of two keep products within the range of floats
    weights = _weights(torch, p, replace(facts, weights=_ldexp(facts.weights, -exponent)), wide).to(image.device)
    dense = weights.new_zeros((*weights.shape[:2], *(n + 1 for n in p.span)))
    dense[..., :: p.dilation[0], :: p.dilation[1]] = weights
    spectrum = torch.fft.rfft2(dense, s=size).conj().unflatten(0, (p.bank, -1))
    biases = _biases(torch, p, facts, weights)
    result = out.new_empty((x.shape[0], p.bank, spectrum.shape[1], *p.out_size), dtype=wide)
    at_once = max(1, ELSEWHERE // max(1, 16 * math.prod(size) * p.bank * (parts + spectrum.shape[1])))
    for n in range(0, x.shape[0], at_once):
        pixels = extend(torch, x[n : n + at_once].to(wide), p)
        finite = pixels.isfinite()
        whole = bool(finite.all())
        if not whole:
            pixels = torch.where(finite, pixels, 0)
        peak = math.frexp(float(pixels.abs().max()))[1]
        integers = facts.integer and (integral(p, facts) or whole and bool((pixels == pixels.round()).all()))
        pixels = _scaled(pixels, -peak)
        product = torch.einsum("nbihw,boihw->nbohw", torch.fft.rfft2(pixels), spectrum)
        sums = torch.fft.irfft2(product, s=size)[..., : size[0] - p.span[0] : p.stride[0], : size[1] - p.span[1] : p.stride[1]]
        sums = _scaled(sums, peak + exponent)
        if integers:
            sums = sums.round()
        if biases is not None:
            sums = sums + biases
        if not whole:  # the definition multiplies every tap: an output that sees such a pixel is not finite
            seen = torch.nn.functional.conv2d(
                (~finite).any(2).to(wide).flatten(0, 1)[:, None], torch.ones_like(weights[:1, :1]), None, p.stride, 0, p.dilation
            )  # fmt: skip
            sums = sums.masked_fill(seen.reshape(*sums.shape[:2], 1, *p.out_size) > 0.5, math.nan)
        result[n : n + at_once] = sums
    rounded = result if out.is_complex() else torch.empty_like(result, dtype=out.dtype)
    if rounded is not result:
        _round(torch, result, rounded)
    _give(torch, rounded, out)
