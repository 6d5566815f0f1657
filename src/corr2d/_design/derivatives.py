"""Derivatives of any order, accuracy and direction; Laplacians."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._errors import OptionError
from ..kernel import Kernel
from .checks import choice, count, designed, finite, pair, positive, turned
from .exact import difference_weights

__all__ = ["derivative", "directional", "laplacian", "smallest_derivative"]

_LONGEST_SCHEME = 129  # taps; coefficients beyond are differences of huge numbers, of no use in float64


@designed
def derivative(
    dy: int = 0,
    dx: int = 0,
    *,
    accuracy: int = 2,
    scheme: str = "central",
    spacing: float | tuple[float, float] = 1.0,
) -> Kernel:
    """A finite difference: ∂^(dy+dx) / ∂y^dy ∂x^dx, of any order and accuracy.

    Parameters
    ----------
    dy, dx
        How often along y (downwards) and x (to the right); both for a mixed partial.
    accuracy
        The error is proportional to ``spacing**accuracy``. Even for a central scheme,
        whose odd orders come for nothing.
    scheme
        ``"central"``, ``"forward"`` (the pixel itself and those after it) or
        ``"backward"`` (the pixel itself and those before it). The anchor is that pixel.
    spacing
        Distance between pixels, in whatever unit the derivative is per; one number
        or ``(y, x)``.

    Notes
    -----
    Weights are exact fractions that are rounded once. With n taps they are right
    for every polynomial of degree below n (Fornberg, *Generation of Finite Difference
    Formulas on Arbitrarily Spaced Grids*, Math. Comp. 51 (1988) 699-706). A mixed
    partial is the product of a column and a row. ``derivative(0, 0)`` is the identity.

    Raises
    ------
    OptionError
        An odd accuracy of a central scheme, an order below 0, more than 129 taps.

    Examples
    --------
    >>> derivative(dx=1).weights
    array([[-0.5,  0. ,  0.5]])
    >>> derivative(dx=2, accuracy=4) * 12 == Kernel([[-1, 16, -30, 16, -1]])
    True
    >>> derivative(dy=1, accuracy=1, scheme="forward").weights.ravel().tolist()
    [-1.0, 1.0]
    """
    dy, dx = count("dy", dy, lowest=0), count("dx", dx, lowest=0)
    accuracy = count("accuracy", accuracy, lowest=1)
    scheme = choice("scheme", scheme, ("central", "forward", "backward"))
    h_y, h_x = (positive("spacing", h) for h in pair("spacing", spacing))
    if scheme == "central" and accuracy % 2:
        raise OptionError(
            f"accuracy={accuracy} is odd: the error of a central scheme has even powers only; "
            f"use {accuracy + 1}, or scheme='forward'"
        )
    y, row_y = _scheme(dy, accuracy, scheme)
    x, row_x = _scheme(dx, accuracy, scheme)
    exact = [[a * b / (Fraction(h_y) ** dy * Fraction(h_x) ** dx) for b in row_x] for a in row_y]
    anchor = None if scheme == "central" else (-y[0], -x[0])
    words = "".join([f" {scheme}" * (scheme != "central"), f" accuracy {accuracy}" * (accuracy != 2)])
    return Kernel(_rounded(exact), anchor=anchor, name=f"derivative {_partial(dy, dx)}{words}")


@designed
def smallest_derivative(order: int) -> Kernel:
    """The derivative along x with the fewest taps that any can have: order + 1.

    Binomial coefficients with alternating signs. The kernel turns every polynomial of
    degree below *order* into 0 and x^order into order!, and none with fewer taps does:
    n taps see at most n independent polynomials, and it must kill *order* of them and
    not the next. An even number of taps gives the derivative between two pixels, half
    a pixel right of the anchor. The transpose, ``.T``, goes along y.

    Notes
    -----
    Zhang et al., *Dive into Deep Learning*, §7.2, exercise 4.3.

    Examples
    --------
    >>> smallest_derivative(3).weights
    array([[-1.,  3., -3.,  1.]])
    """
    order = count("order", order, lowest=0)
    _refuse_long(order + 1, f"order={order}")
    weights = [float((-1) ** (order - i) * math.comb(order, i)) for i in range(order + 1)]
    return Kernel([weights], name=f"smallest derivative {order}")


@designed
def directional(angle: float | tuple[float, float], order: int = 1) -> Kernel:
    """The derivative in any direction, on 3×3 taps: how fast the image grows that way.

    Parameters
    ----------
    angle
        Degrees anticlockwise from +x as seen on screen, or a vector ``(dy, dx)``, of
        which only the direction counts (dy downwards, as rows are numbered).
    order
        1: the slope. 2: the curvature in that direction.

    Notes
    -----
    Steered from axis-parallel kernels (Freeman and Adelson, *The Design and Use of
    Steerable Filters*, IEEE TPAMI 13 (1991) 891-906): with the unit vector (u, v) along
    (y, x), order 1 is u·D_y + v·D_x of Sobel / 8, and order 2 is
    u²·D_yy + 2uv·D_xy + v²·D_xx, exact on quadratics.

    Examples
    --------
    >>> directional(0) == Kernel([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]) / 8
    True
    >>> directional((0, 1), order=2).weights
    array([[ 0.,  0.,  0.],
           [ 1., -2.,  1.],
           [ 0.,  0.,  0.]])
    """
    v, u, words = _direction(angle)
    order = count("order", order, lowest=1)
    if order > 2:
        raise OptionError(f"order={order}: a directional derivative is of order 1 or 2; see derivative for others")
    slope, smooth, bend, point = (np.array(w) for w in ([-1.0, 0, 1], [1.0, 2, 1], [1.0, -2, 1], [0.0, 1, 0]))
    if order == 1:
        weights = (v * np.outer(slope, smooth) + u * np.outer(smooth, slope)) / 8
    else:
        weights = v * v * np.outer(bend, point) + u * u * np.outer(point, bend) + u * v / 2 * np.outer(slope, slope)
    return Kernel(weights + 0.0, name=f"directional {words}{' second order' * (order == 2)}")


@designed
def laplacian(points: int = 5) -> Kernel:
    """The sum of both second derivatives, on 5 or on 9 points.

    Parameters
    ----------
    points
        5: the cross. 9: the *Mehrstellen* stencil, whose error is the same in
        all directions to leading order [1]_. Both give exactly
        ∂²/∂y² + ∂²/∂x² on quadratic images.

    References
    ----------
    .. [1] M. Patra and M. Karttunen, *Stencils with isotropic discretization
       error for differential operators*, Numerical Methods for Partial
       Differential Equations 22 (2006), 936-953.

    Examples
    --------
    >>> laplacian().weights
    array([[ 0.,  1.,  0.],
           [ 1., -4.,  1.],
           [ 0.,  1.,  0.]])
    >>> 6 * laplacian(points=9) == Kernel([[1, 4, 1], [4, -20, 4], [1, 4, 1]])
    True
    """
    if points == 5:
        return Kernel([[0, 1, 0], [1, -4, 1], [0, 1, 0]], name="laplacian")
    if points == 9:
        weights = np.array([[1, 4, 1], [4, -20, 4], [1, 4, 1]]) / 6
        return Kernel(weights, name="laplacian 9-point")
    raise OptionError(f"points={points!r} is no known Laplacian; choose 5 or 9")


def _scheme(order: int, accuracy: int, scheme: str) -> tuple[list[int], list[Fraction]]:
    """Offsets and weights of one axis; one tap where nothing is differentiated."""
    if order == 0:
        return [0], [Fraction(1)]
    if scheme == "central":
        radius = (order + 1) // 2 + accuracy // 2 - 1
        offsets = range(-radius, radius + 1)
    else:
        last = order + accuracy - 1
        offsets = range(last + 1) if scheme == "forward" else range(-last, 1)
    _refuse_long(len(offsets), f"order {order} with accuracy={accuracy}")
    return list(offsets), list(difference_weights(order, tuple(offsets)))


def _refuse_long(taps: int, made_of: str) -> None:
    if taps > _LONGEST_SCHEME:
        raise OptionError(
            f"{made_of} needs {taps} taps, and above {_LONGEST_SCHEME} a difference drowns in rounding; "
            "smooth and differentiate with gaussian(sigma, order=...) instead"
        )


def _rounded(exact: list[list[Fraction]]) -> NDArray[np.float64]:
    try:
        return np.array([[float(w) for w in row] for row in exact])
    except OverflowError:
        raise OptionError("spacing makes weights above 1.8e308; measure in another unit") from None


def _partial(dy: int, dx: int) -> str:
    """∂³/∂y∂x², written dyxx."""
    return f"d{'y' * dy}{'x' * dx}" if dy + dx <= 4 else f"dy={dy} dx={dx}"


def _direction(angle: Any) -> tuple[float, float, str]:
    """The unit vector (y, x) of an angle or a vector, and how to call it."""
    if np.ndim(angle) == 0:
        degrees = finite("angle", angle)
        sine, cosine = turned(degrees)
        return -sine, cosine, f"{degrees:g}°"
    dy, dx = (finite("vector", part) for part in pair("vector", angle))
    length = math.hypot(dy, dx)
    if length == 0:
        raise OptionError("vector=(0, 0) has no direction; give an angle in degrees or a vector (dy, dx)")
    return dy / length, dx / length, f"({dy:g}, {dx:g})"
