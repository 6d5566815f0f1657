"""Families that are sums: a slope turned to any angle, the image plus or minus something."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from .. import kernels
from .naming import Fit, decimal, fitted, line_slope, refined
from .sight import Sight

__all__ = ["embossed", "sharpened", "steered", "unsharp"]

Array = NDArray[np.float64]


def steered(k: Sight) -> Iterator[Fit]:
    """First and second derivatives at any angle, from axis-parallel ones."""
    pairs = {(3, 3): (("Sobel", kernels.sobel, 8), ("Prewitt", kernels.prewitt, 6), ("Scharr", kernels.scharr, 32)),
             (5, 5): (("Farid", kernels.farid, 1),)}.get(k.shape, ())  # fmt: skip
    for title, design, slope in pairs:
        along_x, along_y = (design(axis).weights / slope for axis in (1, 0))
        (a, b), model = fitted(k, along_x, along_y)
        length = math.copysign(math.hypot(a, b), k.unit)
        if length and min(abs(a), abs(b)) > 1e-5 * abs(length):
            angle = _degrees(-b / length, a / length)  # an angle can always tell the sign
            words = f"directional derivative at {decimal(angle)}° ({title})"
            yield Fit(words, model / length, "directional", {"angle": angle, "order": 1, "operator": title.lower()}, 1)
    if k.shape == (3, 3):
        parts = [kernels.derivative(*order).weights for order in ((2, 0), (0, 2), (1, 1))]
        yy, xx, xy = np.pad(parts[0], [(0, 0), (1, 1)]), np.pad(parts[1], [(1, 1), (0, 0)]), parts[2]
        (a, b, c), model = fitted(k, yy, xx, xy)
        # u² D_yy + v² D_xx + 2uv D_xy: the three belong to one direction.
        if a and b and c and abs(c * c - 4 * a * b) <= 1e-4 * c * c:
            u, v = math.sqrt(abs(a)), math.copysign(math.sqrt(abs(b)), c * a)
            angle = _degrees(-u, v) % 180
            words = f"second derivative in direction {decimal(angle)}°"
            yield Fit(words, model / (a + b), "directional", {"angle": angle, "order": 2}, 2)


def embossed(k: Sight) -> Iterator[Fit]:
    """The image plus a slope."""
    if k.shape != (3, 3):
        return
    point = np.pad([[1.0]], 1)
    (one, a, b), model = fitted(k, point, kernels.prewitt(1).weights, kernels.prewitt(0).weights)
    strength = max(abs(a), abs(b)) / abs(one) if one else 0.0
    if strength > 1e-3:
        angle = _degrees(b, -a) if one > 0 else _degrees(-b, a)
        depth = "" if abs(strength - 1) < 1e-4 else f", depth {decimal(strength)}"
        parameters = {"angle": angle, "depth": strength}
        yield Fit(f"emboss, lit from {decimal(angle)}°{depth}", model / one, "emboss", parameters, 1 if not depth else 2)


def sharpened(k: Sight) -> Iterator[Fit]:
    """The image minus a Laplacian, or minus the mean around it."""
    h, w = k.shape
    if not k.odd or k.weights.size < 3 or not k.even:
        return
    point = _point(k)
    if k.shape == (3, 3):
        for title, bend in (("5-point", kernels.laplacian().weights), ("9-point", kernels.laplacian(9).weights)):
            (one, bent), model = fitted(k, point, bend)
            if abs(one) > 1e-5 * abs(bent):
                amount = -bent / one
                words = f"sharpening with the {title} Laplacian, amount {decimal(amount)}"
                if amount < 0:
                    words = f"smoothing with the {title} Laplacian, amount {decimal(-amount)}"
                yield Fit(words, model / one, "sharpen", {"amount": amount, "laplacian": title}, 1)
    (one, mean), model = fitted(k, point, np.full(k.shape, 1 / (h * w)))
    total = one + mean
    if abs(mean) <= 1e-9 * abs(one):
        return
    if abs(total) <= 1e-5 * abs(one):
        yield Fit(f"high-pass, the image minus its {h}×{w} mean", model / one, "highpass", {"h": h, "w": w}, 0)
    elif total and mean / total < 0:
        amount = -mean / total
        words = f"sharpening by the difference from the {h}×{w} mean, amount {decimal(amount)}"
        yield Fit(words, model / total, "sharpen", {"amount": amount, "h": h, "w": w}, 1)


def unsharp(k: Sight) -> Iterator[Fit]:
    """The image plus what a Gaussian takes from it."""
    if not k.odd or not k.round or k.shape[0] < 3:
        return
    away = k.squared_radius > 0
    rest = np.abs(k.weights[away])
    sign = np.sign(k.weights[away][rest.argmax()])
    usable = (k.weights[away] * sign > 4 * k.tolerance[away]) & (rest > 1e-3 * rest.max())
    if usable.sum() < 4:
        return
    # log w is a straight line in r² outside the middle; bright taps tell it best.
    slope = line_slope(k.squared_radius[away][usable], np.log(rest[usable]), rest[usable] ** 2)
    if slope >= 0:
        return
    point = _point(k)

    def basis(sigma: float) -> tuple[Array, Array]:
        g = np.exp(-0.5 * k.squared_radius / sigma**2)
        return point, g / g.sum()

    theta = refined(k, [math.sqrt(-0.5 / slope)], basis)
    if theta is None:
        return
    sigma = abs(theta[0])
    if sigma < 0.3:  # no more than its middle tap is left of it
        return
    (one, blur), model = fitted(k, *basis(sigma))
    total = one + blur
    if abs(total) <= 1e-5 * abs(one):
        yield Fit(f"high-pass, the image minus its Gaussian, σ = {decimal(sigma)}", model / one, "highpass", {"sigma": sigma}, 1)
    elif total and abs(one) > 1e-4 * abs(blur):
        amount = -blur / total
        words = f"unsharp mask, σ = {decimal(sigma)}, amount {decimal(amount)}"
        if amount < 0:
            words = f"soft focus, σ = {decimal(sigma)}, {decimal(-100 * amount)} % of the Gaussian"
        yield Fit(words, model / total, "unsharp", {"sigma": sigma, "amount": amount}, 2)


def _point(k: Sight) -> Array:
    point = np.zeros(k.shape)
    point[k.radius] = 1.0
    return point


def _degrees(up: float, right: float) -> float:
    angle = math.degrees(math.atan2(up, right)) + 0.0
    return angle if abs(angle + 180) > 1e-9 else 180.0
