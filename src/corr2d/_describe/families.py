"""The list of families. A new one is a function here: from a `Sight` to `Fit`s."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .blurs import (
    difference_of_gaussians,
    disks,
    gabors,
    gaussians,
    laplacian_of_gaussian,
    motions,
    slanted_gaussian,
    stars,
)
from .fixed import constant, pascal, quadrature, templates
from .naming import Family, Fit, name_of
from .samplers import lowpass, moved, polynomials
from .sight import Sight, sights
from .spans import embossed, sharpened, steered, unsharp

__all__ = ["FAMILIES"]


def products(k: Sight) -> Iterator[Fit]:
    """A column and a row that both have names, though their product has none."""
    if k.factors is None or min(k.shape) < 2:
        return
    words, free = [], 0
    for taps, axis in zip(k.factors, (0, 1), strict=True):
        line = np.expand_dims(taps, 1 - axis)
        tap = ((line.shape[0] - 1) // 2, (line.shape[1] - 1) // 2)
        # The product carries the scale; each factor is named up to its own.
        name = name_of(sights(line, np.full(line.shape, 4 * float(k.tolerance.max())), tap), _SIMPLE)[0]
        if name.family in (None, "identity", "shift") or not name.exact:
            return
        words.append(name.text.split(", scaled by")[0])
        free += 2
    yield Fit(f"product of {words[0]} and {words[1]}", k.weights, "product", {"column": words[0], "row": words[1]}, free)


_SIMPLE: tuple[Family, ...] = (constant, templates, pascal, quadrature, gaussians, polynomials)

FAMILIES: tuple[tuple[Family, ...], ...] = (
    (*_SIMPLE, steered, embossed, sharpened, disks, motions, moved),
    (unsharp, laplacian_of_gaussian, slanted_gaussian, difference_of_gaussians),
    (lowpass, stars, gabors, products),
)
"""In groups, the quick ones first; a later group is asked where no earlier one has the very kernel."""
