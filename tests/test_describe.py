"""describe: names of a table of kernels under scale, sign, transpose, margins and noise; and its numbers."""

import json

import numpy as np
import pytest

from corr2d import Kernel, corr2d, describe, kernels
from corr2d._errors import DTypeError, OptionError, ShapeError

K = kernels

# What is expected: the family, and the parameters (as far as they are said) that the kernel was made with.
TABLE = [
    (K.identity(), "identity", {}),
    (K.box(3), "box", {"h": 3, "w": 3}), (K.box(1, 5), "box", {"w": 5}), (K.box(7, 4), "box", {"h": 7, "w": 4}),
    (K.binomial(3), "binomial", {"h": 3}), (K.binomial(4), "binomial", {"h": 4}), (K.binomial(5), "binomial", {"h": 5}), (K.binomial(9), "binomial", {"h": 9}),
    (K.gaussian(0.6), "gaussian", {"sigma_x": 0.6}), (K.gaussian(1.5), "gaussian", {"sigma_y": 1.5, "sigma_x": 1.5}),
    (K.gaussian(3, truncate=3), "gaussian", {"sigma_x": 3}), (K.gaussian((1, 2.2)), "gaussian", {"sigma_y": 1, "sigma_x": 2.2}),
    (K.gaussian(2, order=(0, 1)), "gaussian", {"sigma_x": 2}), (K.gaussian(1.5, order=(2, 0)), "gaussian", {"sigma_y": 1.5}),
    (K.gaussian(1.3, order=(1, 1)), "gaussian", {"sigma_y": 1.3}),
    (K.sobel(1), "sobel", {"axis": 1}), (K.sobel(0) / 8, "sobel", {"axis": 0}), (K.scharr(1), "scharr", {"axis": 1}), (K.scharr(0), "scharr", {"axis": 0}),
    (K.prewitt(1), "prewitt", {"axis": 1}), (K.roberts(1), "roberts", {"axis": 1}), (K.roberts(0), "roberts", {"axis": 0}),
    (K.farid(1), "farid", {"axis": 1}), (K.farid(0), "farid", {"axis": 0}),
    *[(K.kirsch(d), "kirsch", {"direction": d}) for d in ("N", "NE", "E", "SW")],
    (K.compass("E"), "compass", {}), (K.compass("SE"), "compass", {}),
    (K.laplacian(), "laplacian", {"points": 5}), (K.laplacian(9), "laplacian", {"points": 9}), (Kernel(1 - 9 * np.pad([[1]], 1)), "laplacian", {"points": 8}),
    (K.sharpen(), "sharpen", {"amount": 1}), (K.sharpen(0.3), "sharpen", {"amount": 0.3}), (Kernel(9 * np.pad([[2]], 1) - 1) / 9, "sharpen", {"amount": 1}),
    (K.unsharp(1.2, 0.8), "unsharp", {"sigma": 1.2, "amount": 0.8}), (K.unsharp(2, 1.5), "unsharp", {"sigma": 2, "amount": 1.5}),
    (K.emboss(), "emboss", {"angle": 135}), (K.emboss(30), "emboss", {"angle": 30}),
    (K.log(1.4), "log", {"sigma": 1.4}), (K.log(2), "log", {"sigma": 2}), (K.dog(1, 1.6), "dog", {"s1": 1, "s2": 1.6}), (K.dog(1.5, 3), "dog", {"s1": 1.5, "s2": 3}),
    (K.gabor(8, 30), "gabor", {"wavelength": 8, "angle": 30}), (K.gabor(6, 120, sigma=3, aspect=0.5, phase=90), "gabor", {"wavelength": 6, "sigma": 3, "aspect": 0.5}),
    (K.gabor(10), "gabor", {"wavelength": 10, "angle": 0}), (K.gabor(5, 45, sigma=4, phase=30), "gabor", {"phase": 30}),
    (K.disk(3), "disk", {"r": 3}), (K.disk(4.3), "disk", {"r": 4.3}), (K.disk(3, edge="hard"), "disk", {}), (K.disk(5.2, edge="hard"), "disk", {}),
    (K.motion(9, 30), "motion", {"length": 9, "angle": 30}), (K.motion(15, 45), "motion", {"length": 15, "angle": 45}),
    (K.motion(7.5, 110), "motion", {"length": 7.5, "angle": 110}), (K.motion(9.6), "motion", {"length": 9.6}),
    (K.directional(30), "directional", {"angle": 30}), (K.directional((1, 2)), "directional", {}), (K.directional(30, order=2), "directional", {"angle": 30}),
    (K.derivative(dx=1), "derivative", {"order": 1, "axis": "x", "accuracy": 2}), (K.derivative(dy=1, accuracy=4), "derivative", {"axis": "y", "accuracy": 4}),
    (K.derivative(dx=3, accuracy=4), "derivative", {"order": 3}), (K.derivative(1, 1), "derivative", {"dy": 1, "dx": 1}),
    (K.derivative(dx=1, accuracy=2, scheme="forward"), "derivative", {"accuracy": 2}), (K.derivative(dx=2), "smallest_derivative", {"order": 2}),
    (K.smallest_derivative(1), "smallest_derivative", {"order": 1}), (K.smallest_derivative(3), "smallest_derivative", {"order": 3}),
    (K.integral(5, "simpson"), "integral", {"rule": "simpson"}), (K.integral(6, "trapezoid"), "integral", {"rule": "trapezoid", "n": 6}), (K.integral(6), "box", {"w": 6}),
    (K.savgol(5, 2), "savgol", {"window": (5, 5), "degree": 2}), (K.savgol(7, 4, order=(2, 0)), "savgol", {"order": (2, 0)}), (K.savgol((1, 9), 4), "savgol", {"degree": 4}),
    (K.lanczos(2), "lanczos", {"factor": 2}), (K.shift(0.3, -1.25), "shift", {"dy": 0.3, "dx": -1.25}), (K.shift(0.2, 0.7, method="cubic"), "shift", {"dx": 0.7}),
    (K.moffat(2, 4.765), "moffat", {"gamma": 2, "alpha": 4.765}), (K.airy(3), "airy", {"radius": 3}), (K.airy(2.2, size=15), "airy", {"radius": 2.2}),
]  # fmt: skip
ONE_WAY = {"kirsch", "compass", "emboss", "directional", "roberts"}  # what a transpose or a sign turns into another of them


def noisy(k, amount=1e-6):
    return amount * np.abs(k).max() * np.random.default_rng(k.size).standard_normal(k.shape)


CHANGES = {
    "itself": lambda k: k,
    "scaled": lambda k: 3.7 * k,
    "tiny": lambda k: 1e-200 * k,
    "negated": lambda k: -k,
    "transposed": lambda k: k.T,
    "padded": lambda k: np.pad(k, ((2, 2), (3, 3))),
    "noisy": lambda k: k + noisy(k),
    "padded and noisy": lambda k: np.pad(k, 2) + noisy(np.pad(k, 2)),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize(("kernel", "family", "parameters"), TABLE, ids=lambda v: v.name or None if isinstance(v, Kernel) else None)
def test_names(kernel, family, parameters, change):
    weights = CHANGES[change](kernel.weights)
    grown = (np.array(weights.shape) - kernel.weights.shape) // 2 if change.startswith("padded") else (0, 0)
    anchor = None if kernel.anchor is None or change == "transposed" else tuple(int(a + g) for a, g in zip(kernel.anchor, grown, strict=True))
    if weights.shape[0] % 2 == 0 and change.startswith("padded"):
        anchor = tuple(int((n - 1) // 2 + g) for n, g in zip(kernel.shape, grown, strict=True))
    d = describe(Kernel(weights, anchor=anchor))
    assert d.family == family, d.name
    assert d.confidence > 0.9
    assert "\n" not in d.name
    if change in ("itself", "noisy", "padded"):
        for name, value in parameters.items():
            assert d.parameters[name] == (pytest.approx(value, rel=2e-4, abs=2e-3) if isinstance(value, float | int) else value)
    if family not in ONE_WAY and change == "scaled":
        assert d.scale == pytest.approx(3.7 * describe(kernel).scale, rel=1e-5)


def test_the_table_is_long_enough():
    assert len(TABLE) >= 60


@pytest.mark.parametrize("shape", [(1, 2), (2, 1), (1, 3), (2, 2), (3, 3), (5, 5), (4, 4), (1, 7), (7, 7), (31, 31)])
def test_random_kernels_have_no_name(shape):
    """Not one of thirty normal ones, and none of their products of a column and a row that are larger than 2 × 2."""
    rng = np.random.default_rng(sum(shape))
    for _ in range(30):
        for weights in (rng.standard_normal(shape), rng.random(shape), np.outer(rng.random(shape[0]), rng.random(shape[1]))):
            d = describe(weights)
            assert d.name == "no known family", weights
            assert d.family is None and d.confidence == 0
            assert "no known family" in str(d)


@pytest.mark.parametrize(
    ("weights", "name"),
    [
        (K.sobel(1) / 8, "Sobel, x-derivative, scaled by 1/8"),
        (K.gaussian(1.5), "Gaussian σ = 1.50, truncated at 4σ"),
        (K.laplacian(), "5-point Laplacian"),
        (K.unsharp(1.2, 0.8), "unsharp mask, σ = 1.20, amount 0.80"),
        (K.motion(9, 30), "motion blur, 9 px at 30°"),
        ([[1, -1]], "difference of neighbours along x, scaled by −1"),
        ([[0, 0, 0], [0, 0, 1], [0, 0, 0]], "shift of the picture by 1 px left"),
        ([[0, 0], [0, 0]], "zero kernel: every output is 0"),
        ([[4.0]], "identity, scaled by 4"),
    ],
)
def test_names_as_they_are_read(weights, name):
    assert describe(weights).name == name


def test_a_name_that_is_nearly_right_says_so():
    bent = K.gaussian(2).weights * (1 + 0.004 * np.cos(np.arange(17)))
    d = describe(bent)
    assert d.name.startswith("close to Gaussian σ = ")
    assert not d.names[0].exact
    assert 0.5 < d.confidence < 0.95
    assert "it is not that kernel itself" in str(d)


@pytest.mark.parametrize(
    ("kernel", "family"), [(K.sobel(1), "sobel"), (K.gaussian(1.2), "gaussian"), (K.unsharp(1, 1), "unsharp"), (K.box(3), "box"), (K.laplacian(9), "laplacian")]
)
@pytest.mark.parametrize("error", [1e-4, 3e-3])
def test_learnt_kernels_are_named_by_their_standard_errors(kernel, family, error):
    weights = np.pad(kernel.weights, 1)
    stderr = error * np.abs(weights).max() * (1 + np.random.default_rng(1).random(weights.shape))
    for seed in range(5):
        learnt = weights + stderr * np.random.default_rng(seed).standard_normal(weights.shape)
        assert describe(learnt, tolerance=stderr).family == family


def test_a_stated_name_is_not_believed():
    assert describe(Kernel(K.sobel(1), name="gaussian")).family == "sobel"


# -- numbers -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kernel", "derivative", "accuracy", "operator"),
    [
        (K.identity(), 0, None, {(0, 0): 1}),
        (K.gaussian(1.5), 0, 2, {(0, 0): 1}),
        (K.sobel(1), 1, 2, {(0, 1): 8}),
        (K.derivative(dx=1, accuracy=6), 1, 6, {(0, 1): 1}),
        (K.derivative(dy=2, accuracy=4), 2, 4, {(2, 0): 1}),
        (K.derivative(dx=1, accuracy=3, scheme="forward"), 1, 3, {(0, 1): 1}),
        (K.derivative(1, 1), 2, 2, {(1, 1): 1}),
        (Kernel([[1, -1]]), 1, 1, {(0, 1): -1}),
        (K.laplacian(9), 2, 2, {(2, 0): 1, (0, 2): 1}),
        (K.savgol(7, 4), 0, 6, {(0, 0): 1}),
        (K.shift(0.5, 0.25, method="cubic"), 0, 1, {(0, 0): 1}),
        (K.smallest_derivative(5), 5, 1, {(0, 5): 1}),
    ],
)
def test_orders(kernel, derivative, accuracy, operator):
    d = describe(kernel)
    assert (d.derivative_order, d.accuracy_order) == (derivative, accuracy)
    assert d.operator == {n: pytest.approx(c) for n, c in operator.items()}


@pytest.mark.parametrize("kernel", [K.derivative(dx=1), K.derivative(dy=2, accuracy=4), K.gaussian(0.7), K.laplacian(), K.laplacian(9), K.sobel(1), Kernel([[1.0, -1.0]])])
def test_the_leading_error_is_the_one_that_corr2d_makes(kernel):
    """Filtering y^p x^q, all terms of Taylor's series but one vanish at 0."""
    d = describe(kernel)
    y, x = np.mgrid[-9:10, -9:10].astype(float)
    total = d.derivative_order + d.accuracy_order
    for p in range(total + 1):
        q = total - p
        made = corr2d(y**p * x**q, kernel, padding="same")[9, 9]
        expected = d.error_term.get((p, q), 0.0) * np.prod([float(n) for n in range(1, p + 1)]) * np.prod([float(n) for n in range(1, q + 1)])
        assert made == pytest.approx(expected, abs=1e-10)


def test_gain_moments_and_noise():
    w = np.random.default_rng(2).standard_normal((4, 5))
    d = describe(Kernel(w, anchor=(3, 1)))
    y, x = np.mgrid[:4, :5] - np.array([3, 1])[:, None, None]
    assert d.gain == pytest.approx(w.sum())
    assert d.moments[2, 1] == pytest.approx((w * y**2 * x).sum())
    assert set(d.moments) == {(p, q) for p in range(5) for q in range(5 - p)}
    noise = np.random.default_rng(3).standard_normal((800, 800))
    assert corr2d(noise, w).std() == pytest.approx(d.noise_gain, rel=0.02)


def test_rank_factors_and_zeros():
    d = describe(K.sobel(0))
    assert (d.rank, d.zeros) == (1, 3)
    np.testing.assert_allclose(np.outer(*d.factors), K.sobel(0), atol=1e-14)
    assert describe(K.log(2)).rank == 2
    d = describe(np.random.default_rng(1).standard_normal((5, 4)))
    assert d.rank == 4 and d.factors is None and d.rank_residual > 0.1


@pytest.mark.parametrize(
    ("weights", "group"),
    [
        (K.gaussian(1), "D4"), (K.sobel(1), "D2"), (K.box(3, 5), "D2"), (K.motion(9, 30), "C2"), ([[3, 1], [4, 1]], "C1"), (K.derivative(dx=1, scheme="forward"), "D1"),
        ([[0, 1, 0], [-1, 0, 1], [0, -1, 0]], "D2"), ([[1, 2, 3], [3, 0, 3], [3, 2, 1]], "C2"), ([[1, 2, 1], [0, 0, 2], [1, 0, 1]], "D1"),
        ([[0, 1, 2, 0], [2, 0, 0, 1], [1, 0, 0, 2], [0, 2, 1, 0]], "C4"),
    ],
)  # fmt: skip
def test_symmetry_groups(weights, group):
    d = describe(weights)
    assert d.symmetries.group == group
    assert d.symmetry


def test_smoothing_scale_and_orientation():
    d = describe(K.gaussian((1, 3)))
    assert d.smoothing_scale == pytest.approx((3, 1), rel=1e-2)
    assert d.orientation == pytest.approx(0)
    assert describe(K.motion(9, 30)).orientation == pytest.approx(30, abs=0.5)
    assert describe(K.gaussian(2)).orientation is None
    assert describe(K.directional(30)).orientation == pytest.approx(30)
    assert describe(K.directional(120, order=2)).orientation == pytest.approx(120)
    assert describe(K.box(2)).centre_of_mass == (0.5, 0.5)
    assert describe(K.sobel(1)).centre_of_mass is None


def test_the_frequency_response_is_what_waves_get():
    k = K.gabor(6, 40)
    d = describe(k)
    fy, fx = 0.07, -0.11
    y, x = np.mgrid[-20:21, -20:21]
    wave = np.exp(2j * np.pi * (fy * y + fx * x))
    assert corr2d(wave, k, padding="same")[20, 20] == pytest.approx(complex(d.frequency_response(fy, fx)), abs=1e-12)
    assert d.frequency_response(np.zeros((3, 1)), np.zeros(4)).shape == (3, 4)


def test_bands():
    low, high = describe(K.gaussian((1e-9, 4.0))).response.cutoff_x
    assert (low, high) == (0, pytest.approx(np.sqrt(np.log(2)) / (2 * np.pi * 4), rel=2e-3))  # exp(-2π²σ²f²) = 1/√2
    low, high = describe(K.derivative(dx=1)).response.cutoff_x
    assert (low, high) == (pytest.approx(0.125, abs=1e-3), pytest.approx(0.375, abs=1e-3))  # sin 2πf
    assert describe(K.derivative(dx=1)).response.cutoff_y is None


def test_invertibility():
    assert describe(K.sharpen()).invertible
    assert not describe(K.box(4)).invertible
    assert not describe(K.sobel(1)).invertible


@pytest.mark.parametrize(
    ("weights", "text"),
    [
        (K.binomial(3), "[1 2 1; 2 4 2; 1 2 1] / 16"), (K.laplacian(9), "[1 4 1; 4 -20 4; 1 4 1] / 6"), ([[0.3, -0.6]], "[3 -6] / 10"), ([[2.0, 4]], "[2 4]"),
        (K.derivative(dx=1, accuracy=4), "[1 -8 0 8 -1] / 12"), (K.savgol((1, 5), 2), "[-3 12 17 12 -3] / 35"),
        (K.binomial(3).weights + 1e-7 * np.random.default_rng(1).random((3, 3)), "[1 2 1; 2 4 2; 1 2 1] / 16"),
    ],
)  # fmt: skip
def test_rational_forms(weights, text):
    assert str(describe(weights).rational) == text


def test_no_rational_form_is_made_up():
    assert describe(K.gaussian(1.3)).rational is None
    assert describe(np.random.default_rng(0).random((3, 3))).rational is None


def test_the_dict_is_json_and_complete():
    record = json.loads(json.dumps(describe(K.sobel(1)).to_dict(), allow_nan=False))
    assert {"name", "family", "confidence", "gain", "rank", "symmetry", "derivative_order", "accuracy_order", "noise_gain", "moments", "response", "rational", "cost_ns_per_pixel"} <= record.keys()
    assert record["cost_ns_per_pixel"]["direct"] > 0


@pytest.mark.parametrize("kernel", [k for k, *_ in TABLE[::6]] + [[[0.0]], [[1e-300, 0]], [[3, 1], [4, 1]]], ids=str)
def test_words_come_first_and_numbers_after(kernel):
    d = describe(kernel)
    words, _, numbers = str(d).partition("\n\n")[2].partition("\n\n")
    assert words.endswith(".") and "gain" in numbers and d.name in str(d)
    assert "nan" not in str(d) and "e+0" not in words


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: describe(np.ones((2, 3, 3, 3))), ShapeError, r"6 kernels; describe one of them"),
        (lambda: describe([[1j, 2]]), DTypeError, "complex; describe its parts"),
        (lambda: describe([1, 2]), ShapeError, r"kernel\[None, :\]"),
        (lambda: describe([[np.nan]]), OptionError, "NaN or infinity"),
        (lambda: describe("sobel"), DTypeError, "cannot be the text"),
        (lambda: describe([[1, 2]], tolerance=-1), OptionError, "below 0"),
        (lambda: describe([[1, 2]], tolerance=np.ones((2, 2))), ShapeError, r"tolerance has shape \(2, 2\)"),
        (lambda: describe([[1, 2]], tolerance="small"), DTypeError, "neither a number nor"),
    ],
)
def test_refusals(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize("scale", [1e300, 1e160, 1e-160, 1e-300])
def test_weights_whose_squares_leave_the_range(scale):
    """No warning, and the answers of the same kernel at any other scale."""
    weights = np.array([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]])
    d, same = describe(scale * weights), describe(weights)
    assert (d.rank, d.derivative_order, d.accuracy_order, d.symmetry) == (same.rank, same.derivative_order, same.accuracy_order, same.symmetry)
    assert d.noise_gain == pytest.approx(scale * same.noise_gain, rel=1e-12)
    assert "Flat areas become 0." in str(d) and d.to_dict()["rank"] == 1
