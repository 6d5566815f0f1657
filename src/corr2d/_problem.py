"""What is asked: every argument made canonical, once, at the door.

A `Problem` is frozen, hashable and holds no pixels: it is the key under which plans are
kept. Downstream nobody sees a raw argument.
"""

from __future__ import annotations

import math
import operator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ._arrays import IMAGE_DTYPES, take
from ._boundary import Boundary, parse_boundary
from ._errors import DTypeError, OptionError, ShapeError

Pair = tuple[int, int]

# Rows, and columns, from a kernel's first tap to its last: the compiled code keeps a table of the
# rows, and positions are 64-bit integers.
MAX_REACH = 2**22, 2**42

MAX_AXES = 30  # of a batch; what NumPy's 64 and the compiled code's 32 leave with room to spare

_SINGLE = {"bool", "uint8", "int8", "uint16", "int16", "float16", "bfloat16", "float32"}
_LARGEST = {
    "bool": 1, "uint8": 255, "int8": 128, "uint16": 65535, "int16": 32768,
    "uint32": 2**32 - 1, "int32": 2**31, "uint64": 2**64 - 1, "int64": 2**63,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class KernelSpec:
    """The kernel as the caller gave it: float64 or complex128 weights, C-contiguous, read-only."""

    weights: np.ndarray
    anchor: Pair | None
    bias: complex


@dataclass(frozen=True, slots=True)
class Problem:
    """One correlation, without its pixels.

    Axes are canonical: the image is ``(*lead, H, W)``, or ``(*lead, I, H, W)`` when the
    kernel mixes channels; `channel_axis` says where the caller keeps the channels.
    """

    shape: tuple[int, ...]  # the caller's image
    lead: tuple[int, ...]
    size: Pair
    kernel_size: Pair
    channels: Pair | None  # (O, I) when the kernel mixes them
    channel_axis: int | None  # from the end, negative; None: channels are an ordinary leading axis
    pads: tuple[Pair, Pair]
    boundary: Boundary
    fill: complex
    stride: Pair
    dilation: Pair
    bias: complex
    image_dtype: str
    out_dtype: str
    out_size: Pair
    # The pads of the whole of which this is a block (_block.py): whether any output of the whole
    # reads padding decides the arithmetic, which must be the same in every block.
    whole_pads: tuple[Pair, Pair] | None = None
    bank: int = 1  # so many kernels, which planes take in turn: weights are (bank, kh, kw) or (bank, O, I, kh, kw)
    trained: bool = False  # the weights change from call to call
    relaxed: bool = False  # a layer's: sums over channels may be rounded as PyTorch rounds them
    tensor: bool = False  # the image is PyTorch's: so may be the engine
    device: str = "cpu"

    @property
    def out_shape(self) -> tuple[int, ...]:
        """The result's shape as the caller sees it."""
        channels = () if self.channels is None else (self.channels[0],)
        canonical = self.lead + channels + self.out_size
        if self.channel_axis is None:
            return canonical
        axes = list(canonical)
        moved = axes.pop(-3)
        axes.insert(len(axes) + 1 + self.channel_axis, moved)
        return tuple(axes)

    @property
    def axes(self) -> Pair:
        """Where the caller keeps rows and columns, from the end."""
        rest = [axis for axis in (-1, -2, -3) if axis != self.channel_axis]
        return rest[1], rest[0]

    def canonical(self, array: np.ndarray) -> np.ndarray:
        """The caller's array with the channel axis third from the end: a view."""
        if self.channel_axis is None:
            return array
        axes = list(range(array.ndim))
        axes.insert(array.ndim - 3, axes.pop(self.channel_axis))
        return array.transpose(axes)

    @property
    def pads_used(self) -> bool:
        """Whether any output, of the whole, reads a pixel beyond the image."""
        return any(p > 0 for pair in self.whole_pads or self.pads for p in pair)

    def fill_like(self, image: np.ndarray) -> complex:
        """The fill value as the image's samples would hold it."""
        return self.fill if image.dtype.kind == "c" else self.fill.real

    @property
    def span(self) -> Pair:
        """Pixels from the first to the last tap, per axis."""
        return tuple((k - 1) * d for k, d in zip(self.kernel_size, self.dilation, strict=True))

    @property
    def weights_shape(self) -> tuple[int, ...]:
        """(kh, kw), with channels (O, I, kh, kw), and a bank's axis before them."""
        return ((self.bank,) if self.bank > 1 else ()) + (self.channels or ()) + self.kernel_size

    @property
    def planes(self) -> int:
        return math.prod(self.lead)

    @property
    def pixels(self) -> int:
        """Pixels of the image in all, channels counted."""
        return self.planes * (self.channels[1] if self.channels else 1) * math.prod(self.size)

    @property
    def bytes_moved(self) -> int:
        """Reading the image once and writing the result once."""
        return self.pixels * _itemsize(self.image_dtype) + self.outputs * _itemsize(self.out_dtype)

    @property
    def outputs(self) -> int:
        """Output samples in all."""
        return self.planes * (self.channels[0] if self.channels else 1) * math.prod(self.out_size)

    @property
    def taps(self) -> int:
        """Multiplications per output sample."""
        return math.prod(self.kernel_size) * (self.channels[1] if self.channels else 1)

    @property
    def complex_image(self) -> bool:
        return self.image_dtype.startswith("complex")

    @property
    def complex_result(self) -> bool:
        return self.out_dtype.startswith("complex")

    @property
    def largest_integer(self) -> int | None:
        """Largest magnitude of an integer image (and its integer padding); None for other images."""
        largest = _LARGEST.get(self.image_dtype)
        if largest is None or self.boundary is not Boundary.CONSTANT or not self.pads_used:
            return largest
        if self.fill.imag or not float(self.fill.real).is_integer():
            return None
        return max(largest, abs(int(self.fill.real)))

    @property
    def single(self) -> bool:
        """Whether float32 is the accumulator that the result's accuracy asks for."""
        return self.out_dtype in {
            "float32", "complex64", "float16", "bfloat16", "uint8", "int8", "uint16", "int16",
        } and (self.image_dtype in _SINGLE or self.image_dtype == "complex64")  # fmt: skip


def _itemsize(dtype: str) -> int:
    return 2 if dtype == "bfloat16" else np.dtype(dtype).itemsize


def read_kernel(kernel: Any) -> KernelSpec:
    """Check a kernel and copy its weights to float64 or complex128."""
    anchor, bias = None, 0.0
    if hasattr(kernel, "weights") and hasattr(kernel, "bias"):  # corr2d.Kernel
        anchor, bias, kernel = kernel.anchor, kernel.bias, kernel.weights
    array = take(kernel, "kernel")
    data = array.data
    if array.dtype == "bfloat16":
        data = (data.astype(np.uint32) << 16).view(np.float32)
    check_kernel_shape(data.shape, data.size == 0)
    wide = np.complex128 if data.dtype.kind == "c" else np.float64
    weights = np.array(data, dtype=wide, order="C")
    weights.flags.writeable = False
    return KernelSpec(weights, anchor, bias)


def check_kernel_shape(shape: tuple[int, ...], empty: bool) -> None:
    """Two axes, or four, and a tap."""
    if len(shape) == 1:
        raise ShapeError(
            f"kernel has shape {shape}; a kernel has two axes (rows, columns): "
            "use kernel[None, :] for a row or kernel[:, None] for a column"
        )
    if len(shape) not in (2, 4):
        raise ShapeError(f"kernel has shape {shape}; it must be (kh, kw), or (O, I, kh, kw) to mix channels")
    if empty:
        raise ShapeError(f"kernel has shape {shape}, without a single tap; it needs at least one in each axis")


def normalise(
    shape: tuple[int, ...],
    image_dtype: str,
    default_float: str | None,
    kernel: KernelSpec,
    *,
    padding: Any = "valid",
    boundary: Any = "constant",
    fill: Any = 0.0,
    anchor: Any = None,
    stride: Any = 1,
    dilation: Any = 1,
    channel_axis: Any = None,
    dtype: Any = None,
    turned: bool = False,
    device: str | None = None,
) -> Problem:
    """Make a `Problem` of the caller's words.

    `turned` says that the kernel was turned by 180 degrees (convolution): default anchor and
    the uneven half of ``"same"`` padding are turned with it. `default_float` is the type that
    the caller's library gives to results of integer images. `device` is that of a tensor.

    Raises
    ------
    ShapeError, OptionError, DTypeError
    """
    kernel_size = kernel.weights.shape[-2:]
    channels = kernel.weights.shape[:2] if kernel.weights.ndim == 4 else None
    lead, size, axis = image_axes(shape, channels, channel_axis)
    pads, boundary, fill, stride, dilation = read_window(
        kernel_size, kernel.anchor, padding, boundary, fill, anchor, stride, dilation, turned
    )  # fmt: skip
    is_complex = kernel.weights.dtype.kind == "c" or isinstance(kernel.bias, complex) and kernel.bias.imag != 0
    out_dtype = result_dtype(image_dtype, default_float, is_complex, fill, dtype)
    same = isinstance(padding, str) and padding == "same"
    hint = "padding='same' or a smaller kernel"
    if len(shape) == 3 and shape[-1] <= 4 and channel_axis is None and not channels:
        hint += ", or channel_axis=-1 if the image is (H, W, channels)"
    out_size = tuple(
        out_length(n, k, p, s, d, name, same, hint)
        for n, k, p, s, d, name in zip(size, kernel_size, pads, stride, dilation, ("rows", "columns"), strict=True)
    )
    for k, d, most, name in zip(kernel_size, dilation, MAX_REACH, ("row", "column"), strict=True):
        if (k - 1) * d >= most:
            raise ShapeError(
                f"the kernel reaches over {(k - 1) * d + 1} {name}s, more than {most}; "
                f"apply its {name}s one at a time, each to the part of the image that it meets, and add up the results"
            )
    problem = Problem(
        tuple(shape), lead, size, kernel_size, channels, axis, pads, boundary, fill, stride, dilation,
        complex(kernel.bias), image_dtype, out_dtype, out_size, tensor=device is not None, device=device or "cpu",
    )  # fmt: skip
    if boundary is not Boundary.CONSTANT and 0 in size and problem.outputs:
        raise ShapeError(f"image has shape {tuple(shape)}, so there is no pixel for boundary={boundary.name.lower()!r} to extend")
    return problem


def read_window(kernel_size, kernel_anchor, padding, boundary, fill, anchor, stride, dilation, turned):
    """(pads, boundary, fill, stride, dilation): what does not depend on the image."""
    stride, dilation = _pair("stride", stride, 1), _pair("dilation", dilation, 1)
    boundary, fill = parse_boundary(boundary), _number("fill", fill)
    if anchor is not None:
        anchor = _anchor(anchor, kernel_size, padding)
        if turned:
            anchor = tuple(k - 1 - a for k, a in zip(kernel_size, anchor, strict=True))
    elif isinstance(padding, str) and padding == "same":
        anchor = kernel_anchor  # turned with its kernel
    return _padding(padding, anchor, kernel_size, dilation, turned), boundary, fill, stride, dilation


def image_axes(shape, channels, channel_axis):
    """(lead, size, channel axis from the end) of an image of this shape."""
    ndim = len(shape)
    if ndim < 2:
        raise ShapeError(f"image has shape {shape}; it needs at least two axes, (H, W)")
    if ndim > MAX_AXES:
        raise ShapeError(f"image has {ndim} axes; at most {MAX_AXES} are supported, reshape the leading ones into one")
    if channel_axis is None:
        axis = None
        if channels and ndim < 3:
            raise ShapeError(
                f"a kernel of shape (O, I, kh, kw) mixes I = {channels[1]} channels and the image has shape {shape}; "
                "it needs (..., I, H, W), or channel_axis= to say where they are"
            )
        canonical = shape
    else:
        axis = _integer("channel_axis", channel_axis)
        if ndim < 3:
            raise ShapeError(f"channel_axis={axis} was given and the image has shape {shape}: two axes, none to spare for channels")
        if not -ndim <= axis < ndim:
            raise OptionError(f"channel_axis={axis} is out of range for an image of shape {shape}; use {-ndim} to {ndim - 1}")
        axis = axis if axis < 0 else axis - ndim
        rest = list(shape)
        moved = rest.pop(axis)
        canonical = tuple(rest[:-2]) + (moved,) + tuple(rest[-2:])
        if axis == -3:
            axis = None  # already in place
    if channels:
        if canonical[-3] != channels[1]:
            raise ShapeError(
                f"the kernel mixes I = {channels[1]} channels and the image, of shape {shape}, has {canonical[-3]}"
                + (" along its third axis from the end; name another with channel_axis=" if channel_axis is None else "")
            )
        return canonical[:-3], canonical[-2:], axis
    return canonical[:-2], canonical[-2:], axis


def _anchor(anchor, kernel_size, padding) -> Pair:
    if not (isinstance(padding, str) and padding == "same"):
        raise OptionError(f"anchor={anchor!r} was given with padding={padding!r}; only padding='same' takes an anchor")
    anchor = _pair("anchor", anchor, 0)
    for a, k, name in zip(anchor, kernel_size, ("row", "column"), strict=True):
        if a >= k:
            raise OptionError(f"anchor={anchor}: the {name} must be from 0 to {k - 1} for a kernel of shape {tuple(kernel_size)}")
    return anchor


def _padding(padding, anchor, kernel_size, dilation, turned) -> tuple[Pair, Pair]:
    spans = [(k - 1) * d for k, d in zip(kernel_size, dilation, strict=True)]
    if anchor is not None:
        return tuple((a * d, span - a * d) for a, d, span in zip(anchor, dilation, spans, strict=True))
    if isinstance(padding, str):
        if padding == "valid":
            return ((0, 0), (0, 0))
        if padding == "full":
            return tuple((span, span) for span in spans)
        if padding == "same":  # PyTorch's halves: the smaller one first
            halves = [(span // 2, span - span // 2) for span in spans]
            return tuple(pair[::-1] if turned else pair for pair in halves)
        raise OptionError(f"padding={padding!r} is not known; {_PADDINGS}")
    if padding is None or isinstance(padding, (bytes, set, dict)):
        raise OptionError(f"padding={padding!r} is not understood; {_PADDINGS}")
    try:
        if not hasattr(padding, "__len__"):
            p = _count("padding", padding)
            return ((p, p), (p, p))
        rows, columns = padding
        if not hasattr(rows, "__len__") and not hasattr(columns, "__len__"):
            y, x = _count("padding", rows), _count("padding", columns)
            return ((y, y), (x, x))
        (top, bottom), (left, right) = rows, columns
        return (
            (_count("padding", top), _count("padding", bottom)),
            (_count("padding", left), _count("padding", right)),
        )
    except (TypeError, ValueError) as error:
        if isinstance(error, OptionError):
            raise
        raise OptionError(f"padding={padding!r} is not understood; {_PADDINGS}") from None


_PADDINGS = "use 'valid', 'same', 'full', an integer, (py, px) or ((top, bottom), (left, right))"


def out_length(n, k, pads, s, d, name, same, hint) -> int:
    if same and n == 0:
        return 0
    padded, reach = n + sum(pads), (k - 1) * d + 1
    if reach > padded:
        padding = f" + {sum(pads)} of padding" if sum(pads) else ""
        raise ShapeError(
            f"the kernel does not fit: it reaches over {reach} {name} and the image has {n}{padding}; use {hint}"
        )
    return (padded - reach) // s + 1


def result_dtype(image_dtype: str, default_float: str | None, is_complex: bool, fill: complex, dtype: Any) -> str:
    """The contract's type of the result; `is_complex` tells of the kernel and its bias."""
    out_dtype = _result_dtype(image_dtype, default_float, is_complex, dtype)
    if fill.imag and not out_dtype.startswith("complex"):
        raise OptionError(f"fill={fill} is complex and the result is {out_dtype}; use a real fill")
    return out_dtype


def _result_dtype(image_dtype, default_float, is_complex, dtype) -> str:
    if image_dtype.startswith("complex"):
        natural = image_dtype
    elif default_float and (image_dtype == "bool" or image_dtype in _LARGEST):
        natural = default_float
    else:
        natural = "float32" if image_dtype in _SINGLE else "float64"
    if is_complex and not natural.startswith("complex"):
        natural = "complex128" if natural == "float64" else "complex64"
    if dtype is None:
        return natural
    asked = _dtype_name(dtype)
    if natural.startswith("complex") and not asked.startswith("complex"):
        raise DTypeError(f"dtype={asked} cannot hold the complex result; use complex64 or complex128, or take .real of it")
    return asked


def _dtype_name(dtype: Any) -> str:
    name = str(dtype).removeprefix("torch.") if type(dtype).__module__ == "torch" else None
    if name is None:
        try:
            name = dtype if isinstance(dtype, str) and dtype == "bfloat16" else np.dtype(dtype).name
        except TypeError:
            raise DTypeError(f"dtype={dtype!r} is not a data type; use a name such as 'float64' or 'uint8'") from None
    if name == "bool":
        raise DTypeError("dtype='bool' is not a result type; compare the result instead, e.g. result != 0")
    if name not in IMAGE_DTYPES:
        raise DTypeError(f"dtype={name!r} is not a result type; use one of {', '.join(IMAGE_DTYPES[1:])}")
    return name


def _integer(name: str, value: Any) -> int:
    if isinstance(value, (bool, np.bool_)):
        raise OptionError(f"{name}={value!r}: a truth value is not an integer here; write the number")
    try:
        return operator.index(value)
    except TypeError:
        raise OptionError(f"{name}={value!r} is {type(value).__name__}; use an integer") from None


def _count(name: str, value: Any, least: int = 0) -> int:
    number = _integer(name, value)
    if number < least:
        raise OptionError(f"{name}={number}: it must be {least} or more")
    if number > 2**40:
        raise OptionError(f"{name}={number} is more than any image holds; use at most 2**40")
    return number


def _pair(name: str, value: Any, least: int) -> Pair:
    """An integer for both axes, or (y, x)."""
    if value is None or isinstance(value, (str, bytes)):
        raise OptionError(f"{name}={value!r}: use an integer or a pair (y, x)")
    if not hasattr(value, "__len__"):
        n = _count(name, value, least)
        return (n, n)
    if len(value) != 2:
        raise OptionError(f"{name}={value!r}: use an integer or a pair (y, x)")
    return (_count(name, value[0], least), _count(name, value[1], least))


def _number(name: str, value: Any) -> complex:
    if isinstance(value, (str, bytes)):
        raise OptionError(f"{name}={value!r} is text; use a number")
    try:
        if getattr(value, "ndim", 0):
            raise TypeError
        return complex(value)
    except (TypeError, ValueError, OverflowError):
        raise OptionError(f"{name}={value!r} is {type(value).__name__}; use a single number") from None


def turn(kernel: KernelSpec) -> KernelSpec:
    """The kernel turned by 180 degrees, its anchor with it."""
    weights = np.ascontiguousarray(kernel.weights[..., ::-1, ::-1])
    weights.flags.writeable = False
    anchor = kernel.anchor
    if anchor is not None:
        anchor = tuple(k - 1 - a for k, a in zip(weights.shape[-2:], anchor, strict=True))
    return replace(kernel, weights=weights, anchor=anchor)
