"""Predicted seconds: named terms with this machine's constants.

Each constant is a rate that a person can check. Candidates count their arithmetic in
core-seconds; here it becomes the time of a call. Predictions are for warm calls that write
into ``out=``.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from functools import lru_cache

from . import _native
from ._problem import Problem


@dataclass(frozen=True, slots=True)
class Machine:
    """Rates of one machine. Defaults: medians on 2 cores of a Zen 5 EPYC (AVX-512), 2026-11."""

    fma_rate: float = 90e9  # float32 multiply-adds per second and core that the direct loops reach
    flush_taps: float = 4.0  # taps that adding a group of kernel rows to memory costs
    bytes_rate: float = 19e9  # bytes moved to or from memory per second and core
    bytes_rate_all: float = 36e9  # ... by all cores together
    convert_rate: float = 4e9  # samples per second and core, gathered or converted into a padded tile
    transform_rate: float = 24e9  # flop per second and core of the compiled transforms, two tiles at a time
    fft_rate: float = 9e9  # flop per second and core of scipy.fft, counted as 5 n log2 n
    transform_overhead: float = 3e-4  # of a call: threads started, the kernel's spectrum looked up
    tile_overhead: float = 60e-6  # per FFT tile: Python, copies of small pieces
    call_overhead: float = 4e-6  # one native call
    wake_overhead: float = 6e-6  # one more thread joining in
    exact_rate: float = 3e8  # taps per second and core of the 128-bit loops
    reference_rate: float = 4e6  # taps per second of the loops in Python

    def threads_for(self, seconds: float, asked: int) -> int:
        """Threads that pay for work of `seconds` on one core: at least 20 microseconds each."""
        return max(1, min(asked, int(seconds / 20e-6)))


# Share of the AVX-512 rates that the narrower builds reach (their vectors' width).
_WIDTH = {"avx512": 1.0, "avx2": 0.5, "sse2": 0.12, "native": 0.25}


@lru_cache(maxsize=1)
def machine() -> Machine:
    """The constants in use here."""
    default = Machine()
    share = _WIDTH[_native.isa()]
    return replace(
        default,
        fma_rate=default.fma_rate * share,
        transform_rate=default.transform_rate * share,
        convert_rate=default.convert_rate * max(share, 0.5),
    )


def available_cores() -> int:
    """Cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS, Windows
        return os.cpu_count() or 1


def predicted_seconds(m: Machine, problem: Problem, work: float, threads: int) -> float:
    """Time of a warm call: arithmetic is shared among threads and overlaps with moving the pixels.

    For a given problem and number of threads this grows with `work` alone, so the candidate
    of least work is the fastest whatever the number of threads: the choice, and with it the
    bits of the result, do not depend on it.
    """
    memory = problem.bytes_moved / min(m.bytes_rate * threads, m.bytes_rate_all)
    return m.call_overhead + (threads - 1) * m.wake_overhead + max(work / threads, memory)
