"""Edge operators that have people's names, and compass masks."""

from __future__ import annotations

import numpy as np

from .._errors import OptionError
from ..kernel import Kernel
from .checks import along, choice, designed

__all__ = ["DIRECTIONS", "compass", "farid", "kirsch", "prewitt", "roberts", "scharr", "sobel"]

DIRECTIONS = ("E", "NE", "N", "NW", "W", "SW", "S", "SE")  # anticlockwise from +x, 45° apart
_RING = ((1, 2), (0, 2), (0, 1), (0, 0), (1, 0), (2, 0), (2, 1), (2, 2))  # the border of 3×3, in that order

# Farid and Simoncelli's 5-tap pair for first derivatives: prefilter and derivative, right half.
_FARID_SMOOTH = (0.426374573253687, 0.249153396177344, 0.0376593171958126)
_FARID_SLOPE = (0.0, 0.276690988455557, 0.109603762960254)


@designed
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
    return along(axis, [[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]], "sobel")


@designed
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
    return along(axis, [[-3, 0, 3], [-10, 0, 10], [-3, 0, 3]], "scharr")


@designed
def prewitt(axis: int) -> Kernel:
    """Prewitt's first derivative: the mean of three central differences, times 6.

    Not normalised: it is 6 times the slope of a ramp [1]_.

    References
    ----------
    .. [1] J. M. S. Prewitt, *Object Enhancement and Extraction*, in Picture
       Processing and Psychopictorics, Academic Press 1970.

    Examples
    --------
    >>> prewitt(1).weights
    array([[-1.,  0.,  1.],
           [-1.,  0.,  1.],
           [-1.,  0.,  1.]])
    """
    return along(axis, [[-1, 0, 1]] * 3, "prewitt")


@designed
def roberts(axis: int) -> Kernel:
    """Roberts' cross: a difference along a diagonal of four pixels.

    Parameters
    ----------
    axis
        1 grows down to the right, where x and y grow; 0 down to the left, where y grows and
        x falls. Diagonal neighbours are √2 apart, so it is √2 times the slope that way,
        half a pixel below and right of the anchor [1]_.

    References
    ----------
    .. [1] L. G. Roberts, *Machine Perception of Three-Dimensional Solids*,
       dissertation, MIT 1963.

    Examples
    --------
    >>> roberts(1).weights
    array([[-1.,  0.],
           [ 0.,  1.]])
    >>> roberts(0).weights
    array([[ 0., -1.],
           [ 1.,  0.]])
    """
    if axis == 1:
        return Kernel([[-1, 0], [0, 1]], name="roberts-x")
    if axis == 0:
        return Kernel([[0, -1], [1, 0]], name="roberts-y")
    raise OptionError(f"axis={axis!r} is neither of Roberts' diagonals; 1 is down to the right, 0 down to the left")


@designed
def farid(axis: int) -> Kernel:
    """Farid and Simoncelli's first derivative on 5×5 taps.

    Smoothing and derivative are matched so that the gradient's direction is right at all
    angles [1]_. It is 0.9918 times the slope of a ramp, as published.

    References
    ----------
    .. [1] H. Farid and E. P. Simoncelli, *Differentiation of Discrete Multidimensional
       Signals*, IEEE Transactions on Image Processing 13 (2004) 496-508.

    Examples
    --------
    >>> slope = farid(1).weights.sum(axis=0)
    >>> float((slope @ np.arange(5.0)).round(4))
    0.9918
    """
    smooth = [*_FARID_SMOOTH[:0:-1], *_FARID_SMOOTH]
    slope = [*(-w for w in _FARID_SLOPE[:0:-1]), *_FARID_SLOPE]
    return along(axis, np.outer(smooth, slope), "farid")


@designed
def kirsch(direction: str) -> Kernel:
    """Kirsch's mask: the three neighbours in one direction against the other five.

    Parameters
    ----------
    direction
        ``"N"``, ``"NE"``, ``"E"``, ``"SE"``, ``"S"``, ``"SW"``, ``"W"`` or ``"NW"``; N is
        up. The answer is positive where the image is brighter that way, and 15 times
        the difference of both sides' means [1]_.

    References
    ----------
    .. [1] R. A. Kirsch, *Computer determination of the constituent structure of
       biological images*, Computers and Biomedical Research 4 (1971) 315-328.

    Examples
    --------
    >>> kirsch("N").weights
    array([[ 5.,  5.,  5.],
           [-3.,  0., -3.],
           [-3., -3., -3.]])
    """
    return _masked("kirsch", direction, (5, 5, -3, -3, -3, -3, -3, 5), 0)


@designed
def compass(direction: str) -> Kernel:
    """Prewitt's compass mask: five neighbours towards one direction against three and the middle.

    Parameters
    ----------
    direction
        As for `kirsch`. It is 6 times the slope of a ramp along an axis, as `prewitt`,
        with the middle row of the difference filled in [1]_.

    References
    ----------
    .. [1] J. M. S. Prewitt, *Object Enhancement and Extraction*, in Picture
       Processing and Psychopictorics, Academic Press 1970.

    Examples
    --------
    >>> compass("E").weights
    array([[-1.,  1.,  1.],
           [-1., -2.,  1.],
           [-1.,  1.,  1.]])
    """
    return _masked("compass", direction, (1, 1, 1, -1, -1, -1, 1, 1), -2)


def _masked(name: str, direction: str, ring: tuple[int, ...], middle: int) -> Kernel:
    """A ring of eight weights, given for east and turned towards *direction*."""
    direction = choice("direction", direction, DIRECTIONS)
    weights = np.full((3, 3), float(middle))
    for i, place in enumerate(_RING):
        weights[place] = ring[(i - DIRECTIONS.index(direction)) % 8]
    return Kernel(weights, name=f"{name} {direction}")
