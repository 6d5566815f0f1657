"""Pictures for the documentation, drawn from what this machine measures: see README.md.

python benchmarks/figures.py                   # measure, print the numbers
python benchmarks/figures.py --out docs        # ... and write docs/speed.svg .png, docs/roofline.svg .png, docs/figures.json
python benchmarks/figures.py --out docs --data docs/figures.json    # draw again without measuring
"""

from __future__ import annotations

import argparse
import json
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import timing
from bench import make_job
from checks import Yardstick
from rivals import RIVALS, Cannot, copy, set_threads
from suites import dense, row

import corr2d
from corr2d import _native

SIDES = (1, 3, 5, 7, 9, 11, 13, 15, 19, 23, 31, 43, 63, 89, 127)
METHODS = ("direct", "fft")
OTHERS = {"filter2D": "OpenCV filter2D", "oaconvolve": "SciPy oaconvolve", "torch": "PyTorch conv2d"}


# -------------------------------------------------------------------------------------------------
# measuring


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Seconds of everybody for every kernel size; who would exceed the patience stops there."""
    set_threads(args.threads)
    points = []
    for side in SIDES:
        points.append(measure_side(side, args))
        print(f"{side:>4}: " + ", ".join(f"{name} {1e3 * t:.4g} ms" for name, t in points[-1]["seconds"].items()), flush=True)
    fma = _native.fma_rate(0.3) * args.threads
    return {
        "schema": 1, "machine": timing.machine(), "versions": timing.versions(), "size": list(args.size), "threads": args.threads,
        "fma_per_second": fma, "points": points,
    }  # fmt: skip


def measure_side(side: int, args: argparse.Namespace) -> dict[str, Any]:
    """One kernel: everybody checked against corr2d, and that against exact sums, then timed interleaved."""
    what = row(f"dense {side}x{side}", dense(side, side), args.size)
    job, options = make_job(what, args.threads), {**what.case.options, "threads": args.threads}
    ours = partial(corr2d.corr2d, job.image, job.kernel, out=job.out, **options)
    yardstick, expected = Yardstick(job, None), ours().copy()
    wrong = yardstick.objection(expected)
    if wrong:
        raise SystemExit(f"corr2d is wrong at {side}x{side}: {wrong}")
    calls = {"corr2d": ours}
    chosen = corr2d.plan(job.image, job.kernel, **options)
    for each in chosen.considered:
        if each.method in METHODS and each.seconds is not None and each.seconds < args.patience:
            calls[each.method] = partial(ours, method=each.method)
    for name in OTHERS:
        rival = RIVALS[name]
        if rival.pace * job.multiplications > args.patience:
            continue
        try:
            run = rival.setup(job)
        except Cannot:
            continue
        job.out.fill(np.nan)
        if yardstick.difference(expected, run.extract(run.call())).matches:
            calls[name] = run.call
        else:
            print(f"{name} is left out at {side}x{side}: it gives another result")
    calls["copy"] = copy(job).call
    times = timing.interleaved(calls, repeat=args.repeat, seconds=args.seconds)
    return {"side": side, "method": chosen.method, "seconds": {name: t.median for name, t in times.items()}}


# -------------------------------------------------------------------------------------------------
# drawing

INK, QUIET, GRID = "#1c1c20", "#6f7078", "#e3e3e8"
OURS = "#c2410c"
STYLES = {
    "corr2d": {"color": OURS, "linewidth": 2.8, "zorder": 5},
    "direct": {"color": OURS, "linewidth": 1.1, "linestyle": (0, (4, 2)), "zorder": 4},
    "fft": {"color": OURS, "linewidth": 1.1, "linestyle": (0, (1, 1.5)), "zorder": 4},
    "filter2D": {"color": "#2563a8", "linewidth": 1.6, "zorder": 3},
    "oaconvolve": {"color": "#4d7c3a", "linewidth": 1.6, "zorder": 3},
    "torch": {"color": "#7a4fa3", "linewidth": 1.6, "zorder": 3},
}
NAMES = {"corr2d": "corr2d", "direct": "its direct", "fft": "its fft", **OTHERS}


def _axes(title: str, subtitle: str):
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    plt.rcParams.update({"font.family": "DejaVu Sans", "svg.fonttype": "none", "svg.hashsalt": "corr2d", "font.size": 10})
    figure, axes = plt.subplots(figsize=(8.4, 5.2))
    figure.subplots_adjust(left=0.085, right=0.80, top=0.83, bottom=0.115)
    figure.text(0.02, 0.945, title, fontsize=13.5, fontweight="bold", color=INK)
    figure.text(0.02, 0.925, subtitle, fontsize=9, color=QUIET, va="top", linespacing=1.5)
    axes.set(xscale="log", yscale="log")
    axes.grid(True, which="major", color=GRID, linewidth=0.8)
    axes.tick_params(which="both", colors=QUIET, length=0)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left", "bottom"):
        axes.spines[side].set_visible(False)
    return figure, axes


def _label_ends(axes, ends: list[tuple[float, float, str, dict]], gap: float = 0.052) -> None:
    """Names beside the lines' ends instead of a legend, pushed apart where they would overlap."""
    figure = axes.figure
    figure.canvas.draw()
    to_axes = axes.transData + axes.transAxes.inverted()
    placed = sorted(((to_axes.transform((x, y))[1], x, y, text, style) for x, y, text, style in ends), key=lambda e: e[0])
    heights = [p[0] for p in placed]
    for _ in range(200):
        for i in range(len(heights) - 1):
            overlap = gap - (heights[i + 1] - heights[i])
            if overlap > 0:
                heights[i] -= overlap / 2
                heights[i + 1] += overlap / 2
    for height, (_, x, y, text, style) in zip(heights, placed, strict=True):
        axes.annotate(
            text, xy=(x, y), xycoords="data", xytext=(1.03, height), textcoords="axes fraction", va="center", color=style["color"],
            fontweight="bold" if text == "corr2d" else "normal", annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": style["color"], "linewidth": 0.6, "alpha": 0.55, "shrinkA": 2, "shrinkB": 3},
        )  # fmt: skip


def _series(data: dict[str, Any], name: str) -> tuple[np.ndarray, np.ndarray]:
    found = [(p["side"], p["seconds"][name]) for p in data["points"] if name in p["seconds"]]
    return np.array([s for s, _ in found]), np.array([t for _, t in found])


def _where(data: dict[str, Any]) -> str:
    height, width = data["size"]
    cpu, v = data["machine"]["cpu"], data["versions"]
    return (
        f"{height}×{width} float32, dense kernels · {data['threads']} threads of {cpu} ({v['corr2d_isa']})\ncorr2d {v['corr2d']}, "
        f"OpenCV {v['cv2']}, SciPy {v['scipy']}, PyTorch {(v['torch'] or '—').split('+')[0]}"
    )


def speed(data: dict[str, Any]):
    """Time against kernel size, everybody."""
    figure, axes = _axes("Milliseconds to filter an image with a k×k kernel", _where(data))
    ends = []
    for name, style in STYLES.items():
        sides, seconds = _series(data, name)
        if len(sides):
            axes.plot(sides, seconds * 1e3, **style)
            ends.append((sides[-1], seconds[-1] * 1e3, NAMES[name], style))
    sides, seconds = _series(data, "copy")
    level = float(np.median(seconds)) * 1e3
    axes.axhline(level, color=QUIET, linewidth=0.9, linestyle=(0, (2, 3)))
    axes.text(SIDES[-1], level * 0.93, "copying the image", color=QUIET, fontsize=9, ha="right", va="top")
    axes.set_xticks([1, 3, 5, 7, 11, 15, 31, 63, 127])
    axes.set_xticks([], minor=True)
    axes.xaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.set_xlim(0.93, SIDES[-1] * 1.06)
    axes.set_ylim(level * 0.5, None)
    axes.set_xlabel("k, taps a side", color=QUIET)
    axes.set_ylabel("milliseconds", color=QUIET)
    _label_ends(axes, ends)
    return figure


def roofline(data: dict[str, Any]):
    """Multiply-adds per second against taps, below what memory and the processor allow."""
    figure, axes = _axes("Multiply-adds of the definition per second, and what the machine allows", _where(data))
    pixels = float(np.prod(data["size"]))
    _, copies = _series(data, "copy")
    per_pixel = float(np.median(copies)) / pixels
    peak = data["fma_per_second"] / 1e9
    taps = np.geomspace(1, SIDES[-1] ** 2, 200)
    memory = taps / per_pixel / 1e9
    axes.plot(taps, np.minimum(memory, peak), color=INK, linewidth=1.2, zorder=2)
    axes.fill_between(taps, np.minimum(memory, peak), 1e6, color="#f4f3ef", zorder=0)
    ends = []
    for name, style in STYLES.items():
        sides, seconds = _series(data, name)
        if len(sides):
            axes.plot(sides**2, pixels * sides**2 / seconds / 1e9, **style)
            ends.append((sides[-1] ** 2, pixels * sides[-1] ** 2 / seconds[-1] / 1e9, NAMES[name], style))
    top = max(y for _, y, _, _ in ends) * 1.5
    axes.set_xlim(0.9, SIDES[-1] ** 2 * 1.1)
    axes.set_ylim(0.5 * memory[0] / 2, max(top, 2 * peak))
    ridge = taps[int(np.argmax(memory >= peak))]
    axes.text(ridge, peak * 1.07, f"{peak:.0f}: every cycle", color=INK, fontsize=9, va="bottom")
    height, width = axes.get_window_extent().height, axes.get_window_extent().width
    span_y, span_x = np.diff(np.log(axes.get_ylim()))[0], np.diff(np.log(axes.get_xlim()))[0]
    angle = np.degrees(np.arctan((height / span_y) / (width / span_x)))
    axes.text(1.3, memory[0] * 1.3 * 1.35, "memory: one copy", color=INK, fontsize=9, rotation=angle, rotation_mode="anchor")
    ticks = [1, 3, 7, 15, 31, 63, 127]
    axes.set_xticks([k * k for k in ticks], [f"{k}×{k}" for k in ticks])
    axes.set_xticks([], minor=True)
    axes.yaxis.set_major_formatter("{x:g}")
    axes.set_xlabel("taps", color=QUIET)
    axes.set_ylabel("10⁹ multiply-adds per second", color=QUIET)
    _label_ends(axes, ends)
    return figure


FIGURES = {"speed": speed, "roofline": roofline}


def draw(data: dict[str, Any], folder: Path) -> None:
    """Write every figure as SVG and PNG, and the data beside them."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, make in FIGURES.items():
        figure = make(data)
        figure.savefig(folder / f"{name}.svg", metadata={"Date": None})
        figure.savefig(folder / f"{name}.png", dpi=150)
        print(f"written: {folder / name}.svg, .png")
    (folder / "figures.json").write_text(json.dumps(data, indent=1) + "\n")


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--out", type=Path, default=None, metavar="DIR", help="where the pictures go; without it only the numbers are printed")
    add("--data", type=Path, default=None, metavar="FILE", help="draw these numbers instead of measuring")
    add("--size", type=lambda text: tuple(map(int, text.split("x"))), default=(1536, 2048), metavar="HxW")
    add("--threads", type=int, default=timing.usable_cores(), metavar="N")
    add("--repeat", type=int, default=9, metavar="N", help="samples of a fast call")
    add("--seconds", type=float, default=0.6, metavar="S", help="bound on one contender's time at one size")
    add("--patience", type=float, default=1.5, metavar="S", help="a contender's line ends where one call would take longer")
    args = parser.parse_args(argv)
    data = json.loads(args.data.read_text()) if args.data else measure(args)
    if args.out:
        draw(data, args.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
