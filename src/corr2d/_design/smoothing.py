"""Smoothing: box, binomial, Gaussian, Savitzky-Golay; and sums that stand for integrals."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from .._errors import OptionError
from ..kernel import Kernel
from .checks import choice, count, designed, odd, pair, positive, radius_of, side
from .exact import integral_weights, polynomial_rows

__all__ = ["binomial", "box", "gaussian", "integral", "savgol"]

_HIGHEST_DEGREE = 12  # of a fitted polynomial; beyond, exact elimination takes seconds


@designed
def box(h: int, w: int | None = None) -> Kernel:
    """The mean over a window of *h* rows and *w* columns.

    Parameters
    ----------
    h, w
        Window size; *w* is *h* where it is left out.

    Examples
    --------
    >>> box(1, 4).weights
    array([[0.25, 0.25, 0.25, 0.25]])
    """
    h = side("h", h)
    w = h if w is None else side("w", w)
    return Kernel(np.full((h, w), 1.0 / (h * w)), name=f"box {h}×{w}")


@designed
def binomial(n: int) -> Kernel:
    """Binomial coefficients, *n* taps a side: the Gaussian of integer weights.

    Sums to 1. Each side is the average of neighbours, n - 1 times, so its variance is
    (n - 1) / 4 pixels² (Pascal's triangle; Jähne, *Digital Image Processing*, chapter 11).

    Parameters
    ----------
    n
        Taps a side; odd keeps edges in place, even moves them by half a pixel.

    Examples
    --------
    >>> 16 * binomial(3) == Kernel([[1, 2, 1], [2, 4, 2], [1, 2, 1]])
    True
    """
    n = side("n", n)
    taps = np.array([float(Fraction(math.comb(n - 1, i), 2 ** (n - 1))) for i in range(n)])
    return Kernel(np.outer(taps, taps), name=f"binomial {n}×{n}")


@designed
def gaussian(
    sigma: float | tuple[float, float],
    *,
    order: int | tuple[int, int] = (0, 0),
    truncate: float = 4.0,
) -> Kernel:
    """A sampled Gaussian, or a derivative of one.

    Parameters
    ----------
    sigma
        Standard deviation in pixels, or one for each axis, ``(sigma_y, sigma_x)``.
    order
        Order of the derivative along ``(y, x)``; one number means both.
    truncate
        Radius of the kernel in standard deviations, rounded to whole pixels.

    Notes
    -----
    With ``g(t) = exp(-t²/2σ²) / Σ exp(-t²/2σ²)`` over the taps, order n is
    ``g⁽ⁿ⁾ = q_n g``, where ``q_0 = 1`` and ``q_{n+1} = q_n' - q_n t/σ²`` (Hermite
    polynomials up to scale [1]_). Correlation mirrors the argument, so the
    weights are ``g⁽ⁿ⁾(-t)``, and a derivative along x is positive where the image
    grows to the right.

    These are the weights of ``scipy.ndimage.gaussian_filter``. As there, order
    ``(0, 0)`` sums to 1; sampling and truncation leave derivatives of even order
    with a sum of about ``exp(-truncate²/2)`` instead of 0, so raise *truncate*
    where flat areas must become exactly flat.

    References
    ----------
    .. [1] B. M. ter Haar Romeny, *Front-End Vision and Multi-Scale Image
       Analysis*, Springer 2003, chapter 4.

    Examples
    --------
    >>> gaussian(1.0).shape
    (9, 9)
    >>> gaussian((1e-3, 0.5), truncate=2).weights.round(3)
    array([[0.107, 0.787, 0.107]])
    >>> ramp = np.arange(9.0)
    >>> slope = gaussian(1.0, order=(0, 1)).weights.sum(axis=0)
    >>> float((slope @ ramp).round(3))
    1.0
    """
    sigma_y, sigma_x = (positive("sigma", s) for s in pair("sigma", sigma))
    order_y, order_x = (count("order", n, lowest=0) for n in pair("order", order))
    positive("truncate", truncate)
    column = gaussian_taps(sigma_y, order_y, truncate)
    row = gaussian_taps(sigma_x, order_x, truncate)
    derivative = f" order {order_y},{order_x}" if order_y or order_x else ""
    width = f"{sigma_y:g}" if sigma_y == sigma_x else f"{sigma_y:g},{sigma_x:g}"
    return Kernel(np.outer(column, row), name=f"gaussian σ={width}{derivative}")


@designed
def savgol(
    window: int | tuple[int, int], degree: int, *, order: int | tuple[int, int] = (0, 0)
) -> Kernel:
    """Savitzky and Golay's filter in two dimensions: fit a polynomial to a window, derive it in the middle.

    Smooths less than a mean of the same size and keeps polynomials up to *degree* as
    they are; with *order* it gives their derivatives exactly.

    Parameters
    ----------
    window
        Odd number of taps a side, or ``(rows, columns)``; 1 is allowed for one axis.
    degree
        Total degree of the polynomial, Σ c_pq y^p x^q with p + q ≤ degree; at most 12.
    order
        Order of the derivative along ``(y, x)``; one number means both.

    Notes
    -----
    Least squares in exact fractions, rounded once (Savitzky and Golay, Analytical
    Chemistry 36 (1964) 1627-1639; in 2-D: Kuo, Wang and Pickup, Analytical Chemistry 63 (1991)
    630-635). One row is ``scipy.signal.savgol_coeffs(window, degree, use="dot")``.

    Examples
    --------
    >>> 35 * savgol((1, 5), 2) == Kernel([[-3, 12, 17, 12, -3]])
    True
    >>> savgol(3, 1, order=(0, 1)) == Kernel([[-1, 0, 1]] * 3) / 6
    True
    """
    height, width = (odd("window", n, why="the fit has no pixel to stand for") for n in pair("window", window))
    degree = count("degree", degree, lowest=0)
    dy, dx = (count("order", n, lowest=0) for n in pair("order", order))
    if degree > _HIGHEST_DEGREE:
        raise OptionError(f"degree={degree} is above {_HIGHEST_DEGREE}; smooth with gaussian(sigma) instead")
    if dy + dx > degree:
        raise OptionError(f"order=({dy}, {dx}) of a polynomial of degree {degree} is 0; use degree={dy + dx} or more")
    for name, n, along, needs in (("rows", height, dy, degree), ("columns", width, dx, degree)):
        if n > 1 and n <= needs or n <= along:
            raise OptionError(
                f"window has {n} {name}, which do not determine a polynomial of degree {max(needs, along)}; "
                f"use {max(needs, along) + 1 + max(needs, along) % 2} or more"
            )
    weights = [[float(w) for w in row] for row in polynomial_rows((height, width), degree, (dy, dx))]
    derivative = f" order {dy},{dx}" if dy or dx else ""
    return Kernel(weights, name=f"savgol {height}×{width} degree {degree}{derivative}")


@designed
def integral(n: int, rule: str = "box") -> Kernel:
    """The integral along a row of *n* pixels; the transpose, ``.T``, goes along a column.

    Parameters
    ----------
    n
        Taps in the row.
    rule
        ``"box"``: the sum, the integral over n pixels that are each flat, exact for
        straight lines. ``"trapezoid"``: from the first pixel's middle to the last's, exact
        for straight lines. ``"simpson"``: the same, exact for cubics; odd *n* from 3.

    Notes
    -----
    Abramowitz and Stegun, *Handbook of Mathematical Functions*, 25.4.2 and 25.4.6. The
    mean is ``integral(n) / n``, or `box`.

    Examples
    --------
    >>> integral(4, "trapezoid").weights
    array([[0.5, 1. , 1. , 0.5]])
    >>> 3 * integral(5, "simpson") == Kernel([[1, 4, 2, 4, 1]])
    True
    """
    n = side("n", n)
    rule = choice("rule", rule, ("box", "trapezoid", "simpson"))
    if rule == "trapezoid" and n < 2:
        raise OptionError(f"n={n}: a trapezoid has two ends; use 2 or more, or rule='box'")
    if rule == "simpson" and (n < 3 or n % 2 == 0):
        raise OptionError(f"n={n}: Simpson's rule takes an odd number of points from 3; use {max(3, n + 1)}")
    return Kernel([[float(w) for w in integral_weights(n, rule)]], name=f"integral {rule} {n}")


def gaussian_taps(sigma: float, order: int, truncate: float) -> NDArray[np.float64]:
    """One row of taps, g⁽ⁿ⁾(-t) for t from -radius to radius."""
    radius = radius_of(truncate * sigma, f"sigma={sigma:g} and truncate={truncate:g}")
    if order > 2 * radius:
        raise OptionError(
            f"sigma={sigma:g} and truncate={truncate:g} make {2 * radius + 1} taps a side; "
            f"a derivative of order {order} needs {order + 1}: raise one of them"
        )
    t = np.arange(-radius, radius + 1.0)
    # t²/2σ² as (t/σ)²/2: σ² alone underflows long before σ does.
    with np.errstate(over="ignore"):
        g = np.exp(-0.5 * (t / sigma) ** 2)
    g /= g.sum()
    if order == 0:
        return g
    t_over_variance = np.polynomial.Polynomial([0.0, 1.0 / sigma**2])
    q = np.polynomial.Polynomial([1.0])
    for _ in range(order):
        q = q.deriv() - q * t_over_variance
    return q(-t) * g
