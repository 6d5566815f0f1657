"""Is what is left over only noise? Whatever noise is, it cannot be predicted from the picture before.

Tiles all over the picture are laid out like a chessboard. On the white tiles the residual is fitted by
features that each kind of wrong model would leave behind (curves of the prediction, gradients that grow
across the picture, local medians, ...); on the black tiles that fit is put to the test, and the
other way round. The share of the residual's variance that is predicted so is at most about 0 for
noise of any distribution, correlated or not (Stone, *J. Royal Stat. Soc. B*, 1974, on cross-validation).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from .._lags import lag_sums
from .jpeg import blocks_of, on_steps
from .pairs import Frame, Pair, cut
from .residual import predicted

__all__ = ["Evidence", "gather"]

_TILE = 64
_GRID = 8
_REACH = 2  # pixels beyond the window that features look at
_LAGS = 4  # of the residual's correlation with itself

GROUPS = ("support", "static", "moved", "varying", "local")


@dataclass(slots=True, eq=False)
class Evidence:
    """What the tiles say. Scores are shares of residual variance; none where the picture is too small."""

    scores: dict[str, float] = field(default_factory=dict)
    grid: float = 1.0  # residual energy next to the borders of 8x8 blocks, relative to elsewhere
    grid_sigmas: float = 0.0
    steps: float = 0.0  # whether the transforms of after's 8x8 blocks lie on steps: 1 if all do, and before's do not
    texture: float = 0.0  # correlation of the residual's square with local contrast, brightness apart
    correlation: NDArray | None = None  # of the residual with itself: (2 _LAGS + 1, 2 _LAGS + 1)
    samples: int = 0
    repeats: int = 0  # windows with contrast that were seen more than once
    agreeing: float = 0.0  # the share of them that gave the same output each time


def gather(pair: Pair, frame: Frame, weights: NDArray, bias: NDArray, extra: NDArray | None, output: int = 0) -> Evidence:
    """Look at up to 64 tiles of each of a few planes; one output channel."""
    (kh, kw), r = frame.size, _REACH
    wide = Frame((kh + 2 * r, kw + 2 * r), (frame.corner[0] - r, frame.corner[1] - r))
    rows, columns = pair.outputs(wide)
    evidence = Evidence()
    size = rows.stop - rows.start, columns.stop - columns.start
    grid = [max(2, min(_GRID, n // 8)) for n in size]
    if min(size) < 16:
        return evidence
    places = _Places(size, rows, columns)
    planes = np.unique(np.linspace(0, len(pair.after) - 1, 4).astype(int))
    tiles: list[_Tile] = []
    transforms: tuple[list[NDArray], list[NDArray]] = ([], [])  # of before, and of after
    squares, moments = [], np.zeros((2 * _LAGS + 1,) * 2)
    windows: list[tuple[NDArray, NDArray]] = []
    scale = _Scale()
    for plane in planes:
        for gy in range(grid[0]):
            for gx in range(grid[1]):
                band = cut(pair, wide, int(plane), *(_cell(s, g, n) for s, g, n in zip((rows, columns), (gy, gx), grid, strict=True)))
                used = np.ones(band.y.shape[1:], bool) if band.used is None else band.used
                if extra is not None:
                    used = used & extra[band.plane, band.rows, band.columns]
                if used.sum() < 16:
                    continue
                x = np.where(np.isfinite(band.x), band.x, 0).astype(float) if band.used is not None else band.x.astype(float)
                inner = x[:, r:-r, r:-r]
                one = weights[output : output + 1]
                p = predicted(inner, one, bias[output : output + 1])[0]
                e = np.where(used, band.y[output] - p, 0.0)
                scale.learn(x, p)
                tiles.append(_Tile((gy + gx) % 2, _features(x.mean(0), inner, p, one, places, band, frame, scale), used, e))
                squares.append(_squares_by_phase(e, used, band))
                moments += _with_itself(e)
                top, left = band.rows.start, band.columns.start
                transforms[0].append(blocks_of(x[0], top + wide.corner[0], left + wide.corner[1]))
                transforms[1].append(blocks_of(band.y[output], top, left))
                if pair.before.dtype.kind in "biu" and not pair.mixing and sum(len(y) for _, y in windows) < 150_000:
                    patches = np.lib.stride_tricks.sliding_window_view(band.x[0, r:-r, r:-r], frame.size)[used]
                    windows.append((patches.reshape(len(patches), -1), np.asarray(band.y[output][used])))
    evidence.samples = int(sum(t.used.sum() for t in tiles))
    if evidence.samples < 400 or moments[_LAGS, _LAGS] <= 0:
        return evidence
    evidence.correlation = moments / moments[_LAGS, _LAGS]
    evidence.scores = _scores(tiles)
    evidence.grid, evidence.grid_sigmas = _block_borders(squares)
    evidence.steps = max(0.0, on_steps(transforms[1]) - on_steps(transforms[0]))
    evidence.texture = _texture(tiles)
    evidence.repeats, evidence.agreeing = _repeats(windows)
    return evidence


@dataclass(frozen=True, slots=True)
class _Places:
    """Positions from -1 to 1 across the picture."""

    size: tuple[int, int]
    rows: slice
    columns: slice

    def of(self, band) -> tuple[NDArray, NDArray]:
        y = (np.arange(band.rows.start, band.rows.stop) - self.rows.start) * (2 / max(1, self.size[0] - 1)) - 1
        x = (np.arange(band.columns.start, band.columns.stop) - self.columns.start) * (2 / max(1, self.size[1] - 1)) - 1
        return y[:, None], x[None, :]


class _Scale:
    """Level and spread of the first tile that has any: features of all tiles are in these units."""

    def __init__(self) -> None:
        self.known = False
        self.x, self.p = (0.0, 1.0), (0.0, 1.0)

    def learn(self, x: NDArray, p: NDArray) -> None:
        if not self.known:
            self.x, self.p = (float(x.mean()), float(x.std()) or 1.0), (float(p.mean()), float(p.std()) or 1.0)
            self.known = x.std() > 0


@dataclass(slots=True, eq=False)
class _Tile:
    white: int
    features: dict[str, list[NDArray]]
    used: NDArray
    e: NDArray


def _cell(span: slice, index: int, grid: int) -> slice:
    """The middle of a cell of the grid, at most a tile of it."""
    n = span.stop - span.start
    first, last = span.start + n * index // grid, span.start + n * (index + 1) // grid
    size = min(_TILE, last - first)
    first += (last - first - size) // 2
    return slice(first, first + size)


def _features(x, inner, p, weights, places, band, frame, scale) -> dict[str, list[NDArray]]:
    r, (h, w) = _REACH, p.shape
    u = (p - scale.p[0]) / scale.p[1]
    z = (inner - scale.x[0]) / scale.x[1]
    gy, gx = np.gradient(u)
    yy, xy = np.gradient(gy)
    xx = np.gradient(gx)[1]
    level = yy + xx
    py, px = places.of(band)
    # The pixel in the middle of the window, and its neighbours.
    cy, cx = r + (frame.size[0] - 1) // 2, r + (frame.size[1] - 1) // 2
    nine = np.stack([x[cy + i : cy + i + h, cx + j : cx + j + w] for i in (-1, 0, 1) for j in (-1, 0, 1)])
    nine = (nine - scale.x[0]) / scale.x[1]
    centre = nine[4]
    middle = np.median(nine, axis=0) - centre
    wide = np.stack([x[cy + i : cy + i + h, cx + j : cx + j + w] for i in (-2, 0, 2) for j in (-2, 0, 2)])
    wide = np.concatenate([(wide - scale.x[0]) / scale.x[1], nine])  # 17 of the 5 x 5 pixels
    least, most, spread = nine.min(0) - centre, nine.max(0) - centre, nine.std(0)
    mean = nine.mean(0) - centre
    curve = [u * u, u**3, predicted(z * z, weights, np.zeros(1))[0] / scale.p[1], predicted(z**3, weights, np.zeros(1))[0] / scale.p[1]]
    sides = []
    for d in range(1, r + 1):
        kh, kw = frame.size
        for i, j in ((r - d, None), (r + kh - 1 + d, None), (None, r - d), (None, r + kw - 1 + d)):
            # One row or column just outside the window, as long as the window.
            if i is not None:
                lines = [x[i:, r + t :][:h, :w] for t in range(kw)]
            else:
                lines = [x[r + t :, j:][:h, :w] for t in range(kh)]
            sides.append((np.mean(lines, axis=0) - scale.x[0]) / scale.x[1])
    second = (yy, xx, xy)
    return {
        "base": [np.ones_like(p), u, gy, gx],
        "support": sides,
        "static": curve,
        "moved": [a * g for g in (gy, gx) for a in (py, px, py * py, py * px, px * px)],
        "varying": [a * s for s in second for a in (py, px)]
        + [a * level for a in (py * py, py * px, px * px)]
        + [np.broadcast_to(a, p.shape) for a in (py, px, py * py, py * px, px * px)]
        + [a * u for a in (py, px, py * py, py * px, px * px)],
        "local": [middle, least, most, spread, np.median(wide, axis=0) - centre, wide.min(0) - centre, wide.max(0) - centre,
                   spread * mean, spread * u, np.hypot(gy, gx), np.abs(level), mean * np.abs(mean), middle * spread],
    }  # fmt: skip


def _scores(tiles: list[_Tile]) -> dict[str, float]:
    names = ["base", *GROUPS]
    width = {name: len(tiles[0].features[name]) for name in names}
    order = [name for name in names for _ in range(width[name])]
    half = [np.zeros((len(order) + 1,) * 2) for _ in range(2)]
    for tile in tiles:
        v = np.stack([f[tile.used] for name in names for f in tile.features[name]] + [tile.e[tile.used]])
        half[tile.white] += v @ v.T
    scores = {}
    for name, group in {**{name: (name,) for name in GROUPS}, "adaptive": ("varying", "static", "local")}.items():
        lost = {}
        for kept in (("base",), ("base", *group)):
            index = [i for i, n in enumerate(order) if n in kept]
            lost[kept] = 0.0
            for train, test in (half, half[::-1]):
                coefficients = np.linalg.lstsq(train[np.ix_(index, index)], train[index, -1], rcond=1e-12)[0]
                v = np.zeros(len(order) + 1)
                v[index], v[-1] = -coefficients, 1
                lost[kept] += float(v @ test @ v)
        base, more = lost[("base",)], lost[("base", *group)]
        scores[name] = 1 - more / base if base > 0 else 0.0
    return scores


def _squares_by_phase(e: NDArray, used: NDArray, band) -> NDArray:
    """Mean squares by row and column modulo 8: (2, 8)."""
    out = np.full((2, 8), np.nan)
    for axis, (span, other) in enumerate(((band.rows, 1), (band.columns, 0))):
        energy, count = (e * e).sum(other), used.sum(other)
        phase = np.arange(span.start, span.stop) % 8
        n = np.bincount(phase, count, 8)
        out[axis] = np.bincount(phase, energy, 8) / np.where(n > 0, n, np.nan)
    return out


def _block_borders(squares: list[NDArray]) -> tuple[float, float]:
    """How much larger, or smaller, the residual is on the two lines where blocks meet, and how surely: the less sure of rows and columns."""
    profile = np.array(squares)
    found = []
    for axis in range(2):
        each = profile[:, axis]
        each = each[np.isfinite(each).all(1) & (each.mean(1) > 0)]
        if len(each) < 16:
            return 1.0, 0.0
        each = np.log(np.maximum(each, 1e-300) / each.mean(1, keepdims=True))
        border, rest = each[:, [7, 0]].mean(1), each[:, 1:7].mean(1)
        gap = border - rest
        found.append((float(np.exp(gap.mean())), float(gap.mean() / (gap.std(ddof=1) / np.sqrt(len(gap)) + 1e-12))))
    rows, columns = found
    if rows[1] * columns[1] <= 0:
        return 1.0, 0.0
    return min(found, key=lambda f: abs(f[1]))


def _with_itself(e: NDArray) -> NDArray:
    m = 2 * _LAGS + 1
    if min(e.shape) <= 2 * _LAGS:
        return np.zeros((m, m))
    inner = np.ascontiguousarray(e[_LAGS:-_LAGS, _LAGS:-_LAGS])
    sums = lag_sums(inner, np.ascontiguousarray(e), threads=1)
    return (sums + sums[::-1, ::-1]) / 2


def _texture(tiles: list[_Tile]) -> float:
    """Partial correlation of log contrast with the size of the residual, the prediction's level held fixed."""
    u = np.concatenate([t.features["base"][1][t.used] for t in tiles])
    contrast = np.log(np.concatenate([t.features["local"][3][t.used] for t in tiles]) + 0.02)
    size = np.abs(np.concatenate([t.e[t.used] for t in tiles]))
    levels = np.stack([np.ones_like(u), u, u * u, u**3])
    gram = levels @ levels.T
    rest = [v - np.linalg.lstsq(gram, levels @ v, rcond=None)[0] @ levels for v in (contrast, size)]
    norms = np.linalg.norm(rest[0]) * np.linalg.norm(rest[1])
    return float(rest[0] @ rest[1] / norms) if norms > 0 else 0.0


def _repeats(windows: list[tuple[NDArray, NDArray]]) -> tuple[int, float]:
    """How many windows with contrast came up again, and how often the output was the same then."""
    if not windows:
        return 0, 0.0
    patches, outputs = np.concatenate([p for p, _ in windows]), np.concatenate([y for _, y in windows])
    contrast = patches.max(1) != patches.min(1)
    patches, outputs = np.ascontiguousarray(patches[contrast]), outputs[contrast]
    if not len(patches):
        return 0, 0.0
    keys = patches.view(np.dtype((np.void, patches.shape[1] * patches.dtype.itemsize)))[:, 0]
    order = np.argsort(keys, kind="stable")
    again = keys[order][1:] == keys[order][:-1]
    equal = outputs[order][1:] == outputs[order][:-1]
    return int(again.sum()), float(equal[again].mean()) if again.any() else 0.0
