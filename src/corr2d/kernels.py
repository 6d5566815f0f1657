"""Kernels by name: derivatives, smoothing, edges, bands, sharpening, optics.

Every function returns a `Kernel` with float64 weights in *correlation*
orientation: `corr2d.corr2d(image, kernel)` multiplies them with the pixels as
they are written here. ``axis=1`` is x, which grows to the right along a row;
``axis=0`` is y, which grows downwards. Angles are in degrees, anticlockwise from
+x as seen on screen; vectors are ``(dy, dx)``. Each docstring says what the weights
sum to or scale, and where the formula is from; impossible requests are refused
with the reason.

>>> import numpy as np
>>> from corr2d import corr2d, kernels
>>> corr2d(np.arange(5.0)[None] ** 2, kernels.derivative(dx=2))
array([[2., 2., 2.]])
"""

from ._design.bands import dog, gabor, log
from ._design.contrast import emboss, sharpen, unsharp
from ._design.derivatives import derivative, directional, laplacian, smallest_derivative
from ._design.edges import compass, farid, kirsch, prewitt, roberts, scharr, sobel
from ._design.optics import airy, disk, moffat, motion
from ._design.resampling import identity, lanczos, shift
from ._design.smoothing import binomial, box, gaussian, integral, savgol

__all__ = [
    "airy", "binomial", "box", "compass", "derivative", "directional", "disk", "dog", "emboss", "farid", "gabor", "gaussian",
    "identity", "integral", "kirsch", "lanczos", "laplacian", "log", "moffat", "motion", "prewitt", "roberts", "savgol", "scharr",
    "sharpen", "shift", "smallest_derivative", "sobel", "unsharp",
]  # fmt: skip
