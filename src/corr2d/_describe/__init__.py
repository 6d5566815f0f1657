"""What does this kernel do? `corr2d.describe` is the door.

``sight.py``        the kernel trimmed and scaled
``naming.py``       the engine that ranks what families propose
``families.py``     the list of families: ``fixed``, ``spans``, ``blurs``, ``samplers``
``measures.py``     gain, moments, orders, symmetry, rank, frequencies
``rational.py``     the nearest fractions
``description.py``  the answer, in numbers;  ``words.py``  in words
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .._errors import DTypeError, OptionError, ShapeError
from ..kernel import Kernel
from .description import Description
from .families import FAMILIES
from .naming import name_of
from .sight import sights

__all__ = ["Description", "describe"]

_NOISE = 2e-6  # of the largest weight: what a kernel may be off and still be itself
_ROUNDING = 4 * 2.0**-53


def describe(kernel: Any, *, tolerance: Any = None) -> Description:
    """What a kernel does, in plain words and in numbers, with its name if it has one.

    Nothing is taken from a `Kernel`'s own name: the weights are measured.

    Parameters
    ----------
    kernel : array_like, shape (kh, kw), or Kernel
        Real weights in correlation orientation. The anchor of a `Kernel` counts.
    tolerance : float or array_like of the kernel's shape, optional
        How far each weight may be from the truth, in the weights' own unit: standard errors of a
        learnt kernel, half the last digit of a printed one. Default: two millionths of the
        largest weight, and rounding.

    Returns
    -------
    Description
        ``print`` it, or ask for ``name``, ``gain``, ``rank``, ``symmetry``, ``derivative_order``,
        ``accuracy_order``, ``noise_gain``, ``moments``, ``to_dict()`` and the rest.

    Raises
    ------
    ShapeError
        A kernel with four axes, which is several kernels; a tolerance of another shape.
    DTypeError, OptionError
        Complex weights; a tolerance that is negative or not finite.

    Examples
    --------
    >>> import corr2d
    >>> corr2d.describe([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]).name
    'Sobel, x-derivative'
    >>> corr2d.describe([[3, 1], [4, 1]]).name
    'no known family'
    >>> learnt = [[0.1, 0.0, -0.1], [0.21, 0.01, -0.19], [0.11, 0.0, -0.1]]
    >>> corr2d.describe(learnt, tolerance=0.01).family
    'sobel'
    """
    kernel = kernel if isinstance(kernel, Kernel) else Kernel(kernel)
    if kernel.ndim == 4:
        o, i = kernel.shape[:2]
        raise ShapeError(f"the kernel has shape {kernel.shape}, {o * i} kernels; describe one of them: describe(kernel.weights[0, 0])")
    weights = kernel.weights
    if weights.dtype.kind == "c":
        if weights.imag.any():
            raise DTypeError("the kernel is complex; describe its parts: describe(kernel.weights.real) and .imag")
        weights = weights.real.copy()
    tap = kernel.anchor or ((weights.shape[0] - 1) // 2, (weights.shape[1] - 1) // 2)
    allowed = _tolerance(tolerance, weights)
    names = name_of(sights(weights, allowed, tap), *FAMILIES)
    return Description(weights, allowed, tap, float(np.real(kernel.bias)), names)


def _tolerance(given: Any, weights: np.ndarray) -> np.ndarray:
    largest = float(np.abs(weights).max())
    if given is None:
        return np.full(weights.shape, max(_NOISE * largest, np.finfo(float).tiny))
    try:
        tolerance = np.asarray(given, dtype=float)
    except (TypeError, ValueError):
        raise DTypeError(f"tolerance={given!r} is neither a number nor an array of numbers") from None
    if tolerance.ndim and tolerance.shape != weights.shape:
        raise ShapeError(f"tolerance has shape {tolerance.shape} and the kernel {weights.shape}; give one number, or one for each weight")
    if not np.isfinite(tolerance).all() or (tolerance < 0).any():
        raise OptionError("tolerance holds a number below 0 or not finite; it is how far each weight may be off")
    return np.maximum(np.broadcast_to(tolerance, weights.shape), max(_ROUNDING * largest, np.finfo(float).tiny))
