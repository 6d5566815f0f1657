"""Pictures of kernels: their weights, their frequencies, what they do to edges and images.

Needs matplotlib, ``pip install "corr2d[plot]"``. Every function returns a matplotlib
``Figure`` that belongs to nobody's global state: show it in a notebook, or `save` it.
Orange is positive and blue negative, which colour-blind readers tell apart; whatever
colour says is written as well.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

import corr2d

from ._errors import MissingExtraError, OptionError, ShapeError
from ._files import replacing
from .kernel import Kernel

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["before_after", "edges", "format_of", "frequency", "kernel", "overview", "plan", "save"]

_MOST_PRINTED = 11  # taps a side; beyond, numbers no longer fit
_SCENE = 25  # pixels a side of the test images
_ORANGE, _BLUE, _INK = "#c44e14", "#1e64b4", "#202020"


def kernel(weights: Any, *, ax: Axes | None = None) -> Figure:
    """The weights as a grid, signs in colour, with their numbers; the anchor is outlined.

    Parameters
    ----------
    weights : array_like, shape (kh, kw), or Kernel
    ax : matplotlib Axes, optional
        Where to draw; default a figure of its own.

    Examples
    --------
    >>> figure = kernel([[1, -1]])  # doctest: +SKIP
    """
    k = _plane(weights)
    figure, ax = _axes(ax, (0.9 + 0.55 * min(k.shape[1], 16), 0.9 + 0.55 * min(k.shape[0], 16)))
    limit = float(np.abs(k.weights).max()) or 1.0
    ax.imshow(k.weights, cmap=_signed(), vmin=-limit, vmax=limit, interpolation="nearest")
    if max(k.shape) <= _MOST_PRINTED:
        texts = [[_short(w, limit) for w in row] for row in k.weights]
        longest = max(len(text) for row in texts for text in row)
        size = max(6.5, min(11.0, 36 / max(longest, 3)))
        for (y, x), w in np.ndenumerate(k.weights):
            dark = abs(w) > 0.6 * limit
            ax.text(x, y, texts[y][x], ha="center", va="center", fontsize=size, color="white" if dark else _INK)
        ax.set_xticks(range(k.shape[1]))
        ax.set_yticks(range(k.shape[0]))
    else:
        ax.locator_params(integer=True)
    row, column = k.anchor or ((k.shape[0] - 1) // 2, (k.shape[1] - 1) // 2)
    from matplotlib.patches import Rectangle

    ax.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, edgecolor=_INK, linewidth=2, clip_on=False))
    ax.tick_params(length=0, labelsize=8)
    ax.set_title(k.name or f"{k.shape[0]}×{k.shape[1]}", fontsize=10)
    return figure


def frequency(weights: Any) -> Figure:
    """The strength with which each frequency passes: as an image, and along x, y and the diagonal.

    Examples
    --------
    >>> figure = frequency([[1, 2, 1]])  # doctest: +SKIP
    """
    figure, (left, right) = _figure(1, 2, (8.0, 3.6))
    _draw_image_of_response(left, figure, corr2d.describe(weights))
    _draw_profiles(right, corr2d.describe(weights))
    return figure


def edges(weights: Any) -> Figure:
    """What the kernel makes of a point, of edges and of a diagonal; below, the same transposed.

    The second row has the kernel transposed and the scenes transposed with it: its results are the
    first row's, transposed (*Dive into Deep Learning*, §7.2, exercise 1).

    Examples
    --------
    >>> figure = edges([[1, -1]])  # doctest: +SKIP
    """
    k = _plane(weights)
    scenes, two_signs = _scenes(), bool((k.weights < 0).any())
    figure, grid = _figure(4, len(scenes) + 1, (2.0 * (len(scenes) + 1), 8.2))
    for row, (turned, shown) in enumerate(((k, "K"), (k.T, "Kᵀ"))):
        kernel(Kernel(turned, name=shown), ax=grid[2 * row][0])
        grid[2 * row + 1][0].axis("off")
        for column, (title, scene) in enumerate(scenes.items(), start=1):
            image = scene.T if row else scene
            result = corr2d.corr2d(image, turned, padding="same", boundary="edge")
            _show(grid[2 * row][column], image, title + "ᵀ" * row)
            _show(grid[2 * row + 1][column], result, f"{shown} ⋆ {title}" + "ᵀ" * row, signed=two_signs)
    return figure


def before_after(image: Any, weights: Any, *, boundary: str = "reflect") -> Figure:
    """An image, the kernel, and what comes out; results with negative values are shown in two colours.

    Parameters
    ----------
    image : array_like, shape (H, W) or (H, W, 3)
        Colour channels last.
    weights : array_like or Kernel
    boundary
        As in `corr2d.corr2d`; the padding is "same".

    Examples
    --------
    >>> figure = before_after(np.eye(9), [[1, -1]])  # doctest: +SKIP
    """
    pixels = np.asarray(image)
    if pixels.ndim not in (2, 3) or (pixels.ndim == 3 and pixels.shape[2] not in (3, 4)) or not pixels.size:
        raise ShapeError(f"the image has shape {pixels.shape}; a picture is (H, W) or (H, W, 3)")
    pixels = pixels[..., :3] if pixels.ndim == 3 else pixels
    k = _plane(weights)
    axis = -1 if pixels.ndim == 3 else None
    result = np.asarray(corr2d.corr2d(pixels, k, padding="same", boundary=boundary, channel_axis=axis), dtype=float)
    figure, (left, middle, right) = _figure(1, 3, (10.0, 3.8))
    full = float(np.iinfo(pixels.dtype).max) if pixels.dtype.kind in "iu" else float(max(1.0, pixels.max()))
    _show(left, pixels.astype(float) / full if axis else pixels, "before", limits=(0.0, full))
    kernel(k, ax=middle)
    edgy = abs(k.weights.sum()) <= 1e-9 * np.abs(k.weights).sum()
    if edgy:
        _show(right, result.mean(axis=2) if axis else result, "after (zero is white)", signed=True)
    else:
        shown = np.clip(result / full, 0, 1) if axis else result
        _show(right, shown, "after", limits=(0.0, full))
    return figure


def plan(chosen: Any) -> Figure:
    """A plan's predictions as bars; the chosen method is filled, refusals are quoted.

    Parameters
    ----------
    chosen : Plan
        From `corr2d.plan`.

    Examples
    --------
    >>> figure = plan(corr2d.plan((480, 640), np.ones((3, 3))))  # doctest: +SKIP
    """
    if not isinstance(chosen, corr2d.Plan):
        raise OptionError(f"plot.plan draws a plan; got {type(chosen).__name__}: make one with corr2d.plan(image, kernel)")
    answers = sorted(chosen.considered, key=lambda c: (c.seconds is None, c.seconds or 0.0))
    figure, ax = _axes(None, (8.0, 0.8 + 0.36 * len(answers)))
    times = [1e3 * c.seconds for c in answers if c.seconds is not None]
    left = 0.5 * min(times)
    for y, c in enumerate(answers):
        if c.seconds is None:
            ax.text(left * 1.05, y, f"refuses: {c.reason}", va="center", fontsize=8, color="#555555", style="italic")
            continue
        mine = (c.engine, c.method) == (chosen.engine, chosen.method)
        ax.barh(y, 1e3 * c.seconds - left, left=left, color=_BLUE if mine else "white", edgecolor=_BLUE, height=0.7)
        ax.text(1e3 * c.seconds * 1.08, y, f"{1e3 * c.seconds:.3g} ms{', chosen' * mine}", va="center", fontsize=8)
    ax.set_yticks(range(len(answers)), [f"{c.engine} · {c.method}" for c in answers], fontsize=8)
    ax.set_ylim(len(answers) - 0.4, -0.6)
    ax.set_xscale("log")
    ax.set_xlim(left, max(times) * 4)
    ax.set_xlabel("predicted milliseconds", fontsize=9)
    ax.set_title(str(chosen).splitlines()[0], fontsize=9)
    ax.spines[["top", "right"]].set_visible(False)
    return figure


def overview(weights: Any) -> Figure:
    """One page about a kernel: weights, frequency response, profiles, and answers to a point and to edges.

    Examples
    --------
    >>> figure = overview([[-1, 0, 1]])  # doctest: +SKIP
    """
    k = _plane(weights)
    d = corr2d.describe(k)
    figure, grid = _figure(2, 3, (10.5, 7.0))
    kernel(Kernel(k, name=k.name or "weights"), ax=grid[0][0])
    _draw_image_of_response(grid[0][1], figure, d)
    _draw_profiles(grid[0][2], d)
    for ax, (title, scene) in zip(grid[1], list(_scenes().items())[:1] + list(_scenes().items())[2:4], strict=True):
        result = corr2d.corr2d(scene, k, padding="same", boundary="edge")
        _show(ax, result, f"answer to: {title}", signed=bool((k.weights < 0).any()))
    figure.suptitle(d.name, fontsize=11)
    return figure


def save(figure: Figure, path: str | os.PathLike[str], *, dpi: int = 110) -> None:
    """Write a figure; the ending says the format: .png .svg .pdf

    Examples
    --------
    >>> save(kernel([[1, -1]]), "kernel.png")  # doctest: +SKIP
    """
    kind = format_of(path)
    with replacing(path) as file:
        figure.savefig(file, format=kind, dpi=dpi)


def format_of(path: str | os.PathLike[str]) -> str:
    """The format of a figure of this name, or the error that names those there are.

    Examples
    --------
    >>> format_of("kernel.PNG")
    'png'
    """
    kind = os.path.splitext(os.fspath(path))[1].lower().lstrip(".")
    if kind not in ("png", "svg", "pdf"):
        raise OptionError(f"{os.fspath(path)}: a figure's name must end in .png, .svg or .pdf")
    return kind


def _draw_image_of_response(ax: Axes, figure: Figure, d: Any) -> None:
    f = np.linspace(-0.5, 0.5, 129)
    strength = np.abs(d.frequency_response(f[:, None], f[None, :]))
    picture = ax.imshow(strength, cmap="cividis", extent=(-0.5, 0.5, 0.5, -0.5), vmin=0)
    figure.colorbar(picture, ax=ax, shrink=0.8)
    ax.set_xlabel("x, cycles/px", fontsize=9)
    ax.set_ylabel("y, cycles/px", fontsize=9)
    ax.set_title("frequency response |H|", fontsize=10)


def _draw_profiles(ax: Axes, d: Any) -> None:
    f = np.linspace(0, 0.5, 257)
    for label, fy, fx, style in (("along x", 0 * f, f, "-"), ("along y", f, 0 * f, "--"), ("diagonal", f, f, ":")):
        ax.plot(f, np.abs(d.frequency_response(fy, fx)), style, color={"-": _BLUE, "--": _ORANGE, ":": _INK}[style], label=label)
    ax.set_xlim(0, 0.5)
    ax.set_ylim(bottom=0)
    ax.set_xlabel("cycles/px (on each axis)", fontsize=9)
    ax.legend(fontsize=8)
    ax.grid(alpha=0.3)
    ax.set_title("profiles", fontsize=10)


def _scenes() -> dict[str, NDArray[np.float64]]:
    y, x = np.mgrid[:_SCENE, :_SCENE] - _SCENE // 2
    return {
        "point": ((y == 0) & (x == 0)) * 1.0,
        "step in y": (y >= 0) * 1.0,
        "step in x": (x >= 0) * 1.0,
        "diagonal": (x + y >= 0) * 1.0,
    }


def _show(ax: Axes, pixels: NDArray[Any], title: str, *, signed: bool = False, limits: tuple[float, float] | None = None) -> None:
    """One picture: grey, or orange for above and blue for below zero."""
    if signed:
        limit = float(np.abs(pixels).max()) or 1.0
        ax.imshow(pixels, cmap=_signed(), vmin=-limit, vmax=limit, interpolation="nearest")
    else:
        low, high = limits or (min(0.0, float(pixels.min())), float(pixels.max()) or 1.0)
        ax.imshow(pixels, cmap="gray", vmin=low, vmax=high, interpolation="nearest")
    ax.set_title(title, fontsize=9)
    ax.set_xticks([])
    ax.set_yticks([])


def _plane(weights: Any) -> Kernel:
    k = weights if isinstance(weights, Kernel) else Kernel(weights)
    if k.ndim != 2 or k.dtype.kind == "c":
        raise ShapeError(f"a plot shows one real kernel of shape (kh, kw); got {k.shape} {k.dtype}: draw its planes one by one")
    return k


def _short(w: float, limit: float) -> str:
    """The number in few characters, zeros as such."""
    if abs(w) < 1e-9 * limit:
        return "0"
    if abs(w) < 2e-3 * limit:
        return "≈0"
    return f"{w:.2g}".replace("0.", ".", 1).replace("-", "−") if abs(w) < 1 else f"{w:.4g}".replace("-", "−")


def _signed() -> Any:
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("signed", [_BLUE, "white", _ORANGE])


def _figure(rows: int, columns: int, size: tuple[float, float]) -> tuple[Figure, Any]:
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtraError('drawing needs matplotlib; pip install "corr2d[plot]"') from None
    figure = Figure(figsize=size, layout="constrained")
    return figure, figure.subplots(rows, columns)


def _axes(ax: Axes | None, size: tuple[float, float]) -> tuple[Figure, Axes]:
    return _figure(1, 1, size) if ax is None else (ax.figure, ax)
