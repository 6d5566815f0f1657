"""Coefficients in fractions, so that nothing is rounded before the last step.

Finite differences, quadrature and least squares are all one question: which
weights give the right answer for every polynomial up to some degree?
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache

__all__ = ["difference_weights", "integral_weights", "polynomial_rows", "solve"]


@lru_cache(maxsize=256)
def difference_weights(order: int, offsets: tuple[int, ...]) -> tuple[Fraction, ...]:
    """Weights on f(offset) that give the derivative of *order* at 0, for all polynomials that n points can tell apart.

    They are the derivatives at 0 of Lagrange's basis polynomials, whose
    coefficients are multiplied out here (Fornberg, *Generation of Finite Difference
    Formulas on Arbitrarily Spaced Grids*, Math. Comp. 51 (1988), solves the same
    system by recursion).

    Examples
    --------
    >>> [str(w) for w in difference_weights(1, (-2, -1, 0, 1, 2))]
    ['1/12', '-2/3', '0', '2/3', '-1/12']
    """
    # w(t) = Π (t - s), then w(t) / (t - s) for each s by synthetic division: n² steps, all in integers.
    whole = [1]
    for s in offsets:
        whole = [b - s * a for a, b in zip([*whole, 0], [0, *whole], strict=True)]
    weights = []
    for s in offsets:
        quotient, carry = [0] * (len(whole) - 1), 0
        for power in reversed(range(len(quotient))):
            carry = whole[power + 1] + s * carry
            quotient[power] = carry
        others = math.prod(s - t for t in offsets if t != s)
        weights.append(Fraction(math.factorial(order) * quotient[order], others))
    return tuple(weights)


def integral_weights(n: int, rule: str) -> list[Fraction]:
    """Weights of a composite quadrature rule on n points, one apart."""
    if rule == "box":
        return [Fraction(1)] * n
    ends = Fraction(1, 2) if rule == "trapezoid" else Fraction(1, 3)
    inner = [Fraction(1)] * (n - 2) if rule == "trapezoid" else [Fraction(4 - 2 * (i % 2), 3) for i in range(n - 2)]
    return [ends, *inner, ends]


def solve(matrix: Sequence[Sequence[Fraction]], right: Sequence[Fraction]) -> list[Fraction]:
    """The solution of a positive definite system, by elimination in fractions."""
    rows = [[*map(Fraction, line), Fraction(b)] for line, b in zip(matrix, right, strict=True)]
    n = len(rows)
    for k in range(n):
        for i in range(k + 1, n):
            if rows[i][k]:
                factor = rows[i][k] / rows[k][k]
                rows[i] = [a - factor * b for a, b in zip(rows[i], rows[k], strict=True)]
    answer = [Fraction(0)] * n
    for k in reversed(range(n)):
        known = sum((rows[k][j] * answer[j] for j in range(k + 1, n)), Fraction(0))
        answer[k] = (rows[k][n] - known) / rows[k][k]
    return answer


def polynomial_rows(
    window: tuple[int, int], degree: int, order: tuple[int, int]
) -> list[list[Fraction]]:
    """Weights of the least-squares fit of a polynomial to a window, derived at its middle.

    The weights are themselves a polynomial of that degree in the tap's position:
    ``w(y, x) = Σ c_pq y^p x^q`` with ``c`` from the normal equations, whose entries
    are products of power sums, one for each axis.
    """
    half_y, half_x = (n // 2 for n in window)
    powers = [
        (p, q)
        for p in range(order[0] % 2, min(degree, 2 * half_y) + 1, 2)
        for q in range(order[1] % 2, min(degree - p, 2 * half_x) + 1, 2)
    ]
    sums_y, sums_x = ([sum(t**n for t in range(-h, h + 1)) for n in range(2 * degree + 1)] for h in (half_y, half_x))
    matrix = [[Fraction(sums_y[p + r] * sums_x[q + s]) for r, s in powers] for p, q in powers]
    target = [Fraction(math.factorial(p) * math.factorial(q) if (p, q) == order else 0) for p, q in powers]
    c = solve(matrix, target)
    return [
        [sum((a * y**p * x**q for a, (p, q) in zip(c, powers, strict=True) if a), Fraction(0)) for x in range(-half_x, half_x + 1)]
        for y in range(-half_y, half_y + 1)
    ]
