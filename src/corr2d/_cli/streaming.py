"""`corr2d apply` on images that are read and written piece by piece: Zarr, large TIFF and NPY."""

import hashlib
import json
import math
import os
import re
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from cyclopts import Parameter

import corr2d

from .. import _samples
from .._errors import Corr2dError, ImageFileError, MissingExtraError, OptionError
from .._files import one_line
from .._image_formats import Source, sniff
from .._stores import NpySink, NpySource, ZarrSink, ZarrSource, is_zarr
from .._stream import Counts, Job, Journal, cut_bands, run, run_on_cluster
from .._tiff_tiles import TiffSink, TiffSource
from ..kernel import Kernel
from .common import check_folder, print_json, say

__all__ = ["StreamOptions", "cluster", "opened", "stream"]


@Parameter(name="*")
@dataclass(frozen=True)
class StreamOptions:
    """Options for images larger than memory."""

    memory: str | None = None
    """How much this process may use, such as 800M or 4G; default a quarter of the memory there is."""
    level: int | None = None
    """Level of an OME-Zarr or TIFF pyramid; default 0, the finest."""
    resume: Annotated[bool, Parameter(negative=())] = False
    """Carry on with an output whose writing was interrupted."""
    scheduler: str | None = None
    """Address of a Dask scheduler, whose workers see the same files; --memory is then for each task."""

    @property
    def any(self) -> bool:
        return self != StreamOptions()

    def bytes(self) -> int:
        """The memory that may be used."""
        if self.memory is None:
            return total_memory() // 4
        match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?", self.memory.strip(), re.IGNORECASE)
        if not match or not float(match[1]):
            raise OptionError(f"--memory {self.memory}: write a number of bytes, such as 800M or 4G")
        return int(float(match[1]) * 1024 ** " KMGT".index(match[2].upper() or " "))


def total_memory() -> int:
    """Bytes of memory of this machine, or of the container that this process is in."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        total = min(total, int(Path("/sys/fs/cgroup/memory.max").read_text()))
    except (OSError, ValueError):
        pass
    return total


def opened(image: Path, out: Path, options: StreamOptions) -> Any:
    """The source to stream from, or None where the image is better read at once."""
    if is_zarr(image) or image.is_dir():
        if not is_zarr(image):
            raise ImageFileError(f"{image}: a folder without a Zarr array")
        return ZarrSource(image, options.level)
    asked = options.any or out.suffix.lower() == ".zarr"
    try:
        kind = sniff(Source(image)) if image.is_file() else ""
    except (OSError, ValueError):  # `images.read` says what is wrong with it
        return None
    if kind == "npy":
        if options.level:
            raise OptionError(f"--level {options.level}: {image} has no levels")
        source: Any = NpySource(image)
    elif kind == "tiff":
        source = TiffSource(image, options.level)
    elif asked and kind:
        raise ImageFileError(f"{image}: {kind.upper()} is read at once, and not piece by piece; give a Zarr, TIFF or NPY image")
    else:
        return None
    # Read at once: the samples, the result in floats, and those in the file's type.
    at_once = source.nbytes * (2 + 8 / source.dtype.itemsize)
    small, reason = not asked and at_once <= options.bytes(), getattr(source, "reason", "")
    if not small and not reason:
        return source
    source.close()
    if reason and (asked or at_once > total_memory()):
        raise ImageFileError(f"{image}: {reason} cannot be read piece by piece; convert it, e.g. to a tiled RGB TIFF")
    return None


def stream(
    source: Any,
    out: Path,
    kernel: Kernel,
    arguments: dict[str, Any],
    options: StreamOptions,
    *,
    dtype: str | None,
    scale: float | None,
    offset: float | None,
    clip: bool,
    json_wanted: bool,
) -> None:
    """Filter a source into `out`; arguments are those of `corr2d.corr2d`."""
    _check_paths(source.path, out)
    with closing(source):
        _stream(source, out, kernel, arguments, options, (dtype, scale, offset, clip), json_wanted)


def _stream(
    source: Any, out: Path, kernel: Kernel, arguments: dict[str, Any], options: StreamOptions, fitting: tuple[Any, ...], json_wanted: bool
) -> None:
    if options.scheduler:  # workers have folders of their own
        source.path, out = Path(os.path.abspath(source.path)), Path(os.path.abspath(out))
    job, zero_gain = _job(source, out, kernel, arguments, *fitting)
    recipe = _recipe(source, kernel, arguments, [job.dtype.name, *fitting[1:], options.level])
    if _finished(out, job.sink, recipe, options.resume):
        say(f"{out}: is finished already, nothing is left to do; remove it to filter again")
        return
    job.sink.mark(recipe)
    workers = job.plan.threads
    cut, workers = cut_bands(source, job.sink, job.plan, options.bytes(), workers, job.fit is not None or zero_gain)
    journal = Journal(out, {"recipe": recipe, "step": cut.step, "scale": None})
    job = _with(job, cut=cut)
    # A journal alone says nothing: what it tells of may have been removed.
    left = journal.load() if options.resume and job.sink.path.exists() else None
    if left is not None:
        if left["recipe"] != recipe:
            raise Corr2dError(f"{out}: what is unfinished there was begun by another command or on another image; run without --resume")
        job = _with(job, cut=_with(cut, step=tuple(left["step"])))
        journal.head = left
        if hasattr(job.sink, "locate"):
            job.sink.locate()
    elif options.resume:
        say(f"{out}: nothing to resume, begun anew")
    start = time.perf_counter()
    with cluster(options.scheduler) as client, _chunks_at_a_time(job.plan.threads):
        go = (lambda *a, **k: run_on_cluster(client, *a, **k)) if client else (lambda j, n, r, **k: run(j, n, workers, r, **k))
        try:
            if zero_gain and journal.head["scale"] is None:
                counts = _pass(job, go, range(job.cut.count), "measuring", write=False)
                journal.head["scale"] = _samples.grey(counts.peak, job.dtype)
            if zero_gain:
                job = _with(job, fit=tuple(journal.head["scale"][:2]))
            if left is None:
                journal.done.clear()
                job.sink.create()
            journal.start()
            numbers = [n for n in range(job.cut.count) if n not in journal.done]
            _pass(job, go, numbers, "filtering", note=journal.note)
            job.sink.finish()
            journal.remove()
        except BaseException as error:
            _leave(out, job, journal)
            if isinstance(error, OSError):  # what is read has errors of its own
                raise Corr2dError(f"{out}: cannot be written: {one_line(error)}") from error
            raise
    seconds, counts = time.perf_counter() - start, journal.total()
    pixels = math.prod(job.cut.shape)
    shown = journal.head["scale"][2] if zero_gain else ""
    note = _samples.remark(job.dtype, counts.saturated, counts.undefined, pixels, shown)
    if note:
        say(f"{out}: {note}")
    if json_wanted:
        used = job.fit or (1.0, 0.0)
        print_json(
            {
                "input": str(source.path), "output": str(out), "kernel": {"name": kernel.name, "shape": kernel.shape},
                "shape": job.sink.shape, "dtype": job.dtype.name, "method": job.plan.method, "engine": job.plan.engine,
                "seconds": seconds, "predicted_seconds": job.plan.seconds, "scale": used[0], "offset": used[1],
                "saturated_pixels": counts.saturated, "nan_samples": counts.undefined, "note": note,
                "bands": job.cut.count, "band": job.cut.step, "workers": workers, "memory": options.bytes(),
            }
        )  # fmt: skip


def _check_paths(image: Path, out: Path) -> None:
    inside, outside = Path(os.path.realpath(out)), Path(os.path.realpath(image))
    if image.is_dir() and (inside == outside or outside in inside.parents):
        raise Corr2dError(f"{out}: lies inside the input {image}; write it elsewhere")
    if inside in outside.parents:
        raise Corr2dError(f"{out}: holds the input {image}; write it elsewhere")
    check_folder(out)


def _job(source: Any, out: Path, kernel: Kernel, arguments: dict[str, Any], dtype, scale, offset, clip) -> tuple[Job, bool]:
    """What is to be done, still uncut; and whether the result's peak is to be found first."""
    axes, shape = source.axes, list(source.shape)
    channels = axes.endswith("C")
    if source.alpha:
        shape[-1] -= 1
    mixes = kernel.ndim == 4 and not channels
    if mixes and (axes.index("Y") == 0 or axes[axes.index("Y") - 1] != "C"):
        raise Corr2dError(f"{source.path}: the kernel mixes channels and the image's axes are {axes}, without a C before or after YX")
    arguments = arguments | {"channel_axis": -1 if channels else None}
    plan = corr2d.plan(tuple(shape), kernel, image_dtype=source.dtype.name, **arguments)
    target = _target(out, source.dtype, np.dtype(plan.problem.out_dtype), dtype)
    asked = scale is not None or offset is not None
    zero_gain = target.kind in "iu" and _samples.is_zero_gain(kernel) and not asked and not clip
    fit = None
    if not asked and plan.problem.out_dtype == target.name:
        pass
    elif not asked and not zero_gain and _samples.surely_fits(kernel, source.dtype, target, arguments["fill"]):
        plan = corr2d.plan(tuple(shape), kernel, image_dtype=source.dtype.name, **(arguments | {"dtype": target.name}))
    elif not zero_gain:
        fit = 1.0 if scale is None else scale, 0.0 if offset is None else offset
    if plan.problem.complex_result and target.kind != "c":
        raise OptionError(f"the result is complex and {target} is not; write .npy without --dtype")
    result, alpha = plan.problem.out_shape, None
    if source.alpha:
        alpha = _alpha_plan(source, kernel, arguments)
        result = (*result[:-1], result[-1] + 1)
    sink = _sink(out, result, target, axes, source, plan.problem)
    source.threads = sink.threads = plan.threads
    return Job(source, sink, plan, None, target, alpha, fit, mixes), zero_gain


def _alpha_plan(source: Any, kernel: Kernel, arguments: dict[str, Any]) -> Any:
    """A filter that copies the tap on the output pixel, so that alpha goes through the same padding and stride."""
    kh, kw = kernel.shape[-2:]
    delta = np.zeros((kh, kw))
    delta[arguments["anchor"] or kernel.anchor or ((kh - 1) // 2, (kw - 1) // 2)] = 1.0
    here = {"channel_axis": None, "method": "sparse", "fill": 0.0, "dtype": source.dtype.name}
    return corr2d.plan(source.shape[:-1], Kernel(delta, anchor=kernel.anchor), image_dtype=source.dtype.name, **(arguments | here))


def _target(out: Path, source: np.dtype[Any], result: np.dtype[Any], asked: str | None) -> np.dtype[Any]:
    """As for images that are read at once: integers stay what they were, except in NPY."""
    if asked:
        return np.dtype(asked)
    return source if source.kind in "iu" and out.suffix.lower() != ".npy" else result


def _sink(out: Path, shape: tuple[int, ...], dtype: np.dtype[Any], axes: str, source: Any, problem: Any) -> Any:
    suffix = out.suffix.lower()
    if suffix == ".npy":
        return NpySink(out, shape, dtype, axes)
    if suffix in (".tif", ".tiff"):
        return TiffSink(out, shape, dtype, axes, source)
    if suffix == ".zarr":
        first = [
            0 if n == -(-size // step) else (span // dilation // 2) * dilation - before
            for n, size, step, span, dilation, (before, _) in zip(
                problem.out_size, problem.size, problem.stride, problem.span, problem.dilation, problem.pads, strict=True
            )
        ]  # fmt: skip
        return ZarrSink(out, shape, dtype, axes, source, {"stride": problem.stride, "first": first})
    raise ImageFileError(f"{out}: an image that is written piece by piece is a .zarr, .tif or .npy")


def _recipe(source: Any, kernel: Kernel, arguments: dict[str, Any], rest: list[Any]) -> str:
    """What tells one piece of work from another."""
    stat = source.path.stat()
    options = {k: str(v) for k, v in arguments.items() if k not in ("threads", "method")}
    weights = np.ascontiguousarray(kernel.weights)
    text = json.dumps([
        str(source.path.resolve()), stat.st_size, stat.st_mtime_ns, str(weights.shape), weights.tobytes().hex(),
        str(kernel.bias), str(kernel.anchor), options, [str(item) for item in rest],
    ])  # fmt: skip
    return hashlib.sha256(text.encode(), usedforsecurity=False).hexdigest()[:32]


def _finished(out: Path, sink: Any, recipe: str, resume: bool) -> bool:
    """Whether `out` is there and needs no work; other folders are not overwritten."""
    if not out.exists():
        return False
    if resume and not sink.path.exists():
        return True
    if sink.marked() == recipe:
        return True
    if out.is_dir():
        raise Corr2dError(f"{out}: exists already, and is not the result of this command; remove it or choose another name")
    return False


def _with(frozen: Any, **changes: Any) -> Any:
    from dataclasses import replace

    return replace(frozen, **changes)


@contextmanager
def cluster(address: str | None) -> Iterator[Any]:
    """A client of the scheduler, or None."""
    if address is None:
        yield None
        return
    try:
        from distributed import Client
    except ImportError as error:
        raise MissingExtraError('--scheduler needs distributed: pip install "corr2d[dask]"', name="distributed") from error
    try:
        client = Client(address, timeout="10s", set_as_default=False)
    except (OSError, ValueError) as error:
        raise Corr2dError(f"--scheduler {address}: no Dask scheduler answers there") from error
    with client:
        if not client.nthreads():
            raise Corr2dError(f"--scheduler {address}: it has no workers; start some with `dask worker {address}`")
        yield client


@contextmanager
def _chunks_at_a_time(threads: int) -> Iterator[None]:
    """Zarr codes as many chunks side by side as there are threads: its own ten know nothing of --threads, and take turns."""
    zarr = sys.modules.get("zarr")
    if zarr is None:
        yield
        return
    with zarr.config.set({"async.concurrency": threads}):
        yield


def _pass(job: Job, go: Any, numbers: Any, what: str, note: Any = None, write: bool = True) -> Counts:
    """All bands once, with a bar on a terminal."""
    total = Counts()
    with _bar(what, sum(map(job.cut.pixels, numbers))) as advance:

        def report(number: int, counts: Counts) -> None:
            nonlocal total
            total = total + counts
            if note:
                note(number, counts)
            advance(job.cut.pixels(number))

        go(job, numbers, report, write=write)
    return total


@contextmanager
def _bar(what: str, pixels: int) -> Iterator[Any]:
    """A function that is told of pixels that are done; rate and remaining time on a terminal."""
    if not sys.stderr.isatty():
        yield lambda pixels: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, ProgressColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
    from rich.text import Text

    class Rate(ProgressColumn):
        def render(self, task: Any) -> Text:
            return Text(f"{(task.speed or 0) / 1e6:.0f} Mpixel/s")

    columns = TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), Rate(), TextColumn("left"), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(what, total=pixels)
        yield lambda pixels: progress.update(task, advance=pixels)


def _leave(out: Path, job: Job, journal: Journal) -> None:
    """After a failure: either nothing is left, or what `--resume` completes, and a line says so."""
    if journal.done:
        say(f"{out}: {len(journal.done)} of {job.cut.count} bands are kept in {job.sink.path.name}; the same command with --resume carries on")
    else:
        job.sink.discard()
        journal.remove()
