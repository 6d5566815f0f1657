"""FFmpeg: whole numbers through its fast filter where they serve, an expression elsewhere.

``convolution`` takes whole numbers and a factor ``rdiv``. Versions 4.4 to 5.1 (at least)
read the factor and forget it: they divide by the sum of the weights, or by nothing where
that is 0. So the filter is used where the two agree, and in 5x5 where 3x3 would do, as
the last row and column of the 3x3 filter are wrong there too (both seen in 5.1.9).
Everything else is written as an expression for ``geq``, which is slow and has no limits.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .._errors import OptionError
from .request import Request, Target, comment, number

__all__ = ["FFMPEG", "whole_numbers"]

_LARGEST_SUM = (2**31 - 1) // 255  # of whole weights: ffmpeg adds up 8-bit samples in an int
_MOST_TAPS = 1024  # of an expression, which takes a second to read then
_LONGEST_SIDE = 64  # of one: sums nest, and ffmpeg's reader has a depth of about 90
_TRIED = 2**15  # denominators, from 1 on, and as many up to the largest possible
_EXACT = 4e-16  # fractions that are exact on paper are off by this much
_TOLERANCE = 0.01  # grey levels; a hundredth of what rounding the result costs


def whole_numbers(weights: NDArray[np.float64]) -> tuple[NDArray[np.int64], float]:
    """Whole numbers in the ratios of the weights, and the factor that makes weights of them.

    Of the denominators tried, the smallest error wins, and of equal ones the smallest
    denominator: ``weights`` of sevenths come back as their numerators.

    Examples
    --------
    >>> numerators, factor = whole_numbers(np.array([[1, 4, -2]]) / 7)
    >>> numerators.tolist(), round(1 / factor)
    ([[1, 4, -2]], 7)
    """
    largest = np.abs(weights).max()
    if not largest:
        return np.zeros(weights.shape, np.int64), 1.0
    ratios = weights / largest
    most = int(_LARGEST_SUM / np.abs(ratios).sum())
    found = [_best(ratios, range(1, min(most, _TRIED) + 1))]
    if found[0][0] > _EXACT:
        found.append(_best(ratios, range(max(1, most - _TRIED), most + 1)))
    best = min(found)[1]
    numerators = np.rint(ratios * best).astype(np.int64)
    return numerators, largest / best


def _best(ratios: NDArray[np.float64], candidates: range) -> tuple[float, int]:
    """The smallest largest error, and the first denominator that has it."""
    denominators = np.arange(candidates.start, candidates.stop)
    error = np.zeros(len(denominators))
    for ratio in np.unique(np.abs(ratios)):
        scaled = ratio * denominators
        np.maximum(error, np.abs(np.rint(scaled) - scaled), out=error)
    error /= denominators
    least = error.min()
    return float(least), int(denominators[np.argmax(error <= least + _EXACT)])


def _ffmpeg(request: Request) -> str:
    fast = _convolution(request) if request.boundary == "reflect" and request.bias >= 0 else None
    facts, filters = fast or _expression(request)
    request.warn_of_lost_signs()
    return f'{comment(facts, "# ")}ffmpeg -y -i in.png -vf "format=gbrp,{filters}" out.png\n'


def _convolution(request: Request) -> tuple[list[str], str] | None:
    weights = request.centred()
    high, wide = weights.shape
    if min(high, wide) == 1 and max(high, wide) <= 49:
        mode = "column" if wide == 1 < high else "row"
    elif max(high, wide) <= 7:
        mode, side = "square", 5 if max(high, wide) <= 5 else 7
        weights = np.pad(weights, (((side - high) // 2,) * 2, ((side - wide) // 2,) * 2))
    else:
        return None
    numerators, _ = whole_numbers(weights)
    total = int(numerators.sum())
    if total <= 0:  # edges: there, every version multiplies by 1
        numerators, total = np.rint(weights).astype(np.int64), 1
        if numerators.sum() or np.abs(weights).sum() > _LARGEST_SUM:
            return None
    factor = 1 / total
    error = 255 * float(np.abs(numerators * factor - weights).sum())
    if error > _TOLERANCE:
        return None
    facts = request.facts(
        orientation="correlation, the kernel as it is",
        anchor=f"the middle of {'x'.join(map(str, weights.shape))} (zeros around the kernel put it there)",
        divisor=f"{total} (rdiv={factor!r})",
        numbers=f"whole numbers, off by at most {error:.1g} grey levels in all; 8-bit RGB, results are cut to 0 to 255",
    )
    matrix = " ".join(map(str, numerators.ravel().tolist()))
    planes = ":".join(
        f"{plane}m='{matrix}':{plane}mode={mode}:{plane}rdiv={factor!r}:{plane}bias={number(request.bias)}" for plane in range(3)
    )
    return facts, f"convolution={planes}"


def _expression(request: Request) -> tuple[list[str], str]:
    taps = int(np.count_nonzero(request.weights))
    if taps > _MOST_TAPS or max(request.kernel.shape) > _LONGEST_SIDE:
        raise OptionError(
            f"ffmpeg takes this kernel as an expression only, of up to {_MOST_TAPS} weights and {_LONGEST_SIDE} a side; "
            f"it has {taps} in {' x '.join(map(str, request.kernel.shape))}: filter twice with smaller kernels"
        )
    facts = request.facts(
        orientation="correlation, the kernel as it is",
        numbers="double; 8-bit RGB, results are cut to 0 to 255; slow, as whole numbers and the filter "
        "'convolution' cannot do this in every version",
    )
    up, left = request.anchor

    def term(row: int, column: int, weight: float, plane: str) -> str:
        x, y = (_at(axis, offset, request.boundary) for axis, offset in (("X", column), ("Y", row)))
        tap = f"{number(weight)}*{plane}({x},{y})"
        if request.boundary == "constant":
            tap += "".join(f"*between({_shifted(axis, offset)},0,{'W' if axis == 'X' else 'H'}-1)"
                           for axis, offset in (("X", column), ("Y", row)) if offset)
        return tap

    def channel(plane: str) -> str:
        lines = (
            "+".join(term(i - up, j - left, weight, plane) for j, weight in enumerate(line) if weight)
            for i, line in enumerate(request.weights.tolist())
        )
        total = "+".join([*(f"({line})" for line in lines if line), number(request.bias)]).replace("+-", "-")
        return f"{plane}='clip(floor({total}+0.5),0,255)'"

    # "nearest": what lies between pixels is not asked for, and bilinear reading never reaches the last.
    return facts, f"geq={':'.join(map(channel, 'rgb'))}:interpolation=nearest"


def _shifted(axis: str, offset: int) -> str:
    return f"{axis}{offset:+d}" if offset else axis


def _at(axis: str, offset: int, boundary: str) -> str:
    """The coordinate of a tap, brought back into the image; geq itself stops at the edge."""
    here, size = _shifted(axis, offset), "W" if axis == "X" else "H"
    if not offset or boundary in ("edge", "constant"):
        return here
    if boundary == "wrap":
        return f"mod({here}+{abs(offset)}*{size},{size})"
    # Reflected once at the side that it can leave by; a picture narrower than that is an edge case
    # of geq, which stops there.
    if boundary == "reflect":
        return f"abs({here})" if offset < 0 else f"{size}-1-abs({size}-1-({here}))"
    return f"abs({here}+0.5)-0.5" if offset < 0 else f"{size}-0.5-abs({size}-0.5-({here}))"


FFMPEG = Target(
    _ffmpeg,
    {name: name for name in ("reflect", "edge", "symmetric", "wrap", "constant")},
)
