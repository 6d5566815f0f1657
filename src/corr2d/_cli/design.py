"""``corr2d design``: a kernel by name, on the terminal or into a file."""

import inspect
from functools import partial
from json import loads
from pathlib import Path
from typing import Annotated

import numpy as np
from cyclopts import Parameter

from .._errors import OptionError
from .._kernel_files import to_json
from ..kernel import Kernel
from ..kernel_text import PRESETS
from .common import Flag, check_folder, print_json, read_kernel

__all__ = ["design"]


def design(
    name: str | None = None,
    /,
    *arguments: str,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    json: Flag = False,
) -> None:
    """Make a kernel by name; without a name, list what there is.

    Parameters
    ----------
    name
        gaussian, derivative, gabor, ...; with arguments behind a colon or as words of their own.
    arguments
        sigma=2, dx=1, direction=NE ...
    output
        Write it there instead: .json (with anchor and origin), .npy, .txt or .csv.
    json
        Print what a .json file would hold.
    """
    if name is None:
        _list_all()
        return
    text = ":".join([name, ",".join(arguments)]) if arguments else name
    if text.partition(":")[0].strip().lower().replace("_", "-") not in PRESETS and not text[:1].isalpha():
        raise OptionError(f"design takes the name of a preset, and {name!r} is none; corr2d design lists them")
    kernel = read_kernel(text)
    if output is not None:
        _write(kernel, output)
    elif json:
        print_json(loads(to_json(kernel)))
    else:
        print(_rows(kernel))


def _list_all() -> None:
    for name, make in PRESETS.items():
        if isinstance(make, partial):  # sobel-x is sobel with an axis
            continue
        arguments = str(inspect.signature(make)).partition(" ->")[0].strip("()")
        words = [part.partition(":")[0] + (" =" + part.partition("=")[2] if "=" in part else "") for part in _split(arguments)]
        shown = ", ".join(word.replace(" = ", "=") for word in words if word != "*")
        print(f"{name:20} {shown}".rstrip())
        print(f"{'':20} {inspect.getdoc(make).splitlines()[0]}")


def _split(arguments: str) -> list[str]:
    """At commas outside brackets."""
    parts, depth, part = [], 0, ""
    for char in arguments:
        depth += (char in "([") - (char in ")]")
        if char == "," and not depth:
            parts.append(part.strip())
            part = ""
        else:
            part += char
    return [*parts, part.strip()] if part.strip() else parts


def _rows(kernel: Kernel) -> str:
    """One line for each row, in digits that read back the same; fit for ``-k``."""
    cells = [[np.format_float_positional(w, trim="-") if 1e-4 <= abs(w) < 1e9 or not w else repr(float(w)) for w in row] for row in kernel.weights]
    width = max(len(cell) for row in cells for cell in row)
    return "\n".join(" ".join(cell.rjust(width) for cell in row) for row in cells)


def _write(kernel: Kernel, path: Path) -> None:
    writers = {
        ".json": lambda: kernel.save(path),
        ".npy": lambda: np.save(path, kernel.weights),
        ".txt": lambda: path.write_text(f"# {kernel.name}\n{_rows(kernel)}\n", "utf-8"),
        ".csv": lambda: path.write_text("".join(",".join(map(repr, row)) + "\n" for row in kernel.weights.tolist()), "utf-8"),
    }
    writer = writers.get(path.suffix.lower())
    if writer is None:
        raise OptionError(f"{path}: its name must end in one of {', '.join(writers)}")
    check_folder(path)
    writer()
