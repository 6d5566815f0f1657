"""Measuring the constants of `_cost.Machine` on this machine, in seconds.

Each probe is a plan whose method is forced. Its predicted time is a smooth function of the
constants, whatever the candidate counts in its `work`; so all constants are fitted at once, to
the logarithms of the timings, without a formula for any of them here. A new constant needs
a field in `Machine`, its place in a candidate's `work`, and one probe that feels it.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from ._api import corr2d
from ._api import plan as make_plan
from ._cost import Machine, default_machine, machine, predicted_seconds
from ._plan import Plan, format_seconds, get_threads
from .engines import CANDIDATES

Predict = Callable[[Machine], float]

BUDGET = 8.0  # seconds of timing, of the 15 that a calibration may take
SAMPLE = 1e-3  # a sample repeats short calls for at least this long
ROUNDS = 15


@dataclass(frozen=True)
class Probe:
    """Work that feels some of the constants. Forms: "dense", "outer", "scattered:N", "small", "huge", "mixing"."""

    feels: str
    shape: tuple[int, ...]
    kernel: tuple[int, int]
    method: str = "direct"
    form: str = "dense"
    dtype: str = "float32"
    threads: int | None = 1  # as many, where there are; None: all of them
    options: Mapping[str, Any] = field(default_factory=dict)

    def plan(self) -> Plan:
        plan = make_plan(self.shape, self.weights(), image_dtype=self.dtype, method=self.method, **self.options)
        # Whatever today's constants say about the threads that pay.
        return replace(plan, threads=min(self.threads or get_threads(), get_threads()))

    def weights(self) -> np.ndarray:
        rng = np.random.default_rng(1)
        form, _, count = self.form.partition(":")
        if form == "outer":
            return np.outer(*(rng.uniform(0.5, 1.5, n) for n in self.kernel))
        if form == "scattered":
            kernel = np.zeros(self.kernel)
            kernel.flat[rng.choice(kernel.size, int(count), replace=False)] = rng.uniform(0.5, 1.5, int(count))
            return kernel
        if form == "small":  # integers whose sums of bytes stay within 16 bits
            return rng.integers(-2, 3, self.kernel).astype(float)
        if form == "huge":  # integers whose sums pass 2**53
            return rng.integers(2**24, 2**25, self.kernel).astype(float)
        return rng.standard_normal((4, 4, *self.kernel) if form == "mixing" else self.kernel)

    def image(self) -> np.ndarray:
        rng = np.random.default_rng(2)
        if np.dtype(self.dtype).kind in "iu":
            return rng.integers(0, 200, self.shape).astype(self.dtype)
        return rng.standard_normal(self.shape, dtype=np.float32).astype(self.dtype)


_WIDE, _LARGE, _SMALL = (256, 1024), (2048, 3072), (64, 32, 48)
_SAME = {"padding": "same", "boundary": "reflect"}

PROBES = (
    Probe("call_overhead", (16, 16), (3, 3)),
    Probe("call_overhead", (28, 28), (5, 5), options=_SAME),
    Probe("wake_overhead", (256, 256), (7, 7), threads=2),
    Probe("wake_overhead", (256, 320), (9, 9), threads=2),
    Probe("fma_rate", _WIDE, (5, 5)),
    Probe("fma_rate", _WIDE, (7, 7), options=_SAME),
    Probe("fma_rate", _WIDE, (7, 7), dtype="float64"),
    Probe("fma_rate", _WIDE, (11, 11)),
    Probe("fma_rate", _WIDE, (13, 13)),
    Probe("integer_rate", (512, 1024), (7, 7), form="small", dtype="uint8"),
    Probe("integer_rate", (512, 1024), (3, 5), form="small", dtype="uint8"),
    Probe("load_rate", (512, 1024), (3, 3), dtype="uint8"),
    Probe("load_rate", (256, 512, 3), (3, 3), dtype="uint16", options={"channel_axis": -1}),
    Probe("load_rate row_overhead", _SMALL, (5, 5), options=_SAME),
    Probe("convert_rate", (512, 1024), (1, 1), method="sparse", dtype="uint8"),
    Probe("convert_rate", (512, 1024), (3, 3), method="separable", form="outer", dtype="uint16"),
    Probe("convert_rate", (256, 512, 3), (3, 3), method="separable", form="outer", dtype="uint8", options={"channel_axis": -1}),
    Probe("row_overhead", _SMALL, (3, 3), options=_SAME),
    Probe("row_overhead", _SMALL, (1, 1), method="sparse"),
    Probe("bytes_rate", _LARGE, (3, 3)),
    Probe("bytes_rate_all", _LARGE, (3, 3), threads=None),
    Probe("cache_bytes", (512, 1024), (3, 3), threads=2),
    Probe("cache_bytes", (1024, 1024), (3, 3)),
    Probe("column_rate", _WIDE, (31, 1), method="separable", form="outer"),
    Probe("row_rate", _WIDE, (1, 31), method="separable", form="outer"),
    Probe("column_rate row_rate", _WIDE, (15, 15), method="separable", form="outer"),
    Probe("column_rate row_rate", _SMALL, (9, 9), method="separable", form="outer"),
    Probe("sum_rate", _WIDE, (15, 15), method="sparse", form="scattered:24"),
    Probe("sum_rate", _WIDE, (31, 31), method="sparse", form="scattered:160"),
    Probe("transform_rate", (512, 512), (17, 17), method="fft"),
    Probe("transform_rate", (512, 768), (41, 41), method="fft"),
    Probe("transform_rate", (48, 48), (9, 9), method="fft"),
    Probe("strided_rate", (512, 768, 3), (25, 25), method="fft", options={"channel_axis": -1}),
    Probe("fft_rate", (512, 512), (31, 31), method="fft", dtype="complex64", threads=2),
    Probe("tile_overhead", (4, 40, 40), (5, 5), method="fft", form="mixing", threads=2),
    Probe("tile_overhead", (24, 40, 40), (5, 5), method="fft", dtype="complex64", threads=2),
    Probe("exact_rate", (64, 64), (3, 3), form="huge", dtype="int64"),
    Probe("reference_rate", (12, 12), (3, 3), method="reference"),
)


@dataclass(frozen=True)
class Calibration:
    """Constants before and after, and how well they explain what was measured."""

    before: Machine
    after: Machine
    probes: tuple[tuple[str, float, float], ...]  # (what it feels, measured, predicted) seconds
    crossing: tuple[Crossing, ...]
    seconds: float

    @property
    def misses(self) -> list[float]:
        """Predicted ÷ measured, or its inverse where that is larger, of every probe."""
        return [max(p / t, t / p) for _, t, p in self.probes]

    def __str__(self) -> str:
        """Constants before and after, how well they fit, and how flat the optimum is."""
        before, after = asdict(self.before), asdict(self.after)
        lines = [f"{'constant':<16}{'before':>11}{'after':>11}"]
        lines += [f"{name:<16}{_with_unit(name, before[name]):>11}{_with_unit(name, after[name]):>11}" for name in after]
        misses = sorted(self.misses)
        lines.append(
            f"{len(misses)} probes are predicted within a factor of {statistics.median(misses):.2f} (median), {misses[-1]:.2f} (worst)"
        )
        if self.crossing:
            lines.append("1024×1024 float32, dense kernels, where the choice turns (measured):")
            for c in self.crossing:
                verdict = f"the other would cost {c.other - 1:.0%} more" if c.regret == 1 else f"the other would save {1 - 1 / c.regret:.0%}"
                size = f"{c.side}×{c.side}"
                lines.append(
                    f"  {size:>7}  direct {format_seconds(c.direct):>7}  fft {format_seconds(c.fft):>7}  chosen: {c.chosen:<6}  {verdict}"
                )
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        return {
            "before": asdict(self.before),
            "after": asdict(self.after),
            "probes": [{"feels": name, "measured": t, "predicted": p} for name, t, p in self.probes],
            "crossing": [asdict(c) for c in self.crossing],
            "seconds": self.seconds,
        }


@dataclass(frozen=True)
class Crossing:
    """Both methods' measured times next to where the choice turns from one to the other."""

    side: int  # of the kernel
    chosen: str
    direct: float
    fft: float

    @property
    def regret(self) -> float:
        """How many times longer the chosen one takes than the better one."""
        return getattr(self, self.chosen) / min(self.direct, self.fft)

    @property
    def other(self) -> float:
        """... and the one that was not chosen than the one that was."""
        return max(self.direct, self.fft) / min(self.direct, self.fft)


def _with_unit(name: str, value: float) -> str:
    """Rates and seconds that a person can read.

    Examples
    --------
    >>> [_with_unit(*c) for c in (("call_overhead", 5.4e-06), ("fma_rate", 2.4e10), ("cache_bytes", 9e5))]
    ['5.4 µs', '24 G/s', '9e+05 ']
    """
    unit = "s" if name.endswith("overhead") else "/s" if "rate" in name else ""
    power = int(np.clip(np.floor(np.log10(value) / 3), -3, 4)) if unit else 0
    return f"{value / 1e3**power:.3g} {['', 'k', 'M', 'G', 'T', 'n', 'µ', 'm'][power]}{unit}"


def calibrate(step: Callable[[float], None] = lambda share: None, probes: Sequence[Probe] = PROBES) -> Calibration:
    """Measure and fit; nothing is stored. `step` is told the share that is done."""
    start = time.perf_counter()
    plans = [probe.plan() for probe in probes]
    timings = measure([_call(probe, plan) for probe, plan in zip(probes, plans, strict=True)], lambda share: step(share * 0.7))
    predictions = [prediction(plan) for plan in plans]
    after = fit(list(zip(predictions, timings, strict=True)), default_machine())
    crossing = tuple(measure_crossing(after, lambda share: step(0.7 + share * 0.3)))
    known = tuple((probe.feels, t, p(after)) for probe, t, p in zip(probes, timings, predictions, strict=True))
    return Calibration(machine(), after, known, crossing, time.perf_counter() - start)


def _call(probe: Probe, plan: Plan) -> Callable[[], Any]:
    image = probe.image()
    out = plan(image)
    if probe.threads != 1:  # as many as the plan says, whether or not they pay
        return lambda: plan(image, out=out)
    weights, options = probe.weights(), {**probe.options, "method": probe.method, "threads": 1}
    return lambda: corr2d(image, weights, out=out, **options)


def prediction(plan: Plan) -> Predict:
    """The plan's time as a function of the constants."""
    (candidate,) = (c for c in CANDIDATES if (c.engine, c.method) == (plan.engine, plan.method))
    return lambda m: predicted_seconds(m, plan.problem, candidate.work(plan.problem, plan.facts, m), plan.threads)


def measure(
    calls: Sequence[Callable[[], Any]],
    step: Callable[[float], None] = lambda share: None,
    clock: Callable[[], float] = time.perf_counter,
    budget: float = BUDGET,
) -> list[float]:
    """Seconds of each call, in rounds A B C A B C ...: a slow moment hits all of them alike.

    The lower quartile: what else runs only ever makes a call longer, on two threads twice as often.
    """

    def sample(call: Callable[[], Any], loops: int) -> float:
        call()  # its data in the caches, its threads awake
        start = clock()
        for _ in range(loops):
            call()
        return (clock() - start) / loops

    collecting = gc.isenabled()
    gc.disable()
    try:
        begin = clock()
        loops = [max(1, int(SAMPLE / max(sample(call, 1), 1e-7))) for call in calls]
        samples: list[list[float]] = [[] for _ in calls]
        for i in range(ROUNDS):
            for call, n, found in zip(calls, loops, samples, strict=True):
                found.append(sample(call, n))
            step((i + 1) / ROUNDS)
            if clock() - begin > budget and i >= 2:
                break
    finally:
        if collecting:
            gc.enable()
    return [float(np.percentile(found, 25)) for found in samples]


# A miss by more than this factor counts less and less: a probe that was disturbed, or a term that the
# model lacks, shall not bend the others.
_ROBUST = np.log(1.3)
# What the default says counts as much as a miss by a factor of e**0.03 of one probe: it decides
# about constants that no probe feels (one core has no use for bytes_rate_all).
_PRIOR = 0.03


def fit(observed: Sequence[tuple[Predict, float]], start: Machine) -> Machine:
    """The constants that explain the timings best: least squares of logarithms (Levenberg-Marquardt)."""
    names = list(asdict(start))
    origin = np.log([getattr(start, name) for name in names])
    measured = np.log([t for _, t in observed])

    def misses(logs: np.ndarray) -> np.ndarray:
        m = _machine_of(names, logs)
        return np.log([predict(m) for predict, _ in observed]) - measured

    def cost(r: np.ndarray, logs: np.ndarray) -> float:
        away = np.abs(r)
        robust = np.where(away <= _ROBUST, away**2, _ROBUST * (2 * away - _ROBUST))
        return float(robust.sum() + ((logs - origin) ** 2).sum() * _PRIOR**2)

    logs, damping = origin, 1e-2
    r = misses(logs)
    best = cost(r, logs)
    for _ in range(100):
        jacobian = np.stack([(misses(logs + 1e-4 * unit) - r) / 1e-4 for unit in np.eye(len(names))], axis=1)
        weights = np.minimum(1.0, _ROBUST / np.maximum(np.abs(r), 1e-12))
        normal = (jacobian.T * weights) @ jacobian + _PRIOR**2 * np.eye(len(names))
        slope = (jacobian.T * weights) @ r + _PRIOR**2 * (logs - origin)
        while damping < 1e6:
            trial = logs - np.clip(np.linalg.solve(normal + damping * np.diag(np.diag(normal)), slope), -1, 1)
            r_trial = misses(trial)
            value = cost(r_trial, trial)
            if value < best:
                break
            damping *= 4
        else:
            break
        gained, logs, r, best, damping = best - value, trial, r_trial, value, damping / 4
        if gained < 1e-9:
            break
    return _machine_of(names, logs)


def _machine_of(names: Iterable[str], logs: np.ndarray) -> Machine:
    return Machine(**dict(zip(names, np.exp(logs).tolist(), strict=True)))


def measure_crossing(m: Machine, step: Callable[[float], None], shape: tuple[int, int] = (1024, 1024)) -> Iterable[Crossing]:
    """Direct and fft timed where the choice between them turns, and a step of two taps to either side."""
    image, out = Probe("", shape, (1, 1)).image(), np.empty(shape, np.float32)

    def plan(side: int, method: str) -> Plan:
        return make_plan(shape, Probe("", shape, (side, side)).weights(), method=method, padding="same")

    def chosen(side: int) -> str:
        return min(("direct", "fft"), key=lambda method: prediction(plan(side, method))(m))

    turn = next((side for side in range(5, 64, 2) if chosen(side) == "fft"), None)
    if turn is None:
        return
    sides = (turn - 4, turn - 2, turn, turn + 2)
    calls = [lambda p=plan(side, method): p(image, out=out) for side in sides for method in ("direct", "fft")]
    times = iter(measure(calls, step, budget=2.0))
    for side in sides:
        yield Crossing(side, chosen(side), next(times), next(times))
