"""Where the window lies: from the pictures' shapes, or, where those do not say, from their shift."""

from __future__ import annotations

import numpy as np

from .._errors import ShapeError
from .pairs import Frame, Pair

__all__ = ["displacement", "first_frame"]

_CROP = 1024


def first_frame(pair: Pair, size: tuple[int, int] | None, max_size: int) -> Frame:
    """The window to start with; larger than an even size that is given, whose place is not known."""
    image, margin = pair.before.shape[-2:], pair.margin
    if size is not None:
        if size[0] > image[0] or size[1] > image[1]:
            raise ShapeError(f"size={size} is larger than the image, {image[0]}x{image[1]}; no window lies inside")
        if margin == (size[0] - 1, size[1] - 1):
            return Frame(size, (0, 0))
        if pair.same:
            room = tuple(min(n + (n % 2 == 0), m) for n, m in zip(size, image, strict=True))
            return Frame(room, (-((room[0] - 1) // 2), -((room[1] - 1) // 2)))
        return _centred(displacement(pair), size)
    implied = (margin[0] + 1, margin[1] + 1)
    if not pair.same and max(implied) <= max_size:
        return Frame(implied, (0, 0))
    taps = pair.before.shape[1]
    sides = [min(max_size, image[0]), min(max_size, image[1])]
    far = (0, 0) if pair.same else displacement(pair)
    # A small picture cannot tell many taps apart.
    while max(sides) > 1 and pair.count(_centred(far, tuple(sides))) * len(pair.after) < 3 * taps * sides[0] * sides[1] + 8:
        sides[sides.index(max(sides))] -= 1
    return _centred(far, (sides[0], sides[1]))


def _centred(far: tuple[int, int], size: tuple[int, int]) -> Frame:
    return Frame(size, (far[0] - (size[0] - 1) // 2, far[1] - (size[1] - 1) // 2))


def displacement(pair: Pair) -> tuple[int, int]:
    """(dy, dx) such that `after` at (i, j) looks like `before` at (i + dy, j + dx): the peak of the whitened
    cross-correlation (Kuglin & Hines, *Proc. IEEE Conf. Cybernetics and Society*, 1975)."""
    from scipy import fft

    margin = pair.margin
    shapes = pair.before.shape[-2:], pair.after.shape[-2:]
    most = tuple(max(_CROP, 8 * n) for n in margin)
    # The middle is enough, where it is large beside the margin.
    if pair.same or all(n > m for n, m in zip(shapes[1], most, strict=True)):
        cuts = tuple(slice(max(0, n - m) // 2, max(0, n - m) // 2 + min(n, m)) for n, m in zip(shapes[1], most, strict=True))
    else:
        cuts = slice(None), slice(None)
    x, y = (np.asarray(image[(0, slice(None), *cuts)]).astype(float).mean(0) for image in (pair.before, pair.after))
    x, y = (np.where(np.isfinite(v), v, np.nanmean(np.where(np.isfinite(v), v, np.nan)) if np.isfinite(v).any() else 0.0) for v in (x, y))
    x, y = ((v - v.mean()) * np.hanning(v.shape[0] + 2)[1:-1, None] * np.hanning(v.shape[1] + 2)[1:-1] for v in (x, y))
    n = tuple(fft.next_fast_len(k, real=True) for k in x.shape)
    spectrum = fft.rfft2(x, n) * np.conj(fft.rfft2(y, n))
    peak = fft.irfft2(spectrum / np.maximum(np.abs(spectrum), 1e-12 * np.abs(spectrum).max() + 1e-300), n)
    if not pair.same:  # a crop lies inside
        peak = peak[: margin[0] + 1, : margin[1] + 1]
    dy, dx = np.unravel_index(int(peak.argmax()), peak.shape)
    if pair.same:
        dy, dx = (int(d) - k if d > k // 2 else int(d) for d, k in zip((dy, dx), n, strict=True))
    return int(dy), int(dx)
