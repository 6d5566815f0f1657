"""Designs against libraries that know some of them, and against polynomials through `corr2d` itself."""

import math
from fractions import Fraction

import cv2
import numpy as np
import pytest
from scipy import ndimage, signal

from corr2d import Kernel, corr2d, kernels
from corr2d._errors import OptionError, ShapeError
from machine import run_python

close = dict(rtol=0, atol=1e-14)


def spot(side=41):
    image = np.zeros((side, side))
    image[side // 2, side // 2] = 1.0
    return image


def on_spot(kernel, side=41):
    """The kernel as a rival shows it on an impulse: correlation turns it."""
    return corr2d(spot(side), kernel, padding="same")


# -- against other libraries -------------------------------------------------------------------


@pytest.mark.parametrize("order", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("accuracy", [2, 4, 6, 8])
def test_derivatives_are_findiffs(order, accuracy):
    findiff = pytest.importorskip("findiff")
    for scheme, name in (("central", "center"), ("forward", "forward"), ("backward", "backward")):
        theirs = findiff.coefficients(deriv=order, acc=accuracy)[name]
        expected = dict(zip(map(int, theirs["offsets"]), map(float, theirs["coefficients"]), strict=True))
        ours = kernels.derivative(dx=order, accuracy=accuracy, scheme=scheme)
        middle = ours.anchor[1] if ours.anchor else ours.shape[1] // 2
        got = {i - middle: w for i, w in enumerate(ours.weights[0]) if w}
        for offset in expected.keys() | got.keys():
            # Ours are exact; theirs solve the same system in float64.
            assert got.get(offset, 0) == pytest.approx(expected.get(offset, 0), rel=1e-4, abs=1e-7), (scheme, offset)


@pytest.mark.parametrize("sigma", [0.8, 1.5, 3.0])
def test_log_is_scipys(sigma):
    np.testing.assert_allclose(on_spot(kernels.log(sigma)), ndimage.gaussian_laplace(spot(), sigma, mode="constant"), **close)


@pytest.mark.parametrize("axis", [0, 1])
def test_sobel_and_prewitt_are_scipys(axis):
    for ours, theirs in ((kernels.sobel, ndimage.sobel), (kernels.prewitt, ndimage.prewitt)):
        np.testing.assert_array_equal(on_spot(ours(axis)), theirs(spot(), axis=axis, mode="constant"))


@pytest.mark.parametrize(("window", "degree", "order"), [(5, 2, 0), (7, 3, 1), (9, 4, 2), (21, 6, 3), (3, 2, 2)])
def test_one_row_of_savgol_is_scipys(window, degree, order):
    expected = signal.savgol_coeffs(window, degree, deriv=order, use="dot")
    ours = kernels.savgol((1, window), degree, order=(0, order)).weights[0]
    np.testing.assert_allclose(ours, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("window", "degree", "order"), [((5, 5), 2, (0, 0)), ((7, 5), 3, (1, 1)), ((9, 7), 4, (2, 0))])
def test_savgol_is_the_least_squares_fit(window, degree, order):
    """numpy.linalg.lstsq on the same monomials."""
    y, x = np.mgrid[: window[0], : window[1]] - np.array([n // 2 for n in window])[:, None, None]
    powers = [(p, q) for p in range(degree + 1) for q in range(degree + 1 - p)]
    design = np.array([(y**p * x**q).ravel() for p, q in powers], float).T
    row = np.linalg.pinv(design)[powers.index(order)] * math.factorial(order[0]) * math.factorial(order[1])
    np.testing.assert_allclose(kernels.savgol(window, degree, order=order), row.reshape(window), rtol=0, atol=1e-12)


@pytest.mark.parametrize(("angle", "phase"), [(0, 0), (30, 0), (75, 90), (120, 40)])
def test_gabor_is_opencvs(angle, phase):
    ours = kernels.gabor(7, angle, sigma=3, aspect=0.7, phase=phase).weights
    side = max(ours.shape)
    # OpenCV stores the kernel turned by 180°, and its angle runs the other way round.
    theirs = cv2.getGaborKernel((side, side), 3, math.radians(-angle), 7, 0.7, math.radians(phase))[::-1, ::-1]
    cut = [(side - n) // 2 for n in ours.shape]
    theirs = theirs[cut[0] : side - cut[0], cut[1] : side - cut[1]]
    envelope = cv2.getGaborKernel((side, side), 3, math.radians(-angle), 1e12, 0.7, 0)[::-1, ::-1]
    envelope = envelope[cut[0] : side - cut[0], cut[1] : side - cut[1]]
    np.testing.assert_allclose(ours, theirs / envelope.sum(), rtol=0, atol=1e-9)


def test_binomial_scharr_laplacian_and_box_are_opencvs():
    image = spot(15)
    expected = cv2.Scharr(image, cv2.CV_64F, 1, 0, borderType=cv2.BORDER_CONSTANT)
    np.testing.assert_array_equal(on_spot(kernels.scharr(1), 15), expected)
    np.testing.assert_array_equal(on_spot(kernels.laplacian(), 15), cv2.Laplacian(image, cv2.CV_64F, borderType=cv2.BORDER_CONSTANT))
    np.testing.assert_allclose(on_spot(kernels.box(3, 5), 15), cv2.blur(image, (5, 3), borderType=cv2.BORDER_CONSTANT), **close)
    smooth = corr2d(image, kernels.binomial(5), padding="same", boundary="reflect")
    np.testing.assert_allclose(cv2.pyrDown(image), smooth[::2, ::2], **close)


@pytest.mark.parametrize("axis", [0, 1])
def test_edges_are_scikit_images(axis):
    filters = pytest.importorskip("skimage.filters")
    for name, scale in (("sobel", 8), ("scharr", 32), ("prewitt", 6), ("farid", 2)):
        vertical = axis == 1  # their "v" finds vertical edges: it differentiates along x
        theirs = getattr(filters, f"{name}_{'v' if vertical else 'h'}")(spot(15))
        ours = on_spot(getattr(kernels, name)(axis), 15)
        ratio = theirs[6, 6] / ours[6, 6]
        assert abs(ratio) == pytest.approx(2 / scale, rel=1e-9)
        np.testing.assert_allclose(theirs, ratio * ours, rtol=0, atol=1e-13)


def test_dog_is_scikit_images():
    filters = pytest.importorskip("skimage.filters")
    expected = filters.difference_of_gaussians(spot(), 1.5, 2.4, mode="constant")
    np.testing.assert_allclose(on_spot(kernels.dog(1.5, 2.4)), expected, **close)


def test_unsharp_is_scikit_images():
    filters = pytest.importorskip("skimage.filters")
    image = np.random.default_rng(3).random((40, 40))
    expected = filters.unsharp_mask(image, radius=1.5, amount=0.8, preserve_range=True)
    ours = corr2d(image, kernels.unsharp(1.5, 0.8), padding="same", boundary="symmetric")
    np.testing.assert_allclose(ours[8:-8, 8:-8], expected[8:-8, 8:-8], rtol=0, atol=1e-12)


def test_stars_and_disks_are_astropys():
    convolution = pytest.importorskip("astropy.convolution")
    for ours, theirs in (
        (kernels.moffat(2.5, 3.0, size=21), convolution.Moffat2DKernel(2.5, 3.0, x_size=21, y_size=21)),
        (kernels.airy(3.2, size=21), convolution.AiryDisk2DKernel(3.2, x_size=21, y_size=21)),
        (kernels.disk(4, edge="hard"), convolution.Tophat2DKernel(4, x_size=9, y_size=9)),
    ):
        np.testing.assert_allclose(ours, theirs.array / theirs.array.sum(), rtol=0, atol=1e-12)


@pytest.mark.parametrize("shift", [(0.3, -0.6), (0.5, 0.5), (-1.25, 2.0)])
def test_linear_and_cubic_shifts_are_scipys_and_keys(shift):
    image = np.random.default_rng(5).random((24, 26))
    inner = np.s_[5:-5, 5:-5]
    ours = corr2d(image, kernels.shift(*shift, method="linear"), padding="same")
    np.testing.assert_allclose(ours[inner], ndimage.shift(image, shift, order=1)[inner], rtol=0, atol=1e-12)
    y, x = np.mgrid[:24.0, :26.0]
    quadratic = 3 * y**2 - x**2 + 2 * y * x + y
    moved = 3 * (y - shift[0]) ** 2 - (x - shift[1]) ** 2 + 2 * (y - shift[0]) * (x - shift[1]) + (y - shift[0])
    ours = corr2d(quadratic, kernels.shift(*shift, method="cubic"), padding="same")
    np.testing.assert_allclose(ours[inner], moved[inner], rtol=0, atol=1e-10)


# -- areas, lengths and polynomials ------------------------------------------------------------


@pytest.mark.parametrize("r", [0.3, 0.5, 0.8, 1.0, 2.5, 4.3, 11.7])
def test_disk_weights_are_areas(r):
    """Against 200 × 200 samples in each pixel, and the disk's own area."""
    weights = kernels.disk(r).weights
    half, n = weights.shape[0] // 2, 200
    t = (np.arange((2 * half + 1) * n) + 0.5) / n - half - 0.5
    inside = (t[:, None] ** 2 + t**2 <= r * r).reshape(2 * half + 1, n, 2 * half + 1, n).mean(axis=(1, 3))
    np.testing.assert_allclose(weights, inside / (math.pi * r * r), rtol=0, atol=1e-3 / max(r * r, 0.3))
    assert weights[half, half] == pytest.approx(min(1, 1 / (math.pi * r * r)) if r >= math.sqrt(0.5) or r <= 0.5 else weights[half, half])


@pytest.mark.parametrize(("length", "angle"), [(9, 0), (9, 30), (7.5, 110), (15, 45), (0.5, 10), (12, 90), (5, -30)])
def test_motion_weights_are_lengths(length, angle):
    """Against a million points on the path, each in the pixel where it lies."""
    weights = kernels.motion(length, angle).weights
    t = (np.arange(1_000_000) + 0.5) / 1e6 * length - length / 2
    rows, columns = (np.rint(t * part).astype(int) for part in (-math.sin(math.radians(angle)), math.cos(math.radians(angle))))
    ry, rx = (n // 2 for n in weights.shape)
    counted = np.zeros((2 * ry + 5, 2 * rx + 5))
    np.add.at(counted, (rows + ry + 2, columns + rx + 2), 1e-6)
    np.testing.assert_allclose(np.pad(weights, 2), counted, rtol=0, atol=3e-6)


@pytest.mark.parametrize(("dy", "dx"), [(0, 1), (1, 0), (2, 0), (1, 1), (2, 1), (0, 3), (2, 2)])
@pytest.mark.parametrize("accuracy", [2, 4, 6])
@pytest.mark.parametrize("scheme", ["central", "forward", "backward"])
def test_derivatives_are_exact_on_polynomials(dy, dx, accuracy, scheme):
    """Through corr2d, on every monomial that the accuracy promises; and not on the next."""
    kernel = kernels.derivative(dy, dx, accuracy=accuracy, scheme=scheme)
    side = 2 * max(kernel.shape) + 1
    y, x = np.mgrid[:side, :side] - side // 2
    middle = side // 2
    for p in range(dy + accuracy):
        for q in range(dx + accuracy):
            value = corr2d((y**p * x**q).astype(float), kernel, padding="same")[middle, middle]
            exact = math.factorial(dy) * math.factorial(dx) * ((p, q) == (dy, dx))
            assert value == pytest.approx(exact, abs=1e-9 * max(1.0, side ** (p + q) * 1e-3)), (p, q)
    order = dx + accuracy if dx else dy + accuracy
    beyond = (x**order * y**dy if dx else y**order * x**dx).astype(float)
    assert abs(corr2d(beyond, kernel, padding="same")[middle, middle]) > 1e-3


def test_spacing_divides():
    assert kernels.derivative(dx=2, spacing=0.5) == 4 * kernels.derivative(dx=2)
    np.testing.assert_allclose(kernels.derivative(1, 2, spacing=(2, 10)), kernels.derivative(1, 2).weights / 200, rtol=1e-15)


@pytest.mark.parametrize("order", range(9))
def test_the_smallest_derivative(order):
    kernel = kernels.smallest_derivative(order)
    assert kernel.shape == (1, order + 1)
    x = np.arange(12.0)[None]
    for power in range(order):
        np.testing.assert_array_equal(corr2d(x**power, kernel), 0)
    np.testing.assert_array_equal(corr2d(x**order, kernel), math.factorial(order))


@pytest.mark.parametrize("angle", [0, 30, 45, 90, 135, 200, -60])
def test_directional_derivatives_of_polynomials(angle):
    y, x = np.mgrid[-4.0:5, -4.0:5]
    u, v = -math.sin(math.radians(angle)), math.cos(math.radians(angle))
    first, second = (corr2d(2 * x + 3 * y, kernels.directional(angle)), corr2d(x**2 + 3 * x * y - y**2, kernels.directional(angle, order=2)))
    np.testing.assert_allclose(first, 2 * v + 3 * u, rtol=0, atol=1e-12)
    np.testing.assert_allclose(second, 2 * v * v + 6 * u * v - 2 * u * u, rtol=0, atol=1e-12)
    vector = kernels.directional((u, v))
    np.testing.assert_allclose(vector, kernels.directional(angle), rtol=0, atol=1e-15)


@pytest.mark.parametrize(("rule", "n", "degree"), [("box", 5, 0), ("trapezoid", 6, 1), ("simpson", 7, 3), ("simpson", 3, 3)])
def test_integrals_of_polynomials(rule, n, degree):
    kernel, length = kernels.integral(n, rule), n if rule == "box" else n - 1
    for power in range(degree + 2):
        got = float(corr2d(np.arange(float(n))[None] ** power, kernel)[0, 0])
        exact = length if rule == "box" else Fraction(length ** (power + 1), power + 1)
        assert (got == pytest.approx(float(exact), rel=1e-14)) == (power <= degree)


def test_compass_masks_turn():
    for design in (kernels.kirsch, kernels.compass):
        for a, b in (("E", "N"), ("N", "W"), ("NE", "NW"), ("W", "S"), ("SE", "NE")):
            np.testing.assert_array_equal(np.rot90(design(a).weights), design(b))
    assert kernels.kirsch("ne") == kernels.kirsch("NE")


@pytest.mark.parametrize(
    "kernel",
    [
        kernels.binomial(7), kernels.disk(3.3), kernels.motion(9, 33), kernels.moffat(2, 3), kernels.airy(2), kernels.unsharp(1, 2),
        kernels.emboss(20), kernels.shift(0.3, 0.4), kernels.lanczos(2.5), kernels.savgol(7, 4), kernels.gaussian(2), kernels.box(3),
    ],
    ids=lambda k: k.name,
)  # fmt: skip
def test_what_keeps_brightness_sums_to_one(kernel):
    assert kernel.weights.sum() == pytest.approx(1, abs=1e-14)


def test_gabor_answers_to_its_own_stripes_most():
    y, x = np.mgrid[-30.0:31, -30.0:31]

    def strongest(angle):
        wave = np.cos(2 * np.pi / 8 * (x * math.cos(math.radians(angle)) - y * math.sin(math.radians(angle))))
        return np.abs(corr2d(wave, kernels.gabor(8, 30))).max()

    assert strongest(30) == pytest.approx(0.5, abs=0.01)
    assert strongest(-30) < 0.05


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: kernels.derivative(dx=1, accuracy=3), OptionError, "accuracy=3 is odd.*use 4, or scheme='forward'"),
        (lambda: kernels.derivative(dx=-1), OptionError, "dx=-1 must be 0 or more"),
        (lambda: kernels.derivative(dx=1, scheme="centred"), OptionError, "scheme='centred' is not known; choose central"),
        (lambda: kernels.derivative(dx=1, spacing=0), OptionError, "spacing=0 must be above 0"),
        (lambda: kernels.derivative(dx=200), OptionError, "needs 201 taps, and above 129"),
        (lambda: kernels.smallest_derivative(1.5), OptionError, "order=1.5 is not a whole number"),
        (lambda: kernels.directional((0, 0)), OptionError, "has no direction"),
        (lambda: kernels.directional(30, order=3), OptionError, "order=3: a directional derivative is of order 1 or 2"),
        (lambda: kernels.savgol(4, 2), OptionError, "window=4 is even.*use 3 or 5"),
        (lambda: kernels.savgol(3, 4), OptionError, "3 rows, which do not determine a polynomial of degree 4; use 5"),
        (lambda: kernels.savgol(5, 1, order=2), OptionError, "is 0; use degree=4"),
        (lambda: kernels.integral(4, "simpson"), OptionError, "takes an odd number of points from 3; use 5"),
        (lambda: kernels.integral(1, "trapezoid"), OptionError, "two ends"),
        (lambda: kernels.kirsch("up"), OptionError, "direction='up' is not known; choose E, NE"),
        (lambda: kernels.log(0), OptionError, "sigma=0 must be above 0"),
        (lambda: kernels.dog(2, 2), OptionError, "leaves nothing"),
        (lambda: kernels.gabor(1), OptionError, "below 2 pixels"),
        (lambda: kernels.disk(-1), OptionError, "r=-1 must be above 0"),
        (lambda: kernels.disk(5000), OptionError, "more than 4096 taps"),
        (lambda: kernels.motion(0), OptionError, "length=0 must be above 0"),
        (lambda: kernels.moffat(2, 1), OptionError, "infinitely much light"),
        (lambda: kernels.airy(2, size=4), OptionError, "size=4 is even"),
        (lambda: kernels.lanczos(0.5), OptionError, "would enlarge"),
        (lambda: kernels.shift(1e9), OptionError, "more than 4096 taps"),
        (lambda: kernels.binomial(5000), ShapeError, "above 4096 taps"),
        (lambda: kernels.unsharp(1, np.nan), OptionError, "amount=nan is not finite"),
    ],
)
def test_the_impossible_is_refused_with_a_reason(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_designing_needs_numpy_only():
    code = "import sys, corr2d.kernels as k; k.gabor(8), k.savgol(5, 2), k.shift(0.5), k.disk(3)\n"
    code += "print(*[m for m in ('scipy.special', 'scipy.ndimage', 'scipy.signal', 'scipy.optimize', 'matplotlib', 'cv2', 'torch') if m in sys.modules])"
    assert run_python(code).split() == []


# -- where a kernel came from ------------------------------------------------------------------


def test_a_design_remembers_its_call_through_algebra_and_files(tmp_path):
    kernel = kernels.gaussian(np.float64(1.5), order=(0, 1))
    assert kernel.source == "corr2d.kernels.gaussian(sigma=1.5, order=(0, 1))"
    made = (2 * kernel.T @ kernels.box(3)).flip() / 4
    made.save(tmp_path / "k.json")
    loaded = Kernel.load(tmp_path / "k.json")
    assert loaded == made
    assert (loaded.source, loaded.anchor) == (made.source, made.anchor)
    import corr2d as package

    assert eval(loaded.source, {"corr2d": package}) == made  # noqa: S307 (our own text)


def test_files_of_another_orientation_are_refused(tmp_path):
    path = tmp_path / "k.json"
    kernels.sobel(1).save(path)
    path.write_text(path.read_text().replace('"correlation"', '"convolution"'))
    with pytest.raises(OptionError, match="orientation 'convolution' is not 'correlation'"):
        Kernel.load(path)
