"""Correlation as what it is: a linear map, as a sparse matrix or as an operator with its adjoint.

The chapter's third exercise, for every option of `corr2d`.
"""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np

import corr2d

from ._adjoint import image_gradient
from ._boundary import source_indices
from ._errors import DTypeError, OptionError, ShapeError

__all__ = ["as_linear_operator", "as_matrix", "im2col"]


def as_matrix(kernel: Any, image_shape: tuple[int, ...], **options: Any) -> Any:
    r"""The sparse matrix A of a correlation: ``A @ image.ravel() == corr2d(image, kernel, **options).ravel()``.

    Row r of A holds, for output r, the kernel's taps at the pixels under them; taps that padding
    lays on one pixel are added up, and taps that are zero are left out. The matrix of a
    convolution is that of the kernel turned by 180 degrees.

    Parameters
    ----------
    kernel : array_like, shape (kh, kw) or (O, I, kh, kw), or Kernel
    image_shape : tuple of int
        Of the image, (..., H, W); leading axes make a block diagonal matrix.
    **options
        ``padding``, ``boundary``, ``anchor``, ``stride``, ``dilation``, ``channel_axis`` as in
        `corr2d.corr2d`; ``dtype``, that of the matrix: float64 by default, complex128 for a
        complex kernel, whose weights appear conjugated, as `corr2d.corr2d` conjugates them.

    Returns
    -------
    scipy.sparse.csr_array, shape (outputs, pixels)
        With sorted indices and no duplicates.

    Raises
    ------
    OptionError
        For what is no linear map: ``fill`` other than 0, or a `Kernel` with a bias.
    ShapeError, DTypeError

    Examples
    --------
    >>> import numpy as np, corr2d
    >>> A = corr2d.as_matrix([[1, -1]], (1, 4))
    >>> A.toarray()
    array([[ 1., -1.,  0.,  0.],
           [ 0.,  1., -1.,  0.],
           [ 0.,  0.,  1., -1.]])
    >>> A @ np.array([0.0, 0.0, 1.0, 1.0])
    array([ 0., -1.,  0.])
    """
    from scipy.sparse import csr_array

    plan, dtype = _linear_plan(kernel, image_shape, options)
    p = plan.problem
    outputs, inputs = p.channels or (1, 1)
    # The pixel's number under every tap of every output: the image's own order is that of the caller.
    number = np.int32 if max(math.prod(p.shape), p.outputs * p.taps) < 2**31 else np.int64
    pixels = p.canonical(np.arange(math.prod(p.shape), dtype=number).reshape(p.shape))
    pixels = pixels.reshape(*p.lead, inputs, *p.size)
    rows, columns = (_under_taps(p, axis) for axis in (0, 1))
    seen = (rows >= 0)[:, None, :, None] & (columns >= 0)[None, :, None, :]
    # (lead, I, H', W', kh, kw), then I beside the taps, and one more axis for the output channels.
    under = pixels[..., rows[:, None, :, None], columns[None, :, None, :]]
    under = np.moveaxis(under, -5, -3)[..., None, :, :, :, :, :]
    weights = plan.facts.weights.reshape(outputs, inputs, *p.kernel_size).astype(dtype)
    weights = weights[:, None, None]
    shape = (*p.lead, outputs, *p.out_size, inputs, *p.kernel_size)
    kept = np.broadcast_to((weights != 0) & seen[:, :, None], shape)
    order = _callers_order(p)  # rows of the matrix are in the order of the caller's result
    kept, under, values = (np.broadcast_to(a, shape).transpose(order) for a in (kept, under, weights))
    counts = kept.sum(axis=(-3, -2, -1), dtype=number).ravel()
    starts = np.zeros(len(counts) + 1, number)
    np.cumsum(counts, out=starts[1:])
    matrix = csr_array((values[kept], under[kept], starts), shape=(p.outputs, math.prod(p.shape)))
    matrix.sum_duplicates()
    return matrix


def as_linear_operator(kernel: Any, image_shape: tuple[int, ...], **options: Any) -> Any:
    """The correlation as a SciPy `LinearOperator`: nothing is stored but the kernel.

    ``matvec`` is `corr2d.corr2d` on a raveled image, ``rmatvec`` its exact adjoint for every
    padding, boundary, stride and dilation, itself made of planned correlations. For iterative
    solvers: ``scipy.sparse.linalg.lsqr(A, blurred.ravel())`` takes a blur away.

    Parameters
    ----------
    kernel, image_shape, **options
        As in `as_matrix`. ``dtype`` is that of the operator and of what it computes.

    Returns
    -------
    scipy.sparse.linalg.LinearOperator, shape (outputs, pixels)

    Raises
    ------
    ShapeError, OptionError, DTypeError
        As `as_matrix`.

    Examples
    --------
    >>> import numpy as np, corr2d
    >>> A = corr2d.as_linear_operator([[1, -1]], (1, 4), padding="same", boundary="wrap")
    >>> A @ np.array([3.0, 5.0, 6.0, 1.0])
    array([-2., -1.,  5., -2.])
    >>> A.H @ np.array([1.0, 0.0, 0.0, 0.0])
    array([ 1., -1.,  0.,  0.])
    """
    from scipy.sparse.linalg import LinearOperator

    plan, dtype = _linear_plan(kernel, image_shape, options)
    p = plan.problem
    weights = plan.facts.weights  # conjugated already, where they are complex

    def forward(x):
        x = np.asarray(x)
        if dtype.kind != "c" and x.dtype.kind == "c":
            return forward(x.real) + 1j * forward(x.imag)
        return plan(np.ascontiguousarray(x, dtype).reshape(p.shape)).reshape(-1)

    def backward(y):
        y = np.asarray(y)
        if dtype.kind != "c" and y.dtype.kind == "c":
            return backward(y.real) + 1j * backward(y.imag)
        result = np.empty(p.shape, dtype)
        gradient = p.canonical(np.ascontiguousarray(y, dtype).reshape(p.out_shape))
        # corr2d conjugates the kernel that it is given; the adjoint of conj(k) has k.
        image_gradient(p, weights, gradient, _correlate, p.canonical(result))
        return result.reshape(-1)

    return LinearOperator((p.outputs, math.prod(p.shape)), matvec=forward, rmatvec=backward, dtype=dtype)


def _correlate(image, weights, pads, dilation, out) -> None:
    corr2d.corr2d(image, weights, padding=pads, dilation=dilation, out=out)


def im2col(image: Any, size: int | tuple[int, int], **options: Any) -> np.ndarray:
    """The image's windows as rows of a matrix: ``im2col(image, kernel.shape) @ kernel.ravel()`` is the correlation.

    Parameters
    ----------
    image : array_like, shape (..., H, W)
    size : int or (kh, kw)
        Of the windows.
    **options
        ``padding``, ``boundary``, ``fill``, ``anchor``, ``stride``, ``dilation`` as in `corr2d.corr2d`.

    Returns
    -------
    ndarray, shape (..., H' * W', kh * kw)
        A new array of the image's dtype; row ``y * W' + x`` is the window of output (y, x).

    Raises
    ------
    ShapeError, OptionError, DTypeError

    Notes
    -----
    kh * kw times as large as the image: for looking at, and for least squares. Correlating does
    not need it.

    Examples
    --------
    >>> import numpy as np, corr2d
    >>> image, kernel = np.arange(9).reshape(3, 3), np.arange(4).reshape(2, 2)
    >>> corr2d.im2col(image, 2)
    array([[0, 1, 3, 4],
           [1, 2, 4, 5],
           [3, 4, 6, 7],
           [4, 5, 7, 8]])
    >>> corr2d.im2col(image, 2) @ kernel.ravel()
    array([19, 25, 37, 43])
    """
    for name in ("channel_axis", "dtype", "method", "threads"):
        if name in options:
            raise TypeError(f"im2col() takes no {name}: windows are taken from the last two axes, as they are")
    try:
        kh, kw = (operator.index(n) for n in (size if hasattr(size, "__len__") else (size, size)))
    except (TypeError, ValueError):
        raise OptionError(f"size={size!r}: use an integer or a pair (rows, columns)") from None
    if min(kh, kw) < 1:
        raise OptionError(f"size={size!r}: a window has at least one row and one column")
    image = np.asarray(image)
    p = corr2d.plan(image, np.ones((kh, kw)), **options).problem
    rows, columns = (_under_taps(p, axis) for axis in (0, 1))
    inside = (rows >= 0)[:, None, :, None] & (columns >= 0)[None, :, None, :]
    if 0 in p.size:
        windows = np.zeros((*p.lead, *inside.shape), image.dtype)
    else:
        windows = image[..., rows[:, None, :, None], columns[None, :, None, :]]
    if not inside.all():
        fill = p.fill_like(image)
        if np.array(fill).astype(image.dtype) != fill and fill == fill:
            raise OptionError(f"fill={options['fill']!r} is no {image.dtype}, which windows of this image hold; use image.astype(float)")
        windows[..., ~inside] = fill
    return windows.reshape(*p.lead, math.prod(p.out_size), kh * kw)


def _under_taps(p: Any, axis: int) -> np.ndarray:
    """(outputs, taps): the pixel of an axis under each tap of each output; -1 where the fill stands."""
    n, (before, after) = p.size[axis], p.pads[axis]
    if n == 0 and before + after == 0:
        return np.zeros((p.out_size[axis], p.kernel_size[axis]), np.intp)
    extended = source_indices(p.boundary, -before, before + n + after, n)
    starts = np.arange(p.out_size[axis]) * p.stride[axis]
    return extended[starts[:, None] + np.arange(p.kernel_size[axis]) * p.dilation[axis]]


def _callers_order(p: Any) -> list[int]:
    """Axes (lead, O, H', W', I, kh, kw) with those of the outputs in the order of the caller's result."""
    lead, taps = len(p.lead), list(range(len(p.lead) + 3, len(p.lead) + 6))
    outputs = [*range(lead), *([lead] if p.channels else []), lead + 1, lead + 2]
    if p.channel_axis is not None:
        moved = outputs.pop(-3)
        outputs.insert(len(outputs) + 1 + p.channel_axis, moved)
    return outputs + ([] if p.channels else [lead]) + taps


def _linear_plan(kernel: Any, image_shape: Any, options: dict[str, Any]) -> tuple[Any, np.dtype]:
    """The plan for an image of the matrix's dtype; what is not linear is refused."""
    for name in ("out", "image_dtype"):
        if name in options:
            raise TypeError(f"a matrix has no {name}; give it to corr2d.corr2d")
    if options.get("fill", 0) != 0:
        raise OptionError(f"fill={options['fill']!r} adds a constant, which no matrix does; use fill=0 and add the constant afterwards")
    try:
        shape = tuple(operator.index(n) for n in image_shape)
    except TypeError:
        raise ShapeError(f"image_shape={image_shape!r}; use a tuple such as (480, 640), or image.shape") from None
    options = dict(options)
    asked = options.pop("dtype", None)
    complex_kernel = np.iscomplexobj(kernel.weights if hasattr(kernel, "weights") else kernel)
    try:
        dtype = np.dtype(asked if asked is not None else complex if complex_kernel else float)
    except TypeError:
        raise DTypeError(f"dtype={asked!r} is not a data type; use float64, float32, complex128 or complex64") from None
    if dtype.name not in ("float64", "float32", "complex128", "complex64"):
        raise DTypeError(f"dtype={dtype.name!r}: rounded results are no linear map; use float64, float32, complex128 or complex64")
    if complex_kernel and dtype.kind != "c":
        raise DTypeError(f"dtype={dtype.name!r} cannot hold the complex weights; use complex128 or complex64")
    plan = corr2d.plan(shape, kernel, image_dtype=dtype.name, **options)
    if plan.problem.bias:
        raise OptionError(f"the kernel has a bias of {kernel.bias}, which no matrix adds; use its weights and add the bias afterwards")
    return plan, dtype
