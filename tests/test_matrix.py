"""Correlation as a matrix, as an operator with its adjoint, as windows: against the oracle, for every option."""

import time
from itertools import product

import numpy as np
import pytest

import corr2d
import oracle
from cases import BOUNDARIES, dense, pixels

PADDINGS = ("valid", "same", "full", 3, (0, 2), ((2, 9), (0, 8)))
LAYOUTS = [
    ((5, 6), (3, 3), None), ((7, 4), (2, 3), None), ((2, 5, 6), (3, 2), None), ((3, 5, 6), (4, 3, 2, 3), None),
    ((2, 3, 5, 6), (4, 3, 2, 3), None), ((5, 6, 3), (2, 2), -1), ((5, 6, 3), (4, 3, 2, 2), -1), ((3, 5, 6), (2, 2), 0),
    ((5, 3, 6), (2, 3, 2, 2), 1), ((2, 5, 6, 3), (2, 3, 2, 2), -1), ((5, 2, 6, 3), (2, 2), 0),
]  # fmt: skip
STEPS = [(1, 1), (2, 1), (1, 2), ((3, 1), (1, 3)), (5, 3), (7, 3)]


def problems(dtype="float64"):
    """Image, kernel and options of every combination that fits."""
    for (shape, kernel_shape, axis), padding, boundary, (stride, dilation) in product(LAYOUTS, PADDINGS, BOUNDARIES, STEPS):
        options = dict(padding=padding, boundary=boundary, stride=stride, dilation=dilation, channel_axis=axis)
        image, kernel = pixels(*shape, dtype=dtype), dense(*kernel_shape, dtype=dtype)
        try:
            corr2d.plan(image, kernel, **options)
        except corr2d.ShapeError:  # the kernel does not fit into this one
            continue
        yield image, kernel, options


def planes_first(array, axis):
    """The oracle keeps channels third from the end."""
    return array if axis is None else np.moveaxis(array, axis, -3)


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_matrix_times_image_is_the_definition(dtype):
    """A @ image is the oracle's exact sum, for every padding, boundary, stride, dilation and place of the channels."""
    for image, kernel, options in problems(dtype):
        axis = options["channel_axis"]
        rest = {name: value for name, value in options.items() if name != "channel_axis"}
        truth = oracle.exact(planes_first(image, axis), kernel, **rest)
        truth = truth if axis is None else np.moveaxis(truth, -3, axis)
        matrix = corr2d.as_matrix(kernel, image.shape, **options)
        assert matrix.shape == (truth.size, image.size)
        assert matrix.has_canonical_format
        assert matrix.dtype == dtype
        np.testing.assert_allclose(matrix @ image.ravel(), truth.ravel().astype(dtype), rtol=0, atol=1e-13 * np.abs(kernel).sum() * 4, err_msg=str(options))


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_the_operator_is_the_matrix_and_its_adjoint(dtype):
    """matvec is A, rmatvec is A's conjugate transpose: two ways to the same numbers."""
    for image, kernel, options in problems(dtype):
        matrix = corr2d.as_matrix(kernel, image.shape, **options)
        line = corr2d.as_linear_operator(kernel, image.shape, **options)
        assert line.shape == matrix.shape
        assert line.dtype == dtype
        g = pixels(matrix.shape[0], dtype=dtype)
        np.testing.assert_allclose(line @ image.ravel(), matrix @ image.ravel(), rtol=0, atol=1e-12)
        np.testing.assert_allclose(line.rmatvec(g), matrix.conj().T @ g, rtol=0, atol=1e-12, err_msg=str(options))


def test_anchors_are_options_too():
    """padding="same" with every anchor of an even kernel."""
    image, kernel = pixels(6, 7, dtype="float64"), dense(2, 4)
    for anchor in product(range(2), range(4)):
        options = dict(padding="same", anchor=anchor, boundary="reflect", stride=2)
        matrix = corr2d.as_matrix(kernel, image.shape, **options)
        np.testing.assert_allclose(matrix @ image.ravel(), corr2d.corr2d(image, kernel, **options).ravel(), atol=1e-12)


def test_the_operator_takes_blur_away():
    """What it is for: a least-squares solver finds the image again."""
    from scipy.sparse.linalg import lsqr

    image = pixels(12, 13, dtype="float64")
    line = corr2d.as_linear_operator(np.outer([1, 4, 1], [1, 5, 1]), image.shape, padding="same", boundary="reflect")
    found = lsqr(line, line @ image.ravel(), atol=1e-13, btol=1e-13, iter_lim=2000)[0]
    np.testing.assert_allclose(found.reshape(image.shape), image, atol=1e-6)


def test_a_real_operator_takes_complex_vectors():
    """SciPy's solvers mix them: real and imaginary part each get their due."""
    line = corr2d.as_linear_operator([[1.0, -2.0]], (3, 4))
    matrix = corr2d.as_matrix([[1.0, -2.0]], (3, 4))
    x, g = pixels(12, dtype="complex128"), pixels(9, dtype="complex128")
    np.testing.assert_allclose(line @ x, matrix @ x)
    np.testing.assert_allclose(line.H @ g, matrix.T @ g)


def test_zeros_are_not_stored_and_single_precision_stays():
    """A sparse matrix of a sparse kernel, in the dtype that was asked for."""
    matrix = corr2d.as_matrix([[0, 1, 0], [1, -4, 1], [0, 1, 0]], (8, 9), dtype="float32")
    assert matrix.nnz == 5 * 6 * 7
    assert matrix.dtype == np.float32
    assert matrix.indices.dtype == np.int32


def test_a_large_matrix_takes_less_than_a_second():
    """512 x 512 pixels under 5 x 5 taps: built sparse, row by row."""
    start = time.perf_counter()
    matrix = corr2d.as_matrix(dense(5, 5), (512, 512), padding="same", boundary="reflect")
    assert time.perf_counter() - start < 5  # under 0.5 s on a quiet machine; a dense detour would need 500 GB
    assert matrix.nnz > 25 * 508 * 508


def test_windows():
    """im2col @ kernel is the correlation; against torch's unfold too, in its order."""
    for image, kernel, options in problems():
        if kernel.ndim != 2 or options.pop("channel_axis") is not None:
            continue
        windows = corr2d.im2col(image, kernel.shape, **options)
        truth = oracle.exact(image, kernel, **options).astype(float)
        np.testing.assert_allclose(windows @ kernel.ravel(), truth.reshape(*image.shape[:-2], -1), atol=1e-12)
    torch = pytest.importorskip("torch")
    image = pixels(8, 9)
    theirs = torch.nn.functional.unfold(torch.from_numpy(image)[None, None], (3, 2), dilation=2, padding=(1, 3), stride=2)
    assert np.array_equal(corr2d.im2col(image, (3, 2), dilation=2, padding=(1, 3), stride=2), theirs[0].T.numpy())


def test_windows_hold_the_images_own_samples():
    """Integers stay integers, the fill among them; the result is no view."""
    image = np.arange(12, dtype=np.uint8).reshape(3, 4)
    windows = corr2d.im2col(image, 3, padding="same", fill=7)
    assert windows.dtype == np.uint8
    assert windows[0].tolist() == [7, 7, 7, 7, 0, 1, 7, 4, 5]
    whole = corr2d.im2col(image, (1, 1))
    whole[...] = 0
    assert image[2, 3] == 11


@pytest.mark.parametrize(("call", "error", "words"), [
    (lambda: corr2d.as_matrix([[1.0]], (4, 4), fill=2), ValueError, r"fill=2 adds a constant.*fill=0"),
    (lambda: corr2d.as_matrix(corr2d.Kernel([[1.0]], bias=3), (4, 4)), ValueError, r"bias of 3.*weights"),
    (lambda: corr2d.as_matrix([[1.0]], (4, 4), dtype="uint8"), TypeError, r"'uint8'.*float64"),
    (lambda: corr2d.as_matrix([[1j]], (4, 4), dtype="float32"), TypeError, r"'float32'.*complex128"),
    (lambda: corr2d.as_matrix([[1.0]], (4, 4), dtype="flat32"), TypeError, r"'flat32' is not a data type"),
    (lambda: corr2d.as_matrix([[1.0]], 4), ValueError, r"image_shape=4.*\(480, 640\)"),
    (lambda: corr2d.as_matrix([[1.0]], (4, 4), out=1), TypeError, r"no out"),
    (lambda: corr2d.as_matrix([[1.0]], (4, 4), paddin="same"), TypeError, r"'paddin'.*padding"),
    (lambda: corr2d.as_matrix(np.ones((3, 3)), (2, 2)), ValueError, r"does not fit"),
    (lambda: corr2d.as_linear_operator([[1.0]], (4, 4), fill=1), ValueError, r"fill=1"),
    (lambda: corr2d.im2col(np.ones((4, 4)), "3"), ValueError, r"size='3'"),
    (lambda: corr2d.im2col(np.ones((4, 4)), (0, 1)), ValueError, r"at least one"),
    (lambda: corr2d.im2col(np.ones((4, 4)), (3, 3, 3)), ValueError, r"pair"),
    (lambda: corr2d.im2col(np.ones((4, 4), int), 3, padding=1, fill=0.5), ValueError, r"fill=0.5.*astype"),
    (lambda: corr2d.im2col(np.ones((4, 4, 3)), 3, channel_axis=-1), TypeError, r"no channel_axis"),
])  # fmt: skip
def test_what_cannot_be_says_so(call, error, words):
    """Each with what came, what is accepted and the way out."""
    with pytest.raises(error, match=words):
        call()
