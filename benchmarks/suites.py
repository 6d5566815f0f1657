"""Which work is timed: the rows of the table, with the least ratio that the project asks of each.

Images, kernels and the `Case` are those of tests/cases.py, so what is timed is what the
tests check; its ``SPEED`` table is the start of this one, which adds sizes and goals.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from cases import PHOTO, Case, delta, dense, gauss, pixels, seeded  # noqa: E402

OPENCV = ("filter2D", "sepFilter2D", "boxFilter")
RIVALS_OF = {
    "quick": OPENCV[:2],
    "core": (*OPENCV, "oaconvolve"),
    "full": (*OPENCV, "oaconvolve", "ndimage", "torch", "torch-nhwc"),
}

BEST = "best"  # a goal against the fastest rival of the row


@dataclass(frozen=True)
class Row:
    """One line of the table. ``goals``: rival → least (its time ÷ ours); "copy" is a rival here."""

    title: str
    case: Case
    goals: Mapping[str, float] = field(default_factory=dict)


photo = lru_cache(maxsize=2)(pixels)  # rows of the same dtype share their image


def row(title: str, kernel: np.ndarray, shape: tuple, pixel="float32", boundary="reflect", goals=None, **options) -> Row:
    """A "same" correlation of random pixels."""
    options = {"padding": "same", "boundary": boundary, **options}
    return Row(title, Case(title, partial(photo, *shape, dtype=pixel), kernel, options), goals or {})


def smooth(k: int) -> np.ndarray:
    """Random, positive, of sum 1: results stay inside uint8, and no structure helps."""
    kernel = np.abs(dense(k, k))
    return kernel / kernel.sum()


def laplacian_of_gaussian(n: int, sigma: float) -> np.ndarray:
    """A LoG of n by n taps: rank 2, not separable."""
    y, x = np.mgrid[:n, :n] - n // 2
    r2 = (x**2 + y**2) / sigma**2
    kernel = (r2 - 2) * np.exp(-r2 / 2)
    return kernel - kernel.mean()


def scattered(taps: int, n: int) -> np.ndarray:
    """A few taps in a large kernel."""
    rng = seeded("scattered", taps, n)
    places = rng.choice(n * n, taps, replace=False)
    return sum(delta(n, n, p // n, p % n, rng.standard_normal()) for p in places)


def quick(size: tuple) -> Iterator[Row]:
    """The gates of the first issue: dense kernels and a Gaussian as a plain array."""
    for k, goal in {3: 1.8, 5: 2.0, 7: 1.8, 11: 1.5}.items():
        yield row(f"float32 dense {k}x{k}", dense(k, k), size, goals={"filter2D": goal})
    yield row("float32 gaussian 13x13", gauss(13, 2.0), size, goals={"filter2D": 3.0})


def core(size: tuple) -> Iterator[Row]:
    """Every line of the table that the project wants to reach."""
    yield from photo_rows(size)
    yield from small_rows()


def photo_rows(size: tuple) -> Iterator[Row]:
    """Large images."""
    dense_goals = {3: 2.2, 5: 2.5, 7: 2.2, 9: 2.0, 11: 2.0, 15: 4.0, 21: 3.5, 31: 3.0, 63: 3.0, 127: 2.5}
    for k, goal in dense_goals.items():
        goals = {BEST: goal} | ({"copy": 1 / 1.15} if k == 3 else {})
        yield row(f"float32 dense {k}x{k}", dense(k, k), size, goals=goals)
    for n, goals in {13: (4.0, 1.8), 31: (8.0, 1.3)}.items():
        kernel = gauss(n, n / 6.5)
        yield row(f"float32 gaussian {n}x{n}", kernel, size, goals=dict(zip(OPENCV[:2], goals, strict=True)))
    yield row("float32 LoG 25x25", laplacian_of_gaussian(25, 4.0), size, goals={"filter2D": 5.0})
    yield row("float32 8 taps in 31x31", scattered(8, 31), size, goals={"filter2D": 8.0})
    yield row("float32 box 31x31", np.ones((31, 31)), size, goals={"boxFilter": 2.5})
    for k in (3, 7):
        yield row(f"float64 dense {k}x{k}", dense(k, k), size, "float64", goals={BEST: 1.8})
    for k in (3, 5, 7, 11, 15):
        yield row(f"uint8>float32 dense {k}x{k}", dense(k, k), size, "uint8", goals={BEST: 4.0})
    for k in (3, 5, 7, 11, 15):
        yield row(f"uint8>uint8 dense {k}x{k}", smooth(k), size, "uint8", goals={BEST: 3.5}, dtype="uint8")
    mean = np.full((31, 31), 1 / 961)
    yield row("uint8>uint8 box 31x31", mean, size, "uint8", goals={"boxFilter": 1.2}, dtype="uint8")
    for k in (3, 5, 7, 11, 15):
        rgb = {"dtype": "uint8", "channel_axis": -1}
        yield row(f"RGB uint8 dense {k}x{k}", smooth(k), (*size, 3), "uint8", goals={BEST: 3.5}, **rgb)


def small_rows() -> Iterator[Row]:
    """Images that fit into the caches, where the call itself costs."""
    for n in (28, 64, 128, 256, 1024):
        for k in (3, 7):
            goals = {"filter2D": 1 / 1.5 if n < 128 else 1.0}
            yield row(f"{n}x{n} float32 dense {k}x{k}", dense(k, k), (n, n), goals=goals)
    yield row("64 of 28x28 float32 dense 3x3", dense(3, 3), (64, 28, 28), goals={"filter2D": 3.0})


def full(size: tuple) -> Iterator[Row]:
    """The core, the other borders, colour in floats, and the large rows again at other sizes."""
    yield from core(size)
    for boundary in ("constant", "edge", "symmetric", "wrap"):
        yield row(f"float32 dense 5x5 {boundary}", dense(5, 5), size, boundary=boundary)
    yield row("RGB float32 dense 7x7", dense(7, 7), (*size, 3), channel_axis=-1)
    yield row("64 of 28x28 float32 dense 7x7", dense(7, 7), (64, 28, 28))
    for other in ((1080, 1920), (511, 640)):
        if other[0] < size[0]:
            for each in photo_rows(other):
                yield Row(f"{other[0]}x{other[1]} {each.title}", each.case)


SUITES = {"quick": quick, "core": core, "full": full}
