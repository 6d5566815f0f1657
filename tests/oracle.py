"""The exact answer, twice, and the yardstick: written from the contract, sharing no code with corr2d.

``exact`` gathers through closed-form index maps and adds in Python integers,
int64 where that cannot overflow, or 80-bit floats. ``by_definition`` is the
sum of the contract in fractions, one pixel at a time, which *walks* across a
border instead of computing where it lands. test_oracle.py compares the two
with each other and with SciPy, OpenCV and PyTorch.

``check`` raises AssertionError when a result is not what the contract
promises for the problem: shape, dtype, exact integers, or the accuracy bound.
"""

from fractions import Fraction
from itertools import product

import numpy as np

BOUNDARIES = ("constant", "edge", "reflect", "symmetric", "wrap")

_SMALL = {"bool", "int8", "uint8", "int16", "uint16", "float16", "float32"}
_LARGE = {"int32", "uint32", "int64", "uint64", "float64"}


# -------------------------------------------------------------------------------------------------
# geometry


def pair(value):
    """An option that may be one number or one per axis, as two."""
    return (value, value) if np.ndim(value) == 0 else tuple(value)


def pads(size, kernel, padding="valid", anchor=None, dilation=1, convolve=False):
    """``(before, after)`` along one axis; ``padding`` is a word or two numbers, the rest numbers."""
    reach = dilation * (kernel - 1)
    if padding == "valid":
        return 0, 0
    if padding == "full":
        return reach, reach
    if padding == "same":
        if anchor is not None:
            before = dilation * (kernel - 1 - anchor if convolve else anchor)
        else:  # PyTorch's: the smaller half first; turned with the kernel in a convolution
            before = reach - reach // 2 if convolve else reach // 2
        return before, reach - before
    return padding


def geometry(shape, kernel_shape, *, padding="valid", anchor=None, stride=1, dilation=1, convolve=False):
    """Per axis ``(size, before, after, stride, dilation, outputs)`` for the last two axes."""
    if not isinstance(padding, str):
        two = pair(padding)
        padding = tuple((p, p) if np.ndim(p) == 0 else tuple(p) for p in two)
    anchors = (None, None) if anchor is None else tuple(anchor)
    axes = []
    for a in range(2):
        n, k, s, d = shape[-2 + a], kernel_shape[-2 + a], pair(stride)[a], pair(dilation)[a]
        axis_padding = padding if isinstance(padding, str) else padding[a]
        before, after = pads(n, k, axis_padding, anchors[a], d, convolve)
        axes.append((n, before, after, s, d, (n + before + after - d * (k - 1) - 1) // s + 1))
    return axes


def source(position, length, boundary):
    """Index of the pixel that stands at each position; -1 where the fill stands."""
    n = np.asarray(position)
    if boundary == "constant":
        return np.where((n >= 0) & (n < length), n, -1)
    if boundary == "edge":
        return np.clip(n, 0, length - 1)
    if boundary == "wrap":
        return n % length
    if boundary == "symmetric":
        m = n % (2 * length)
        return np.minimum(m, 2 * length - 1 - m)
    if boundary == "reflect":
        period = max(1, 2 * (length - 1))
        m = n % period
        return np.minimum(m, period - m)
    raise AssertionError(boundary)


def walk(position, length, boundary):
    """The same as ``source`` for one position, by walking; None where the fill stands."""
    at, step = 0, 1 if position > 0 else -1
    for _ in range(abs(position)):
        nxt = at + step
        if 0 <= nxt < length:
            at = nxt
        elif boundary == "constant":
            return None
        elif boundary == "wrap":
            at = nxt % length
        elif boundary == "symmetric":  # stand still once, then go back
            step = -step
        elif boundary == "reflect" and length > 1:
            step = -step
            at += step
    return at


# -------------------------------------------------------------------------------------------------
# the exact result


def as_numpy(array):
    """Any array-like as NumPy's, bool as 0 and 1, native byte order."""
    array = np.asarray(array)
    array = array.astype(array.dtype.newbyteorder("="))
    return array.astype(np.int8) if array.dtype == bool else array


def integral(array):
    """Are all values integers (whatever the dtype)?"""
    array = as_numpy(array)
    if array.dtype.kind in "iu":
        return True
    return bool(array.dtype.kind == "f" and np.isfinite(array).all() and (array == np.rint(array)).all())


def _python_ints(array):
    return np.array([int(v) for v in np.ravel(array)], object).reshape(np.shape(array))


def _common(image, kernel, fill):
    """The three in one number type in which the sum below is exact, or nearly so."""
    if image.dtype.kind in "iu" and integral(kernel) and integral(fill):
        pixels, taps = _python_ints([image.min(), image.max()]) if image.size else [0], _python_ints(kernel)
        largest = max(max(abs(v) for v in pixels), abs(int(fill)))
        room = int(np.abs(taps).sum()) * max(largest, 1) < 2**62
        if room and largest < 2**62:
            return image.astype(np.int64), taps.astype(np.int64), int(fill)
        return _python_ints(image), taps, int(fill)
    kinds = image.dtype.kind + kernel.dtype.kind + np.asarray(fill).dtype.kind
    wide = np.clongdouble if "c" in kinds else np.longdouble
    return image.astype(wide), kernel.astype(wide), wide(fill)


def extend(image, axes, boundary, fill):
    """The padded image, gathered through the index maps."""
    (h, top, bottom, *_), (w, left, right, *_) = axes
    rows, columns = (
        source(np.arange(-before, n + after), n, boundary) for n, before, after in ((h, top, bottom), (w, left, right))
    )
    if h == 0 or w == 0:
        shape = (*image.shape[:-2], len(rows), len(columns))
        return np.full(shape, fill, image.dtype)
    padded = image[..., rows, :][..., columns]
    outside = (rows < 0)[:, None] | (columns < 0)[None, :]
    padded[..., outside] = fill
    return padded


def exact(image, kernel, *, boundary="constant", fill=0.0, channel_axis=None, convolve=False, **options):
    """The exact result of ``corr2d(image, kernel, ...)``: int64, object (int), or long double."""
    image, kernel = as_numpy(image), as_numpy(kernel)
    if channel_axis is not None:
        moved = np.moveaxis(image, channel_axis, -3)
        result = exact(moved, kernel, boundary=boundary, fill=fill, convolve=convolve, **options)
        return np.moveaxis(result, -3, channel_axis)
    axes = geometry(image.shape, kernel.shape, convolve=convolve, **options)
    image, kernel, fill = _common(image, kernel, fill)
    kernel = kernel[..., ::-1, ::-1] if convolve else np.conj(kernel)
    padded = extend(image, axes, boundary, fill)
    (*_, sy, dy, oh), (*_, sx, dx, ow) = axes

    def seen_by(i, j):  # the pixel that tap (i, j) multiplies, for every output
        return padded[..., i * dy : i * dy + (oh - 1) * sy + 1 : sy, j * dx : j * dx + (ow - 1) * sx + 1 : sx]

    if kernel.ndim == 4:  # (O, I, kh, kw) mixes the channels
        total = np.zeros((*image.shape[:-3], len(kernel), oh, ow), padded.dtype)
        for o, i, y, x in np.ndindex(kernel.shape):
            total[..., o, :, :] += kernel[o, i, y, x] * seen_by(y, x)[..., i, :, :]
        return total
    total = np.zeros((*image.shape[:-2], oh, ow), padded.dtype)
    for y in range(kernel.shape[0]):  # row sums first: long sums stay exact enough
        row = np.zeros_like(total)
        for x in range(kernel.shape[1]):
            row += kernel[y, x] * seen_by(y, x)
        total += row
    return total


def by_definition(image, kernel, *, boundary="constant", fill=0, **options):
    """The contract's sum in fractions, for one small real (H, W) image and a (kh, kw) kernel."""
    (h, top, _, sy, dy, oh), (w, left, _, sx, dx, ow) = geometry(image.shape, kernel.shape, **options)
    out = np.zeros((oh, ow), object)
    for y, x, i, j in product(range(oh), range(ow), *map(range, kernel.shape)):
        row = walk(y * sy - top + i * dy, h, boundary)
        column = walk(x * sx - left + j * dx, w, boundary)
        pixel = fill if row is None or column is None else image[row, column].item()
        out[y, x] += Fraction(kernel[i, j].item()) * Fraction(pixel)
    return out


def adjoint(result, kernel, image_shape, *, boundary="constant", **options):
    """The transpose of ``corr2d`` as a linear map: every output handed back to the pixels it read."""
    kernel = np.asarray(kernel, np.longdouble)
    (h, top, _, sy, dy, oh), (w, left, _, sx, dx, ow) = geometry(image_shape, kernel.shape, **options)
    back = np.zeros((h + 1, w + 1), np.longdouble)  # index -1: the fill's share, cut off below
    for i, j in np.ndindex(kernel.shape):
        rows = source(np.arange(oh) * sy - top + i * dy, h, boundary)
        columns = source(np.arange(ow) * sx - left + j * dx, w, boundary)
        np.add.at(back, np.ix_(rows, columns), kernel[i, j] * np.asarray(result, np.longdouble))
    return back[:h, :w]


# -------------------------------------------------------------------------------------------------
# the yardstick


def result_dtype(image_dtype, kernel=0.0, fill=0.0, dtype=None):
    """The contract's result dtype for NumPy arrays."""
    if dtype is not None:
        return np.dtype(dtype)
    image_dtype = np.dtype(image_dtype)
    if image_dtype.kind == "c":
        return image_dtype.newbyteorder("=")
    assert image_dtype.name in _SMALL | _LARGE, image_dtype
    real = np.dtype("float32" if image_dtype.name in _SMALL else "float64")
    complex_ = np.iscomplexobj(kernel) or np.iscomplexobj(fill)
    return np.result_type(real, np.complex64) if complex_ else real


def unit(image_dtype, dtype=None):
    """u of the contract: 2**-24 for float32 results, 2**-53 for float64 ones."""
    dtype = result_dtype(image_dtype) if dtype is None else np.dtype(dtype)
    if dtype.kind in "iub":  # rounded from what the image would have given
        dtype = result_dtype(image_dtype)
    return np.longdouble(2.0) ** (-53 if dtype in (np.float64, np.complex128) else -24)


def magnitude(image, kernel, fill=0.0):
    """``sum|k| * max|image|``, the largest any output could be."""
    image, kernel = np.asarray(image), np.asarray(kernel)
    wide = np.clongdouble if "c" in image.dtype.kind + kernel.dtype.kind else np.longdouble
    taps = np.abs(as_numpy(kernel).astype(wide))
    weight = taps.sum(axis=(1, 2, 3)).max() if taps.ndim == 4 else taps.sum()
    pixels = np.abs(as_numpy(image).astype(wide))
    return weight * max(pixels.max(initial=0), np.abs(fill))


def tolerance(image, kernel, *, fill=0.0, dtype=None, bias=0.0):
    """The accuracy bound, plus one smallest number per tap where values underflow."""
    u = unit(np.asarray(image).dtype, dtype)
    smallest = np.finfo(np.float64 if u < 2.0**-24 else np.float32).smallest_subnormal
    return 32 * u * (magnitude(image, kernel, fill) + np.abs(bias)) + np.size(kernel) * np.longdouble(smallest)


def counts_exactly(image, kernel, fill=0.0, dtype=None, bias=0.0):
    """Integers all the way, and no sum, in whatever order, leaves the accumulator's integers."""
    if np.asarray(image).dtype.kind not in "biu" or not (integral(kernel) and integral(fill) and integral(bias)):
        return False
    return (magnitude(image, kernel, fill) + np.abs(bias)) * unit(np.asarray(image).dtype, dtype) <= 1


def with_bias(truth, bias):
    """The exact result with a bias added, exactly where both are integers."""
    if not bias:
        return truth
    if truth.dtype.kind in "iO" and integral(bias):
        return truth.astype(object) + int(bias)
    wide = np.clongdouble if np.iscomplexobj(truth) or np.iscomplexobj(bias) else np.longdouble
    return truth.astype(wide) + wide(bias)


def check(result, image, kernel, *, truth=None, dtype=None, bias=0.0, **options):
    """Raise AssertionError unless ``result`` is what the contract promises for this problem.

    Returns its largest error as a share of the bound; 0.0 for integers, which are right or wrong, for
    float16, and where the bound is of the size of the smallest number.
    """
    truth = with_bias(exact(image, kernel, **options) if truth is None else truth, bias)
    fill = options.get("fill", 0.0)
    wanted = result_dtype(np.asarray(image).dtype, kernel, fill, dtype)
    assert result.shape == truth.shape, f"shape {result.shape}, the contract says {truth.shape}"
    assert result.dtype == wanted, f"dtype {result.dtype}, the contract says {wanted}"
    if truth.size == 0:
        return 0.0
    room = tolerance(image, kernel, fill=fill, dtype=dtype, bias=bias)
    if counts_exactly(image, kernel, fill, dtype, bias):
        room = np.longdouble(0)
    # Where sum|k| max|x| leaves float64's range, a partial sum may, and there is no wider type.
    beyond = magnitude(image, kernel, fill) + np.abs(bias) > np.finfo(np.float64).max
    if wanted.kind in "iu":
        if not beyond:
            _verify_integers(result, truth, room)
    elif room == 0 and wanted.itemsize >= 4:
        same = np.asarray(result).astype(object) == truth.astype(object)
        assert same.all(), f"{(~same).sum()} integers differ: {_worst(~same, result, truth)}"
    else:
        share = _verify_floats(np.asarray(result), truth, room, beyond)
        underflow = tolerance(image * 0, kernel, dtype=dtype)  # what the bound is without its main term
        return share if underflow * 1000 < room else 0.0
    return 0.0


def _verify_integers(result, truth, room):
    """Rounded half to even and saturated, once."""
    info = np.iinfo(result.dtype)
    if truth.dtype.kind == "f":
        low, high = (np.rint(truth + sign * room) for sign in (-1, 1))
    else:
        low, high = (_python_ints(truth) + sign * int(np.ceil(room)) for sign in (-1, 1))
    low, high = (_python_ints(np.clip(_python_ints(b), info.min, info.max)) for b in (low, high))
    got = _python_ints(result)
    bad = np.asarray((got < low) | (got > high), bool)
    assert not bad.any(), f"{bad.sum()} integers differ: {_worst(bad, result, truth)}"


def _verify_floats(result, truth, room, beyond=False):
    wide = np.clongdouble if np.iscomplexobj(truth) or np.iscomplexobj(result) else np.longdouble
    truth, got = truth.astype(wide), result.astype(wide)
    if result.dtype == np.float16:  # one more rounding, at the end
        largest = np.clip(np.abs(truth) + room, 0, 65000).astype(np.float16)
        room = room + np.spacing(largest).astype(np.longdouble) / 2
    largest = np.longdouble(np.finfo(result.dtype).max)
    part = np.maximum(np.abs(truth.real), np.abs(truth.imag))
    over = (part + room > largest) | beyond  # may, and beyond a doubt must, be infinite
    must = part - room > largest * (1 + np.finfo(result.dtype).eps)
    with np.errstate(all="ignore"):
        error = np.abs(got - truth)
        bad = ~(error <= room) & ~(over & ~np.isfinite(got)) | (must & np.isfinite(got))
        ratio = error / room
    if bad.any():
        where = _worst(bad, result, truth, ratio)
        raise AssertionError(f"{bad.sum()} of {bad.size} outside the bound {float(np.max(room)):.3g}: {where}")
    if result.dtype == np.float16:  # the last rounding is another matter
        return 0.0
    return float(np.max(ratio, initial=0, where=np.isfinite(ratio)))


def _worst(bad, result, truth, ratio=None):
    order = bad if ratio is None else np.where(bad, np.nan_to_num(ratio, nan=np.inf), 0)
    at = tuple(int(i) for i in np.unravel_index(np.argmax(order), bad.shape))
    times = "" if ratio is None else f", {float(ratio[at]):.3g} times the bound"
    return f"at {at} got {result[at]!r}, exact {truth[at]!r}{times}"
