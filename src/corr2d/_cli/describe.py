"""``corr2d describe``: what a kernel does."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

import corr2d

from .common import Flag, check_folder, print_json, read_kernel

__all__ = ["describe"]


def describe(
    kernel: Annotated[str, Parameter(allow_leading_hyphen=True)],
    /,
    *,
    tolerance: float | None = None,
    plot: Path | None = None,
    json: Flag = False,
) -> None:
    """Say what a kernel does, in words and in numbers, and what it is called.

    Parameters
    ----------
    kernel
        A preset (sobel-x, gaussian:sigma=2), rows ("0 -1 0; -1 5 -1; 0 -1 0"),
        a JSON list, or @FILE (.json .npy .txt .csv).
    tolerance
        How far each weight may be from the truth.
    plot
        Draw it, with its frequency response and what it does to edges, into this PNG, SVG or PDF.
    json
        Print the numbers as JSON.
    """
    weights = read_kernel(kernel)
    if plot is not None:
        corr2d.plot.format_of(plot)
        check_folder(plot)
    described = corr2d.describe(weights, tolerance=tolerance)
    if plot is not None:
        corr2d.plot.save(corr2d.plot.overview(weights), plot)
    if json:
        print_json(described.to_dict())
    else:
        print(described)
