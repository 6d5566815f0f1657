"""Correlation as operators of PyTorch.

Three operators are closed under differentiation, for the correlation is linear in the image and in
the kernel: ``correlate(x, k)``; its adjoint with respect to the image, ``image_gradient(g, k)``; and
with respect to the kernel, ``kernel_gradient(g, x)``. Each one's derivatives are the other two
(`_torch_derivatives`), so gradients of any order are planned correlations and lag sums again
(`_adjoint`). They are real; a complex correlation is two or four of them.
"""

# No `from __future__ import annotations`: torch.library reads an operator's schema from its annotations.

import ctypes
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.autograd import forward_ad

from . import _native
from ._adjoint import image_gradient, kernel_gradient
from ._boundary import Boundary
from ._plan import Trained, make_plan, threads_set
from ._problem import Problem, out_length
from .engines import torch as device_engine


class Geometry(NamedTuple):
    """What of a problem is integers, as an operator's argument."""

    top: int
    bottom: int
    left: int
    right: int
    stride_y: int
    stride_x: int
    dilation_y: int
    dilation_x: int
    boundary: int
    groups: int

    @classmethod
    def of(cls, pads: Any, boundary: Boundary, stride: Any, dilation: Any, groups: int = 1) -> "Geometry":
        """From `read_window`'s answers."""
        return cls(*pads[0], *pads[1], *stride, *dilation, int(boundary), groups)

    def out_size(self, height: Any, width: Any, kernel_size: Sequence[int]) -> tuple[Any, Any]:
        """Rows and columns of the result; the image's may be symbolic."""
        hint = "padding='same' or a smaller kernel"
        return (
            out_length(height, kernel_size[0], self[:2], self.stride_y, self.dilation_y, "rows", False, hint),
            out_length(width, kernel_size[1], self[2:4], self.stride_x, self.dilation_x, "columns", False, hint),
        )


def name_of(dtype: torch.dtype) -> str:
    """NumPy's and this package's name of a dtype."""
    return str(dtype).removeprefix("torch.")


@lru_cache(maxsize=1024)
def trained_problem(shape, image_dtype, weight_shape, geometry, fill, offset, out_dtype, relaxed, trained, device) -> Trained:
    g = Geometry(*geometry)
    lead, channels, bank = tuple(shape[:-2]), None, 1
    if len(weight_shape) == 4:
        outputs, inputs = weight_shape[0] // g.groups, weight_shape[1]
        if outputs > 1 or inputs > 1:
            channels, lead = (outputs, inputs), tuple(shape[:-3]) + ((g.groups,) if g.groups > 1 else ())
        bank = g.groups
    size, kernel_size = tuple(shape[-2:]), tuple(weight_shape[-2:])
    return Trained(Problem(
        lead + (channels[1:] if channels else ()) + size, lead, size, kernel_size, channels, None, ((g.top, g.bottom), (g.left, g.right)),
        Boundary(g.boundary), complex(fill), (g.stride_y, g.stride_x), (g.dilation_y, g.dilation_x), complex(offset), name_of(image_dtype),
        name_of(out_dtype), g.out_size(*size, kernel_size), bank=bank, trained=trained, relaxed=relaxed, tensor=True, device=str(device),
    ))  # fmt: skip


@lru_cache(maxsize=1024)
def _part(p: Problem, channels, shape, kernel_size, pads, dilation, image_dtype, out_dtype, out_size) -> Trained:
    """One of the correlations that an image's gradient is made of."""
    return Trained(Problem(
        shape, p.lead, shape[-2:], kernel_size, channels, None, pads, Boundary.CONSTANT, 0j, (1, 1), dilation, 0j, image_dtype, out_dtype,
        out_size, bank=p.bank, trained=p.trained, relaxed=p.relaxed, tensor=True,
    ))  # fmt: skip


def _empty(like: Tensor, shape: Sequence[Any], dtype: torch.dtype) -> Tensor:
    """A new tensor whose channels lie where those of `like` do: between the pixels, or as planes."""
    if like.is_contiguous():
        return torch.empty(shape, dtype=dtype, device=like.device)
    n = like.dim()
    if n >= 3 and like.shape[-3] > 1 and like.stride(-3) == 1 and like.stride(-1) == like.shape[-3]:
        order = [*range(n - 3), n - 2, n - 1, n - 3]
        moved = torch.empty([shape[axis] for axis in order], dtype=dtype, device=like.device)
        return moved.permute([*range(n - 3), n - 1, n - 3, n - 2])
    return like.new_empty(shape, dtype=dtype)


def _canonical(tensor: Tensor, p: Problem, channels: int) -> Any:
    """The samples as engines take them: (*lead, [channels,] rows, columns), NumPy's on the CPU."""
    array = tensor.detach() if tensor.requires_grad else tensor
    if p.device == "cpu":
        array = (array.view(torch.uint16) if array.dtype == torch.bfloat16 else array).numpy()
    return array if p.bank == 1 else array.reshape(_canonical_shape(p, array.shape, channels))


def _canonical_shape(p: Problem, shape: Sequence[int], channels: int) -> tuple[int, ...]:
    if p.bank == 1:  # as it is
        return tuple(shape)
    return p.lead + ((p.channels[channels],) if p.channels else ()) + tuple(shape[-2:])


def _numbers(tensor: Tensor) -> np.ndarray:
    """Contiguous, float32 or float64, perhaps the tensor's own memory."""
    tensor = tensor.detach()
    if tensor.dtype is not torch.float32 and tensor.dtype is not torch.float64:
        tensor = tensor.to(torch.float32 if tensor.is_floating_point() else torch.float64)
    return (tensor if tensor.is_cpu and tensor.is_contiguous() else tensor.cpu().contiguous()).numpy()


def count(threads: int) -> int:
    """As many as were asked for; else as many as PyTorch uses here: one in a data loader's process."""
    return threads or min(torch.get_num_threads(), threads_set() or torch.get_num_threads())


def _run(t: Trained, weights: np.ndarray, biases: np.ndarray | None, image: Any, out: Any, method: str, threads: int) -> None:
    with _on_team(count(threads)) as threads:
        if t.problem.trained:
            t.run(weights, biases, method, threads, image, out)
        else:
            make_plan(t.problem, np.array(weights, dtype=np.float64).reshape(t.problem.weights_shape), method, threads).compute(image, out)


class _on_team:
    """Compute on PyTorch's threads: after each of its operators they look about for the next one, and keep others from the cores."""

    __slots__ = ("threads", "before")

    def __init__(self, threads: int) -> None:
        self.threads = threads

    def __enter__(self) -> int:
        self.before = _native.join_team(torch.get_num_threads())
        return self.threads

    def __exit__(self, *raised: Any) -> None:
        _native.join_team(self.before)


def _find_team() -> None:
    """Where PyTorch's OpenMP starts its threads, if it is OpenMP that it uses."""
    folder = Path(torch.__file__).parent / "lib"
    for name in ("libtorch_cpu.so", "libtorch_cpu.dylib"):
        try:
            library = ctypes.CDLL(str(folder / name))  # it is there already; what it depends on is searched too
            _native.lend_team(ctypes.cast(library.GOMP_parallel, ctypes.c_void_p).value)
        except (OSError, AttributeError):
            continue


_find_team()


# -------------------------------------------------------------------------------------------------
# the operators


def forward(
    image: Tensor, weight: Tensor, bias: Tensor | None, geometry: Sequence[int], fill: float, offset: float, dtype: torch.dtype,
    method: str, threads: int, relaxed: bool, trained: bool,
) -> Tensor:  # fmt: skip
    """``correlate``, as it runs."""
    t = trained_problem(image.shape, image.dtype, weight.shape, tuple(geometry), fill, offset, dtype, relaxed, trained, image.device)
    p = t.problem
    if relaxed and method == "auto" and _conv2d_takes(t):
        with device_engine.thread_count(torch, count(threads)):
            return conv2d(image, weight, bias, Geometry(*geometry), dtype)
    out = _empty(image, _with_size(image.shape, weight.shape, p.out_size), dtype)
    if out.numel():
        biases = None if bias is None else _numbers(bias)
        _run(t, _numbers(weight), biases, _canonical(image, p, 1), _canonical(out, p, 0), method, threads)
    return out


class Repeated:
    """A layer's calls without derivatives, all of whose shapes are known: what every one of them would look up anew.

    The image is contiguous and on the CPU, its dtype the parameters', float32 or float64.
    """

    __slots__ = ("geometry", "given", "trained", "out_shape", "image_side", "out_side", "dtype", "numbers")

    def __init__(self, shape: Sequence[int], weight_shape: Sequence[int], geometry: Geometry, dtype: torch.dtype) -> None:
        self.given, self.geometry, self.dtype = (shape, weight_shape, geometry, dtype), geometry, dtype
        self.trained = trained_problem(shape, dtype, weight_shape, tuple(geometry), 0.0, 0.0, dtype, True, True, torch.device("cpu"))
        p = self.trained.problem
        self.out_shape = _with_size(shape, weight_shape, p.out_size)
        self.image_side, self.out_side = _canonical_shape(p, shape, 1), _canonical_shape(p, self.out_shape, 0)
        self.numbers: tuple[Any, Any, Any] = None, None, None  # where the parameters lie, and the arrays there

    def __reduce__(self):
        return Repeated, self.given

    @classmethod
    def of(cls, image: Tensor, weight: Tensor, geometry: Geometry) -> "Repeated | None":
        """Where such calls are repeated: not under autograd, which keeps them, nor for ``conv2d``."""
        if torch.is_grad_enabled() or image.device.type != "cpu" or image.dtype not in (torch.float32, torch.float64):
            return None
        known = cls(image.shape, weight.shape, geometry, image.dtype)
        return known if known.trained.problem.outputs and not _conv2d_takes(known.trained) else None

    def takes(self, image: Tensor) -> bool:
        """Whether this call is one of them, be its shapes and dtypes right: nobody listens, and the samples lie in order."""
        return image.is_contiguous() and forward_ad._current_level < 0 and not torch._C._are_functorch_transforms_active()

    def __call__(self, image: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        lies = weight.data_ptr(), None if bias is None else bias.data_ptr()
        where, weights, biases = self.numbers
        # The arrays hold what they show, so nothing else comes to lie there.
        if where != lies or not weight.is_contiguous() or not (bias is None or bias.is_contiguous()):
            weights, biases = _numbers(weight), None if bias is None else _numbers(bias)
            self.numbers = lies, weights, biases
        out = torch.empty(self.out_shape, dtype=self.dtype)
        source, target = (image.detach() if image.requires_grad else image).numpy(), out.numpy()
        with _on_team(count(0)) as threads:
            self.trained.run(weights, biases, "auto", threads, source.reshape(self.image_side), target.reshape(self.out_side))
        return out


@lru_cache(maxsize=1024)
def _conv2d_takes(t: Trained) -> bool:
    """Whether ``conv2d`` is the planner's choice, and has the padding itself."""
    p = t.problem
    return p.device == "cpu" and p.channels is not None and device_engine.own_padding(p) and t.choice()[0].engine == "torch"


def conv2d(image: Tensor, weight: Tensor, bias: Tensor | None, g: Geometry, dtype: torch.dtype) -> Tensor:
    bias = None if bias is None else bias.to(dtype)
    return torch.nn.functional.conv2d(
        image.to(dtype), weight.to(dtype), bias, (g.stride_y, g.stride_x), (g.top, g.left), (g.dilation_y, g.dilation_x), g.groups
    )  # fmt: skip


@torch.library.custom_op("corr2d::correlate", mutates_args=())
def correlate_op(
    image: Tensor, weight: Tensor, bias: Tensor | None, geometry: Sequence[int], fill: float, offset: float, dtype: torch.dtype,
    method: str, threads: int, relaxed: bool, trained: bool,
) -> Tensor:  # fmt: skip
    """Correlate a real image (..., H, W) or (..., I, H, W) with a real kernel (kh, kw) or (O, I / groups, kh, kw)."""
    return forward(image, weight, bias, geometry, fill, offset, dtype, method, threads, relaxed, trained)


@correlate_op.register_fake
def _(image, weight, bias, geometry, fill, offset, dtype, method, threads, relaxed, trained):
    return _empty(image, _out_shape(image, weight, geometry), dtype)


def _out_shape(image: Tensor, weight: Tensor, geometry: Sequence[int]) -> list[Any]:
    return _with_size(image.shape, weight.shape, Geometry(*geometry).out_size(*image.shape[-2:], weight.shape[-2:]))


def _with_size(image: Sequence[Any], weight: Sequence[Any], size: tuple[Any, Any]) -> list[Any]:
    return [*image[:-3], weight[0], *size] if len(weight) == 4 else [*image[:-2], *size]


@torch.library.custom_op("corr2d::image_gradient", mutates_args=())
def image_gradient_op(
    gradient: Tensor, weight: Tensor, shape: Sequence[int], geometry: Sequence[int], dtype: torch.dtype, threads: int, relaxed: bool,
    trained: bool,
) -> Tensor:  # fmt: skip
    """The adjoint of ``correlate`` with respect to its image, of the given shape."""
    p = trained_problem(
        tuple(shape), dtype, weight.shape, tuple(geometry), 0.0, 0.0, gradient.dtype, relaxed, trained, gradient.device
    ).problem  # fmt: skip
    if p.device != "cpu":
        return device_engine.image_gradient(torch, p, weight, gradient, dtype).reshape(shape)
    inside = p.boundary is Boundary.CONSTANT or not p.pads_used
    around = pads_around(p)
    if p.stride == (1, 1) and inside and min(around) >= 0 and gradient.numel():
        # Turned, and from outputs to inputs, it is a correlation as any other.
        back = Geometry.of((around[:2], around[2:]), Boundary.CONSTANT, (1, 1), p.dilation, p.bank)
        return forward(gradient, _turned(weight, p), None, back, 0.0, 0.0, dtype, "auto", threads, relaxed, trained)
    halves = dtype in (torch.float16, torch.bfloat16)
    wide = torch.float32 if halves and not inside else dtype  # what is added to
    out = _empty(gradient, shape, wide)
    if not out.numel():
        return out.to(dtype)
    swapped = p.channels[::-1] if p.channels else None

    def correlate(seen, taps, pads, dilation, part):
        t = _part(p, swapped, seen.shape, taps.shape[-2:], pads, dilation, name_of(gradient.dtype), name_of(wide), part.shape[-2:])
        _run(t, np.ascontiguousarray(taps), None, seen, part, "auto", threads)

    image_gradient(p, _numbers(weight).reshape(p.weights_shape), _canonical(gradient, p, 0), correlate, _canonical(out, p, 1))
    return out if wide == dtype else out.to(dtype)


def pads_around(p: Problem) -> list[int]:
    """The padding of an unstrided image gradient, where no more was added to the image than the kernel reaches."""
    return [d * (k - 1) - pad for d, k, pads in zip(p.dilation, p.kernel_size, p.pads, strict=True) for pad in pads]


def _turned(weight: Tensor, p: Problem) -> Tensor:
    turned = weight.detach().flip(-2, -1)
    if p.channels is None:
        return turned
    outputs, inputs = p.channels
    return turned.reshape(p.bank, outputs, inputs, *p.kernel_size).transpose(1, 2).reshape(p.bank * inputs, outputs, *p.kernel_size)


@image_gradient_op.register_fake
def _(gradient, weight, shape, geometry, dtype, threads, relaxed, trained):
    return _empty(gradient, shape, dtype)


@torch.library.custom_op("corr2d::kernel_gradient", mutates_args=())
def kernel_gradient_op(
    gradient: Tensor, image: Tensor, shape: Sequence[int], geometry: Sequence[int], fill: float, dtype: torch.dtype, threads: int
) -> Tensor:
    """The adjoint of ``correlate`` with respect to its kernel, of the given shape."""
    p = trained_problem(image.shape, image.dtype, tuple(shape), tuple(geometry), fill, 0.0, gradient.dtype, True, True, image.device).problem
    if not gradient.numel():
        return torch.zeros(shape, dtype=dtype, device=image.device)
    elsewhere = p.device != "cpu"
    if elsewhere or device_engine.sums_lags_faster(p):
        with device_engine.settings(torch, count(threads)) if elsewhere else device_engine.thread_count(torch, count(threads)):
            return device_engine.kernel_gradient(torch, p, image, gradient).reshape(shape).to(dtype)
    image, gradient = (t.float() if t.dtype == torch.bfloat16 else t for t in (image, gradient))
    sums = np.empty(p.weights_shape)
    with _on_team(count(threads)) as threads:
        kernel_gradient(p, _canonical(gradient, p, 0), _canonical(image, p, 1), sums, threads)
    return torch.from_numpy(sums).reshape(tuple(shape)).to(dtype)


@kernel_gradient_op.register_fake
def _(gradient, image, shape, geometry, fill, dtype, threads):
    return image.new_empty(shape, dtype=dtype)
