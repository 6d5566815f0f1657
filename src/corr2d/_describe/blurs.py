"""Families of smoothing and its derivatives: Gaussian, LoG, DoG, Gabor, disk, motion, stars."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from .. import kernels
from .naming import Fit, decimal, fitted, line_slope, refined
from .sight import Sight

__all__ = ["difference_of_gaussians", "disks", "gabors", "gaussians", "laplacian_of_gaussian", "motions", "slanted_gaussian", "stars"]

Array = NDArray[np.float64]


def gaussians(k: Sight) -> Iterator[Fit]:
    """A Gaussian or a derivative of one, along the axes."""
    if k.factors is None or max(k.shape) < 3:
        return
    orders, sigmas = [], []
    for taps in k.factors:
        order, sigma = _taps_order_and_sigma(taps)
        if sigma is None:
            return
        orders.append(order)
        sigmas.append(sigma)
    flat = [n == 1 for n in k.shape]  # an axis of one tap has no width
    if any(order for order, is_flat in zip(orders, flat, strict=True) if is_flat):
        return
    y, x = (t.ravel() for t in k.coordinates)

    def model(*sigma: float) -> Array:
        widths = iter(sigma)
        column, row = (
            np.ones(1) if is_flat else derived(t, next(widths), order)
            for t, order, is_flat in zip((y, x), orders, flat, strict=True)
        )
        return np.outer(column, row)

    start = [s for s, is_flat in zip(sigmas, flat, strict=True) if not is_flat]
    theta = refined(k, start, model)
    if theta is None:
        return
    theta = tuple(abs(t) for t in theta)
    if min(theta) < 0.3:  # no more than its middle tap is left of it
        return
    axes = [letter for letter, is_flat in zip("yx", flat, strict=True) if not is_flat]
    if len(theta) == 2 and abs(theta[0] - theta[1]) <= 1e-2 * theta[0]:
        one = refined(k, [(theta[0] + theta[1]) / 2], lambda s: model(s, s))
        # One width is simpler, and as good unless the second brings it within the tolerance.
        if one is not None and (k.same(fitted(k, model(*one, *one))[1]) or not k.same(fitted(k, model(*theta))[1])):
            theta = abs(one[0]), abs(one[0])
    alike = len(theta) == 2 and theta[0] == theta[1]
    width = _widths(theta, axes, alike)
    radii = [r for r, is_flat in zip(k.radius, flat, strict=True) if not is_flat]
    title = "Gaussian" if not any(orders) else f"{_partial(*orders)} of a Gaussian"
    words = f"{title} {width}{_truncated(theta, radii) if k.odd else ''}"
    parameters = {f"sigma_{a}": s for a, s in zip(axes, theta, strict=True)} | {"order": tuple(orders)}
    yield Fit(words, model(*theta), "gaussian", parameters, 1 if alike else len(theta))


def slanted_gaussian(k: Sight) -> Iterator[Fit]:
    """An elongated Gaussian at an angle; a Gaussian's slope at an angle."""
    if not k.odd or min(k.shape) < 3:
        return
    y, x = k.coordinates
    if k.nonnegative and k.even and not k.round:
        total = k.moment(0, 0)
        cyy, cxx, cyx = (k.moment(*n) / total for n in ((2, 0), (0, 2), (1, 1)))
        if abs(cyx) < 1e-3 * (cyy + cxx):
            return
        spread = math.hypot(cxx - cyy, 2 * cyx)
        long, short = ((cxx + cyy + s * spread) / 2 for s in (1, -1))
        if short <= 0:
            return

        def model(s_long: float, s_short: float, angle: float) -> Array:
            u, v = x * math.cos(angle) - y * math.sin(angle), x * math.sin(angle) + y * math.cos(angle)
            g = np.exp(-0.5 * ((u / s_long) ** 2 + (v / s_short) ** 2))
            return g / g.sum()

        theta = refined(k, [math.sqrt(long), math.sqrt(short), 0.5 * math.atan2(-2 * cyx, cxx - cyy)], model)
        if theta is not None:
            long, short, angle = abs(theta[0]), abs(theta[1]), math.degrees(theta[2]) % 180
            words = f"Gaussian σ = {decimal(long)} along {decimal(angle)}°, {decimal(short)} across"
            yield Fit(words, model(*theta), "gaussian", {"sigma": long, "across": short, "angle": angle}, 3)
    elif k.like(-k.weights[::-1, ::-1]) and k.shape[0] == k.shape[1]:
        slope = k.moment(0, 1), k.moment(1, 0)
        cubic = k.moment(0, 3) + k.moment(1, 2), k.moment(2, 1) + k.moment(3, 0)
        i = int(abs(slope[1]) > abs(slope[0]))
        # For a Gaussian's slope Σ w x (x² + y²) = 4σ² Σ w x.
        if not slope[i] or min(map(abs, slope)) < 1e-5 * max(map(abs, slope)) or cubic[i] / slope[i] <= 0:
            return

        def pair(sigma: float) -> tuple[Array, Array]:
            g = np.exp(-0.5 * k.squared_radius / sigma**2)
            return x * g / (g.sum() * sigma**2), y * g / (g.sum() * sigma**2)

        theta = refined(k, [math.sqrt(cubic[i] / slope[i] / 4)], pair)
        if theta is not None:
            sigma = abs(theta[0])
            (a, b), model = fitted(k, *pair(sigma))
            length = math.copysign(math.hypot(a, b), k.unit)
            angle = math.degrees(math.atan2(-b / length, a / length))
            words = f"derivative of a Gaussian σ = {decimal(sigma)} at {decimal(angle)}°"
            yield Fit(words, model / length, "gaussian", {"sigma": sigma, "angle": angle, "order": 1}, 2)


def laplacian_of_gaussian(k: Sight) -> Iterator[Fit]:
    """The Laplacian of a Gaussian, as sampled or with its mean taken off."""
    if not _ring(k):
        return
    start = math.sqrt(abs(k.moment(4, 0) / (6 * k.moment(2, 0))))  # Σ w y⁴ = 12σ², Σ w y² = 2
    for title, centred in (("Laplacian of a Gaussian", False), ("Laplacian of a Gaussian, mean taken off,", True)):

        def model(sigma: float, centred: bool = centred) -> Array:
            g = np.exp(-0.5 * k.squared_radius / sigma**2)
            w = (k.squared_radius / sigma**2 - 2) / sigma**2 * g / g.sum()
            return w - w.mean() if centred else w

        theta = refined(k, [start], model)
        if theta is not None:
            sigma = abs(theta[0])
            words = f"{title} σ = {decimal(sigma)}{_truncated([sigma], [k.radius[0]])}"
            yield Fit(words, model(sigma), "log", {"sigma": sigma}, 1)


def difference_of_gaussians(k: Sight) -> Iterator[Fit]:
    """A narrow Gaussian minus a wide one."""
    if not _ring(k):
        return
    m2, m4, m6 = (k.moment(n, 0) for n in (2, 4, 6))
    total = m4 / (3 * m2)  # σ₁² + σ₂²
    product = total**2 - m6 / (15 * m2)
    discriminant = total**2 - 4 * product
    guesses = [(0.5, 0.8)]
    if discriminant > 0 and product > 0:
        wide = (total + math.sqrt(discriminant)) / 2
        guesses.insert(0, (math.sqrt(product / wide), math.sqrt(wide)))
    radius = k.radius[0]
    guesses[-1] = (radius / 6.4, radius / 4)
    for truncate in (4.0, 3.0, 5.0, math.inf):

        def model(s1: float, s2: float, truncate: float = truncate) -> Array:
            first, second = (_cut_gaussian(k.squared_radius, s, k.coordinates, truncate) for s in (s1, s2))
            return first - second

        for guess in guesses:
            theta = refined(k, guess, model)
            if theta is None or min(map(abs, theta)) < 0.1:
                continue
            s1, s2 = sorted(map(abs, theta))
            shape = model(s1, s2)
            missed = k.weights - fitted(k, shape)[1]
            if np.sqrt(np.mean(missed**2)) > 0.02 * k.power:
                continue
            yield Fit(f"difference of Gaussians, σ = {decimal(s1)} and {decimal(s2)}", shape, "dog", {"s1": s1, "s2": s2}, 2)
            break
        if theta is not None and k.same(fitted(k, model(*theta))[1]):
            break


def gabors(k: Sight) -> Iterator[Fit]:
    """A wave under a Gaussian."""
    if not k.odd or max(k.shape) < 5 or k.nonnegative or not (k.even or k.weights.size > 20):
        return
    side = 64 if max(k.shape) <= 32 else 256
    if max(k.shape) > side:
        return
    spectrum = np.abs(np.fft.fft2(k.weights, (side, side)))
    spectrum[0, 0] = 0
    fy, fx = (f if f <= side // 2 else f - side for f in np.unravel_index(spectrum.argmax(), spectrum.shape))
    frequency = math.hypot(fy, fx) / side
    if not frequency:
        return
    y, x = k.coordinates
    power = k.weights**2 / (k.weights**2).sum()
    angle = math.atan2(-fy, fx)

    def frame(angle: float) -> tuple[Array, Array]:
        return x * math.cos(angle) - y * math.sin(angle), x * math.sin(angle) + y * math.cos(angle)

    u, v = frame(angle)
    widths = [math.sqrt(max(2 * float((power * t * t).sum()), 0.25)) for t in (u, v)]  # the square's variance is half

    def basis(frequency: float, angle: float, along: float, across: float) -> tuple[Array, Array]:
        u, v = frame(angle)
        g = np.exp(-0.5 * ((u / along) ** 2 + (v / across) ** 2))
        g /= g.sum()
        return g * np.cos(2 * np.pi * frequency * u), g * np.sin(2 * np.pi * frequency * u)

    theta = refined(k, [frequency, angle, *widths], basis, steps=40)
    if theta is None or not theta[0] or 1 / abs(theta[0]) < 2:
        return
    frequency, angle, along, across = theta[0], theta[1], abs(theta[2]), abs(theta[3])
    if 1 / abs(frequency) > 4 * max(k.shape) or min(along, across) < 0.5:
        return  # no wave fits into the window, or the Gaussian is a point
    (even, odd), model = fitted(k, *basis(frequency, angle, along, across))
    phase = math.degrees(math.atan2(-odd, even))
    if frequency < 0:
        frequency, phase = -frequency, -phase
    angle = math.degrees(angle) % 360
    if angle >= 180 - 1e-6:
        angle, phase = angle - 180, -phase
    sign = 1.0
    if abs(phase) > 90 + 1e-6:
        phase, sign = phase - math.copysign(180, phase), -1.0
    scale = math.hypot(even, odd) * sign
    words = f"Gabor, wavelength {decimal(1 / frequency)} px, stripes across {decimal(abs(angle))}°, σ = {decimal(along)}"
    aspect = along / across
    words += "" if abs(aspect - 1) < 1e-4 else f", aspect {decimal(aspect)}"
    words += f", phase {decimal(phase)}°" if abs(phase) > 1e-3 else ""
    parameters = {"wavelength": 1 / frequency, "angle": abs(angle), "sigma": along, "aspect": aspect, "phase": phase}
    yield Fit(words, model / scale, "gabor", parameters, 5)


def disks(k: Sight) -> Iterator[Fit]:
    """Defocus, with exact rims or with hard ones."""
    if not k.odd or not k.nonnegative or not k.round or k.shape[0] < 3:
        return
    inside = k.weights > 0.5
    if k.same(np.where(inside, k.weights[inside].mean(), 0.0)):
        squared = float(k.squared_radius[inside].max())
        r = math.sqrt(squared)
        if np.array_equal(inside, k.squared_radius <= squared):
            shown = math.floor(r * 100 + 1) / 100 if r != int(r) else r
            weights = inside / inside.sum()
            yield Fit(f"disk of radius {decimal(shown)} px, hard rim", weights, "disk", {"r": r, "edge": "hard"})
        return
    radius = k.radius[0]
    least, most = radius - 0.5, radius + 0.5
    start = min(max(math.sqrt(k.moment(0, 0) / k.weights[k.radius] / math.pi), least + 1e-3), most - 1e-3)

    def model(r: float) -> Array:
        kernel = kernels.disk(min(max(r, least + 1e-9), most)).weights
        return kernel if kernel.shape == k.shape else np.full(k.shape, np.nan)

    theta = refined(k, [start], model)
    if theta is not None and least < theta[0] <= most:
        yield Fit(f"disk of radius {decimal(theta[0])} px (defocus)", model(theta[0]), "disk", {"r": theta[0], "edge": "area"}, 1)


def motions(k: Sight) -> Iterator[Fit]:
    """A straight path at one speed."""
    if not k.odd or not k.nonnegative or not k.even or k.weights.size < 3:
        return
    total = k.moment(0, 0)
    cyy, cxx, cyx = (k.moment(*n) / total for n in ((2, 0), (0, 2), (1, 1)))
    spread = math.hypot(cxx - cyy, 2 * cyx)
    long, short = (cxx + cyy + spread) / 2, (cxx + cyy - spread) / 2
    if short > 0.2:  # pixels²; a path is thinner than a pixel
        return
    angle = math.degrees(0.5 * math.atan2(-2 * cyx, cxx - cyy))

    def model(length: float, angle: float) -> Array:
        weights = kernels.motion(max(length, 0.1), angle).weights
        (h, w), (mh, mw) = k.shape, weights.shape
        ry, rx = max(h, mh) // 2, max(w, mw) // 2
        out = np.zeros((2 * ry + 1, 2 * rx + 1))
        out[ry - mh // 2 : ry + mh // 2 + 1, rx - mw // 2 : rx + mw // 2 + 1] = weights
        return out[ry - h // 2 : ry + h // 2 + 1, rx - w // 2 : rx + w // 2 + 1]

    length = math.sqrt(max(12 * long, 1.0))
    starts = [(length, angle), (round(length), round(angle)), (round(length), 5 * round(angle / 5)), (round(length), 15 * round(angle / 15))]
    straight = min(k.shape) == 1
    best = None
    for begin in dict.fromkeys(starts):
        if straight:
            turn = 0.0 if k.shape[0] == 1 else 90.0
            theta = refined(k, begin[:1], lambda s, turn=turn: model(s, turn))
            theta = theta and (theta[0], turn)
        else:
            theta = refined(k, begin, model)
        for tried in (begin if not straight else None, theta):
            if tried is None:
                continue
            shape = model(*tried)
            missed = float(((k.weights - fitted(k, shape)[1]) ** 2).sum())
            if best is None or missed < best[0]:
                best = missed, tried, shape
        if best is not None and k.same(fitted(k, best[2])[1]):
            break
    if best is not None:
        _, (length, angle), shape = best
        length, angle = abs(length), (angle + 1e-4) % 180 - 1e-4
        words = f"motion blur, {decimal(length)} px at {decimal(angle + 0.0)}°"
        yield Fit(words, shape, "motion", {"length": float(length), "angle": float(angle)}, 1 if straight else 2)


def stars(k: Sight) -> Iterator[Fit]:
    """Moffat's and Airy's profiles."""
    if not k.odd or not k.nonnegative or not k.round or k.shape[0] < 5:
        return
    middle = k.weights[k.radius[0], k.radius[1] :]
    below = np.flatnonzero(middle < middle[0] / 2)
    if not below.size or middle[0] <= 0:
        return
    i = int(below[0])
    half = i - 1 + (middle[i - 1] - middle[0] / 2) / (middle[i - 1] - middle[i])

    def moffat(gamma: float, alpha: float) -> Array:
        w = (1 + k.squared_radius / gamma**2) ** -alpha
        return w / w.sum()

    for alpha in (3.0, 1.5, 6.0):
        theta = refined(k, [half / math.sqrt(2 ** (1 / alpha) - 1), alpha], moffat)
        if theta is None or not 0 < theta[1] < 50:  # beyond, no star but a Gaussian
            continue
        gamma, alpha = abs(theta[0]), theta[1]
        yield Fit(f"Moffat star, γ = {decimal(gamma)} px, α = {decimal(alpha)}", moffat(gamma, alpha), "moffat", {"gamma": gamma, "alpha": alpha}, 2)
        break

    def airy(radius: float) -> Array:
        return kernels.airy(abs(radius), size=k.shape[0]).weights

    if middle.min() < 0.02 * middle[0]:
        theta = refined(k, [2.37 * half], airy)  # the first dark ring is at 1.186 full widths
        if theta is not None:
            radius = abs(theta[0])
            yield Fit(f"Airy pattern, first dark ring at {decimal(radius)} px", airy(radius), "airy", {"radius": radius}, 1)


def derived(t: Array, sigma: float, order: int) -> Array:
    """g⁽ⁿ⁾(-t) of the Gaussian that sums to 1 over the taps, as `kernels.gaussian` has it."""
    g = np.exp(-0.5 * (t / sigma) ** 2)
    g /= g.sum()
    previous, q = np.zeros_like(t), np.ones_like(t)
    for n in range(order):  # Hermite's recurrence, the argument turned
        previous, q = q, t / sigma**2 * q - n / sigma**2 * previous
    return q * g


def _taps_order_and_sigma(taps: Array) -> tuple[int, float | None]:
    """Which derivative of a Gaussian a row of taps may be, and about how wide."""
    if taps.size == 1:
        return 0, 1.0
    t = np.arange(taps.size) - (taps.size - 1) / 2
    firm = taps[np.abs(taps) > 1e-3 * np.abs(taps).max()]
    order = int((np.sign(firm[1:]) != np.sign(firm[:-1])).sum())
    if order > 3 or order and taps.size < order + 2:
        return order, None
    if order == 0:
        positive = np.abs(taps) > 1e-6 * np.abs(taps).max()
        if positive.sum() < 2:
            return order, None
        slope = line_slope(t[positive] ** 2, np.log(np.abs(taps[positive])), taps[positive] ** 2)
        return order, (math.sqrt(-0.5 / slope) if slope < -1e-9 else None)
    base, next_ = (float((taps * t**n).sum()) for n in (order, order + 2))
    squared = 2 * next_ / ((order + 2) * (order + 1) * base) if base else 0.0
    return order, (math.sqrt(squared) if squared > 0 else None)


def _cut_gaussian(squared: Array, sigma: float, coordinates: tuple[Array, Array], truncate: float) -> Array:
    g = np.exp(-0.5 * squared / sigma**2)
    if math.isfinite(truncate):
        radius = int(truncate * abs(sigma) + 0.5)
        g = g * ((np.abs(coordinates[0]) <= radius) & (np.abs(coordinates[1]) <= radius))
    return g / g.sum()


def _ring(k: Sight) -> bool:
    """Round, with a middle of one sign and surroundings of the other."""
    if not k.odd or not k.round or k.shape[0] < 5 or k.nonnegative or not k.moment(2, 0):
        return False
    return bool(k.moment(4, 0) / k.moment(2, 0) > 0)


def _partial(dy: int, dx: int) -> str:
    powers = {0: "", 1: "", 2: "²", 3: "³", 4: "⁴", 5: "⁵", 6: "⁶"}
    total = f"∂{powers[dy + dx]}" if dy + dx > 1 else "∂"
    return f"{total}/{'∂y' + powers[dy] if dy else ''}{'∂x' + powers[dx] if dx else ''}"


def _widths(theta: tuple[float, ...], axes: list[str], alike: bool) -> str:
    if alike:
        return f"σ = {decimal(theta[0])}"
    if len(theta) == 1:
        return f"σ = {decimal(theta[0])} along {axes[0]}"
    return " and ".join(f"σ{a} = {decimal(s)}" for a, s in zip(axes, theta, strict=True))


def _truncated(sigmas, radii) -> str:
    """The usual multiple of σ that gives these radii, or the radii."""
    for multiple in (4, 3, 2, 5, 6, 2.5, 3.5, 4.5):
        if all(int(multiple * s + 0.5) == r for s, r in zip(sigmas, radii, strict=True)):
            return f", truncated at {multiple:g}σ"
    return f", radius {'×'.join(map(str, dict.fromkeys(radii)))}"
