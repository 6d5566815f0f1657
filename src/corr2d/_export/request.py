"""What a writer is asked for, what it had to give up, and the words they share."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._errors import OptionError
from ..kernel import Kernel

__all__ = ["Request", "Target", "comment", "number", "rows"]

# Rounding every weight to float32 moves the result by no more than its own rounding does.
_SINGLE = 2.0**-23


@dataclass(frozen=True, slots=True)
class Target:
    """What writes a target, and what it can express.

    `borders` maps our boundaries to the target's words; the first is its default, and
    none at all means that the text holds a kernel and no filter.
    """

    write: Callable[[Request], str | bytes]
    borders: Mapping[str, str]
    channels: bool = False  # (O, I, kh, kw)
    complex: bool = False


@dataclass(slots=True)
class Request:
    """One kernel on its way to one target."""

    kernel: Kernel
    target: str
    boundary: str
    border: str
    strict: bool
    losses: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, kernel: Kernel, name: str, target: Target, *, boundary: str | None, strict: bool) -> Request:
        if kernel.ndim == 4 and not target.channels:
            raise OptionError(f"{name} filters each channel alike; this kernel of shape {kernel.shape} mixes them")
        if kernel.dtype.kind == "c" and not target.complex:
            raise OptionError(f"{name} takes real weights; this kernel is complex: export its real and imaginary parts")
        default = next(iter(target.borders), "")
        chosen = boundary if boundary in target.borders else default
        request = cls(kernel, name, chosen, target.borders.get(chosen, ""), strict)
        if boundary not in (None, chosen):
            has = ", ".join(map(repr, target.borders)) or "none"
            request.concede(
                f"{name} has no boundary {boundary!r}; it has {has}",
                f"outputs whose window leaves the image differ, where {name} uses {default!r}"
                if default
                else "the filter that uses the kernel chooses one",
            )
        return request

    def concede(self, reason: str, error: str) -> None:
        """Refuse, or where the caller takes the nearest thing, note the size of the error."""
        if self.strict:
            raise OptionError(f"{reason}; strict=False writes the nearest thing: {error}")
        self.losses.append(f"{reason}: {error}")

    def warn_of_lost_signs(self) -> None:
        """For targets that write pictures: a file of unsigned samples keeps half of an edge."""
        if self.weights.sum() <= 0 >= self.bias:
            self.notes.append(
                f"about half of what this kernel gives is negative, and {self.target} cuts it off at 0: "
                "to see it, give the kernel a bias, as in Kernel(kernel, bias=128)"
            )

    # -- the kernel as targets want it -----------------------------------------

    @property
    def weights(self) -> NDArray[Any]:
        return self.kernel.weights

    @property
    def bias(self) -> Any:
        return self.kernel.bias

    @property
    def anchor(self) -> tuple[int, int]:
        kh, kw = self.kernel.shape[-2:]
        return self.kernel.anchor or ((kh - 1) // 2, (kw - 1) // 2)

    @property
    def padding(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """Pixels outside the image that the window reaches: (top, bottom), (left, right)."""
        (kh, kw), (row, column) = self.kernel.shape[-2:], self.anchor
        return (row, kh - 1 - row), (column, kw - 1 - column)

    def single(self) -> NDArray[np.float32]:
        """The weights as float32, and a loss where that is not enough."""
        with np.errstate(over="ignore"):
            rounded = self.weights.astype(np.float32)
        total = np.abs(self.weights).sum()
        error = np.abs(rounded - self.weights).sum()
        if not np.isfinite(rounded).all():
            raise OptionError(f"{self.target} holds weights as float32, up to 3.4e38; scale the kernel down")
        if error > _SINGLE * total:
            self.concede(
                f"{self.target} holds weights as float32, too coarse for this kernel",
                f"results differ by up to {error:.2g} times the largest sample",
            )
        return rounded

    def centred(self) -> NDArray[Any]:
        """The weights between zeros, so that the anchor is the middle of odd sides."""
        (top, bottom), (left, right) = self.padding
        high, wide = max(top, bottom), max(left, right)
        return np.pad(self.weights, ((high - top, high - bottom), (wide - left, wide - right)))

    # -- what the text says about itself -----------------------------------------

    def facts(
        self, *, orientation: str, numbers: str, anchor: str | None = None, divisor: str = "1", bias: str = ""
    ) -> list[str]:
        """What every export states, one line each."""
        shape = "x".join(map(str, self.kernel.shape))
        named = f" {json.dumps(self.kernel.name[:80])}" if self.kernel.name else ""
        row, column = self.anchor
        return [
            f"corr2d kernel{named}, {shape} (rows x columns), for {self.target}",
            f"orientation: {orientation}",
            f"anchor: {anchor or f'row {row}, column {column}, from 0,'} lies on the output pixel",
            f"divisor: {divisor}",
            f"bias: {bias or number(self.bias)}",
            f"border: {self.boundary}" + (f" ({self.border})" if self.border != self.boundary else ""),
            f"numbers: {numbers}",
            *(f"not exact: {loss}" for loss in self.losses),
        ]


def number(value: Any) -> str:
    """The shortest text that reads back as this number.

    Examples
    --------
    >>> number(3.0), number(-0.0), number(0.1), number(1j)
    ('3', '0', '0.1', '1j')
    """
    if isinstance(value, complex):
        return repr(complex(value))
    whole = float(value).is_integer() and abs(value) < 2**53
    return str(int(value)) if whole else repr(float(value))


def rows(weights: NDArray[Any], *, between: str = " ", rows_between: str = "\n") -> str:
    return rows_between.join(between.join(map(number, row)) for row in weights.tolist())


def comment(facts: list[str], mark: str) -> str:
    # A name is quoted by json.dumps, so no line is broken by it or ends in a backslash.
    return "".join(f"{mark}{fact}\n" for fact in facts)
