"""A description as a student reads it: what it is, what it does, then the numbers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from .naming import decimal

if TYPE_CHECKING:
    from .description import Description

__all__ = ["operator", "text"]

_POWERS = "⁰¹²³⁴⁵⁶⁷⁸⁹"
_LONGEST_FORM = 120  # characters of a rational form that are still read
_ORDINAL = {1: "first", 2: "second", 3: "third"}


def text(d: Description) -> str:
    """The whole description."""
    lines = [_headline(d), "", *_effects(d), ""]
    width = max(len(label) for label, _ in _numbers(d))
    lines += [f"{label.ljust(width)}  {value}" for label, value in _numbers(d)]
    return "\n".join(lines)


def operator(terms: dict[tuple[int, int], float]) -> str:
    """``8 ∂/∂x``, ``½ ∂²/∂y² − ∂²/∂x²``."""
    parts = []
    for (p, q), c in terms.items():
        size = abs(c)
        number = "" if abs(size - 1) < 1e-6 and p + q else f"{decimal(size)} "
        sign = "−" if c < 0 else "+"
        parts.append((sign, f"{number}{_partial(p, q)}".strip()))
    head = ("−" if parts[0][0] == "−" else "") + parts[0][1]
    return " ".join([head, *(f"{sign} {part}" for sign, part in parts[1:])])


def _headline(d: Description) -> str:
    h, w = d.shape
    if d.family is None:
        return f"{h}×{w} kernel of no known family."
    # A share that does not round to a certainty.
    sure = f"confidence {'> 99.9 %' if d.confidence > 0.999 else _share(d.confidence)}"
    if d.names[0].exact:
        return f"{h}×{w} kernel: {d.name} ({sure})."
    return f"{h}×{w} kernel, {d.name} ({sure}); it is not that kernel itself."


def _effects(d: Description) -> list[str]:
    """Sentences: what comes out, for which images, how well."""
    said = []
    order = d.derivative_order
    if order is None:
        said.append("Every output is 0." if not d.weights.any() else "It answers to fine detail only: smooth images give next to nothing.")
    elif order == 0:
        said.append(_brightness(d))
        if d.smoothing_scale is not None and d.smoothing_scale[0] > 1e-6:
            long, short = d.smoothing_scale
            how = f"about {decimal(long)} pixels" if d.orientation is None else f"about {decimal(long)} pixels along {decimal(d.orientation)}° and {decimal(short)} across"
            said.append(f"It spreads a point to {how} (standard deviation).")
        elif (d.weights < 0).any():
            said.append("It strengthens fine detail: some weights are negative.")
        y, x = d.centre_of_mass
        if math.hypot(y, x) > 1e-3:
            said.append(f"It moves the picture by {_where(-y, -x)}.")
    else:
        which = _ORDINAL.get(order, f"{order}th")
        said.append(f"It takes a {which} derivative, {operator(d.operator)}: {_answers(order)}")
        if abs(d.gain) > 4 * math.hypot(*d.tolerance.ravel()):
            said.append(f"Flat areas become {_share(abs(d.gain) / float(abs(d.weights).sum()))} of the sum of its weights, not quite 0.")
        else:
            said.append("Flat areas become 0.")
    if d.accuracy_order is not None and order is not None:
        said.append(f"Its error is of order {d.accuracy_order}: half the pixel size, 1/{2**d.accuracy_order} of the error (leading term {operator(d.error_term)}).")
    elif order == 0 and d.weights.size == 1:
        said.append("Nothing else changes.")
    said.append(_noise(d))
    return said


def _brightness(d: Description) -> str:
    if abs(d.gain - 1) < 1e-5:
        return "Brightness stays: the weights sum to 1."
    return f"A flat area of 1 becomes {decimal(d.gain)}, the sum of the weights."


def _answers(order: int) -> str:
    if order == 1:
        return "it answers where brightness rises or falls, as edges do."
    if order == 2:
        return "it answers to bends of brightness, spots and thin lines, not to even slopes."
    return f"polynomials below degree {order} become 0."


def _noise(d: Description) -> str:
    g = d.noise_gain
    if not g:
        return "Noise is gone with everything else."
    if abs(g - 1) < 1e-6:
        return "Noise keeps its strength."
    return f"Independent noise comes out {decimal(1 / g)} times weaker." if g < 1 else f"Independent noise comes out {decimal(g)} times stronger."


def _numbers(d: Description) -> list[tuple[str, str]]:
    r = d.response
    gain = d.gain if abs(d.gain) > 1e-12 * np.abs(d.weights).sum() else 0.0
    rows = [("gain, Σw", f"{gain:.6g}"), ("noise gain, √Σw²", f"{d.noise_gain:.6g}")]
    if d.rational is not None and len(str(d.rational)) <= _LONGEST_FORM:
        rows.append(("weights", str(d.rational)))
    rows.append(("rank", f"{d.rank}{_factors(d)}"))
    rows.append(("taps that are 0", f"{d.zeros} of {d.weights.size}"))
    rows.append(("symmetry", f"{d.symmetry} ({d.symmetries.group})"))
    if d.orientation is not None:
        rows.append(("orientation", f"{decimal(d.orientation)}°, anticlockwise from +x"))
    rows.append(("second moments", ", ".join(f"{name} {decimal(d.moments[n])}" for name, n in (("y²", (2, 0)), ("xy", (1, 1)), ("x²", (0, 2))))))
    rows.append(("−3 dB band, x", _band(r.cutoff_x)))
    rows.append(("−3 dB band, y", _band(r.cutoff_y)))
    rows.append(("peak response", f"{r.peak:.4g} at ({r.peak_at[0]:.3g}, {r.peak_at[1]:.3g}) cycles/px (y, x)"))
    least = f"{r.least:.2g} of the peak is left at ({r.least_at[0]:.3g}, {r.least_at[1]:.3g}) cycles/px"
    rows.append(("can be undone", "yes: " + least if d.invertible else f"no: the frequency ({r.least_at[0]:.3g}, {r.least_at[1]:.3g}) cycles/px is lost"))
    if d.bias:
        rows.append(("bias", f"{d.bias:.6g}"))
    rows.append(("cost per pixel", ", ".join(f"{method} {ns:.2g} ns" for method, ns in d.cost.items()) + " (predicted, one thread)"))
    for other in d.alternatives[:3]:
        rows.append(("also fits", other.text))
    return rows


def _factors(d: Description) -> str:
    if d.factors is None:
        return f" (one column times one row misses {_share(d.rank_residual)})" if d.rank > 1 else ""
    if min(d.shape) == 1:
        return ""
    return ": a column times a row"


def _band(band: tuple[float, float] | None) -> str:
    if band is None:
        return "nothing passes on this axis"
    low, high = band
    if low == 0 and high == 0.5:
        return "all frequencies"
    if low == 0:
        return f"up to {high:.3g} cycles/px"
    return f"{low:.3g} to {high:.3g} cycles/px" if high < 0.5 else f"from {low:.3g} cycles/px up"


def _where(dy: float, dx: float) -> str:
    parts = [f"{decimal(abs(d))} px {a if d > 0 else b}" for d, a, b in ((dy, "down", "up"), (dx, "right", "left")) if abs(d) > 1e-3]
    return " and ".join(parts)


def _partial(p: int, q: int) -> str:
    if p + q == 0:
        return ""
    def power(n: int) -> str:
        return "" if n == 1 else "".join(_POWERS[int(c)] for c in str(n))
    below = "".join(f"∂{name}{power(n)}" for name, n in (("y", p), ("x", q)) if n)
    return f"∂{power(p + q)}/{below}"


def _share(value: float) -> str:
    return f"{100 * value:.3g} %"
