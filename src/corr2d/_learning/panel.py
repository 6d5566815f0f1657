"""A picture of the answer: before, after, prediction, residual, the kernel and its error bars."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

import corr2d

from .._errors import MissingExtraError
from .result import LearnedKernel

try:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
except ImportError:
    raise MissingExtraError('a panel needs matplotlib; pip install "corr2d[plot]"') from None

__all__ = ["draw"]

_MOST = 1200  # pixels along a side that are worth drawing


def draw(path: str | os.PathLike[str], before: NDArray, after: NDArray, fit: LearnedKernel) -> None:
    """Save the panel as PNG, SVG or PDF."""
    figure = Figure(figsize=(13, 8), layout="constrained")
    FigureCanvasAgg(figure)  # no window, whatever the user's backend is
    top, below = figure.subplots(2, 3)
    predicted = _prediction(before, fit)
    low, high = float(np.nanmin(_grey(after))), float(np.nanmax(_grey(after)))
    if fit.verdict == "lsi+clipping":  # what stopped at the ends is no error
        predicted = np.clip(predicted, low, high)
    residual = _grey(after).astype(float) - predicted if predicted.shape == _grey(after).shape else None
    for axis, title, picture in zip(top, ("before", "after", "predicted"), (_grey(before), _grey(after), predicted), strict=True):
        limits = {} if title == "before" else {"vmin": low, "vmax": max(high, low + 1e-9)}
        axis.imshow(_thin(picture), cmap="gray", interpolation="nearest", **limits)
        axis.set_title(title)
        axis.set_axis_off()
    _residual(figure, below[0], residual, fit)
    _kernel(figure, below[1], fit)
    _errors(below[2], fit)
    name = f", {fit.name}" if fit.name else ""
    figure.suptitle(f"{fit.verdict}{name}: rms {fit.rms:.4g}")
    corr2d.plot.save(figure, path)


def _grey(picture: NDArray) -> NDArray:
    return picture if picture.ndim == 2 else picture.mean(-1)


def _prediction(before: NDArray, fit: LearnedKernel) -> NDArray:
    if before.ndim == 2:
        return fit.predict(before)
    planes = np.moveaxis(before, -1, 0)
    return fit.predict(planes).mean(0)


def _thin(picture: NDArray) -> NDArray:
    return picture[tuple(slice(None, None, max(1, n // _MOST)) for n in picture.shape)]


def _residual(figure: Figure, axis: Any, residual: NDArray | None, fit: LearnedKernel) -> None:
    axis.set_title("after - predicted")
    axis.set_axis_off()
    if residual is not None:
        reach = max(3 * fit.rms, 1e-12)
        drawn = axis.imshow(_thin(residual), cmap="RdBu", vmin=-reach, vmax=reach, interpolation="nearest")
        figure.colorbar(drawn, ax=axis, shrink=0.7)


def _flat(fit: LearnedKernel) -> tuple[NDArray, NDArray]:
    """The kernel and its errors as one table: channels of inputs side by side, outputs below each other."""
    weights, stderr = fit.kernel.weights, fit.stderr
    if weights.ndim == 4:
        o, i, kh, kw = weights.shape
        weights, stderr = (a.transpose(0, 2, 1, 3).reshape(o * kh, i * kw) for a in (weights, stderr))
    return weights, stderr


def _kernel(figure: Figure, axis: Any, fit: LearnedKernel) -> None:
    weights, _ = _flat(fit)
    reach = float(np.abs(weights).max()) or 1.0
    drawn = axis.imshow(weights, cmap="RdBu", vmin=-reach, vmax=reach)
    axis.set_title(f"kernel, {'x'.join(map(str, fit.kernel.shape))}")
    axis.set_xticks(range(weights.shape[1]) if weights.shape[1] <= 15 else [])
    axis.set_yticks(range(weights.shape[0]) if weights.shape[0] <= 15 else [])
    if weights.size <= 49:
        for (row, column), value in np.ndenumerate(weights):
            axis.text(column, row, _short(value, reach), ha="center", va="center", fontsize=8, color="white" if abs(value) > 0.6 * reach else "black")
    figure.colorbar(drawn, ax=axis, shrink=0.7)


def _short(value: float, reach: float) -> str:
    """Three digits; what is only rounding beside the largest weight is 0."""
    return f"{value:.3g}" if abs(value) > 1e-12 * reach else "0"


def _errors(axis: Any, fit: LearnedKernel) -> None:
    weights, stderr = _flat(fit)
    axis.errorbar(np.arange(weights.size), weights.ravel(), yerr=2 * stderr.ravel(), fmt="o", markersize=3, capsize=2)
    axis.axhline(0, color="0.7", linewidth=0.8, zorder=0)
    axis.set_title("taps in reading order, two standard errors")
    axis.set_xlabel("tap")
