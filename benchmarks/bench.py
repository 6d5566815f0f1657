"""corr2d against everyone else, checked first, timed fairly, losses printed: see README.md.

python benchmarks/bench.py [--suite quick|core|full] [--threads N] [--json [FILE]] [--markdown] …
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import rivals
import timing
from checks import Yardstick
from rivals import RIVALS, Cannot, Job
from suites import BEST, PHOTO, RIVALS_OF, SUITES, Row

import corr2d

RESULTS = Path(__file__).parent / "results"
LOSS = "▼"


@dataclass
class Outcome:
    """One row, measured."""

    row: Row
    job: Job
    method: str = ""
    predicted: float | None = None
    wrong: str = ""  # corr2d's own failure
    times: dict[str, timing.Timing] = field(default_factory=dict)  # "corr2d", "copy" and the rivals
    errors: dict[str, float] = field(default_factory=dict)  # in the windows, shares of the contract's bound
    differences: dict[str, tuple[float, float]] = field(default_factory=dict)  # from corr2d: interior, border
    left_out: dict[str, str] = field(default_factory=dict)  # name → why it has no time
    mismatched: set[str] = field(default_factory=set)

    def ratio(self, name: str) -> float | None:
        """Its time ÷ ours."""
        if name not in self.times or "corr2d" not in self.times:
            return None
        return self.times[name].median / self.times["corr2d"].median

    def reached(self) -> dict[str, tuple[float, float]]:
        """Goal → (least, got)."""
        got = {name: self.ratio(name) for name in RIVALS if name in self.times}
        got |= {BEST: min((r for r in got.values() if r), default=None), "copy": self.ratio("copy")}
        return {name: (least, got[name]) for name, least in self.row.goals.items() if got.get(name)}

    def to_dict(self) -> dict[str, Any]:
        job, case = self.job, self.row.case
        return {
            "case": self.row.title,
            "image": {"shape": list(job.image.shape), "dtype": job.image.dtype.name},
            "kernel": {"shape": list(job.kernel.shape), "nonzeros": int(np.count_nonzero(job.kernel))},
            "result": job.out.dtype.name,
            "options": {name: str(value) for name, value in case.options.items()},
            "method": self.method,
            "predicted": self.predicted,
            "wrong": self.wrong,
            "seconds": {name: t.to_dict() for name, t in self.times.items()},
            "ratio": {name: self.ratio(name) for name in self.times if name != "corr2d"},
            "error_of_bound": self.errors,
            "difference_interior_border": self.differences,
            "left_out": self.left_out,
            "goals": {name: {"least": least, "got": got} for name, (least, got) in self.reached().items()},
        }


# -------------------------------------------------------------------------------------------------
# one row


def make_job(row: Row, threads: int) -> Job:
    """The row's arrays; ``out`` is touched, so that nobody pays for its first pages."""
    image, options = row.case.image(), row.case.options
    if options["padding"] != "same" or not all(n % 2 for n in row.case.kernel.shape):
        raise ValueError(f"{row.title}: rivals do 'same' with odd kernels only")
    last = options.get("channel_axis") == -1
    shape, kernel = image.shape, row.case.kernel
    dtype = corr2d.plan(shape, kernel, image_dtype=image.dtype, **options).to_dict()["result"]["dtype"]
    return Job(image, kernel, options["boundary"], last, np.ones(shape, dtype), threads)


def measure(row: Row, names: tuple[str, ...], args: argparse.Namespace) -> Outcome:
    """Check corr2d, then every rival against it, then time those that are right."""
    job = make_job(row, args.threads)
    outcome, options = Outcome(row, job), row.case.options
    yardstick = Yardstick(job, options.get("dtype"))
    ours = partial(corr2d.corr2d, job.image, job.kernel, out=job.out, **options)
    expected = _checked_ours(outcome, yardstick, ours)
    if expected is None:
        return outcome
    calls: dict[str, Callable[[], Any]] = {"corr2d": ours}
    for name in names:
        try:
            calls[name] = _checked_rival(outcome, yardstick, expected, name, args.patience)
        except Cannot as reason:
            outcome.left_out[name] = str(reason)
        if outcome.wrong:
            return outcome
    calls["copy"] = _checked_copy(job)
    if args.repeat:
        outcome.times = timing.interleaved(calls, repeat=args.repeat, seconds=args.seconds)
    return outcome


def _checked_ours(outcome: Outcome, yardstick: Yardstick, ours: Callable[[], Any]) -> np.ndarray | None:
    job = outcome.job
    try:
        plan = corr2d.plan(job.image, job.kernel, **outcome.row.case.options)
        outcome.method, outcome.predicted = f"{plan.engine} {plan.method}", plan.seconds
        _spoil(job.out)
        result = ours().copy()
    except Exception as error:  # whatever it raises is this row's result, and the run goes on
        outcome.wrong = f"raised {type(error).__name__}: {error}"
        return None
    outcome.wrong = yardstick.objection(result)
    outcome.errors["corr2d"] = yardstick.error(result)
    return None if outcome.wrong else result


def _checked_rival(outcome: Outcome, yardstick: Yardstick, expected: np.ndarray, name: str, patience: float) -> Callable[[], Any]:
    """The rival's call, if it gives what corr2d gives; where not, the exact sum says who errs."""
    job, rival = outcome.job, RIVALS[name]
    foreseen = rival.pace * job.multiplications
    if foreseen > patience:
        raise Cannot(f"slow: one call would take about {foreseen:.0f} s")
    run = rival.setup(job)
    _spoil(job.out)
    result = run.extract(run.call())
    found = yardstick.difference(expected, result)
    outcome.differences[name] = (found.interior, found.border)
    if found.matches:
        outcome.errors[name] = yardstick.error(result)
        return run.call
    outcome.wrong = yardstick.objection_at(expected, found.where)
    outcome.mismatched.add(name)
    raise Cannot(f"WRONG: {found.interior:.3g} times what may differ in the interior, {found.border:.3g} at the border, worst at {found.where}")


def _checked_copy(job: Job) -> Callable[[], Any]:
    run = rivals.copy(job)
    run.call()
    if run.extract(None).tobytes() != job.image.tobytes():
        raise AssertionError("the copy is not a copy")
    return run.call


def _spoil(out: np.ndarray) -> None:
    """So that a result that is not written is seen."""
    out.fill(77 if out.dtype.kind in "iu" else np.nan)


# -------------------------------------------------------------------------------------------------
# the table


def milliseconds(seconds: float) -> str:
    ms = seconds * 1e3
    return f"{ms:.0f}" if ms >= 100 else f"{ms:.1f}" if ms >= 10 else f"{ms:.2f}" if ms >= 1 else f"{ms:.3f}" if ms >= 0.1 else f"{ms:.4f}"


class Table:
    """Lines of cells, as aligned text or as Markdown."""

    def __init__(self, names: tuple[str, ...], markdown: bool):
        self.names, self.markdown = names, markdown
        heads = ["case", "corr2d ms [q1 q3]", *names, "copy", "ours/copy", "method", "goals"]
        self.widths = [34, 25, *(max(14, len(n) + 1) for n in names), 7, 9, 18, 0]
        self.line(heads)
        if markdown:
            self.line(["---"] + ["---:"] * (len(heads) - 3) + ["---"] * 2)

    def line(self, cells: list[str]) -> None:
        if self.markdown:
            print("| " + " | ".join(cells) + " |", flush=True)
        else:
            print(" ".join(c.ljust(w) for c, w in zip(cells, self.widths, strict=True)).rstrip(), flush=True)

    def add(self, outcome: Outcome) -> None:
        if outcome.wrong:
            cells = [outcome.row.title, "WRONG", *[""] * len(self.names), "", "", outcome.method, ""]
        else:
            ours, copy = outcome.times.get("corr2d"), outcome.times.get("copy")
            cells = [outcome.row.title, _ours(ours), *(self.rival(outcome, name) for name in self.names)]
            cells += [milliseconds(copy.median), f"{ours.median / copy.median:.2f}"] if ours and copy else ["", ""]
            cells += [outcome.method, _goals(outcome)]
        self.line(cells)

    def rival(self, outcome: Outcome, name: str) -> str:
        """Its milliseconds and its time ÷ ours; below 1 it is faster than corr2d."""
        if name in outcome.mismatched:
            return "wrong"
        if name in outcome.left_out:
            return "slow" if outcome.left_out[name].startswith("slow") else "-"
        if name not in outcome.times:
            return "equal"
        t, ratio = outcome.times[name], outcome.ratio(name)
        text = f"{milliseconds(t.median)}{'~' * t.noisy}"
        ratio_text = f"{ratio:.2f}×{LOSS * (ratio < 1)}"
        return f"{text} **{ratio_text}**" if self.markdown else f"{text} {ratio_text}"


def _ours(t: timing.Timing | None) -> str:
    return f"{milliseconds(t.median)}{'~' * t.noisy} [{milliseconds(t.q1)} {milliseconds(t.q3)}]" if t else "checked"


def _goals(outcome: Outcome) -> str:
    said = []
    for name, (least, got) in outcome.reached().items():
        said.append(f"{name} ≥{least:.3g} {'ok' if got >= least else 'SHORT'}")
    return ", ".join(said)


def summary(outcomes: list[Outcome]) -> list[str]:
    """Counts, and a line for every oddity."""
    pairs = [(o, n) for o in outcomes for n in o.times if n in RIVALS]
    losses = [f"{o.row.title} / {n} {o.ratio(n):.2f}×" for o, n in pairs if o.ratio(n) < 1]
    goals = [(o.row.title, name, *pair) for o in outcomes for name, pair in o.reached().items()]
    short = [f"{title} / {name} {got:.2f} of {least:.3g}" for title, name, least, got in goals if got < least]
    lines = [f"{len(outcomes)} cases, {len(pairs)} comparisons, {len(losses)} lost ({LOSS}); {len(goals)} goals, {len(short)} short"]
    lines += [f"  lost: {loss}" for loss in losses] + [f"  short: {each}" for each in short]
    lines += [f"  rival left out: {o.row.title} / {n}: {o.left_out[n]}" for o in outcomes for n in sorted(o.mismatched)]
    lines += [f"  CORR2D IS WRONG: {o.row.title}: {o.wrong}" for o in outcomes if o.wrong]
    if any(t.noisy for o in outcomes for t in o.times.values()):
        lines.append("  ~ = upper quartile more than 1.3 times the lower one: the machine was not quiet")
    return lines


# -------------------------------------------------------------------------------------------------
# the command


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--suite", choices=[*SUITES, "torch"], default="quick", help="torch: layers, forward and gradients (layers.py)")
    add("--threads", type=int, default=timing.usable_cores(), metavar="N", help="for corr2d, OpenCV, torch, oaconvolve and copy alike")
    add("--size", type=_size, default=PHOTO, metavar="HxW", help="of the large images (goals are only shown for 3072x4096)")
    add("--repeat", type=int, default=25, metavar="N", help="samples of a fast call; 0 checks without timing")
    add("--seconds", type=float, default=2.0, metavar="S", help="bound on each competitor's time in a row")
    add("--patience", type=float, default=20.0, metavar="S", help="leave out a rival whose one call would take longer")
    add("--only", type=re.compile, default=None, metavar="REGEX", help="rows whose title matches")
    add("--rivals", default=None, metavar="A,B", help=f"of {','.join(RIVALS)}")
    add("--json", nargs="?", const="", default=None, metavar="FILE", help="default results/VERSION-CPU.json")
    add("--markdown", action="store_true", help="the table for the README")
    add("--list", action="store_true", help="print the rows and stop")
    args = parser.parse_args(argv)
    if args.threads < 1 or args.repeat < 0:
        parser.error("--threads must be at least 1 and --repeat at least 0")
    args.names = tuple(args.rivals.split(",")) if args.rivals else RIVALS_OF.get(args.suite, ())
    unknown = sorted(set(args.names) - set(RIVALS))
    if unknown:
        parser.error(f"--rivals: no {unknown[0]!r}; there are {', '.join(RIVALS)}")
    return args


def _size(text: str) -> tuple[int, int]:
    if not re.fullmatch(r"[1-9]\d*x[1-9]\d*", text):
        raise argparse.ArgumentTypeError(f"{text!r}: write HEIGHTxWIDTH, such as 3072x4096")
    height, width = map(int, text.split("x"))
    return height, width


def save(path: Path, about: dict[str, Any], outcomes: list[Outcome]) -> None:
    """Complete or absent."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(path.name + ".tmp")
    beside.write_text(json.dumps({**about, "rows": [o.to_dict() for o in outcomes]}, indent=1) + "\n")
    os.replace(beside, path)


def main(argv: list[str] | None = None) -> int:
    args = parse(argv)
    if args.suite == "torch":
        import layers

        return layers.main(args)
    rows = [row for row in SUITES[args.suite](args.size) if args.only is None or args.only.search(row.title)]
    if args.size != PHOTO:
        rows = [Row(row.title, row.case) for row in rows]
    if args.list or not rows:
        print("\n".join(row.title for row in rows) or "no row's title matches")
        return 0 if rows else 2
    machine, versions = timing.machine(), timing.versions()
    rivals.set_threads(args.threads)
    settings = {k: getattr(args, k) for k in ("suite", "threads", "repeat", "seconds", "patience")} | {"size": list(args.size)}
    about = {
        "schema": 1, "when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "machine": machine,
        "versions": versions, "settings": settings, "library_threads": timing.library_threads(),
    }  # fmt: skip
    print(_headline(machine, versions, args), "", sep="\n")
    table, outcomes = Table(args.names, args.markdown), []
    try:
        for row in rows:
            outcomes.append(measure(row, args.names, args))
            table.add(outcomes[-1])
    finally:
        print("", *summary(outcomes), sep="\n")
        if args.json is not None:
            cpu = re.sub(r"[^a-z0-9]+", "-", f"{machine['cpu']} {machine['family/model']}".lower()).strip("-")
            path = Path(args.json) if args.json else RESULTS / f"{versions['corr2d']}-{cpu}.json"
            save(path, about, outcomes)
            print(f"written: {path}")
    return 1 if any(o.wrong for o in outcomes) else 0


def _headline(machine: dict, versions: dict, args: argparse.Namespace) -> str:
    libraries = ", ".join(f"{name} {versions[name]}" for name in ("corr2d", "cv2", "torch", "scipy", "numpy") if versions[name])
    height, width = args.size
    busy = machine["load_at_start"] is not None and machine["load_at_start"] > 0.3 * machine["usable_cores"]
    warning = f"\nload average {machine['load_at_start']:.1f} at the start: others use this machine, expect noise" if busy else ""
    return (
        f"{machine['cpu']} (family/model {machine['family/model']}), {machine['usable_cores']} cores, {versions['corr2d_isa']}; "
        f"{args.threads} threads; {libraries}\n"
        f"large images {height}x{width}; medians; rival ÷ ours, {LOSS} = corr2d is slower{warning}"
    )


if __name__ == "__main__":
    sys.exit(main())
