"""``corr2d bench``: a few kernels against the libraries that are installed, on this machine.

Small on purpose: it is for a user who wonders what there is to gain here. The project's own
benchmark, with more work, more rivals and exact sums as the judge, is ``benchmarks/bench.py``.
"""

import gc
import os
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

import corr2d

from . import kernels

__all__ = ["Row", "run", "table"]

_ROUNDS = 9
_SAMPLE = 2e-3  # seconds: shorter calls are repeated inside a sample
_PATIENCE = 2.0  # a rival whose one call takes longer is timed once
Call = Callable[[], Any]


@dataclass(frozen=True)
class Row:
    """One kernel: the method chosen, and seconds (None: not there, cannot, or gave another result)."""

    image: str
    kernel: str
    method: str
    seconds: dict[str, float | None]

    to_dict = asdict


def run(shape: tuple[int, int], threads: int | None, step: Callable[[float], None]) -> Iterator[Row]:
    """Check and time every row; `step` is told the share that is done."""
    rng = np.random.default_rng(0)
    floats = rng.standard_normal(shape, dtype=np.float32)
    bytes_ = rng.integers(0, 256, shape, dtype=np.uint8)
    work = [(floats, f"dense {k}×{k}", rng.standard_normal((k, k))) for k in (3, 7, 15, 31)]
    work += [(floats, "gaussian, sigma 3", np.asarray(kernels.gaussian(3))), (bytes_, "box 5×5", np.full((5, 5), 1 / 25))]
    for i, (image, name, kernel) in enumerate(work):
        yield _row(image, name, kernel, threads or corr2d.get_threads())
        step((i + 1) / len(work))


def _row(image: NDArray[Any], name: str, kernel: NDArray[Any], threads: int) -> Row:
    options: dict[str, Any] = {"padding": "same", "boundary": "reflect", "dtype": image.dtype, "threads": threads}
    out = np.empty_like(image)
    calls: dict[str, Call] = {"corr2d": lambda: corr2d.corr2d(image, kernel, out=out, **options)}
    expected = calls["corr2d"]().copy()
    seconds: dict[str, float | None] = {"corr2d": None}
    for rival, make in _RIVALS.items():
        call = make(image, kernel, out, threads)
        seconds[rival] = None
        out.fill(77)  # so that a result that is not written is seen
        if call and _alike(call(), expected, image, kernel):
            calls[rival] = call
    seconds |= _interleaved(calls)
    method = corr2d.plan(image, kernel, **options).method
    return Row(f"{'×'.join(map(str, image.shape))} {image.dtype}", name, method, seconds)


def _alike(result: NDArray[Any], expected: NDArray[Any], image: NDArray[Any], kernel: NDArray[Any]) -> bool:
    """Within twice the contract's bound; integers may fall to either side of one half."""
    allowed = 64 * 2.0**-24 * np.abs(kernel).sum() * np.abs(image).max() + (image.dtype.kind == "u")
    return bool(np.abs(result.astype(float) - expected).max() <= allowed)


def _opencv(image: NDArray[Any], kernel: NDArray[Any], out: NDArray[Any], threads: int) -> Call | None:
    try:
        import cv2
    except ImportError:
        return None
    cv2.setNumThreads(threads)
    weights = kernel.astype(np.float32)
    return lambda: cv2.filter2D(image, -1, weights, dst=out, borderType=cv2.BORDER_REFLECT_101)


def _ndimage(image: NDArray[Any], kernel: NDArray[Any], out: NDArray[Any], threads: int) -> Call | None:
    from scipy.ndimage import correlate

    if image.dtype.kind != "f":
        return None  # it cuts off and wraps around, where corr2d and OpenCV round and saturate

    return lambda: correlate(image, kernel, output=out, mode="mirror")


def _oaconvolve(image: NDArray[Any], kernel: NDArray[Any], out: NDArray[Any], threads: int) -> Call | None:
    from scipy.fft import set_workers
    from scipy.signal import oaconvolve

    if image.dtype.kind != "f":
        return None
    padded = np.pad(image, [(k // 2, k // 2) for k in kernel.shape], mode="reflect")
    weights = kernel[::-1, ::-1].astype(image.dtype)

    def call() -> NDArray[Any]:
        with set_workers(threads):
            return oaconvolve(padded, weights, mode="valid")

    return call


_RIVALS = {"cv2.filter2D": _opencv, "ndimage.correlate": _ndimage, "signal.oaconvolve": _oaconvolve}


def _interleaved(calls: dict[str, Call], clock: Callable[[], float] = time.perf_counter) -> dict[str, float]:
    """Medians, in rounds A B C A B C ..., so that a slow moment hits everybody."""

    def timed(call: Call, loops: int) -> float:
        start = clock()
        for _ in range(loops):
            call()
        return (clock() - start) / loops

    gc.collect()
    once = {name: timed(call, 1) for name, call in calls.items()}
    samples = {name: [once[name]] if once[name] > _PATIENCE else [] for name in calls}
    for _ in range(_ROUNDS):
        for name, call in calls.items():
            if once[name] <= _PATIENCE and len(samples[name]) < max(3, 1 / once[name]):
                time.sleep(1e-3)  # the last library's threads stop spinning
                samples[name].append(timed(call, max(1, int(_SAMPLE / once[name]))))
    return {name: statistics.median(found) for name, found in samples.items()}


def table(rows: list[Row], threads: int) -> Iterator[str]:
    """The rows for people: milliseconds, and how many times longer than corr2d."""
    rivals = [name for name in _RIVALS if any(row.seconds[name] for row in rows)]
    yield f"milliseconds, and times corr2d's; {threads} thread{'s' * (threads > 1)} of {os.cpu_count()}; ndimage has one"
    yield f"{'image':<20}{'kernel':<20}{'corr2d':>8}  {'method':<10}" + "".join(f"{name:>20}" for name in rivals)
    for row in rows:
        ours = row.seconds["corr2d"] or float("nan")
        times = [(1e3 * t, t / ours) if t else None for t in map(row.seconds.get, rivals)]
        cells = "".join(f"{f'{_digits(t[0], 3)} · {_digits(t[1])}×' if t else '—':>20}" for t in times)
        yield f"{row.image:<20}{row.kernel:<20}{_digits(1e3 * ours, 3):>8}  {row.method:<10}{cells}"


def _digits(x: float, n: int = 2) -> str:
    """Without an exponent: 1120 and 0.81, not 1.12e+03."""
    return f"{x:.{n}g}" if x < 10 ** (n - 1) else f"{x:.0f}"
