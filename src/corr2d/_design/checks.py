"""What every design asks of its arguments, and the note it leaves of them."""

from __future__ import annotations

import inspect
import math
import operator
from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from typing import Any

import numpy as np

from .._errors import OptionError, ShapeError
from ..kernel import Kernel

__all__ = ["LARGEST_SIDE", "along", "choice", "count", "designed", "finite", "odd", "pair", "positive", "radius_of", "side", "turned"]

LARGEST_SIDE = 4096  # taps; 128 MiB of weights, past which a request is a slip of the keyboard


def designed(make: Callable[..., Kernel]) -> Callable[..., Kernel]:
    """Let the kernels that *make* returns remember the call that made them."""
    signature = inspect.signature(make)

    @wraps(make)
    def remembering(*args: Any, **kwargs: Any) -> Kernel:
        kernel = make(*args, **kwargs)
        given = signature.bind(*args, **kwargs).arguments
        words = ", ".join(f"{name}={_plain(value)}" for name, value in given.items())
        return replace(kernel, source=f"corr2d.kernels.{make.__name__}({words})")

    return remembering


def _plain(value: Any) -> str:
    """The value as a program would write it: ``np.float64(2.0)`` is 2.0."""
    return repr(np.asarray(value).tolist()) if isinstance(value, np.generic | np.ndarray) else repr(value)


def pair(name: str, value: Any) -> tuple[Any, Any]:
    """*value* for both axes, or one for each."""
    if isinstance(value, str):
        raise OptionError(f"{name}={value!r} is text; give a number or a pair of numbers (y, x)")
    if np.ndim(value) == 0:
        return value, value
    try:
        y, x = value
    except (TypeError, ValueError):
        raise OptionError(f"{name}={value!r} is neither one number nor a pair (y, x)") from None
    return y, x


def finite(name: str, value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise OptionError(f"{name}={value!r} is not a number") from None
    if not math.isfinite(number):
        raise OptionError(f"{name}={value!r} is not finite")
    return number


def positive(name: str, value: Any) -> float:
    number = finite(name, value)
    if number <= 0:
        raise OptionError(f"{name}={value!r} must be above 0")
    return number


def count(name: str, value: Any, *, lowest: int) -> int:
    try:
        number = operator.index(value)
    except TypeError:
        raise OptionError(f"{name}={value!r} is not a whole number") from None
    if number < lowest:
        raise OptionError(f"{name}={value!r} must be {lowest} or more")
    return number


def side(name: str, value: Any) -> int:
    taps = count(name, value, lowest=1)
    if taps > LARGEST_SIDE:
        raise ShapeError(f"{name}={taps} is above {LARGEST_SIDE} taps, the most a preset makes")
    return taps


def odd(name: str, value: Any, *, why: str) -> int:
    """A side that has a middle tap."""
    taps = side(name, value)
    if taps % 2 == 0:
        raise OptionError(f"{name}={taps} is even, so no tap lies in the middle, and {why}; use {taps - 1} or {taps + 1}")
    return taps


def radius_of(extent: float, made_of: str) -> int:
    """*extent* rounded to whole pixels, as a radius that is not too large to be meant."""
    if not 2 * (extent + 0.5) - 1 <= LARGEST_SIDE:
        raise OptionError(
            f"{made_of} make a kernel of more than {LARGEST_SIDE} taps a side; "
            "shrink the image first, or filter twice"
        )
    return int(extent + 0.5)


def choice(name: str, value: Any, known: Any) -> Any:
    """One of the words in *known*; upper and lower case are the same."""
    words = {word.lower(): word for word in known}
    found = words.get(value.lower()) if isinstance(value, str) else None
    if found is None:
        raise OptionError(f"{name}={value!r} is not known; choose {', '.join(words.values())}")
    return found


def along(axis: Any, along_x: Any, name: str) -> Kernel:
    """The operator that is written for x, for the axis asked for."""
    if axis == 1:
        return Kernel(along_x, name=f"{name}-x")
    if axis == 0:
        return Kernel(np.transpose(along_x), name=f"{name}-y")
    raise OptionError(f"axis={axis!r} is not an image axis; 1 is x (along a row), 0 is y")


def turned(degrees: float) -> tuple[float, float]:
    """Sine and cosine of an angle in degrees, exact in the eight main directions."""
    quarters, rest = divmod(degrees, 90.0)
    if rest == 45:
        sine = cosine = math.sqrt(0.5)
    elif rest > 45:  # the smaller angle, so that mirror images get mirrored numbers
        sine, cosine = math.cos(math.radians(90 - rest)), math.sin(math.radians(90 - rest))
    else:
        sine, cosine = math.sin(math.radians(rest)), math.cos(math.radians(rest))
    for _ in range(int(quarters) % 4):
        sine, cosine = cosine, -sine
    return sine, cosine
