"""corr2d: 2-D cross-correlation of images with kernels.

``corr2d.corr2d(image, kernel)`` applies a kernel, ``corr2d.plan`` says how and why,
``corr2d.kernels`` designs kernels, ``corr2d.describe`` says what one does,
``corr2d.learn_kernel`` finds the one between two pictures, ``corr2d.images`` reads and writes pictures.
"""

from __future__ import annotations

import atexit as _atexit
import importlib as _importlib
from typing import Any as _Any

from . import _native
from ._api import convolve2d, corr2d, plan
from ._errors import Corr2dError, DTypeError, ImageFileError, MissingExtraError, NoCandidateError, OptionError, ShapeError
from ._plan import Plan, get_threads, set_threads

__version__ = "0.1.0"

__all__ = [
    "Corr2dError",
    "DTypeError",
    "ImageFileError",
    "Kernel",
    "KernelLearner",
    "KernelStudio",
    "LearnedKernel",
    "MissingExtraError",
    "NoCandidateError",
    "OptionError",
    "Plan",
    "ShapeError",
    "as_linear_operator",
    "as_matrix",
    "convolve2d",
    "corr2d",
    "describe",
    "get_threads",
    "im2col",
    "images",
    "kernels",
    "learn_kernel",
    "learning",
    "plan",
    "plot",
    "set_threads",
]

_LAZY = {
    "Kernel": ("kernel", "Kernel"),
    "KernelLearner": ("learning", "KernelLearner"),
    "KernelStudio": ("studio._widget", "KernelStudio"),
    "LearnedKernel": ("learning", "LearnedKernel"),
    "as_linear_operator": ("matrix", "as_linear_operator"),
    "as_matrix": ("matrix", "as_matrix"),
    "describe": ("_describe", "describe"),
    "im2col": ("matrix", "im2col"),
    "images": ("images", None),
    "kernels": ("kernels", None),
    "learn_kernel": ("learning", "learn_kernel"),
    "learning": ("learning", None),
    "nn": ("nn", None),
    "plot": ("plot", None),
}

_atexit.register(_native.shutdown)  # no thread outlives the interpreter


def __getattr__(name: str) -> _Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'corr2d' has no attribute {name!r}")
    module, attribute = _LAZY[name]
    loaded = _importlib.import_module(f"corr2d.{module}")
    value = getattr(loaded, attribute) if attribute else loaded
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
