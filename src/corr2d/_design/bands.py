"""Kernels that let a band of frequencies pass: LoG, DoG, Gabor."""

from __future__ import annotations

import math

import numpy as np

from .._errors import OptionError
from ..kernel import Kernel
from .checks import designed, finite, positive, radius_of, turned
from .smoothing import gaussian

__all__ = ["dog", "gabor", "log", "padded"]


@designed
def log(sigma: float, *, truncate: float = 4.0) -> Kernel:
    """The Laplacian of a Gaussian: negative in the middle of a bright spot of that size.

    Parameters
    ----------
    sigma
        Standard deviation of the Gaussian, in pixels; spots of radius √2·sigma answer most.
    truncate
        Radius of the kernel in standard deviations.

    Notes
    -----
    ``gaussian(sigma, order=(2, 0)) + gaussian(sigma, order=(0, 2))``, the weights of
    ``scipy.ndimage.gaussian_laplace``; the sign is the Laplacian's, and truncation leaves
    a sum of about ``exp(-truncate²/2)`` as it does there; below sigma = 1 the samples are too
    far apart for it to be small (Marr and Hildreth, *Theory of
    Edge Detection*, Proc. R. Soc. Lond. B 207 (1980) 187-217).

    Examples
    --------
    >>> log(1.0).shape, bool(log(1.0).weights[4, 4] < 0)
    ((9, 9), True)
    """
    sigma = positive("sigma", sigma)
    along_y, along_x = (gaussian(sigma, order=n, truncate=truncate).weights for n in ((2, 0), (0, 2)))
    return Kernel(along_y + along_x, name=f"log σ={sigma:g}")


@designed
def dog(s1: float, s2: float, *, truncate: float = 4.0) -> Kernel:
    """The difference of two Gaussians, the first minus the second: a band of sizes.

    Sums to 0. With ``s2 = 1.6 · s1`` it is close to ``-log`` in shape (Marr and Hildreth 1980).

    Parameters
    ----------
    s1, s2
        Standard deviations in pixels; with the smaller one first, bright spots answer
        with a positive value.
    truncate
        Radius of each Gaussian in standard deviations.

    Examples
    --------
    >>> band = dog(1.0, 1.6)
    >>> band.shape, abs(float(band.weights.sum())) < 1e-15
    ((13, 13), True)
    """
    s1, s2 = positive("s1", s1), positive("s2", s2)
    if s1 == s2:
        raise OptionError(f"s1 and s2 are both {s1:g}, which leaves nothing; make them differ, by a factor of 1.6 as a rule")
    first, second = (gaussian(s, truncate=truncate).weights for s in (s1, s2))
    shape = max(first.shape, second.shape)
    return Kernel(padded(first, shape) - padded(second, shape), name=f"dog {s1:g} {s2:g}")


@designed
def gabor(
    wavelength: float,
    angle: float = 0.0,
    *,
    sigma: float | None = None,
    aspect: float = 1.0,
    phase: float = 0.0,
    truncate: float = 3.0,
) -> Kernel:
    """A wave under a Gaussian: answers to stripes of one width and direction.

    Parameters
    ----------
    wavelength
        Pixels from crest to crest, at least 2.
    angle
        Direction in which the wave runs (across the stripes), in degrees anticlockwise
        from +x as seen on screen.
    sigma
        Standard deviation of the Gaussian along that direction, in pixels; default
        0.56 · wavelength, which passes one octave.
    aspect
        How much narrower the Gaussian is along the stripes: its deviation there is
        ``sigma / aspect``.
    phase
        Degrees: 0 has a crest in the middle (bars), 90 a zero (edges).
    truncate
        Radius of the kernel in standard deviations.

    Notes
    -----
    ``exp(-(u² + aspect² v²) / 2σ²) · cos(2πu / wavelength + phase)`` with u along *angle* and v
    across it; the Gaussian sums to 1, so a wave of the right kind and amplitude 1 gives about
    ½. The form is OpenCV's ``getGaborKernel``, which leaves out the division (Daugman, *Uncertainty
    relation for resolution in space, spatial frequency, and orientation optimized by
    two-dimensional visual cortical filters*, JOSA A 2 (1985) 1160-1169).

    Examples
    --------
    >>> stripes = gabor(8, angle=90)
    >>> rows = np.cos(2 * np.pi * np.arange(27) / 8 - 2 * np.pi * 13 / 8)[:, None]
    >>> float((stripes.weights * rows).sum().round(2))
    0.5
    """
    wavelength = positive("wavelength", wavelength)
    if wavelength < 2:
        raise OptionError(f"wavelength={wavelength:g} is below 2 pixels, which no image can hold; use 2 or more")
    angle, phase = finite("angle", angle), finite("phase", phase)
    sigma = 0.56 * wavelength if sigma is None else positive("sigma", sigma)
    aspect, truncate = positive("aspect", aspect), positive("truncate", truncate)
    sine, cosine = turned(angle)
    wide = sigma / aspect
    made_of = f"sigma={sigma:g}, aspect={aspect:g} and truncate={truncate:g}"
    ry, rx = (
        radius_of(truncate * math.hypot(sigma * a, wide * b), made_of) for a, b in ((sine, cosine), (cosine, sine))
    )
    y, x = np.mgrid[-ry : ry + 1.0, -rx : rx + 1.0]
    u, v = x * cosine - y * sine, x * sine + y * cosine
    envelope = np.exp(-0.5 * ((u / sigma) ** 2 + (v / wide) ** 2))
    wave = np.cos(2 * np.pi * u / wavelength + math.radians(phase))
    words = "".join([f" σ={sigma:g}", f" aspect {aspect:g}" * (aspect != 1), f" phase {phase:g}°" * (phase != 0)])
    return Kernel(envelope / envelope.sum() * wave, name=f"gabor {wavelength:g} px {angle:g}°{words}")


def padded(weights: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Odd-sized weights in the middle of zeros."""
    (h, w), (height, width) = weights.shape, shape
    return np.pad(weights, [((height - h) // 2,) * 2, ((width - w) // 2,) * 2])
