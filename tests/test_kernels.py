"""The presets: their weights, what they do to polynomials, what they refuse."""

import inspect

import numpy as np
import pytest
from scipy import ndimage

from corr2d import corr2d, kernels
from corr2d._errors import OptionError, ShapeError
from corr2d.kernel import Kernel

Y, X = np.mgrid[-8.0:9, -8.0:9]
EVERY = [
    kernels.identity(),
    kernels.box(3, 4),
    kernels.gaussian(1.3),
    kernels.gaussian((0.7, 2), order=(1, 0)),
    kernels.sobel(0),
    kernels.sobel(1),
    kernels.scharr(0),
    kernels.scharr(1),
    kernels.laplacian(),
    kernels.laplacian(points=9),
    kernels.sharpen(2),
]


@pytest.mark.parametrize("kernel", EVERY, ids=lambda k: k.name)
def test_every_preset_is_a_named_float64_kernel(kernel):
    assert isinstance(kernel, Kernel)
    assert kernel.dtype == np.float64
    assert kernel.ndim == 2
    assert kernel.name
    assert (kernel.anchor, kernel.bias) == (None, 0.0)


def test_weights_as_printed_in_textbooks():
    sobel, scharr = [[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]], [[-3, 0, 3], [-10, 0, 10], [-3, 0, 3]]
    np.testing.assert_array_equal(kernels.sobel(1), sobel)
    np.testing.assert_array_equal(kernels.sobel(0), np.transpose(sobel))
    np.testing.assert_array_equal(kernels.scharr(1), scharr)
    np.testing.assert_array_equal(kernels.scharr(0), np.transpose(scharr))
    np.testing.assert_array_equal(kernels.laplacian(), [[0, 1, 0], [1, -4, 1], [0, 1, 0]])
    np.testing.assert_array_equal(kernels.laplacian(9) * 6, [[1, 4, 1], [4, -20, 4], [1, 4, 1]])
    np.testing.assert_array_equal(kernels.sharpen(), [[0, -1, 0], [-1, 5, -1], [0, -1, 0]])
    np.testing.assert_array_equal(kernels.sharpen(0), [[0, 0, 0], [0, 1, 0], [0, 0, 0]])
    np.testing.assert_array_equal(kernels.identity(), [[1]])
    np.testing.assert_array_equal(kernels.box(2), np.full((2, 2), 0.25))


@pytest.mark.parametrize(
    ("kernel", "slope"), [(kernels.sobel, 8), (kernels.scharr, 32)], ids=["sobel", "scharr"]
)
def test_first_derivatives_of_ramps(kernel, slope):
    np.testing.assert_array_equal(corr2d(X, kernel(1)), slope)
    np.testing.assert_array_equal(corr2d(Y, kernel(1)), 0)
    np.testing.assert_array_equal(corr2d(Y, kernel(0)), slope)
    np.testing.assert_array_equal(corr2d(X, kernel(0)), 0)


@pytest.mark.parametrize("points", [5, 9])
def test_laplacian_is_exact_on_quadratics(points):
    image = 3 * X**2 - 2 * Y**2 + 5 * X * Y + 7 * X + 11
    np.testing.assert_allclose(corr2d(image, kernels.laplacian(points)), 2, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    "kernel", [kernels.box(7, 3), kernels.gaussian(2.5), kernels.gaussian((0.4, 5), truncate=3), kernels.sharpen(0.3)]
)
def test_smoothing_and_sharpening_keep_flat_images(kernel):
    assert kernel.weights.sum() == pytest.approx(1, abs=1e-15)


@pytest.mark.parametrize("sigma", [0.6, 1.0, 2.5, (1.5, 0.8)])
@pytest.mark.parametrize("order", [0, 1, 2, 3, (0, 1), (1, 0), (2, 1)])
def test_gaussian_is_scipys(sigma, order):
    spot = np.zeros((41, 41))
    spot[20, 20] = 1.0
    expected = ndimage.gaussian_filter(spot, sigma, order=order, mode="constant")
    np.testing.assert_allclose(
        corr2d(spot, kernels.gaussian(sigma, order=order), padding="same"), expected, rtol=0, atol=1e-15
    )


def test_gaussian_derivative_is_positive_where_the_image_grows():
    slope = corr2d(X, kernels.gaussian(1.0, order=(0, 1)))
    np.testing.assert_allclose(slope, 1, rtol=2e-3)
    np.testing.assert_allclose(corr2d(Y, kernels.gaussian(1.0, order=(0, 1))), 0, atol=1e-14)


def test_gaussian_size_follows_truncate():
    assert kernels.gaussian(2).shape == (17, 17)
    assert kernels.gaussian((2, 1), truncate=3).shape == (13, 7)
    assert kernels.gaussian(1e-300).weights.tolist() == [[1.0]]


def test_gaussian_is_separable():
    assert np.linalg.matrix_rank(kernels.gaussian(3, order=(2, 1)).weights) == 1


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: kernels.sobel(2), OptionError, "axis=2 is not an image axis; 1 is x"),
        (lambda: kernels.scharr("x"), OptionError, "axis='x' is not an image axis"),
        (lambda: kernels.laplacian(6), OptionError, "points=6.*choose 5 or 9"),
        (lambda: kernels.gaussian(0), OptionError, "sigma=0 must be above 0"),
        (lambda: kernels.gaussian(-1), OptionError, "sigma=-1 must be above 0"),
        (lambda: kernels.gaussian((1, 0)), OptionError, "sigma=0 must be above 0"),
        (lambda: kernels.gaussian(np.nan), OptionError, "sigma=nan is not finite"),
        (lambda: kernels.gaussian(np.inf), OptionError, "sigma=inf is not finite"),
        (lambda: kernels.gaussian("2"), OptionError, "sigma='2' is text"),
        (lambda: kernels.gaussian((1, 2, 3)), OptionError, "neither one number nor a pair"),
        (lambda: kernels.gaussian(1, truncate=0), OptionError, "truncate=0 must be above 0"),
        (lambda: kernels.gaussian(1, order=-1), OptionError, "order=-1 must be 0 or more"),
        (lambda: kernels.gaussian(1, order=(0, 1.5)), OptionError, "order=1.5 is not a whole number"),
        (lambda: kernels.gaussian(0.1, order=1), OptionError, "1 taps a side; a derivative of order 1 needs 2"),
        (lambda: kernels.gaussian(600), OptionError, "more than 4096 taps a side"),
        (lambda: kernels.gaussian(1e308, truncate=1e308), OptionError, "more than 4096 taps a side"),
        (lambda: kernels.box(0), OptionError, "h=0 must be 1 or more"),
        (lambda: kernels.box(3, 2.5), OptionError, "w=2.5 is not a whole number"),
        (lambda: kernels.box(4097), ShapeError, "h=4097 is above 4096 taps"),
        (lambda: kernels.sharpen(np.inf), OptionError, "amount=inf is not finite"),
        (lambda: kernels.sharpen("a lot"), OptionError, "amount='a lot' is not a number"),
    ],
)
def test_nonsense_is_refused_with_a_reason(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_the_largest_kernels_are_made():
    assert kernels.box(1, 4096).shape == (1, 4096)
    assert kernels.gaussian((0.1, 511)).shape == (1, 4089)


def test_every_public_name_is_documented_with_an_example():
    for name in kernels.__all__:
        assert ">>>" in inspect.getdoc(getattr(kernels, name)), name
