"""What goes in and what comes out: layouts, empties, aliases, foreign arrays, ``out`` over the image."""

import numpy as np
import pytest

import corr2d
import oracle
from cases import BOUNDARIES, DTYPES, dense, gauss, misaligned, pixels
from corr2d._errors import NoCandidateError, ShapeError
from corr2d.engines import CANDIDATES

METHODS = ["auto", *dict.fromkeys(candidate.method for candidate in CANDIDATES)]
K = np.outer(dense(1, 3), dense(1, 4))  # of rank one: every method takes it


def call(image, kernel, method, **options):
    """corr2d, or a skip with the reason where the method refuses."""
    try:
        return corr2d.corr2d(image, kernel, method=method, **options)
    except NoCandidateError as error:
        pytest.skip(f"{method} refuses: {error}"[:80])


# -------------------------------------------------------------------------------------------------
# empties


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", ["uint8", "float64", "complex64"])
def test_an_empty_batch_gives_an_empty_result(method, dtype):
    """No pictures in, no pictures out, of the right size and dtype."""
    for shape in [(0, 8, 9), (2, 0, 8, 9)]:
        result = call(np.empty(shape, dtype), K, method)
        assert result.shape == (*shape[:-2], 6, 6)
        assert result.dtype == oracle.result_dtype(dtype)
    assert call(np.empty((8, 9, 0), dtype), K, method, channel_axis=-1, padding="same").shape == (8, 9, 0)


def test_an_empty_batch_of_mixed_channels():
    """The same for kernels that mix channels, also with an out."""
    assert corr2d.corr2d(np.empty((0, 3, 8, 9)), dense(2, 3, 3, 3)).shape == (0, 2, 6, 7)
    assert corr2d.corr2d(np.empty((0, 8, 9, 3)), dense(2, 3, 3, 3), channel_axis=-1).shape == (0, 6, 7, 2)
    out = np.empty((0, 6, 6), "float32")
    assert corr2d.corr2d(np.empty((0, 8, 9), "float32"), K, out=out) is out


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("shape", [(0, 5), (5, 0), (0, 0), (2, 0, 5)])
def test_images_without_pixels(shape, boundary):
    """ "same" of nothing is nothing, whatever the boundary; a kernel does not fit into it otherwise."""
    result = corr2d.corr2d(np.empty(shape, "uint8"), K, padding="same", boundary=boundary)
    assert result.shape == shape
    assert result.dtype == np.float32
    with pytest.raises(ShapeError):
        corr2d.corr2d(np.empty(shape, "uint8"), K, boundary=boundary)


# -------------------------------------------------------------------------------------------------
# nobody's memory is touched


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8", "complex64"])
def test_the_image_is_never_written(method, dtype):
    """Image and kernel hold the same bytes afterwards, and the result is not a view of either."""
    for kernel in (K.copy(), np.ones((1, 1)), np.array([[1.0]], "float32")):
        image = pixels(12, 13, dtype=dtype)
        before = image.tobytes(), kernel.tobytes()
        result = call(image, kernel, method)
        assert (image.tobytes(), kernel.tobytes()) == before
        assert not np.shares_memory(result, image)
        assert not np.shares_memory(result, kernel)
        assert result.flags.writeable
        assert result.flags.owndata or result.base is not image


@pytest.mark.parametrize("method", METHODS)
def test_two_results_are_two_arrays(method):
    """A later call does not overwrite an earlier result, and a freed one's memory is not still in use."""
    images = [pixels(60, 70) + i for i in range(3)]
    results = [call(image, K, method) for image in images]
    copies = [r.copy() for r in results]
    for _ in range(4):
        call(images[0] * 2, K, method)
    assert all(np.array_equal(a, b) for a, b in zip(results, copies, strict=True))
    assert not np.shares_memory(results[0], results[1])


@pytest.mark.parametrize("method", METHODS)
def test_a_kernel_changed_in_place_is_another_kernel(method):
    """Facts about kernels are kept by content: the same array with other taps gives other results."""
    image, kernel = pixels(12, 13), K.copy()
    call(image, kernel, method)
    kernel *= -3
    oracle.check(call(image, kernel, method), image, kernel)
    kernel[:] = gauss(5, 1.0)[1:4, :4]
    if method != "separable":
        kernel[0, 0] = 5
    oracle.check(call(image, kernel, method), image, kernel)


def test_a_plan_keeps_the_kernel_it_was_made_of():
    """Changing the array after planning does not change the plan."""
    image, kernel = pixels(12, 13), K.copy()
    plan = corr2d.plan(image, kernel)
    kernel[:] = 0
    oracle.check(plan(image), image, K)


# -------------------------------------------------------------------------------------------------
# out


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", [d for d in DTYPES if d != "bool"])
def test_out_receives_and_returns_the_result(method, dtype):
    """out= takes the result of every target dtype, and is what comes back."""
    image = pixels(12, 13, dtype="uint8")
    out = np.empty((10, 10), dtype)
    assert call(image, K, method, out=out, dtype=dtype) is out
    oracle.check(out, image, K, dtype=dtype)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8", "complex64"])
def test_outs_of_every_layout(method, dtype):
    """F-order, reversed, every second pixel, misaligned, interleaved: only the out's own pixels change."""
    image = pixels(12, 13, dtype=dtype)
    target = dict(dtype="uint8") if dtype == "uint8" else {}
    wanted = call(image, K, method, **target)
    around = np.full((23, 27, 2), 7, wanted.dtype)
    outs = [
        np.empty((10, 10), wanted.dtype, order="F"),
        np.empty((10, 10), wanted.dtype)[::-1, ::-1],
        around[1:21:2, 25:5:-2, 1],
        misaligned(np.empty((10, 10), wanted.dtype)),
    ]
    for out in outs:
        assert call(image, K, method, out=out, **target) is out
        assert np.array_equal(out, wanted)
    mine = np.zeros(around.shape, bool)
    mine[1:21:2, 25:5:-2, 1] = True
    assert (around[~mine] == 7).all()


OVERLAPS = {
    "itself": lambda m: (m[5:45, 5:65], m[5:45, 5:65]),
    "one row up": lambda m: (m[5:45, 5:65], m[4:44, 5:65]),
    "one row down": lambda m: (m[5:45, 5:65], m[6:46, 5:65]),
    "one pixel left": lambda m: (m[5:45, 5:65], m[5:45, 4:64]),
    "one pixel right": lambda m: (m[5:45, 5:65], m[5:45, 6:66]),
    "upside down": lambda m: (m[5:45, 5:65], m[5:45, 5:65][::-1]),
    "mirrored": lambda m: (m[5:45, 5:65], m[5:45, 5:65][:, ::-1]),
    "transposed": lambda m: (m[:40, :40], m[:40, :40].T),
    "far diagonal": lambda m: (m[0:40, 0:60], m[9:49, 9:69]),
    "interleaved": lambda m: (m[::2, ::2], m[1::2, 1::2]),
    "denser": lambda m: (m[:40:2, :], m[:20, :]),
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("how", OVERLAPS)
def test_out_may_overlap_the_image(method, how):
    """However out lies over the image, the result is that of the image as it was."""
    for dtype, kernel in (("float32", K), ("float64", gauss(5, 1.0))):
        image, out = OVERLAPS[how](pixels(50, 70, dtype=dtype))
        before = image.copy()
        wanted = call(before, kernel, method, padding="same", boundary="symmetric")
        assert call(image, kernel, method, padding="same", boundary="symmetric", out=out) is out
        assert np.array_equal(out, wanted)


@pytest.mark.parametrize("method", [m for m in METHODS if m != "reference"])
@pytest.mark.parametrize("threads", [1, 3])
def test_out_may_be_a_large_image_itself(method, threads):
    """In place where many tiles and threads are at work."""
    for image, options in [
        (pixels(1100, 1300), {}), (pixels(300, 400, 3), dict(channel_axis=-1)), (pixels(3, 300, 400), {}),
        (pixels(900, 700, dtype="uint8"), dict(dtype="uint8")),
    ]:  # fmt: skip
        options = dict(options, padding="same", boundary="reflect", threads=threads)
        wanted = call(image.copy(), gauss(7, 1.4), method, **options)
        call(image, gauss(7, 1.4), method, out=image, **options)
        assert np.array_equal(image, wanted)


def test_out_may_overlap_an_image_of_another_dtype():
    """A float32 result over the bytes of its own uint8 image."""
    buffer = np.zeros(50 * 70, "float32")
    image = buffer.view("uint8")[: 50 * 70].reshape(50, 70)
    image[...] = pixels(50, 70, dtype="uint8")
    wanted = corr2d.corr2d(image.copy(), K, padding="same")
    out = buffer.reshape(50, 70)
    assert np.array_equal(corr2d.corr2d(image, K, padding="same", out=out), wanted)


def test_out_may_be_the_kernel():
    """Even the kernel's own memory: it has been read by then."""
    image, kernel = pixels(5, 5, dtype="float64"), dense(5, 5).copy()
    wanted = corr2d.corr2d(image, kernel, padding="same")
    assert np.array_equal(corr2d.corr2d(image, kernel, padding="same", out=kernel), wanted)


def test_out_of_a_mixing_kernel_may_overlap_the_image():
    """Channels in and channels out at the same place."""
    image = pixels(3, 20, 21)
    wanted = corr2d.corr2d(image.copy(), dense(3, 3, 3, 3), padding="same")
    assert np.array_equal(corr2d.corr2d(image, dense(3, 3, 3, 3), padding="same", out=image), wanted)


# -------------------------------------------------------------------------------------------------
# foreign arrays


class HasArray:
    """Anything with ``__array__``."""

    def __init__(self, array):
        self.array = array

    def __array__(self, dtype=None, copy=None):
        return self.array if dtype is None else self.array.astype(dtype)


class HasDLPack:
    """Anything with DLPack, and nothing else."""

    def __init__(self, array):
        self.array = array

    def __dlpack__(self, **options):
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()


@pytest.mark.parametrize("wrap", [HasArray, HasDLPack])
def test_anything_array_like_is_an_image(wrap):
    """__array__ and DLPack are understood, for image and kernel, and give NumPy arrays."""
    image = pixels(12, 13)
    result = corr2d.corr2d(wrap(image), K)
    assert type(result) is np.ndarray
    assert np.array_equal(result, corr2d.corr2d(image, K))
    assert np.array_equal(corr2d.corr2d(image, HasArray(K)), result)


def test_subclasses_and_memory_maps(tmp_path):
    """A memory-mapped image is read where it lies; the result is an ordinary array."""
    image = pixels(12, 13)
    np.save(tmp_path / "image.npy", image)
    mapped = np.load(tmp_path / "image.npy", mmap_mode="r")
    assert np.array_equal(corr2d.corr2d(mapped, K), corr2d.corr2d(image, K))


def test_kernels_of_every_type_are_the_same_kernel():
    """Precision follows the image, never how the kernel was typed."""
    image = pixels(12, 13)
    kernel = np.array([[1, 2, 1], [0, 5, -3]])
    wanted = corr2d.corr2d(image, kernel)
    for typed in (kernel.tolist(), tuple(map(tuple, kernel)), kernel.astype("float16"), kernel.astype("int8"),
                  kernel.astype(">f8"), np.asfortranarray(kernel), kernel[::-1][::-1], kernel.astype("float64")):  # fmt: skip
        result = corr2d.corr2d(image, typed)
        assert result.dtype == np.float32
        assert np.array_equal(result, wanted)
