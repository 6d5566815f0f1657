"""`corr2d learn` on pictures that are read piece by piece: Zarr, large TIFF and NPY, here or on a cluster."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from cyclopts import Parameter
from numpy.typing import NDArray

from .. import images
from .._errors import Corr2dError, OptionError
from .._learning.lazy import LazyPlanes, of_store
from .._stores import Store
from .._stream import resident
from .streaming import StreamOptions, cluster, opened

__all__ = ["ReadOptions", "excerpts", "planes"]

_BAND = 1 << 24  # outputs whose sums are taken at a time
_BESIDE = 200 << 20  # what predictions, transforms and decoders take


@Parameter(name="*")
@dataclass(frozen=True)
class ReadOptions:
    """Options for pictures larger than memory."""

    memory: str | None = None
    """How much this process may use, such as 800M or 4G; default a quarter of the memory there is."""
    level: int | None = None
    """Level of OME-Zarr or TIFF pyramids; default 0, the finest."""
    scheduler: str | None = None
    """Address of a Dask scheduler, whose workers see the same files; --memory is then for each task."""


class _Whole(Store):
    """A picture that was read at once, beside one that is not."""

    def __init__(self, path: Path) -> None:
        self.path, self.pixels = path, images.read(path).pixels
        self.shape, self.dtype = self.pixels.shape, self.pixels.dtype
        self.axes, self.grid = "YXC"[: self.pixels.ndim], (1, self.pixels.shape[1])

    def read(self, index: tuple[slice, ...]) -> NDArray:
        return self.pixels[index]


@contextmanager
def planes(
    before: Path, after: Path, options: ReadOptions, *, mixing: bool, told: Callable[..., None] | None, refused: dict[str, bool]
) -> Iterator[tuple[LazyPlanes, LazyPlanes] | None]:
    """Both pictures to be read piece by piece, or None where they are better read at once.

    `refused` are options that need all pixels at once, and whether they were given.
    """
    large = StreamOptions(memory=options.memory, level=options.level, scheduler=options.scheduler)
    with ExitStack() as stack:
        sources = []
        for path in (before, after):
            source = opened(path, Path(), large)
            sources.append(source if source is None else stack.enter_context(closing(source)))
        if sources == [None, None]:
            yield None
            return
        for name, given in refused.items():
            if given:
                raise OptionError(f"{name} looks at all pixels at once, and {before} and {after} are read piece by piece; leave it out, or learn from a part")
        sources = [_Whole(path) if source is None else source for path, source in zip((before, after), sources, strict=True)]
        spread = None
        if options.scheduler:  # workers have folders of their own
            for source in sources:
                source.path = Path(os.path.abspath(source.path))
            spread = _Spread(stack.enter_context(cluster(options.scheduler)))
        pair = [_planes(source, mixing) for source in sources]
        _check_memory(before, pair, large.bytes())
        for image in pair:
            image.spread, image.heard = spread, told and (lambda share: told(share=share))
        yield pair[0], pair[1]


def _planes(source: Store, mixing: bool) -> LazyPlanes:
    if source.dtype.kind == "c":
        raise Corr2dError(f"{source.path}: complex samples; kernels are learned from real numbers")
    image = of_store(source, mixing)
    if image is None:
        raise Corr2dError(f'{source.path}: --channels full needs channels, and its axes are {source.axes}, without a C before or after YX')
    return image


def _check_memory(path: Path, pair: list[LazyPlanes], memory: int) -> None:
    need = resident() + _BESIDE
    for image in pair:
        row = image.shape[1] * image.shape[3] * image.dtype.itemsize
        rows = min(image.shape[2], max(1, _BAND // image.shape[3]))
        need += row * (2 * rows + 2 * image.step)  # as read, joined with what was kept, which is a row of chunks
    if need > memory:
        raise Corr2dError(f"{path}: bands of rows, and rows of chunks, of both pictures take {-(-need >> 20)}M and --memory is {memory >> 20}M; "
                          f"give --memory {-(-need >> 20)}M, or smaller chunks")  # fmt: skip


class _Spread:
    """Tasks on a cluster, a few ahead of the one whose result is next; a worker that dies has its tasks done again by others."""

    def __init__(self, client: Any) -> None:
        self.client = client

    def __call__(self, function: Callable[..., Any], tasks: Iterable[tuple[Any, ...]]) -> Iterator[Any]:
        ahead = 2 * max(1, sum(self.client.nthreads().values()))
        running: deque[Any] = deque()
        try:
            for task in tasks:
                running.append(self.client.submit(function, *task, pure=False))
                if len(running) > ahead:
                    yield running.popleft().result()
            while running:
                yield running.popleft().result()
        finally:
            self.client.cancel(list(running))


def excerpts(before: LazyPlanes, after: LazyPlanes, side: int) -> tuple[NDArray, NDArray]:
    """The middle of both, for looking at: (h, w) or (h, w, C)."""
    starts = [max(0, n - side) // 2 for n in after.shape[2:]]
    cut = []
    for image in (before, after):
        spans = [slice(s, s + side + more - less) for s, more, less in zip(starts, image.shape[2:], after.shape[2:], strict=True)]
        part = image[(0, slice(None), *spans)]
        cut.append(part[0] if len(part) == 1 else np.moveaxis(part, 0, -1))
    return cut[0], cut[1]
