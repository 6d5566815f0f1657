"""Gradient descent, as the chapter teaches it: for looking at, with the loss before each step."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from .._errors import OptionError
from .fitting import Request, fit
from .pairs import Pair, moments, origins_of
from .placing import first_frame
from .result import LearnedKernel
from .solve import normal

__all__ = ["descend"]


def descend(pair: Pair, request: Request, steps: int, lr: float | None) -> LearnedKernel:
    """``kernel -= lr * gradient`` of the sum of squared differences, from a kernel of zeros.

    The loss is a quadratic form of the kernel, so its gradient needs no pixels: ``2 (G k - c)``.
    """
    if request.constraints or request.ridge is not None:
        raise OptionError('method="gradient" takes no constraints and no ridge; use method="exact"')
    if lr is not None and not (isinstance(lr, (int, float)) and 0 < lr < np.inf):
        raise OptionError(f"lr={lr!r} is not a learning rate; use a number above 0, or leave it out")
    exact = fit(pair, request)
    size = exact.kernel.shape[-2:]
    frame = replace(first_frame(pair, size, request.max_size), size=size, corner=exact.corner)
    origins = origins_of(pair)
    total = moments(pair, frame, origins, request.threads).around((0.0, 0.0))
    m, p = total.matrix, total.taps
    # With a bias, a 1 is one more pixel of each window.
    index = np.r_[1 : 1 + p, 0] if request.bias else np.arange(1, 1 + p)
    gram, cross, energy = m[np.ix_(index, index)], m[index, 1 + p :], float(np.trace(m[1 + p :, 1 + p :]))
    steepest = float(np.linalg.eigvalsh(gram)[-1])
    rate = 1 / (2 * steepest) if lr is None and steepest > 0 else (lr or 1.0)
    k = np.zeros_like(cross)
    losses: list[float] = []
    with np.errstate(over="ignore", invalid="ignore"):
        for _ in range(steps):
            losses.append(max(0.0, float(energy - 2 * (cross * k).sum() + (k * (gram @ k)).sum())))
            k = k - rate * 2 * (gram @ k - cross)
    notes: tuple[Any, ...] = (f"{steps} steps of gradient descent with a rate of {rate:.3g}; the exact solution is one factorisation away",)
    if not np.isfinite(k).all() or (steps > 1 and losses[-1] > losses[0]):
        raise OptionError(f"gradient descent diverged with lr={rate:.3g}; rates below {1 / max(steepest, 1e-300):.3g} converge here, or leave lr out")
    weights = np.ascontiguousarray(k[:p].T).reshape(exact.kernel.shape)
    bias: Any = (k[p] if total.outputs > 1 else float(k[p, 0])) if request.bias else (0.0 if total.outputs == 1 else np.zeros(total.outputs))
    system = normal(total, request.bias)
    rss = max(0.0, float(energy - 2 * (cross * k).sum() + (k * (gram @ k)).sum()))
    kernel = replace(exact.kernel, weights=weights, bias=bias if total.outputs == 1 else 0.0, name="")
    return replace(
        exact, kernel=kernel, bias=bias, losses=tuple(losses), rms=float(np.sqrt(rss / max(total.count * total.outputs, 1))),
        r2=1 - rss / max(float(system.energy.sum()), 1e-300), certificate=None, name="", reasons=exact.reasons + notes,
    )  # fmt: skip
