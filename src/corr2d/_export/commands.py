"""Programs that filter image files: a command or a file for each.

Commands read ``in.png`` and write ``out.png`` in a POSIX shell; lines before them that
start with # are comments there.
"""

from __future__ import annotations

import numpy as np

from .._errors import OptionError
from .request import Request, Target, comment, number, rows

__all__ = ["GEGL", "GMIC", "IMAGEJ", "IMAGEMAGICK", "VIPS"]

_AS_IS = "correlation, the kernel as it is"
_PIXELS = "results are cut to the range of the file's samples"


def _imagemagick(request: Request) -> str:
    request.warn_of_lost_signs()
    (kh, kw), (row, column) = request.kernel.shape, request.anchor
    percent = f"{request.bias / 255 * 100:.15g}%"
    facts = request.facts(
        orientation=f"{_AS_IS} (-morphology Correlate; Convolve would turn it)",
        divisor="1 (convolve:scale=1: no normalisation)",
        bias=f"{number(request.bias)} grey levels of 0 to 255: {percent}",
        numbers=f"double; {_PIXELS}",
    )
    kernel = rows(request.weights, between=",", rows_between="  ")
    return f"""{comment(facts, "# ")}$(command -v magick || command -v convert) in.png -alpha off \\
  -virtual-pixel {request.border} -define convolve:scale=1 -define convolve:bias={percent} \\
  -morphology Correlate '{kw}x{kh}+{column}+{row}: {kernel}' out.png
"""


def _gegl(request: Request) -> str:
    request.warn_of_lost_signs()
    weights = request.centred()
    if max(weights.shape) > 5:
        raise OptionError(
            f"gegl takes at most 5x5 weights around the anchor; this kernel of shape {request.kernel.shape} "
            f"with anchor {request.anchor} needs {weights.shape[0]}x{weights.shape[1]}"
        )
    facts = request.facts(
        orientation=f"{_AS_IS}; letters are columns, digits are rows",
        anchor="c3, the middle of 5x5,",
        divisor="1 (normalize=false)",
        bias=f"{number(request.bias)} grey levels of 0 to 255: offset {number(request.bias / 255)}",
        numbers=f"float (32 bits), on the samples as stored: the casts keep gegl from linear light; {_PIXELS}",
    )
    if not -1 <= request.bias / 255 <= 1:
        request.concede(
            f"gegl's offset is at most 255 grey levels; the bias is {number(request.bias)}",
            f"every result is off by {number(abs(request.bias) - 255)} grey levels",
        )
    high, wide = (5 - side for side in weights.shape)
    square = np.pad(weights, ((high // 2,) * 2, (wide // 2,) * 2))
    cells = "\n  ".join(
        " ".join(f"{letter}{digit}={number(weight)}" for letter, weight in zip("abcde", line, strict=True)) + " \\"
        for digit, line in enumerate(square.tolist(), 1)
    )
    offset = number(np.clip(request.bias / 255, -1, 1))
    stored, linear = "\"R'G'B'A float\"", '"RGBA float"'
    return f"""{comment(facts, "# ")}gegl in.png -o out.png -- \\
  gegl:cast-format input-format={stored} output-format={linear} \\
  gegl:convolution-matrix \\
  {cells}
  normalize=false divisor=1 offset={offset} alpha-weight=false border={request.border} \\
  gegl:cast-format input-format={linear} output-format={stored}
"""


def _gmic(request: Request) -> str:
    request.warn_of_lost_signs()
    request.single()
    weights = request.centred()
    facts = request.facts(
        orientation=_AS_IS,
        anchor=f"the middle of {weights.shape[0]}x{weights.shape[1]} (zeros around the kernel put it there)",
        numbers="float (32 bits); results are rounded and cut to 0 to 255",
    )
    kernel = rows(weights, between=",", rows_between=";")
    return f"""{comment(facts, "# ")}gmic in.png "({kernel})" correlate[0] [1],{request.border} keep[0] \\
  add {number(request.bias)} cut 0,255 round output out.png
"""


def _vips(request: Request) -> str:
    kh, kw = request.kernel.shape
    weights = request.weights
    # vips puts the middle of an even side right of its middle, which zeros can reach from anywhere.
    if request.anchor != (kh // 2, kw // 2):
        weights = request.centred()
    facts = request.facts(
        orientation=f"{_AS_IS}; first line: columns rows divisor bias",
        anchor=f"row {weights.shape[0] // 2}, column {weights.shape[1] // 2} of this file, from 0,",
        numbers="double; --precision float gives float results",
    )
    facts.append("vips reads no further than the matrix")
    facts.append("vips conv in.png out.tif kernel.mat --precision float")
    high, wide = weights.shape
    return f"{wide} {high} 1 {number(request.bias)}\n{rows(weights)}\n{comment(facts, '# ')}"


def _imagej(request: Request) -> str:
    request.single()
    weights = request.centred()
    facts = request.facts(
        orientation=_AS_IS,
        anchor=f"the middle of {weights.shape[0]}x{weights.shape[1]}",
        divisor="1 (no 'normalize')",
        numbers="float (32 bits): the image is made 32-bit first, so that no result is cut off",
    )
    text = rows(weights, rows_between="\\n") + "\\n"
    bias = f'run("Add...", "value={number(request.bias)}");\n' if request.bias else ""
    return f"""{comment(facts, "// ")}run("32-bit");
run("Convolve...", "text1=[{text}]");
{bias}"""


IMAGEMAGICK = Target(
    _imagemagick, {"edge": "Edge", "symmetric": "Mirror", "wrap": "Tile", "constant": "Black"}
)
GEGL = Target(_gegl, {"edge": "clamp", "wrap": "loop", "constant": "black"})
GMIC = Target(_gmic, {"edge": "1", "constant": "0", "wrap": "2", "symmetric": "3"})
VIPS = Target(_vips, {"edge": "copy"})
IMAGEJ = Target(_imagej, {"edge": "replicate"})
