"""Moving an image by parts of a pixel, and making it ready to be shrunk."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from .._errors import OptionError
from ..kernel import Kernel
from .checks import choice, count, designed, finite, radius_of

__all__ = ["identity", "lanczos", "shift"]


@designed
def identity() -> Kernel:
    """The kernel that leaves an image as it is: one tap, 1.

    Examples
    --------
    >>> identity().weights
    array([[1.]])
    """
    return Kernel([[1.0]], name="identity")


@designed
def shift(dy: float = 0.0, dx: float = 0.0, *, method: str = "lanczos", lobes: int = 3) -> Kernel:
    """Move the image *dy* pixels down and *dx* to the right, parts of a pixel included.

    The kernel is of odd size, with the image's old place in its middle; whole pixels are
    moved exactly.

    Parameters
    ----------
    dy, dx
        Pixels; negative ones move up and to the left.
    method
        ``"lanczos"``: windowed sinc, normalised to sum 1. ``"cubic"``: Keys' convolution
        with a = -1/2, exact for quadratics. ``"linear"``: exact for straight lines.
    lobes
        Of Lanczos' window, on each side.

    Notes
    -----
    ``out(p) = Σ_j image[p + j] · h(j + d)`` for the interpolating function h: Duchon, *Lanczos
    Filtering in One and Two Dimensions*, J. Appl. Meteorology 18 (1979) 1016-1022; Keys, *Cubic
    Convolution Interpolation for Digital Image Processing*, IEEE TASSP 29 (1981) 1153-1160.

    Examples
    --------
    >>> shift(dx=1).weights
    array([[1., 0., 0.]])
    >>> shift(dx=0.25, method="linear").weights
    array([[0.25, 0.75, 0.  ]])
    >>> shift(0.5, 0, method="cubic").weights.ravel().tolist()
    [-0.0625, 0.5625, 0.5625, -0.0625, 0.0]
    """
    method = choice("method", method, ("lanczos", "cubic", "linear"))
    lobes = count("lobes", lobes, lowest=1)
    reach, h = {"lanczos": (lobes, _lanczos(lobes)), "cubic": (2, _keys), "linear": (1, _tent)}[method]
    column, row = (_moved(finite(name, d), reach, h, name) for name, d in (("dy", dy), ("dx", dx)))
    words = "" if method == "lanczos" else f" {method}"
    weights = np.outer(column, row) + 0.0  # -0.0 in a kernel prints badly
    return Kernel(weights, name=f"shift {float(dy):g},{float(dx):g}{words}")


@designed
def lanczos(factor: float, *, lobes: int = 3) -> Kernel:
    """The low-pass filter before an image is shrunk *factor* times: Lanczos' windowed sinc.

    Sums to 1; cuts at ``1 / (2 · factor)`` cycles per pixel, so that ``stride=factor`` keeps
    what the smaller image can hold and no more.

    Parameters
    ----------
    factor
        At least 1, which leaves the image as it is.
    lobes
        Of the window, on each side; more are sharper and ring more.

    Notes
    -----
    ``sinc(t / factor) · sinc(t / (factor · lobes))`` along each axis, normalised (Duchon 1979).

    Examples
    --------
    >>> lanczos(2).shape, float(lanczos(2).weights.sum().round(12))
    ((11, 11), 1.0)
    """
    factor, lobes = finite("factor", factor), count("lobes", lobes, lowest=1)
    if factor < 1:
        raise OptionError(f"factor={factor:g} would enlarge; shrinking takes 1 or more")
    reach = factor * lobes
    radius = radius_of(math.ceil(reach) - 1, f"factor={factor:g} and lobes={lobes}")
    taps = _lanczos(lobes)(np.arange(-radius, radius + 1.0) / factor)
    taps /= taps.sum()
    return Kernel(np.outer(taps, taps), name=f"lanczos {factor:g}{f' lobes {lobes}' * (lobes != 3)}")


def _moved(distance: float, reach: int, h, name: str) -> NDArray[np.float64]:
    """Weights of one axis; a whole number of pixels takes one tap."""
    if distance == int(distance):
        radius = radius_of(abs(distance), f"{name}={distance:g}")
        taps = np.zeros(2 * radius + 1)
        taps[radius - int(distance)] = 1.0
        return taps
    radius = radius_of(math.ceil(abs(distance)) + reach - 1, f"{name}={distance:g}")
    taps = h(np.arange(-radius, radius + 1.0) + distance)
    return taps / taps.sum()


def _lanczos(lobes: int):
    return lambda t: np.where(np.abs(t) < lobes, np.sinc(t) * np.sinc(t / lobes), 0.0)


def _keys(t: NDArray[np.float64]) -> NDArray[np.float64]:
    t = np.abs(t)
    near, far = (1.5 * t - 2.5) * t * t + 1, ((-0.5 * t + 2.5) * t - 4) * t + 2
    return np.where(t < 1, near, np.where(t < 2, far, 0.0))


def _tent(t: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.maximum(0.0, 1 - np.abs(t))
