"""What the page sends, checked once: a kernel, and the options it is applied with."""

import math
from typing import Any

from .._errors import OptionError
from ..kernel import Kernel

__all__ = ["kernel_of", "options_of"]

_MOST_TAPS = 64  # a side; the page's grid ends at 15
_MOST_PADDING = 4096


def kernel_of(record: dict[str, Any]) -> Kernel:
    """The kernel in a request.

    Examples
    --------
    >>> kernel_of({"weights": [[1, -1]], "name": "chapter"})
    Kernel([[ 1., -1.]], name='chapter')
    """
    weights = record.get("weights")
    if not isinstance(weights, list) or not all(isinstance(row, list) for row in weights):
        raise OptionError("the request holds no kernel: weights must be a list of rows")
    if len(weights) > _MOST_TAPS or any(len(row) > _MOST_TAPS for row in weights):
        raise OptionError(f"a kernel of more than {_MOST_TAPS} taps a side; use the command line or Python")
    if not all(type(value) in (int, float) for row in weights for value in row):
        raise OptionError("a weight in the request is no number")
    anchor = record.get("anchor")
    return Kernel(weights, anchor=None if anchor is None else tuple(anchor), name=str(record.get("name") or "")[:200])


def options_of(record: dict[str, Any], *, channels: bool) -> dict[str, Any]:
    """Keyword arguments of `corr2d.corr2d`; what is out of range is its error to raise.

    Examples
    --------
    >>> options_of({"padding": "same", "boundary": "edge", "stride": 2}, channels=False)["stride"]
    2
    """
    padding = record.get("padding", "same")
    if padding not in ("valid", "same", "full") and not (type(padding) is int and 0 <= padding <= _MOST_PADDING):
        raise OptionError(f"padding {padding!r} is not valid, same, full or a number from 0 to {_MOST_PADDING}")
    fill = record.get("fill", 0.0)
    if type(fill) not in (int, float) or not math.isfinite(fill):
        raise OptionError(f"fill {fill!r} is no finite number")
    steps = {name: record.get(name, 1) for name in ("stride", "dilation")}
    for name, step in steps.items():
        if type(step) is not int or not 1 <= step <= 64:
            raise OptionError(f"{name} {step!r} is not a whole number from 1 to 64")
    return {
        "padding": padding,
        "boundary": str(record.get("boundary", "reflect")),
        "fill": fill,
        **steps,
        "channel_axis": -1 if channels else None,
    }
