"""The verbs *apply* and *plan*: the whole flow on one screen."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from . import _arrays, _native
from ._errors import OptionError, ShapeError
from ._plan import Plan, get_threads, make_plan
from ._problem import normalise, read_kernel, turn
from .engines.native import STREAM_BYTES

_OPTIONS = ("padding", "boundary", "fill", "anchor", "stride", "dilation", "channel_axis", "dtype")


def corr2d(
    image: Any,
    kernel: Any,
    *,
    padding: Any = "valid",
    boundary: str = "constant",
    fill: complex = 0.0,
    anchor: tuple[int, int] | None = None,
    stride: int | tuple[int, int] = 1,
    dilation: int | tuple[int, int] = 1,
    channel_axis: int | None = None,
    dtype: Any = None,
    out: Any = None,
    method: str = "auto",
    threads: int | None = None,
) -> Any:
    r"""2-D cross-correlation of an image with a kernel.

    ``out[..., y, x]`` is the sum over i, j of
    ``kernel[i, j] * image[..., y * stride - top + i * dilation, x * stride - left + j * dilation]``
    (Zhang et al., *Dive into Deep Learning*, §7.2). A complex kernel is conjugated, as in
    ``numpy.correlate``.

    Parameters
    ----------
    image : array_like, shape (..., H, W)
        NumPy array of any strides and byte order, torch tensor (gradients flow to it and to a
        kernel that is one; other devices are stayed on), Dask array (the result is lazy, its
        chunks the image's), xarray DataArray (coordinates and attributes stay), or anything with ``__array__`` or DLPack. Leading axes are a batch.
    kernel : array_like, shape (kh, kw) or (O, I, kh, kw), or Kernel
        The second form mixes channels: image (..., I, H, W) gives (..., O, H', W').
    padding : {"valid", "same", "full"}, int, (py, px) or ((top, bottom), (left, right))
        Pixels added on each side. ``"same"`` gives ceil(H / stride) rows.
    boundary : {"constant", "edge", "reflect", "symmetric", "wrap"}
        What padding pixels hold, in ``numpy.pad``'s words; other libraries' words with a
        prefix: ``"scipy:mirror"``, ``"opencv:BORDER_REFLECT_101"``.
    fill : number
        The value of ``"constant"`` padding.
    anchor : (int, int), optional
        Which tap lies on the output pixel, for ``"same"``; default ((kh-1)//2, (kw-1)//2).
        Even kernels of OpenCV and scipy.ndimage need (kh//2, kw//2).
    stride, dilation : int or (int, int)
        Step between outputs; step between taps.
    channel_axis : int, optional
        The axis of the image that holds channels, e.g. -1 for (H, W, C); it stays there.
    dtype : data type, optional
        Of the result. Default: float32 for bool, (u)int8/16 and floats up to 32 bits, float64
        for (u)int32/64 and float64, complex stays; torch integer images give torch's default
        dtype. Integer targets are rounded half to even and saturated, once.
    out : array, optional
        Where to write; right shape and dtype. May overlap the image.
    method : {"auto", "direct", "sparse", "separable", "lowrank", "box", "fft", "matmul", "reference"}
        Which algorithm; see `plan`.
    threads : int, optional
        At most this many; default every core this process may use, and 1 in each block of a
        Dask array, whose blocks run side by side. The result does not depend on it.

    Returns
    -------
    array
        Of the image's kind (NumPy, torch, ...), on its device.

    Raises
    ------
    ShapeError, OptionError, DTypeError, NoCandidateError
        Subclasses of ValueError and TypeError; nothing has been written then.

    Notes
    -----
    Every method keeps ``|out - exact| <= 32 u sum|kernel| max|image|`` with u = 2**-24
    (2**-53 for float64); integer images with integer kernels are exact. A pixel that is not
    finite makes exactly those outputs not finite whose window contains it.

    Examples
    --------
    >>> import numpy as np
    >>> from corr2d import corr2d
    >>> corr2d(np.arange(9).reshape(3, 3), np.arange(4).reshape(2, 2))
    array([[19., 25.],
           [37., 43.]])
    """
    words = (False, padding, boundary, fill, anchor, stride, dilation, channel_axis, dtype, method, threads)
    if type(image) is not np.ndarray and (operators := _operators(image, kernel)):
        return operators.correlate(image, kernel, out, words)
    result = _native.recall(get_threads, image, kernel, out, words)
    return _apply(image, kernel, out, words) if result is None else result


def convolve2d(
    image: Any,
    kernel: Any,
    *,
    padding: Any = "valid",
    boundary: str = "constant",
    fill: complex = 0.0,
    anchor: tuple[int, int] | None = None,
    stride: int | tuple[int, int] = 1,
    dilation: int | tuple[int, int] = 1,
    channel_axis: int | None = None,
    dtype: Any = None,
    out: Any = None,
    method: str = "auto",
    threads: int | None = None,
) -> Any:
    """2-D convolution: `corr2d` with the kernel turned by 180 degrees.

    The anchor, the default one included, is turned with the kernel; a complex kernel is not
    conjugated. Parameters, result and errors are those of `corr2d`.

    Examples
    --------
    >>> import numpy as np
    >>> from corr2d import convolve2d
    >>> spot = np.zeros((3, 3)); spot[1, 1] = 1
    >>> convolve2d(spot, [[1, 2, 3]], padding="same")[1]
    array([1., 2., 3.])
    """
    words = (True, padding, boundary, fill, anchor, stride, dilation, channel_axis, dtype, method, threads)
    if type(image) is not np.ndarray and (operators := _operators(image, kernel)):
        return operators.correlate(image, kernel, out, words)
    result = _native.recall(get_threads, image, kernel, out, words)
    return _apply(image, kernel, out, words) if result is None else result


def plan(image: Any, kernel: Any, *, image_dtype: Any = None, method: str = "auto", threads: int | None = None, **options: Any) -> Plan:
    """Which algorithm `corr2d` would run, why, and how long it would take.

    Parameters
    ----------
    image : tuple of int, or an image
        A shape such as (3072, 4096), or an image whose shape, dtype and device are meant.
    kernel : array_like or Kernel
    image_dtype : data type, default "float32"
        Of the image that a shape stands for.
    method, threads, **options
        As in `corr2d`.

    Returns
    -------
    Plan
        Print it for a table of candidates; call it with an image to run it.

    Examples
    --------
    >>> import numpy as np, corr2d
    >>> p = corr2d.plan((3072, 4096), np.ones((31, 31)))
    >>> p.method
    'box'
    """
    if _is_shape(image):
        shape, home = tuple(int(n) for n in image), "numpy"
        if any(n < 0 for n in shape):
            raise ShapeError(f"the image's shape is {shape}; lengths are 0 or more")
        image_type = _arrays.image_dtype_name(image_dtype or "float32")
    else:
        if image_dtype is not None:
            raise OptionError(f"image_dtype={image_dtype!r} was given with an image, which has a dtype of its own; leave it out")
        shape, image_type, home = _look(image)
        kernel = _near(kernel)
    unknown = sorted(set(options) - set(_OPTIONS))
    if unknown:
        raise TypeError(f"plan() got an unexpected option {unknown[0]!r}; it takes {', '.join(sorted(_OPTIONS))}")
    return _planned(shape, image_type, home, kernel, method, threads, False, options, _arrays.device_of(image))


def _is_shape(image: Any) -> bool:
    return isinstance(image, (tuple, list)) and bool(image) and all(isinstance(n, (int, np.integer)) and not isinstance(n, bool) for n in image)


def _operators(image, kernel):
    """The module for tensors that are more than an array of the CPU, if the image is one."""
    if not _arrays.torch_of(image):
        return None
    from . import _torch

    return _torch if _torch.needed(image, kernel) else None


def _apply(image, kernel, out, words):
    """A call that is not known yet: planned, run, and known from then on (native/recall.cpp)."""
    if _arrays.is_labelled(image):
        return _apply_labelled(image, kernel, out, words)
    if _arrays.is_dask(image):
        return _apply_lazily(image, kernel, out, words)
    turned, *options, method, threads = words
    asked = get_threads() if threads is None else threads
    is_kernel = _is_kernel(kernel)
    knowable = type(image) is np.ndarray and (type(kernel) is np.ndarray or is_kernel)
    like = image
    if knowable:
        # Snapshots: another thread may write to the kernel, or reshape the image, meanwhile.
        like, kernel = image.view(), kernel if is_kernel else kernel.copy()
    source = _arrays.take(like)
    plan = _planned(
        source.data.shape, source.dtype, source.home, kernel, method, asked, turned, dict(zip(_OPTIONS, options, strict=True)),
        _arrays.device_of(like),
    )  # fmt: skip
    result = plan.run(source, image, out)
    if knowable:
        # A plan for one thread of several that it might use is the same whatever the default is.
        default = asked if threads is None and (plan.threads > 1 or asked == 1) else 0
        _native.remember(
            like, kernel, words, plan, getattr(plan._run, "filter", None), result, plan.problem.channel_axis or 0,
            plan.threads, default, STREAM_BYTES,
        )  # fmt: skip
    return result


def _apply_lazily(image, kernel, out, words):
    """A Dask array: the same plan, a block at a time, once somebody computes it."""
    from ._blockwise import check, lazily

    check(image, out)
    turned, *options, method, threads = words
    if threads is None:  # blocks run side by side
        threads = 1 if image.npartitions > 1 else get_threads()
    return lazily(_planned(*_look(image), kernel, method, threads, turned, dict(zip(_OPTIONS, options, strict=True))), image)


def _apply_labelled(image, kernel, out, words):
    """An xarray DataArray: its pixels as any array's, its labels where the result still has them."""
    from ._labelled import relabel

    result = _apply(image.data, kernel, out, words)
    if out is not None:
        return result
    turned, *options, method, threads = words
    plan = _planned(*_look(image), kernel, method, threads, turned, dict(zip(_OPTIONS, options, strict=True)))
    return relabel(image, result, plan.problem)


def _look(image: Any) -> tuple[tuple[int, ...], str, Any]:
    """Shape, dtype and home of an image, none of whose pixels are touched."""
    if _arrays.is_labelled(image):
        image = image.data
    if _arrays.is_dask(image):
        return image.shape, _arrays.take(image._meta).dtype, "numpy"
    if torch := _arrays.torch_of(image):
        return tuple(image.shape), _arrays.tensor_dtype_name(image, "image"), torch
    source = _arrays.take(image)
    return source.data.shape, source.dtype, source.home


def _near(kernel: Any) -> Any:
    """A kernel that is a tensor, where its weights can be read."""
    return kernel.detach().cpu() if _arrays.torch_of(kernel) and not kernel.is_meta else kernel


def _is_kernel(value: Any) -> bool:
    """Whether this is a `Kernel`; its module is not loaded on anyone's behalf."""
    module = sys.modules.get(f"{__package__}.kernel")
    return module is not None and type(value) is module.Kernel


def _planned(shape, image_dtype, home, kernel, method, threads, turned, options, device=None) -> Plan:
    spec = read_kernel(kernel)
    if turned:
        spec = turn(spec)
    problem = normalise(shape, image_dtype, _arrays.default_float(home), spec, turned=turned, device=device, **options)
    weights = spec.weights if turned else spec.weights.conj()
    return make_plan(problem, weights, method, threads)
