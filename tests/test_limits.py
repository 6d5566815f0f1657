"""The ends of the scale: no memory left, more pixels than 2**31, strides beyond 4 GiB, reaches beyond any image."""

import os
import sys
from textwrap import dedent

import numpy as np
import pytest

import corr2d
import oracle
from cases import delta, dense, gauss, pixels
from corr2d._errors import Corr2dError, ShapeError
from machine import run_python

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_AS is kept by Linux alone")

# -------------------------------------------------------------------------------------------------
# no memory

STARVED = """
import resource, sys, threading
import numpy as np, corr2d
{before}
image, kernel, options = {problem}
out = np.zeros({out}, image.dtype)
corr2d.corr2d(np.ones((9, 9)), np.ones((2, 2)), method="direct")
corr2d.plan(image, kernel, **options)  # here, as OpenBLAS ends a process that has no memory for its buffers
if options.get("method") == "fft": import scipy.fft; scipy.fft.fft2(np.ones((4, 4)))
with open("/proc/self/statm") as pages:
    now = int(pages.read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (now + {room}, resource.RLIM_INFINITY))
try:
    corr2d.corr2d(image, kernel, out=out, **options)
except MemoryError:
    print("MemoryError")
else:
    print("finished")
resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
again = corr2d.corr2d(image, kernel, **options)
print(np.isfinite(again).all() and again.std() > 0, flush=True)
"""
HUNGRY = {  # working memory of many MiB, which is not there
    "direct": ("np.random.default_rng(1).random((512, 60, 700)), np.random.default_rng(2).random((1, 512, 3, 3)), dict(method='direct')", (1, 58, 698)),
    "separable": ("np.random.default_rng(1).random((2100, 600)), np.outer(np.random.default_rng(2).random(2000), [1, 3]), dict(method='separable')", (101, 599)),
    "the compiled transform": ("np.random.default_rng(1).random((1500, 1500)), np.random.default_rng(2).random((500, 500)), dict(method='fft', threads=1)", (1001, 1001)),
    "SciPy's transform": ("np.random.default_rng(1).random((1500, 1500)), np.random.default_rng(2).random((1000, 900)), dict(method='fft', threads=1)", (501, 601)),
    "the definition": ("np.random.default_rng(1).random((700, 700)), np.random.default_rng(2).random((2, 2)), dict(method='reference', stride=90)", (8, 8)),
}  # fmt: skip


@LINUX
@pytest.mark.parametrize("how", HUNGRY)
def test_no_memory_is_a_memory_error(how):
    """Where working memory cannot be had the call raises MemoryError, and the next one, with memory, is right."""
    problem, out = HUNGRY[how]
    answer = run_python(dedent(STARVED).format(problem=problem, out=out, room="(1 << 19)", before="")).split()
    assert answer == ["MemoryError", "True"]


@LINUX
def test_no_memory_for_threads():
    """Threads that the system does not give are done without."""
    problem = "np.random.default_rng(1).random((900, 900)), np.random.default_rng(2).random((3, 3)), dict(method='direct', threads=64)"
    before = "threading.stack_size(64 << 20)"
    answer = run_python(dedent(STARVED).format(problem=problem, out=(898, 898), room="(40 << 20)", before=before)).split()
    assert answer == ["finished", "True"]


@LINUX
def test_a_result_that_does_not_fit():
    """Neither does a result: MemoryError, from NumPy, before anything is computed."""
    image = np.broadcast_to(np.float32(1), (2**22, 2**22))
    with pytest.raises((MemoryError, ValueError)):
        corr2d.corr2d(image, np.ones((3, 3)), dtype="float64")


# -------------------------------------------------------------------------------------------------
# many pixels


@pytest.mark.parametrize("method", ["auto", "direct", "sparse", "separable"])
@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64"])
def test_more_pixels_than_a_32_bit_integer_counts(method, dtype):
    """70 000 x 70 000 pixels, all of them different along a row, seen through a stride."""
    ramp = (np.arange(70_000) % 251).astype(dtype)
    image = np.broadcast_to(ramp, (70_000, 70_000))
    kernel = np.array([[1, 0, 2], [0, 0, 0], [3, 0, 6]])
    result = corr2d.corr2d(image, kernel, stride=9_999, method=method)
    at = np.arange(0, 69_998, 9_999)
    wanted = np.tile(4 * ramp[at].astype(float) + 8 * ramp[at + 2].astype(float), (len(at), 1))
    assert result.shape == (len(at), len(at)) and np.array_equal(result, wanted)


@pytest.mark.parametrize("boundary", ["constant", *oracle.BOUNDARIES[1:]])
def test_the_largest_image_there_is(boundary):
    """2**31 x 2**31 pixels of one byte, and padding: positions are 64 bits wide everywhere."""
    image = np.broadcast_to(np.uint8(3), (2**31, 2**31))
    result = corr2d.corr2d(image, np.ones((2, 3), int), padding=((1, 0), (1, 1)), boundary=boundary, fill=5, stride=2**30)
    corner, top, left = (3 * 5 + 5 + 2 * 3, 3 * 5 + 9, 2 * (5 + 6)) if boundary == "constant" else (18, 18, 18)
    assert result.tolist() == [[corner, top], [left, 18]]


def test_long_batches_and_wide_dilations():
    """An axis of 2**40, and taps that lie 2**31 columns apart."""
    assert corr2d.corr2d(np.broadcast_to(np.uint8(1), (2**40, 0, 3)), np.ones((1, 2)), padding="same").shape == (2**40, 0, 3)
    rows = np.broadcast_to(np.array([[1], [2], [4]], "float32"), (3, 2**31 + 50))
    for method in ("auto", "direct", "sparse", "separable", "box"):
        result = corr2d.corr2d(rows, np.ones((2, 2)), dilation=(1, 2**31), method=method)
        assert result.tolist() == [[6] * 50, [12] * 50]
    far = corr2d.corr2d(np.arange(16.0).reshape(4, 4), np.ones((1, 4)), padding="full", dilation=(1, 2**40), stride=(1, 2**40))
    assert far[:, 3].tolist() == [0, 4, 8, 12]


@pytest.fixture(scope="module")
def sparse_file(tmp_path_factory):
    """12 GiB of zeros that take no room on the disk, with a few bytes among them."""
    path = tmp_path_factory.mktemp("large") / "image.raw"
    with open(path, "wb") as file:
        file.truncate(12 << 30)
    if os.stat(path).st_blocks > 1 << 16:
        pytest.skip("this file system has no sparse files")
    yield path
    path.unlink()


@pytest.mark.skipif(sys.platform == "win32", reason="files are not sparse by themselves there")
@pytest.mark.parametrize("method", ["auto", "direct", "sparse", "separable"])
def test_rows_of_more_than_4_gib(sparse_file, method):
    """A memory map of 2 rows of 6 GiB: strides beyond 32 bits, in steps through all of it."""
    image = np.memmap(sparse_file, np.uint8, "r+", shape=(2, 6 << 30))
    step = 1 << 26
    spots = {(0, 0): 7, (1, 1): 9, (0, 50 * step): 11, (1, 95 * step + 1): 200, (1, image.shape[1] - 1): 50}
    for at, value in spots.items():
        image[at] = value
    kernel = np.outer([1, 2], [1, 10])
    result = corr2d.corr2d(image, kernel, stride=(1, step), method=method)[0]
    wanted = np.zeros(96)
    wanted[[0, 50, 95]] = 7 + 180, 11, 200 * 20
    assert np.array_equal(result, wanted)


@pytest.mark.skipif(sys.platform == "win32", reason="files are not sparse by themselves there")
@pytest.mark.parametrize("method", ["auto", "direct", "sparse", "separable", "box", "fft", "reference"])
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_strides_of_more_than_4_gib(sparse_file, method, dtype):
    """Rows, columns and pictures that lie gigabytes apart, in images and in out."""
    image = pixels(2, 3, 40, dtype=dtype)
    item = image.dtype.itemsize
    memory = np.memmap(sparse_file, np.uint8, "r+")
    for strides in ((3 << 30, 1 << 30, item), (5 << 30, item * 64, item), (item, 4 << 30, item * 3), (-(5 << 30), 64 * item, item)):
        start = -strides[0] if strides[0] < 0 else 0
        far = np.lib.stride_tricks.as_strided(memory[start:].view(dtype), image.shape, strides)
        far[...] = image
        kernel = np.full((2, 3), 0.5)
        assert np.array_equal(corr2d.corr2d(far, kernel, method=method), corr2d.corr2d(image, kernel, method=method))
    out = np.lib.stride_tricks.as_strided(memory.view("float32"), (2, 2, 38), (5 << 30, 1 << 30, 4))
    corr2d.corr2d(image, kernel, method=method, out=out)
    assert np.array_equal(out, corr2d.corr2d(image, kernel, method=method))


# -------------------------------------------------------------------------------------------------
# absurd requests


@pytest.mark.parametrize("options", [
    dict(dilation=(2**23, 1), padding="full"), dict(dilation=2**40, padding=2**40, stride=2**40), dict(dilation=(1, 2**40), padding="full"),
], ids=str)  # fmt: skip
def test_reaches_beyond_any_image(options):
    """A kernel that reaches over more rows than a table of them may hold is refused, with the way out."""
    kernel = np.ones((2, 2)) if options["dilation"] != (1, 2**40) else np.ones((1, 5))
    with pytest.raises(ShapeError, match="reaches over .* one at a time"):
        corr2d.corr2d(np.ones((4, 4)), kernel, **options)


def test_absurd_numbers_are_answered_at_once():
    """Numbers that no image has are results, or errors of ours, not crashes of the machine's."""
    image = np.arange(16.0).reshape(4, 4)
    for number in (2**31, 2**33, 2**40, 2**63, 2**64, 10**30):
        for name in ("padding", "stride", "dilation", "threads"):
            try:
                corr2d.corr2d(image, dense(1, 1), **{name: number})
            except (Corr2dError, MemoryError) as error:
                assert "\n" not in str(error)
            except ValueError as error:
                assert "Maximum allowed" in str(error)  # NumPy's, of a result that no memory holds
    assert corr2d.plan((2**40, 2**40), gauss(3, 1.0)).method
    assert corr2d.corr2d(image, delta(1, 1, 0, 0), stride=2**40).tolist() == [[0]]
