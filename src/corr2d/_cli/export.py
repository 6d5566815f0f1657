"""``corr2d export``: a kernel in another tool's syntax."""

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from .._errors import OptionError
from ..export import export as write
from .common import Flag, KernelText, check_folder, print_json, read_kernel, say

__all__ = ["export"]


def export(
    *,
    kernel: KernelText,
    to: str,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    boundary: str | None = None,
    approximate: Flag = False,
    json: Flag = False,
) -> None:
    """Write a kernel in the syntax of another tool, ready to run there.

    What to know before using it is said on stderr.

    Parameters
    ----------
    kernel
        As for apply.
    to
        numpy, scipy, opencv, pytorch, onnx, imagemagick, ffmpeg, gegl, vips, svg, glsl,
        wgsl, imagej, matlab, gmic, c or json.
    output
        A file instead of stdout; onnx, which is binary, needs one on a terminal.
    boundary
        What lies outside the image; default what the tool does by default.
    approximate
        Write the nearest thing where the tool cannot express the kernel.
    json
        Print the text, the warnings and whether it is exact as JSON.
    """
    if output is not None:
        check_folder(output)
    exported = write(read_kernel(kernel), to, boundary=boundary, strict=not approximate)
    binary = isinstance(exported.text, bytes)
    if binary and output is None and (json or sys.stdout.isatty()):
        raise OptionError(f"{to} is a binary file; name it with -o FILE")
    if output is not None:
        exported.save(output)
    for warning in exported.warnings:
        say(warning)
    if json:
        text = {} if binary else {"text": exported.text}
        print_json({"target": to, "exact": exported.exact, "warnings": exported.warnings, **text})
    elif output is None:
        if binary:
            sys.stdout.buffer.write(exported.text)
        else:
            print(exported.text, end="")
