"""Kernels that keep the image and raise its detail: sharpening, unsharp masking, embossing."""

from __future__ import annotations

import numpy as np

from ..kernel import Kernel
from .checks import designed, finite, turned
from .smoothing import gaussian

__all__ = ["emboss", "sharpen", "unsharp"]


@designed
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
    amount = finite("amount", amount)
    side = 0.0 - amount  # and not -amount: -0.0 in a kernel prints badly
    weights = [[0, side, 0], [side, 1 + 4 * amount, side], [0, side, 0]]
    return Kernel(weights, name="sharpen" if amount == 1 else f"sharpen {amount:g}")


@designed
def unsharp(sigma: float, amount: float = 1.0, *, truncate: float = 4.0) -> Kernel:
    """Unsharp masking: the image plus *amount* times what a Gaussian takes from it.

    Sums to 1. The name is the darkroom's, where the blurred picture was a mask.

    Parameters
    ----------
    sigma
        Standard deviation of the Gaussian, in pixels: how wide the halo is.
    amount
        How strong; 0 leaves the image as it is, -1 is the Gaussian.
    truncate
        Radius of the kernel in standard deviations.

    Examples
    --------
    >>> float(unsharp(1.0, 0.8).weights.sum().round(12))
    1.0
    """
    amount = finite("amount", amount)
    weights = -amount * gaussian(sigma, truncate=truncate).weights
    weights[weights.shape[0] // 2, weights.shape[1] // 2] += 1 + amount
    return Kernel(weights, name=f"unsharp σ={float(sigma):g} amount {amount:g}")


@designed
def emboss(angle: float = 135.0) -> Kernel:
    """The image as a relief that is lit from one side: itself plus a slope.

    Parameters
    ----------
    angle
        Where the light comes from, in degrees anticlockwise from +x as seen on screen;
        the default is the upper left.

    Notes
    -----
    1 in the middle minus Prewitt's slope towards the light, scaled so that its largest
    weight along the axes is 1; sums to 1. At 135° these are the weights of the
    classic ``-2 -1 0; -1 1 1; 0 1 2``.

    Examples
    --------
    >>> emboss().weights
    array([[-2., -1.,  0.],
           [-1.,  1.,  1.],
           [ 0.,  1.,  2.]])
    """
    angle = finite("angle", angle)
    sine, cosine = turned(angle)
    slope, flat = np.array([-1.0, 0, 1]), np.ones(3)
    lit = (np.outer(flat, slope) * cosine - np.outer(slope, flat) * sine) / max(abs(sine), abs(cosine))
    weights = 0.0 - lit
    weights[1, 1] = 1.0
    return Kernel(weights, name=f"emboss {angle:g}°")
