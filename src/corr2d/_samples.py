"""A filtered result in the sample type of a file, never silently.

What a filter makes of integers is neither integral nor within their range. How
it is brought back depends on what the kernel means. A kernel whose weights sum
to zero answers "how much does it change here?", and zero deserves to be grey.
Any other makes an image again, and what is brighter than white is white.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._errors import OptionError
from .kernel import Kernel

__all__ = ["Fitted", "fit", "grey", "is_zero_gain", "largest_magnitude", "mid_grey", "remark", "surely_fits"]

_BLOCK = 2**20  # samples converted at a time: the float64 scratch stays at 8 MiB


@dataclass(frozen=True, eq=False)
class Fitted:
    """Samples as they go into the file, ``round(scale * result + offset)``, saturated."""

    samples: NDArray[Any]
    scale: float = 1.0
    offset: float = 0.0
    saturated: int = 0  # pixels with at least one channel outside the type's range
    undefined: int = 0  # NaN samples, written as 0
    note: str = ""  # one line for a person; empty where nothing needs saying


def _share(part: int, whole: int) -> str:
    """Per cent with two figures, 100 as such."""
    percent = 100 * part / whole
    return f"{percent:.0f}" if percent >= 9.95 else f"{percent:.2g}"


def is_zero_gain(kernel: Kernel) -> bool:
    """Whether a flat image becomes zero: edges and derivatives, whatever their rounding.

    A bias puts zero where its owner wants it, so such a kernel is not among them.

    Examples
    --------
    >>> is_zero_gain(Kernel([[0.1, 0.2, -0.3]])), is_zero_gain(Kernel([[1, 1]]))
    (True, False)
    """
    axes = (-1, -2) if kernel.ndim == 2 else (1, 2, 3)
    gains, sizes = np.abs(kernel.weights.sum(axis=axes)), np.abs(kernel.weights).sum(axis=axes)
    return bool(np.any(sizes > 0) and np.all(gains <= 1e-9 * sizes) and not kernel.bias)


def mid_grey(dtype: np.dtype[Any]) -> int:
    """The middle of an integer type's range, rounded up: 128, 32768; 0 if signed.

    Examples
    --------
    >>> mid_grey(np.dtype("uint8"))
    128
    """
    limits = np.iinfo(dtype)
    return (int(limits.min) + int(limits.max) + 1) // 2


def fit(
    result: NDArray[Any],
    dtype: np.dtype[Any],
    *,
    zero_gain: bool,
    scale: float | None = None,
    offset: float | None = None,
    clip: bool = False,
) -> Fitted:
    """Bring *result* into *dtype*.

    Parameters
    ----------
    result
        Floating-point samples, ``(H, W)`` or ``(H, W, C)``.
    dtype
        Target. Floats hold everything: they are scaled only where asked.
    zero_gain
        Whether to show an integer result around mid-grey, scaled so that its
        largest magnitude just fits.
    scale, offset
        Given either, the result is ``scale * result + offset``, saturated.
    clip
        Saturate the values themselves, whatever the kernel.

    Examples
    --------
    >>> edges = fit(np.array([[-510.0, 0.0, 255.0]]), np.dtype("uint8"), zero_gain=True)
    >>> edges.samples, edges.note
    (array([[  1, 128, 192]], dtype=uint8), 'a zero-gain kernel: shown as 128 + 0.249 x value')
    """
    if result.dtype.kind == "c" and dtype.kind != "c":
        raise OptionError(f"the result is complex and {dtype} is not; write .npy without --dtype")
    asked = scale is not None or offset is not None
    scale, offset = 1.0 if scale is None else scale, 0.0 if offset is None else offset
    if dtype.kind not in "iu":
        samples = result * scale + offset if asked else result
        return Fitted(samples.astype(dtype, copy=False), scale, offset)
    shown = ""
    if zero_gain and not asked and not clip:
        scale, offset, shown = grey(largest_magnitude(result), dtype)
    samples, saturated, undefined = _rounded(result, dtype, scale, offset)
    note = remark(dtype, saturated, undefined, result.shape[0] * result.shape[1], shown)
    return Fitted(samples, scale, offset, saturated, undefined, note)


def grey(peak: float, dtype: np.dtype[Any]) -> tuple[float, float, str]:
    """(scale, offset, what to say) with which a zero-gain result of this peak is shown around mid-grey."""
    offset = float(mid_grey(dtype))
    room = np.iinfo(dtype).max - offset
    # A signed type holds negative values as they are, as long as they fit.
    scale = 1.0 if peak == 0 or (dtype.kind == "i" and peak <= room) else room / peak
    if not offset and scale == 1.0:
        return scale, offset, ""
    shown = f"{offset:.0f} + {scale:.3g} x value" if offset else f"{scale:.3g} x value"
    return scale, offset, f"a zero-gain kernel: shown as {shown}"


def remark(dtype: np.dtype[Any], saturated: int, undefined: int, pixels: int, shown: str = "") -> str:
    """The line for a person: what did not fit, else how it is shown."""
    note = shown
    if saturated:
        note = (
            f"{saturated} of {pixels} pixels ({_share(saturated, pixels)} %) do not fit "
            f"{dtype} and saturate"
        )
    if undefined:
        note = f"{note}{', ' if note else ''}{undefined} samples are NaN and become 0"
    return note


def surely_fits(kernel: Kernel, source: np.dtype[Any], target: np.dtype[Any], fill: float = 0.0) -> bool:
    """Whether no image of this type can give a result outside the target's range, rounding included.

    Examples
    --------
    >>> byte = np.dtype("uint8")
    >>> surely_fits(Kernel([[0.5, 0.5]]), byte, byte), surely_fits(Kernel([[-1, 3, -1]]), byte, byte)
    (True, False)
    """
    if source.kind not in "iu" or target.kind not in "iu" or np.iscomplexobj(kernel.weights):
        return False
    axes = (-1, -2) if kernel.ndim == 2 else (1, 2, 3)
    rises, falls = (np.abs(kernel.weights.clip(*bounds)).sum(axis=axes) for bounds in ((0, None), (None, 0)))
    least, most = min(np.iinfo(source).min, fill), max(np.iinfo(source).max, fill)
    slack = 0.25  # of a step; far more than the rounding of sums below 2**16
    low = np.min(rises * least - falls * most) + kernel.bias.real
    high = np.max(rises * most - falls * least) + kernel.bias.real
    limits = np.iinfo(target)
    return bool(limits.max < 2**16 and low > limits.min - slack and high < limits.max + slack and np.isreal(kernel.bias))


def _rounded(
    result: NDArray[Any], dtype: np.dtype[Any], scale: float, offset: float
) -> tuple[NDArray[Any], int, int]:
    """Scale, round half to even and saturate, block by block; count what did not fit."""
    limits = np.iinfo(dtype)
    lowest, highest = float(limits.min), float(limits.max)
    if int(highest) > limits.max:  # 2⁶³ - 1 as float64 is 2⁶³, one too many
        highest = float(np.nextafter(highest, 0))
    samples = np.empty(result.shape, dtype)
    saturated = undefined = 0
    for rows in _blocks(result):
        block = result[rows].astype(np.float64)
        if (scale, offset) != (1.0, 0.0):
            block *= scale
            block += offset
        np.rint(block, out=block)
        outside = (block < lowest) | (block > highest)
        if outside.any():
            saturated += int(outside.reshape(*outside.shape[:2], -1).any(axis=-1).sum())
            np.clip(block, lowest, highest, out=block)
        nan = np.isnan(block)
        if nan.any():
            undefined += int(nan.sum())
            block[nan] = 0.0
        samples[rows] = block
    return samples, saturated, undefined


def largest_magnitude(result: NDArray[Any]) -> float:
    """Over finite samples; infinities saturate, whatever the scale."""
    peak = 0.0
    for rows in _blocks(result):
        magnitude = np.abs(result[rows])
        peak = max(peak, float(magnitude.max(initial=0.0, where=np.isfinite(magnitude))))
    return peak


def _blocks(result: NDArray[Any]) -> list[slice]:
    step = max(1, _BLOCK * result.shape[0] // max(1, result.size))
    return [slice(start, start + step) for start in range(0, result.shape[0], step)]
