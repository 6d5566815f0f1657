"""How good are the planner's choices? Random work, every willing candidate timed: see README.md.

python benchmarks/regret.py [--cases N] [--seconds S] [--seed K] [--threads N] [--json [FILE]] [--replay FILE]
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import timing

import corr2d
from corr2d._plan import format_seconds

# Candidates predicted to take more than this many times the best one's time are not timed.
HOPELESS = 20.0
WITHIN = 2.0  # how far from the measured time a prediction may be


@dataclass(frozen=True)
class Work:
    """One correlation to choose an algorithm for; the same for the same seed and index."""

    index: int
    structure: str
    shape: tuple[int, ...]
    dtype: str
    kernel: np.ndarray = field(repr=False)
    options: dict[str, Any]

    @property
    def title(self) -> str:
        words = [f"{name}={value}" for name, value in self.options.items() if value not in (1, None)]
        size = "×".join(map(str, self.shape))
        return f"#{self.index} {size} {self.dtype} ⋆ {self.structure} {'×'.join(map(str, self.kernel.shape))} {' '.join(words)}"

    def image(self) -> np.ndarray:
        return _pixels(self.shape, self.dtype)

    def plan(self, method: str = "auto", threads: int | None = None) -> corr2d.Plan:
        return corr2d.plan(self.shape, self.kernel, image_dtype=self.dtype, method=method, threads=threads, **self.options)


@lru_cache(maxsize=1)
def _pixels(shape: tuple[int, ...], dtype: str) -> np.ndarray:
    rng = np.random.default_rng(len(shape))
    if np.dtype(dtype).kind in "iu":
        return rng.integers(0, 255, shape).astype(dtype)
    if np.dtype(dtype).kind == "c":
        return (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)).astype(dtype)
    return rng.standard_normal(shape, dtype="float32").astype(dtype)


# -------------------------------------------------------------------------------------------------
# random work


def random_work(seed: int, index: int, largest: int = 4096) -> Work:
    """Sizes and kernels even on a logarithmic scale, everything else by the weights below."""
    rng = np.random.default_rng((seed, index))
    either = partial(_either, rng)
    side, aspect = _between(rng, 16, largest), 2 ** rng.uniform(-1, 1)
    height, width = (max(16, min(largest, round(side * a))) for a in (aspect, 1 / aspect))
    dtype = either(float32=50, uint8=22, uint16=8, float64=10, int16=3, float16=3, int32=2, complex64=2)
    structure = either(dense=35, separable=13, box=10, lowrank=10, sparse=10, symmetric=8, integer=8, line=4, mixing=2)
    options: dict[str, Any] = {
        "padding": either(same=70, valid=30),
        "boundary": either(reflect=40, constant=25, edge=15, symmetric=10, wrap=10),
        "stride": int(either(**{"1": 85, "2": 11, "3": 4})),
        "dilation": int(either(**{"1": 88, "2": 8, "3": 4})),
    }
    reach = min(127, (min(height, width) - 1) // options["dilation"] + 1)
    kh, kw = round(_between(rng, 1, reach)), round(_between(rng, 1, reach))
    if rng.random() < 0.75:
        kw = kh
    shape: tuple[int, ...] = (height, width)
    if structure == "mixing":
        channels = (int(rng.integers(1, 17)), int(rng.integers(1, 17)))
        kh, kw, shape = min(kh, 7), min(kw, 7), (channels[1], min(512, height), min(512, width))
        return Work(index, structure, shape, dtype, rng.standard_normal((*channels, kh, kw)), options)
    layout = either(plane=72, interleaved=14, batch=14)
    if layout == "interleaved":
        shape, options["channel_axis"] = (height, width, 3), -1
    elif layout == "batch":
        shape = (max(1, min(64, 2**22 // (height * width))), height, width)
    if dtype in ("uint8", "uint16", "int16") and rng.random() < 0.4:
        options["dtype"] = dtype
    return Work(index, structure, shape, dtype, _KERNELS[structure](rng, kh, kw), options)


def _between(rng: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(math.log(low), math.log(high))))


def _either(rng: np.random.Generator, **weights: float) -> str:
    share = np.array(list(weights.values()), float)
    return str(rng.choice(list(weights), p=share / share.sum()))


def _dense(rng, kh, kw):
    return rng.standard_normal((kh, kw))


def _separable(rng, kh, kw):
    return np.outer(rng.standard_normal(kh), rng.standard_normal(kw))


def _lowrank(rng, kh, kw):
    return sum(_separable(rng, kh, kw) for _ in range(int(rng.integers(2, 5))))


def _sparse(rng, kh, kw):
    kernel = np.zeros(kh * kw)
    places = rng.choice(kh * kw, round(_between(rng, 1, max(1.0, kh * kw / 4))), replace=False)
    kernel[places] = rng.standard_normal(len(places))
    return kernel.reshape(kh, kw)


def _symmetric(rng, kh, kw):
    kernel = _dense(rng, kh, kw)
    kernel = kernel + kernel[::-1]
    return kernel + kernel[:, ::-1]


_KERNELS: dict[str, Callable[..., np.ndarray]] = {
    "dense": _dense,
    "separable": _separable,
    "box": lambda rng, kh, kw: np.full((kh, kw), 1.0 if rng.random() < 0.5 else 1 / (kh * kw)),
    "lowrank": _lowrank,
    "sparse": _sparse,
    "symmetric": _symmetric,
    "integer": lambda rng, kh, kw: rng.integers(-8, 9, (kh, kw)).astype(float),
    "line": lambda rng, kh, kw: rng.standard_normal((kh, 1) if rng.random() < 0.5 else (1, kw)),
}


# -------------------------------------------------------------------------------------------------
# one piece of work, measured


@dataclass
class Outcome:
    """What was chosen, and how long every willing candidate took."""

    index: int
    title: str
    chosen: str
    predicted: dict[str, float]  # method → seconds, of all that were willing
    measured: dict[str, float]  # of those that were timed
    wrong: str = ""

    @property
    def regret(self) -> float:
        return self.measured[self.chosen] / min(self.measured.values())

    @property
    def best(self) -> str:
        return min(self.measured, key=self.measured.__getitem__)

    @property
    def ratios(self) -> dict[str, float]:
        """Method → predicted ÷ measured."""
        return {m: self.predicted[m] / t for m, t in self.measured.items()}

    def to_dict(self) -> dict[str, Any]:
        return {"index": self.index, "title": self.title, "chosen": self.chosen, "predicted": self.predicted,
                "measured": self.measured, "wrong": self.wrong}  # fmt: skip


def measure(work: Work, args: argparse.Namespace) -> Outcome:
    """Results compared with one another first, then timed interleaved, into one array."""
    image, plan = work.image(), work.plan(threads=args.threads)
    predicted = {c.method: c.seconds for c in plan.considered if c.seconds is not None}
    limit = min(HOPELESS * plan.seconds, args.patience)
    names = [m for m, seconds in predicted.items() if m == plan.method or seconds <= limit]
    plans = {m: work.plan(m, args.threads) for m in names}
    outcome = Outcome(work.index, work.title, plan.method, predicted, {})
    first = plans[plan.method](image)
    out = np.empty_like(first)
    bound = _allowed(work, image, first.dtype)
    for name, each in plans.items():
        each(image, out=out)
        apart = np.abs(out.astype(np.result_type(out, 0.0)) - first).max(initial=0.0)
        if not apart <= bound:
            outcome.wrong = f"{name} and {plan.method} differ by {apart:.3g}, {bound:.3g} is allowed"
    options = {**work.options, "threads": args.threads}
    calls = {name: partial(corr2d.corr2d, image, work.kernel, out=out, method=name, **options) for name in plans}
    times = timing.interleaved(calls, repeat=args.repeat, seconds=args.share)
    outcome.measured = {name: t.median for name, t in times.items()}
    return outcome


def _allowed(work: Work, image: np.ndarray, dtype: np.dtype) -> float:
    """Two results, each within the contract's bound; integer results may fall to either side of one half."""
    narrow = dtype.kind in "iu" or dtype in (np.float32, np.complex64, np.float16)
    unit = (2.0**-11 if dtype == np.float16 else 2.0**-24) if narrow else 2.0**-53
    weights = np.abs(work.kernel).sum(axis=tuple(range(1, work.kernel.ndim))).max() if work.kernel.ndim == 4 else np.abs(work.kernel).sum()
    return 64 * unit * float(weights) * float(np.abs(image).max(initial=0)) + (1 if dtype.kind in "iu" else 0)


# -------------------------------------------------------------------------------------------------
# what it adds up to


def summary(outcomes: list[Outcome]) -> dict[str, Any]:
    """Regret of the choices and the spread of prediction ÷ measurement."""
    regrets = np.array([o.regret for o in outcomes])
    ratios = {
        "chosen": np.array([o.ratios[o.chosen] for o in outcomes]),
        "all timed": np.array([r for o in outcomes for r in o.ratios.values()]),
    }
    for method in sorted({m for o in outcomes for m in o.measured}):
        ratios[method] = np.array([o.ratios[method] for o in outcomes if method in o.measured])
    worst = sorted(outcomes, key=lambda o: -o.regret)[:5]
    return {
        "cases": len(outcomes),
        "regret": {
            "median": float(np.median(regrets)),
            "p95": float(np.percentile(regrets, 95)),
            "worst": float(regrets.max()),
            "choices_that_were_best": float((regrets == 1).mean()),
        },
        "prediction": {
            name: {
                "count": int(r.size),
                "within_2x": float((np.abs(np.log(r)) <= math.log(WITHIN)).mean()),
                "p5": float(np.percentile(r, 5)),
                "median": float(np.median(r)),
                "p95": float(np.percentile(r, 95)),
            }
            for name, r in ratios.items()
        },
        "worst": [{"regret": o.regret, **o.to_dict()} for o in worst],
        "wrong": [f"{o.title}: {o.wrong}" for o in outcomes if o.wrong],
    }


def lines(found: dict[str, Any]) -> Iterator[str]:
    """The summary for people."""
    regret = found["regret"]
    yield (
        f"{found['cases']} cases: regret median {regret['median']:.3f}, 95th percentile {regret['p95']:.2f}, worst {regret['worst']:.2f}; "
        f"the fastest was chosen in {regret['choices_that_were_best']:.0%}"
    )
    yield f"  candidates predicted more than {HOPELESS:.0f} times slower than the best were not timed"
    yield "predicted ÷ measured   within 2×      5 %   median     95 %   timings"
    for name, p in found["prediction"].items():
        yield f"  {name:<20} {p['within_2x']:>8.0%} {p['p5']:>8.2f} {p['median']:>8.2f} {p['p95']:>8.2f} {p['count']:>9}"
    yield "worst choices"
    for o in found["worst"]:
        pairs = ", ".join(f"{m} {format_seconds(t)} (predicted {format_seconds(o['predicted'][m])})" for m, t in o["measured"].items())
        yield f"  {o['regret']:.2f}× {o['title']}: chose {o['chosen']}; {pairs}"
    yield from (f"  WRONG {each}" for each in found["wrong"])


def replay(path: Path, args: argparse.Namespace) -> list[Outcome]:
    """Stored timings against today's choices and predictions: for changes of the cost model alone.

    Work whose choice of today was not timed then has no regret and is left out.
    """
    stored, outcomes = json.loads(path.read_text()), []
    for o in stored["outcomes"]:
        plan = random_work(stored["settings"]["seed"], o["index"], stored["settings"]["largest"]).plan(threads=args.threads)
        predicted = {c.method: c.seconds for c in plan.considered if c.seconds is not None}
        measured = {m: t for m, t in o["measured"].items() if m in predicted}
        if plan.method in measured:
            outcomes.append(Outcome(o["index"], o["title"], plan.method, predicted, measured))
    print(f"{len(outcomes)} of {len(stored['outcomes'])} stored cases have a timing of today's choice")
    return outcomes


# -------------------------------------------------------------------------------------------------
# the command


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--cases", type=int, default=300, metavar="N", help="at most so many pieces of work")
    add("--seconds", type=float, default=180.0, metavar="S", help="stop starting new ones after this long")
    add("--seed", type=int, default=1, metavar="K")
    add("--first", type=int, default=0, metavar="I", help="index of the first piece of work")
    add("--largest", type=int, default=4096, metavar="N", help="side of the largest images")
    add("--threads", type=int, default=timing.usable_cores(), metavar="N")
    add("--repeat", type=int, default=7, metavar="N", help="samples of a fast call")
    add("--share", type=float, default=0.15, metavar="S", help="bound on one candidate's time in one piece of work")
    add("--patience", type=float, default=3.0, metavar="S", help="leave out a candidate predicted to take longer for one call")
    add("--json", type=Path, default=None, metavar="FILE", help="every timing, for --replay")
    add("--replay", type=Path, default=None, metavar="FILE", help="judge today's planner by stored timings instead of timing")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    args = parse(argv)
    if args.replay:
        outcomes = replay(args.replay, args)
    else:
        outcomes, start = [], time.perf_counter()
        for index in range(args.first, args.first + args.cases):
            if time.perf_counter() - start > args.seconds:
                print(f"stopped after {len(outcomes)} of {args.cases} cases: --seconds {args.seconds:g}")
                break
            outcomes.append(measure(random_work(args.seed, index, args.largest), args))
            if sys.stderr.isatty():
                print(f"\r{len(outcomes)} of {args.cases}", end="\r", file=sys.stderr, flush=True)
    if not outcomes:
        print("nothing was measured: raise --seconds or --cases")
        return 2
    found = summary(outcomes)
    print(*lines(found), sep="\n")
    if args.json:
        settings = {k: getattr(args, k) for k in ("seed", "largest", "threads", "repeat", "share", "patience")}
        about = {"schema": 1, "machine": timing.machine(), "versions": timing.versions(), "settings": settings}
        beside = args.json.with_name(args.json.name + ".tmp")
        beside.write_text(json.dumps({**about, "summary": found, "outcomes": [o.to_dict() for o in outcomes]}, indent=1) + "\n")
        os.replace(beside, args.json)
        print(f"written: {args.json}")
    return 1 if found["wrong"] else 0


if __name__ == "__main__":
    sys.exit(main())
