"""What the kernel leaves unexplained, over all pixels: its size, its largest, and what it still has in common with the taps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

import corr2d

from .lagsums import lags
from .pairs import Frame, Pair, over

__all__ = ["Residuals", "measure", "predicted"]


@dataclass(frozen=True, slots=True, eq=False)
class Residuals:
    """Sums over all usable outputs, weighted where there are weights."""

    count: float
    pixels: int
    squares: NDArray  # (D,)
    worst: float
    total: NDArray  # (D,): of after, around its origin
    energy: NDArray  # (D,)
    slope: NDArray | None  # (1 + P, D): residuals times (1, patch)

    @property
    def rms(self) -> float:
        return float(np.sqrt(self.squares.sum() / max(self.count * len(self.squares), 1e-300)))

    @property
    def r2(self) -> float:
        spread = float((self.energy - self.total**2 / max(self.count, 1e-300)).sum())
        return 1 - float(self.squares.sum()) / spread if spread > 0 else (1.0 if not self.squares.any() else 0.0)


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
    squares, total, energy = np.zeros(outputs), np.zeros(outputs), np.zeros(outputs)
    against = np.zeros((1 + taps, outputs)) if slope else None
    factors = pair.weights if factors is None else factors
    for part in over(pair, frame, _of_band, weights, bias, origins, threads, extra, factors, slope):
        count, pixels, worst = count + part.count, pixels + part.pixels, max(worst, part.worst)
        squares += part.squares
        total += part.total
        energy += part.energy
        if against is not None:
            against += part.slope
    return Residuals(count, pixels, squares, worst, total, energy, against)


def _of_band(_pair, _frame, band, weights, bias, origins, threads, extra, factors, slope) -> Residuals:
    y = band.y.astype(float)
    e = y - predicted(band.x, weights, bias, threads)
    y -= origins[1]
    used = band.used
    if extra is not None:
        more = extra[band.plane, band.rows, band.columns]
        used = more if used is None else used & more
    if used is not None:
        e, y = np.where(used, e, 0.0), np.where(used, y, 0.0)
    worst = float(np.abs(e).max()) if e.size else 0.0
    pixels = e[0].size if used is None else int(np.count_nonzero(used))
    count, weighted, seen, against = float(pixels), e, y, None
    if factors is not None:
        w = np.asarray(factors[band.plane, band.rows, band.columns], dtype=float)
        w = w if used is None else np.where(used, w, 0.0)
        count, weighted, seen = float(w.sum()), e * w, y * w
    if slope:
        x = band.x if band.used is None else np.where(np.isfinite(band.x), band.x, origins[0])
        taps = [np.concatenate([lags(one, c, (0.0, origins[0]), threads).ravel() for c in x]) for one in weighted]
        against = np.concatenate([weighted.sum((1, 2))[None], np.stack(taps, 1)])
    squares, energy = np.einsum("dhw,dhw->d", weighted, e), np.einsum("dhw,dhw->d", seen, y)
    return Residuals(count, pixels, squares, worst, seen.sum((1, 2)), energy, against)
