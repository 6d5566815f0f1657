"""FFmpeg: whole numbers through its fast filter where they serve, an expression elsewhere.

``convolution`` takes whole numbers and a factor ``rdiv``. Versions 4.4 to 5.1 (at least)
read the factor and forget it: they divide by the sum of the weights, or by nothing where
that is 0. So the filter is used where the two agree, and in 5x5 where 3x3 would do, as
the last row and column of the 3x3 filter are wrong there too (both seen in 5.1.9).
Large Gaussians and other products of a column and a row go through it twice. Everything
else is written as an expression for ``geq``, which is exact and slow.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .._errors import OptionError
from .request import Request, Target, comment, number

__all__ = ["FFMPEG", "whole_numbers"]

_LARGEST_SUM = (2**31 - 1) // 255  # of whole weights: ffmpeg adds up 8-bit samples in an int
_LONGEST_LINE = 49  # weights of a row or column
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
    fast = request.boundary == "reflect" and request.bias >= 0
    facts, filters = (fast and (_convolution(request) or _two_convolutions(request))) or _expression(request)
    request.warn_of_lost_signs()
    return f'{comment(facts, "# ")}ffmpeg -y -i in.png -vf "format=gbrp,{filters}" out.png\n'


def _convolution(request: Request) -> tuple[list[str], str] | None:
    """One pass, where the weights are few enough."""
    weights = request.centred()
    high, wide = weights.shape
    if min(high, wide) == 1 and max(high, wide) <= _LONGEST_LINE:
        mode = "column" if wide == 1 < high else "row"
    elif max(high, wide) <= 7:
        mode, side = "square", 5 if max(high, wide) <= 5 else 7
        weights = np.pad(weights, (((side - high) // 2,) * 2, ((side - wide) // 2,) * 2))
    else:
        return None
    found = _by_its_sum(weights)
    if found is None:
        return None
    numerators, divisor, error = found
    facts = _facts(request, "x".join(map(str, weights.shape)), f"{divisor} (rdiv={1 / divisor!r})", error)
    return facts, _filter(numerators, divisor, mode, request.bias)


def _two_convolutions(request: Request) -> tuple[list[str], str] | None:
    """Columns, then rows, where that is the same: a Gaussian too large for one pass."""
    weights = request.centred()
    column, row = weights.sum(axis=1, keepdims=True), weights.sum(axis=0, keepdims=True)
    # Of positive weights that sum to 1, whose first pass leaves the 8 bits of a sample neither way.
    if weights.min() < 0 or max(weights.shape) > _LONGEST_LINE or np.abs(column * row - weights).max() > 1e-12:
        return None
    found = _by_its_sum(column), _by_its_sum(row)
    if found[0] is None or found[1] is None:
        return None
    (high, rows, error_y), (wide, columns, error_x) = found
    divisor = f"{rows} (rdiv={1 / rows!r}), then {columns} (rdiv={1 / columns!r})"
    facts = _facts(request, f"{len(column)} rows, then {row.size} columns", divisor, error_y + error_x)
    request.notes.append("ffmpeg rounds to 8 bits between two passes: results may be off by one grey level")
    return facts, f"{_filter(high, rows, 'column', 0)},{_filter(wide, columns, 'row', request.bias)}"


def _by_its_sum(weights: NDArray[np.float64]) -> tuple[NDArray[np.int64], int, float] | None:
    """Whole numbers that serve in every version, what these divide them by, and the error in grey levels."""
    numerators, _ = whole_numbers(weights)
    divisor = int(numerators.sum())
    if divisor <= 0:  # edges: there, every version multiplies by 1
        numerators, divisor = np.rint(weights).astype(np.int64), 1
        if numerators.sum() or np.abs(weights).sum() > _LARGEST_SUM:
            return None
    error = 255 * float(np.abs(numerators / divisor - weights).sum())
    return (numerators, divisor, error) if error <= _TOLERANCE else None


def _facts(request: Request, middle: str, divisor: str, error: float) -> list[str]:
    return request.facts(
        orientation="correlation, the kernel as it is",
        anchor=f"the middle of {middle} (zeros around the kernel put it there)",
        divisor=divisor,
        numbers=f"whole numbers, off by at most {error:.1g} grey levels in all; 8-bit RGB, results are cut to 0 to 255",
    )


def _filter(numerators: NDArray[np.int64], divisor: int, mode: str, bias: float) -> str:
    matrix = " ".join(map(str, numerators.ravel().tolist()))
    planes = (f"{n}m='{matrix}':{n}mode={mode}:{n}rdiv={1 / divisor!r}:{n}bias={number(bias)}" for n in range(3))
    return f"convolution={':'.join(planes)}"


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
