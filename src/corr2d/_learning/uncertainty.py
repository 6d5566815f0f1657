"""Error bars: of white residuals, and of those that are correlated with their neighbours."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .lagsums import lags
from .pairs import Frame, Pair, cut
from .solve import Normal, Solution

__all__ = ["covariance"]

_CROP = 1 << 20  # pixels of the picture whose correlation with itself is taken for that of all


def covariance(
    system: Normal, solution: Solution, variance: float, correlation: NDArray | None, samples: int, pair: Pair, frame: Frame, threads: int
) -> NDArray[np.float64]:  # fmt: skip
    """Of the taps: ``C G^-1``, widened where residuals are correlated.

    The residual's correlation r(m) turns G into ``S = sum over m of r(m) * sum over i of phi(i) phi(i + m)'`` between the two inverses
    (Newey & West, *Econometrica*, 1987, in two dimensions); for a stationary picture the inner sums depend on
    the distance of the taps alone.
    """
    white = variance * solution.unit
    if correlation is None or solution.deficiency or samples < 2000:
        return white
    reach = correlation.shape[0] // 2
    r = np.where(np.abs(correlation) > max(0.02, 5 / np.sqrt(samples)), correlation, 0.0)
    r[reach, reach] = 0
    if not r.any() or pair.mixing:
        return white
    kh, kw = frame.size
    spans = kh - 1 + reach, kw - 1 + reach
    own = _correlation_of(pair, frame, spans, threads)
    if own is None:
        return white
    places = np.indices((kh, kw)).reshape(2, -1)
    distance = places[:, None, :] - places[:, :, None]  # from tap a to tap c
    middle = system.gram.copy()
    scale = float(np.diag(system.gram).mean())
    for i, j in np.argwhere(r):
        far = distance + np.array([i - reach, j - reach])[:, None, None]
        middle += scale * r[i, j] * own[far[0] + spans[0], far[1] + spans[1]]
    wide = variance * solution.unit @ middle @ solution.unit
    # Never narrower than for white residuals: anticorrelated ones are mostly an artefact of rounding.
    return wide if np.diag(wide).sum() > np.diag(white).sum() else white


def _correlation_of(pair: Pair, frame: Frame, spans: tuple[int, int], threads: int) -> NDArray | None:
    """The picture's correlation with itself at distances up to spans, 1 at 0."""
    rows, columns = pair.outputs(frame)
    side = int(_CROP**0.5)
    middle = [slice(s.start + max(0, s.stop - s.start - side) // 2, s.stop - max(0, s.stop - s.start - side + 1) // 2) for s in (rows, columns)]
    x = cut(pair, frame, 0, *middle).x[0].astype(float)
    if not np.isfinite(x).all() or any(n <= 3 * s for n, s in zip(x.shape, spans, strict=True)):
        return None
    x -= x.mean()
    sy, sx = spans
    inner = x[sy : len(x) - sy, sx : x.shape[1] - sx]
    own = lags(inner, x, (0.0, 0.0), threads)
    own = (own + own[::-1, ::-1]) / 2
    return own / own[sy, sx]
