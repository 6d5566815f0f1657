"""The filter options of the command line: text where `corr2d.corr2d` takes numbers and tuples."""

import re
from dataclasses import dataclass
from typing import Annotated, Any

from cyclopts import Parameter

from .._errors import OptionError

__all__ = ["FilterOptions"]


@Parameter(name="*")
@dataclass(frozen=True)
class FilterOptions:
    """The options of `corr2d.corr2d`, as text where a number is not enough."""

    padding: Annotated[str, Parameter(allow_leading_hyphen=True)] = "same"
    """valid, same, full, P, PY,PX or TOP,BOTTOM,LEFT,RIGHT."""
    boundary: str = "reflect"
    """What lies outside the image: constant, edge, reflect, symmetric or wrap."""
    fill: float = 0.0
    """The pixel outside the image where the boundary is constant."""
    anchor: str | None = None
    """ROW,COLUMN of the tap that lies on the output pixel, from 0."""
    stride: str = "1"
    """Keep every n-th pixel: N or NY,NX."""
    dilation: str = "1"
    """Spread the taps n pixels apart: N or NY,NX."""
    method: str = "auto"
    """auto, or the name of a method; corr2d plan lists them."""
    threads: int | None = None
    """How many threads; default all cores this process may use."""

    def for_api(self, *, channels: bool) -> dict[str, Any]:
        """Keyword arguments for `corr2d.corr2d` and `corr2d.plan`."""
        return {
            "padding": _padding(self.padding),
            "boundary": self.boundary,
            "fill": self.fill,
            "anchor": None if self.anchor is None else _integers("anchor", self.anchor, (2,)),
            "stride": _one_or_two("stride", self.stride),
            "dilation": _one_or_two("dilation", self.dilation),
            "channel_axis": -1 if channels else None,
            "method": self.method,
            "threads": self.threads,
        }


def _padding(text: str) -> Any:
    if text in ("valid", "same", "full"):
        return text
    try:
        numbers = _integers("padding", text, (1, 2, 4))
    except OptionError:
        raise OptionError(
            f"padding {text!r} is not known; choose valid, same, full, P, PY,PX or TOP,BOTTOM,LEFT,RIGHT"
        ) from None
    if len(numbers) == 1:
        return numbers[0]
    return numbers if len(numbers) == 2 else (numbers[:2], numbers[2:])


def _one_or_two(name: str, text: str) -> int | tuple[int, ...]:
    numbers = _integers(name, text, (1, 2))
    return numbers[0] if len(numbers) == 1 else numbers


def _integers(name: str, text: str, counts: tuple[int, ...]) -> tuple[int, ...]:
    parts = re.split(r"\s*,\s*|\s+", text.strip())
    if len(parts) not in counts or not all(re.fullmatch(r"[+-]?\d{1,18}", part) for part in parts):
        wanted = " or ".join(map(str, counts))
        raise OptionError(f"{name} {text!r} is not {wanted} whole number{'s' * (counts != (1,))}")
    return tuple(map(int, parts))
