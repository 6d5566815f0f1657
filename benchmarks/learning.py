"""Learning a kernel: how fast, in how much memory, and how often right.

    python benchmarks/learning.py                # times against im2col with BLAS, and against one transform
    python benchmarks/learning.py --validate     # 200 linear cases, coverage of intervals, sizes found, controls: minutes
    python benchmarks/learning.py --memory       # peak beside the images, at 3072x4096 and at four times that

Times are interleaved medians. The rival writes patches out, some rows at a time, and lets BLAS
multiply them: the usual way to least squares of pictures, in blocks so that it fits into memory.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from scipy import fft

import corr2d
from timing import interleaved

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))


def im2col(x: np.ndarray, y: np.ndarray, size: int, rows: int | None = None) -> np.ndarray:
    """Moments of (patch, 1, output) by blocks of written-out patches; `rows` only, to extrapolate from."""
    h, w = y.shape
    n = size * size + 2
    total = np.zeros((n, n))
    step = max(1, (1 << 21) // (n * w))
    for top in range(0, h if rows is None else rows, step):
        band = y[top : top + step]
        v = np.empty((n, band.size))
        v[0], v[-1] = 1, band.ravel()
        for i in range(size):
            for j in range(size):
                v[1 + i * size + j] = x[top + i : top + i + len(band), j : j + w].ravel()
        total += v @ v.T
    return total


def times(shape: tuple[int, int], sizes: list[int], repeat: int) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=shape).astype(np.float32)
    threads = corr2d.get_threads()
    print(f"{shape[0]}x{shape[1]} float32, {threads} threads, seconds: median of interleaved rounds")
    for size in sizes:
        k = rng.normal(size=(size, size))
        y = corr2d.corr2d(x, k)
        learner = corr2d.KernelLearner(size)
        learner.update(x, y)
        part = min(len(y), max(32, (1 << 21) // size**4 * 8))  # the rival's work is the same in every row
        if size <= 7:
            learner_matrix, rival = learner._moments.around((0.0, 0.0)).matrix, im2col(x, y, size)
            worst = abs(learner_matrix - rival).max() / abs(rival).max()
            assert worst < 1e-10, worst
        calls = {
            "statistics": lambda size=size, y=y: corr2d.KernelLearner(size).update(x, y),
            "learn_kernel": lambda size=size, y=y: corr2d.learn_kernel(x, y, size),
            "im2col": lambda size=size, y=y, part=part: im2col(x, y, size, part),
            "rfft2": lambda: fft.rfft2(x, workers=threads),
        }
        found = interleaved(calls, repeat=repeat, seconds=20)
        t = {name: f.median for name, f in found.items()}
        t["im2col"] *= len(y) / part
        print(
            f"{size:2}x{size:<2}  sums {t['statistics']:.3f}  learn_kernel {t['learn_kernel']:.3f}  im2col+BLAS {t['im2col']:.2f} "
            f"({t['im2col'] / t['statistics']:.1f}x the sums, {t['im2col'] / t['learn_kernel']:.1f}x learn_kernel)  "
            f"rfft2 {t['rfft2']:.3f} (sums {t['statistics'] / t['rfft2']:.1f}, learn_kernel {t['learn_kernel'] / t['rfft2']:.1f} of it)",
            flush=True,
        )


def memory() -> None:
    from machine import peak_of

    for shape in [(3072, 4096), (6144, 8192)]:
        for size in ("5", "15", "31", '"auto"'):
            setup = f"""
            import numpy as np, corr2d
            x = np.random.default_rng(0).normal(size={shape}).astype(np.float32)
            y = corr2d.corr2d(x, np.ones((5, 5)) / 25, padding="same")
            corr2d.learn_kernel(x[:64, :64], y[:64, :64], 3)
            """
            print(f"{shape} size {size}: {peak_of(setup, f'corr2d.learn_kernel(x, y, {size})'):.0f} MiB", flush=True)


def validate(cases: int) -> None:
    from test_learning import PHOTO, controls, linear_case

    pixels = corr2d.images.read(PHOTO).pixels
    photo = np.ascontiguousarray(pixels if pixels.ndim == 2 else pixels[..., 0])
    alarms, sizes = [], 0
    for seed in range(cases):
        x, y, expected = linear_case(photo, seed)
        verdict = corr2d.learn_kernel(x, y, max_size=9).verdict
        if verdict not in expected:
            alarms.append((seed, verdict))
    print(f"linear cases: {len(alarms)} of {cases} with another verdict {alarms}", flush=True)
    for seed in range(cases):
        rng = np.random.default_rng(seed)
        size = tuple(int(n) for n in rng.integers(1, 8, 2))
        k, anchor = rng.normal(size=size), tuple(int(rng.integers(0, n)) for n in size)
        y = corr2d.corr2d(photo[:300, :300].astype(float), k, padding="same", anchor=anchor, boundary="reflect")
        sizes += corr2d.learn_kernel(photo[:300, :300], np.rint(y + rng.normal(scale=2, size=y.shape))).kernel.shape == size
    print(f"sizes found: {sizes} of {cases}", flush=True)
    coverage(photo, cases)
    wrong = [(name, corr2d.learn_kernel(photo, after, 7).verdict) for name, (after, verdict) in controls(photo).items()
             if corr2d.learn_kernel(photo, after, 7).verdict != verdict]  # fmt: skip
    print(f"controls with another verdict: {wrong}", flush=True)


def coverage(photo: np.ndarray, cases: int) -> None:
    """How often 95 % intervals of the nine taps of one kernel hold the truth, under white and under correlated noise."""
    from scipy import ndimage

    x = photo[:200, :200].astype(float)
    k = np.random.default_rng(3).normal(size=(3, 3))
    clean = corr2d.corr2d(x, k)
    for name, width in (("white", 0.0), ("correlated", 1.0)):
        held = 0
        for seed in range(cases):
            e = np.random.default_rng(seed).normal(scale=3, size=clean.shape)
            low, high = corr2d.learn_kernel(x, clean + ndimage.gaussian_filter(e, width, mode="wrap"), 3).confidence_interval(0.95)
            held += np.count_nonzero((low <= k) & (k <= high))
        print(f"coverage of 95 % intervals, {name} noise: {held / (9 * cases):.1%} of {9 * cases}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--validate", action="store_true")
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--cases", type=int, default=200)
    parser.add_argument("--size", default="3072x4096")
    parser.add_argument("--kernels", default="5,15,31")
    parser.add_argument("--repeat", type=int, default=5)
    options = parser.parse_args()
    if options.validate:
        validate(options.cases)
    if options.memory:
        memory()
    if not (options.validate or options.memory):
        rows, columns = (int(n) for n in options.size.split("x"))
        times((rows, columns), [int(n) for n in options.kernels.split(",")], options.repeat)


if __name__ == "__main__":
    main()
