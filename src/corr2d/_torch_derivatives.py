"""What the operators on tensors need to be differentiated, backward and forward, and to be batched; and how they are called."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad

from . import _arrays
from ._torch_operators import correlate_op, image_gradient_op, kernel_gradient_op

# -------------------------------------------------------------------------------------------------
# backward: <g, correlate(x, k)> is linear in each of the three


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
    for_image = call(image_gradient_op, g, weight, image.shape, geometry, image.dtype, threads, relaxed, trained) if needed[0] else None
    for_weight = call(kernel_gradient_op, g, image, weight.shape, geometry, fill, weight.dtype, threads) if needed[1] else None
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
    for_gradient = call(correlate_op, v, weight, None, geometry, 0.0, 0.0, gradient.dtype, "auto", threads, relaxed, trained) if needed[0] else None
    for_weight = call(kernel_gradient_op, gradient, v, weight.shape, geometry, 0.0, weight.dtype, threads) if needed[1] else None
    return for_gradient, for_weight, *[None] * 6


def _keep_kernel_gradient(ctx, inputs, output):
    gradient, image, _, geometry, fill, _, threads = inputs
    _keep(ctx, gradient, image, output)
    ctx.rest = geometry, fill, threads


def _derive_kernel_gradient(ctx, v):
    gradient, image = ctx.saved_tensors
    geometry, fill, threads = ctx.rest
    needed = ctx.needs_input_grad
    for_gradient = call(correlate_op, image, v, None, geometry, fill, 0.0, gradient.dtype, "auto", threads, True, True) if needed[0] else None
    for_image = call(image_gradient_op, gradient, v, image.shape, geometry, image.dtype, threads, True, True) if needed[1] else None
    return for_gradient, for_image, *[None] * 5


# -------------------------------------------------------------------------------------------------
# forward: each operator is linear in two tensors, and affine in fill and offset


def _total(parts: Sequence[Tensor]) -> Tensor:
    first, *others = parts
    return first + others[0] if others else first


def _push_correlate(ctx, image_t, weight_t, bias_t, *_):
    image, weight = ctx.saved_tensors
    geometry, fill, threads, relaxed, trained = ctx.rest
    parts = []
    if image_t is not None:
        parts.append(call(correlate_op, image_t, weight, None, geometry, 0.0, 0.0, ctx.dtype, "auto", threads, relaxed, trained))
    if weight_t is not None:
        parts.append(call(correlate_op, image, weight_t, None, geometry, fill, 0.0, ctx.dtype, "auto", threads, relaxed, trained))
    if bias_t is None:
        return _total(parts)
    bias_t = bias_t.to(ctx.dtype) if weight.dim() == 2 else bias_t.to(ctx.dtype)[:, None, None]
    return _total(parts) + bias_t  # PyTorch gives zeros for an image and a weight without tangents


def _push_image_gradient(ctx, gradient_t, weight_t, *_):
    gradient, weight = ctx.saved_tensors
    geometry, threads, relaxed, trained = ctx.rest
    pairs = [pair for pair in ((gradient_t, weight), (gradient, weight_t)) if pair[0] is not None and pair[1] is not None]
    return _total([call(image_gradient_op, g, w, ctx.shape, geometry, ctx.dtype, threads, relaxed, trained) for g, w in pairs])


def _push_kernel_gradient(ctx, gradient_t, image_t, *_):
    gradient, image = ctx.saved_tensors
    geometry, fill, threads = ctx.rest
    parts = []
    if gradient_t is not None:
        parts.append(call(kernel_gradient_op, gradient_t, image, ctx.shape, geometry, fill, ctx.dtype, threads))
    if image_t is not None:
        parts.append(call(kernel_gradient_op, gradient, image_t, ctx.shape, geometry, 0.0, ctx.dtype, threads))
    return _total(parts)


# -------------------------------------------------------------------------------------------------
# vmap: a batch is one more leading axis; where kernels differ, one after the other


def _one_by_one(op, info, in_dims, args):
    def at(i):
        return [a.select(d, i) if isinstance(a, Tensor) and d is not None else a for a, d in zip(args, in_dims, strict=True)]

    return torch.stack([call(op, *at(i)) for i in range(info.batch_size)]), 0


def _batch_correlate(info, in_dims, *args):
    if in_dims[1] is not None or in_dims[2] is not None:
        return _one_by_one(correlate_op, info, in_dims, args)
    return call(correlate_op, args[0].movedim(in_dims[0], 0), *args[1:]), 0


def _batch_image_gradient(info, in_dims, *args):
    if in_dims[1] is not None:
        return _one_by_one(image_gradient_op, info, in_dims, args)
    gradient, weight, shape, *rest = args
    return call(image_gradient_op, gradient.movedim(in_dims[0], 0), weight, [info.batch_size, *shape], *rest), 0


def _batch_kernel_gradient(info, in_dims, *args):
    return _one_by_one(kernel_gradient_op, info, in_dims, args)


def recorded(*values: Any) -> bool:
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


def call(op: Any, *args: Any) -> Tensor:
    """An operator, so that every transformation of PyTorch goes through it."""
    if torch.compiler.is_compiling():
        if forward_ad._current_level >= 0:  # in a graph PyTorch takes an operator's tangent to be zero, without a word
            torch._dynamo.graph_break(msg="corr2d's derivatives of forward mode (jvp, forward_ad) are not part of a compiler's graph")
            return torch.compiler.disable(_TRANSFORMED[op].apply)(*args)
        return op(*args)
    if torch._C._are_functorch_transforms_active():
        return _TRANSFORMED[op].apply(*args)
    if _plain(args):
        return (_EAGER[op].apply if recorded(*args) else op._init_fn)(*args)
    if forward_ad._current_level >= 0:
        return _TRANSFORMED[op].apply(*args)
    return op(*args)
