"""Dask arrays: one block of the result from the chunks under it and their halo, lazily.

The plan is made once, for the whole image. Each block of the result is a task that cuts what it
needs out of neighbouring chunks (`_block`) and runs the plan's method there: nothing is
rechunked, and the graph has a constant number of tasks for each block.
"""

from __future__ import annotations

import math
from itertools import pairwise, product
from typing import Any

import numpy as np

from . import _arrays
from ._block import window
from ._errors import DTypeError, OptionError, ShapeError
from ._plan import Plan
from ._problem import Pair

# What one axis contributes to a block: chunks of the image, the part of each that is read, and
# the outputs that are computed; None: all of it, an axis that is not filtered.
Axis = tuple[list[tuple[int, slice | None]], slice | None]


def check(image: Any, out: Any) -> None:
    """Refuse what cannot be filtered lazily.

    Raises
    ------
    ShapeError, DTypeError, OptionError
    """
    if any(math.isnan(n) for n in image.shape):
        raise ShapeError(
            f"image is a Dask array of unknown shape {image.shape}, so what its blocks need is not known; "
            "call image.compute_chunk_sizes() first"
        )
    _arrays.take(image._meta)  # masked, sparse and object chunks, in the same words as arrays of them
    if type(image._meta) is not np.ndarray:
        raise DTypeError(
            f"image is a Dask array of {type(image._meta).__name__} chunks; use image.map_blocks(numpy.asarray)"
        )
    if out is not None:
        raise OptionError(
            "out= was given with a Dask array, whose result is lazy: nothing is computed yet; "
            "leave it out and write with result.store(out) or result.to_zarr(path)"
        )


def lazily(plan: Plan, image: Any) -> Any:
    """The result of `plan` on a Dask array of its shape, as a Dask array.

    Its chunks are the image's: an output belongs to the chunk that holds the pixel on which it lies.
    """
    import dask.array
    from dask.base import tokenize
    from dask.highlevelgraph import HighLevelGraph

    p, kind = plan.problem, _arrays.numpy_dtype(plan.problem.out_dtype)
    axes = _axes(plan, image.chunks)
    chunks = tuple(tuple(lengths) for lengths, _ in axes)
    if not math.prod(p.out_shape):
        return dask.array.empty(p.out_shape, dtype=kind, chunks=chunks)
    name = f"corr2d-{tokenize(image.name, repr(p), np.asarray(plan.facts.weights), plan.method, plan.threads)}"
    recipe = f"plan-{name}"
    graph: dict[Any, Any] = {recipe: plan}
    row, column = (axis + image.ndim for axis in p.axes)
    for where in product(*(range(len(blocks)) for _, blocks in axes)):
        block: list[Axis] = [blocks[i] for i, (_, blocks) in zip(where, axes, strict=True)]
        pieces = _pieces(graph, f"cut-{name}", image, [parts for parts, _ in block])
        graph[(name, *where)] = (_filtered, recipe, block[row][1], block[column][1], pieces)
    layers = HighLevelGraph.from_collections(name, graph, dependencies=[image])
    return dask.array.Array(layers, name, chunks, meta=np.empty((0,) * image.ndim, kind))


def _filtered(plan: Plan, rows: slice, columns: slice, pieces: list) -> np.ndarray:
    """One block of the result: the task."""
    nested = pieces
    while isinstance(nested, list) and len(nested) == 1:
        nested = nested[0]
    pixels = np.block(pieces) if isinstance(nested, list) else nested
    return plan.block(rows, columns)(pixels)


def _pieces(graph: dict, name: str, image: Any, parts: list[list[tuple[int, slice | None]]], chosen: tuple = ()) -> Any:
    """Nested lists, an axis a level, of the keys of what a block reads; cuts are added to the graph."""
    from dask.array.chunk import getitem

    if parts:
        return [_pieces(graph, name, image, parts[1:], (*chosen, one)) for one in parts[0]]
    chunk = (image.name, *(i for i, _ in chosen))
    index = tuple(cut or slice(None) for _, cut in chosen)
    if all(cut is None for _, cut in chosen):
        return chunk
    key = (name, *chunk[1:], *(n for cut in index for n in (cut.start or 0, -1 if cut.stop is None else cut.stop)))
    graph.setdefault(key, (getitem, chunk, index))
    return key


def _axes(plan: Plan, chunks: tuple[tuple[int, ...], ...]) -> list[tuple[tuple[int, ...], list[Axis]]]:
    """For each axis of the image: the result's chunk lengths, and what each of its blocks reads."""
    p, ndim = plan.problem, len(chunks)
    axes: list[tuple[tuple[int, ...], list[Axis]]] = [(n, [([(i, None)], None) for i in range(len(n))]) for n in chunks]
    if p.channels:  # every output channel is a sum over all of the image's
        axis = (p.channel_axis or -3) + ndim
        axes[axis] = (p.channels[0],), [([(i, None) for i in range(len(chunks[axis]))], None)]
    for which, axis in enumerate(a + ndim for a in p.axes):
        edges = np.concatenate([[0], np.cumsum(chunks[axis])])
        cuts = _cuts(edges, p.size[which], p.out_size[which], p.stride[which], p.pads[which], p.span[which])
        blocks: list[Axis] = []
        for start, stop in pairwise(cuts if p.outputs else ()):
            blocks.append((_under(edges, window(p, which, start, stop).runs), slice(start, stop)))
        axes[axis] = tuple(b - a for a, b in pairwise(cuts)), blocks
    return axes


def _cuts(edges: np.ndarray, size: int, outputs: int, stride: int, pads: Pair, span: int) -> list[int]:
    """Where the result is cut so that each output is in the chunk that holds its pixel.

    That is the pixel under the anchor for ``"same"``, else under the middle of the kernel.
    Padding wider than the largest chunk becomes blocks of its own.
    """
    middle = pads[0] if outputs == -(-size // stride) else span // 2
    inner = [-(-(int(edge) + pads[0] - middle) // stride) for edge in edges[1:-1]]
    widest = max(1, int(np.diff(edges).max(initial=0)))
    # Where outputs lie on no pixel: before the first, after the last.
    head, tail = -(-(pads[0] - middle) // stride), -(-(size + pads[0] - middle) // stride)
    wide = []
    if head > widest:
        wide += range(head, 0, -widest)
    if outputs - tail > widest:
        wide += range(tail, outputs, widest)
    return sorted({0, outputs, *(cut for cut in (*inner, *wide) if 0 < cut < outputs)}) if outputs else [0, 0]


def _under(edges: np.ndarray, runs: tuple[Pair, ...]) -> list[tuple[int, slice | None]]:
    """Which part of which chunks the runs cover; None: all of one."""
    parts = []
    for start, stop in runs:
        chunk = int(np.searchsorted(edges, start, side="right")) - 1
        while start < stop:
            low, high = int(edges[chunk]), int(edges[chunk + 1])
            end = min(stop, high)
            if end > start:
                parts.append((chunk, None if (start, end) == (low, high) else slice(start - low, end - low)))
            start, chunk = end, chunk + 1
    return parts or [(0, slice(0, 0))]
