"""What the kernel is called: by `corr2d.describe`, within the error bars."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

import corr2d

from ..kernel import Kernel

__all__ = ["name_of"]

_UNKNOWN = "no known family"
_SIGMAS = 4.0


def name_of(kernel: Kernel, stderr: NDArray, integers: Kernel | None) -> str:
    """A name, or "". Where integers reproduce the pictures it is they that are named; where only the taps
    within their errors have one, that is the filter which the integers stand for."""
    if kernel.ndim != 2 or not kernel.weights.any():
        return ""
    weights = kernel.weights
    tolerance = np.maximum(_SIGMAS * stderr, 1e-9 * np.abs(weights).max())
    near = corr2d.describe(Kernel(weights, anchor=kernel.anchor), tolerance=tolerance).name
    if integers is None:
        return "" if near == _UNKNOWN else near
    exact = corr2d.describe(Kernel(integers.weights, anchor=kernel.anchor)).name
    if exact != _UNKNOWN:
        return exact
    return "" if near == _UNKNOWN else f"{near}, in fixed point"
