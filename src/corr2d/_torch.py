"""Tensors with a history, on other devices, or in a compiler's hands: a layer's call, and corr2d.corr2d on such.

Loaded only by those who have imported PyTorch.
"""

from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from . import _arrays
from ._boundary import Boundary
from ._errors import DTypeError, OptionError
from ._problem import _count as at_least
from ._problem import _pair as pair  # noqa: F401 (for nn)
from ._problem import check_kernel_shape, image_axes, read_window, result_dtype
from ._torch_derivatives import call, recorded
from ._torch_operators import (
    Geometry,
    Repeated,  # noqa: F401 (for nn)
    conv2d,
    correlate_op,
    forward,
    name_of,
    pads_around,
    trained_problem,
)
from .engines import torch as device_engine


def layer(image: Tensor, weight: Tensor, bias: Tensor | None, g: Geometry, dtype: torch.dtype) -> Tensor:
    """`corr2d.nn.Conv2D` on a checked image."""
    if handed_over(image, weight, g, dtype):
        return conv2d(image, weight, bias, g, dtype)
    return own(image, weight, bias, g, dtype)


def own(image: Tensor, weight: Tensor, bias: Tensor | None, g: Geometry, dtype: torch.dtype) -> Tensor:
    """The same on this package's operators."""
    image = image.to(torch.uint8) if image.dtype == torch.bool else image
    if needed(image, weight) or recorded(bias):
        return call(correlate_op, image, weight, bias, list(g), 0.0, 0.0, dtype, "auto", 0, True, True)
    return forward(image, weight, bias, g, 0.0, 0.0, dtype, "auto", 0, True, True)


# What our passes cost in calls beside conv2d's, in seconds (Zen 4): forward alone, a history, and each gradient.
FORWARD_CALL, HISTORY, GRADIENT_CALL = 12e-6, 50e-6, 60e-6


def handed_over(image: Tensor, weight: Tensor, g: Geometry, dtype: torch.dtype) -> bool:
    """Whether a layer's call goes to ``conv2d``, its own gradients included: the planner's choice for all passes at once."""
    if weight.dim() != 4 or g.boundary != Boundary.CONSTANT or (g.top, g.left) != (g.bottom, g.right):
        return False
    if not image.is_cpu or device_engine.many_channels(weight.shape[0] // g.groups, weight.shape[1]):
        return True
    if torch.compiler.is_compiling() or not (image.dtype is weight.dtype is dtype is torch.float32):
        return False  # a graph serves many sizes; the measurements are of float32
    recorded = torch.is_grad_enabled()
    return _conv2d_quicker(image.shape, weight.shape, g, torch.get_num_threads(), recorded and image.requires_grad, recorded and weight.requires_grad)


@lru_cache(maxsize=1024)
def _conv2d_quicker(shape, weight_shape, g, threads, for_image, for_weight) -> bool:
    single, gradients = torch.float32, for_image + for_weight
    calls = FORWARD_CALL + (HISTORY + gradients * GRADIENT_CALL if gradients else 0)

    def passing(shape, weight_shape, g):
        return trained_problem(tuple(shape), single, tuple(weight_shape), tuple(g), 0.0, 0.0, single, True, True, "cpu")

    forward = passing(shape, weight_shape, g)
    p = forward.problem
    if p.channels is None or not p.outputs or for_weight and not device_engine.sums_lags_faster(p):
        return False
    ways = [forward]
    around = pads_around(p)
    if for_image and p.stride == (1, 1) and min(around) >= 0:
        outputs, inputs, *size = weight_shape
        back = Geometry.of((around[:2], around[2:]), Boundary.CONSTANT, (1, 1), p.dilation, p.bank)
        ways.append(passing((*shape[:-3], outputs, *p.out_size), (inputs * p.bank, outputs // p.bank, *size), back))
    times = [way.seconds(threads) for way in ways]
    # Amid a step, whose other passes fill the caches, sums over many channels took up to this much more than predicted.
    ours = [min(t["torch"], t["native"] * share) for t, share in zip(times, (1, 1 + weight_shape[0] / p.bank / 80))]
    return sum(t["torch"] for t in times) < sum(ours) + calls


def needed(image: Any, kernel: Any) -> bool:
    """Whether this call, whose image is a tensor, is for the operators above: all but plain tensors of the CPU."""
    if torch.compiler.is_compiling() or type(image) not in (Tensor, torch.nn.Parameter) or image.device.type != "cpu":
        return True
    return torch._C._are_functorch_transforms_active() or recorded(image, kernel)


def correlate(image: Tensor, kernel: Any, out: Any, words: tuple[Any, ...]) -> Tensor:
    """`corr2d.corr2d` with the words of a call, differentiable."""
    turned, padding, boundary, fill, anchor, stride, dilation, channel_axis, dtype, method, threads = words
    kernel, kernel_anchor, offset = _kernel(kernel, image)
    check_kernel_shape(tuple(kernel.shape), kernel.numel() == 0)
    image_dtype = _arrays.tensor_dtype_name(image, "image")
    _arrays.tensor_dtype_name(kernel, "kernel")
    if kernel.device != image.device:
        raise DTypeError(f"the image is on device {image.device} and the kernel on {kernel.device}; use kernel.to({str(image.device)!r})")
    if turned:
        kernel = kernel.flip((-2, -1))
        kernel_anchor = None if kernel_anchor is None else tuple(k - 1 - a for k, a in zip(kernel.shape[-2:], kernel_anchor, strict=True))
    elif kernel.is_complex():
        kernel = kernel.conj()
    size = tuple(kernel.shape[-2:])
    # A compiler may hold a float as a symbol, which has no imaginary part.
    plain = isinstance(fill, (int, float)) and not isinstance(fill, bool)
    pads, boundary, number, stride, dilation = read_window(
        size, kernel_anchor, padding, boundary, 0.0 if plain else fill, anchor, stride, dilation, turned
    )
    fills = (fill, 0.0) if plain else (number.real, number.imag)
    _, _, axis = image_axes(tuple(image.shape), tuple(kernel.shape[:2]) if kernel.dim() == 4 else None, channel_axis)
    image = image if axis is None else image.movedim(axis, -3)
    offset = complex(offset)
    wanted = getattr(torch, result_dtype(image_dtype, _arrays.default_float(torch), kernel.is_complex() or offset.imag != 0, number, dtype))
    if image.dtype == torch.bool:
        image = image.to(torch.uint8)
    history = recorded(image, kernel)
    if history and not (wanted.is_floating_point or wanted.is_complex):
        raise DTypeError(f"dtype={name_of(wanted)!r} rounds, and rounding has no gradient; leave dtype out, or call under torch.no_grad()")
    geometry = list(Geometry.of(pads, boundary, stride, dilation))
    # Structure is looked for in kernels that stay; and in all where integers have to be exact.
    trained = image.is_floating_point() and kernel.requires_grad
    result = _complex_parts(image, kernel, geometry, fills, offset, wanted, method, _threads(threads), trained)
    result = result if axis is None else result.movedim(-3, axis)
    return result if out is None else _into(out, result, history)


def _complex_parts(image, kernel, geometry, fills, offset, wanted, method, threads, trained) -> Tensor:
    part = {torch.complex64: torch.float32, torch.complex128: torch.float64}.get(wanted, wanted)

    def real(x, k, fill, offset):
        return call(correlate_op, x, k, None, geometry, fill, offset, part, method, threads, False, trained)

    if not wanted.is_complex:
        return real(image, kernel, fills[0], offset.real)
    x = (image.real, image.imag) if image.is_complex() else (image,)
    k = (kernel.real, kernel.imag) if kernel.is_complex() else (kernel,)
    of = [[real(a, b, f, offset.real if i + j == 0 else offset.imag if i + j == 1 and (i or len(x) == 1) else 0.0) for j, b in enumerate(k)]
          for i, (a, f) in enumerate(zip(x, fills))]  # fmt: skip
    if len(x) == 2 and len(k) == 2:
        return torch.complex(of[0][0] - of[1][1], of[0][1] + of[1][0])
    if len(x) == 1 and len(k) == 1:
        return torch.complex(of[0][0], torch.full_like(of[0][0], offset.imag))
    return torch.complex(of[0][0], of[1][0] if len(x) == 2 else of[0][1])


def _kernel(kernel: Any, image: Tensor) -> tuple[Tensor, Any, complex]:
    """(weights as a tensor, anchor, bias)."""
    anchor, bias = None, 0.0
    if hasattr(kernel, "weights") and hasattr(kernel, "bias"):  # corr2d.Kernel
        anchor, bias, kernel = kernel.anchor, kernel.bias, kernel.weights
    if not isinstance(kernel, Tensor):
        data = _arrays.take(kernel, "kernel").data
        wide = np.complex128 if data.dtype.kind == "c" else np.float64
        kernel = torch.from_numpy(np.array(data, dtype=wide, order="C")).to(image.device)
    return kernel, anchor, bias


def _threads(threads: Any) -> int:
    return 0 if threads is None else at_least("threads", threads, 1)


def _into(out: Any, result: Tensor, history: bool) -> Tensor:
    if history:
        raise OptionError("out= was given and the result has a gradient to carry; leave out out=, or call under torch.no_grad()")
    return _arrays.copy_into(out, result)
