"""``corr2d apply``: an image file through a kernel into another file."""

import math
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

import corr2d

from .. import _samples, images
from .._errors import Corr2dError, ImageFileError, OptionError
from ..images import Image
from ..kernel import Kernel
from .common import Flag, KernelText, check_folder, print_json, read_kernel, say
from .options import FilterOptions
from .streaming import StreamOptions, opened, stream

__all__ = ["apply"]

SampleType = Literal[
    "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64", "float32", "float64"
]
_LONG_WORK = 4_000_000  # samples; below, a progress bar would only flicker


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
    large: StreamOptions = StreamOptions(),  # noqa: B008 (frozen)
) -> None:
    """Filter an image file with a kernel.

    The output has the input's sample type and alpha. Where the result does not
    fit it, a kernel that sums to zero (edges) is shown around mid-grey, scaled to
    fit, and any other saturates; a line on stderr says so. NPY and float TIFF
    hold everything. Zarr images, and TIFF and NPY files that are large, are
    filtered piece by piece within --memory.

    Parameters
    ----------
    image
        PNG, JPEG, TIFF, NPY or Zarr.
    out
        Its ending tells the format: .png .jpg .tif .npy .zarr
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
    weights = read_kernel(kernel)
    for name, number in (("--scale", scale), ("--offset", offset)):
        if number is not None and not math.isfinite(number):
            raise OptionError(f"{name} {number}: use a finite number")
    tiles = opened(image, out, large)
    if tiles is not None:
        arguments = options.for_api(channels=False)
        if dtype == "float64":
            arguments["dtype"] = dtype
        stream(tiles, out, weights, arguments, large, dtype=dtype, scale=scale, offset=offset, clip=clip, json_wanted=json)
        return
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
        say(f"{out}: {fitted.note}")
    if json:
        print_json(
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


def _check_output(out: Path, dtype: np.dtype[Any], kernel: Kernel, source: Image) -> None:
    """Refuse what cannot be written before the work, not after it."""
    pixels = source.pixels
    channels = kernel.shape[0] if kernel.ndim == 4 else (pixels.shape[2] if pixels.ndim == 3 else 1)
    reason = images.refusal(out, dtype, channels=channels, alpha=source.alpha is not None)
    if reason and images.refusal(out, "uint8"):  # whatever the samples are: the name tells no format
        raise ImageFileError(f"{out}: {reason}")
    if reason:
        hint = "; or choose --dtype uint8 and a --scale" if dtype.kind == "f" else ""
        raise OptionError(f"{out}: {reason}{hint}")
    check_folder(out)


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
