"""Families that interpolate or fit polynomials: shifts, Lanczos, Savitzky-Golay; and products of two."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from .. import kernels
from .naming import Fit, decimal, refined
from .sight import Sight

__all__ = ["lowpass", "moved", "polynomials"]

Array = NDArray[np.float64]


def moved(k: Sight) -> Iterator[Fit]:
    """A shift by parts of a pixel."""
    if k.weights.size == 1 or max(k.shape) > 16 or k.factors is None or abs(k.weights.sum()) < 1e-3:
        return
    choices = {}
    for title, reach, h in (("linear", 1, _tent), ("cubic", 2, _keys(-0.5)), ("cubic, a = −3/4,", 2, _keys(-0.75)), ("Lanczos-2", 2, _sinc(2)), ("Lanczos-3", 3, _sinc(3)), ("Lanczos-4", 4, _sinc(4))):
        distances = []
        for taps, middle in zip(k.factors, k.middle, strict=True):
            distance = _distance(taps, middle, reach, h)
            if distance is None:
                break
            distances.append(distance)
        else:
            choices[title] = (*distances, h)
    t_y, t_x = (np.arange(n) - (n - 1) / 2 + m for n, m in zip(k.shape, k.middle, strict=True))
    for title, (dy, dx, h) in choices.items():
        column, row = h(t_y + dy), h(t_x + dx)
        if not column.sum() or not row.sum():
            continue
        parts = [
            f"{decimal(abs(d))} px {there if d > 0 else back}"
            for d, there, back in ((dy, "down", "up"), (dx, "right", "left"))
            if abs(d) > 1e-6
        ]
        words = f"shift of the picture by {' and '.join(parts)}, {title} interpolation"
        model = np.outer(column / column.sum(), row / row.sum())
        fractions = sum(abs(d - round(d)) > 1e-6 for d in (dy, dx))
        if parts and fractions:
            yield Fit(words, model, "shift", {"dy": dy, "dx": dx, "method": title}, fractions, sum(k.shape) - 1)


def lowpass(k: Sight) -> Iterator[Fit]:
    """Lanczos' window before shrinking."""
    if not k.odd or not k.round or k.factors is None or k.shape[0] < 5:
        return
    t = k.coordinates[1].ravel()
    for lobes in (3, 2, 4):
        h = _sinc(lobes)
        start = (k.radius[0] + 0.5) / lobes

        def model(factor: float, h=h) -> Array:
            taps = h(t / factor)
            return np.outer(taps, taps) / taps.sum() ** 2

        theta = refined(k, [start], model) if start > 1 else None
        if theta is not None and theta[0] > 1:
            words = f"Lanczos-{lobes} low-pass for shrinking {decimal(theta[0])} times"
            yield Fit(words, model(theta[0]), "lanczos", {"factor": theta[0], "lobes": lobes}, 1)


def polynomials(k: Sight) -> Iterator[Fit]:
    """Savitzky and Golay: weights that are a polynomial, and keep polynomials."""
    if not k.odd or k.weights.size < 5 or not any(n >= 3 for n in k.shape):
        return
    q_y, q_x = (np.linalg.qr(np.vander(t.ravel() / max(1.0, t.max()), min(7, t.size), increasing=True))[0] for t in k.coordinates)
    # Coefficients in orthonormal polynomials; those up to a total degree are the nearest of that degree.
    coefficients = q_y.T @ k.weights @ q_x
    total = np.add.outer(*(np.arange(n) for n in coefficients.shape))
    for degree in range(1, 7):
        kept = total <= degree
        if 2 * kept.sum() > k.weights.size + 2:
            return  # a polynomial that could be anything
        if not k.same(q_y @ (coefficients * kept) @ q_x.T):
            continue
        yield from _kept_polynomials(k, degree)
        return


def _kept_polynomials(k: Sight, degree: int) -> Iterator[Fit]:
    """The fits whose weights are of this degree: one moment is left, those of its degree vanish."""
    total = np.abs(k.weights).sum()
    y, x = (t / max(1.0, t.max()) for t in k.coordinates)
    moments = {(p, q): abs(float((k.weights * y**p * x**q).sum())) for p in range(degree + 1) for q in range(degree + 1 - p)}
    order = max(((p, q) for p, q in moments if p < k.shape[0] and q < k.shape[1]), key=lambda n: moments[n] - 1e-9 * sum(n))
    if moments[order] < 1e-6 * total:
        return
    h, w = k.shape
    # Even and odd degrees share their smoothing weights: name the one that is asked for by the lower number.
    for named in (degree, degree + 1):
        if sum(order) > named or any(n > 1 and n <= named for n in k.shape):
            continue
        what = "smoothing" if order == (0, 0) else f"derivative of order {order[0]} along y and {order[1]} along x" if all(order) else f"derivative of order {sum(order)} along {'y' if order[0] else 'x'}"
        model = kernels.savgol((h, w), named, order=order).weights
        yield Fit(f"Savitzky–Golay {h}×{w}, degree {named}, {what}", model, "savgol", {"window": (h, w), "degree": named, "order": order})


def _distance(taps: Array, middle: float, reach: int, h) -> float | None:
    """How far one axis moves the picture."""
    if taps.size == 1:
        return -middle
    if taps.size > 2 * reach or not taps.sum():
        return None
    t = np.arange(taps.size) - (taps.size - 1) / 2 + middle
    view = Sight(taps[None, :] / np.abs(taps).max(), np.full((1, taps.size), 1e-15), 1.0, 0, (0.0, middle))
    theta = refined(view, [-float((taps * t).sum() / taps.sum())], lambda d: h(t + d)[None, :])
    return None if theta is None else theta[0]


def _tent(t: Array) -> Array:
    return np.maximum(0.0, 1 - np.abs(t))


def _keys(a: float):
    def h(t: Array) -> Array:
        t = np.abs(t)
        near, far = ((a + 2) * t - (a + 3)) * t * t + 1, a * (((t - 5) * t + 8) * t - 4)
        return np.where(t < 1, near, np.where(t < 2, far, 0.0))

    return h


def _sinc(lobes: int):
    return lambda t: np.where(np.abs(t) < lobes, np.sinc(t) * np.sinc(t / lobes), 0.0)
