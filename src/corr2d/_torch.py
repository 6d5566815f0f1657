"""Tensors with a history, on other devices, or in a compiler's hands: correlation as operators of PyTorch.

Three operators are closed under differentiation, for the correlation is linear in the image and in
the kernel: ``correlate(x, k)``; its adjoint with respect to the image, ``image_gradient(g, k)``; and
with respect to the kernel, ``kernel_gradient(g, x)``. Each one's derivatives are the other two, so
gradients of any order are planned correlations and lag sums again (`_adjoint`). They are real; a
complex correlation is two or four of them.

Loaded only by those who have imported PyTorch.
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

from . import _arrays, _native
from ._adjoint import image_gradient, kernel_gradient
from ._boundary import Boundary
from ._errors import DTypeError, OptionError
from ._plan import Trained, make_plan, threads_set
from ._problem import _count as at_least
from ._problem import _pair as pair  # noqa: F401 (for nn)
from ._problem import Problem, check_kernel_shape, image_axes, out_length, read_window, result_dtype
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
def _trained(shape, image_dtype, weight_shape, geometry, fill, offset, out_dtype, relaxed, trained, device) -> Trained:
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
    if p.bank == 1:  # as it is
        return array
    return array.reshape(p.lead + ((p.channels[channels],) if p.channels else ()) + tuple(array.shape[-2:]))


def _numbers(tensor: Tensor) -> np.ndarray:
    """Contiguous, float32 or float64, perhaps the tensor's own memory."""
    tensor = tensor.detach()
    if tensor.dtype is not torch.float32 and tensor.dtype is not torch.float64:
        tensor = tensor.to(torch.float32 if tensor.is_floating_point() else torch.float64)
    return (tensor if tensor.is_cpu and tensor.is_contiguous() else tensor.cpu().contiguous()).numpy()


def _count(threads: int) -> int:
    """As many as were asked for; else as many as PyTorch uses here: one in a data loader's process."""
    return threads or min(torch.get_num_threads(), threads_set() or torch.get_num_threads())


def _run(t: Trained, weights: np.ndarray, biases: np.ndarray | None, image: Any, out: Any, method: str, threads: int) -> None:
    with _on_team(_count(threads)) as threads:
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
    t = _trained(image.shape, image.dtype, weight.shape, tuple(geometry), fill, offset, dtype, relaxed, trained, image.device)
    p = t.problem
    if relaxed and method == "auto" and _conv2d_takes(t):
        with device_engine.thread_count(torch, _count(threads)):
            return _conv2d(image, weight, bias, Geometry(*geometry), dtype)
    out = _empty(image, _with_size(image.shape, weight.shape, p.out_size), dtype)
    if out.numel():
        biases = None if bias is None else _numbers(bias)
        _run(t, _numbers(weight), biases, _canonical(image, p, 1), _canonical(out, p, 0), method, threads)
    return out


@lru_cache(maxsize=1024)
def _conv2d_takes(t: Trained) -> bool:
    """Whether ``conv2d`` is the planner's choice, and has the padding itself."""
    p = t.problem
    return p.device == "cpu" and p.channels is not None and device_engine.own_padding(p) and t.choice()[0].engine == "torch"


def _conv2d(image: Tensor, weight: Tensor, bias: Tensor | None, g: Geometry, dtype: torch.dtype) -> Tensor:
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
    p = _trained(
        tuple(shape), dtype, weight.shape, tuple(geometry), 0.0, 0.0, gradient.dtype, relaxed, trained, gradient.device
    ).problem  # fmt: skip
    if p.device != "cpu":
        return device_engine.image_gradient(torch, p, weight, gradient, dtype).reshape(shape)
    inside = p.boundary is Boundary.CONSTANT or not p.pads_used
    around = _around(p)
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


def _around(p: Problem) -> list[int]:
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
    p = _trained(image.shape, image.dtype, tuple(shape), tuple(geometry), fill, 0.0, gradient.dtype, True, True, image.device).problem
    if not gradient.numel():
        return torch.zeros(shape, dtype=dtype, device=image.device)
    elsewhere = p.device != "cpu"
    if elsewhere or device_engine.sums_lags_faster(p):
        with device_engine.settings(torch, _count(threads)) if elsewhere else device_engine.thread_count(torch, _count(threads)):
            return device_engine.kernel_gradient(torch, p, image, gradient).reshape(shape).to(dtype)
    image, gradient = (t.float() if t.dtype == torch.bfloat16 else t for t in (image, gradient))
    sums = np.empty(p.weights_shape)
    with _on_team(_count(threads)) as threads:
        kernel_gradient(p, _canonical(gradient, p, 0), _canonical(image, p, 1), sums, threads)
    return torch.from_numpy(sums).reshape(tuple(shape)).to(dtype)


@kernel_gradient_op.register_fake
def _(gradient, image, shape, geometry, fill, dtype, threads):
    return image.new_empty(shape, dtype=dtype)


# -------------------------------------------------------------------------------------------------
# derivatives: <g, correlate(x, k)> is linear in each of the three


def _keep(ctx: Any, a: Tensor, b: Tensor, output: Tensor) -> None:
    """The two tensors that an operator is linear in, for derivatives in either direction."""
    ctx.save_for_backward(a, b)
    if forward_ad._current_level >= 0 or torch._C._are_functorch_transforms_active():
        ctx.save_for_forward(a, b)  # not otherwise: backward does not let go of these
    ctx.dtype, ctx.shape = output.dtype, list(output.shape)


def _keep_correlate(ctx, inputs, output):
    image, weight, bias, geometry, fill, _, _, _, threads, relaxed, trained = inputs
    _keep(ctx, image, weight, output)
    ctx.bias_dtype = None if bias is None else bias.dtype
    ctx.rest = geometry, fill, threads, relaxed, trained


def _derive_correlate(ctx, g):
    image, weight = ctx.saved_tensors
    geometry, fill, threads, relaxed, trained = ctx.rest
    needed = ctx.needs_input_grad
    for_image = _call(image_gradient_op, g, weight, image.shape, geometry, image.dtype, threads, relaxed, trained) if needed[0] else None
    for_weight = _call(kernel_gradient_op, g, image, weight.shape, geometry, fill, weight.dtype, threads) if needed[1] else None
    for_bias = None
    if needed[2]:
        axes = [axis for axis in range(g.dim()) if axis != g.dim() - 3 or weight.dim() == 2]
        for_bias = g.sum(axes, dtype=torch.promote_types(g.dtype, torch.float32)).reshape(-1).to(ctx.bias_dtype)
    return for_image, for_weight, for_bias, *[None] * 8


def _keep_image_gradient(ctx, inputs, output):
    gradient, weight, _, geometry, _, threads, relaxed, trained = inputs
    _keep(ctx, gradient, weight, output)
    ctx.rest = geometry, threads, relaxed, trained


def _derive_image_gradient(ctx, v):
    gradient, weight = ctx.saved_tensors
    geometry, threads, relaxed, trained = ctx.rest
    needed = ctx.needs_input_grad
    for_gradient = _call(correlate_op, v, weight, None, geometry, 0.0, 0.0, gradient.dtype, "auto", threads, relaxed, trained) if needed[0] else None
    for_weight = _call(kernel_gradient_op, gradient, v, weight.shape, geometry, 0.0, weight.dtype, threads) if needed[1] else None
    return for_gradient, for_weight, *[None] * 6


def _keep_kernel_gradient(ctx, inputs, output):
    gradient, image, _, geometry, fill, _, threads = inputs
    _keep(ctx, gradient, image, output)
    ctx.rest = geometry, fill, threads


def _derive_kernel_gradient(ctx, v):
    gradient, image = ctx.saved_tensors
    geometry, fill, threads = ctx.rest
    needed = ctx.needs_input_grad
    for_gradient = _call(correlate_op, image, v, None, geometry, fill, 0.0, gradient.dtype, "auto", threads, True, True) if needed[0] else None
    for_image = _call(image_gradient_op, gradient, v, image.shape, geometry, image.dtype, threads, True, True) if needed[1] else None
    return for_gradient, for_image, *[None] * 5


# -------------------------------------------------------------------------------------------------
# forward-mode derivatives: each operator is linear in two tensors, and affine in fill and offset


def _total(parts: Sequence[Tensor]) -> Tensor:
    first, *others = parts
    return first + others[0] if others else first


def _push_correlate(ctx, image_t, weight_t, bias_t, *_):
    image, weight = ctx.saved_tensors
    geometry, fill, threads, relaxed, trained = ctx.rest
    parts = []
    if image_t is not None:
        parts.append(_call(correlate_op, image_t, weight, None, geometry, 0.0, 0.0, ctx.dtype, "auto", threads, relaxed, trained))
    if weight_t is not None:
        parts.append(_call(correlate_op, image, weight_t, None, geometry, fill, 0.0, ctx.dtype, "auto", threads, relaxed, trained))
    if bias_t is None:
        return _total(parts)
    bias_t = bias_t.to(ctx.dtype) if weight.dim() == 2 else bias_t.to(ctx.dtype)[:, None, None]
    return _total(parts) + bias_t  # PyTorch gives zeros for an image and a weight without tangents


def _push_image_gradient(ctx, gradient_t, weight_t, *_):
    gradient, weight = ctx.saved_tensors
    geometry, threads, relaxed, trained = ctx.rest
    pairs = [pair for pair in ((gradient_t, weight), (gradient, weight_t)) if pair[0] is not None and pair[1] is not None]
    return _total([_call(image_gradient_op, g, w, ctx.shape, geometry, ctx.dtype, threads, relaxed, trained) for g, w in pairs])


def _push_kernel_gradient(ctx, gradient_t, image_t, *_):
    gradient, image = ctx.saved_tensors
    geometry, fill, threads = ctx.rest
    parts = []
    if gradient_t is not None:
        parts.append(_call(kernel_gradient_op, gradient_t, image, ctx.shape, geometry, fill, ctx.dtype, threads))
    if image_t is not None:
        parts.append(_call(kernel_gradient_op, gradient, image_t, ctx.shape, geometry, 0.0, ctx.dtype, threads))
    return _total(parts)


# -------------------------------------------------------------------------------------------------
# vmap: a batch is one more leading axis; where kernels differ, one after the other


def _one_by_one(op, info, in_dims, args):
    def at(i):
        return [a.select(d, i) if isinstance(a, Tensor) and d is not None else a for a, d in zip(args, in_dims, strict=True)]

    return torch.stack([_call(op, *at(i)) for i in range(info.batch_size)]), 0


def _batch_correlate(info, in_dims, *args):
    if in_dims[1] is not None or in_dims[2] is not None:
        return _one_by_one(correlate_op, info, in_dims, args)
    return _call(correlate_op, args[0].movedim(in_dims[0], 0), *args[1:]), 0


def _batch_image_gradient(info, in_dims, *args):
    if in_dims[1] is not None:
        return _one_by_one(image_gradient_op, info, in_dims, args)
    gradient, weight, shape, *rest = args
    return _call(image_gradient_op, gradient.movedim(in_dims[0], 0), weight, [info.batch_size, *shape], *rest), 0


def _batch_kernel_gradient(info, in_dims, *args):
    return _one_by_one(kernel_gradient_op, info, in_dims, args)


def _recorded(*values: Any) -> bool:
    """Whether a derivative goes along with one of these, backward or forward."""
    backward, forward = torch.is_grad_enabled(), forward_ad._current_level >= 0
    if backward or forward:
        for value in values:
            if isinstance(value, Tensor) and (backward and value.requires_grad or forward and _arrays.has_tangent(value, torch)):
                return True
    return False


def _plain(args: Sequence[Any]) -> bool:
    """Whether nobody listens to operators here: tensors with numbers in them, and nothing that traces, fakes or records."""
    if torch._C._len_torch_dispatch_stack() or torch._C._get_tracing_state() is not None:
        return False
    for a in args:
        if isinstance(a, Tensor) and (type(a) not in (Tensor, torch.nn.Parameter) or a.is_meta):
            return False
    return True


_TRANSFORMED: dict[Any, Any] = {}
_EAGER: dict[Any, Any] = {}


def _define(op: Any, keep: Any, derive: Any, push: Any, batch: Any) -> None:
    op.register_autograd(derive, setup_context=keep)
    op.register_vmap(batch)

    class Transformed(torch.autograd.Function):
        """torch.func's transforms, and forward mode, do not enter an operator's own derivatives."""

        forward, setup_context, backward, jvp, vmap = map(staticmethod, (op, keep, derive, push, batch))

    class Eager(torch.autograd.Function):
        """Past the dispatcher, which takes longer than a small correlation."""

        @staticmethod
        def forward(ctx, *args):
            result = op._init_fn(*args)
            keep(ctx, args, result)
            return result

        backward, jvp = staticmethod(derive), staticmethod(push)

    _TRANSFORMED[op], _EAGER[op] = Transformed, Eager


_define(correlate_op, _keep_correlate, _derive_correlate, _push_correlate, _batch_correlate)
_define(image_gradient_op, _keep_image_gradient, _derive_image_gradient, _push_image_gradient, _batch_image_gradient)
_define(kernel_gradient_op, _keep_kernel_gradient, _derive_kernel_gradient, _push_kernel_gradient, _batch_kernel_gradient)


def _call(op: Any, *args: Any) -> Tensor:
    """An operator, so that every transformation of PyTorch goes through it."""
    if torch.compiler.is_compiling():
        if forward_ad._current_level >= 0:  # in a graph PyTorch takes an operator's tangent to be zero, without a word
            torch._dynamo.graph_break(msg="corr2d's derivatives of forward mode (jvp, forward_ad) are not part of a compiler's graph")
            return torch.compiler.disable(_TRANSFORMED[op].apply)(*args)
        return op(*args)
    if torch._C._are_functorch_transforms_active():
        return _TRANSFORMED[op].apply(*args)
    if _plain(args):
        return (_EAGER[op].apply if _recorded(*args) else op._init_fn)(*args)
    if forward_ad._current_level >= 0:
        return _TRANSFORMED[op].apply(*args)
    return op(*args)


# -------------------------------------------------------------------------------------------------
# a layer's call, and corr2d.corr2d on such tensors


def layer(image: Tensor, weight: Tensor, bias: Tensor | None, g: Geometry, dtype: torch.dtype) -> Tensor:
    """`corr2d.nn.Conv2D` on a checked image."""
    if handed_over(image, weight, g, dtype):
        return _conv2d(image, weight, bias, g, dtype)
    return own(image, weight, bias, g, dtype)


def own(image: Tensor, weight: Tensor, bias: Tensor | None, g: Geometry, dtype: torch.dtype) -> Tensor:
    """The same on this package's operators."""
    image = image.to(torch.uint8) if image.dtype == torch.bool else image
    if needed(image, weight) or _recorded(bias):
        return _call(correlate_op, image, weight, bias, list(g), 0.0, 0.0, dtype, "auto", 0, True, True)
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
        return _trained(tuple(shape), single, tuple(weight_shape), tuple(g), 0.0, 0.0, single, True, True, "cpu")

    forward = passing(shape, weight_shape, g)
    p = forward.problem
    if p.channels is None or not p.outputs or for_weight and not device_engine.sums_lags_faster(p):
        return False
    ways = [forward]
    around = _around(p)
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
    return torch._C._are_functorch_transforms_active() or _recorded(image, kernel)


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
    history = _recorded(image, kernel)
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
        return _call(correlate_op, x, k, None, geometry, fill, offset, part, method, threads, False, trained)

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
