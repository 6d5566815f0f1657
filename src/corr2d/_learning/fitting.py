"""From a pair of pictures to the answer: window, usable pixels, moments, support, solution, residuals, verdict."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._errors import OptionError, ShapeError
from ..kernel import Kernel
from . import support
from .certificate import border_rule, certify
from .evidence import Evidence, gather
from .levels import clipped, level_unit, precision_of
from .moments import Moments
from .naming import name_of
from .pairs import Frame, Pair, bands, moments, origins_of
from .placing import displacement, first_frame
from .residual import Residuals, measure, predicted
from .result import LearnedKernel
from .solve import Normal, Solution, normal, solve
from .uncertainty import covariance
from .verdict import Case, judge

__all__ = ["Request", "fit", "from_moments"]

_SUMS = 2.0**-48  # error of sums of products in float64, relative to the largest, with room to spare


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked for."""

    size: tuple[int, int] | None
    bias: bool
    constraints: Any
    ridge: Any
    clip: Any
    max_size: int
    robust: bool
    threads: int
    told: Callable[[str], None] = lambda _: None

    @property
    def plain(self) -> bool:
        return not self.constraints and self.ridge is None and not self.robust


def fit(pair: Pair, request: Request) -> LearnedKernel:
    """Do all of it."""
    notes: list[str] = []
    origins = origins_of(pair)
    request.told("sums over the pictures")
    frame = first_frame(pair, request.size, request.max_size)
    searched = _sought(pair, frame, request)
    total = moments(pair, frame, origins, request.threads)
    if not total.count:
        raise ShapeError(
            f"no output is left to learn from: of {pair.count(frame) * len(pair.after)} with their window of {frame.size[0]}x{frame.size[1]} inside, "
            "all are masked, weigh nothing, or see NaN; allow more pixels or a smaller size"
        )
    frame, total, plain = _realigned(pair, frame, total, request, origins, notes)
    first = total
    extra, beyond = clipped(pair, frame, total, origins, request)
    if extra is not None:
        total = moments(pair, frame, origins, request.threads, extra, enough=bool(searched) and not request.robust)
    factors = None
    if request.robust:
        factors = _robust(pair, frame, total, origins, request, extra)
        total = moments(pair, frame, origins, request.threads, extra, factors)
    if searched:
        request.told("choosing the size")
        frame = _supported(pair, frame, total, request, searched, notes)
        total = moments(pair, frame, origins, request.threads, extra, factors)
    if total is first and request.plain:
        system, solution = plain
    else:
        system = normal(total, request.bias)
        solution = solve(system, request.constraints, request.ridge)
    if solution.ridge:
        notes.append(f"taps were shrunk by a ridge of {solution.ridge:.3g}, chosen by the data" if request.ridge == "auto" else f"ridge {solution.ridge:.3g}")
    request.told("looking at the residuals")
    residuals, solution = _refined(pair, frame, system, solution, origins, request, extra, factors)
    return _concluded(pair, frame, system, solution, residuals, request, extra, beyond, notes)


def _sought(pair: Pair, frame: Frame, request: Request) -> bool | str:
    """Whether the window's size is to be searched: all of it, or, of an even size, only where it lies."""
    if request.size is None:
        return pair.same or pair.margin != tuple(n - 1 for n in frame.size)
    return "place" if frame.size != request.size else False


def _realigned(pair, frame, total, request, origins, notes) -> tuple[Frame, Moments, tuple[Normal, Solution]]:
    """Where the window explains little, perhaps it lies elsewhere: the pictures' shift is looked for. With what the sums then say."""
    system = normal(total, request.bias)
    solution = solve(system)
    here = frame, total, (system, solution)
    left, energy = float(solution.rss.sum()), float(system.energy.sum())
    if left < 0.1 * energy or pair.margin == tuple(n - 1 for n in frame.size):
        return here
    far = displacement(pair)
    half = tuple((n - 1) // 2 for n in frame.size)
    corner = (far[0] - half[0], far[1] - half[1])
    moved = Frame(frame.size, corner)
    if corner == frame.corner or pair.count(moved) < 2 * total.taps:
        return here
    other = moments(pair, moved, origins, request.threads)
    system = normal(other, request.bias)
    solution = solve(system)
    if float(solution.rss.sum()) / max(other.count, 1) > 0.8 * left / max(total.count, 1):
        return here
    usual = tuple(-h for h in half) if pair.same else (0, 0)
    shift = (corner[0] - usual[0], corner[1] - usual[1])
    notes.append(f"after lies {-shift[0]} rows and {-shift[1]} columns from where it would without an offset")
    return moved, other, (system, solution)


def _supported(pair, frame, total, request, searched, notes) -> Frame:
    """The window without its rows and columns of zeros."""
    if searched == "place":
        size = request.size
        rows, columns = (range(n - m + 1) for n, m in zip(frame.size, size, strict=True))
        tried = [(float(solve(normal(total.crop(r, c, size), request.bias)).rss.sum()), r, c) for r in rows for c in columns]
        _, top, left = min(tried)
        return frame.inside(top, left, size)
    top = left = 0
    size = frame.size
    anchor = tuple(-n for n in frame.corner)
    resolution = precision_of(total, pair) ** 2
    while True:
        inner = None if not _contains(anchor, top, left, size) else (anchor[0] - top, anchor[1] - left)
        rect = support.choose(normal(total.crop(top, left, size), request.bias), inner, resolution)
        if rect is not None or size == (1, 1):
            break
        # Too plain for so large a window: a smaller one, in its middle.
        smaller = tuple(max(1, n - 2) for n in size)
        top, left, size = top + (size[0] - smaller[0] + 1) // 2, left + (size[1] - smaller[1] + 1) // 2, smaller
    if rect is None:
        return frame.inside(top, left, size)
    full = [axis for axis, name in enumerate(("rows", "columns")) if rect[2 + axis] == size[axis] and size[axis] > 1]
    if full and size == frame.size:
        notes.append(f"the kernel fills the {size[0]}x{size[1]} window that was searched: it may be larger; allow more with max_size")
    elif size != frame.size:
        notes.append(f"the pictures are too plain to search windows beyond {size[0]}x{size[1]}")
    return frame.inside(top + rect[0], left + rect[1], rect[2:])


def _contains(tap, top, left, size) -> bool:
    return top <= tap[0] < top + size[0] and left <= tap[1] < left + size[1]


def _kernel(total: Moments, k: NDArray) -> NDArray:
    return np.ascontiguousarray(k.T).reshape(total.outputs, total.channels, *total.size)


def _robust(pair, frame, total, origins, request, extra) -> NDArray:
    """Weights that outliers lose: Tukey's biweight, iterated (Holland & Welsch, *Comm. Statistics A*, 1977)."""
    factors = np.ones((len(pair.after), *pair.after.shape[-2:]), np.float32)
    base = pair.weights
    for step in range(8):
        system = normal(total, request.bias)
        solution = solve(system, request.constraints)
        weights, bias = _kernel(total, solution.k), system.offsets(solution.k)
        sizes = []
        for band in bands(pair, frame):
            sizes.append(_distance(band, weights, bias, request.threads)[:: max(1, band.y.shape[1] // 64)].ravel())
        sizes = np.concatenate(sizes)
        spread = 1.4826 * float(np.nanmedian(sizes)) or float(np.nanmean(sizes)) or 1.0
        limit = (4.685 if step else 20.0) * spread  # the first fit may be far off
        for band in bands(pair, frame):
            u = np.minimum(_distance(band, weights, bias, request.threads) / limit, 1.0)
            factors[band.plane, band.rows, band.columns] = np.nan_to_num((1 - u * u) ** 2)
        total = moments(pair, frame, origins, request.threads, extra, factors if base is None else factors * base)
        if np.abs(solve(normal(total, request.bias), request.constraints).k - solution.k).max() <= 1e-10 * np.abs(solution.k).max(initial=1e-300):
            break
    return factors if base is None else factors * base


def _distance(band, weights, bias, threads) -> NDArray:
    e = np.abs(band.y - predicted(band.x, weights, bias, threads)).max(0)
    return e if band.used is None else np.where(band.used, e, np.nan)


def _refined(pair, frame, system, solution, origins, request, extra, factors) -> tuple[Residuals, Solution]:
    """Residuals of all pixels; where there is hardly any noise, the sums' rounding is undone by what they show."""
    total = system.moments

    def look(k: NDArray, slope: bool) -> Residuals:
        return measure(pair, frame, _kernel(total, k), system.offsets(k), origins, request.threads, extra, factors, slope)

    energy = float(system.energy.sum())
    quiet = request.plain and energy > 0 and float(solution.rss.sum()) < 1e-10 * energy
    # Samples in float32 are rounded more than sums in float64: what is left shows that before the slope is asked for.
    coarse = pair.after.dtype.kind == "f" and pair.after.dtype.itemsize < 8
    residuals = look(solution.k, quiet and not coarse)
    if quiet and coarse and residuals.squares.sum() < _SUMS**2 * np.trace(system.gram) * np.trace(solution.unit) * energy:
        residuals = look(solution.k, True)
    for _ in range(0 if residuals.slope is None else 3):
        slope = residuals.slope
        mean = total.matrix[0, 1 : 1 + total.taps] / total.count if system.bias else 0.0
        pull = slope[1:] - (np.outer(mean, slope[0]) if system.bias else 0.0)
        if not system.bias:
            pull = pull + (origins[0] * slope[0])[None]
        step = solution.unit @ pull
        # Residuals are a quadratic form of the kernel: what the step will gain is known.
        if not (pull * step).sum() > 0.1 * residuals.squares.sum():
            break
        better = look(solution.k + step, True)
        if not better.squares.sum() < 0.9 * residuals.squares.sum():
            break
        residuals, solution = better, replace(solution, k=solution.k + step, rss=better.squares)
    return residuals, solution


def _concluded(pair, frame, system, solution, residuals, request, extra, beyond, notes) -> LearnedKernel:
    total, k = system.moments, solution.k
    weights, bias = _kernel(total, k), system.offsets(k)
    degrees = max(1.0, residuals.pixels - solution.free)
    variance = float(residuals.squares.sum()) / (degrees * total.outputs)
    evidence = Evidence()
    unit = level_unit(pair)
    precision = precision_of(total, pair, k)
    quiet = residuals.rms <= precision or (unit and residuals.rms <= 1.08 * unit / np.sqrt(12) and residuals.worst <= 0.75 * unit)
    if not quiet and not solution.deficiency:
        request.told("testing whether residuals are noise")
        evidence = gather(pair, frame, weights, bias, extra)
    cov = covariance(system, solution, variance, evidence.correlation, evidence.samples, pair, frame, request.threads)
    stderr = np.sqrt(np.maximum(np.diag(cov), 0))
    center = total.matrix[0, 1 : 1 + total.taps] / total.count + (total.origins[0] if system.bias else 0)
    bias_error = float(np.sqrt(max(0.0, variance / max(residuals.pixels, 1) + center @ cov @ center))) if system.bias else 0.0
    left = float(residuals.squares.sum())
    explained = float(system.energy.sum()) - left
    scale = unit or 1.0
    case = Case(
        deficiency=solution.deficiency, taps=total.taps, rms=residuals.rms / scale, worst=residuals.worst / scale, precision=precision / scale, whole=bool(unit),
        clipped=beyond, related=explained > variance * (3 * len(k) + 30) or not residuals.squares.any(), evidence=evidence,
        constant=not np.diag(system.gram).any(),
    )  # fmt: skip
    verdict, reasons = judge(case)
    one = total.outputs == 1 and total.channels == 1
    errors = np.broadcast_to(stderr.reshape(1, total.channels, *total.size), weights.shape) if total.outputs > 1 else stderr.reshape(weights.shape)
    if total.outputs > 1:
        each = np.sqrt(residuals.squares / max(float(residuals.squares.mean()), 1e-300))
        errors = errors * each[:, None, None, None]
    plain_bias: Any = float(bias[0]) if total.outputs == 1 else bias
    certificate = boundary = None
    if one and len(pair.after) and not solution.deficiency and weights.any():
        settled = verdict in ("lsi-exact", "lsi-rounded", "lsi+clipping") or (unit == 1.0 and residuals.rms < 0.75)
        if settled and unit in (0.0, 1.0):
            request.told("looking for integers")
            limits = None
            if pair.after.dtype.kind in "iu":
                info = np.iinfo(pair.after.dtype)
                limits = (info.min, info.max)
            certificate = certify(pair, frame, weights[0, 0], errors[0, 0], plain_bias, bias_error, limits, exact=pair.after.dtype.kind == "f" or unit == 0.0)
        if certificate is None:
            boundary, _ = border_rule(pair, frame, lambda x: predicted(x[None], weights, bias)[0], max(residuals.rms, precision))
        else:
            boundary = certificate.boundary
    anchor = (-frame.corner[0], -frame.corner[1])
    inside = all(0 <= a < n for a, n in zip(anchor, frame.size, strict=True)) and pair.same
    kernel = Kernel(weights[0, 0] if one or (total.outputs == 1 and not pair.mixing) else weights, anchor=anchor if inside else None,
                    bias=plain_bias if total.outputs == 1 else 0.0)  # fmt: skip
    integers = None if certificate is None else Kernel(certificate.numerators / certificate.divisor)
    name = name_of(kernel, errors[0, 0], integers) if kernel.ndim == 2 and verdict.startswith("lsi") else ""
    kernel = replace(kernel, name=name)
    return LearnedKernel(
        kernel=kernel, bias=plain_bias, stderr=errors[0, 0].copy() if kernel.ndim == 2 else np.array(errors), bias_stderr=bias_error,
        r2=_share(total, left), rms=residuals.rms, worst=residuals.worst, verdict=verdict, reasons=tuple(reasons + notes), name=name,
        certificate=certificate, rank_deficiency=solution.deficiency, null_directions=solution.null.reshape(-1, *kernel.shape[-2:]) if one else solution.null,
        boundary=boundary, count=int(residuals.pixels), degrees=degrees, covariance=cov, ridge=solution.ridge, same=pair.same, corner=frame.corner,
    )  # fmt: skip


def _share(total: Moments, left: float) -> float:
    """Of the outputs' variance, what is explained where so much is left."""
    spread = float((np.diag(total.matrix)[1 + total.taps :] - total.matrix[0, 1 + total.taps :] ** 2 / max(total.count, 1e-300)).sum())
    return 1 - left / spread if spread > 0 else float(left == 0)


def from_moments(total: Moments, size: tuple[int, int] | None, bias: bool, constraints: Any, ridge: Any, same: bool, whole: bool) -> LearnedKernel:
    """The answer that the sums alone can give: no pixel is there to test the model on."""
    notes = []
    corner = tuple(-((n - 1) // 2) for n in total.size)
    frame = Frame(total.size, corner if same else (0, 0))
    if size is None:
        rect = support.choose(normal(total, bias), tuple(-c for c in frame.corner) if same else None, 0.0)
        if rect is not None:
            frame, total = frame.inside(*rect[:2], rect[2:]), total.crop(*rect[:2], rect[2:])
    else:
        if size[0] > total.size[0] or size[1] > total.size[1]:
            raise OptionError(f"size={size} is larger than the statistics' {total.size}; make the learner with a larger max_size")
        top, left = ((n - m) // 2 for n, m in zip(total.size, size, strict=True))
        frame, total = frame.inside(top, left, size), total.crop(top, left, size)
    system = normal(total, bias)
    solution = solve(system, constraints, ridge)
    degrees = max(1.0, total.count - solution.free)
    variance = float(solution.rss.sum()) / (degrees * total.outputs)
    cov = variance * solution.unit
    rms = float(np.sqrt(solution.rss.sum() / (total.count * total.outputs)))
    energy = float(system.energy.sum())
    spread = max(energy, 1e-300)
    # Sums of products in float64 know residuals to about 1e-7 of the outputs.
    precision = max(2.0**-22 * np.sqrt(spread / total.count), 1e-300)
    case = Case(
        deficiency=solution.deficiency, taps=total.taps, rms=rms, worst=0.6 if whole else np.inf, precision=precision, whole=whole, clipped=0,
        related=energy - solution.rss.sum() > variance * (3 * total.taps + 30), evidence=Evidence(), constant=not np.diag(system.gram).any(),
    )  # fmt: skip
    verdict, reasons = judge(case)
    notes.append("only the sums were kept: curves, displacement and change across the picture were not tested; learn_kernel tests them on pixels")
    weights, offsets = _kernel(total, solution.k), system.offsets(solution.k)
    one = total.outputs == total.channels == 1
    stderr = np.broadcast_to(np.sqrt(np.maximum(np.diag(cov), 0)).reshape(1, total.channels, *total.size), weights.shape)
    anchor = (-frame.corner[0], -frame.corner[1])
    inside = same and all(0 <= a < n for a, n in zip(anchor, frame.size, strict=True))
    kernel = Kernel(weights[0, 0] if one else weights, anchor=anchor if inside else None, bias=float(offsets[0]) if total.outputs == 1 else 0.0)
    name = name_of(kernel, stderr[0, 0], None) if one and verdict.startswith("lsi") else ""
    return LearnedKernel(
        kernel=replace(kernel, name=name), bias=float(offsets[0]) if total.outputs == 1 else offsets, stderr=np.array(stderr[0, 0] if one else stderr),
        bias_stderr=float("nan"), r2=1 - float(solution.rss.sum()) / spread, rms=rms, worst=float("nan"), verdict=verdict, reasons=tuple(reasons + notes),
        name=name, certificate=None, rank_deficiency=solution.deficiency, null_directions=solution.null.reshape(-1, *total.size) if one else solution.null,
        boundary=None, count=int(total.count), degrees=degrees, covariance=cov, ridge=solution.ridge, same=same, corner=frame.corner,
    )  # fmt: skip
