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


# -------------------------------------------------------------------------------------------------
# kernels that are taken in parts


@pytest.fixture(params=["kept", "made anew"])
def parted(request, monkeypatch, unplanned):
    """Kernels that reach over 24 pixels are taken in parts, whose spectra are kept or made for each call."""
    monkeypatch.setattr(transform, "REACH", 24)
    if request.param == "made anew":
        monkeypatch.setattr(transform, "KEPT_SPECTRA", 0)


PARTED = {
    "square": ((41, 41), {}),
    "tall": ((61, 7), dict(padding="same", boundary="reflect")),
    "wide": ((5, 70), dict(padding="full", fill=2.5)),
    "dilated": ((9, 13), dict(dilation=(3, 5), padding="same", boundary="wrap")),
    "strided": ((33, 26), dict(stride=(2, 3), padding=((40, 1), (0, 37)), boundary="edge")),
    "cut off": ((30, 30), dict(padding=(0, 30), boundary="symmetric")),
}


def native_fft(plan):
    return next(c for c in plan.considered if (c.engine, c.method) == ("native", "fft"))


@pytest.mark.parametrize("name", PARTED)
@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8", "float16"])
def test_parts_add_up(parted, name, dtype):
    """The sum of the parts' correlations is the kernel's, whatever the borders, strides and dilations."""
    size, options = PARTED[name]
    image, kernel = pixels(3, 80, 90, dtype=dtype), kernel_for(name, *size)
    assert not native_fft(corr2d.plan(image, kernel, **options)).reason
    check(image, kernel, **options)


def test_parts_with_a_bias(parted):
    """A kernel's bias is added once."""
    kernel = corr2d.Kernel(kernel_for("bias", 40, 30), bias=7.5)
    result = corr2d.corr2d(pixels(60, 70), kernel, method="fft")
    oracle.check(result - np.float32(7.5), pixels(60, 70), np.asarray(kernel))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_parts_keep_bad_pixels_to_their_windows(parted, value):
    """Windows that hold a bad pixel are non-finite, under a tap of whichever part, zero taps too; others are not."""
    image, kernel = pixels(90, 100), kernel_for("bad", 40, 50)
    kernel[:10] = kernel[:, 30:] = 0
    image[45, 60] = value
    result = corr2d.corr2d(image, kernel, method="fft")
    seen = np.zeros(result.shape, bool)
    seen[6:46, 11:] = True
    assert np.array_equal(~np.isfinite(result), seen)


def test_parts_do_not_depend_on_threads(parted):
    """The parts are added in their order, whoever computes them."""
    image, kernel = pixels(300, 310), kernel_for("threads", 60, 50)
    first, *others = (corr2d.corr2d(image, kernel, method="fft", threads=n).tobytes() for n in (1, 2, 5))
    assert others == [first, first]


def test_parts_are_not_for_exact_results(parted):
    """Integers would be rounded part by part: scipy's transform takes those kernels in one piece, and is exact."""
    image, kernel = pixels(60, 70, dtype="uint8"), np.arange(900).reshape(30, 30)
    reason = native_fft(corr2d.plan(image, kernel)).reason
    assert "exact for integers" in reason
    check(image, kernel)
    assert "exact for integers" in native_fft(corr2d.plan(image, kernel / 7, dtype="uint8")).reason


def test_too_many_parts():
    """A kernel of more than a dozen parts is refused with the pixels that it reaches over."""
    reason = native_fft(corr2d.plan((9000, 60), np.ones((8100, 50)) / 7, padding=(4050, 25))).reason
    assert not reason
    reason = native_fft(corr2d.plan((9500, 60), np.ones((9300, 50)) / 7, padding=(4650, 25))).reason
    assert "9300 pixels" in reason


def test_a_large_kernel_at_its_real_size():
    """801 rows, two parts, against the definition."""
    plan = corr2d.plan((830, 60), kernel_for("real", 801, 3), method="fft")
    assert plan.engine == "native"
    check(pixels(830, 60), kernel_for("real", 801, 3))
