"""The naming engine: every family proposes models, the one that says most in fewest words wins.

A family fits its parameters and yields `Fit`s; it knows nothing of the others. Here the
models are scaled, held against the weights, and ranked by description length: the bits
that the weights still cost once the model is told, plus the bits of its parameters.
Confidence counts how unlikely it is that a kernel of random weights comes that close.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .sight import Sight

__all__ = ["Family", "Fit", "Name", "decimal", "fitted", "line_slope", "name_of", "refined"]

Array = NDArray[np.float64]

CLOSE = 5e-3  # of the power: "close to a Gaussian" as engineers say it
_PARAMETER_BITS = 16.0  # a fitted number costs what its digits take to say
_SHORT_BITS = 9.0  # ... or two decimals
_CHANCE_BITS = 10.0  # a thousand shapes and orientations are tried: as many chances of a coincidence
_HOPELESS = 0.7  # of the energy missed at the start: another kind of kernel
_UNNAMED = "no known family"


@dataclass(frozen=True)
class Fit:
    """One proposal: the words, the numbers in them, the weights they stand for."""

    words: str
    model: Array  # of the sight's shape, scaled as `corr2d.kernels` scales it
    family: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    free: int = 0  # how many of the parameters were fitted
    numbers: int | None = None  # how many weights could have been otherwise, where the family's form says it


Family = Callable[[Sight], Iterable[Fit]]


@dataclass(frozen=True)
class Name:
    """What a kernel is called, and how sure that is."""

    text: str
    family: str | None
    parameters: Mapping[str, Any]
    scale: float
    confidence: float
    residual: float  # what the named kernel misses, as a share of the weights' root mean square
    exact: bool  # nothing is missed beyond the tolerance

    def to_dict(self) -> dict[str, Any]:
        return {
            "name": self.text, "family": self.family, "parameters": dict(self.parameters), "scale": self.scale,
            "confidence": self.confidence, "residual": self.residual, "exact": self.exact,
        }  # fmt: skip


def name_of(seen: list[Sight], *groups: Iterable[Family]) -> tuple[Name, ...]:
    """Names for a kernel, the best first; one that says so where no family knows it.

    A later group of families is asked only where none before it has the very kernel.
    """
    if not seen:
        return (Name("zero kernel: every output is 0", "zero", {}, 0.0, 1.0, 0.0, True),)
    ranked: list[tuple[float, Name]] = []
    for families in groups:
        for sight in seen:
            ranked += _ranked(sight, families)
        if any(name.exact for _, name in ranked):
            break
    ranked.sort(key=lambda pair: pair[0])
    names, heard = [], set()
    for _, name in ranked:
        worse = bool(names) and (names[0].exact and not name.exact or name.family == "product")
        if name.text not in heard and not worse:
            heard.add(name.text)
            names.append(name)
    return tuple(names) or (Name(_UNNAMED, None, {}, 1.0, 0.0, 1.0, False),)


def _ranked(sight: Sight, families: Iterable[Family]) -> Iterator[tuple[float, Name]]:
    for family in families:
        for fit in family(sight):
            judged = _judged(sight, fit)
            if judged is not None:
                yield judged


def _judged(sight: Sight, fit: Fit) -> tuple[float, Name] | None:
    """The proposal's description length and the name it earns, if any."""
    norm = float((fit.model**2).sum())
    if not norm or not np.isfinite(norm):
        return None
    scale = float((sight.weights * fit.model).sum()) / norm
    model = scale * fit.model
    missed = float(np.sqrt(np.mean((sight.weights - model) ** 2))) / sight.power
    exact = sight.same(model)
    if not exact and missed > CLOSE:
        return None
    whole = scale * sight.unit
    known = abs(abs(whole) - 1) <= 8 * sight.floor  # the scale came out as it is designed, by no choice of ours
    bits = -math.log2(max(missed, sight.floor))
    # A fitted model is owed what symmetry alone gives; one without parameters is not. Fitted
    # numbers that come out as 1.5 and 30 were somebody's choice, and speak for the family.
    numbers = min(fit.numbers or sight.weights.size, sight.numbers if fit.free else sight.weights.size)
    chosen = fit.free and all(_is_short(v) for v in fit.parameters.values() if isinstance(v, float))
    evidence = (numbers - (0 if chosen else fit.free) - (not known)) * bits - (_SHORT_BITS * fit.free if chosen else 0.0)
    if sight.weights.size == 1:
        evidence = 64.0  # one tap is what it is
    quality = 1.0 if exact else 0.9 - 0.4 * missed / CLOSE
    confidence = quality * (1 - 2.0 ** -(evidence - _CHANCE_BITS))
    if confidence < 0.5:
        return None
    words = fit.words if known and whole > 0 else f"{fit.words}, scaled by {_factor(whole, sight.floor)}"
    if not exact:
        words = f"close to {words} (within {_percent(missed)})"
    length = -(sight.weights.size + sight.margin) * bits + (_SHORT_BITS if chosen else _PARAMETER_BITS) * fit.free + _PARAMETER_BITS * (not known)
    name = Name(words, fit.family, fit.parameters, whole, round(confidence, 4), missed, exact)
    return (length if not exact else length - 1e6), name


def fitted(sight: Sight, *basis: Array) -> tuple[Array, Array]:
    """Coefficients of the combination of *basis* nearest to the weights, and that combination."""
    rows = np.array([b.ravel() for b in basis])
    gram, right = rows @ rows.T, rows @ sight.weights.ravel()
    coefficients = right / (gram[0, 0] or 1.0) if len(rows) == 1 else np.linalg.lstsq(gram, right, rcond=1e-15)[0]
    return coefficients, (coefficients @ rows).reshape(sight.shape)


def refined(
    sight: Sight, start: Iterable[float], basis: Callable[..., Any], steps: int = 25
) -> tuple[float, ...] | None:
    """Parameters that bring the span of ``basis(*parameters)`` nearest to the weights.

    Gauss and Newton's steps with Levenberg's damping; the linear coefficients are solved
    for at every step (Golub and Pereyra, *The Differentiation of Pseudo-Inverses and Nonlinear
    Least Squares Problems*, SIAM J. Numer. Anal. 10 (1973) 413-432). Twenty lines, because
    scipy.optimize takes longer to import than a kernel to describe.
    """
    theta = np.array(list(start), dtype=float)
    if not np.isfinite(theta).all():
        return None

    def missed(at: Array) -> Array | None:
        with np.errstate(all="ignore"):
            parts = basis(*at)
        parts = parts if isinstance(parts, tuple) else (parts,)
        if not all(np.isfinite(p).all() for p in parts):
            return None
        return (sight.weights - fitted(sight, *parts)[1]).ravel()

    rest, damping = missed(theta), 1e-3
    if rest is None or rest @ rest > _HOPELESS * (sight.weights**2).sum():
        return None
    for _ in range(steps):
        slopes = []
        for i in range(theta.size):
            h = np.zeros_like(theta)
            h[i] = 1e-5 * max(abs(theta[i]), 0.1)
            up, down = missed(theta + h), missed(theta - h)
            if up is None or down is None:
                return None
            slopes.append((up - down) / (2 * h[i]))
        jacobian = np.array(slopes).T
        normal, right = jacobian.T @ jacobian, jacobian.T @ rest
        for _ in range(8):
            step = np.linalg.lstsq(normal + damping * np.diag(np.diag(normal)), -right, rcond=None)[0]
            trial = missed(theta + step)
            if trial is not None and trial @ trial <= rest @ rest:
                break
            damping *= 10
        else:
            break
        gained = rest @ rest - trial @ trial
        theta, rest, damping = theta + step, trial, damping / 10
        if np.abs(step).max() <= 1e-12 * np.abs(theta).max() or gained <= 1e-14 * (trial @ trial) or not rest.any():
            break
    return tuple(float(t) for t in theta)


def line_slope(x: Array, y: Array, weight: Array) -> float:
    """The slope of the straight line nearest to the points, by weighted least squares."""
    total = weight.sum()
    dx, dy = x - (weight * x).sum() / total, y - (weight * y).sum() / total
    spread = (weight * dx * dx).sum()
    return float((weight * dx * dy).sum() / spread) if spread else 0.0


def decimal(value: float) -> str:
    """1.50, 12, 0.0313: two places where they say it, four digits where they do not."""
    if abs(value - round(value, 2)) <= 1e-4 * abs(value) and abs(value) < 1000:
        text = f"{value:.2f}" if abs(value - round(value)) > 1e-4 * abs(value) else f"{round(value)}"
    else:
        text = f"{value:.4g}"
    return text.replace("-", "−")


def _is_short(value: float) -> bool:
    """Whether two decimals say it."""
    return abs(value - round(value, 2)) <= 2e-5 * max(1.0, abs(value))


def _factor(value: float, floor: float) -> str:
    """A scale as a fraction where it is a simple one."""
    near = Fraction(value).limit_denominator(4096)
    simple = near.denominator <= 64 or abs(near.numerator) == 1 or near.denominator & (near.denominator - 1) == 0
    if near and simple and abs(float(near) - value) <= 8 * floor * abs(value) and abs(near.numerator) < 10**6:
        return f"{'−' * (near < 0)}{abs(near)}"
    return f"{value:.4g}".replace("-", "−")


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %"
