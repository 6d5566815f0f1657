"""Error bars: of white residuals, and of those that are correlated with their neighbours."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

import corr2d

from .moments import of_pair
from .pairs import Frame, Pair, cut
from .solve import Normal, Solution

__all__ = ["covariance"]

_CROP = 1 << 20  # pixels of the picture whose correlation with itself is taken for that of all


def covariance(
    system: Normal, solution: Solution, variance: float, correlation: NDArray | None, samples: int, pair: Pair, frame: Frame, threads: int
) -> NDArray[np.float64]:  # fmt: skip
    """Of the taps: ``variance * G^-1``, corrected where residuals are correlated.

    The residual's correlation r(m) turns G into ``S = sum over m of r(m) * sum over i of phi(i) phi(i + m)'`` between the two inverses
    (Newey & West, *Econometrica*, 1987, in two dimensions): the products of the picture's patches with those of
    the picture filtered by r.
    """
    white = variance * solution.unit
    if correlation is None or solution.deficiency or samples < 2000 or pair.mixing:
        return white
    r = np.where(np.abs(correlation) > max(0.02, 5 / np.sqrt(samples)), correlation, 0.0)
    if np.count_nonzero(r) <= 1:
        return white
    middle = _filtered_gram(pair, frame, r, system, threads)
    if middle is None:
        return white
    wide = variance * solution.unit @ middle @ solution.unit
    # Estimated correlations may add up to less than nothing for a direction that hardly has any noise.
    return wide if (np.diag(wide) > 0.05 * np.diag(white)).all() else np.maximum(wide, 0.05 * white)


def _filtered_gram(pair: Pair, frame: Frame, r: NDArray, system: Normal, threads: int) -> NDArray | None:
    """S, from the middle of the picture, scaled to all of it."""
    rows, columns = pair.outputs(frame)
    side = int(_CROP**0.5)
    middle = [slice(s.start + max(0, s.stop - s.start - side) // 2, s.stop - max(0, s.stop - s.start - side + 1) // 2) for s in (rows, columns)]
    x = cut(pair, frame, 0, *middle).x[0].astype(float)
    if not np.isfinite(x).all() or any(n < 2 * m + k for n, m, k in zip(x.shape, r.shape, frame.size, strict=True)):
        return None
    x -= x.mean()
    reach = r.shape[0] // 2
    both = np.stack([x[reach:-reach, reach:-reach], corr2d.corr2d(x, r, dtype="float64")])
    nothing = np.zeros((1, both.shape[1] - frame.size[0] + 1, both.shape[2] - frame.size[1] + 1))
    total = of_pair(both, nothing, frame.size, (0.0, 0.0), threads).matrix
    total = total - np.outer(total[0], total[0]) / total[0, 0]
    p = len(system.gram)
    plain, filtered = total[1 : 1 + p, 1 : 1 + p], total[1 : 1 + p, 1 + p : 1 + 2 * p]
    scale = np.trace(system.gram) / max(float(np.trace(plain)), 1e-300)
    return scale * (filtered + filtered.T) / 2
