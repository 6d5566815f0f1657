"""Families without parameters to fit: weights that are looked up."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from .. import kernels
from .naming import CLOSE, Fit
from .sight import Sight

__all__ = ["constant", "pascal", "quadrature", "templates"]

Array = NDArray[np.float64]
_ORDINAL = {1: "first", 2: "second", 3: "third", 4: "fourth"}


def templates(k: Sight) -> Iterator[Fit]:
    """Operators that are known by heart."""
    known = _library().get(k.shape)
    if known is None:
        return
    stack, entries = known
    overlap = np.abs(stack @ k.weights.ravel()) / (np.linalg.norm(k.weights) * np.linalg.norm(stack, axis=1))
    # 1 - cos² is the share of the energy that is missed; the judge measures properly.
    missed = 2 * max(CLOSE, 2 * k.floor)
    for i in np.flatnonzero(overlap**2 > 1 - missed**2):
        words, family, parameters = entries[i]
        yield Fit(words, stack[i].reshape(k.shape), family, parameters)


def constant(k: Sight) -> Iterator[Fit]:
    """One weight everywhere: a mean or a sum."""
    h, w = k.shape
    if k.weights.size == 1:
        y, x = k.middle
        if y == x == 0:
            yield Fit("identity", np.ones((1, 1)), "identity")
        else:
            where = _moved(-y, -x)
            yield Fit(f"shift of the picture by {where}", np.ones((1, 1)), "shift", {"dy": -y, "dx": -x})
    elif k.same(np.full(k.shape, k.weights.mean())):
        yield Fit(f"box, mean of {h}×{w}", np.full(k.shape, 1 / (h * w)), "box", {"h": h, "w": w})


def pascal(k: Sight) -> Iterator[Fit]:
    """Binomial smoothing of any size."""
    h, w = k.shape
    if max(h, w) > 2 and k.nonnegative and k.even and max(h, w) <= 200:
        column, row = (kernels.binomial(n).weights.sum(axis=0) for n in (h, w))
        yield Fit(f"binomial {h}×{w}", np.outer(column, row), "binomial", {"h": h, "w": w})


def quadrature(k: Sight) -> Iterator[Fit]:
    """Integration rules along a row or a column."""
    n = max(k.shape)
    if min(k.shape) > 1 or n < 2:
        return
    axis = "x" if k.shape[0] == 1 else "y"
    for rule in ("trapezoid", "simpson"):
        if rule == "trapezoid" and n > 2 or n % 2 and n > 2:
            weights = kernels.integral(n, rule).weights.reshape(k.shape)
            title = {"trapezoid": "trapezoidal rule", "simpson": "Simpson's rule"}[rule]
            yield Fit(f"integral over {n} px along {axis}, {title}", weights, "integral", {"n": n, "rule": rule, "axis": axis})


def _moved(dy: float, dx: float) -> str:
    """"1 px down and 2 px left"."""
    parts = [
        f"{abs(d):g} px {there if d > 0 else back}"
        for d, there, back in ((dy, "down", "up"), (dx, "right", "left"))
        if d
    ]
    return " and ".join(parts)


@lru_cache(maxsize=1)
def _library() -> dict[tuple[int, int], tuple[Array, list[tuple[str, str, dict]]]]:
    """Every template with its words, by shape; a direction's opposite is a scale of -1."""
    shelves: dict[tuple[int, int], tuple[list, list]] = defaultdict(lambda: ([], []))

    def put(words: str, weights, family: str, **parameters) -> None:
        weights = np.asarray(weights, dtype=float)
        stack, entries = shelves[weights.shape]
        if not any(np.array_equal(weights.ravel(), known) for known in stack):
            stack.append(weights.ravel())
            entries.append((words, family, parameters))

    for axis, letter in ((1, "x"), (0, "y")):
        for title, design in (("Sobel", kernels.sobel), ("Scharr", kernels.scharr), ("Prewitt", kernels.prewitt), ("Farid", kernels.farid)):
            put(f"{title}, {letter}-derivative", design(axis), title.lower(), axis=axis)
        for size in (5, 7, 9):  # OpenCV's larger Sobels
            slope = np.convolve([-1.0, 0, 1], _pascal_row(size - 2))
            wide = np.outer(_pascal_row(size), slope)
            put(f"Sobel {size}×{size}, {letter}-derivative", wide if axis else wide.T, "sobel", axis=axis, size=size)
        put(f"Roberts' cross, down to the {'right' if axis else 'left'}", kernels.roberts(axis), "roberts", axis=axis)
    _put_differences(put)
    put("5-point Laplacian", kernels.laplacian(), "laplacian", points=5)
    put("9-point Laplacian", kernels.laplacian(9), "laplacian", points=9)
    put("8-neighbour Laplacian", [[1, 1, 1], [1, -8, 1], [1, 1, 1]], "laplacian", points=8)
    put("diagonal Laplacian", [[0.5, 0, 0.5], [0, -2, 0], [0.5, 0, 0.5]], "laplacian", points=4)
    put("Laplacian as the second Sobel derivatives", [[2, 0, 2], [0, -8, 0], [2, 0, 2]], "laplacian", points=4)
    put("noise mask (the second difference both ways)", [[1, -2, 1], [-2, 4, -2], [1, -2, 1]], "laplacian", points=9)
    for direction in ("N", "NE", "E", "SE", "S", "SW", "W", "NW"):
        put(f"Kirsch, {direction}", kernels.kirsch(direction), "kirsch", direction=direction)
        put(f"Prewitt's compass, {direction}", kernels.compass(direction), "compass", direction=direction)
    for direction, slope in (("NE", [[0, 1, 2], [-1, 0, 1], [-2, -1, 0]]), ("NW", [[2, 1, 0], [1, 0, -1], [0, -1, -2]])):
        put(f"Sobel, towards {direction} (Robinson)", slope, "robinson", direction=direction)
        plain = np.sign(slope)
        put(f"Prewitt, towards {direction}", plain, "prewitt", direction=direction)
    return {shape: (np.array(stack), entries) for shape, (stack, entries) in shelves.items()}


def _put_differences(put) -> None:
    """Finite differences along x and y, and mixed partials."""
    for order in range(1, 9):
        smallest = kernels.smallest_derivative(order)
        title = {1: "difference of neighbours", 2: "second difference"}.get(order, f"smallest derivative of order {order}")
        for letter, weights in (("x", smallest), ("y", smallest.T)):
            put(f"{title} along {letter}", weights, "smallest_derivative", order=order, axis=letter)
    for order in range(1, 5):
        for accuracy in range(1, 9):
            for scheme in ("central", "forward", "backward"):
                if scheme == "central" and accuracy % 2:
                    continue
                along_x = kernels.derivative(dx=order, accuracy=accuracy, scheme=scheme)
                how = "central difference" if scheme == "central" else f"{scheme} difference"
                for letter, weights in (("x", along_x), ("y", along_x.T)):
                    words = f"{_ORDINAL[order]} {letter}-derivative, {how} of accuracy {accuracy}"
                    put(words, weights, "derivative", order=order, axis=letter, accuracy=accuracy, scheme=scheme)
    for dy in range(1, 4):
        for dx in range(1, 4):
            for accuracy in (2, 4):
                mixed = kernels.derivative(dy, dx, accuracy=accuracy)
                powers = "".join(f"∂{a}{'' if n == 1 else '²³'[n - 2]}" for a, n in (("y", dy), ("x", dx)))
                put(f"mixed derivative {powers}, accuracy {accuracy}", mixed, "derivative", dy=dy, dx=dx, accuracy=accuracy)


def _pascal_row(n: int) -> Array:
    row = np.ones(1)
    for _ in range(n - 1):
        row = np.convolve(row, [1.0, 1.0])
    return row
