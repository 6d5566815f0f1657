"""Whether a picture came out of a JPEG file: the cosine transforms of its 8x8 blocks lie on steps.

A decoder multiplies whole numbers by the steps of its table; what it writes is rounded to whole pixels, which
spreads a coefficient by 0.29 about its step. The spacing of the steps shows in the mean of ``cos(2 pi c / q)``
over coefficients c beyond the middle step, as in Fan and de Queiroz, *IEEE Trans. Image Processing* 12(2), 2003,
who compare histograms. A filter moves coefficients off their steps, so a picture before says nothing of the one after.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["blocks_of", "on_steps"]

# Low frequencies, which have coefficients that are not 0; those of 0 and 4 alone are sums of whole numbers over 8 anyway.
_FREQUENCIES = [(u, v) for u in range(5) for v in range(5) if not {u, v} <= {0, 4}]
_MOST = 64  # the largest step that is tried
_ENOUGH = 50, 6  # coefficients of a frequency, and frequencies


def blocks_of(tile: NDArray, row: int, column: int) -> NDArray:
    """Transforms (n, 8, 8) of the whole blocks in a tile whose first pixel is this one of its picture."""
    from scipy.fft import dctn

    part = tile[-row % 8 :, -column % 8 :]
    h, w = (n // 8 for n in part.shape)
    if not h or not w or not np.isfinite(part).all():
        return np.empty((0, 8, 8))
    cut = part[: 8 * h, : 8 * w].reshape(h, 8, w, 8).swapaxes(1, 2).astype(float)
    return dctn(cut, axes=(2, 3), norm="ortho").reshape(-1, 8, 8)


def on_steps(blocks: list[NDArray]) -> float:
    """From 0, transforms anywhere, to 1, all on the steps of some table: the median of the low frequencies."""
    transforms = np.concatenate(blocks) if blocks else np.empty((0, 8, 8))
    found = []
    for u, v in _FREQUENCIES:
        c = transforms[:, u, v]
        best = None
        for q in range(2, _MOST + 1):
            far = c[np.abs(c) > 0.6 * q]
            if len(far) < _ENOUGH[0]:
                break
            best = max(best or 0.0, float(np.cos(2 * np.pi / q * far).mean()))
        if best is not None:
            found.append(best)
    return float(np.median(found)) if len(found) >= _ENOUGH[1] else 0.0
