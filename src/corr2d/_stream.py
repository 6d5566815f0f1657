"""From one store into another, a band at a time: images larger than memory, on this machine or a cluster.

A band is some rows of the result, as wide as memory allows. Here, workers take turns reading, so
that what neighbouring bands share is read once, and filter and write side by side; on a cluster
each band is a task that reads its own halo. A band that was written is noted in a journal beside
the output, which makes interrupted work resumable; writing a band twice does no harm.
"""

from __future__ import annotations

import json
import math
import os
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np

from . import _samples
from ._errors import Corr2dError
from ._stores import Store, partial

__all__ = ["Counts", "Cut", "Job", "Journal", "cut_bands", "run", "run_on_cluster"]


@dataclass(frozen=True)
class Counts:
    """What bands report, added up: samples that did not fit, and the largest magnitude."""

    saturated: int = 0
    undefined: int = 0
    peak: float = 0.0

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.saturated + other.saturated, self.undefined + other.undefined, max(self.peak, other.peak))


@dataclass(frozen=True)
class Cut:
    """How the result is cut: bands of so many planes of a batch, rows and columns."""

    shape: tuple[int, ...]  # (planes..., rows, columns)
    step: tuple[int, ...]

    @property
    def grid(self) -> tuple[int, ...]:
        return tuple(-(-n // s) for n, s in zip(self.shape, self.step, strict=True))

    @property
    def count(self) -> int:
        return math.prod(self.grid)

    def band(self, number: int) -> tuple[tuple[slice, ...], slice, slice]:
        """Planes, rows and columns of a band; one after the other they go down the image."""
        *planes, down, across = self.grid
        *lead, x, y = (int(i) for i in np.unravel_index(number, (*planes, across, down)))
        starts = [i * s for i, s in zip((*lead, y, x), self.step, strict=True)]
        *lead, rows, columns = (slice(a, min(a + s, n)) for a, s, n in zip(starts, self.step, self.shape, strict=True))
        return tuple(lead), rows, columns

    def pixels(self, number: int) -> int:
        """Outputs of a band, channels counted as one."""
        lead, rows, columns = self.band(number)
        return math.prod(part.stop - part.start for part in (*lead, rows, columns))


@dataclass(frozen=True, eq=False)
class Job:
    """All that a band needs besides its number; can be pickled."""

    source: Any
    sink: Any
    plan: Any
    cut: Cut
    dtype: np.dtype[Any]
    alpha: Any = None  # the plan that carries the alpha plane over
    fit: tuple[float, float] | None = None  # scale and offset; None: the plan's result is what is stored
    mixes_planes: bool = False  # the axis before the rows is mixed, and not a batch

    def pixels(self, number: int, read: Callable[..., np.ndarray] | None = None) -> np.ndarray:
        """The band's input, halo included; runs that wrap around are joined."""
        lead, rows, columns = self.cut.band(number)
        block = self.plan.block(rows, columns)
        read = read or (lambda *where: self._read(*where))
        across = [
            [read(lead, run, columns, len(block.rows) * len(block.columns) == 1) for columns in block.columns] for run in block.rows
        ]  # fmt: skip
        y = self.source.axes.index("Y")
        lines = [line[0] if len(line) == 1 else np.concatenate(line, y + 1) for line in across]
        return lines[0] if len(lines) == 1 else np.concatenate(lines, y)

    def _read(self, lead: tuple[slice, ...], rows: slice, columns: slice, alone: bool = True) -> np.ndarray:
        return self.source.read(self.index(lead, rows, columns))

    def index(self, lead: tuple[slice, ...], rows: slice, columns: slice) -> tuple[slice, ...]:
        mixed = (slice(None),) if self.mixes_planes else ()
        last = (slice(None),) if self.source.axes.endswith("C") else ()
        return (*lead, *mixed, rows, columns, *last)

    def filter(self, number: int, pixels: np.ndarray, *, write: bool = True) -> Counts:
        """Filter a band and write it, or only look how large it is."""
        lead, rows, columns = self.cut.band(number)
        block, colours = self.plan.block(rows, columns), pixels
        if self.alpha is not None:
            colours = pixels[..., :-1]
        result = block(colours)
        if not write:
            return Counts(peak=_samples.largest_magnitude(self._plane(result)))
        counts = Counts()
        if self.fit is not None:
            scale, offset = self.fit
            fitted = _samples.fit(self._plane(result), self.dtype, zero_gain=False, scale=scale, offset=offset)
            counts = Counts(fitted.saturated, fitted.undefined)
            result = self._unplane(fitted.samples, result.shape)
        if self.alpha is not None:
            mask = self.alpha.block(rows, columns)(pixels[..., -1])
            result = np.concatenate([result, mask[..., None].astype(result.dtype, copy=False)], axis=-1)
        self.sink.write(self.index(lead, rows, columns), result)
        return counts

    def _plane(self, result: np.ndarray) -> np.ndarray:
        """(H, W) or (H, W, C): planes of a batch one below the other."""
        if self.mixes_planes:
            result = np.moveaxis(result, -3, -1)
        keep = -2 if self.mixes_planes or self.source.axes.endswith("C") else -1
        return result.reshape(-1, *result.shape[keep:])

    def _unplane(self, plane: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        """Back into the shape of the band."""
        if not self.mixes_planes:
            return plane.reshape(shape)
        return np.moveaxis(plane.reshape(*shape[:-3], *shape[-2:], shape[-3]), -1, -3)


# -- how large bands may be ----------------------------------------------------------------------------

# Beside bands: what the arithmetic, decoders and float64 scratch take per worker.
_PER_WORKER = 48 << 20
# Bytes of output. What a thread gives back is used again as long as the C library keeps it, which it does with less than
# 32 MB; larger memory comes in fresh pages, which the system clears each time: a 5 x 5 kernel took 0.75 s instead of 0.53.
_BAND, _LARGEST_BAND = 8 << 20, 32 << 20
_HALOS = 4  # bands are so many times as high as their halo, where that is not larger than the largest


def resident() -> int:
    """Bytes of memory that this process holds."""
    try:
        with open("/proc/self/statm") as statm:
            return int(statm.read().split()[1]) * 4096
    except OSError:
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def cut_bands(source: Store, sink: Store, plan: Any, memory: int, workers: int, fitted: bool) -> tuple[Cut, int]:
    """Bands so that `workers` of them fit into `memory` bytes, interpreter included; and how many workers do.

    Raises
    ------
    Corr2dError
        The smallest band, a chunk of the output with its halo, takes more.
    """
    p = plan.problem
    (height, width), (grid_rows, grid_columns) = p.out_size, sink.grid
    mixing = p.channels or (1, 1)
    samples = source.shape[-1] if source.axes.endswith("C") else mixing[1]
    outputs = sink.shape[-1] if sink.axes.endswith("C") else mixing[0]
    reads = 3 * samples * source.dtype.itemsize  # as read, joined with what was kept, and reordered at a border
    writes = outputs * (sink.dtype.itemsize * 2 + (np.dtype(p.out_dtype).itemsize + 4 if fitted else 0))
    planes = source.shape[: source.axes.index("Y") - (p.channels is not None and not source.axes.endswith("C"))]
    depth = tuple(min(d, n) for d, n in zip(sink.depth or source.depth or (1,) * len(planes), planes, strict=False))
    layers = math.prod(depth)
    chunk = math.prod(source.grid) * samples * source.dtype.itemsize

    def need(rows: int, columns: int, workers: int) -> int:
        read_rows = rows * p.stride[0] + p.span[0] + source.grid[0]
        read_columns = min(columns * p.stride[1] + p.span[1] + (0 if columns >= width else source.grid[1]), p.size[1] + p.span[1])
        return workers * (_PER_WORKER + layers * (read_rows * read_columns * reads + rows * columns * writes + 4 * chunk))

    room = memory - resident()
    full = -(-width // grid_columns) * grid_columns
    while need(grid_rows, grid_columns, workers) > room:
        if workers == 1:
            total = resident() + need(grid_rows, grid_columns, 1)
            raise Corr2dError(
                f"{source.path}: a band of {'x'.join(map(str, (*depth, grid_rows, grid_columns)))} with its halo and chunks of {'x'.join(map(str, source.grid))} "
                f"takes {-(-total >> 20)}M and --memory is {memory >> 20}M; give --memory {-(-total >> 20)}M, or smaller chunks"
            )
        workers -= 1
    columns = full
    if need(grid_rows, full, workers) > room:
        low, high = 1, full // grid_columns  # the most columns that fit
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if need(grid_rows, middle * grid_columns, workers) <= room else (low, middle)
        columns = low * grid_columns
    columns = min(columns, width)
    count = 1
    step = max(1, layers * grid_rows * columns * outputs * sink.dtype.itemsize)
    halos = -(-_HALOS * p.span[0] // (grid_rows * p.stride[0]))
    most = max(1, min(max(_BAND // step, halos), _LARGEST_BAND // step))
    # ... and several for each worker, where the image is small.
    most = max(1, min(most, height // (grid_rows * 4 * workers)))
    while count < most and need((count + 1) * grid_rows, columns, workers) <= room:
        count += 1
    return Cut((*planes, height, width), (*depth, count * grid_rows, columns)), workers


# -- what was done --------------------------------------------------------------------------------------


@dataclass
class Journal:
    """Which bands are written, on disk beside the unfinished output: a line each."""

    out: Path
    head: dict[str, Any]
    done: dict[int, Counts] = field(default_factory=dict)

    @property
    def path(self) -> Path:
        return self.out.with_name(f"{partial(self.out).name}.json")

    def load(self) -> dict[str, Any] | None:
        """What an interrupted run left: its head, with the bands it wrote taken over; None if nothing."""
        try:
            first, *rest = self.path.read_text().splitlines()
            head = json.loads(first)
        except (OSError, ValueError):
            return None
        for line in rest:
            try:
                number, *counts = json.loads(line)
                self.done[number] = Counts(*counts)
            except ValueError:  # the line at which it was interrupted
                break
        return head

    def start(self) -> None:
        lines = [json.dumps(self.head), *(self._line(n, c) for n, c in self.done.items())]
        fresh = self.path.with_name(f"{self.path.name}.new")  # a disk that is still full must not cost what is known
        try:
            fresh.write_text("\n".join(lines) + "\n")
            os.replace(fresh, self.path)
        finally:
            fresh.unlink(missing_ok=True)

    def note(self, number: int, counts: Counts) -> None:
        self.done[number] = counts
        with open(self.path, "a") as file:
            file.write(self._line(number, counts) + "\n")

    def total(self) -> Counts:
        return reduce(Counts.__add__, self.done.values(), Counts())

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)

    @staticmethod
    def _line(number: int, counts: Counts) -> str:
        return json.dumps([number, counts.saturated, counts.undefined, counts.peak])


# -- doing it -------------------------------------------------------------------------------------------

Report = Callable[[int, Counts], None]


class _Reader:
    """Reads bands in order and keeps what was read last, for the next one needs rows of it too: chunks are decoded once."""

    def __init__(self, job: Job):
        self.job = job
        self.kept: tuple[Any, int, np.ndarray] | None = None  # (plane and columns, first row, rows)

    def __call__(self, lead: tuple[slice, ...], rows: slice, columns: slice, alone: bool) -> np.ndarray:
        job, axis = self.job, self.job.source.axes.index("Y")
        if not alone:
            return job._read(lead, rows, columns)
        grid, size = job.source.grid[0], job.source.size[0]
        stop = min(size, -(-rows.stop // grid) * grid)  # whole chunks
        where, start, parts = (lead, columns), rows.start, []
        if self.kept is not None and self.kept[0] == where and self.kept[1] <= start:
            _, first, kept = self.kept
            kept = _rows(kept, axis, start - first, rows.stop - first)
            if kept.shape[axis]:
                parts, start = [kept], start + kept.shape[axis]
        if start < stop:
            fresh = job._read(lead, slice(start, stop), columns)
            # The next band of this plane begins a span before this one's end.
            if parts and min(rows.stop, size) - job.plan.problem.span[0] < start:
                start, fresh = rows.start, np.concatenate([*parts, fresh], axis)
                parts = []
            self.kept = where, start, fresh
            parts.append(_rows(fresh, axis, 0, rows.stop - start))
        return parts[0] if len(parts) == 1 else np.concatenate(parts, axis)


def _rows(block: np.ndarray, axis: int, start: int, stop: int) -> np.ndarray:
    return block[(slice(None),) * axis + (slice(start, stop),)]


def run(job: Job, numbers: Iterable[int], workers: int, report: Report, *, write: bool = True) -> None:
    """Work off bands on threads of this process; stops after their current bands where one fails, or on Ctrl-C."""
    reader, queue, turn, stop = _Reader(job), iter(numbers), threading.Lock(), threading.Event()
    told = threading.Lock()

    def loop() -> None:
        while not stop.is_set():
            with turn:
                number = next(queue, None)
                if number is None:
                    return
                pixels = job.pixels(number, reader)
            counts = job.filter(number, pixels, write=write)
            with told:
                report(number, counts)

    with ThreadPoolExecutor(workers) as pool:
        running = {pool.submit(loop) for _ in range(workers)}
        try:
            while running:
                finished, running = wait(running, timeout=0.2, return_when=FIRST_COMPLETED)
                for future in finished:
                    future.result()
        finally:
            stop.set()


def _task(job: Job, number: int, write: bool) -> Counts:
    return job.filter(number, job.pixels(number), write=write)


def run_on_cluster(client: Any, job: Job, numbers: Iterable[int], report: Report, *, write: bool = True) -> None:
    """Work off bands on a Dask cluster; a worker that dies has its bands done again by others."""
    from distributed import as_completed

    threads = max(1, sum(client.nthreads().values()))
    queue, running = iter(numbers), as_completed(loop=client.loop)
    names: dict[str, int] = {}

    def add() -> bool:
        number = next(queue, None)
        if number is None:
            return False
        future = client.submit(_task, job, number, write, pure=False)
        names[future.key] = number
        running.add(future)
        return True

    for _ in range(2 * threads):
        if not add():
            break
    try:
        for future in running:
            report(names.pop(future.key), future.result())
            add()
    finally:
        client.cancel(list(running.futures))
