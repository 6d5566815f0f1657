"""Writing into memory that is being read: ``out`` overlaps the image, the result is still right."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ._boundary import Boundary, source_indices
from .engines import CANDIDATES

# A temporary result of this size is simply made; a larger one, when out *is* the image, is
# computed band by band, keeping only the rows that later bands will ask for.
TEMPORARY = 48 << 20
BAND = 8 << 20


def run_overlapping(plan, image: np.ndarray, out: np.ndarray) -> None:
    """Compute `plan` into `out`, whose memory may be the image's."""
    p = plan.problem
    image, out = p.canonical(image), p.canonical(out)
    if out.nbytes > TEMPORARY and _same_memory(image, out) and p.stride[0] == 1 and _holds_fill(image, p):
        for plane in np.ndindex(*p.lead):
            _in_bands(plan, image[plane], out[plane])
        return
    # Views that overlap askew: which rows are safe is not a matter of bands.
    temporary = np.empty(out.shape, out.dtype)
    plan._run(image, temporary, plan.threads)
    out[...] = temporary


def _same_memory(image: np.ndarray, out: np.ndarray) -> bool:
    """Whether row y of the one is row y of the other."""
    return (
        image.__array_interface__["data"][0] == out.__array_interface__["data"][0]
        and image.shape == out.shape
        and image.strides == out.strides
        and image.itemsize == out.itemsize
    )


def _holds_fill(image: np.ndarray, p) -> bool:
    """Whether rows of padding can be written down among the image's samples."""
    if p.boundary is not Boundary.CONSTANT or p.pads[0] == (0, 0):
        return True
    fill = p.fill_like(image)
    return p.image_dtype != "bfloat16" and bool(np.array(fill).astype(image.dtype) == fill)


def _in_bands(plan, image: np.ndarray, out: np.ndarray) -> None:
    """One plane, or the channels of one mixed image, a band of rows at a time."""
    p = plan.problem
    height = p.out_size[0]
    band = max(1, min(height, BAND // max(1, out.nbytes // height)))
    starts = range(0, height, band)
    needed = [
        source_indices(p.boundary, a - p.pads[0][0], min(band, height - a) + p.span[0], p.size[0]) for a in starts
    ]  # fmt: skip
    last_use = {}
    for i, rows in enumerate(needed):
        last_use.update(dict.fromkeys(rows[rows >= 0].tolist(), i))
    saved: dict[int, np.ndarray] = {}
    candidate = next(c for c in CANDIDATES if (c.engine, c.method) == (plan.engine, plan.method))
    for i, a in enumerate(starts):
        b = min(a + band, height)
        block = np.empty(image.shape[:-2] + (len(needed[i]), image.shape[-1]), image.dtype)
        for r, source in enumerate(needed[i].tolist()):
            block[..., r, :] = p.fill_like(image) if source < 0 else saved[source] if source < a else image[..., source, :]
        for row in [row for row, last in last_use.items() if last > i and a <= row < b]:
            saved[row] = image[..., row, :].copy()
        part = replace(
            p, shape=block.shape, lead=(), size=block.shape[-2:], pads=((0, 0), p.pads[1]), out_size=(b - a, p.out_size[1]),
            channel_axis=None,
        )  # fmt: skip
        candidate.prepare(part, plan.facts)(block, out[..., a:b, :], plan.threads)
        for row in [row for row in saved if last_use[row] <= i]:
            del saved[row]
