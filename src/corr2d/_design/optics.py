"""What lenses, hands and the air do to a point: defocus, motion, Moffat, Airy."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from .._errors import OptionError
from ..kernel import Kernel
from .checks import choice, designed, finite, odd, positive, radius_of, turned

__all__ = ["airy", "disk", "moffat", "motion"]

_FIRST_ZERO = 3.8317059702075125  # of the Bessel function J1


@designed
def disk(r: float, *, edge: str = "area") -> Kernel:
    """The mean over a disk: a lens out of focus.

    Sums to 1.

    Parameters
    ----------
    r
        Radius in pixels.
    edge
        ``"area"``: a pixel on the rim counts by the part of it that lies inside, exactly.
        ``"hard"``: a pixel counts if its centre is at most *r* from the middle.

    Notes
    -----
    The area of disk and pixel is the integral of ``√(r² - x²)`` over the part of the pixel
    below the arc, in closed form.

    Examples
    --------
    >>> disk(1, edge="hard").weights
    array([[0. , 0.2, 0. ],
           [0.2, 0.2, 0.2],
           [0. , 0.2, 0. ]])
    >>> disk(0.5).weights
    array([[1.]])
    """
    r, edge = positive("r", r), choice("edge", edge, ("area", "hard"))
    if edge == "hard":
        radius = radius_of(math.floor(r), f"r={r:g}")
        t = np.arange(-radius, radius + 1.0)
        weights = (t[:, None] ** 2 + t**2 <= r * r) * 1.0
    else:
        radius = radius_of(max(math.ceil(r - 0.5), 0), f"r={r:g}")
        weights = _disk_areas(r, radius)
    return Kernel(weights / weights.sum(), name=f"disk r={r:g}{' hard' * (edge == 'hard')}")


@designed
def motion(length: float, angle: float = 0.0) -> Kernel:
    """The mean along a straight line: a camera that moved while the shutter was open.

    Sums to 1.

    Parameters
    ----------
    length
        Of the path, in pixels.
    angle
        Degrees anticlockwise from +x as seen on screen; half a turn is the same path.

    Notes
    -----
    A weight is the share of the path, centred on the middle tap, that lies within that pixel:
    light that was gathered there while the camera moved at one speed. The path is cut
    where it crosses from pixel to pixel, so this is exact.

    Examples
    --------
    >>> motion(3).weights.round(3)
    array([[0.333, 0.333, 0.333]])
    >>> motion(2 * 2**0.5, 45).weights.round(3)
    array([[0.  , 0.  , 0.25],
           [0.  , 0.5 , 0.  ],
           [0.25, 0.  , 0.  ]])
    """
    length, angle = positive("length", length), finite("angle", angle)
    sine, cosine = turned(angle)
    half = length / 2
    # Rounding must not add a row that the path only touches.
    ry, rx = (
        radius_of(max(math.ceil(half * abs(part) - 0.5 - 1e-9), 0), f"length={length:g}") for part in (sine, cosine)
    )
    cuts = [np.array([-half, half])]
    for part, radius in ((sine, ry), (cosine, rx)):
        if abs(part) > 1e-12:
            cuts.append((np.arange(-radius, radius + 2) - 0.5) / part)
    ends = np.unique(np.clip(np.concatenate(cuts), -half, half))
    middles = (ends[1:] + ends[:-1]) / 2
    rows = np.clip(np.rint(-middles * sine).astype(int), -ry, ry) + ry
    columns = np.clip(np.rint(middles * cosine).astype(int), -rx, rx) + rx
    weights = np.zeros((2 * ry + 1, 2 * rx + 1))
    np.add.at(weights, (rows, columns), np.diff(ends) / length)
    return Kernel(weights, name=f"motion {length:g} px {angle:g}°")


@designed
def moffat(gamma: float, alpha: float, *, size: int | None = None) -> Kernel:
    """Moffat's profile of a star seen through the air: a core with wide wings.

    Sums to 1 over its taps.

    Parameters
    ----------
    gamma
        Core width in pixels; the full width at half maximum is ``2 · gamma · √(2^(1/alpha) - 1)``.
    alpha
        How fast the wings fall; 4.765 is turbulence, infinity a Gaussian. Above 1.
    size
        Odd number of taps a side; default 8 full widths, rounded up.

    Notes
    -----
    ``(1 + r² / gamma²)^-alpha`` at the middle of each pixel, as astropy's ``Moffat2DKernel``
    (Moffat, *A Theoretical Investigation of Focal Stellar Images*, Astronomy and Astrophysics 3 (1969)
    455-461).

    Examples
    --------
    >>> moffat(2, 4.765).shape
    (13, 13)
    """
    gamma, alpha = positive("gamma", gamma), finite("alpha", alpha)
    if alpha <= 1:
        raise OptionError(f"alpha={alpha:g}: at 1 or below the wings hold infinitely much light; use more, 4.765 for turbulence")
    width = 2 * gamma * math.sqrt(2 ** (1 / alpha) - 1)
    squared = _squared_radius(size, 8 * width, f"gamma={gamma:g} and alpha={alpha:g}")
    weights = (1 + squared / gamma**2) ** -alpha
    return Kernel(weights / weights.sum(), name=f"moffat γ={gamma:g} α={alpha:g}")


@designed
def airy(radius: float, *, size: int | None = None) -> Kernel:
    """Airy's pattern: a point through a perfect round lens, blurred by diffraction alone.

    Sums to 1 over its taps.

    Parameters
    ----------
    radius
        Of the first dark ring, in pixels: 1.22 · wavelength · f-number / pixel pitch.
    size
        Odd number of taps a side; default 8 radii, rounded up.

    Notes
    -----
    ``(2 J1(v) / v)²`` with ``v = 3.8317 r / radius`` at the middle of each pixel, as astropy's
    ``AiryDisk2DKernel`` (Airy, *On the Diffraction of an Object-glass with Circular Aperture*, Trans.
    Cambridge Phil. Soc. 5 (1835) 283-291).

    Examples
    --------
    >>> airy(3).shape
    (25, 25)
    """
    from scipy.special import j1  # 0.1 s that other kernels need not wait for

    radius = positive("radius", radius)
    v = _FIRST_ZERO / radius * np.sqrt(_squared_radius(size, 8 * radius, f"radius={radius:g}"))
    with np.errstate(invalid="ignore"):
        weights = np.where(v > 0, (2 * j1(v) / v) ** 2, 1.0)
    return Kernel(weights / weights.sum(), name=f"airy r={radius:g}")


def _squared_radius(size: int | None, extent: float, made_of: str) -> NDArray[np.float64]:
    """r² on a square of odd side, given or the least that covers *extent*."""
    if size is None:
        half = radius_of(math.ceil((math.ceil(extent) - 1) / 2), made_of)
    else:
        half = odd("size", size, why="the profile has its peak in the middle") // 2
    t = np.arange(-half, half + 1.0)
    return t[:, None] ** 2 + t**2


def _disk_areas(r: float, radius: int) -> NDArray[np.float64]:
    """How much of each pixel lies in a disk around the middle one: one quadrant, mirrored."""
    edges = np.concatenate([[0.0], np.arange(radius + 1) + 0.5])
    x0, x1, y0, y1 = edges[:-1], edges[1:], edges[:-1, None], edges[1:, None]

    def arc(x):  # where the arc is as high as x
        return np.sqrt(np.maximum(r * r - x * x, 0.0))

    def below(x):  # integral of the arc's height from 0
        x = np.minimum(x, r)
        return 0.5 * (x * arc(x) + r * r * np.arcsin(x / r))

    full = np.clip(arc(y1), x0, x1) * (y1 <= r) + x0 * (y1 > r)  # up to here the arc is above the pixel
    last = np.clip(arc(y0), x0, x1) * (y0 <= r) + x0 * (y0 > r)  # from here it is below
    areas = (full - x0) * (y1 - y0) + below(last) - below(full) - y0 * (last - full)
    quadrant = np.maximum(areas, 0.0)
    quadrant[0] *= 2  # half a pixel lies on each side of an axis
    quadrant[:, 0] *= 2
    upper = np.concatenate([quadrant[:0:-1], quadrant])
    return np.concatenate([upper[:, :0:-1], upper], axis=1)
