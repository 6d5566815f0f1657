"""NaN and Inf: the definition multiplies every tap, so exactly the windows that see one are non-finite."""

import numpy as np
import pytest

import corr2d
import oracle
from cases import BOUNDARIES, delta, dense, gauss, low_rank, mexican, mirrored, pixels
from corr2d._errors import NoCandidateError
from corr2d.engines import CANDIDATES

METHODS = ["auto", *dict.fromkeys(candidate.method for candidate in CANDIDATES)]
BAD = [np.nan, np.inf, -np.inf]

OUTER = np.outer([1.0, -2.0, 0.5], [0.25, 1.0, 3.0, -1.0])
ZEROS_IN_IT = np.outer([0.0, -2.0, 0.0], [0.25, 0.0, 3.0, 0.0])  # separable, most taps zero
KERNELS = dict(outer=OUTER, zeros=ZEROS_IN_IT, delta=delta(3, 4, 1, 1), nothing=np.zeros((3, 4)), dense=dense(3, 4),
               box=np.full((3, 4), 0.25), rank2=mexican(5, 1.0),
               mirrored=mirrored(4, 5), negated=mirrored(5, 3, -1))  # fmt: skip


def call(image, kernel, method, **options):
    """corr2d, or a skip with the reason where the method refuses."""
    try:
        return corr2d.corr2d(image, kernel, method=method, **options)
    except NoCandidateError as error:
        pytest.skip(f"{method} refuses: {error}"[:80])


def check(result, image, kernel, *, fill=0.0, dtype=None, **options):
    """Non-finite where a window sees a non-finite pixel or fill; elsewhere as if there were none."""
    spoilt = ~np.isfinite(image)
    taps = np.ones(np.shape(kernel), int)
    seen = oracle.exact(spoilt.astype(int), taps, fill=int(not np.isfinite(fill)), **options) > 0
    assert result.shape == seen.shape
    clean = np.where(spoilt, 0, image).astype(image.dtype)
    fill = fill if np.isfinite(fill) else 0.0
    truth = oracle.exact(clean, kernel, fill=fill, **options)
    if result.dtype.kind in "fc":
        lost = seen & np.isfinite(result)
        assert not lost.any(), f"{lost.sum()} outputs hide a non-finite pixel, the first at {np.argwhere(lost)[0]}"
        spread = ~seen & ~np.isfinite(result)
        assert not spread.any(), f"{spread.sum()} outputs are spoilt by a pixel outside their window"
    neutral = result.copy()
    rounded = truth if dtype is None else np.clip(np.rint(truth), 0, 255)
    neutral[seen] = rounded[seen].astype(result.dtype)
    oracle.check(neutral, clean, kernel, truth=truth, fill=fill, dtype=dtype, **options)


def fitting(method):
    """A kernel that the method is made for."""
    return {"box": np.full((3, 4), 0.25), "lowrank": low_rank(4, 5, 2)}.get(method, OUTER)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("value", BAD)
def test_every_tap_counts(method, kernel, value):
    """One bad pixel, at the rim or inside, zero taps included, valid and padded."""
    for at in [(0, 0), (5, 6), (10, 12), (3, 12)]:
        image = pixels(11, 13)
        image[at] = value
        for options in ({}, dict(padding="same", boundary="reflect"), dict(padding=2, stride=(2, 1))):
            check(call(image, KERNELS[kernel], method, **options), image, KERNELS[kernel], **options)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("dtype", [None, "uint8"])
def test_wide_images(method, kernel, dtype):
    """Bad pixels among whole blocks of good ones, which are written straight to the result."""
    image = pixels(23, 1300)
    for at, value in {(0, 0): np.nan, (5, 700): np.inf, (11, 64): -np.inf, (22, 1299): np.nan}.items():
        image[at] = value
    options = dict(padding="same", boundary="reflect", dtype=dtype)
    check(call(image, KERNELS[kernel], method, **options), image, KERNELS[kernel], **options)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_borders_repeat_bad_pixels(method, boundary):
    """A bad pixel shows wherever the border repeats it, also several times over, and nowhere else."""
    image = pixels(6, 7, dtype="float64")
    image[1, 5] = np.nan
    options = dict(padding=((9, 8), (11, 10)), boundary=boundary)
    check(call(image, fitting(method), method, **options), image, fitting(method), **options)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16"])
def test_nan_fill_of_integers(method, dtype):
    """Integer results that see a NaN of the padding are 0, in blocks as elsewhere."""
    image, kernel = pixels(20, 200, dtype="uint8"), dense(3, 4) / 9
    result = call(image, kernel, method, padding=2, fill=np.nan, dtype=dtype)
    assert not result[:2].any()
    assert not result[:, -2:].any()
    assert np.array_equal(result[2:-2, 2:-2], call(image, kernel, method, padding=2, dtype=dtype)[2:-2, 2:-2])


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("value", BAD)
def test_bad_fill(method, value):
    """A non-finite fill spoils the windows that reach into the padding, and only where there is padding."""
    image = pixels(9, 10)
    options = dict(padding=((2, 0), (0, 3)), fill=value)
    check(call(image, fitting(method), method, **options), image, fitting(method), **options)
    assert np.isfinite(call(image, fitting(method), method, fill=value)).all()
    assert np.isfinite(call(image, fitting(method), method, padding=2, boundary="edge", fill=value)).all()


@pytest.mark.parametrize("method", METHODS)
def test_gaps_of_a_dilated_kernel_see_nothing(method):
    """Pixels between dilated taps, and between strided windows, are not in any window."""
    for options in (dict(dilation=(2, 3)), dict(stride=(4, 5)), dict(stride=3, dilation=2, padding=4)):
        image = pixels(16, 20)
        image[::5, ::7] = np.inf
        image[3, 3] = np.nan
        check(call(image, fitting(method), method, **options), image, fitting(method), **options)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "complex64", "complex128"])
def test_every_float_dtype(method, dtype):
    """All floating images, both parts of complex ones."""
    image = pixels(9, 10, dtype=dtype)
    image[4, 4] = np.nan if image.dtype.kind == "f" else complex(0, np.inf)
    check(call(image, fitting(method), method), image, fitting(method))


@pytest.mark.parametrize("method", METHODS)
def test_many_bad_pixels(method):
    """Dust all over the image, whole rows, and an image with nothing finite."""
    rng = np.random.default_rng(5)
    image = pixels(40, 50)
    image[rng.random(image.shape) < 0.02] = np.nan
    image[17] = -np.inf
    check(call(image, fitting(method), method, padding="same"), image, fitting(method), padding="same")
    image[:] = np.nan
    assert not np.isfinite(call(image, fitting(method), method)).any()


@pytest.mark.parametrize("method", METHODS)
def test_batches_and_channels_keep_to_themselves(method):
    """A bad pixel in one picture or channel does not show in another; a mixing kernel spreads it to all."""
    image = pixels(3, 12, 13)
    image[1, 5, 6] = np.nan
    result = call(image, fitting(method), method)
    assert np.isnan(result[1]).sum() == fitting(method).size
    assert np.isfinite(result[[0, 2]]).all()
    last = np.moveaxis(image, 0, -1)
    assert np.isnan(call(last, fitting(method), method, channel_axis=-1)).sum() == fitting(method).size
    if method not in ("separable", "lowrank", "box"):
        mixed = call(image, dense(2, 3, 3, 4), method)
        assert np.isnan(mixed).sum(axis=(1, 2)).tolist() == [12, 12]


@pytest.mark.parametrize("method", [m for m in METHODS if m != "reference"])
@pytest.mark.parametrize("kernel", [gauss(31, 5.0), gauss(5, 1.0), dense(31, 31), mexican(25, 4.0), np.full((31, 22), 0.01)],
                         ids=["gauss31", "gauss5", "dense31", "rank2", "box"])  # fmt: skip
def test_larger_images(method, kernel):
    """Where transforms and tiles are used: only the windows that see a bad pixel change."""
    image = pixels(420, 530)
    for y, x, value in [(0, 0, np.nan), (200, 300, np.inf), (201, 301, -np.inf), (419, 100, np.nan), (90, 529, np.inf)]:
        image[y, x] = value
    result = call(image, kernel, method, padding="same", boundary="symmetric")
    options = dict(padding="same", boundary="symmetric")
    spoilt = oracle.exact((~np.isfinite(image)).astype(int), np.ones(kernel.shape, int), **options) > 0
    assert np.array_equal(~np.isfinite(result), spoilt)
    clean = call(np.where(np.isfinite(image), image, 0), kernel, method, **options)
    room = oracle.tolerance(np.where(np.isfinite(image), image, 0), kernel)
    assert (np.abs(result - clean)[~spoilt] <= room).all()


@pytest.mark.parametrize("method", METHODS)
def test_integer_targets_survive_bad_pixels(method):
    """Asking for uint8 of an image with NaN warns of nothing and keeps every output that does not see it."""
    image = (np.abs(pixels(9, 10)) * 50).astype("float32")
    image[4, 4] = np.nan
    kernel = np.outer([0.25, 0.5, 0.25], [0.25, 0.5, 0.25])
    check(call(image, kernel, method, dtype="uint8"), image, kernel, dtype="uint8")


@pytest.mark.parametrize("value", BAD)
def test_a_bad_tap_is_the_same_for_all_methods(value):
    """A NaN or Inf in the kernel is refused, or spoils every output: one rule for all methods."""
    kernel = OUTER.copy()
    kernel[1, 1] = value
    seen = set()
    for method in METHODS:
        try:
            result = corr2d.corr2d(np.abs(pixels(12, 13)), kernel, method=method)
        except NoCandidateError:
            continue  # the method alone
        except ValueError as error:
            assert "finite" in str(error)
            seen.add("refused")
        else:
            seen.add("spoilt" if not np.isfinite(result).any() else "hidden")
    assert seen in ({"refused"}, {"spoilt"})


@pytest.mark.parametrize("method", METHODS)
def test_finite_results_near_the_ceiling(method):
    """Finite pixels with a representable true value give it, although a partial sum leaves float32."""
    image = np.full((9, 10), 3e38, "float32")
    kernel = np.array([[1.0, 1.0, -1.0]])
    result = call(image, kernel, method)
    assert np.allclose(result, np.float32(3e38))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
def test_complex_pixels_of_infinite_modulus(method, dtype):
    """Both parts finite, their modulus not: such a pixel is as finite as its parts."""
    value = np.finfo(dtype).max * 0.8
    image = np.full((9, 10), complex(value, -value), dtype)
    result = call(image, fitting(method) * 0 + 0.01 if method == "box" else dense(3, 4) / 100, method)
    assert np.isfinite(result).all()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kernel", [np.full((5, 6), 1 / 30), (mexican(5, 1.0) + 0.2) / 4.1], ids=["box", "rank3"])
def test_finite_results_of_many_large_pixels(method, kernel):
    """Whatever order the pixels are added in, what fits comes out, in all widths of tiles."""
    for width in (7, 90):
        image = np.full((12, width), 3e38, "float32")
        wanted = oracle.exact(image, kernel)
        result = call(image, kernel, method)
        assert np.abs(wanted).max() < 3.3e38
        assert (np.abs(result - wanted) <= oracle.tolerance(image, kernel)).all()


@pytest.mark.parametrize("method", METHODS)
def test_overflow_touches_only_its_own_windows(method):
    """A finite pixel whose product overflows is infinite in its own outputs and in no other."""
    image = np.ones((60, 70), "float32")
    image[30, 30] = 3e38
    kernel = np.outer([1.0, 4.0, 1.0], [1.0, 4.0, 1.0])
    if method == "reference":
        image = image[20:45, 20:45]
    result = call(image, kernel, method)
    truth = oracle.exact(image, kernel)
    sees = np.abs(truth) > 1e30
    assert (np.isinf(result) == (np.abs(truth) > np.finfo("float32").max)).all()
    if method in ("direct", "separable", "reference"):
        assert (result[~sees] == 36).all()
    assert np.isfinite(result[~sees]).all()
