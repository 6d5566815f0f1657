"""A kernel in the words of other tools.

Some tools turn the kernel round, some divide it by its sum, some take whole numbers
only, and they differ in where the anchor of an even side lies. `export` writes what
makes each of them do what `corr2d.corr2d` does with ``padding="same"``, says in the
text what it relies on, and refuses what a tool cannot express.

The writers are in ``_export``, one file for each family; `TARGETS` lists them.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from ._boundary import parse_boundary
from ._errors import OptionError
from ._export import arrays, code, commands, ffmpeg, onnx, shaders, svg
from ._export.request import Request, Target
from ._files import replacing
from .kernel import Kernel

__all__ = ["TARGETS", "Export", "export"]

TARGETS: Mapping[str, Target] = MappingProxyType(
    {
        "numpy": arrays.NUMPY,
        "scipy": arrays.SCIPY,
        "opencv": arrays.OPENCV,
        "pytorch": arrays.PYTORCH,
        "onnx": onnx.ONNX,
        "imagemagick": commands.IMAGEMAGICK,
        "ffmpeg": ffmpeg.FFMPEG,
        "gegl": commands.GEGL,
        "vips": commands.VIPS,
        "svg": svg.SVG,
        "glsl": shaders.GLSL,
        "wgsl": shaders.WGSL,
        "imagej": commands.IMAGEJ,
        "matlab": arrays.MATLAB,
        "gmic": commands.GMIC,
        "c": code.C,
        "json": code.JSON,
    }
)
"""Every target by its name: what writes it, and what it can express."""


@dataclass(frozen=True, slots=True)
class Export:
    """A kernel written for another tool.

    Attributes
    ----------
    text : str or bytes
        What the tool takes, as it stands; bytes for ``onnx``, whose files are binary.
    warnings : tuple of str
        What to know before using it; where `exact` is False, what was given up and
        how large the error is.
    exact : bool
        Whether the tool computes this kernel, up to the rounding of its number format.

    Examples
    --------
    >>> exported = Kernel([[1, -1]]).export("vips")
    >>> exported.exact, exported.warnings
    (True, ())
    >>> print(exported)
    3 1 1 0
    0 1 -1
    ...
    """

    text: str | bytes
    warnings: tuple[str, ...]
    exact: bool

    def __str__(self) -> str:
        return self.text if isinstance(self.text, str) else repr(self.text)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write `text` to a file, completely or not at all."""
        with replacing(path) as file:
            file.write(self.text.encode() if isinstance(self.text, str) else self.text)


def export(kernel: Any, target: str, *, boundary: str | None = None, strict: bool = True) -> Export:
    """Write a kernel in another tool's syntax.

    Parameters
    ----------
    kernel : Kernel or array_like
        ``(kh, kw)``; ``(O, I, kh, kw)`` for the targets that mix channels.
    target : str
        One of ``numpy scipy opencv pytorch onnx imagemagick ffmpeg gegl vips svg glsl
        wgsl imagej matlab gmic c json``.
    boundary : str, optional
        What lies outside the image, in the words of `corr2d.corr2d`. ``None`` leaves
        it at what the target does by default. ``"constant"`` is zero.
    strict : bool, default True
        Refuse what the target cannot express. False writes the nearest thing, with
        the size of the error in `Export.warnings`, where there is a nearest thing.

    Returns
    -------
    Export

    Raises
    ------
    OptionError
        The target is unknown, or cannot express the kernel or the boundary.
    MissingExtraError
        ``onnx`` is asked for and not installed.

    Notes
    -----
    Python and MATLAB texts take ``image`` from their scope and leave ``result`` in it;
    commands read ``in.png`` and write ``out.png``. A bias counts samples as the target
    stores them; targets whose samples run from 0 to 1 (imagemagick, gegl, svg, glsl,
    wgsl) take it as grey levels of 0 … 255.

    Examples
    --------
    >>> import numpy as np, corr2d
    >>> scope = {"image": np.eye(4)}
    >>> exec(export([[1, -1]], "numpy", boundary="edge").text, scope)
    >>> bool((scope["result"] == corr2d.corr2d(np.eye(4), [[1, -1]], padding="same", boundary="edge")).all())
    True
    """
    kernel = kernel if isinstance(kernel, Kernel) else Kernel(kernel)
    chosen = _target(target)
    asked = None if boundary is None else parse_boundary(boundary).name.lower()
    request = Request.of(kernel, target, chosen, boundary=asked, strict=strict)
    text = chosen.write(request)
    return Export(text, (*request.losses, *request.notes), exact=not request.losses)


def _target(name: str) -> Target:
    if not isinstance(name, str) or name not in TARGETS:
        close = difflib.get_close_matches(str(name).lower(), TARGETS, 1)
        hint = f"; closest is {close[0]!r}" if close else ""
        raise OptionError(f"target {name!r} is not known{hint}; targets: {', '.join(TARGETS)}")
    return TARGETS[name]
