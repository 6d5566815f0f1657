r"""Kernels that change across the picture: ``k(y, x) = sum over n of p_n(y, x) k_n`` with polynomials p_n.

The pictures are cut into tiles in which the polynomials hardly change; the moments of each tile give
all blocks of the normal equations, ``sum over tiles of (p p') kron G`` (Alard, *Astron. & Astrophys. Suppl.*, 2000).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

import corr2d

from .._errors import OptionError
from .moments import of_rows
from .pairs import Frame, Pair, cut, origins_of
from .result import LearnedKernel

__all__ = ["Variation", "fit"]

_TILES = 32  # along each side, at most
_MOST = 2  # degree that "auto" tries


@dataclass(frozen=True, slots=True, eq=False)
class Variation:
    """Kernels (terms, kh, kw) and biases (terms,), each to be multiplied by its polynomial."""

    kernels: NDArray
    biases: NDArray
    degree: int
    shape: tuple[int, int]

    def at(self, y: float, x: float) -> NDArray[np.float64]:
        """The kernel whose anchor lies on this pixel of `after`."""
        p = _polynomials(*(2 * v / max(1, n - 1) - 1 for v, n in zip((y, x), self.shape, strict=True)), self.degree)
        return np.tensordot(np.array(p), self.kernels, 1)

    def apply(self, x: NDArray, options: dict[str, Any]) -> NDArray[np.float64]:
        total: Any = 0.0
        for n, (kernel, bias) in enumerate(zip(self.kernels, self.biases, strict=True)):
            part = corr2d.corr2d(x, kernel, **options)
            h, w = part.shape[-2:]
            y, z = np.linspace(-1, 1, h)[:, None], np.linspace(-1, 1, w)[None]
            total = total + _polynomials(y, z, self.degree)[n] * (part + bias)
        return total


def _polynomials(y: Any, x: Any, degree: int) -> list[Any]:
    return [y**a * x ** (d - a) + 0 * (x + y) for d in range(degree + 1) for a in range(d + 1)]


def fit(pair: Pair, request: Any, plain: LearnedKernel, degree: int | str) -> LearnedKernel:
    """The plain fit with kernels added that change across the picture, if BIC wants them ("auto") or anyway."""
    if degree != "auto" and not (isinstance(degree, int) and 0 <= degree <= 6):
        raise OptionError(f'vary={degree!r} is not understood; use "auto" or a degree from 0 to 6')
    if plain.kernel.ndim != 2 or plain.curve is not None or pair.mixing:
        raise OptionError('vary= is for kernels of one channel without a tone curve; leave out channels="full" and curves')
    request.told("letting the kernel change across the picture")
    frame = Frame(plain.kernel.shape, plain.corner)
    tiles = _tiles(pair, frame)
    degrees = range(_MOST + 1) if degree == "auto" else (0, degree)
    solved = [_solved(tiles, d, request.bias) for d in degrees]
    wanted = min(solved, key=lambda s: s[0])
    _, k, variance, chosen = wanted if degree == "auto" else solved[-1]
    if chosen == 0:
        return replace(plain, reasons=(*plain.reasons, "BIC prefers a kernel that is the same everywhere"))
    terms = len(_polynomials(0.0, 0.0, chosen))
    k = k.reshape(terms, -1)
    taps = plain.kernel.weights.size
    origins = tiles[:2]
    biases = k[:, 0] - origins[0] * k[:, 1:].sum(1)
    biases[0] += origins[1]
    if not request.bias:
        biases[:] = 0
    variation = Variation(k[:, 1 : 1 + taps].reshape(terms, *frame.size), biases, chosen, tuple(pair.after.shape[-2:]))
    kernel = replace(plain.kernel, weights=variation.kernels[0], bias=float(biases[0]), name="")
    rms = float(np.sqrt(variance))
    words = f"the kernel changes across the picture by polynomials of degree {chosen}: rms {rms:.4g} with them, {plain.rms:.4g} without"
    verdict, reasons = "spatially-varying", (words,)
    if wanted[-1] == 0:  # the kernels were asked for, and say nothing that one does not
        verdict, reasons = plain.verdict, (words, "BIC prefers a kernel that is the same everywhere")
    return replace(
        plain, kernel=kernel, bias=0.0, verdict=verdict, reasons=reasons, rms=rms, variation=variation, certificate=None, name="",
        r2=1 - (1 - plain.r2) * (rms / plain.rms) ** 2 if plain.rms else plain.r2,
    )  # fmt: skip


def _tiles(pair: Pair, frame: Frame):
    """Origins, and of each tile its place, its moments."""
    rows, columns = pair.outputs(frame)
    origins = origins_of(pair)
    found = []
    spans = []
    for span in (rows, columns):
        n = span.stop - span.start
        edges = span.start + np.arange(min(_TILES, max(1, n // 8)) + 1) * n // min(_TILES, max(1, n // 8))
        spans.append([slice(int(a), int(b)) for a, b in zip(edges[:-1], edges[1:], strict=True)])
    for plane in range(len(pair.after)):
        for rs in spans[0]:
            for cs in spans[1]:
                band = cut(pair, frame, plane, rs, cs)
                used = np.ones(band.y.shape[1:], bool) if band.used is None else band.used
                if not used.any():
                    continue
                weights = None if pair.weights is None else np.asarray(pair.weights[plane, rs, cs], dtype=float)
                part = of_rows(band.x, band.y, frame.size, origins, used, weights)
                middle = [(s.start + s.stop - 1) / max(1, n - 1) - 1 for s, n in zip((rs, cs), pair.after.shape[-2:], strict=True)]
                found.append((middle, part.matrix))
    return (*origins, found)


def _solved(tiles, degree: int, bias: bool):
    found = tiles[2]
    n = len(found[0][1]) - 1
    terms = len(_polynomials(0.0, 0.0, degree))
    gram, cross, energy, count = np.zeros((terms, n, terms, n)), np.zeros((terms, n)), 0.0, 0.0
    for (y, x), m in found:
        p = np.array(_polynomials(y, x, degree))
        gram += np.einsum("s,t,ab->satb", p, p, m[:n, :n])
        cross += np.outer(p, m[:n, n])
        energy += m[n, n]
        count += m[0, 0]
    gram, cross = gram.reshape(terms * n, -1), cross.ravel()
    scale = 1 / np.sqrt(np.maximum(np.diag(gram), 1e-300))
    k = scale * np.linalg.lstsq(gram * scale * scale[:, None], scale * cross, rcond=1e-12)[0]
    variance = max(float(energy - 2 * cross @ k + k @ gram @ k) / count, 1e-12 * energy / count)
    return count * np.log(variance) + len(k) * np.log(count), k, variance, degree
