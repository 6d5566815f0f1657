"""Kernels in the syntaxes of other programs: what `corr2d.export` writes, and what people have.

Each reader undoes what its program does: ImageMagick's Convolve turns the kernel,
FFmpeg and ImageJ may divide by the sum, vips and ImageJ centre, and so on.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any
from xml.etree import ElementTree

import numpy as np

from ._errors import OptionError
from ._kernel_files import NUMBER, from_rows, number
from .kernel import Kernel

__all__ = ["opencv_kernel", "opencv_matrices", "recognise"]

_BETWEEN = re.compile(r"[\s,]+")
_COMMENT = re.compile(r"^[ \t]*(?:#|//).*$", re.MULTILINE)
_MAGICK = re.compile(
    r"""(?:^|['"\s])(?P<wide>\d+)(?:x(?P<high>\d+))?(?:\+(?P<x>\d+)\+(?P<y>\d+))?(?P<turns>[@<>]?)\s*:(?P<cells>[^'":]*)"""
)
_IMAGEJ = re.compile(r'run\("Convolve\.\.\.",\s*"text1=\[([^\]"]*)\]([^"]*)"\)')
_IMAGEJ_BIAS = re.compile(rf'run\("Add\.\.\.",\s*"value=({NUMBER})')
# The coordinates that `corr2d.export` writes: X-1 as it is, or brought back into the image.
_X = r"(?:abs\(|W-1-abs\(W-1-\(|W-0\.5-abs\(W-0\.5-\(|mod\()?X([+-]\d{1,2})?(?:\+0\.5\)-0\.5|\)\)|\)|\+\d+\*W,W\))?"
_Y = _X.replace("X", "Y").replace("W", "H")
_TERM = re.compile(rf"(?<![\d.e])({NUMBER})\*r\({_X},{_Y}\)(?:\*between\([XY][+-]\d+,0,[WH]-1\))*")
_TAIL = re.compile(rf"[()+]*([+-]{NUMBER})\+0\.5")


def recognise(text: str, suffix: str | None = None) -> Callable[[str], Kernel] | None:
    """The reader for a text, by what is in it; None where it is plain rows, or nothing known.

    A matrix of vips is not told from rows by its look alone: only a file (one with a
    *suffix*, which may be empty) is taken for one.
    """
    bare = _COMMENT.sub("", text).strip()
    if "opencv-matrix" in bare:
        return _opencv
    if 'run("Convolve...' in bare:
        return _imagej
    if "convolution=" in bare or "geq=" in bare:
        return _ffmpeg
    if _MAGICK.match(bare) or "-morphology" in bare:
        return _imagemagick
    if suffix == ".mat" or (suffix is not None and _is_vips(bare)):
        return _vips
    return None


# -- ImageMagick --------------------------------------------------------------------


def _imagemagick(text: str) -> Kernel:
    text = _COMMENT.sub("", text).replace("\\\n", " ").strip()
    method = re.search(r"-morphology\s+(\w+)(?::(-?\d+))?\s+(['\"]?)", text)
    if method and (method[1].lower() not in ("correlate", "convolve") or method[2] not in (None, "1")):
        raise OptionError(f"-morphology {method[1]}{f':{method[2]}' if method[2] else ''} is not one correlation or convolution")
    start = method.end() - len(method[3]) if method else 0
    match = _MAGICK.match(text[start:])
    if match is None:
        raise OptionError("no kernel such as '3x3+1+1: 1,2,3 0,5,-4 -6,0,7' in it; built-in names are not known here")
    cells = match["cells"].strip()
    if ";" in cells.rstrip(";") or match["turns"]:
        raise OptionError("several kernels in one string; a Kernel is one")
    wide = int(match["wide"])
    high = int(match["high"] or wide)
    # A hole ("nan" or "-") is a tap that takes no part.
    values = [0.0 if token.lower() in ("nan", "-") else number(token) for token in _split(cells.rstrip(";"))]
    weights = _grid(values, high, wide) * _magick_scale(text, values)
    anchor = (int(match["y"]), int(match["x"])) if match["x"] else None
    bias = re.search(rf"(?:convolve:bias=|-bias\s+)({NUMBER})(%?)", text)
    level = float(bias[1]) * (255 if bias[2] else 1) / (100 if bias[2] else 1) if bias else 0.0
    kernel = Kernel(weights, anchor=anchor, bias=level)
    return kernel.flip() if method and method[1].lower() == "convolve" else kernel


def _magick_scale(text: str, values: list[float]) -> float:
    match = re.search(r"convolve:scale=['\"]?([^\s'\"]+)", text)
    if match is None:
        return 1.0
    parts = re.fullmatch(rf"({NUMBER})?(%?)(!?)(%?)", match[1])
    if parts is None:
        raise OptionError(f"convolve:scale={match[1]} does more than scale")
    scale = float(parts[1] or 1) / (100 if parts[2] or parts[4] else 1)
    if parts[3]:
        total = sum(values)
        scale /= total or sum(value for value in values if value > 0) or 1
    return scale


# -- FFmpeg -----------------------------------------------------------------------------


def _ffmpeg(text: str) -> Kernel:
    text = _COMMENT.sub("", text)
    if "convolution=" not in text:
        return _ffmpeg_expression(text)
    kernels = []
    for options in text.split("convolution=")[1:]:
        planes = list(_ffmpeg_planes(options))
        if any(plane != planes[0] for plane in planes):
            raise OptionError("the planes have different kernels; a Kernel filters all alike")
        kernels.append(planes[0])
    if len(kernels) > 2:
        raise OptionError(f"{len(kernels)} convolution filters in it; a Kernel is one, or a column and a row")
    return kernels[0] if len(kernels) == 1 else kernels[1] @ kernels[0]


def _ffmpeg_planes(options: str) -> Iterator[Kernel]:
    order = [f"{plane}{what}" for what in ("m", "rdiv", "bias", "mode") for plane in range(4)]
    given: dict[str, str] = {}
    taken = re.match(r"(?:'[^']*'|[^',\";\[])*", options)
    for place, part in enumerate(re.findall(r"(?:'[^']*'|[^':])+", taken[0] if taken else "")):
        key, equals, value = part.partition("=")
        if not equals:
            key, value = order[place] if place < len(order) else "", part
        given[key.strip()] = value.strip().strip("'").strip()
    used = [plane for plane in range(4) if given.get(f"{plane}m")]
    if not used:
        raise OptionError("the convolution filter in it has no matrix 0m")
    for plane in used:
        numbers = [number(token) for token in re.split(r"[\s|]+", given[f"{plane}m"])]
        weights = np.array(numbers)
        if (weights != np.rint(weights)).any():
            raise OptionError("ffmpeg reads whole numbers only, and would cut off the others")
        mode, side = given.get(f"{plane}mode", "square"), round(len(numbers) ** 0.5)
        shape = {"row": (1, -1), "1": (1, -1), "column": (-1, 1), "2": (-1, 1)}.get(mode, (side, side))
        if len(numbers) % 2 == 0 or (shape == (side, side) and len(numbers) not in (9, 25, 49)):
            raise OptionError(f"{len(numbers)} numbers in a matrix; ffmpeg takes 9, 25 or 49, or an odd row or column")
        factor = number(given.get(f"{plane}rdiv") or "0") or 1 / (weights.sum() or 1)
        yield Kernel(weights.reshape(shape) * factor, bias=number(given.get(f"{plane}bias") or "0"))


def _ffmpeg_expression(text: str) -> Kernel:
    """The sum that `corr2d.export` writes: terms such as ``0.5*r(X-1,Y)``."""
    match = re.search(r"r='clip\(floor\(([^']*)\),0,255\)'", text)
    body = match[1] if match else ""
    taps = {(int(y or 0), int(x or 0)): float(weight) for weight, x, y in _TERM.findall(body)}
    tail = _TAIL.fullmatch(_TERM.sub("", body))
    if not taps or tail is None:
        raise OptionError("its expression is not a sum of weighted pixels as corr2d writes it")
    (top, left), (bottom, right) = np.min([*taps, (0, 0)], axis=0), np.max([*taps, (0, 0)], axis=0)
    weights = np.zeros((bottom - top + 1, right - left + 1))
    for (row, column), weight in taps.items():
        weights[row - top, column - left] = weight
    return Kernel(weights, anchor=(int(-top), int(-left)), bias=float(tail[1]))


# -- ImageJ, vips -----------------------------------------------------------------------


def _imagej(text: str) -> Kernel:
    text = _COMMENT.sub("", text)
    match = _IMAGEJ.search(text)
    if match is None:
        raise OptionError('no text1=[...] in its run("Convolve...")')
    kernel = from_rows(match[1].replace("\\n", "\n").strip())
    if not all(side % 2 for side in kernel.shape):
        raise OptionError(f"a kernel of shape {kernel.shape}; ImageJ takes odd sides")
    if "normalize" in match[2]:
        kernel = kernel / (float(kernel.weights.sum()) or 1.0)
    bias = _IMAGEJ_BIAS.search(text, match.end())
    return Kernel(kernel.weights, bias=float(bias[1]) if bias else 0.0)


def _is_vips(text: str) -> bool:
    """A header that fits, where the lines are not simply rows of one length."""
    lines = [_split(line) for line in text.splitlines() if line.strip()]
    if not lines or len(lines[0]) not in (2, 4) or not all(re.fullmatch(r"\d{1,4}", token) for token in lines[0][:2]):
        return False
    wide, high = map(int, lines[0][:2])
    fits = len(lines) == high + 1 and all(len(line) == wide for line in lines[1:])
    return fits and wide != len(lines[0])


def _vips(text: str) -> Kernel:
    lines = [line for line in text.replace('"', " ").splitlines() if line.strip()]
    header = [number(token) for token in _split(lines[0])] if lines else []
    if len(header) not in (2, 4) or not all(side.is_integer() and 0 < side <= 2**20 for side in header[:2]):
        raise OptionError("the first line of a vips matrix is: columns rows, and maybe scale and offset")
    wide, high = map(int, header[:2])
    scale, offset = header[2:] or (1.0, 0.0)
    if scale == 0:
        raise OptionError("a scale of 0 divides by zero")
    body = [[number(token) for token in _split(line)] for line in lines[1 : 1 + high]]
    if len(body) != high or any(len(line) != wide for line in body):
        raise OptionError(f"not {high} rows of {wide} numbers, as its first line says")
    return Kernel(np.array(body) / scale, anchor=(high // 2, wide // 2), bias=offset)


# -- OpenCV -------------------------------------------------------------------------------


def opencv_matrices(record: Any) -> Iterator[dict[str, Any]]:
    """The matrices in a parsed FileStorage, at any depth that JSON or XML can have."""
    todo = [record]
    while todo:
        item = todo.pop()
        if isinstance(item, dict):
            if item.get("type_id") == "opencv-matrix":
                yield item
            todo.extend(item.values())
        elif isinstance(item, list):
            todo.extend(item)


def opencv_kernel(record: Any) -> Kernel:
    """The one matrix of a parsed FileStorage; it holds no anchor."""
    found = list(opencv_matrices(record))
    if len(found) != 1:
        raise OptionError(f"{len(found)} matrices in it; a Kernel is one")
    matrix = found[0]
    kind = str(matrix["dt"]).strip('"')
    if len(kind) != 1:
        raise OptionError(f"a matrix of type {kind!r}; a kernel has one channel")
    data = matrix["data"]
    values = [number(token) for token in _split(data)] if isinstance(data, str) else [float(value) for value in data]
    weights = _grid(values, int(matrix["rows"]), int(matrix["cols"]))
    return Kernel(weights.astype(np.float32) if kind == "f" else weights)  # nine digits of a float32


def _opencv(text: str) -> Kernel:
    if text.lstrip().startswith("{"):
        return opencv_kernel(json.loads(text))
    if text.lstrip().startswith("<"):
        try:
            root = ElementTree.fromstring(text)
        except ElementTree.ParseError as error:
            raise OptionError(f"not XML: {error}") from None
        matrices = [
            {"type_id": "opencv-matrix"} | {child.tag: child.text or "" for child in node}
            for node in root.iter()
            if node.get("type_id") == "opencv-matrix"
        ]
        return opencv_kernel(matrices)
    return opencv_kernel([
        {"type_id": "opencv-matrix", "rows": rows, "cols": columns, "dt": kind, "data": data.strip().rstrip(",")}
        for rows, columns, kind, data in re.findall(
            r"!!opencv-matrix\s+rows:\s*(\d+)\s+cols:\s*(\d+)\s+dt:\s*(\S+)\s+data:\s*\[([^\]]*)\]", text
        )
    ])  # fmt: skip


# -- shared ---------------------------------------------------------------------------------


def _split(text: str) -> list[str]:
    return [token for token in _BETWEEN.split(text) if token]


def _grid(values: list[float], high: int, wide: int) -> np.ndarray:
    if high * wide != len(values):
        raise OptionError(f"{len(values)} numbers for {high} rows and {wide} columns")
    return np.array(values).reshape(high, wide)
