"""What can be measured on any kernel: gain, moments, orders, symmetry, rank, frequencies.

Moments are about the anchor. By Taylor's series, filtering is the sum over p, q of
``M_pq / (p! q!)`` times ∂^p/∂y^p ∂^q/∂x^q of the image: the first order that is left says
which derivative a kernel takes, the next that is left says what it does wrong.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Orders", "Response", "Symmetry", "half_turn", "moments", "orders", "rank", "response", "spread", "symmetry"]

Array = NDArray[np.float64]

HIGHEST = 10  # order of the moments that are looked at
LEAK = 2e-3  # a sum below this share of Σ|w| is a derivative that leaks, not a blur
_GRID = 64  # frequencies a side at which the response is sampled


class Orders(NamedTuple):
    """The operator a kernel stands for, and its leading error; terms are {(p, q): coefficient}."""

    derivative: int | None
    accuracy: int | None
    operator: dict[tuple[int, int], float]
    error: dict[tuple[int, int], float]


class Symmetry(NamedTuple):
    """The group's name, words, and what each of the square's eight symmetries does (1, -1 or 0)."""

    group: str
    words: str
    signs: dict[str, int]


class Response(NamedTuple):
    """The frequency response in numbers; frequencies in cycles per pixel."""

    nyquist_y: float
    nyquist_x: float
    peak: float
    peak_at: tuple[float, float]
    cutoff_y: tuple[float, float] | None
    cutoff_x: tuple[float, float] | None
    least: float  # of |H|, as a share of the peak
    least_at: tuple[float, float]


def moments(weights: Array, tap: tuple[int, int], highest: int = 4) -> dict[tuple[int, int], float]:
    """Σ w y^p x^q about the anchor, for p + q up to *highest*."""
    powers_y, powers_x = (
        np.vander(np.arange(n) - float(t), highest + 1, increasing=True) for n, t in zip(weights.shape, tap, strict=True)
    )
    table = powers_y.T @ weights @ powers_x
    return {(p, n - p): float(table[p, n - p]) for n in range(highest + 1) for p in range(n, -1, -1)}


def orders(weights: Array, tolerance: Array, tap: tuple[int, int]) -> Orders:
    """Derivative order, accuracy order and the terms of both, from vanishing moments."""
    about = moments(weights, tap, HIGHEST)
    absolute = _absolute_moments(weights, tap)
    doubt = _doubt(tolerance, tap)

    def left(n: int, share: float) -> dict[tuple[int, int], float]:
        """Terms of order n that are neither rounding, nor tolerance, nor a leak."""
        found = {}
        for p in range(n, -1, -1):
            m, size = about[p, n - p], absolute[p, n - p]
            if abs(m) > max(4 * doubt[p, n - p], 1e-11 * size, share * size):
                found[p, n - p] = m / (math.factorial(p) * math.factorial(n - p))
        return found

    first = next((n for n in range(HIGHEST + 1) if left(n, LEAK)), None)
    if first is None:
        return Orders(None, None, {}, {})
    operator = left(first, LEAK)
    for n in range(first + 1, HIGHEST + 1):
        error = left(n, 0.0)
        if error:
            return Orders(first, n - first, operator, error)
    return Orders(first, None, operator, {})


def symmetry(weights: Array, tolerance: Array) -> Symmetry:
    """What mirrors and turns do to the weights."""

    def sign(image: Array, slack: Array) -> int:
        if image.shape != weights.shape:
            return 0
        allowed = 4 * (tolerance + slack)
        return 1 if (np.abs(weights - image) <= allowed).all() else -1 if (np.abs(weights + image) <= allowed).all() else 0

    acts = {
        "left-right": lambda w: w[:, ::-1], "up-down": lambda w: w[::-1], "half turn": lambda w: w[::-1, ::-1],
        "transpose": lambda w: w.T, "anti-transpose": lambda w: w[::-1, ::-1].T,
        "quarter turn": lambda w: np.rot90(w), "three-quarter turn": lambda w: np.rot90(w, 3),
    }  # fmt: skip
    signs = {name: sign(act(weights), act(tolerance)) for name, act in acts.items()}
    held = [name for name, s in signs.items() if s]
    turned = signs["quarter turn"] != 0
    group = {(0, False): "C1", (1, False): "D1", (3, False): "D2", (3, True): "C4", (7, True): "D4"}[len(held), turned]
    if group == "D1" and signs["half turn"]:
        group = "C2"
    if not held:
        return Symmetry(group, "none", signs)
    if all(signs[name] == 1 for name in signs) and group == "D4":
        return Symmetry(group, "the same under every mirror and quarter turn", signs)
    words = []
    for s, what in ((1, "the same"), (-1, "opposite")):
        which = [name for name in held if signs[name] == s and name != "three-quarter turn"]
        if which:
            words.append(f"{what} under {', '.join(which)}")
    return Symmetry(group, "; ".join(words), signs)


def rank(weights: Array, tolerance: Array) -> tuple[int, float, tuple[Array, Array] | None]:
    """The rank within the tolerance, the share of Σ|w| that one product misses, and its factors."""
    u, s, vt = np.linalg.svd(weights, full_matrices=False)
    if not s[0]:
        return 0, 0.0, None
    largest = float(tolerance.max())  # squares of weights may leave float64's range
    noise = largest * float(np.sqrt(np.mean((tolerance / largest) ** 2))) * (math.sqrt(weights.shape[0]) + math.sqrt(weights.shape[1]))
    found = int((s > max(noise, s[0] * 1e-13 * max(weights.shape))).sum())
    column, row = u[:, 0] * math.sqrt(s[0]), vt[0] * math.sqrt(s[0])
    if column[np.abs(column).argmax()] < 0:
        column, row = -column, -row
    missed = float(np.abs(weights - np.outer(column, row)).sum() / np.abs(weights).sum())
    return found, missed, (column, row) if found == 1 else None


def spread(about: dict[tuple[int, int], float]) -> tuple[tuple[float, float], float | None] | None:
    """Standard deviations along and across the longer axis, and its angle in degrees; for smoothing kernels."""
    total = about[0, 0]
    my, mx = about[1, 0] / total, about[0, 1] / total
    cyy, cxx, cyx = about[2, 0] / total - my * my, about[0, 2] / total - mx * mx, about[1, 1] / total - my * mx
    half, difference = (cyy + cxx) / 2, math.hypot((cxx - cyy) / 2, cyx)
    if half - difference < -1e-12 * abs(half) or half <= 0:
        return None
    sigmas = math.sqrt(half + difference), math.sqrt(max(half - difference, 0.0))
    if difference <= 1e-6 * half:
        return sigmas, None
    return sigmas, half_turn(math.degrees(0.5 * math.atan2(-2 * cyx, cxx - cyy)))


def half_turn(angle: float) -> float:
    """The angle of a line, from 0 to below 180."""
    angle %= 180
    return 0.0 if 180 - angle < 1e-9 else angle


def response(weights: Array) -> Response:
    """Where the frequency response peaks, falls to 1/√2 and vanishes."""
    side = max(_GRID, 1 << (max(weights.shape) - 1).bit_length() + 1)
    half = np.abs(np.fft.rfft2(weights, (side, side)))
    peak_index = np.unravel_index(half.argmax(), half.shape)
    least_index = np.unravel_index(half.argmin(), half.shape)
    peak = float(half[peak_index])

    def place(index) -> tuple[float, float]:
        fy, fx = (int(i) for i in index)
        return (fy if fy <= side // 2 else fy - side) / side, fx / side

    along_y, along_x = half[: side // 2 + 1, 0], half[0, :]
    return Response(
        float(along_y[-1]), float(along_x[-1]), peak, place(peak_index),
        _passband(weights.sum(axis=1)), _passband(weights.sum(axis=0)), float(half[least_index]) / peak if peak else 0.0, place(least_index),
    )  # fmt: skip


def _passband(taps: Array) -> tuple[float, float] | None:
    """The band around the strongest frequency of one axis in which |H| stays above 1/√2 of it."""
    side = max(1024, 4 << (taps.size - 1).bit_length())
    h = np.abs(np.fft.rfft(taps, side))
    top = int(h.argmax())
    if h[top] <= 1e-12 * np.abs(taps).sum() or not h[top]:
        return None
    below = h < h[top] / math.sqrt(2)

    def edge(i: int, j: int) -> float:  # between a sample above and its neighbour below
        share = (h[i] - h[top] / math.sqrt(2)) / (h[i] - h[j])
        return (i + (j - i) * share) / side

    before, after = np.flatnonzero(below[:top]), np.flatnonzero(below[top:])
    low = edge(int(before[-1]) + 1, int(before[-1])) if before.size else 0.0
    high = edge(top + int(after[0]) - 1, top + int(after[0])) if after.size else 0.5
    return low, high


def _absolute_moments(weights: Array, tap: tuple[int, int]) -> dict[tuple[int, int], float]:
    y, x = (np.abs(np.arange(n) - float(t)) for n, t in zip(weights.shape, tap, strict=True))
    table = np.vander(y, HIGHEST + 1, increasing=True).T @ np.abs(weights) @ np.vander(x, HIGHEST + 1, increasing=True)
    return {(p, n - p): float(table[p, n - p]) for n in range(HIGHEST + 1) for p in range(n + 1)}


def _doubt(tolerance: Array, tap: tuple[int, int]) -> dict[tuple[int, int], float]:
    """Standard error of each moment: errors of the weights add up in squares."""
    y, x = ((np.arange(n) - float(t)) ** 2 for n, t in zip(tolerance.shape, tap, strict=True))
    largest = float(tolerance.max())
    table = np.vander(y, HIGHEST + 1, increasing=True).T @ (tolerance / largest) ** 2 @ np.vander(x, HIGHEST + 1, increasing=True)
    return {(p, n - p): largest * math.sqrt(float(table[p, n - p])) for n in range(HIGHEST + 1) for p in range(n + 1)}
