"""What a kernel may be asked to be: linear rules, no negative taps, few taps, one column times one row."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._errors import OptionError
from .moments import Moments

__all__ = ["Rules", "nonnegative", "parse", "separable", "sparse"]

_WORDS = ("sum=1", "sum=0", "symmetric", "antisymmetric", "nonnegative", "separable", "sparse")
_ACCEPTED = ", ".join(f'"{word}"' for word in _WORDS) + " and {(row, column): value}"


@dataclass(frozen=True, slots=True, eq=False)
class Rules:
    """``k = offset + basis @ t`` and three wishes that are not linear."""

    offset: NDArray | None
    basis: NDArray | None
    nonnegative: bool
    sparse: bool
    separable: bool
    equations: tuple[NDArray, NDArray]

    @property
    def any(self) -> bool:
        return self.basis is not None or self.nonnegative or self.sparse or self.separable

    def without(self, zeros: NDArray) -> tuple[NDArray | None, NDArray | None]:
        """Offset and basis when these taps (a mask) are zero too; ValueError if that cannot be."""
        rows, right = self.equations
        return _subspace(np.vstack([rows, np.eye(rows.shape[1])[zeros]]), np.concatenate([right, np.zeros(int(zeros.sum()))]))


def parse(constraints: Any, moments: Moments) -> Rules:
    """Check what was asked for and write it as equations."""
    if isinstance(constraints, (str, Mapping)):
        constraints = (constraints,)
    try:
        wishes = list(constraints)
    except TypeError:
        raise OptionError(f"constraints={constraints!r} is not understood; give any of {_ACCEPTED}") from None
    kh, kw = moments.size
    kernels = np.arange(moments.taps).reshape(moments.channels, kh, kw)
    eye, rows, right = np.eye(moments.taps), [np.zeros((0, moments.taps))], []
    words = set()
    for wish in wishes:
        if isinstance(wish, Mapping):
            for place, value in wish.items():
                index = _tap(place, value, (kh, kw))
                rows.append(eye[kernels[:, index[0], index[1]]])
                right += [float(value)] * moments.channels
            continue
        if wish not in _WORDS:
            raise OptionError(f"constraint {wish!r} is not understood; use any of {_ACCEPTED}")
        words.add(wish)
        if wish in ("sum=1", "sum=0"):
            rows.append(np.ones((1, moments.taps)))
            right.append(float(wish[-1]))
        elif wish in ("symmetric", "antisymmetric"):
            turned = kernels[:, ::-1, ::-1].ravel()
            sign = -1 if wish == "symmetric" else 1
            rows.append(eye + sign * eye[turned])
            right += [0.0] * moments.taps
    equations = np.vstack(rows), np.array(right)
    if "separable" in words and len(wishes) > 1:
        raise OptionError('"separable" is not combined with other constraints; give it alone')
    if "separable" in words and moments.channels > 1:
        raise OptionError('"separable" is for kernels of one channel; use channels="depthwise"')
    try:
        offset, basis = _subspace(*equations) if len(right) else (None, None)
    except ValueError:
        raise OptionError(f"no kernel of size {kh}x{kw} fulfils {', '.join(map(str, wishes))} together; leave one of them out") from None
    return Rules(offset, basis, "nonnegative" in words, "sparse" in words, "separable" in words, equations)


def _tap(place: Any, value: Any, size: tuple[int, int]) -> tuple[int, int]:
    try:
        row, column = (operator.index(n) for n in place)
        float(value)
    except (TypeError, ValueError):
        raise OptionError(f"a fixed tap is {{(row, column): value}}; got {{{place!r}: {value!r}}}") from None
    if not (0 <= row < size[0] and 0 <= column < size[1]):
        raise OptionError(f"tap {(row, column)} is outside a kernel of size {size[0]}x{size[1]}; rows and columns start at 0")
    return row, column


def _subspace(rows: NDArray, right: NDArray) -> tuple[NDArray, NDArray]:
    """A point and an orthonormal basis of ``rows @ k == right``."""
    _, values, vectors = np.linalg.svd(rows)
    rank = int((values > 1e-9).sum())
    offset = np.linalg.lstsq(rows, right, rcond=1e-9)[0]
    if np.abs(rows @ offset - right).max(initial=0) > 1e-6:
        raise ValueError("contradiction")
    return offset, vectors[rank:].T


def nonnegative(system: Any, rules: Rules, linear: Any) -> Any:
    """Which taps are zero comes from Lawson & Hanson's active sets (*Solving Least Squares Problems*, ch. 23), the others from least squares."""
    return _joined([_nonnegative(_one_output(system, d), rules, linear) for d in range(system.cross.shape[1])])


def _nonnegative(one, rules, linear):
    from scipy.optimize import nnls

    values, vectors = np.linalg.eigh(one.gram)
    seen = values > 1e-13 * values[-1] if values[-1] > 0 else np.zeros(len(values), bool)
    root = np.sqrt(values[seen])
    a, b = root[:, None] * vectors[:, seen].T, vectors[:, seen].T @ one.cross[:, 0] / root
    rows, right = rules.equations
    if len(rows):  # all but kept at once; exactly below
        heavy = 1e4 * (float(root.max()) if len(root) else 1.0)
        a, b = np.vstack([a, heavy * rows]), np.append(b, heavy * right)
    k, _ = nnls(a, b, maxiter=50 * a.shape[1])
    if len(rows) and np.abs(rows @ k - right).max() > 1e-3:
        raise OptionError("no kernel without negative taps fulfils the other constraints; leave one of them out")
    zero = k <= 1e-9 * k.max(initial=0)
    solution = linear(one, *(rules.without(zero) if zero.any() or len(rows) else (None, None)))
    solution.k = np.where(zero[:, None], 0.0, np.maximum(solution.k, 0))
    return solution


def sparse(system: Any, rules: Rules, linear: Any) -> Any:
    """Leave taps out, the least certain first, as long as BIC falls (Schwarz, *Annals of Statistics*, 1978)."""
    return _joined([_sparse(_one_output(system, d), rules, linear) for d in range(system.cross.shape[1])])


def _sparse(one, rules, linear):
    zero = np.zeros(len(one.gram), bool)
    solution = linear(one, *(rules.without(zero) if len(rules.equations[0]) else (None, None)))
    n, floor = one.count, 1e-12 * float(one.energy[0])
    best = n * np.log(max(solution.rss[0], floor) / n) + solution.free * np.log(n)
    while (~zero).sum() > 1:
        k, variance = solution.k[:, 0], np.diag(solution.unit)
        strength = np.where(zero, np.inf, k * k / np.maximum(variance, 1e-300))
        trial = zero.copy()
        trial[int(strength.argmin())] = True
        try:
            candidate = linear(one, *rules.without(trial))
        except ValueError:
            break
        bic = n * np.log(max(candidate.rss[0], floor) / n) + candidate.free * np.log(n)
        if bic >= best:
            break
        best, zero, solution = bic, trial, candidate
    solution.k[zero] = 0
    return solution


def separable(system: Any) -> tuple[NDArray, NDArray]:
    """``k = column row'``: alternating least squares on contractions of the Gram matrix; the solution and its tangent."""
    kh, kw = system.moments.size
    gram = system.gram.reshape(kh, kw, kh, kw)
    kernels = []
    start = np.linalg.lstsq(system.gram, system.cross, rcond=1e-12)[0]
    for d in range(system.cross.shape[1]):
        cross = system.cross[:, d].reshape(kh, kw)
        u, s, v = np.linalg.svd(start[:, d].reshape(kh, kw))
        column, row = u[:, 0] * s[0], v[0]
        for _ in range(500):
            before = np.outer(column, row)
            column = np.linalg.lstsq(np.einsum("abcd,b,d->ac", gram, row, row), cross @ row, rcond=1e-13)[0]
            row = np.linalg.lstsq(np.einsum("abcd,a,c->bd", gram, column, column), cross.T @ column, rcond=1e-13)[0]
            norm = np.linalg.norm(row) or 1.0
            column, row = column * norm, row / norm
            if np.abs(np.outer(column, row) - before).max() <= 1e-14 * np.abs(before).max(initial=1e-300):
                break
        kernels.append((column, row))
    column, row = kernels[0]
    tangent = np.hstack([np.kron(np.eye(kh), row[:, None]), np.kron(column[:, None], np.eye(kw))])
    return np.stack([np.outer(c, r).ravel() for c, r in kernels], axis=1), tangent


def _one_output(system, d):
    from dataclasses import replace

    return replace(system, cross=system.cross[:, d : d + 1], energy=system.energy[d : d + 1])


def _joined(solutions):
    first = solutions[0]
    first.k = np.hstack([s.k for s in solutions])
    first.rss = np.concatenate([s.rss for s in solutions])
    return first
