"""Tone curves: the kernel may have worked in linear light, or its result been put through a gamma."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import fitting
from .moments import origin_for
from .pairs import Pair, moments
from .placing import first_frame
from .residual import predicted
from .result import LearnedKernel
from .solve import normal, solve

__all__ = ["CURVES", "Curve", "fit"]

Map = Callable[[NDArray], NDArray]


def _srgb(v: NDArray) -> NDArray:  # IEC 61966-2-1: code value to light
    return np.where(v <= 0.04045, v / 12.92, ((np.maximum(v, 0) + 0.055) / 1.055) ** 2.4)


def _srgb_back(v: NDArray) -> NDArray:
    return np.where(v <= 0.0031308, 12.92 * v, 1.055 * np.maximum(v, 0) ** (1 / 2.4) - 0.055)


def _rec709(v: NDArray) -> NDArray:  # ITU-R BT.709-6, item 1.2
    return np.where(v < 0.081, v / 4.5, ((np.maximum(v, 0) + 0.099) / 1.099) ** (1 / 0.45))


def _rec709_back(v: NDArray) -> NDArray:
    return np.where(v < 0.018, 4.5 * v, 1.099 * np.maximum(v, 0) ** 0.45 - 0.099)


def _gamma(g: float) -> tuple[Map, Map]:
    return (lambda v: np.sign(v) * np.abs(v) ** g), (lambda v: np.sign(v) * np.abs(v) ** (1 / g))


# To light, and back.
CURVES: dict[str, tuple[Map, Map]] = {
    "sRGB": (_srgb, _srgb_back),
    "Rec. 709": (_rec709, _rec709_back),
    "gamma 1.8": _gamma(1.8), "gamma 2.0": _gamma(2.0), "gamma 2.2": _gamma(2.2), "gamma 2.4": _gamma(2.4),
    "logarithm": ((lambda v: np.expm1(np.log(256) * v) / 255), (lambda v: np.log1p(255 * np.maximum(v, -0.003)) / np.log(256))),
}  # fmt: skip

_WAYS = 5  # places of a curve: see `_ways`


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """before -> forward -> kernel -> back -> after, with both ends in code values up to `top`."""

    name: str
    inward: Map | None
    outward: Map | None
    undo: Map | None  # of outward: from `after` to what the kernel made
    top: float

    def forward(self, x: NDArray) -> NDArray[np.float64]:
        v = np.asarray(x, dtype=float) / self.top
        return v if self.inward is None else self.inward(v)

    def back(self, v: NDArray) -> NDArray[np.float64]:
        return self.top * (v if self.outward is None else self.outward(v))

    def target(self, y: NDArray) -> NDArray[np.float64]:
        v = np.asarray(y, dtype=float) / self.top
        return v if self.undo is None else self.undo(v)


def fit(pair: Pair, request: Any) -> LearnedKernel:
    """The plain fit, or the one through the curve that predicts `after` better, in code values."""
    plain = fitting.fit(pair, request)
    if plain.verdict in ("lsi-exact", "lsi-rounded", "not-identifiable"):
        return plain
    request.told("trying tone curves")
    top = _top(pair)
    part = _crop(pair)
    size = tuple(min(max(n, 5), request.max_size) for n in plain.kernel.shape[-2:]) if request.size is None and pair.same else plain.kernel.shape[-2:]
    straight = _error(part, Curve("none", None, None, None, top), size, request)
    tried = [(_error(part, curve, size, request), curve) for curve in _all(top)]
    error, best = min([*tried, _free_gamma(part, tried, size, request, top)], key=lambda t: t[0])
    if not error < 0.8 * straight:
        return replace(plain, reasons=(*plain.reasons, "no tone curve explains the pictures better than none"))
    bent = Pair(best.forward(np.asarray(pair.before)), best.target(np.asarray(pair.after)), pair.mask, pair.weights, pair.mixing)
    # Levels next to the ends are bent most: pixels at them say little about the kernel.
    y = np.asarray(pair.after)
    if best.undo is not None and pair.mask is None:
        inside = ((y > y.min()) & (y < y.max())).all(1)
        bent = replace(bent, mask=inside)
    fit = fitting.fit(bent, replace(request, clip=None))
    rms = _code_rms(pair, fit, best)
    words = f"the pictures follow the tone curve {best.name}: rms {rms:.4g} with it, {straight:.4g} without, in units of after"
    rest = tuple(reason.removesuffix('; try curves="auto"') for reason in fit.reasons)
    return replace(fit, verdict="static-nonlinear", reasons=(words, *rest), curve=best, rms=rms, certificate=None)


def _all(top: float) -> list[Curve]:
    return [curve for name, (to, back) in CURVES.items() for curve in _ways(name, to, back, top)]


def _ways(name: str, to: Map, back: Map, top: float) -> list[Curve]:
    """Where a curve may have been."""
    return [
        Curve(f"{name}, the kernel in linear light", to, back, to, top),
        Curve(f"{name} of the result", None, back, to, top),
        Curve(f"{name} undone of the result", None, to, back, top),
        Curve(f"{name} of the input", to, None, None, top),
        Curve(f"{name} undone of the input", back, None, None, top),
    ]


def _free_gamma(part: Pair, tried: list[tuple[float, Curve]], size: tuple[int, int], request: Any, top: float) -> tuple[float, Curve]:
    """The gamma of any exponent that predicts best, in the two places where known curves did; it has to be clearly better than those."""
    from scipy.optimize import minimize_scalar

    least = [min(error for error, _ in tried[place::_WAYS]) for place in range(_WAYS)]
    found = []
    for place in np.argsort(least)[:2]:

        def curve(g: float, place: int = place) -> Curve:
            return _ways(f"gamma {g:.2f}", *_gamma(g), top)[place]

        if np.isfinite(least[place]):
            g = minimize_scalar(lambda g: _error(part, curve(g), size, request), bounds=(1.05, 4.0), method="bounded", options={"xatol": 0.005}).x
            found.append((_error(part, curve(round(g, 2)), size, request), curve(round(g, 2))))
    error, best = min(found, key=lambda t: t[0], default=tried[0])
    return (error, best) if error < 0.9 * min(least) else tried[0]


def _top(pair: Pair) -> float:
    """The largest code value: of the type, or of the pictures."""
    if pair.before.dtype.kind in "iu" and pair.before.dtype.itemsize <= 2:
        info = np.iinfo(pair.before.dtype)
        return float(info.max)
    most = float(np.nanmax(np.asarray(pair.before)))
    return 1.0 if most <= 1 else 255.0 if most <= 255 else most


def _crop(pair: Pair, side: int = 512) -> Pair:
    """A part of the first plane, for trying out."""
    h, w = (max(0, n - side) // 2 for n in pair.after.shape[-2:])
    my, mx = pair.margin
    x = pair.before[0, :, h : h + side + my, w : w + side + mx][None]
    y = pair.after[0, :, h : h + side, w : w + side][None]
    part = (slice(0, 1), slice(h, h + side), slice(w, w + side))
    return Pair(x, y, None if pair.mask is None else pair.mask[part],
                None if pair.weights is None else pair.weights[part], pair.mixing)  # fmt: skip


def _error(pair: Pair, curve: Curve, size: tuple[int, int], request: Any) -> float:
    """rms in code values of a fit through this curve."""
    with np.errstate(all="ignore"):
        bent = Pair(curve.forward(pair.before), curve.target(pair.after), pair.mask, pair.weights, pair.mixing)
    if not (np.isfinite(bent.before).all() and np.isfinite(bent.after).all()):
        return float("inf")
    frame = first_frame(bent, size, request.max_size)
    total = moments(bent, frame, (origin_for(bent.before), origin_for(bent.after)), request.threads)
    system = normal(total, request.bias)
    solution = solve(system)
    if solution.deficiency:
        return float("inf")
    k = np.ascontiguousarray(solution.k.T).reshape(total.outputs, total.channels, *frame.size)
    rows, columns = bent.outputs(frame)
    (oy, ox), (kh, kw) = frame.corner, frame.size
    x = bent.before[0, :, rows.start + oy : rows.stop + oy + kh - 1, columns.start + ox : columns.stop + ox + kw - 1]
    e = curve.back(predicted(x, k, system.offsets(solution.k))) - pair.after[0, :, rows, columns]
    e = e[np.isfinite(e)]
    return float(np.sqrt((e * e).mean())) if e.size else float("inf")


def _code_rms(pair: Pair, fit: LearnedKernel, curve: Curve) -> float:
    squares = count = 0.0
    for plane in range(len(pair.after)):
        x = np.asarray(pair.before[plane])
        e = replace(fit, curve=curve).predict(x if pair.mixing else x[0]) - (np.asarray(pair.after[plane]) if pair.mixing else np.asarray(pair.after[plane, 0]))
        kh, kw = fit.kernel.shape[-2:]
        if pair.same and e.shape[-2] > 2 * kh and e.shape[-1] > 2 * kw:
            e = e[..., kh:-kh, kw:-kw]
        e = e[np.isfinite(e)]
        squares, count = squares + float(e @ e), count + e.size
    return float(np.sqrt(squares / max(count, 1)))
