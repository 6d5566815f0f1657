"""Kernels to start from: smoothing, derivatives, sharpening.

Every function returns a `Kernel` with float64 weights in *correlation*
orientation: `corr2d.corr2d(image, kernel)` multiplies them with the pixels as
they are written here. ``axis=1`` is x, which grows to the right along a row;
``axis=0`` is y, which grows downwards.
"""

import math
import operator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._errors import OptionError, ShapeError
from .kernel import Kernel

__all__ = ["box", "gaussian", "identity", "laplacian", "scharr", "sharpen", "sobel"]

_LARGEST_SIDE = 4096  # taps; 128 MiB of weights, past which a request is a slip of the keyboard


def identity() -> Kernel:
    """The kernel that leaves an image as it is: one tap, 1.

    Examples
    --------
    >>> identity().weights
    array([[1.]])
    """
    return Kernel([[1.0]], name="identity")


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
    h = _side("h", h)
    w = h if w is None else _side("w", w)
    return Kernel(np.full((h, w), 1.0 / (h * w)), name=f"box {h}×{w}")


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
    sigma_y, sigma_x = (_positive("sigma", s) for s in _pair("sigma", sigma))
    order_y, order_x = (_count("order", n, lowest=0) for n in _pair("order", order))
    _positive("truncate", truncate)
    column = _gaussian_taps(sigma_y, order_y, truncate)
    row = _gaussian_taps(sigma_x, order_x, truncate)
    derivative = f" order {order_y},{order_x}" if order_y or order_x else ""
    width = f"{sigma_y:g}" if sigma_y == sigma_x else f"{sigma_y:g},{sigma_x:g}"
    return Kernel(np.outer(column, row), name=f"gaussian σ={width}{derivative}")


def sobel(axis: int) -> Kernel:
    """Sobel's first derivative: central difference times the binomial 1 2 1.

    Not normalised, as everywhere: it is 8 times the slope of a ramp [1]_.

    References
    ----------
    .. [1] I. Sobel and G. Feldman, *An Isotropic 3×3 Image Gradient Operator*,
       talk at the Stanford Artificial Intelligence Project, 1968.

    Examples
    --------
    >>> sobel(1).weights
    array([[-1.,  0.,  1.],
           [-2.,  0.,  2.],
           [-1.,  0.,  1.]])
    """
    return _along(axis, [[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]], "sobel")


def scharr(axis: int) -> Kernel:
    """Scharr's first derivative: Sobel's with 3 10 3, closer to isotropic.

    Not normalised: it is 32 times the slope of a ramp [1]_.

    References
    ----------
    .. [1] H. Scharr, *Optimale Operatoren in der Digitalen Bildverarbeitung*,
       dissertation, Heidelberg 2000.

    Examples
    --------
    >>> scharr(0).weights
    array([[ -3., -10.,  -3.],
           [  0.,   0.,   0.],
           [  3.,  10.,   3.]])
    """
    return _along(axis, [[-3, 0, 3], [-10, 0, 10], [-3, 0, 3]], "scharr")


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


def sharpen(amount: float = 1.0) -> Kernel:
    """The image minus *amount* times its Laplacian: edges stand out, flat areas stay.

    Parameters
    ----------
    amount
        0 leaves the image as it is.

    Examples
    --------
    >>> sharpen().weights
    array([[ 0., -1.,  0.],
           [-1.,  5., -1.],
           [ 0., -1.,  0.]])
    """
    amount = _finite("amount", amount)
    side = 0.0 - amount  # and not -amount: -0.0 in a kernel prints badly
    weights = [[0, side, 0], [side, 1 + 4 * amount, side], [0, side, 0]]
    return Kernel(weights, name="sharpen" if amount == 1 else f"sharpen {amount:g}")


def _along(axis: Any, along_x: list[list[int]], name: str) -> Kernel:
    if axis == 1:
        return Kernel(along_x, name=f"{name}-x")
    if axis == 0:
        return Kernel(np.transpose(along_x), name=f"{name}-y")
    raise OptionError(f"axis={axis!r} is not an image axis; 1 is x (along a row), 0 is y")


def _gaussian_taps(sigma: float, order: int, truncate: float) -> NDArray[np.float64]:
    """One row of taps, g⁽ⁿ⁾(-t) for t from -radius to radius."""
    radius = truncate * sigma + 0.5
    if not 2 * radius - 1 <= _LARGEST_SIDE:
        raise OptionError(
            f"sigma={sigma:g} and truncate={truncate:g} make a kernel of more than "
            f"{_LARGEST_SIDE} taps a side; shrink the image first, or filter twice"
        )
    if order > 2 * int(radius):
        raise OptionError(
            f"sigma={sigma:g} and truncate={truncate:g} make {2 * int(radius) + 1} taps a side; "
            f"a derivative of order {order} needs {order + 1}: raise one of them"
        )
    t = np.arange(-int(radius), int(radius) + 1.0)
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


def _pair(name: str, value: Any) -> tuple[Any, Any]:
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


def _finite(name: str, value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise OptionError(f"{name}={value!r} is not a number") from None
    if not math.isfinite(number):
        raise OptionError(f"{name}={value!r} is not finite")
    return number


def _positive(name: str, value: Any) -> float:
    number = _finite(name, value)
    if number <= 0:
        raise OptionError(f"{name}={value!r} must be above 0")
    return number


def _count(name: str, value: Any, *, lowest: int) -> int:
    try:
        number = operator.index(value)
    except TypeError:
        raise OptionError(f"{name}={value!r} is not a whole number") from None
    if number < lowest:
        raise OptionError(f"{name}={value!r} must be {lowest} or more")
    return number


def _side(name: str, value: Any) -> int:
    side = _count(name, value, lowest=1)
    if side > _LARGEST_SIDE:
        raise ShapeError(f"{name}={side} is above {_LARGEST_SIDE} taps, the most a preset makes")
    return side
