"""What the kernel is called: by the package's description, within the error bars."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

import corr2d

from ..kernel import Kernel

__all__ = ["name_of"]


def name_of(kernel: Kernel, stderr: NDArray, integers: Kernel | None) -> str:
    """A name, or "". Where integers reproduce the pictures, it is they that are named."""
    exact = kernel if integers is None else integers
    if kernel.ndim != 2:
        return ""
    describe = getattr(corr2d, "describe", None)
    if describe is not None:
        return str(describe(exact).name or "")
    tolerance = np.maximum(4 * stderr, 1e-9 * np.abs(exact.weights).max())
    for name, taps in _KNOWN:
        known = np.array(taps, dtype=float)
        if known.shape == exact.shape and (np.abs(exact.weights - known) <= tolerance).all():
            return name
    return ""


_KNOWN = [("identity", [[1]])]
