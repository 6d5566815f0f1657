"""The ``corr2d`` command: filter an image file, ask for the plan, see a demo.

Exit status: 0 done, 1 the work failed (a file, the disk, the memory), 2 the
request makes no sense, 130 interrupted. Whatever went wrong is one line on
stderr; stdout carries results only.
"""

import json
import math
import os
import re
import sys
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from cyclopts import App, CycloptsError, Parameter
from numpy.typing import NDArray

import corr2d
from . import _constants, _samples, images
from ._cli_options import FilterOptions
from ._errors import Corr2dError, DTypeError, NoCandidateError, OptionError
from ._files import one_line
from .images import Image
from .kernel import Kernel
from .kernel_text import parse_kernel

__all__ = ["app", "main"]

SampleType = Literal[
    "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64", "float32", "float64"
]
_LONG_WORK = 4_000_000  # samples; below, a progress bar would only flicker
_SIZE = re.compile(r"(\d+)[x×](\d+)(?:[x×](\d+))?", re.IGNORECASE)

app = App(
    name="corr2d",
    help="2-D cross-correlation of images with kernels.",
    version=lambda: version("corr2d"),
    suppress_keyboard_interrupt=False,
)

KernelText = Annotated[str, Parameter(name=["--kernel", "-k"], allow_leading_hyphen=True)]
Flag = Annotated[bool, Parameter(negative=())]


@app.command
def apply(
    image: Path,
    out: Path,
    /,
    *,
    kernel: KernelText,
    options: FilterOptions = FilterOptions(),  # noqa: B008 (frozen)
    dtype: SampleType | None = None,
    scale: float | None = None,
    offset: float | None = None,
    clip: Flag = False,
    json: Flag = False,
) -> None:
    """Filter an image file with a kernel.

    The output has the input's sample type and alpha. Where the result does not
    fit it, a kernel that sums to zero (edges) is shown around mid-grey, scaled to
    fit, and any other saturates; a line on stderr says so. NPY and float TIFF
    hold everything.

    Parameters
    ----------
    image
        PNG, JPEG, TIFF or NPY.
    out
        Its ending tells the format: .png .jpg .tif .npy
    kernel
        A preset (sobel-x, gaussian:sigma=2), rows ("0 -1 0; -1 5 -1; 0 -1 0"),
        a JSON list, or @FILE (.json .npy .txt .csv).
    dtype
        Sample type of the output instead of the input's.
    scale
        Multiply the result by this before it is stored.
    offset
        Add this to it.
    clip
        Store the values themselves and saturate, also for a zero-gain kernel.
    json
        Print what was done as JSON.
    """
    weights = _kernel(kernel)
    for name, number in (("--scale", scale), ("--offset", offset)):
        if number is not None and not math.isfinite(number):
            raise OptionError(f"{name} {number}: use a finite number")
    source = images.read(image)
    pixels = source.pixels
    if weights.ndim == 4 and pixels.ndim == 2:
        pixels = pixels[..., None]
    arguments = options.for_api(channels=pixels.ndim == 3)
    if dtype == "float64":
        arguments["dtype"] = dtype  # computed so, and not only stored so
    kept = pixels.dtype if pixels.dtype.kind in "iu" else np.dtype(np.float32)
    _check_output(out, np.dtype(dtype or kept), weights, source)
    with _progress(pixels.size) as step:
        step(f"filtering with {weights.name or 'the kernel'}")
        chosen = corr2d.plan(pixels, weights, **arguments)
        start = time.perf_counter()
        result = chosen(pixels)
        seconds = time.perf_counter() - start
        if result.ndim == 3 and result.shape[2] == 1 and pixels is not source.pixels:
            result = result[..., 0]
        step("fitting the sample type")
        target = _target_type(out, source.pixels.dtype, result.dtype, dtype)
        fitted = _samples.fit(
            result,
            target,
            zero_gain=_samples.is_zero_gain(weights),
            scale=scale,
            offset=offset,
            clip=clip,
        )
        del result
        alpha = _alpha(source.alpha, weights, arguments)
        step(f"writing {out.name}")
        # A colour profile describes its own number of channels.
        profile = source.icc_profile if fitted.samples.shape[2:] == source.pixels.shape[2:] else None
        images.write(out, replace(source, pixels=fitted.samples, alpha=alpha, icc_profile=profile))
    if fitted.note:
        _say(f"{out}: {fitted.note}")
    if json:
        _print_json(
            {
                "input": str(image),
                "output": str(out),
                "kernel": {"name": weights.name, "shape": weights.shape},
                "shape": fitted.samples.shape,
                "dtype": fitted.samples.dtype.name,
                "method": chosen.method,
                "engine": chosen.engine,
                "seconds": seconds,
                "predicted_seconds": chosen.seconds,
                "scale": fitted.scale,
                "offset": fitted.offset,
                "saturated_pixels": fitted.saturated,
                "nan_samples": fitted.undefined,
                "note": fitted.note,
            }
        )


@app.command
def plan(
    image: str,
    /,
    *,
    kernel: KernelText,
    options: FilterOptions = FilterOptions(),  # noqa: B008 (frozen)
    image_dtype: str | None = None,
    json: Flag = False,
) -> None:
    """Show which algorithm would filter an image, why, and how long it would take.

    Parameters
    ----------
    image
        An image file, or a size: 3072x4096, or 3072x4096x3 with channels.
    kernel
        As for apply.
    image_dtype
        Sample type that goes with a size; default float32.
    json
        Print the plan as JSON.
    """
    weights = _kernel(kernel)
    size = _SIZE.fullmatch(image)
    if size and not Path(image).exists():
        shape = tuple(int(side) for side in size.groups() if side)
        sample_type = image_dtype or "float32"
    else:
        if image_dtype:
            raise OptionError(f"--image-dtype goes with a size; {image} has a sample type of its own")
        if not Path(image).exists():
            raise Corr2dError(f"{image}: neither a file nor a size such as 3072x4096")
        pixels = images.read(image).pixels
        shape, sample_type = pixels.shape, pixels.dtype.name
    arguments = options.for_api(channels=len(shape) == 3)
    chosen = corr2d.plan(shape, weights, image_dtype=sample_type, **arguments)
    if json:
        _print_json(chosen.to_dict())
    else:
        print(chosen)


@app.command
def calibrate(*, reset: Flag = False, json: Flag = False) -> None:
    """Measure this machine's speeds, by which plans choose an algorithm; takes seconds.

    The constants are kept in the user's cache folder, or in the folder that the
    environment variable CORR2D_CACHE names. They change which algorithm is
    chosen and what plans predict.

    Parameters
    ----------
    reset
        Forget what was measured: plans use the defaults again.
    json
        Print the constants and the measurements as JSON.
    """
    if reset:
        removed = _constants.reset()
        if json:
            _print_json({"removed": None if removed is None else str(removed)})
        else:
            print(f"removed {removed}" if removed else "nothing was stored; plans use the defaults")
        return
    from . import _calibrate  # its fit is of no use to the other commands

    with warnings.catch_warnings(), _bar("measuring") as step:
        warnings.simplefilter("ignore", RuntimeWarning)  # of a broken file, which is about to be replaced
        measured = _calibrate.calibrate(step)
    try:
        path = _constants.save(asdict(measured.after), crossing=[asdict(c) for c in measured.crossing])
    except OSError as error:
        raise Corr2dError(
            f"{_constants.path()}: {one_line(error)}; name a folder that can be written to in CORR2D_CACHE"
        ) from error
    if json:
        _print_json({**measured.to_dict(), "path": str(path)})
    else:
        print(measured)
        print(f"kept in {path}")


@app.command
def bench(*, size: str = "1536x2048", threads: int | None = None, json: Flag = False) -> None:
    """Time a few kernels against the libraries that are installed here.

    Results are compared first; a library that gives another one is left out.

    Parameters
    ----------
    size
        Of the image: HEIGHTxWIDTH.
    threads
        How many threads corr2d, OpenCV and oaconvolve may use; default all cores.
    json
        Print the seconds as JSON.
    """
    from . import _bench  # SciPy's filters are of no use to the other commands

    match = _SIZE.fullmatch(size)
    if not match or match[3] or min(int(match[1]), int(match[2])) < 32:
        raise OptionError(f"--size {size}: write HEIGHTxWIDTH of at least 32x32, such as 1536x2048")
    if threads is not None and threads < 1:
        raise OptionError(f"--threads {threads}: use 1 or more")
    with _bar("timing") as step:
        rows = list(_bench.run((int(match[1]), int(match[2])), threads, step))
    if json:
        _print_json({"rows": [row.to_dict() for row in rows]})
    else:
        print(*_bench.table(rows, threads or corr2d.get_threads()), sep="\n")


@app.command
def demo(*, output: Path = Path("corr2d-demo.png")) -> None:
    """Find the edges in a photograph, time it, and write a picture of it.

    Parameters
    ----------
    output
        Where the panel goes, a PNG.
    """
    from . import _demo  # its drawing is of no use to the other commands

    reason = images.refusal(output, np.uint8, channels=3)
    if reason:
        raise OptionError(f"{output}: {reason}")
    _demo.run(output)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status.

    Examples
    --------
    >>> main(["plan", "8x8", "-k", "no-such-preset"])  # one line on stderr
    2
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a terminal without "×" shows "?" and carries on
            stream.reconfigure(errors="replace")
    try:
        app(argv, exit_on_error=False, print_error=False, result_action="return_value")
        if sys.stdout is not None:  # closed by the caller: `>&-`
            sys.stdout.flush()
    except BrokenPipeError:
        # `corr2d plan … | head`: the reader has what it wanted. Python flushes
        # stdout once more on exit, and would complain then.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        _say("interrupted")
        return 130
    except (CycloptsError, OptionError, NoCandidateError, DTypeError) as error:
        _say(one_line(error))
        return 2
    except (Corr2dError, OSError, MemoryError) as error:
        _say("not enough memory" if isinstance(error, MemoryError) else one_line(error))
        return 1
    return 0


def _kernel(text: str) -> Kernel:
    try:
        return parse_kernel(text)
    except OptionError as error:
        if text.lstrip().startswith("@"):  # the file is at fault, not the command line
            raise Corr2dError(str(error)) from error
        raise


def _check_output(out: Path, dtype: np.dtype[Any], kernel: Kernel, source: Image) -> None:
    """Refuse what cannot be written before the work, not after it."""
    pixels = source.pixels
    channels = kernel.shape[0] if kernel.ndim == 4 else (pixels.shape[2] if pixels.ndim == 3 else 1)
    reason = images.refusal(out, dtype, channels=channels, alpha=source.alpha is not None)
    if reason:
        hint = "; or choose --dtype uint8 and a --scale" if dtype.kind == "f" else ""
        raise OptionError(f"{out}: {reason}{hint}")
    if not out.parent.is_dir():
        raise Corr2dError(f"{out}: there is no folder {str(out.parent)!r}")


def _target_type(
    out: Path, source: np.dtype[Any], result: np.dtype[Any], asked: str | None
) -> np.dtype[Any]:
    if asked:
        return np.dtype(asked)
    # NPY takes the result as it is; elsewhere integers stay what they were.
    keeps = source.kind in "iu" and out.suffix.lower() != ".npy"
    return source if keeps else result


def _alpha(
    alpha: NDArray[Any] | None, kernel: Kernel, arguments: dict[str, Any]
) -> NDArray[Any] | None:
    """The alpha plane under the output's pixels: the very samples, cropped or skipped."""
    if alpha is None or (arguments["padding"] == "same" and arguments["stride"] == 1):
        return alpha
    # A filter that copies the tap which the kernel puts on the output pixel goes
    # through the same padding and stride as the image did.
    kh, kw = kernel.shape[-2:]
    delta = np.zeros((kh, kw))
    delta[arguments["anchor"] or kernel.anchor or ((kh - 1) // 2, (kw - 1) // 2)] = 1.0
    here = {"channel_axis": None, "method": "auto", "fill": 0.0, "dtype": alpha.dtype}
    return corr2d.corr2d(alpha, Kernel(delta, anchor=kernel.anchor), **(arguments | here))


@contextmanager
def _progress(samples: int) -> Iterator[Any]:
    """A function that names the next of three steps, with a bar on a terminal."""
    if samples < _LONG_WORK or not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=3)
        steps = iter(range(3))
        # Escaped: a file may be called "[red].png", which rich would take for a style.
        yield lambda what: progress.update(task, description=escape(what), completed=next(steps))


@contextmanager
def _bar(what: str) -> Iterator[Any]:
    """A function that is told the share that is done, with a bar on a terminal."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(what, total=1.0)
        yield lambda share: progress.update(task, completed=share)


def _print_json(record: dict[str, Any]) -> None:
    print(json.dumps(record, allow_nan=False))


def _say(line: str) -> None:
    # What a broken file made a decoder say may hold control codes.
    printable = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in line)
    print(f"corr2d: {printable}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
