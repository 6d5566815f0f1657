"""Texts for the libraries that hold images as arrays: each takes `image` and leaves `result`."""

from __future__ import annotations

from typing import Any

from .request import Request, Target, comment, number, rows

__all__ = ["MATLAB", "NUMPY", "OPENCV", "PYTORCH", "SCIPY"]

_AS_IS = "correlation, the kernel as it is"


def _literal(weights: Any, indent: int) -> str:
    """Nested lists, one row of the kernel a line."""
    if weights.ndim > 2:
        inner = ("," + "\n" + " " * (indent + 1)).join(_literal(part, indent + 1) for part in weights)
    else:
        inner = rows(weights, between=", ", rows_between=f"],\n{' ' * (indent + 1)}[")
        inner = f"[{inner}]"
    return f"[{inner}]"


def _numpy(request: Request) -> str:
    facts = request.facts(orientation=_AS_IS, numbers="float64")
    (top, bottom), (left, right) = request.padding
    sums = "...iyxhw,oihw->...oyx" if request.kernel.ndim == 4 else "...yxhw,hw->...yx"
    conjugate = ".conj()" if request.kernel.dtype.kind == "c" else ""
    return f"""{comment(facts, "# ")}import numpy as np

kernel = np.array({_literal(request.weights, 18)})
bias = {number(request.bias)}
image = np.asarray(image) * 1.0
sides = [(0, 0)] * (image.ndim - 2) + [({top}, {bottom}), ({left}, {right})]
padded = np.pad(image, sides, mode="{request.border}")
windows = np.lib.stride_tricks.sliding_window_view(padded, kernel.shape[-2:], axis=(-2, -1))
result = np.einsum("{sums}", windows, kernel{conjugate}) + bias
"""


def _scipy(request: Request) -> str:
    facts = request.facts(orientation=_AS_IS, numbers="float64", anchor=f"origin 0 is size // 2; {request.anchor}")
    (kh, kw), (row, column) = request.kernel.shape, request.anchor
    return f"""{comment(facts, "# ")}import numpy as np
from scipy import ndimage

kernel = np.array({_literal(request.weights, 18)})
bias = {number(request.bias)}
image = np.asarray(image, np.float64)  # ndimage keeps the dtype: integers would wrap
result = ndimage.correlate(image, kernel, mode="{request.border}", origin=({row - kh // 2}, {column - kw // 2})) + bias
"""


def _opencv(request: Request) -> str:
    facts = request.facts(orientation=_AS_IS, numbers="float64; uint8 would saturate")
    row, column = request.anchor
    return f"""{comment(facts, "# ")}import cv2
import numpy as np

kernel = np.array({_literal(request.weights, 18)}, np.float64)
bias = {number(request.bias)}
image = np.asarray(image, np.float64)
anchor = ({column}, {row})  # x, y
result = cv2.filter2D(image, -1, kernel, anchor=anchor, delta=bias, borderType=cv2.{request.border})
"""


def _pytorch(request: Request) -> str:
    facts = request.facts(orientation=_AS_IS, numbers="the image's dtype; integers become torch's default")
    (top, bottom), (left, right) = request.padding
    kernel = "kernel" if request.kernel.ndim == 4 else "kernel[None, None]"
    inputs = request.kernel.shape[1] if request.kernel.ndim == 4 else 1
    shape = "*image.shape[:-3], -1, *image.shape[-2:]" if request.kernel.ndim == 4 else "image.shape"
    return f"""{comment(facts, "# ")}import torch
import torch.nn.functional as F

kernel = torch.tensor({_literal(request.weights, 22)}, dtype=torch.float64)
bias = {number(request.bias)}
image = torch.as_tensor(image)
if not image.is_floating_point():
    image = image.to(torch.get_default_dtype())
planes = image.reshape(-1, {inputs}, *image.shape[-2:])
padded = F.pad(planes, ({left}, {right}, {top}, {bottom}), mode="{request.border}")
result = F.conv2d(padded, {kernel}.to(image)).reshape({shape}) + bias
"""


# For output pixels 1..n and `o` pixels before them: where padding pixels come from.
_MATLAB_INDEX = {
    "edge": "min(max(i, 1), n)",
    "reflect": "1 + min(mod(i - 1, max(2 * n - 2, 1)), mod(1 - i, max(2 * n - 2, 1)))",
    "symmetric": "1 + min(mod(i - 1, 2 * n), mod(-i, 2 * n))",
    "wrap": "1 + mod(i - 1, n)",
}


def _matlab(request: Request) -> str:
    facts = request.facts(
        orientation="correlation; turned by 180 degrees below, as conv2 turns it back",
        numbers="double; base MATLAB or Octave, no toolbox",
    )
    (top, bottom), (left, right) = request.padding
    if request.boundary == "constant":
        pad = f"padded = zeros(size(image) + [{top + bottom}, {left + right}]);\n"
        pad += f"padded({top} + (1:size(image, 1)), {left} + (1:size(image, 2))) = image;"
    else:
        pad = f"source = @(i, n) {_MATLAB_INDEX[request.boundary]};\n"
        pad += f"y = source(1 - {top}:size(image, 1) + {bottom}, size(image, 1));\n"
        pad += f"x = source(1 - {left}:size(image, 2) + {right}, size(image, 2));\n"
        pad += "padded = image(y, x);"
    matrix = rows(request.weights, rows_between="\n          ")
    return f"""{comment(facts, "% ")}kernel = [{matrix}];
bias = {number(request.bias)};
image = double(image);
{pad}
result = conv2(padded, rot90(kernel, 2), 'valid') + bias;
"""


_PLAIN = {name: name for name in ("constant", "edge", "reflect", "symmetric", "wrap")}

NUMPY = Target(_numpy, _PLAIN, channels=True, complex=True)
SCIPY = Target(
    _scipy,
    {"symmetric": "reflect", "reflect": "mirror", "edge": "nearest", "wrap": "grid-wrap", "constant": "grid-constant"},
)
OPENCV = Target(
    _opencv,  # filter2D refuses BORDER_WRAP
    {
        "reflect": "BORDER_REFLECT_101",
        "symmetric": "BORDER_REFLECT",
        "edge": "BORDER_REPLICATE",
        "constant": "BORDER_CONSTANT",
    },
)
PYTORCH = Target(
    _pytorch,
    {"constant": "constant", "edge": "replicate", "reflect": "reflect", "wrap": "circular"},
    channels=True,
)
MATLAB = Target(_matlab, _PLAIN)
