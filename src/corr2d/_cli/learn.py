"""``corr2d learn``: two pictures in, the kernel between them out."""

from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from cyclopts import Parameter
from numpy.typing import NDArray

import corr2d

from .. import images
from .._errors import OptionError
from .common import SIZE, Flag, check_folder, print_json, say, stages
from .learn_large import ReadOptions, excerpts, planes

__all__ = ["learn"]

_EXCERPT = 1024  # pixels along a side of what is drawn of large pictures


def learn(
    before: Path,
    after: Path,
    /,
    *,
    size: str = "auto",
    max_size: int = 15,
    bias: bool = True,
    constraint: Annotated[list[str] | None, Parameter(negative=())] = None,
    channels: Literal["depthwise", "full"] = "depthwise",
    curves: Literal["none", "auto"] = "none",
    method: Literal["exact", "robust", "gradient"] = "exact",
    mask: Path | None = None,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    plot: Path | None = None,
    json: Flag = False,
    large: ReadOptions = ReadOptions(),  # noqa: B008 (frozen)
) -> None:
    """Find the kernel that turns one picture into another.

    Prints the kernel with its error bars, a verdict on whether it was a linear filter at all, its name,
    and integers that reproduce the second picture bit for bit, where there are any.

    Parameters
    ----------
    before
        PNG, JPEG, TIFF, NPY or Zarr; Zarr, and TIFF and NPY files that are large, are read piece by piece.
    after
        The same picture, filtered: of equal size, or cropped.
    size
        Rows and columns, 3x5, or one number for both; "auto" finds them.
    max_size
        Bounds the search for a size.
    bias
        Also fit a constant.
    constraint
        sum=1, sum=0, symmetric, antisymmetric, nonnegative, separable or sparse; may be repeated.
    channels
        "full" lets each channel of the output depend on all channels of the input.
    curves
        "auto" also tries tone curves, such as sRGB.
    method
        "robust" ignores outliers; "gradient" is twenty steps of gradient descent.
    mask
        A picture of after's size: pixels that are 0 take no part.
    output
        Save the kernel as JSON, for -k @FILE.
    plot
        Save a panel: both pictures, the prediction, the residual, the kernel with its errors.
    json
        Print everything as JSON.
    """
    for path in (output, plot):
        if path is not None:
            check_folder(path)
    if plot is not None:
        from .._learning import panel  # needs matplotlib, which only this does

        corr2d.plot.format_of(plot)
    options: dict[str, Any] = {
        "size": _size(size), "bias": bias, "constraints": constraint or (), "channels": channels, "curves": curves, "method": method,
        "max_size": max_size,
    }  # fmt: skip
    refused = {"--curves auto": curves == "auto", "--method robust": method == "robust", "--mask": mask is not None}
    with stages() as told, planes(before, after, large, mixing=channels == "full", told=told, refused=refused) as pair:
        options["progress"] = told
        if pair is None:
            first, second, fit = _at_once(before, after, mask, options)
        else:
            fit = corr2d.learn_kernel(*pair, **options)
            first, second = excerpts(*pair, _EXCERPT)
    if json:
        print_json(fit.to_dict())
    else:
        print(fit.summary())
    if output is not None:
        fit.kernel.save(output)
        say(f"kernel saved to {output}")
    if plot is not None:
        panel.draw(plot, first, second, fit)
        say(f"panel saved to {plot}")


def _at_once(before: Path, after: Path, mask: Path | None, options: dict[str, Any]) -> tuple[NDArray, NDArray, "corr2d.LearnedKernel"]:
    first, second = images.read(before).pixels, images.read(after).pixels
    if first.ndim != second.ndim:
        raise OptionError(f"{before} and {after} differ in their channels, {first.shape} and {second.shape}; convert one of them")
    usable = None
    if mask is not None:
        picture = images.read(mask).pixels
        usable = picture > 0 if picture.ndim == 2 else (picture > 0).any(-1)
        if options["channels"] == "depthwise" and second.ndim == 3:
            usable = np.broadcast_to(usable, (second.shape[2], *usable.shape))
    return first, second, corr2d.learn_kernel(first, second, mask=usable, channel_axis=-1 if first.ndim == 3 else None, **options)


def _size(text: str) -> object:
    if text == "auto":
        return text
    pair = SIZE.fullmatch(text)
    if pair and pair[3] is None:
        return int(pair[1]), int(pair[2])
    if text.isdigit():
        return int(text)
    raise OptionError(f'--size {text}: use "auto", one number, or rows x columns such as 3x5')
