"""From moments to a kernel: least squares, constraints, error bars, and what cannot be told apart."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from .._errors import OptionError
from . import constrain
from .moments import Moments

__all__ = ["Normal", "Solution", "normal", "solve"]

# Directions in which the images say less than this, relative to the clearest, are beyond what sums of products in float64 keep.
_NULL = 1e-13


@dataclass(frozen=True, slots=True, eq=False)
class Normal:
    """Normal equations with the bias, if there is one, projected out: ``gram @ k = cross``."""

    gram: NDArray[np.float64]  # (P, P)
    cross: NDArray[np.float64]  # (P, D)
    energy: NDArray[np.float64]  # (D,): of the outputs
    count: float
    moments: Moments
    bias: bool

    @property
    def parameters(self) -> int:
        return len(self.gram) + self.bias

    def rss(self, k: NDArray) -> NDArray[np.float64]:
        """Residual sums of squares (D,) of kernels k (P, D); never below what rounding leaves."""
        rss = self.energy - 2 * (self.cross * k).sum(0) + (k * (self.gram @ k)).sum(0)
        return np.maximum(rss, 0)

    def offsets(self, k: NDArray) -> NDArray[np.float64]:
        """The bias of each output, in the images' own values."""
        m, p = self.moments, self.moments.taps
        if not self.bias:
            return np.zeros(k.shape[1])
        s, sy, n = m.matrix[0, 1 : 1 + p], m.matrix[0, 1 + p :], m.count
        return m.origins[1] + (sy - s @ k) / n - m.origins[0] * k.sum(0)


@dataclass(slots=True, eq=False)
class Solution:
    """Kernels (P, D) with what the moments say about them."""

    k: NDArray[np.float64]
    unit: NDArray[np.float64]  # covariance of k for residuals of variance 1: (P, P), null directions left out
    rss: NDArray[np.float64]
    free: int  # parameters that were fitted, the bias among them
    null: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 0)))  # (deficiency, P)
    ridge: float = 0.0

    @property
    def deficiency(self) -> int:
        return len(self.null)


def normal(moments: Moments, bias: bool) -> Normal:
    """The normal equations of moments; without a bias, around zero."""
    if not bias:
        moments = moments.around((0.0, 0.0))
    p = moments.taps
    m = moments.matrix
    if bias:
        m = m - np.outer(m[0], m[0]) / moments.count
    return Normal(m[1 : 1 + p, 1 : 1 + p], m[1 : 1 + p, 1 + p :], np.diag(m)[1 + p :].copy(), moments.count, moments, bias)


def solve(system: Normal, constraints: tuple = (), ridge: float | str | None = None) -> Solution:
    """Least squares under constraints.

    Without any: Cholesky, one step of refinement; where the images leave directions open, the
    solution of least norm, from the eigenvectors, and the open directions beside it.
    """
    moments = system.moments
    rules = constrain.parse(constraints, moments)
    if ridge is not None:
        if rules.any:
            raise OptionError("ridge and constraints are not combined; leave one of them out")
        return _ridge(system, ridge)
    if rules.separable:
        return _with_covariance(system, *constrain.separable(system))
    base = _linear(system, rules.offset, rules.basis)
    if rules.nonnegative:
        base = constrain.nonnegative(system, rules, _linear)
    if rules.sparse:
        base = constrain.sparse(system, rules, _linear)
    return base


def _linear(system: Normal, offset: NDArray | None, basis: NDArray | None) -> Solution:
    """``k = offset + basis @ t``; None is zero and everything."""
    gram, cross = system.gram, system.cross
    if offset is not None:
        cross = cross - (gram @ offset)[:, None]
    if basis is not None:
        gram, cross = basis.T @ gram @ basis, basis.T @ cross
    t, inverse, null = _solve(gram, cross)
    k, unit = (t, inverse) if basis is None else (basis @ t, basis @ inverse @ basis.T)
    if basis is not None:
        null = null @ basis.T
    if offset is not None:
        k = k + offset[:, None]
    return Solution(k, unit, system.rss(k), len(gram) - len(null) + system.bias, null)


def _solve(gram: NDArray, cross: NDArray) -> tuple[NDArray, NDArray, NDArray]:
    """The solution, the inverse, and the null directions as rows."""
    from scipy import linalg

    size = len(gram)
    if not size:
        return np.zeros((0, cross.shape[1])), np.zeros((0, 0)), np.zeros((0, 0))
    scale = float(np.diag(gram).max())
    try:
        factor = linalg.cho_factor(gram, check_finite=False)
        condition = linalg.lapack.dpocon(factor[0], np.abs(gram).sum(0).max(), uplo="U")[0]
    except linalg.LinAlgError:
        condition = 0.0
    if condition > _NULL * size:
        k = linalg.cho_solve(factor, cross, check_finite=False)
        k += linalg.cho_solve(factor, cross - gram @ k, check_finite=False)
        inverse = np.triu(linalg.lapack.dpotri(factor[0])[0])
        return k, inverse + np.triu(inverse, 1).T, np.zeros((0, size))
    values, vectors = linalg.eigh(gram / scale if scale > 0 else gram)
    kept = values > _NULL * size * max(values[-1], 1e-300)
    seen, values = vectors[:, kept], values[kept] * scale
    inverse = (seen / values) @ seen.T
    return inverse @ cross, inverse, vectors[:, ~kept].T


def _with_covariance(system: Normal, k: NDArray, tangent: NDArray) -> Solution:
    """Of a curved family: error bars from its tangent (P, parameters) at the solution."""
    basis, values, _ = np.linalg.svd(tangent, full_matrices=False)
    basis = basis[:, values > 1e-10 * values[0]]
    inverse = _solve(basis.T @ system.gram @ basis, np.zeros((basis.shape[1], 1)))[1]
    return Solution(k, basis @ inverse @ basis.T, system.rss(k), basis.shape[1] + system.bias, np.zeros((0, len(k))))


def _ridge(system: Normal, wanted: float | str) -> Solution:
    """Shrunk towards zero. "auto": as much as the data make most likely (MacKay, *Bayesian interpolation*, 1992)."""
    from scipy import linalg

    if wanted != "auto" and not (isinstance(wanted, (int, float)) and wanted >= 0):
        raise OptionError(f'ridge={wanted!r} is not understood; use None, "auto" or a number of at least 0')
    values, vectors = linalg.eigh(system.gram)
    values = np.maximum(values, 0)
    along = vectors.T @ system.cross
    outputs = along.shape[1]
    amount = float(wanted) if wanted != "auto" else 1e-6 * float(values[-1])
    for _ in range(200 if wanted == "auto" else 1):
        k = vectors @ (along / np.maximum(values + amount, 1e-300)[:, None])
        used = float((values / np.maximum(values + amount, 1e-300)).sum())
        if wanted != "auto":
            break
        noise = float(system.rss(k).sum()) / (outputs * max(1.0, system.count - used))
        better = used * outputs * noise / max(float((k * k).sum()), 1e-300)
        if abs(better - amount) <= 1e-9 * amount:
            break
        amount = better
    seen = values / np.maximum(values + amount, 1e-300) ** 2
    return Solution(k, (vectors * seen) @ vectors.T, system.rss(k), round(used) + system.bias, np.zeros((0, len(k))), amount)
