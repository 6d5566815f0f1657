"""The compiled transform: every side its tiles may have, every way a tile may be filled."""

import numpy as np
import pytest

import corr2d
import oracle
from cases import dense, full, pixels, seeded, whole
from corr2d.engines import transform

SIDES = transform.TILE_SIDES
TILES = [(64, n) for n in SIDES] + [(n, 64) for n in SIDES[1:]] + [(n, n) for n in SIDES[1:5]] + [(96, 384), (192, 128)]


@pytest.fixture
def forced(monkeypatch):
    """Sets the tiles of plans made from here on: of kernels not seen before, as plans are kept."""

    def force(rows, cols):
        monkeypatch.setattr(transform, "_best_tiles", lambda *_: (1.0, (rows, cols)))

    return force


def kernel_for(name, kh, kw):
    """A kernel that no other test has."""
    return seeded("transform", name, kh, kw).standard_normal((kh, kw))


def check(image, kernel, **options):
    result = corr2d.corr2d(image, kernel, method="fft", **options)
    oracle.check(result, image, kernel, **options)


@pytest.mark.parametrize("tile", TILES, ids=lambda t: f"{t[0]}x{t[1]}")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_side(forced, tile, dtype):
    """Both halves of a pair in use and the last tile partly: 2 1/4 tiles across or down."""
    forced(*tile)
    kernel = kernel_for(f"{tile}{dtype}", 3, 4)
    rows, cols = (n - k + 1 for n, k in zip(tile, kernel.shape, strict=True))
    check(pixels(20, 2 * cols + cols // 4 + 3, dtype=dtype), kernel)
    check(pixels(2 * rows + rows // 4 + 2, 21, dtype=dtype), kernel, padding="same", boundary="reflect")


@pytest.mark.parametrize(
    "size", [(1, 1), (3, 4), (62, 90), (62, 93), (63, 93), (62, 94), (124, 94), (125, 187), (200, 300)]
)
def test_every_filling(forced, size):
    """Less than a tile, exactly one, one row or column more, several, an odd number of tiles."""
    forced(64, 96)
    image = pixels(*(n + k - 1 for n, k in zip(size, (3, 4), strict=True)))
    check(image, kernel_for("filling", 3, 4))


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("gap", [1, 2, 17])
def test_reach_just_below_the_side(forced, side, gap):
    """Two taps so far apart that a tile gives `gap` columns."""
    forced(64, side)
    kernel = kernel_for(f"reach{gap}-{side}", 1, 2)
    check(pixels(3, side + 2 * gap + 1), kernel, dilation=(1, side - gap))
    if side == SIDES[0]:
        check(pixels(side + 2 * gap + 1, 3), kernel.T, dilation=(side - gap, 1))


STRIDES = {
    "2x3": dict(stride=(2, 3)),
    "70": dict(stride=70, padding=3),
    "dilated": dict(stride=(1, 5), dilation=(3, 2), padding="same", boundary="wrap"),
}


@pytest.mark.parametrize("name", STRIDES)
@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8"])
def test_strides(forced, name, dtype):
    """Outputs of a stride fall differently into each tile."""
    forced(64, 96)
    check(pixels(150, 230, dtype=dtype), kernel_for(name, 5, 6), **STRIDES[name])


@pytest.mark.parametrize("shape", [(3, 70, 80), (2, 2, 40, 200)], ids=["one", "pairs"])
def test_batches(forced, shape):
    """Planes are paired with themselves: one tile each, and two."""
    forced(64, 96)
    check(pixels(*shape), kernel_for("batch", 10, 7))


@pytest.mark.parametrize("dtype", ["float32", "float16", "uint16", "float64"])
def test_layouts(forced, dtype):
    """Rows read where they lie, and all that must be copied first: misaligned, reversed, strided, transposed."""
    forced(64, 64)
    kernel, image = kernel_for("layouts", 4, 3), pixels(3, 90, 150, dtype=dtype)
    room = np.empty(image.nbytes + 1, np.uint8)
    shifted = room[1:].view(image.dtype).reshape(image.shape)
    shifted[...] = image
    swapped = image.astype(image.dtype.newbyteorder(">"))
    for view in (image, shifted, swapped, image[:, ::-1, ::-1], image[:, ::2, ::3], image.swapaxes(1, 2)):
        check(view, kernel, padding="same", boundary="symmetric")


def test_integers(forced):
    """Integer images, and float tiles that hold integers beside one that does not and one with a NaN."""
    forced(64, 96)
    kernel = whole(5, 7) + (seeded("transform", "integers").random((5, 7)) < 0.1)
    image = pixels(130, 250, dtype="int16", limit=3000)
    exact = oracle.exact(image, kernel)
    assert (corr2d.corr2d(image, kernel, method="fft") == exact).all()
    floats = image.astype("float32")
    floats[5, 220] = 0.3
    floats[100, 10] = np.nan
    result = corr2d.corr2d(floats, kernel, method="fft")
    whole_tiles = np.isfinite(result[:, :180])
    assert (~whole_tiles).sum() == 5 * 7  # of the NaN
    assert (result[:, :180][whole_tiles] == exact[:, :180][whole_tiles]).all()


def extremes():
    """Images and kernels that make many roundings agree, or one pixel stand out."""
    rng = np.random.default_rng(5)
    spike = np.full((200, 300), 1e-3)
    spike[::37, ::41] = 1.0
    wave = np.cos(np.arange(300) * np.pi / 4) * np.ones((200, 1))
    signs = rng.choice([-1.0, 1.0], (200, 300))
    checker = (-1.0) ** np.indices((200, 300)).sum(0)
    flat = full(200, 300, value=0.7)
    images = dict(flat=flat, spikes=spike, wave=wave, signs=signs, step=np.sign(wave), checker=checker)
    kernels = dict(ones=np.ones((21, 23)), tenth=np.full((21, 23), 0.1), corner=np.pad([[1.0]], ((0, 20), (22, 0))),
                   wave=wave[:21, :23], signs=signs[:21, :23], dense=dense(21, 23))  # fmt: skip
    for i, image in images.items():
        for k, kernel in kernels.items():
            yield pytest.param(image, kernel, id=f"{i}-{k}")


@pytest.mark.parametrize(("image", "kernel"), list(extremes()))
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_accuracy_leaves_room(image, kernel, dtype):
    """Norms bound a transform's error, not proofs for one pixel: it keeps a quarter of the bound in reserve."""
    image = image.astype(dtype)
    kernel = kernel + 2.0**-30  # no integers: these are rounded to exact ones
    error = np.abs(corr2d.corr2d(image, kernel, method="fft") - oracle.exact(image, kernel)).max()
    assert error <= 0.75 * oracle.tolerance(image, kernel)
