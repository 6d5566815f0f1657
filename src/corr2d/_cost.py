"""Predicted seconds: named terms with this machine's constants.

Each constant is a rate that a person can check. Candidates count their arithmetic in
core-seconds; here it becomes the time of a call. Predictions are for warm calls that write
into ``out=``. ``corr2d calibrate`` measures the constants (`_calibrate`); until then the
defaults below are scaled to the instruction set.
"""

from __future__ import annotations

import warnings
from dataclasses import asdict, dataclass, replace

from . import _constants, _native
from ._problem import Problem
from ._remember import Lock


@dataclass(frozen=True, slots=True)
class Machine:
    """Rates of one machine. Defaults: `corr2d calibrate` on 2 cores of a Zen 4 EPYC (AVX-512)."""

    fma_rate: float = 48e9  # float32 multiply-adds per second and core that the direct blocks reach
    integer_rate: float = 76e9  # ... of their 16-bit sums
    column_rate: float = 41e9  # multiply-adds ... of the first pass of a separable kernel
    row_rate: float = 30e9  # ... of its second pass, where taps are unaligned loads and shifts
    sum_rate: float = 21e9  # ... of a list of taps
    convert_rate: float = 12e9  # samples per second and core, gathered or converted into a padded tile
    load_rate: float = 35e9  # ... or row by row beside the direct sums
    strided_rate: float = 2e9  # ... or by the transform, from interleaved channels and back
    row_overhead: float = 33e-9  # ... and what starting each of its rows costs
    bytes_rate: float = 17e9  # bytes moved to or from memory per second and core
    bytes_rate_all: float = 35e9  # ... by all cores together
    cache_bytes: float = 9e5  # of the last-level cache that an image may count on
    transform_rate: float = 52e9  # flop per second and core of the compiled transforms, 5 n log2 n a tile
    fft_rate: float = 11e9  # flop per second and core of scipy.fft, counted as 5 n log2 n
    tile_overhead: float = 3.6e-4  # per tile of scipy.fft: Python, copies of small pieces
    call_overhead: float = 1.2e-6  # one native call
    wake_overhead: float = 7e-6  # one more thread joining in
    exact_rate: float = 1.9e8  # taps per second and core of the 128-bit loops
    reference_rate: float = 2.7e6  # taps per second of the loops in Python

    def threads_for(self, seconds: float, asked: int) -> int:
        """Threads that pay for work of `seconds` on one core: each takes twice what waking it costs."""
        return max(1, min(asked, int(seconds / (2 * self.wake_overhead))))


# Share of the AVX-512 sums that the narrower builds reach on the same Zen 4, where AVX-512 runs in two
# halves; "native" (NEON) is a guess. What moves data beside its arithmetic loses about the root.
_SHARE = {"avx512": 1.0, "avx2": 0.8, "sse2": 0.3, "native": 0.4}
_ARITHMETIC = ("fma_rate", "integer_rate", "column_rate", "sum_rate")
_MOVING = ("row_rate", "convert_rate", "load_rate", "strided_rate", "transform_rate")


def default_machine() -> Machine:
    """The constants of a machine that was not calibrated."""
    default, share = Machine(), _SHARE[_native.isa()]
    scaled = {name: getattr(default, name) * share for name in _ARITHMETIC}
    scaled |= {name: getattr(default, name) * share**0.5 for name in _MOVING}
    return replace(default, **scaled)


_machine: Machine | None = None
_reading = Lock()


def machine() -> Machine:
    """The constants in use here, read when the first plan is made: measured ones, else the defaults."""
    global _machine
    if _machine is None:
        with _reading:
            if _machine is None:
                _machine, trouble = _read()
                if trouble:
                    warnings.warn(
                        f"the constants measured on this machine are left aside, for {trouble}; plans use the defaults. "
                        "Measure again with `corr2d calibrate`, or remove the file with `corr2d calibrate --reset`",
                        RuntimeWarning,
                        stacklevel=2,
                    )
    return _machine


def _read() -> tuple[Machine, str]:
    """The constants, and what was wrong with the file."""
    default = default_machine()
    try:
        stored = _constants.load(asdict(default))
    except _constants.UnusableError as reason:
        return default, str(reason)
    return Machine(**stored) if stored else default, ""


# How two things that happen at once share their time: 1 would be one after the other, infinity the
# longer of the two alone. Fitted to timings of random work (benchmarks/regret.py); and smooth, so
# that every timing tells something of both constants.
_OVERLAP = 3.0


def predicted_seconds(m: Machine, problem: Problem, work: float, threads: int) -> float:
    """Time of a warm call: arithmetic is shared among threads and overlaps with moving the pixels.

    For a given problem and number of threads this grows with `work` alone, so the candidate
    of least work is the fastest whatever the number of threads: the choice, and with it the
    bits of the result, do not depend on it.
    """
    moved = problem.bytes_moved
    moved *= moved / (moved + m.cache_bytes) if moved else 0  # the less, the more of it is in the caches
    memory = _together(moved / (m.bytes_rate * threads), moved / m.bytes_rate_all)
    return m.call_overhead + (threads - 1) * m.wake_overhead + _together(work / threads, memory)


def _together(a: float, b: float) -> float:
    longer = max(a, b)
    return longer and longer * ((a / longer) ** _OVERLAP + (b / longer) ** _OVERLAP) ** (1 / _OVERLAP)
