"""The samples of a Zarr array on disk, read and written by the quickest that is installed.

zarr-python codes chunks on threads, but moves their samples one chunk after the other, with
Python's lock held for much of it. `zarrs`, which it takes as a plug-in, does all of this outside
Python. Whatever `zarrs` cannot do, zarr-python does, or says in its own words why not.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from ._errors import MissingExtraError

__all__ = ["ZarrSamples", "load_zarr"]

Index = tuple[slice, ...]  # one for every axis

_OPENING = threading.Lock()


def load_zarr() -> Any:
    try:
        import zarr
    except ImportError as error:
        raise MissingExtraError('Zarr files need zarr: pip install "corr2d[dask]"', name="zarr") from error
    return zarr


class ZarrSamples:
    """An array that is on disk, by its folder and its name in a group.

    ``threads`` is how many chunks are coded side by side; None: as many as there are cores.
    """

    def __init__(self, path: Path, name: str = "", mode: str = "r", threads: int | None = None):
        self.path, self.name, self.mode, self.threads = path, name, mode, threads
        self.quick = find_spec("zarrs") is not None
        self._opened: dict[tuple[bool, bool], Any] = {}

    def read(self, index: Index) -> np.ndarray:
        return self._quickly(lambda: self._array()[index])

    def write(self, index: Index, block: np.ndarray) -> None:
        self._quickly(lambda: self._array(full=self._full(block)).__setitem__(index, block))

    def _quickly(self, work: Callable[[], Any]) -> Any:
        if self.quick:
            try:
                return work()
            except Exception:  # of no telling kind: zarr-python does the work, or finds out why it cannot be done
                self.quick = False
        return work()

    def _array(self, full: bool = False) -> Any:
        """Opened for good: how chunks are coded, and whether empty ones are written, an array keeps from then on."""
        key = self.quick, full
        if key not in self._opened:
            zarr, settings = load_zarr(), {"array.write_empty_chunks": full}
            if self.quick:
                settings |= {
                    "codec_pipeline.path": "zarrs.ZarrsCodecPipeline", "threading.max_workers": self.threads,
                    "codec_pipeline.chunk_concurrent_minimum": 1,  # else four, whatever the threads are
                }  # fmt: skip
            with _OPENING, zarr.config.set(settings), warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # by which zarrs says that it leaves an array to zarr-python
                node = zarr.open(str(self.path), mode=self.mode)
                self._opened[key] = node[self.name] if self.name else node
        return self._opened[key]

    def _full(self, block: np.ndarray) -> bool:
        """Whether every chunk holds something, seen by a glance at a line through its middle.

        Chunks of nothing but zeros are left out. To find them, zarr-python compares each chunk with a copy of zeros,
        which takes a quarter of what coding takes; where there are none, it need not look.
        """
        chunks, line = self._array().chunks, block.ndim - 2
        ranges = [
            [(i + min(i + c, n)) // 2 if axis == line else slice(i, i + c) for i in range(0, n, c)]
            for axis, (n, c) in enumerate(zip(block.shape, chunks, strict=True))
        ]
        return all(block[cell].any() for cell in product(*ranges))
