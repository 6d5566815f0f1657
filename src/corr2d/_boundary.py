"""What lies beyond the image: five boundaries, their names elsewhere, and where a padding pixel comes from.

=============  ==========================  ==========================
boundary       image ``1 2 3 4`` becomes    NumPy's ``pad`` mode
=============  ==========================  ==========================
``constant``   ``f f | 1 2 3 4 | f f``     ``constant``
``edge``       ``1 1 | 1 2 3 4 | 4 4``     ``edge``
``reflect``    ``3 2 | 1 2 3 4 | 3 2``     ``reflect``
``symmetric``  ``2 1 | 1 2 3 4 | 4 3``     ``symmetric``
``wrap``       ``3 4 | 1 2 3 4 | 1 2``     ``wrap``
=============  ==========================  ==========================
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any

import numpy as np

from ._errors import OptionError


class Boundary(IntEnum):
    """The five boundaries; the values are the compiled code's."""

    CONSTANT = 0
    EDGE = 1
    REFLECT = 2
    SYMMETRIC = 3
    WRAP = 4


BOUNDARIES = {member.name.lower(): member for member in Boundary}

# The same five under the names of other libraries (each read in its documentation).
# SciPy's `reflect` and OpenCV's `BORDER_REFLECT` repeat the edge; NumPy's and torch's do not.
_ELSEWHERE = {
    "numpy": {name: name for name in BOUNDARIES},
    "scipy": {
        "reflect": "symmetric", "grid-mirror": "symmetric", "symm": "symmetric", "symmetric": "symmetric",
        "mirror": "reflect", "nearest": "edge", "wrap": "wrap", "grid-wrap": "wrap", "circular": "wrap",
        "constant": "constant", "grid-constant": "constant", "fill": "constant", "pad": "constant",
    },
    "opencv": {
        "border_constant": "constant", "border_replicate": "edge", "border_reflect": "symmetric",
        "border_reflect_101": "reflect", "border_reflect101": "reflect", "border_default": "reflect",
        "border_wrap": "wrap",
    },
    "torch": {
        "zeros": "constant", "constant": "constant", "replicate": "edge", "reflect": "reflect",
        "circular": "wrap",
    },
    "matlab": {"symmetric": "symmetric", "replicate": "edge", "circular": "wrap", "fill": "constant"},
}  # fmt: skip
_ELSEWHERE["cv2"] = _ELSEWHERE["opencv"]
_ELSEWHERE["pytorch"] = _ELSEWHERE["torch"]


def parse_boundary(value: Any) -> Boundary:
    """One of the five, from its name or another library's with a prefix.

    Examples
    --------
    >>> parse_boundary("scipy:mirror").name
    'REFLECT'
    """
    if isinstance(value, Boundary):
        return value
    if not isinstance(value, str):
        raise OptionError(f"boundary is {value!r}; use a name: {_names()}")
    word = value.strip().lower()
    if word in BOUNDARIES:
        return BOUNDARIES[word]
    library, colon, name = word.partition(":")
    if colon:
        if library not in _ELSEWHERE:
            raise OptionError(
                f"boundary={value!r}: the library {library!r} is not known; prefixes are numpy:, scipy:, opencv:, torch:, matlab:"
            )
        names = _ELSEWHERE[library]
        for candidate in (name, name.removeprefix("cv2."), f"border_{name}"):
            if candidate in names:
                return BOUNDARIES[names[candidate]]
        raise OptionError(f"boundary={value!r}: {library} has no such border here; known are {', '.join(names)}")
    meanings = _translations(word.removeprefix("cv2."))
    hint = f" (elsewhere: {'; '.join(meanings)})" if meanings else ""
    raise OptionError(f"boundary={value!r} is not known{hint}; use {_names()}, or another library's word with its prefix")


def _names() -> str:
    return ", ".join(f"'{name}'" for name in BOUNDARIES)


def _translations(word: str) -> list[str]:
    """'scipy's 'mirror' is boundary='reflect' here', for every library that knows the word."""
    found = []
    for library in ("scipy", "opencv", "torch", "matlab"):
        ours = _ELSEWHERE[library].get(word) or _ELSEWHERE[library].get(f"border_{word}")
        if ours:
            found.append(f"'{library}:{word}' is '{ours}' here")
    return found


def source_indices(boundary: Boundary, start: int, count: int, size: int, step: int = 1) -> np.ndarray:
    """Which pixel of an axis of `size` stands at start, start + step, ...; -1 is the fill value.

    Closed forms (periods of size, 2 size and 2 (size - 1)), so that a pad may be wider than
    the image; ``numpy.pad`` is no oracle there.

    Examples
    --------
    >>> source_indices(Boundary.REFLECT, -3, 8, 3).tolist()
    [1, 2, 1, 0, 1, 2, 1, 0]
    """
    i = np.arange(start, start + count * step, step)
    if boundary is Boundary.CONSTANT:
        return np.where((i >= 0) & (i < size), i, -1)
    if boundary is Boundary.EDGE:
        return np.clip(i, 0, size - 1)
    if boundary is Boundary.WRAP:
        return i % size
    if boundary is Boundary.SYMMETRIC:
        m = i % (2 * size)
        return np.where(m < size, m, 2 * size - 1 - m)
    if size == 1:
        return np.zeros_like(i)
    m = i % (2 * (size - 1))
    return np.where(m < size, m, 2 * (size - 1) - m)
