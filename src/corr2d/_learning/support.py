"""How large the kernel is: nested rectangles, each judged by BIC, from one factorisation.

Leaving taps S out of a least-squares fit with inverse Gram matrix C raises the residual sum of
squares by ``k_S' inv(C_SS) k_S``; the fit without them follows by a Schur complement (Seber & Lee, *Linear
Regression Analysis*, §3.7). So from the largest window one side after the other is taken
away, always the one that is missed least, down to a single tap; of all rectangles on the way the
one of least BIC (Schwarz 1978) is the answer. No pixel is read again.
"""

from __future__ import annotations

import numpy as np

from .solve import Normal, solve

__all__ = ["Rectangle", "choose"]

Rectangle = tuple[int, int, int, int]  # top, left, rows, columns


def choose(system: Normal, anchor: tuple[int, int] | None, resolution: float) -> Rectangle | None:
    """The rectangle of least BIC, or None where the images cannot tell the largest window's taps apart.

    Parameters
    ----------
    anchor : (int, int) or None
        A tap that the rectangle has to contain.
    resolution : float
        Variance per output below which residuals are rounding.
    """
    solution = solve(system)
    if solution.deficiency:
        return None
    m = system.moments
    places = np.indices((m.channels, *m.size)).reshape(3, -1)
    k, inverse, rss = solution.k, solution.unit, float(solution.rss.sum())
    n, outputs = system.count, k.shape[1]
    # Where `after` has no contrast nothing is left over, and the fewest taps are the best.
    floor = max(resolution * n * outputs, 1e-12 * float(system.energy.sum()), np.finfo(float).tiny * n)
    rect = (0, 0, *m.size)

    def bic() -> float:
        return n * outputs * np.log(max(rss, floor) / n) + k.size * np.log(n)

    best, chosen = bic(), rect
    while (sides := _sides(rect, anchor)):
        rises = []
        for axis, at, smaller in sides:
            gone = places[axis] == at
            rises.append((float((k[gone] * np.linalg.solve(inverse[np.ix_(gone, gone)], k[gone])).sum()) / gone.sum(), gone, smaller))
        rise, gone, rect = min(rises, key=lambda side: side[0])  # per tap: a long side has more to lose
        rss += rise * gone.sum()
        bridge = np.linalg.solve(inverse[np.ix_(gone, gone)], inverse[np.ix_(gone, ~gone)]).T
        k, inverse = k[~gone] - bridge @ k[gone], inverse[np.ix_(~gone, ~gone)] - bridge @ inverse[np.ix_(gone, ~gone)]
        places = places[:, ~gone]
        if bic() < best:
            best, chosen = bic(), rect
    return chosen


def _sides(rect: Rectangle, anchor: tuple[int, int] | None) -> list[tuple[int, int, Rectangle]]:
    """What may be taken away: the axis of `places`, the row or column, the rectangle that stays."""
    top, left, rows, columns = rect
    sides = []
    if rows > 1:
        sides += [(1, top, (top + 1, left, rows - 1, columns)), (1, top + rows - 1, (top, left, rows - 1, columns))]
    if columns > 1:
        sides += [(2, left, (top, left + 1, rows, columns - 1)), (2, left + columns - 1, (top, left, rows, columns - 1))]
    return [side for side in sides if anchor is None or _contains(side[2], anchor)]


def _contains(rect: Rectangle, tap: tuple[int, int]) -> bool:
    top, left, rows, columns = rect
    return top <= tap[0] < top + rows and left <= tap[1] < left + columns

