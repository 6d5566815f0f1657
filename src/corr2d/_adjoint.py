"""The adjoints of a correlation, made of planned correlations and of lag sums.

Write the correlation as *extend*, then *correlate with stride s and dilation d*. The transpose of
the second step gives the extended image's row r the sum over taps i of
``kernel[i] * g[(r - i d) / s]`` where s divides r - i d (Dumoulin & Visin, *A guide to convolution
arithmetic*, §4). Rows of one remainder r mod s meet the taps ``i0, i0 + n, i0 + 2 n, ...`` with
``n = s / gcd(s, d)``: for each remainder a correlation of its own, of g with these taps turned by
180 degrees, without stride and without a zero that is multiplied. The transpose of *extend* adds
every padding pixel to the pixel that stands there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np

from ._boundary import Boundary, source_indices
from ._lags import lag_sums
from ._problem import Pair, Problem


@dataclass(frozen=True, slots=True)
class Phase:
    """One axis of the correlations that give every `step`-th extended pixel from `first` on."""

    first: int
    step: int
    taps: slice | None  # of the kernel, before it is turned; None: no tap meets these pixels
    dilation: int
    pads: Pair  # of g; negative: so many of its samples are left out


def phases(n: int, outputs: int, taps: int, before: int, stride: int, dilation: int, inside: bool) -> Iterator[Phase]:
    """How an axis falls apart. `n` pixels are wanted, those from `before` on if `inside`, else the whole extended axis."""
    common = math.gcd(stride, dilation)
    origin = before if inside else 0
    for remainder in range(min(stride, n)):
        r = origin + remainder  # an extended pixel; those of this phase follow `stride` apart
        lead = next((i for i in range(min(stride // common, taps)) if (r - i * dilation) % stride == 0), taps)
        count = (n - remainder + stride - 1) // stride
        used = -(-(taps - lead) // (stride // common))
        span = (used - 1) * (dilation // common)
        newest = (r - lead * dilation) // stride  # the sample of g under the first tap; may lie outside
        met = used and newest + count > 0 and newest - span < outputs
        pads = (span - newest, newest + count - outputs)
        yield Phase(remainder, stride, slice(lead, None, stride // common) if met else None, dilation // common, pads)


def image_gradient(
    problem: Problem, weights: np.ndarray, gradient: np.ndarray, correlate: Callable[..., None], out: np.ndarray
) -> None:
    """Fill `out`, an image (canonical), with the adjoint applied to `gradient`, a result (canonical).

    `weights` are those of the correlation, (kh, kw) or (O, I, kh, kw), with a bank's axis before
    them or not. ``correlate(image, weights, pads, dilation, out)`` correlates with constant padding.
    """
    turned = weights[..., ::-1, ::-1]
    if problem.channels:
        turned = turned.swapaxes(-3, -4)
    inside = problem.boundary is Boundary.CONSTANT or not problem.pads_used
    extended = out if inside else np.empty(out.shape[:-2] + tuple(n + sum(p) for n, p in zip(problem.size, problem.pads, strict=True)), out.dtype)
    rows, columns = (
        list(phases(extended.shape[a], problem.out_size[a], problem.kernel_size[a], problem.pads[a][0], problem.stride[a], problem.dilation[a], inside))
        for a in (-2, -1)
    )
    for y in rows:
        for x in columns:
            part = extended[..., y.first :: y.step, x.first :: x.step]
            if y.taps is None or x.taps is None:
                part[...] = 0
                continue
            # The taps counted from the turned kernel's end.
            taps = turned[..., ::-1, ::-1][..., y.taps, x.taps][..., ::-1, ::-1]
            seen = gradient[..., _cut(y.pads, gradient.shape[-2]), _cut(x.pads, gradient.shape[-1])]
            pads = tuple((max(0, before), max(0, after)) for before, after in (y.pads, x.pads))
            correlate(seen, taps, pads, (y.dilation, x.dilation), part)
    if not inside:
        fold(extended, problem)
        (top, _), (left, _) = problem.pads
        out[...] = extended[..., top : top + problem.size[0], left : left + problem.size[1]]


def _cut(pads: Pair, n: int) -> slice:
    return slice(max(0, -pads[0]), n - max(0, -pads[1]))


def fold(extended: np.ndarray, problem: Problem) -> None:
    """Add what padding pixels hold to the pixels whose copies they are, in place."""
    for axis in (-2, -1):
        (before, after), n = problem.pads[axis], problem.size[axis]
        lines = np.moveaxis(extended, axis, 0)
        sources = source_indices(problem.boundary, -before, before + n + after, n).tolist()
        for position in (*range(before), *range(before + n, before + n + after)):
            lines[before + sources[position]] += lines[position]


def kernel_gradient(problem: Problem, gradient: np.ndarray, image: np.ndarray, out: np.ndarray, threads: int) -> None:
    """Fill `out`, a kernel's weights in float64, with the adjoint applied to `gradient`; all arrays canonical.

    ``out[i, j]`` is the sum over y, x of ``g[y, x] * extended[y s + i d, x s + j d]``. Taps
    ``i0, i0 + n, ...`` (as above) meet pixels of one remainder modulo s, d / gcd(s, d) apart, and
    those of one remainder modulo that distance are neighbours: lag sums of strided views.
    """
    pixels = extend(image, problem)
    single = image.dtype.itemsize <= 4 and image.dtype.kind == "f"
    axes = [list(_lag_classes(problem, axis)) for axis in (0, 1)]
    sums = out.reshape(problem.bank, *(problem.channels or (1, 1)), *problem.kernel_size)
    sums[...] = 0
    for bank, o, i in np.ndindex(sums.shape[:3]):
        g, x = _plane(gradient, problem, bank, o), _plane(pixels, problem, bank, i)
        for (taps_y, of_g_y, of_x_y), (taps_x, of_g_x, of_x_x) in product(*axes):
            a, b = g[..., of_g_y, of_g_x], x[..., of_x_y, of_x_x]
            to = sums[bank, o, i, taps_y, taps_x]
            rows, columns = (n + lags - 1 for n, lags in zip(a.shape[-2:], to.shape, strict=True))
            to += lag_sums(a, b[..., :rows, :columns], threads=threads, single=single)


def _lag_classes(problem: Problem, axis: int) -> Iterator[tuple[slice, slice, slice]]:
    """(taps, samples of g, extended pixels) of which neighbours lie under neighbours."""
    stride, dilation, taps = problem.stride[axis], problem.dilation[axis], problem.kernel_size[axis]
    common = math.gcd(stride, dilation)
    apart = dilation // common
    for lead in range(min(stride // common, taps)):
        for rest in range(min(apart, problem.out_size[axis])):
            yield (
                slice(lead, None, stride // common),
                slice(rest, None, apart),
                slice(lead * dilation + rest * stride, None, apart * stride),
            )


def _plane(array: np.ndarray, problem: Problem, bank: int, channel: int) -> np.ndarray:
    """(..., H, W) of one channel of one bank."""
    if problem.channels:
        array = array[..., channel, :, :]
    return array[..., bank, :, :] if problem.bank > 1 else array


def extend(image: np.ndarray, problem: Problem) -> np.ndarray:
    """The image with its padding: a view where there is none."""
    if not problem.pads_used:
        return image
    maps = [
        source_indices(problem.boundary, -before, before + n + after, n)
        for n, (before, after) in zip(problem.size, problem.pads, strict=True)
    ]  # fmt: skip
    if problem.boundary is not Boundary.CONSTANT:
        return image[..., maps[0][:, None], maps[1]]
    (top, _), (left, _) = problem.pads
    extended = np.full(image.shape[:-2] + tuple(map(len, maps)), problem.fill_like(image), image.dtype)
    extended[..., top : top + problem.size[0], left : left + problem.size[1]] = image
    return extended
