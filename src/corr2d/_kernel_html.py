"""How a kernel looks in a notebook: a table with its signs in colour, no script.

Inline styles only, so that the picture survives nbconvert, GitHub and mail.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from .kernel import Kernel

__all__ = ["table"]

_LARGEST_PRINTED = 9  # taps a side; beyond, numbers no longer fit and colour alone remains
_LARGEST_DRAWN = 41  # taps a side; beyond, the centre is shown
_POSITIVE, _NEGATIVE = "196,78,20", "30,100,180"  # orange and blue: safe for colour-blind readers


def table(kernel: Kernel) -> str:
    """HTML for one kernel: caption, and the weights where there are two axes.

    Examples
    --------
    >>> from corr2d.kernel import Kernel
    >>> "<script" in table(Kernel([[1, -1]]))
    False
    """
    facts = [f"{'×'.join(map(str, kernel.shape))} {kernel.dtype}", f"sum {kernel.weights.sum():.6g}"]
    if kernel.bias:
        facts.append(f"bias {kernel.bias:.6g}")
    if kernel.anchor is not None:
        facts.append(f"anchor {kernel.anchor}")
    weights, row, column = kernel.weights, *(kernel.anchor or (-1, -1))
    if kernel.ndim == 4:
        weights = np.empty((0, 0))  # O·I tables would say less than the line above them
    elif max(kernel.shape) > _LARGEST_DRAWN:
        (top, bottom), (left, right) = (_middle(side) for side in kernel.shape)
        weights, row, column = weights[top:bottom, left:right], row - top, column - left
        facts.append(f"rows {top}–{bottom - 1} and columns {left}–{right - 1} shown")
    name = f"<b>{escape(kernel.name)}</b> · " if kernel.name else ""
    return (
        '<table style="border-collapse:collapse;border:0">'
        '<caption style="caption-side:top;text-align:left;padding:2px 0;white-space:nowrap">'
        f"{name}{escape(' · '.join(facts))}</caption>{_rows(weights, (row, column))}</table>"
    )


def _rows(weights: NDArray[Any], anchor: tuple[int, int]) -> str:
    printed = max(weights.shape) <= _LARGEST_PRINTED
    strongest = np.abs(weights).max(initial=0.0) or 1.0
    size = "padding:3px 8px" if printed else "padding:0;width:9px;height:9px"
    rows = []
    for y, line in enumerate(weights):
        cells = []
        for x, weight in enumerate(line):
            hue = _NEGATIVE if weight.real < 0 else _POSITIVE
            edge = "outline:2px solid currentColor;outline-offset:-2px;" if (y, x) == anchor else ""
            style = f"background:rgba({hue},{0.7 * abs(weight) / strongest:.3f});{edge}text-align:right;{size}"
            text = f"{weight:.4g}"
            cells.append(f'<td style="{style}" title="[{y}, {x}] = {text}">{text if printed else ""}</td>')
        rows.append(f'<tr style="background:none">{"".join(cells)}</tr>')
    return "".join(rows)


def _middle(side: int) -> tuple[int, int]:
    start = max(0, (side - _LARGEST_DRAWN) // 2)
    return start, min(side, start + _LARGEST_DRAWN)
