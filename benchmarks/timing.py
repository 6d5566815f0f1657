"""The clock: interleaved rounds, medians and quartiles, and what machine it was."""

from __future__ import annotations

import gc
import importlib
import math
import os
import platform
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

SAMPLE = 2e-3  # seconds that one sample takes at least: short calls are repeated inside it
PAUSE = 1e-3  # before each sample, so that the previous library's threads stop spinning
LONG = 0.1  # calls longer than this need no lead-in


@dataclass(frozen=True)
class Timing:
    """Seconds per call; ``loops`` calls to a sample."""

    median: float
    q1: float
    q3: float
    fastest: float
    samples: int
    loops: int

    @property
    def noisy(self) -> bool:
        return self.q3 > 1.3 * self.q1

    to_dict = asdict


def interleaved(calls: Mapping[str, Callable[[], Any]], *, repeat: int, seconds: float) -> dict[str, Timing]:
    """Time the calls in rounds A B C A B C …; ``seconds`` bounds each one's share.

    A sample is a pause, one untimed call that wakes the library's threads and brings its own
    data into the caches, then the timed calls. Slow calls take part in fewer rounds, spread
    evenly over the whole run; at least 3 samples, or 1 where a call takes more than ``seconds``.
    """
    cost = {name: _probe(call) for name, call in calls.items()}
    loops = {name: max(1, math.ceil(SAMPLE / t)) for name, t in cost.items()}
    whole = {name: t * loops[name] + (t if t < LONG else 0) + PAUSE for name, t in cost.items()}
    rounds = {name: 1 if cost[name] > seconds else max(3, min(repeat, int(seconds / t))) for name, t in whole.items()}
    total, samples = max(rounds.values()), {name: [] for name in calls}
    gc.collect()
    gc.disable()
    try:
        for i in range(total):
            for name, call in calls.items():
                if (i + 1) * rounds[name] // total > i * rounds[name] // total:
                    time.sleep(PAUSE)
                    if cost[name] < LONG:
                        call()
                    samples[name].append(_timed(call, loops[name]))
    finally:
        gc.enable()
    return {name: _summary(samples[name], loops[name]) for name in calls}


def _probe(call: Callable[[], Any]) -> float:
    """A first estimate, warm when that is cheap."""
    first = _timed(call, 1)
    return first if first > 1 else max(1e-7, min(_timed(call, 1) for _ in range(3)))


def _timed(call: Callable[[], Any], loops: int) -> float:
    clock, turns = time.perf_counter, range(loops)
    start = clock()
    for _ in turns:
        call()
    return (clock() - start) / loops


def _summary(samples: list[float], loops: int) -> Timing:
    q1, median, q3 = np.percentile(samples, (25, 50, 75)).tolist()
    return Timing(median, q1, q3, min(samples), len(samples), loops)


# -------------------------------------------------------------------------------------------------
# where it ran


def machine() -> dict[str, Any]:
    """The processor and what else decides about speed."""
    info = _cpu_info()
    return {
        "cpu": info.get("model name", platform.processor() or platform.machine()),
        "family/model": f"{info.get('cpu family', '?')}/{info.get('model', '?')}",
        "cores": os.cpu_count(),
        "usable_cores": usable_cores(),
        "caches": _caches(),
        "memory_gib": _memory_gib(),
        "huge_pages": _read("/sys/kernel/mm/transparent_hugepage/enabled"),
        "hypervisor": "hypervisor" in info.get("flags", ""),
        "load_at_start": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "system": platform.platform(),
    }


def versions() -> dict[str, Any]:
    """corr2d, the rivals, and how they were built."""
    found: dict[str, Any] = {"python": platform.python_version()}
    for name in ("corr2d", "numpy", "scipy", "cv2", "torch"):
        try:
            found[name] = importlib.import_module(name).__version__
        except ImportError:
            found[name] = None
    if found["corr2d"]:
        import corr2d

        found["corr2d_isa"], found["corr2d_commit"] = corr2d._native.isa(), _commit()
    if found["cv2"]:
        import cv2

        words = ("Parallel framework", "Baseline", "requested", "Dispatched", "IPP", "C/C++ compiler", "AVX", "SSE")
        lines = (line.strip() for line in cv2.getBuildInformation().splitlines())
        found["cv2_build"] = [" ".join(line.split()) for line in lines if ":" in line and any(w in line for w in words)]
    if found["torch"]:
        import torch

        found["torch_build"] = " ".join(torch.__config__.show().split())[:600]
    return found


def library_threads() -> dict[str, int]:
    """What each library says when asked."""
    asked = {"corr2d": "get_threads", "cv2": "getNumThreads", "torch": "get_num_threads"}
    counts = {}
    for name, getter in asked.items():
        try:
            counts[name] = getattr(importlib.import_module(name), getter)()
        except ImportError:
            continue
    return counts


def usable_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _cpu_info() -> dict[str, str]:
    first = _read("/proc/cpuinfo").partition("\n\n")[0]
    pairs = (line.partition(":") for line in first.splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}


def _caches() -> list[str]:
    found = []
    for index in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        level, kind, size = (_read(index / word) for word in ("level", "type", "size"))
        found.append(f"L{level} {kind} {size}")
    return found


def _memory_gib() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (ValueError, OSError, AttributeError):
        return None


def _commit() -> str:
    try:
        done = subprocess.run(
            ["git", "--no-optional-locks", "describe", "--always", "--dirty"],
            cwd=Path(__file__).parent, capture_output=True, text=True, timeout=10, check=False,
        )  # fmt: skip
        return done.stdout.strip()
    except OSError:
        return ""


def _read(path: str | Path) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""
