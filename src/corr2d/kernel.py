"""A kernel that knows where its anchor is, what it adds, and what it is called.

Every function of this package takes a plain array where it takes a `Kernel`.
What a `Kernel` adds is what an array loses on the way: the tap that lies on the
output pixel, a constant that is added to the result, a name; and an algebra in
which filtering twice, scaling and turning are again kernels.
"""

import math
import operator
import os
from dataclasses import dataclass, field, replace
from functools import partial
from numbers import Complex, Real
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from . import _kernel_html
from ._errors import DTypeError, OptionError, ShapeError
from ._files import one_line, replacing

if TYPE_CHECKING:
    from .export import Export

__all__ = ["Kernel"]

_LONGEST_SOURCE = 300  # characters


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Kernel:
    """Weights in correlation orientation, with an anchor, a bias and a name.

    Parameters
    ----------
    weights : array_like
        ``(kh, kw)``, or ``(O, I, kh, kw)`` to mix ``I`` channels into ``O``.
        Held as float64, or complex128 where the input is complex, and read-only.
        From another `Kernel`, anchor, bias and name are taken over where they
        are left at their defaults here.
    anchor : (int, int), optional
        Row and column, from 0, of the tap that lies on the output pixel under
        ``padding="same"``. ``None`` leaves the choice to the filter:
        ``((kh - 1) // 2, (kw - 1) // 2)``.
    bias : float, default 0.0
        Added to every output sample.
    name : str, default ""
        A label. It takes no part in comparisons, and kernels made from this one
        are not called the same.
    source : str, default ""
        Where the weights come from: the call that designed them, or a note of yours.
        Kept in files and carried through the algebra; it takes no part in comparisons.

    Attributes
    ----------
    T, shape, ndim, dtype
        As for arrays; `T` swaps the last two axes only.

    Raises
    ------
    ShapeError
        The weights are empty, ragged, or have neither 2 nor 4 axes.
    DTypeError
        The weights, the bias or the name are of a type that cannot be used.
    OptionError
        A weight or the bias is not finite, or the anchor is outside the kernel.

    Notes
    -----
    Two kernels are equal when weights, dtype, bias and anchor are; an anchor of
    ``None`` equals the default tap written out.

    Examples
    --------
    >>> edges = Kernel([[1, -1]], name="chapter")
    >>> edges
    Kernel([[ 1., -1.]], name='chapter')
    >>> edges.T.shape
    (2, 1)
    >>> (2 * edges).weights
    array([[ 2., -2.]])
    >>> second_difference = edges @ edges
    >>> second_difference.weights
    array([[ 1., -2.,  1.]])
    """

    weights: NDArray[Any]
    anchor: tuple[int, int] | None = field(default=None, kw_only=True)
    bias: float | complex = field(default=0.0, kw_only=True)
    name: str = field(default="", kw_only=True)
    source: str = field(default="", kw_only=True)

    # NumPy's scalars and arrays then leave `np.float64(2) * kernel` to __rmul__.
    __array_priority__ = 1000

    def __post_init__(self) -> None:
        given = self.weights
        anchor, bias, name, source = self.anchor, self.bias, self.name, self.source
        if isinstance(given, Kernel):
            anchor = given.anchor if anchor is None else anchor
            bias = bias or given.bias
            name, source = name or given.name, source or given.source
        weights = _weights(given)
        # Bytes back the array: not even setflags(write=True) makes it writable.
        frozen = np.frombuffer(weights.tobytes(), weights.dtype).reshape(weights.shape)
        put = partial(object.__setattr__, self)
        put("weights", frozen)
        put("anchor", _anchor(anchor, weights.shape))
        put("bias", _bias(bias, weights.dtype))
        for label, text in (("name", name), ("source", source)):
            if not isinstance(text, str):
                raise DTypeError(f"a kernel's {label} is a str; got {type(text).__name__}")
            put(label, text)

    # -- as an array ---------------------------------------------------------

    @property
    def shape(self) -> tuple[int, ...]:
        return self.weights.shape

    @property
    def ndim(self) -> int:
        return self.weights.ndim

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.weights.dtype

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.array(self.weights, dtype=dtype, copy=copy)

    # -- turning -------------------------------------------------------------

    @property
    def T(self) -> "Kernel":  # noqa: N802 (NumPy's name)
        """The kernel for the transposed image: rows and columns swapped, anchor too.

        Examples
        --------
        >>> Kernel([[1, 2, 3]], anchor=(0, 2)).T.anchor
        (2, 0)
        """
        anchor = None if self.anchor is None else self.anchor[::-1]
        return replace(self, weights=self.weights.swapaxes(-1, -2), anchor=anchor, name="", source=self._derived("{}.T"))

    def flip(self) -> "Kernel":
        """The kernel turned by 180 degrees, its anchor with it.

        ``corr2d(image, k.flip())`` is ``convolve2d(image, k)`` for real kernels.
        The default tap of an even side is not its own mirror image, so such a
        kernel comes back with its anchor written out.

        Examples
        --------
        >>> Kernel([[1, 2, 3]], anchor=(0, 0)).flip().anchor
        (0, 2)
        >>> Kernel([[1, -1]]).flip()
        Kernel([[-1.,  1.]], anchor=(0, 1))
        """
        kh, kw = self.shape[-2:]
        row, column = self._tap
        turned = (kh - 1 - row, kw - 1 - column)
        anchor = None if self.anchor is None and turned == self._tap else turned
        return replace(self, weights=self.weights[..., ::-1, ::-1], anchor=anchor, name="", source=self._derived("{}.flip()"))

    # -- algebra -------------------------------------------------------------

    def __matmul__(self, other: object) -> "Kernel":
        """The one kernel equal to applying *other* and then *self*.

        As with matrices, the right-hand factor acts first. For outputs whose
        windows lie inside the image, ``corr2d(x, a @ b)`` equals
        ``corr2d(corr2d(x, b), a)``: with ``z[p] = sum_i a[i] y[p+i] + alpha`` and
        ``y[p] = sum_j b[j] x[p+j] + beta``, the taps at ``m = i + j`` add up, so
        the weights are the full *convolution* of the two, the anchors add, and
        the bias is ``beta * sum(a) + alpha``.
        """
        if not isinstance(other, Kernel):
            # NotImplemented would let NumPy multiply the weights as matrices.
            raise DTypeError(
                f"@ applies one Kernel after another; got {type(other).__name__}: wrap it in Kernel(...)"
            )
        taps = tuple(a + b for a, b in zip(self._tap, other._tap, strict=True))
        weights = _compose(self.weights, other.weights)
        # Two even kernels: their default taps do not add up to the default tap.
        implied = self.anchor is other.anchor is None and taps == _default_tap(weights.shape)
        return Kernel(
            weights,
            anchor=None if implied else taps,
            bias=_compose_bias(self, other),
            name=f"{self.name} @ {other.name}" if self.name and other.name else "",
            source=self._derived(f"{{}} @ {_bracketed(other.source)}") if other.source else "",
        )

    def __rmatmul__(self, other: object) -> "Kernel":
        return Kernel.__matmul__(self, other)  # only non-kernels come here, to be refused

    def __mul__(self, factor: object) -> "Kernel":
        if not isinstance(factor, Complex):
            return NotImplemented
        # Complex weights are conjugated when they are applied; the bias is not.
        bias = self.bias * (factor if isinstance(factor, Real) else np.conj(factor))
        with np.errstate(all="ignore"):  # the constructor refuses what is not finite
            return replace(self, weights=self.weights * factor, bias=bias, name="", source=self._derived(f"{factor!r} * {{}}"))

    __rmul__ = __mul__

    def __truediv__(self, divisor: object) -> "Kernel":
        if not isinstance(divisor, Complex):
            return NotImplemented
        if divisor == 0:
            raise ZeroDivisionError("a kernel was divided by zero")
        # Not `self * (1 / divisor)`: k / 9 must be the correctly rounded quotient.
        bias = self.bias / (divisor if isinstance(divisor, Real) else np.conj(divisor))
        with np.errstate(all="ignore"):
            return replace(self, weights=self.weights / divisor, bias=bias, name="", source=self._derived(f"{{}} / {divisor!r}"))

    def __neg__(self) -> "Kernel":
        return replace(self, weights=-self.weights, bias=-self.bias, name="", source=self._derived("-{}"))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Kernel):
            return NotImplemented
        return self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> tuple[Any, ...]:
        # Adding 0.0 turns -0.0, which equals 0.0, into the same bytes.
        weights = (self.weights + 0.0).tobytes()
        return self.shape, self.dtype.str, weights, self._tap, self.bias

    def _derived(self, how: str) -> str:
        """The source of a kernel that is made from this one; nothing where it would become a story."""
        source = how.format(_bracketed(self.source))
        return source if self.source and len(source) <= _LONGEST_SOURCE else ""

    @property
    def _tap(self) -> tuple[int, int]:
        return _default_tap(self.shape) if self.anchor is None else self.anchor

    # -- files ---------------------------------------------------------------

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the kernel as JSON that `load` reads back bit for bit.

        Floats are written in their shortest form that reads back the same
        (``repr``), so the file is exact and still fit for reading.

        Examples
        --------
        >>> import tempfile, pathlib
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "third.json"
        >>> third = Kernel([[1 / 3]], bias=0.1, name="third")
        >>> third.save(path)
        >>> Kernel.load(path) == third
        True
        """
        from ._kernel_files import to_json

        with replacing(path) as file:
            file.write(to_json(self).encode())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Kernel":
        """Read a kernel from a file of ours or another program's.

        Nothing in the file is executed, and a file that is no kernel is refused.

        Parameters
        ----------
        path : str or path
            What `save` writes; ``.npy`` and ``.npz`` with one array; rows of numbers
            (CSV, ImageJ's kernel text); a vips matrix; OpenCV FileStorage (YAML, XML,
            JSON) with one matrix; and the commands that `export` writes for
            ImageMagick, FFmpeg and ImageJ, or such a string itself: ImageMagick's
            ``"3x3: 1,2,3 0,5,-4 -6,0,7"``, FFmpeg's ``"convolution=0m='…'"``.

        Returns
        -------
        Kernel
            In correlation orientation: what the program turns round or divides by its
            sum is turned and divided here. A syntax that centres its kernels gives the
            kernel with the zeros that put it there. A bias in percent
            (ImageMagick) counts as grey levels of 0 to 255.

        Raises
        ------
        OSError
            The file cannot be opened.
        OptionError
            The file holds something other than one kernel.

        Examples
        --------
        >>> import tempfile, pathlib
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "edge.json"
        >>> Kernel([[1, -1]], anchor=(0, 1)).save(path)
        >>> Kernel.load(path)
        Kernel([[ 1., -1.]], anchor=(0, 1))
        >>> Kernel.load("2x1+0+0: 1,-1")
        Kernel([[ 1., -1.]], anchor=(0, 0))
        """
        from ._kernel_files import read

        return read(path)

    def export(self, target: str, *, boundary: str | None = None, strict: bool = True) -> "Export":
        """Write the kernel in another tool's syntax; `corr2d.export.export` says more.

        Parameters
        ----------
        target : str
            ``numpy scipy opencv pytorch onnx imagemagick ffmpeg gegl vips svg glsl wgsl
            imagej matlab gmic c json``.
        boundary : str, optional
            What lies outside the image, in `corr2d.corr2d`'s words; default what the
            target does by default.
        strict : bool, default True
            Refuse what the target cannot express; False writes the nearest thing.

        Returns
        -------
        Export
            ``text`` (bytes for onnx), ``warnings``, ``exact``.

        Raises
        ------
        OptionError
            The target is unknown, or cannot express the kernel or the boundary.
        MissingExtraError
            ``onnx`` is asked for and not installed.

        Examples
        --------
        >>> print(Kernel([[1, -1]]).export("imagej"))
        // corr2d kernel, 1x2 (rows x columns), for imagej
        ...
        run("Convolve...", "text1=[0 1 -1\\n]");
        """
        from .export import export

        return export(self, target, boundary=boundary, strict=strict)

    # -- looking -------------------------------------------------------------

    def __repr__(self) -> str:
        parts = [np.array2string(self.weights, separator=", ", prefix="Kernel(")]
        if self.anchor is not None:
            parts.append(f"anchor={self.anchor}")
        if self.bias:
            parts.append(f"bias={self.bias!r}")
        if self.name:
            parts.append(f"name={self.name!r}")
        return f"Kernel({', '.join(parts)})"

    def _repr_html_(self) -> str:
        return _kernel_html.table(self)

    def plot(self, **options: Any) -> Any:
        """Draw the weights as a signed grid with their numbers; needs ``corr2d[plot]``.

        The options are those of `corr2d.plot.kernel`, which also says what comes back.

        Examples
        --------
        >>> figure = Kernel([[1, -1]]).plot()  # doctest: +SKIP
        """
        from . import plot

        return plot.kernel(self, **options)

    def __reduce__(self) -> tuple[Any, ...]:
        # Through the constructor, so that an unpickled kernel is read-only as well.
        rest = {"anchor": self.anchor, "bias": self.bias, "name": self.name, "source": self.source}
        return partial(Kernel, **rest), (np.array(self.weights),)


def _bracketed(source: str) -> str:
    """Safe to be part of a longer expression: a call is, a sum or a note is not."""
    depth, loose = 0, source.startswith("-")
    for char in source:
        depth += (char == "(") - (char == ")")
        loose |= char == " " and depth == 0
    return f"({source})" if loose else source


def _default_tap(shape: tuple[int, ...]) -> tuple[int, int]:
    return (shape[-2] - 1) // 2, (shape[-1] - 1) // 2


def _weights(given: Any) -> NDArray[Any]:
    """Validate *given* and convert it to float64 or complex128."""
    accepted = "a kernel is an array of numbers of shape (kh, kw) or (O, I, kh, kw)"
    if isinstance(given, str | bytes):
        raise DTypeError(
            f"a kernel cannot be the text {given!r}; {accepted}; "
            "text is read by corr2d.kernel_text.parse_kernel"
        )
    try:
        array = np.asarray(given)
    except ValueError:
        raise ShapeError(f"the kernel's rows differ in length; {accepted}") from None
    except (TypeError, RuntimeError) as error:  # e.g. a tensor on a GPU
        raise DTypeError(f"the kernel is no array: {one_line(error)}; {accepted}") from None
    if array.dtype.kind not in "biufc":
        raise DTypeError(f"kernel weights of dtype {array.dtype} are not numbers; {accepted}")
    if array.ndim == 1 and array.size:
        raise ShapeError(
            f"the kernel is 1-D with {array.size} taps, which does not say along which axis; "
            "write kernel[None, :] for a row or kernel[:, None] for a column"
        )
    if array.ndim not in (2, 4):
        raise ShapeError(f"the kernel has shape {array.shape}; {accepted}")
    if not array.size:
        raise ShapeError(f"the kernel is empty, its shape is {array.shape}; it needs at least one tap")
    with np.errstate(over="ignore"):  # a long double above 1.8e308 is caught as infinite
        array = array.astype(np.complex128 if array.dtype.kind == "c" else np.float64)
    if not np.isfinite(array).all():
        raise OptionError("the kernel holds NaN or infinity; every output would be NaN")
    return array


def _anchor(given: Any, shape: tuple[int, ...]) -> tuple[int, int] | None:
    if given is None:
        return None
    kh, kw = shape[-2:]
    accepted = f"anchor is (row, column) from (0, 0) to ({kh - 1}, {kw - 1}) for this kernel"
    try:
        row, column = (operator.index(number) for number in given)
    except (TypeError, ValueError):
        raise OptionError(f"anchor={given!r} is not a pair of integers; {accepted}") from None
    if not (0 <= row < kh and 0 <= column < kw):
        raise OptionError(f"anchor={(row, column)} is outside the kernel; {accepted}")
    return row, column


def _bias(given: Any, dtype: np.dtype[Any]) -> float | complex:
    if not isinstance(given, Complex):
        raise DTypeError(f"bias is one number; got {type(given).__name__}")
    if not isinstance(given, Real) and dtype.kind != "c":
        raise DTypeError(f"bias={given} is complex and the weights are real; make both complex")
    bias = float(given) if isinstance(given, Real) else complex(given)
    if not math.isfinite(abs(bias)):
        raise OptionError(f"bias={given} is not finite; it is added to every output")
    return bias


def _compose(a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
    """Full convolution over the last two axes, matrix product over channels."""
    ndim = max(a.ndim, b.ndim)
    a4, b4 = (k if k.ndim == 4 else k[None, None] for k in (a, b))
    mixes = a.ndim == b.ndim == 4
    if mixes and a4.shape[1] != b4.shape[0]:
        raise ShapeError(
            f"kernels of shapes {a.shape} @ {b.shape} do not follow each other: the right one "
            f"makes {b4.shape[0]} channels and the left one takes {a4.shape[1]}"
        )
    if not mixes and a4.size > b4.size:
        a4, b4 = b4, a4  # these commute, and the loop is over the taps of the first
    (ah, aw), (bh, bw) = a4.shape[2:], b4.shape[2:]
    channels = (a4.shape[0], b4.shape[1]) if mixes else np.broadcast_shapes(a4.shape[:2], b4.shape[:2])
    out = np.zeros((*channels, ah + bh - 1, aw + bw - 1), np.result_type(a, b))
    # Tap by tap and not by FFT: integer kernels compose to exact integers.
    for row, column in np.ndindex(ah, aw):
        tap = a4[:, :, row, column]
        window = out[:, :, row : row + bh, column : column + bw]
        window += np.einsum("om,mihw->oihw", tap, b4) if mixes else tap[:, :, None, None] * b4
    return out if ndim == 4 else out[0, 0]


def _compose_bias(a: Kernel, b: Kernel) -> float | complex:
    if not b.bias:
        return a.bias
    # The gain of each output channel of `a`; conjugated, as a constant image would be.
    gains = np.conj(a.weights).sum(axis=(-1, -2) if a.ndim == 2 else (1, 2, 3))
    if np.any(gains != gains.flat[0]):
        raise OptionError(
            f"the right kernel's bias {b.bias} would become a different bias in each output "
            "channel of the left one, and a Kernel has one; add it after filtering"
        )
    bias = gains.flat[0] * b.bias + a.bias
    return bias if a.dtype.kind == "c" or b.dtype.kind == "c" else float(bias)
