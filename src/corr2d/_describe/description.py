"""A kernel in numbers and in words."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

import corr2d

from . import words
from .measures import Orders, Response, Symmetry, half_turn, moments, orders, rank, response, spread, symmetry
from .naming import Name
from .rational import Rational, nearest_rational

__all__ = ["Description"]

_COST_SHAPE = (1024, 1024)  # of the image that costs are quoted for


@dataclass(frozen=True, eq=False)
class Description:
    """What a kernel does: print it for words, ask it for numbers.

    Positions are ``(y, x)`` in pixels from the anchor, frequencies in cycles per pixel, angles
    in degrees anticlockwise from +x as seen on screen.

    Attributes
    ----------
    name : str
        What the kernel is called, with its parameters, or ``"no known family"``.
    family, parameters, scale, confidence
        The name taken apart: confidence is the probability that random weights would not
        have come that close, less what the fit misses.
    alternatives : tuple of Name
        Other families that fit, best first.
    gain, noise_gain : float
        Response to a flat image of 1; standard deviation of the result for noise of 1, √Σw².
    rank : int
        1: a column times a row.
    symmetry : str
    derivative_order, accuracy_order : int or None
        Which derivative is taken (0: the image itself), and the power of the pixel size with which
        the error falls; None where no error is left.
    moments : dict
        ``{(p, q): Σ w y^p x^q}`` up to p + q = 4.

    Examples
    --------
    >>> d = corr2d.describe([[1, 2, 1], [2, 4, 2], [1, 2, 1]])
    >>> d.name, d.gain, d.rank, d.derivative_order, d.accuracy_order
    ('binomial 3×3, scaled by 16', 16.0, 1, 0, 2)
    """

    weights: NDArray[np.float64]
    tolerance: NDArray[np.float64]
    tap: tuple[int, int]
    bias: float
    names: tuple[Name, ...]

    # -- the name ------------------------------------------------------------

    @property
    def name(self) -> str:
        return self.names[0].text

    @property
    def family(self) -> str | None:
        return self.names[0].family

    @property
    def parameters(self) -> dict[str, Any]:
        return dict(self.names[0].parameters)

    @property
    def scale(self) -> float:
        return self.names[0].scale

    @property
    def confidence(self) -> float:
        return self.names[0].confidence

    @property
    def alternatives(self) -> tuple[Name, ...]:
        return self.names[1:]

    # -- numbers -------------------------------------------------------------

    @property
    def shape(self) -> tuple[int, int]:
        return self.weights.shape

    @property
    def gain(self) -> float:
        return math.fsum(self.weights.ravel().tolist())

    @property
    def noise_gain(self) -> float:
        return math.hypot(*self.weights.ravel())  # which squares nothing that leaves float64's range

    @property
    def zeros(self) -> int:
        """Taps that are exactly 0."""
        return int(self.weights.size - np.count_nonzero(self.weights))

    @cached_property
    def moments(self) -> dict[tuple[int, int], float]:
        return moments(self.weights, self.tap)

    @property
    def centre_of_mass(self) -> tuple[float, float] | None:
        """Where the weights balance; None for kernels that sum to 0."""
        if self.derivative_order != 0:
            return None
        return self.moments[1, 0] / self.moments[0, 0], self.moments[0, 1] / self.moments[0, 0]

    @cached_property
    def _orders(self) -> Orders:
        return orders(self.weights, self.tolerance, self.tap)

    @property
    def derivative_order(self) -> int | None:
        return self._orders.derivative

    @property
    def accuracy_order(self) -> int | None:
        return self._orders.accuracy

    @property
    def operator(self) -> dict[tuple[int, int], float]:
        """The derivative in terms: ``{(0, 1): 8.0}`` is 8 ∂/∂x."""
        return dict(self._orders.operator)

    @property
    def error_term(self) -> dict[tuple[int, int], float]:
        """The leading error, in the same form."""
        return dict(self._orders.error)

    @cached_property
    def _rank(self) -> tuple[int, float, tuple[NDArray[np.float64], NDArray[np.float64]] | None]:
        return rank(self.weights, self.tolerance)

    @property
    def rank(self) -> int:
        return self._rank[0]

    @property
    def rank_residual(self) -> float:
        """The share of Σ|w| that the nearest product of a column and a row misses."""
        return self._rank[1]

    @property
    def factors(self) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
        """That column and row, for kernels of rank 1."""
        return self._rank[2]

    @cached_property
    def symmetries(self) -> Symmetry:
        return symmetry(self.weights, self.tolerance)

    @property
    def symmetry(self) -> str:
        return self.symmetries.words

    @cached_property
    def _spread(self) -> tuple[tuple[float, float], float | None] | None:
        return spread(self.moments) if self.derivative_order == 0 else None

    @property
    def smoothing_scale(self) -> tuple[float, float] | None:
        """Standard deviations of a smoothing kernel along its longer axis and across; None for others."""
        return None if self._spread is None else self._spread[0]

    @property
    def orientation(self) -> float | None:
        """Degrees: of the slope that is taken, of the strongest curvature, or of the longer axis; None if round."""
        terms = self.operator
        if self.derivative_order == 1:
            return math.degrees(math.atan2(0.0 - terms.get((1, 0), 0.0), terms.get((0, 1), 0.0)))
        if self.derivative_order == 2:
            a, b, c = (terms.get(n, 0.0) for n in ((2, 0), (0, 2), (1, 1)))
            spread = math.hypot(b - a, c)
            if spread <= 1e-6 * (abs(a) + abs(b) + abs(c)):
                return None
            other = abs(a + b + spread) < abs(a + b - spread)
            return half_turn(math.degrees(0.5 * math.atan2(-c, b - a)) + 90 * other)
        return None if self._spread is None else self._spread[1]

    @cached_property
    def response(self) -> Response:
        return response(self.weights)

    def frequency_response(self, fy: Any, fx: Any) -> Any:
        """The factor, complex, with which a wave of *fy*, *fx* cycles per pixel comes out.

        ``H(f) = Σ w[i, j] exp(2πi (fy·y + fx·x))`` with y, x from the anchor; arrays broadcast.

        Examples
        --------
        >>> float(corr2d.describe([[0.5, 0, -0.5]]).frequency_response(0, 0.25).imag.round(12))
        -1.0
        """
        fy, fx = np.broadcast_arrays(np.asarray(fy, float), np.asarray(fx, float))
        y, x = (np.arange(n) - t for n, t in zip(self.shape, self.tap, strict=True))
        waves_y = np.exp(2j * np.pi * fy[..., None] * y)
        waves_x = np.exp(2j * np.pi * fx[..., None] * x)
        return np.einsum("...i,ij,...j->...", waves_y, self.weights, waves_x)

    @property
    def invertible(self) -> bool:
        """Whether every frequency survives with at least a millionth of the strongest."""
        return self.response.least > 1e-6

    @cached_property
    def rational(self) -> Rational | None:
        """Whole numbers over one divisor, where a simple one is within the tolerance."""
        return nearest_rational(self.weights, self.tolerance)

    @cached_property
    def cost(self) -> dict[str, float]:
        """Predicted nanoseconds per pixel of each method that takes this kernel: float32, one thread, 1024×1024."""
        chosen = corr2d.plan(_COST_SHAPE, self.weights, padding="same", threads=1)
        pixels = math.prod(_COST_SHAPE)
        best: dict[str, float] = {}
        for answer in chosen.considered:
            if answer.seconds is not None and answer.method != "reference":
                nanoseconds = 1e9 * answer.seconds / pixels
                best[answer.method] = min(nanoseconds, best.get(answer.method, math.inf))
        return dict(sorted(best.items(), key=lambda pair: pair[1]))

    # -- words ---------------------------------------------------------------

    def __str__(self) -> str:
        return words.text(self)

    def __repr__(self) -> str:
        return f"<Description of a {self.shape[0]}×{self.shape[1]} kernel: {self.name}>"

    def to_dict(self) -> dict[str, Any]:
        """Everything, as JSON-ready values.

        Examples
        --------
        >>> corr2d.describe([[1, -1]]).to_dict()["derivative_order"]
        1
        """
        r, factors = self.response, self.factors
        return {
            **self.names[0].to_dict(),
            "alternatives": [name.to_dict() for name in self.alternatives],
            "shape": list(self.shape), "anchor": list(self.tap), "bias": self.bias, "gain": self.gain, "noise_gain": self.noise_gain,
            "zeros": self.zeros, "rank": self.rank, "rank_residual": self.rank_residual,
            "factors": None if factors is None else [f.tolist() for f in factors],
            "symmetry": self.symmetry, "symmetry_group": self.symmetries.group, "symmetries": dict(self.symmetries.signs),
            "derivative_order": self.derivative_order, "accuracy_order": self.accuracy_order,
            "operator": _listed(self.operator), "error_term": _listed(self.error_term), "moments": _listed(self.moments),
            "centre_of_mass": self.centre_of_mass, "smoothing_scale": self.smoothing_scale, "orientation": self.orientation,
            "response": r._asdict(), "invertible": self.invertible,
            "rational": None if self.rational is None else {"numerators": self.rational.numerators.tolist(), "divisor": self.rational.divisor},
            "cost_ns_per_pixel": self.cost,
        }  # fmt: skip


def _listed(terms: dict[tuple[int, int], float]) -> list[dict[str, float]]:
    return [{"y": p, "x": q, "value": value} for (p, q), value in terms.items()]
