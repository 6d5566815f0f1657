"""The pictures a page works on, by number, and how the page gets to see them."""

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import corr2d
from .._errors import Corr2dError, ShapeError
from ..images import Image

__all__ = ["LARGEST_UPLOAD", "MOST_PIXELS", "PREVIEW_SIDE", "Picture", "Pictures", "luma", "preview"]

LARGEST_UPLOAD = 64 * 2**20  # bytes
MOST_PIXELS = 100_000_000
PREVIEW_SIDE = 512  # pixels: what a page filters within a frame
_MOST_BYTES = 2**30  # of pixels kept; the oldest uploads go first
_LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601, as Pillow's convert("L")


@dataclass(frozen=True, eq=False)
class Picture:
    """An image and what the page calls it."""

    id: str
    name: str
    image: Image

    @property
    def pixels(self) -> NDArray[Any]:
        return self.image.pixels

    def to_dict(self) -> dict[str, Any]:
        height, width = self.pixels.shape[:2]
        return {
            "id": self.id,
            "name": self.name,
            "height": height,
            "width": width,
            "channels": self.pixels.shape[2] if self.pixels.ndim == 3 else 1,
            "dtype": self.pixels.dtype.name,
            "white": white(self.pixels.dtype),
            "step": preview_step(height, width),
        }


class Pictures:
    """Uploads by number: as many as fit into a gigabyte, the oldest forgotten first.

    The first picture, which the studio was opened with, is never forgotten.
    """

    def __init__(self, first: Image, name: str) -> None:
        self._lock = threading.Lock()
        self._count = 0
        self.first = Picture("0", name, first)
        self._kept: OrderedDict[str, Picture] = OrderedDict()

    def add(self, image: Image, name: str) -> Picture:
        if image.pixels.dtype.kind == "c":
            raise ShapeError("a complex picture; the studio shows real ones, use the command line or Python")
        if image.pixels.ndim == 3 and image.pixels.shape[2] > 16:
            raise ShapeError(f"a picture of shape {image.pixels.shape}: channels come last, and at most 16 of them")
        with self._lock:
            self._count += 1
            picture = Picture(str(self._count), name, image)
            self._kept[picture.id] = picture
            while len(self._kept) > 1 and sum(p.pixels.nbytes for p in self._kept.values()) > _MOST_BYTES:
                self._kept.popitem(last=False)
        return picture

    def get(self, id: Any) -> Picture:
        if id in ("", "0", None):
            return self.first
        with self._lock:
            picture = self._kept.get(str(id))
        if picture is None:
            raise Corr2dError("this picture is no longer kept; open it once more")
        return picture


def white(dtype: np.dtype[Any]) -> float:
    """The sample that is shown white: 255, 65535, 1 for floats and bools."""
    return float(np.iinfo(dtype).max) if dtype.kind in "iu" else 1.0


def preview_step(height: int, width: int) -> int:
    """Every how many pixels make one of the preview's."""
    return max(1, -(-max(height, width) // PREVIEW_SIDE))


def preview(pixels: NDArray[Any]) -> NDArray[np.float64]:
    """Planes that a page can filter at once: gray values, then red, green and blue where there are such.

    They are means over blocks where the picture is larger than `PREVIEW_SIDE`.

    Examples
    --------
    >>> preview(np.arange(4, dtype=np.uint8).reshape(2, 2)).tolist()
    [[[0.0, 1.0], [2.0, 3.0]]]
    >>> preview(np.ones((1000, 2000, 3), np.uint8)).shape
    (4, 250, 500)
    """
    step = preview_step(*pixels.shape[:2])
    if step > 1:
        side = min(step, pixels.shape[0]), min(step, pixels.shape[1])
        axis = -1 if pixels.ndim == 3 else None
        mean = np.full(side, 1 / (side[0] * side[1]))
        pixels = corr2d(pixels, mean, stride=side, channel_axis=axis)
    pixels = np.asarray(pixels, np.float64)
    gray = luma(pixels)[None]
    if pixels.ndim == 3 and pixels.shape[2] == len(_LUMA):
        return np.concatenate([gray, np.moveaxis(pixels, -1, 0)])
    return gray


def luma(pixels: NDArray[np.float64]) -> NDArray[np.float64]:
    """One value for a pixel: ITU-R BT.601 for RGB, the mean for any other number of channels."""
    if pixels.ndim == 2:
        return np.ascontiguousarray(pixels)
    weights = _LUMA if pixels.shape[2] == 3 else np.full(pixels.shape[2], 1 / pixels.shape[2])
    return np.ascontiguousarray(pixels @ weights)
