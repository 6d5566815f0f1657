"""``corr2d demo``: the edges in a photograph, what they cost, and a picture of them."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import corr2d

from . import images, kernels
from ._image_formats import extra
from .kernel import Kernel

__all__ = ["run"]

_REPEATS = 9

# The panel, in pixels.
_MARGIN, _GAP, _HEAD, _CAPTION, _FOOT = 56, 40, 148, 92, 56
_CELL = (30, 24)
_PAPER, _INK, _QUIET = (250, 249, 246), (28, 28, 32), (118, 116, 112)
_POSITIVE, _NEGATIVE = np.array([214, 106, 52]), np.array([58, 118, 186])


def run(output: Path) -> None:
    """Print plan and timings, write the panel to *output* and say where it is."""
    photo = images.sample().pixels
    chapter = Kernel([[1, -1]], name="[1, -1]")
    tiled = np.tile(photo, (6, 8)).astype(np.float32)

    print(f"The photograph tiled to {_size(tiled)}, {tiled.dtype}; Sobel's kernel for x:\n")
    print(corr2d.plan(tiled, kernels.sobel(1), padding="same", boundary="reflect"))
    print(f"\n{'measured (median of 9, warm)':34}{_size(photo):>14}{_size(tiled):>16}")
    small = photo.astype(np.float32)
    for name, work in _contenders(chapter).items():
        print(f"{name:34}{_measured(work, small):>14}{_measured(work, tiled):>16}")

    images.write(output, _panel(photo, chapter))
    print(f"\nBefore and after: {output.resolve()}")


def _contenders(chapter: Kernel) -> dict[str, Callable[[NDArray[Any]], Callable[[], Any]]]:
    """Name → what prepares an image and returns the work to be timed."""

    def copying(image: NDArray[Any]) -> Callable[[], Any]:
        out = np.empty_like(image)
        return lambda: np.copyto(out, image)

    def filtering(kernel: Kernel) -> Callable[[NDArray[Any]], Callable[[], Any]]:
        def prepare(image: NDArray[Any]) -> Callable[[], Any]:
            plan = corr2d.plan(image, kernel, padding="same", boundary="reflect")
            out = np.empty(image.shape, np.float32)
            return lambda: plan(image, out=out)

        return prepare

    return {
        "copy the image (NumPy, 1 thread)": copying,
        "the chapter's [1, -1]": filtering(chapter),
        "Sobel, x": filtering(kernels.sobel(1)),
        "Sobel, y": filtering(kernels.sobel(0)),
        "Gaussian, sigma 2 (17×17)": filtering(kernels.gaussian(2)),
    }


def _measured(prepare: Callable[[NDArray[Any]], Callable[[], Any]], image: NDArray[Any]) -> str:
    work = prepare(image)
    seconds = []
    for _ in range(2 + _REPEATS):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return f"{1e3 * statistics.median(seconds[2:]):.3g} ms"


def _size(image: NDArray[Any]) -> str:
    return "×".join(map(str, image.shape))


# -- the panel -----------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Tile:
    picture: NDArray[np.uint8]
    title: str
    caption: str
    kernels: tuple[Kernel, ...] = ()
    disc: bool = False  # whether its colours need a key


def _panel(photo: NDArray[np.uint8], chapter: Kernel) -> NDArray[np.uint8]:
    """Four pictures, their kernels and captions on one sheet, RGB."""

    def filtered(kernel: Kernel) -> NDArray[np.float32]:
        return corr2d.corr2d(photo, kernel, padding="same", boundary="reflect")

    sobel_x, sobel_y = kernels.sobel(1), kernels.sobel(0)
    # One kernel that smooths and differentiates: directions survive the grass.
    smooth = kernels.gaussian(1.2)
    slope_x, slope_y = filtered(sobel_x @ smooth), filtered(sobel_y @ smooth)
    tiles = [
        _Tile(_gray(photo / 255), "Before", "512 x 512, 8-bit gray"),
        _Tile(
            _signed(filtered(chapter)),
            "The chapter's [1, -1]",
            "Upright edges; grey is no change, white gets darker rightwards",
            (chapter,),
        ),
        _Tile(
            _gray(_strength(filtered(sobel_x), filtered(sobel_y))),
            "Sobel, magnitude",
            "All edges by strength: the hypotenuse of x and y",
            (sobel_x, sobel_y),
        ),
        _Tile(
            _directions(slope_x, slope_y),
            "Sobel after Gaussian, direction",
            "Hue is the direction in which it gets brighter, as on the disc",
            disc=True,
        ),
    ]
    height, width = photo.shape
    sheet = _Sheet(2 * width + _GAP + 2 * _MARGIN, _HEAD + 2 * (height + _CAPTION) + _FOOT)
    sheet.text((_MARGIN, 44), "corr2d", 44)
    sheet.text((_MARGIN + 1, 100), "One photograph, and what a handful of numbers sees in it", 19, _QUIET)
    for index, tile in enumerate(tiles):
        left = _MARGIN + (index % 2) * (width + _GAP)
        top = _HEAD + (index // 2) * (height + _CAPTION)
        sheet.paste(tile.picture, left, top)
        sheet.text((left, top + height + 12), tile.title, 20)
        sheet.text((left, top + height + 38), tile.caption, 15, _QUIET)
        right = left + width
        if tile.disc:
            sheet.paste(_disc(72), right - 72, top + height + 10)
        for kernel in reversed(tile.kernels):
            right = sheet.kernel(kernel, right, top + height + 10) - 12
    credit = "Photograph: Lav and Kush Varshney, CC0"
    sheet.text((_MARGIN, sheet.height - 40), credit, 14, _QUIET)
    return sheet.pixels()


class _Sheet:
    """A page to paste pictures and letter captions on."""

    def __init__(self, width: int, height: int) -> None:
        self._pillow = extra("PIL.Image")
        self._draw = extra("PIL.ImageDraw")
        self._font = extra("PIL.ImageFont")
        self.height = height
        self._page = self._pillow.new("RGB", (width, height), _PAPER)
        self._pen = self._draw.Draw(self._page)

    def paste(self, picture: NDArray[np.uint8], left: int, top: int) -> None:
        self._page.paste(self._pillow.fromarray(picture), (left, top))

    def text(self, at: tuple[float, float], text: str, size: int, colour: Any = _INK, anchor: str = "la") -> None:
        # Pillow carries this font with it: the sheet looks the same everywhere.
        self._pen.text(at, text, fill=colour, font=self._font.load_default(size), anchor=anchor)

    def kernel(self, kernel: Kernel, right: int, top: int) -> int:
        """Draw the weights as coloured cells up to *right*; return the left edge."""
        (rows, columns), (width, height) = kernel.shape, _CELL
        left = right - columns * width
        strongest = np.abs(kernel.weights).max()
        for (row, column), weight in np.ndenumerate(kernel.weights):
            hue = _POSITIVE if weight > 0 else _NEGATIVE
            share = 0.75 * abs(weight) / strongest
            fill = tuple(np.rint(share * hue + (1 - share) * np.array([238, 236, 231])).astype(int))
            x, y = left + column * width, top + row * height
            self._pen.rectangle((x + 1, y + 1, x + width - 1, y + height - 1), fill=fill)
            colour = (255, 255, 255) if share > 0.5 else _INK
            self.text((x + width / 2, y + height / 2), f"{weight:g}", 14, colour, "mm")
        return left

    def pixels(self) -> NDArray[np.uint8]:
        return np.asarray(self._page)


def _gray(unit: NDArray[Any]) -> NDArray[np.uint8]:
    """Values from 0 to 1 as RGB bytes."""
    return np.repeat(np.rint(255 * np.clip(unit, 0, 1)).astype(np.uint8)[..., None], 3, axis=-1)


def _signed(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Zero as mid-grey; the strongest half per cent may saturate, or a few edges dim the rest."""
    return _gray(0.5 + 0.5 * values / np.percentile(np.abs(values), 99.5))


def _strength(x: NDArray[Any], y: NDArray[Any]) -> NDArray[Any]:
    """Gradient magnitude from 0 to 1, bent so that weak edges show as well."""
    magnitude = np.hypot(x, y)
    return np.clip(magnitude / np.percentile(magnitude, 99.5), 0, 1) ** 0.7


def _directions(x: NDArray[Any], y: NDArray[Any]) -> NDArray[np.uint8]:
    """Direction as hue, strength as brightness, as RGB bytes."""
    # Three cosines a third of a turn apart: a colour circle of even brightness.
    thirds = np.array([0.0, 1.0, 2.0]) * (2 * np.pi / 3)
    hue = 0.55 + 0.45 * np.cos(np.arctan2(y, x)[..., None] - thirds)
    return np.rint(255 * hue * _strength(x, y)[..., None]).astype(np.uint8)


def _disc(side: int) -> NDArray[np.uint8]:
    """The key to `_directions`: every direction at its place on a disc."""
    y, x = np.ogrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    colours = _directions(*np.broadcast_arrays(x, y)).astype(float)
    # One pixel of soft edge against the paper.
    inside = np.clip((1 - np.hypot(x, y)) * side / 2, 0, 1)[..., None]
    return np.rint(inside * colours + (1 - inside) * np.array(_PAPER)).astype(np.uint8)
