"""Kernels in files: our own format written and read, NumPy's and plain rows of numbers read.

`read` looks at what a file holds before it looks at its name. The syntaxes of other
programs are in ``_kernel_syntaxes``. Nothing in a file is executed, no memory is asked
for that the file does not fill, and what is no kernel is refused in one line.
"""

from __future__ import annotations

import io
import json
import os
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._errors import Corr2dError, OptionError
from ._files import one_line
from .kernel import Kernel

__all__ = ["NUMBER", "from_json_list", "from_rows", "number", "read", "shortened", "to_json"]

_FORMAT = "corr2d-kernel"
_VERSION = 1
_LARGEST_FILE = 64 * 2**20  # bytes; a megapixel kernel fits, a mistaken video does not

# What a garbled file makes of a reader; RecursionError is a million brackets, SyntaxError a NumPy header.
_REFUSALS = (Corr2dError, ValueError, TypeError, KeyError, OverflowError, SyntaxError, RecursionError)

# Written so that a long row of digits is read once, whatever comes after it.
NUMBER = r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?"
_FRACTION = re.compile(rf"({NUMBER})(?:/({NUMBER}))?", re.ASCII)
_TOKEN_END = re.compile(r"\s*,\s*|\s+")
_ROW_END = re.compile(r"\s*;\s*|\s*\n\s*")


def read(path: str | os.PathLike[str]) -> Kernel:
    """The kernel in a file, or in a string of a syntax that cannot be a file name's."""
    from . import _kernel_syntaxes

    if isinstance(path, str) and (parse := _kernel_syntaxes.recognise(path)) and not _exists(path):
        return _refused_as(shortened(path), parse, path)
    path = Path(path)
    size = path.stat().st_size
    if not path.is_file():
        raise OptionError(f"{path}: not a regular file")  # a device may have no end, a pipe no beginning
    if size > _LARGEST_FILE:
        raise OptionError(f"{path}: larger than {_LARGEST_FILE >> 20} MiB, no kernel file")
    data = path.read_bytes()
    if path.suffix.lower() == ".json":
        return _refused_as(f"{path}: not a corr2d kernel file", _from_json_file, data)
    if data.startswith(b"\x93NUMPY") or path.suffix.lower() == ".npy":
        return _refused_as(f"{path}: not a NumPy array of numbers", _from_npy, data)
    if data.startswith(b"PK"):
        return _refused_as(f"{path}: not one NumPy array", _from_npz, data)
    if data.startswith(b"MATLAB"):
        raise OptionError(f"{path}: a MATLAB data file; there, writematrix(kernel, 'kernel.csv') writes what is read here")
    try:
        text = data.decode("utf-8-sig")  # spreadsheets write the signature
    except UnicodeDecodeError:
        raise OptionError(f"{path}: not text in UTF-8, nor a NumPy file") from None
    parse = _kernel_syntaxes.recognise(text, path.suffix.lower()) or _from_commented_rows
    return _refused_as(f"{path}", parse, text)


def to_json(kernel: Kernel) -> str:
    """Our file format; floats in their shortest exact form."""
    weights = kernel.weights
    if weights.dtype.kind == "c":
        weights = np.stack([weights.real, weights.imag], axis=-1)
    record = {
        "format": _FORMAT,
        "version": _VERSION,
        "name": kernel.name,
        "source": kernel.source,
        "orientation": "correlation",
        "dtype": kernel.dtype.name,
        "anchor": kernel.anchor,
        "bias": kernel.bias if isinstance(kernel.bias, float) else [kernel.bias.real, kernel.bias.imag],
        "weights": weights.tolist(),
    }
    lines = ",\n".join(f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in record.items())
    return f"{{\n{lines}\n}}\n"


def from_rows(text: str) -> Kernel:
    """Numbers between blanks or commas, rows between semicolons or line ends."""
    found = []
    for line in _ROW_END.split(text.strip().removesuffix(";").rstrip()):
        row = [number(token) for token in _TOKEN_END.split(line.strip())]
        if found and len(row) != len(found[0]):
            raise OptionError(f"{_count(len(row))} in row {len(found) + 1}, but {_count(len(found[0]))} in row 1")
        found.append(row)
    return Kernel(found)


def from_json_list(text: str) -> Kernel:
    """A JSON list of rows; a flat list is one row."""
    try:
        rows = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise OptionError(f"not a JSON list: {one_line(error)}") from None
    if rows and not any(isinstance(row, list) for row in rows):
        rows = [rows]
    return Kernel(rows)


def number(token: str) -> float:
    """``1``, ``-.5e3`` or ``1/9``."""
    # Web pages write U+2212 for minus.
    match = _FRACTION.fullmatch(token.replace("\N{MINUS SIGN}", "-"))
    if match is None:
        what = repr(shortened(token)) if token else "nothing"
        raise OptionError(f"{what} where a number is expected")
    above, below = (float(part) if part else 1.0 for part in match.groups())
    if below == 0:
        raise OptionError(f"{token} divides by zero")
    return above / below


def shortened(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 40 else f"{text[:37]}..."


def _refused_as(what: str, parse: Callable[[Any], Kernel], content: Any) -> Kernel:
    """One line that begins with *what*, whatever went wrong."""
    try:
        return parse(content)
    except (*_REFUSALS, zipfile.BadZipFile) as error:
        reason = f"{error} is missing" if isinstance(error, KeyError) else one_line(error)
        raise OptionError(f"{what}: {reason}") from None


def _exists(path: str) -> bool:
    try:
        return Path(path).exists()
    except (OSError, ValueError):  # too long a name, or a NUL in it
        return False


def _count(n: int) -> str:
    return f"{n} number{'s' * (n != 1)}"


def _from_commented_rows(text: str) -> Kernel:
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return from_rows("\n".join(line for line in lines if line))


# -- NumPy's files ---------------------------------------------------------------


def _from_npy(data: bytes) -> Kernel:
    return Kernel(_array(data))


def _from_npz(data: bytes) -> Kernel:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = archive.infolist()
        if len(members) != 1:
            raise OptionError(f"it holds {len(members)} arrays: {shortened(', '.join(m.filename for m in members))}")
        if members[0].file_size > _LARGEST_FILE:
            raise OptionError(f"larger than {_LARGEST_FILE >> 20} MiB")
        return Kernel(_array(archive.read(members[0])))


def _array(data: bytes) -> NDArray[Any]:
    """The array of an .npy file; `np.load` would ask for the memory that the header promises."""
    stream = io.BytesIO(data)
    version = np.lib.format.read_magic(stream)
    header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}.get(version)
    if header is None:
        raise OptionError(f"version {version} holds named fields")
    shape, by_columns, dtype = header(stream)
    if dtype.hasobject:
        raise OptionError("it holds Python objects")
    size = int(np.prod([int(side) for side in shape], dtype=object))
    if size < 0 or size * dtype.itemsize > len(data) - stream.tell():
        raise OptionError(f"its header promises {size} numbers, greater than file size")
    flat = np.frombuffer(data, dtype, size, offset=stream.tell())
    return flat.reshape(shape, order="F" if by_columns else "C")


# -- our own -----------------------------------------------------------------------


def _from_json_file(data: bytes) -> Kernel:
    """A file that `to_json` wrote, a bare list of rows, or OpenCV's JSON."""
    record = json.loads(data, parse_constant=_refuse_constant)
    if isinstance(record, list) and record:
        return from_json_list(data.decode("utf-8-sig"))
    if isinstance(record, dict) and "format" not in record:
        from ._kernel_syntaxes import opencv_kernel, opencv_matrices

        if any(opencv_matrices(record)):
            return opencv_kernel(record)
    return _from_record(record)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"a weight cannot be {name}")


def _from_record(record: Any) -> Kernel:
    """The kernel in a parsed file; any of ValueError, TypeError, KeyError otherwise."""
    if not isinstance(record, dict) or record.get("format") != _FORMAT:
        raise ValueError(f'there is no "format": "{_FORMAT}" in it')
    if record.get("version") != _VERSION:
        raise ValueError(f"version {record.get('version')!r} is not {_VERSION}; update corr2d")
    weights, bias = np.array(record["weights"]), record["bias"]
    if weights.dtype.kind not in "iuf":
        raise ValueError("the weights are not an array of numbers")
    if record["dtype"] == "complex128":
        if weights.ndim < 2 or weights.shape[-1] != 2:
            raise ValueError("complex weights are pairs [real, imaginary]")
        # A pair of float64 is a complex128; arithmetic (re + 1j*im) would lose -0.0.
        weights = np.ascontiguousarray(weights, np.float64).view(np.complex128)[..., 0]
    elif record["dtype"] != "float64":
        raise ValueError(f"dtype {record['dtype']!r} is neither float64 nor complex128")
    if isinstance(bias, list):
        bias = complex(*bias)
    if record.get("orientation", "correlation") != "correlation":
        raise ValueError(f"orientation {record['orientation']!r} is not 'correlation'; turn the weights by 180 degrees")
    return Kernel(weights, anchor=record["anchor"], bias=bias, name=record["name"], source=record.get("source", ""))
