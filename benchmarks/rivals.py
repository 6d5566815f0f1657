"""Everyone's way to do the same job: what corr2d is measured against.

A rival's ``setup(job)`` does all preparation that the library needs (layout, dtype,
padding for a border it lacks, the kernel's factors for one that must be told) and returns
``Run(call, extract)``: ``call()`` is what the clock sees, ``extract(result)`` gives the
result in the shape of corr2d's, to be compared. A rival that cannot do the job raises
`Cannot` with the reason. Who can write into a caller's array writes into ``job.out``.
"""

from __future__ import annotations

import atexit
import importlib
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.pool import ThreadPool
from typing import Any, NamedTuple

import numpy as np


class Cannot(Exception):
    """The library has no way to do this job; the message says why."""


@dataclass(frozen=True, eq=False)
class Job:
    """One "same" correlation with an odd kernel: an image, where the result goes, how many threads."""

    image: np.ndarray  # (..., H, W), or (H, W, C) when channels_last
    kernel: np.ndarray  # (kh, kw)
    boundary: str  # numpy.pad's words
    channels_last: bool
    out: np.ndarray  # the image's shape; one array for everybody
    threads: int

    @property
    def axes(self) -> tuple[int, int]:
        """Where rows and columns are."""
        return (-3, -2) if self.channels_last else (-2, -1)

    @property
    def radius(self) -> tuple[int, int]:
        return self.kernel.shape[0] // 2, self.kernel.shape[1] // 2

    @property
    def multiplications(self) -> int:
        return self.out.size * self.kernel.size

    def padded(self, dtype: Any = None) -> np.ndarray:
        """The image with its border, for libraries that lack it."""
        widths = [(0, 0)] * self.image.ndim
        for axis, radius in zip(self.axes, self.radius, strict=True):
            widths[axis] = (radius, radius)
        return np.pad(self.image.astype(dtype or self.image.dtype), widths, mode=self.boundary)

    def over_image(self, kernel: np.ndarray) -> np.ndarray:
        """The kernel with as many axes as the image."""
        return np.expand_dims(kernel, tuple(a for a in range(self.image.ndim) if a - self.image.ndim not in self.axes))


class Run(NamedTuple):
    """``extract(call())`` is the result."""

    call: Callable[[], Any]
    extract: Callable[[Any], np.ndarray] = np.asarray


@dataclass(frozen=True)
class Rival:
    """A column of the table. ``pace`` is rough seconds per multiplication, to foresee endless runs."""

    name: str
    setup: Callable[[Job], Run]
    pace: float = 0.0


def need(module: str) -> Any:
    """The module, or `Cannot`."""
    try:
        return importlib.import_module(module)
    except ImportError:
        raise Cannot(f"{module.partition('.')[0]} is not installed") from None


def set_threads(n: int) -> None:
    """The same number of threads for every library that has a setting of its own."""
    for module, setter in (("cv2", "setNumThreads"), ("torch", "set_num_threads"), ("corr2d", "set_threads")):
        try:
            getattr(need(module), setter)(n)
        except Cannot:
            pass


# -------------------------------------------------------------------------------------------------
# OpenCV

_CV_BORDERS = {"constant": "CONSTANT", "edge": "REPLICATE", "reflect": "REFLECT_101", "symmetric": "REFLECT"}
_CV_DEPTHS = {"uint8": "CV_8U", "uint16": "CV_16U", "int16": "CV_16S", "float32": "CV_32F", "float64": "CV_64F"}


def _cv2_run(job: Job, function: Callable, *arguments: Any, **options: Any) -> Run:
    """``function(image, depth, *arguments)`` on every plane of a batch, into the shared array."""
    cv2 = need("cv2")
    for array in (job.image, job.out):
        if array.dtype.name not in _CV_DEPTHS:
            raise Cannot(f"OpenCV has no {array.dtype.name} images here")
    depth = getattr(cv2, _CV_DEPTHS[job.out.dtype.name])
    if job.boundary == "wrap":  # filter2D refuses it: a padded input, and a result that is cut afterwards
        source = job.padded()
        target, border = np.empty(source.shape, job.out.dtype), cv2.BORDER_REPLICATE
    else:
        source, target, border = job.image, job.out, getattr(cv2, f"BORDER_{_CV_BORDERS[job.boundary]}")
    picture = 3 if job.channels_last else 2
    lead = source.shape[: source.ndim - picture]
    options["borderType"] = border
    planes = [(source[i], target[i]) for i in np.ndindex(*lead)]

    def one():
        function(source, depth, *arguments, dst=target, **options)

    def loop():
        for plane, into in planes:
            function(plane, depth, *arguments, dst=into, **options)

    returned = function(*planes[0][:1], depth, *arguments, dst=planes[0][1], **options)
    if not np.shares_memory(returned, target):
        raise Cannot("OpenCV did not write into the given array")
    cut = [slice(None)] * target.ndim
    if target is not job.out:
        for axis, radius in zip(job.axes, job.radius, strict=True):
            cut[axis] = slice(radius, target.shape[axis] - radius)
    return Run(loop if lead else one, lambda _: target[tuple(cut)])


def _kernel_for_cv2(kernel: np.ndarray, job: Job) -> np.ndarray:
    """In the type that OpenCV would convert it to."""
    return np.ascontiguousarray(kernel, np.float64 if job.out.dtype == np.float64 else np.float32)


def filter2d(job: Job) -> Run:
    """``cv2.filter2D``: the general filter (a discrete Fourier transform from about 11 by 11)."""
    return _cv2_run(job, need("cv2").filter2D, _kernel_for_cv2(job.kernel, job))


def sep_filter2d(job: Job) -> Run:
    """``cv2.sepFilter2D``, which is told the two factors."""
    u, s, v = np.linalg.svd(job.kernel.astype(float))
    if s.size > 1 and s[1] > 1e-12 * s[0]:
        raise Cannot("the kernel is not separable")
    if job.kernel.size == 1:
        raise Cannot("nothing to separate")
    column, row = _kernel_for_cv2(u[:, 0] * s[0] ** 0.5, job), _kernel_for_cv2(v[0] * s[0] ** 0.5, job)
    return _cv2_run(job, need("cv2").sepFilter2D, row, column)


def box_filter(job: Job) -> Run:
    """``cv2.boxFilter``, which is told that all taps are equal: sums, or means."""
    value = float(job.kernel.flat[0])
    if not (job.kernel == value).all():
        raise Cannot("the kernel is not a box")
    if value not in (1.0, 1 / job.kernel.size):
        raise Cannot("neither a sum nor a mean")
    return _cv2_run(job, need("cv2").boxFilter, job.kernel.shape[::-1], normalize=value != 1.0)


# -------------------------------------------------------------------------------------------------
# SciPy

_NDIMAGE_MODES = {"constant": "constant", "edge": "nearest", "reflect": "mirror", "symmetric": "reflect", "wrap": "grid-wrap"}


def ndimage(job: Job) -> Run:
    """``scipy.ndimage.correlate``: one thread, float64 sums."""
    correlate = need("scipy.ndimage").correlate
    if job.out.dtype.kind in "iu":
        raise Cannot("cuts off and wraps around instead of rounding and saturating")
    image, out, mode, kernel = job.image, job.out, _NDIMAGE_MODES[job.boundary], job.over_image(job.kernel)
    return Run(lambda: correlate(image, kernel, output=out, mode=mode), lambda _: out)


def oaconvolve(job: Job) -> Run:
    """``scipy.signal.oaconvolve``: overlap-add Fourier transforms, on all threads; padded beforehand."""
    convolve, fft = need("scipy.signal").oaconvolve, need("scipy.fft")
    if job.out.dtype.kind in "iu":
        raise Cannot("has no integer results")
    image = job.padded(job.out.dtype)
    kernel = job.over_image(job.kernel[::-1, ::-1]).astype(job.out.dtype)
    axes, workers = job.axes, job.threads

    def call():
        with fft.set_workers(workers):
            return convolve(image, kernel, mode="valid", axes=axes)

    return Run(call)


# -------------------------------------------------------------------------------------------------
# PyTorch


def _torch(job: Job, memory_format: str) -> Run:
    torch = need("torch")
    if job.out.dtype.kind in "iu":
        raise Cannot("has no integer convolution on CPUs")
    torch.set_grad_enabled(False)
    pixels = job.padded(job.out.dtype)
    if job.channels_last:
        pixels = np.moveaxis(pixels, -1, -3)
    channels = pixels.shape[-3] if job.channels_last else 1
    pixels = pixels.reshape(-1, channels, *pixels.shape[-2:])
    weights = np.broadcast_to(job.kernel.astype(job.out.dtype), (channels, 1, *job.kernel.shape)).copy()
    layout = getattr(torch, memory_format)
    image = torch.from_numpy(np.ascontiguousarray(pixels)).contiguous(memory_format=layout)
    weight = torch.from_numpy(weights).contiguous(memory_format=layout)
    conv2d, shape, moved = torch.nn.functional.conv2d, job.out.shape, job.channels_last

    def extract(result):
        result = result.numpy()
        return np.moveaxis(result, 1, -1).reshape(shape) if moved else result.reshape(shape)

    return Run(lambda: conv2d(image, weight, groups=channels), extract)


def torch_nchw(job: Job) -> Run:
    """``torch.nn.functional.conv2d`` on padded, contiguous NCHW tensors (it has no ``out=``)."""
    return _torch(job, "contiguous_format")


def torch_nhwc(job: Job) -> Run:
    """The same in ``channels_last``, where that makes a difference."""
    if not job.channels_last:
        raise Cannot("one channel: the same memory as NCHW")
    return _torch(job, "channels_last")


# -------------------------------------------------------------------------------------------------
# the memory

_SMALL_COPY = 1 << 20  # bytes; below, handing work to threads costs more than it brings


def copy(job: Job) -> Run:
    """Copying the image to where the result goes, on all threads: as fast as memory allows."""
    size = job.image.nbytes
    room = job.out if job.out.nbytes >= size else np.empty(size, np.uint8)
    source = np.ascontiguousarray(job.image).reshape(-1).view(np.uint8)
    target = room.reshape(-1).view(np.uint8)[:size]
    if job.threads == 1 or size < _SMALL_COPY:
        return Run(lambda: np.copyto(target, source), lambda _: target)
    cuts = [i * size // job.threads // 64 * 64 for i in range(job.threads)] + [size]
    parts = [(target[a:b], source[a:b]) for a, b in zip(cuts, cuts[1:], strict=False)]
    mine, others, pool = parts[0], parts[1:], _pool(job.threads - 1)

    def call():
        waiting = [pool.apply_async(np.copyto, part) for part in others]
        np.copyto(*mine)
        for each in waiting:
            each.get()

    return Run(call, lambda _: target)


_pools: dict[int, ThreadPool] = {}


def _pool(n: int) -> ThreadPool:
    """Threads that stay, so that no copy waits for one to start."""
    if n not in _pools:
        _pools[n] = ThreadPool(n)
        atexit.register(_pools[n].terminate)
    return _pools[n]


RIVALS = {
    rival.name: rival
    for rival in (
        Rival("filter2D", filter2d),
        Rival("sepFilter2D", sep_filter2d),
        Rival("boxFilter", box_filter),
        Rival("oaconvolve", oaconvolve),
        Rival("ndimage", ndimage, pace=0.9e-9),
        Rival("torch", torch_nchw, pace=0.25e-9),
        Rival("torch-nhwc", torch_nhwc, pace=0.25e-9),
    )
}
