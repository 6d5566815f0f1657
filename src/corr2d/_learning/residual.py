"""What the kernel leaves unexplained, over all pixels: its size, its largest, and what it still has in common with the taps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

import corr2d

from .lagsums import lags
from .pairs import Frame, Pair, over
from .pieces import pieces, square

__all__ = ["Residuals", "measure", "predicted"]


@dataclass(frozen=True, slots=True, eq=False)
class Residuals:
    """Sums over all usable outputs, weighted where there are weights."""

    count: float
    pixels: int
    squares: NDArray  # (D,)
    worst: float
    slope: NDArray | None  # (1 + P, D): residuals times (1, patch)

    @property
    def rms(self) -> float:
        return float(np.sqrt(self.squares.sum() / max(self.count * len(self.squares), 1e-300)))


def predicted(x: NDArray, weights: NDArray, bias: NDArray, threads: int | None = None) -> NDArray[np.float64]:
    """x (C, h, w) under weights (D, C, kh, kw), where the window lies inside: (D, h', w')."""
    if weights.shape[:2] == (1, 1):
        out = corr2d.corr2d(x[0], weights[0, 0], dtype="float64", threads=threads)[None]
    else:
        out = corr2d.corr2d(x, weights, dtype="float64", threads=threads)
    if bias.any():
        out += bias[:, None, None]
    return out


def measure(
    pair: Pair, frame: Frame, weights: NDArray, bias: NDArray, origins: tuple[float, float], threads: int,
    extra: Any = None, factors: Any = None, slope: bool = False,
) -> Residuals:  # fmt: skip
    """Go over all outputs once more."""
    outputs, taps = weights.shape[0], weights[0].size
    count, pixels, worst = 0.0, 0, 0.0
    squares = np.zeros(outputs)
    against = np.zeros((1 + taps, outputs)) if slope else None
    factors = pair.weights if factors is None else factors
    for part in over(pair, frame, _of_band, weights, bias, origins, threads, extra, factors, slope):
        count, pixels, worst = count + part.count, pixels + part.pixels, max(worst, part.worst)
        squares += part.squares
        if against is not None:
            against += part.slope
    return Residuals(count, pixels, squares, worst, against)


def _of_band(_pair, _frame, band, weights, bias, origins, threads, extra, factors, slope) -> Residuals:
    e = predicted(band.x, weights, bias, threads)
    used = band.used
    if extra is not None:
        more = extra[band.plane, band.rows, band.columns]
        used = more if used is None else used & more
    w = None if factors is None else np.asarray(factors[band.plane, band.rows, band.columns], dtype=float)
    worst, squares = 0.0, np.zeros(len(e))
    for d, (one, y) in enumerate(zip(e, band.y, strict=True)):
        for part in pieces(one.shape):
            largest, energy = _left(one[part], y[part], None if used is None else used[part], None if w is None else w[part])
            worst = max(worst, largest)
            squares[d] += energy
    pixels = e[0].size if used is None else int(np.count_nonzero(used))
    count = float(pixels) if w is None else float(w.sum() if used is None else w[used].sum())
    against = None
    if slope:
        x = band.x if band.used is None else np.where(np.isfinite(band.x), band.x, origins[0])
        weighted = e if w is None else e * w
        taps = [np.concatenate([lags(one, c, (0.0, origins[0]), threads).ravel() for c in x]) for one in weighted]
        against = np.concatenate([weighted.sum((1, 2))[None], np.stack(taps, 1)])
    return Residuals(count, pixels, squares, worst, against)


def _left(e: NDArray, y: NDArray, used: NDArray | None, w: NDArray | None) -> tuple[float, float]:
    """The largest of what is left, and its weighted sum of squares; `e` holds the prediction and, afterwards, the residuals."""
    np.subtract(y.astype(float), e, out=e)
    if used is not None:
        e[~used] = 0.0
    v = e.ravel()
    return max(float(v.max()), -float(v.min())), square(v) if w is None else float(np.einsum("i,i,i->", v, v, w.ravel()))
