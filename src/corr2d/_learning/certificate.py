"""Integers, a divisor, a rounding and a border rule that make the second picture from the first, bit for bit.

Filters of 8-bit images are mostly integer arithmetic: ``round(sum(n * x) / d) + bias``. The error
bars of one photograph are small enough to read n and d off, and replaying them proves it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

import corr2d

from .lazy import parts, taken
from .pairs import Frame, Pair, cut, over, places

__all__ = ["RULES", "Certificate", "border_rule", "certify"]

ROUNDINGS = ("half-even", "half-up", "half-away", "floor", "truncate", "ceil")
RULES = ("constant", "edge", "reflect", "symmetric", "wrap", "copy")
_LARGEST = 1024  # divisor; and powers of two up to 65536
_FEW = 0.005  # of the pixels may differ: ties that float arithmetic rounded otherwise
_FIRST_LOOK = 40_000  # pixels


@dataclass(frozen=True, slots=True, eq=False)
class Certificate:
    """The arithmetic that reproduces `after`.

    Attributes
    ----------
    numerators : ndarray of int, shape of the kernel
    divisor : int
    bias : float
        Added after the division and before the rounding.
    rounding : str
        "half-even", "half-up", "half-away", "floor", "truncate" or "ceil"; "none" where nothing was rounded.
    boundary : str or None
        What lies beyond the border: one of "constant" (zeros), "edge", "reflect", "symmetric", "wrap", or
        "copy" (border pixels are copied); "valid" where `after` has none; None where no rule fits.
    mismatches : int
        Pixels that differ: 0 is a proof. Border pixels count where the rule is known.
    pixels : int
        That were compared.
    """

    numerators: NDArray[np.int64]
    divisor: int
    bias: float
    rounding: str
    boundary: str | None
    mismatches: int
    pixels: int

    def to_dict(self) -> dict[str, Any]:
        return {
            "numerators": self.numerators.tolist(), "divisor": self.divisor, "bias": self.bias, "rounding": self.rounding,
            "boundary": self.boundary, "mismatches": self.mismatches, "pixels": self.pixels,
        }  # fmt: skip


def certify(
    pair: Pair, frame: Frame, kernel: NDArray, stderr: NDArray, bias: float, bias_error: float, limits: tuple[float, float] | None, exact: bool
) -> Certificate | None:  # fmt: skip
    """The simplest arithmetic that agrees with all pixels, or with all but a few; None if there is none."""
    best = None
    whole = pair.before.dtype.kind in "biu" and pair.after.dtype.kind in "biu"
    roundings = ROUNDINGS if whole and not exact else ("none",)
    sample = _sample(pair, frame)
    if not sample:
        return None
    looked = 0
    for divisor, numerators in _candidates(kernel, stderr):
        for rounding, offset in _endings(roundings, bias, bias_error, divisor):
            replay = _Replay(numerators, divisor, offset, rounding, limits)
            wrong, seen = _added(_compare(pair, frame, part, replay) for part in sample)
            if wrong > _FEW * seen + 1:
                continue
            wrong, seen = _added(over(pair, frame, _compare, replay))
            if seen and wrong <= _FEW * seen and (best is None or wrong < best[0]):
                best = (wrong, seen, replay)
            if best and best[0] == 0:
                break
        looked += 1
        if (best and best[0] == 0) or looked >= 64:
            break
    if best is None:
        return None
    wrong, seen, replay = best
    most = max(float(np.abs(y.astype(float)).max()) for y in parts(pair.after, 0)) if replay.rounding == "none" else 0.0
    boundary, rim = border_rule(pair, frame, lambda x: replay(x[None])[0], _precision(pair.after.dtype) * most if most else None)
    if rim:
        wrong, seen = wrong + rim[0], seen + rim[1]
    offset = replay.offset / replay.divisor if whole else bias
    return Certificate(replay.numerators, replay.divisor, float(offset), replay.rounding, boundary, int(wrong), int(seen))


def _candidates(kernel: NDArray, stderr: NDArray) -> Iterator[tuple[int, NDArray]]:
    """Divisors, simplest first, under which every tap is an integer within its error bar."""
    size = float(np.abs(kernel).max(initial=0))
    slack = 4.5 * stderr + 1e-9 * size
    for divisor in [*range(1, _LARGEST + 1), *(1 << p for p in range(11, 17))]:
        scaled = kernel * divisor
        numerators = np.rint(scaled)
        fits = (np.abs(scaled - numerators) <= np.minimum(slack * divisor, 0.45)).all() and numerators.any()
        # A fraction that can be reduced was tried before.
        if fits and np.gcd.reduce(np.append(numerators.ravel().astype(np.int64), divisor)) == 1:
            yield divisor, numerators.astype(np.int64)


def _endings(roundings: tuple[str, ...], bias: float, error: float, divisor: int) -> Iterator[tuple[str, int]]:
    """Roundings with the numerator of the bias: first of whole biases, then of such as are multiples of 1 / divisor."""
    slack = 4.5 * error + 0.02 + 0.5 / divisor  # ties that are always rounded up lift the mean by half a step
    tried = set()
    for step in (divisor, 1):
        for rounding in roundings:
            # What a rounding takes away on average, the fitted bias has lost.
            middle = bias + {"floor": 0.5, "truncate": 0.5, "ceil": -0.5}.get(rounding, 0.0) * (1 - 1 / divisor if rounding != "none" else 0)
            offset = round(middle * divisor / step) * step
            if (rounding, offset) not in tried and abs(offset / divisor - middle) <= slack:
                tried.add((rounding, offset))
                yield rounding, offset


class _Replay:
    """The arithmetic itself, in integers."""

    def __init__(self, numerators: NDArray, divisor: int, offset: int, rounding: str, limits: tuple[float, float] | None) -> None:
        self.numerators, self.divisor, self.offset, self.rounding, self.limits = numerators, divisor, offset, rounding, limits

    def __call__(self, x: NDArray) -> NDArray:
        """x (1, h, w): what comes out where the window lies inside."""
        if self.rounding == "none":
            return corr2d.corr2d(x[0], self.numerators.astype(float), dtype="float64")[None] / self.divisor + self.offset / self.divisor
        sums = corr2d.corr2d(x[0].astype(np.int64), self.numerators, dtype="int64") + self.offset
        out = _divide(sums, self.divisor, self.rounding)
        if self.limits is not None:
            out = np.clip(out, *self.limits)
        return out[None]


def _divide(sums: NDArray, d: int, rounding: str) -> NDArray:
    match rounding:
        case "floor":
            return sums // d
        case "ceil":
            return -(-sums // d)
        case "truncate":
            return np.sign(sums) * (np.abs(sums) // d)
        case "half-up":
            return (2 * sums + d) // (2 * d)
        case "half-away":
            return np.sign(sums) * ((2 * np.abs(sums) + d) // (2 * d))
    down = sums // d
    rest = 2 * (sums - down * d)
    return down + ((rest > d) | ((rest == d) & (down % 2 != 0)))


def _compare(_pair: Pair, _frame: Frame, part: Any, replay: Callable[[NDArray], NDArray]) -> tuple[int, int]:
    """How many pixels differ, of how many."""
    differs = _differs(replay(part.x)[0], part.y[0], replay)
    if part.used is not None:
        differs = differs[part.used]
    return int(np.count_nonzero(differs)), differs.size


def _added(counts: Iterable[tuple[int, int]]) -> tuple[int, int]:
    wrong, seen = np.sum([(0, 0), *counts], axis=0)
    return int(wrong), int(seen)


def _differs(made: NDArray, found: NDArray, replay: Any) -> NDArray:
    if getattr(replay, "rounding", "") != "none":
        return made != found
    # Floats agree to their own precision, of the largest: sums were rounded on the way there.
    return np.abs(made - found) > _precision(found.dtype) * max(float(np.abs(found).max(initial=0)), float(np.abs(made).max(initial=0)))


def _precision(dtype: np.dtype) -> float:
    """What sums in this type may be off, of the largest sample."""
    return 8 * (2.0**-10 if dtype.itemsize == 2 else 2.0**-23 if dtype.itemsize == 4 or dtype.kind != "f" else 2.0**-52)


def _sample(pair: Pair, frame: Frame) -> list:
    step = max(1, len(pair.after) * pair.count(frame) // _FIRST_LOOK)
    return [cut(pair, frame, *place) for place in islice(places(pair, frame, 8192), 0, None, step)]


def border_rule(pair: Pair, frame: Frame, filtered: Callable[[NDArray], NDArray], rms: float | None = None) -> tuple[str | None, tuple[int, int] | None]:
    """Which rule for pixels beyond the border gives the rim of `after`; and how many of its pixels differ, of how many.

    With `rms`, that of the residuals inside, the rule whose rim fits as well as that, if one clearly does.
    """
    if not pair.same:
        return "valid", None
    rows, columns = pair.outputs(frame)
    x, y = pair.before, pair.after
    h, w = y.shape[-2:]
    # Four strips of outputs: above, below, left, right.
    strips = [(slice(0, rows.start), slice(0, w)), (slice(rows.stop, h), slice(0, w)),
              (slice(rows.start, rows.stop), slice(0, columns.start)), (slice(rows.start, rows.stop), slice(columns.stop, w))]  # fmt: skip
    strips = [s for s in strips if s[0].stop > s[0].start and s[1].stop > s[1].start]
    if not strips:
        return None, None
    fits = []
    for rule in RULES:
        e = [(np.asarray(x[0, 0, *s]) if rule == "copy" else filtered(_beyond(x, *s, frame, rule))).astype(float) - y[0, 0, *s] for s in strips]
        e = np.concatenate([part.ravel() for part in e])
        e = e[np.isfinite(e)]
        fits.append((np.count_nonzero(e) if rms is None else float(np.sqrt((e * e).mean())) if e.size else np.inf, rule, e.size))
    lost, rule, seen = min(fits, key=lambda fit: fit[0])
    if rms is not None:
        others = [fit[0] for fit in fits if fit[0] > 1.001 * lost + 1e-9 * rms]
        clear = lost <= 1.3 * rms + 1e-12 and all(other > 1.2 * lost for other in others)
        return (rule if clear else None), None
    return (rule, (int(lost), seen)) if lost <= 0.01 * seen else (None, None)


def _beyond(x: Any, rows: slice, columns: slice, frame: Frame, rule: str) -> NDArray:
    """What the windows of these outputs see, pixels beyond the border made up by the rule."""
    index = []
    for span, corner, taps, n in zip((rows, columns), frame.corner, frame.size, x.shape[-2:], strict=True):
        first, last = span.start + corner, span.stop + corner + taps - 1
        pad = max(0, -first, last - n)
        if rule == "constant":
            line = np.pad(np.arange(n), pad, constant_values=-1)
        else:
            line = np.pad(np.arange(n), pad, mode=rule)
        index.append(line[first + pad : last + pad])
    seen = taken(0, x, *(line % n for line, n in zip(index, x.shape[-2:], strict=True)))
    if rule == "constant":
        seen[index[0] < 0] = 0
        seen[:, index[1] < 0] = 0
    return seen
