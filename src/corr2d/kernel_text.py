"""A kernel in one string, as the command line and the studio take it.

The grammar, most specific first::

    @edge.json                     a file, of all that Kernel.load reads
    3x3: 1,2,3 0,5,-4 -6,0,7       ImageMagick's, and other strings of Kernel.load's
    [[0, -1], [1, 0]]              a JSON list of rows; a flat list is one row
    0 -1 0; -1 5 -1; 0 -1 0        rows: numbers between blanks or commas, rows
                                   between semicolons or line ends; 1/9 is a number
    gaussian:sigma=2               a preset, its arguments by name or in order: every
                                   function of `corr2d.kernels`, e.g. kirsch:NE,
                                   derivative:dx=1,accuracy=4, savgol:window=(5,7),degree=2
"""

import difflib
import inspect
import re
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

from . import kernels
from ._errors import Corr2dError, OptionError
from ._files import one_line
from ._kernel_files import NUMBER, from_json_list, from_rows, number, shortened
from ._kernel_syntaxes import recognise
from .kernel import Kernel

__all__ = ["PRESETS", "parse_kernel"]

_ALONG_AXES = ("farid", "prewitt", "roberts", "scharr", "sobel")  # their axis may be part of the name

PRESETS: Mapping[str, Callable[..., Kernel]] = MappingProxyType(
    {
        name: make
        for design in kernels.__all__
        for name, make in [
            (design.replace("_", "-"), getattr(kernels, design)),
            *([(f"{design}-{axis}", partial(getattr(kernels, design), axis=n)) for n, axis in ((1, "x"), (0, "y"))]
              if design in _ALONG_AXES else []),
        ]
    }
)  # fmt: skip
"""Every preset by the name it has in a kernel string."""

_TOKEN_END = re.compile(r"\s*,\s*|\s+")
_ARGUMENT = re.compile(
    rf"(?:([a-z_0-9]+)=)?(?:({NUMBER}(?:/{NUMBER})?)|\(([^()]*)\)|([a-z]+))", re.ASCII | re.IGNORECASE
)


def parse_kernel(text: str) -> Kernel:
    """The kernel that a string describes; the module's docstring has the grammar.

    Parameters
    ----------
    text
        A preset, rows of numbers, a JSON list, or ``@`` and a file name.

    Returns
    -------
    Kernel

    Raises
    ------
    OptionError
        The text describes no kernel; one line says where it stops making sense.

    Examples
    --------
    >>> parse_kernel("1,-1").weights
    array([[ 1., -1.]])
    >>> parse_kernel("0 1/4 0; 1/4 0 1/4; 0 1/4 0").weights.sum()
    np.float64(1.0)
    >>> parse_kernel("gaussian:sigma=2").shape
    (17, 17)
    >>> parse_kernel("kirsch:direction=NE").name
    'kirsch NE'
    >>> parse_kernel("sobl-x")
    Traceback (most recent call last):
        ...
    corr2d._errors.OptionError: kernel 'sobl-x': no such preset; closest is 'sobel-x'; all 39 are listed by `corr2d design`
    """
    stripped = text.strip()
    if not stripped:
        raise OptionError("the kernel is an empty string; give a preset, rows, a JSON list or @file")
    if stripped.startswith("@"):
        return _from_file(stripped[1:])
    try:
        if recognise(stripped):
            return Kernel.load(stripped)
        if stripped.startswith("["):
            return from_json_list(stripped)
        if re.match("[a-z]", stripped, re.IGNORECASE):
            return _from_preset(stripped)
        return from_rows(stripped)
    except Corr2dError as error:
        # A refusal by Kernel or a preset, said about the text it came from.
        reason = one_line(error).removeprefix(f"{shortened(stripped)}: ")
        raise OptionError(f"kernel {shortened(stripped)!r}: {reason}") from None


def _from_preset(text: str) -> Kernel:
    name, _, rest = text.partition(":")
    name = name.strip().lower().replace("_", "-")
    preset = PRESETS.get(name)
    if preset is None:
        closest = max(PRESETS, key=lambda known: difflib.SequenceMatcher(None, name, known).ratio())
        raise OptionError(f"no such preset; closest is {closest!r}; all {len(PRESETS)} are listed by `corr2d design`")
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    for argument in _split_arguments(rest):
        match = _ARGUMENT.fullmatch(argument)
        if match is None:
            raise OptionError(f"argument {argument!r} is not name=number or name=word")
        key, number, pair, word = match.groups()
        if number:
            value: Any = _whole_or_not(number)
        else:
            value = word or tuple(map(_whole_or_not, _TOKEN_END.split(pair.strip())))
        if key in kwargs:
            raise OptionError(f"{key} is given twice")
        if key:
            kwargs[key] = value
        elif kwargs:
            raise OptionError(f"argument {argument!r} needs a name, as the one before it has")
        else:
            args.append(value)
    # The axis of a Sobel preset is in its name, and not open for discussion.
    fixed = preset.keywords if isinstance(preset, partial) else {}
    accepted = [p for p in inspect.signature(preset).parameters if p not in fixed]
    try:
        if fixed.keys() & kwargs.keys():
            raise TypeError
        inspect.signature(preset).bind(*args, **kwargs)
    except TypeError:
        takes = f"takes {', '.join(accepted)}" if accepted else "takes no arguments"
        raise OptionError(f"preset {name} {takes}") from None
    try:
        return preset(*args, **kwargs)
    except TypeError as error:  # a word where the design counts or measures
        if isinstance(error, Corr2dError):
            raise
        raise OptionError(f"preset {name}: {one_line(error)}") from None


def _split_arguments(text: str) -> list[str]:
    """Split at commas outside parentheses: ``sigma=(2, 3), order=1``."""
    if not text.strip():
        return []
    return [part.strip() for part in re.split(r",(?![^()]*\))", text)]


def _from_file(name: str) -> Kernel:
    path = Path(name).expanduser()
    try:
        return Kernel.load(path)
    except (OSError, MemoryError, Corr2dError) as error:
        reason = one_line(error).removeprefix(f"{path}: ")
        raise OptionError(f"kernel file {name!r}: {reason}") from None


def _whole_or_not(token: str) -> int | float:
    """A preset's argument: ``5`` is a count, ``5.0`` and ``1/2`` are measures."""
    return int(token) if re.fullmatch(r"[+-]?\d{1,18}", token) else number(token)
