"""Laws that hold for every image, kernel and option, tried by hypothesis on many small problems."""

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import corr2d
import oracle
from cases import BOUNDARIES, BY_NAME
from corr2d._errors import NoCandidateError

law = settings(derandomize=True, deadline=None, max_examples=120, database=None,
               suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])  # fmt: skip
METHODS = ("auto", "auto", "direct", "fft", "separable")


def array(draw, shape, dtype="float64", rank_one=False):
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    if rank_one:
        return np.outer(array(draw, shape[:1]), array(draw, shape[1:]))
    if np.dtype(dtype).kind in "iu":
        return rng.integers(0, 100, shape).astype(dtype)
    return rng.standard_normal(shape).astype(dtype)


@st.composite
def problems(draw, dtypes=("float64", "float32", "uint8"), max_batch=0, complex_=False):
    """``(image, kernel, options)`` in which the kernel fits; every option the contract has but channels."""
    h, w = draw(st.tuples(st.integers(1, 10), st.integers(1, 12)))
    kernel_shape = draw(st.tuples(st.integers(1, 6), st.integers(1, 6)))
    method = draw(st.sampled_from(METHODS))
    width = st.integers(0, 15)
    padding = draw(st.one_of(
        st.sampled_from(["valid", "same", "same", "full"]), width, st.tuples(width, width),
        st.tuples(st.tuples(width, width), st.tuples(width, width)),
    ))  # fmt: skip
    step = st.one_of(st.integers(1, 3), st.tuples(st.integers(1, 4), st.integers(1, 4)))
    options = dict(padding=padding, boundary=draw(st.sampled_from(BOUNDARIES)), stride=draw(step), dilation=draw(step))
    if padding == "same" and draw(st.booleans()):
        options["anchor"] = tuple(draw(st.integers(0, n - 1)) for n in kernel_shape)
    axes = oracle.geometry((h, w), kernel_shape, **{k: v for k, v in options.items() if k != "boundary"})
    assume(min(axes[0][-1], axes[1][-1]) >= 1)
    batch = draw(st.lists(st.integers(1, 3), max_size=max_batch))
    image = array(draw, (*batch, h, w), draw(st.sampled_from(dtypes)))
    kernel = array(draw, kernel_shape, rank_one=method == "separable")
    if complex_:
        kernel = kernel + 1j * array(draw, kernel_shape)
        assume(method != "separable")
    return image, kernel, options | dict(method=method)


def assert_close(a, b, image, kernel, times=2):
    """Equal within ``times`` the accuracy bound: both sides may be off by one."""
    room = times * oracle.tolerance(image, kernel)
    assert a.shape == b.shape
    assert np.abs(np.asarray(a) - np.asarray(b)).max(initial=0) <= room


def without_method(options):
    return {k: v for k, v in options.items() if k != "method"}


def apply(image, kernel, options, function=corr2d.corr2d):
    try:
        return function(image, kernel, **options)
    except NoCandidateError:
        assume(False)


@law
@given(problems(max_batch=2))
def test_the_contract(problem):
    """Every problem that hypothesis thinks of, against the oracle."""
    image, kernel, options = problem
    oracle.check(apply(image, kernel, options), image, kernel, **without_method(options))


@law
@given(problems(dtypes=("float64", "complex64", "complex128", "float32", "int16"), complex_=True))
def test_the_contract_in_complex_numbers(problem):
    """The same with complex kernels: corr2d conjugates them, convolve2d does not."""
    image, kernel, options = problem
    plain = without_method(options)
    oracle.check(apply(image, kernel, options), image, kernel, **plain)
    turned = apply(image, kernel, options, corr2d.convolve2d)
    oracle.check(turned, image, kernel, convolve=True, **plain)


@law
@given(problems(dtypes=("float64",)), st.integers(0, 99))
def test_adjoint(problem, seed):
    """<A x, y> == <x, A* y> with the oracle's adjoint: every pixel is read as often as the map says."""
    image, kernel, options = problem
    result = apply(image, kernel, options)
    y = np.random.default_rng(seed).standard_normal(result.shape)
    back = oracle.adjoint(y, kernel, image.shape, **without_method(options))
    left, right = np.vdot(result, y), float((back * image).sum())
    assert abs(left - right) <= float(oracle.tolerance(image, kernel) * np.abs(y).sum())


@law
@given(problems(dtypes=("float64",)), st.floats(-4, 4), st.integers(0, 99))
def test_linear_in_the_image(problem, a, seed):
    """f(a x + y) == a f(x) + f(y)."""
    x, kernel, options = problem
    y = np.random.default_rng(seed).standard_normal(x.shape)
    both = apply(a * x + y, kernel, options)
    assert_close(both, a * apply(x, kernel, options) + apply(y, kernel, options), np.abs(a * x) + np.abs(y), kernel, 4)


@law
@given(problems(dtypes=("float64",)), st.integers(0, 99))
def test_linear_in_the_kernel(problem, seed):
    """f(k) + f(l) == f(k + l)."""
    image, k, options = problem
    assume(options["method"] != "separable")
    other = np.random.default_rng(seed).standard_normal(k.shape)
    both = apply(image, k + other, options)
    assert_close(both, apply(image, k, options) + apply(image, other, options), image, np.abs(k) + np.abs(other), 4)


@law
@given(problems(), st.integers(-5, 5), st.integers(-5, 5))
def test_shift_covariance(problem, dy, dx):
    """A periodic image shifted is the result shifted."""
    image, kernel, options = problem
    options = options | dict(padding="same", boundary="wrap", stride=1)
    shifted = apply(np.roll(image, (dy, dx), (-2, -1)), kernel, options)
    assert_close(shifted, np.roll(apply(image, kernel, options), (dy, dx), (-2, -1)), image, kernel)


@law
@given(problems(dtypes=("float64", "float32", "uint8", "int16")), st.data())
def test_delta_kernel(problem, data):
    """One tap of one picks pixels: the image, moved; exactly so for direct and for integers."""
    image, kernel, options = problem
    at = tuple(data.draw(st.integers(0, n - 1)) for n in kernel.shape)
    tap = np.zeros(kernel.shape)
    tap[at] = 1
    result = apply(image, tap, options)
    wanted = oracle.exact(image, tap, **without_method(options)).astype(result.dtype)
    if options["method"] == "direct" or image.dtype.kind in "iu":
        assert np.array_equal(result, wanted)
    else:
        assert_close(result, wanted, image, tap, 1)


@law
@given(problems(max_batch=1))
def test_convolution_is_correlation_turned(problem):
    """convolve2d(x, k, anchor a) == corr2d(x, k turned, anchor n-1-a), for every border."""
    image, kernel, options = problem
    turned = dict(options)
    if "anchor" in options:
        turned["anchor"] = tuple(n - 1 - a for n, a in zip(kernel.shape, options["anchor"], strict=True))
    elif options["padding"] == "same":  # the default turns too: the larger half first
        reach = [d * (n - 1) for n, d in zip(kernel.shape, oracle.pair(options["dilation"]), strict=True)]
        turned["padding"] = tuple((r - r // 2, r // 2) for r in reach)
    a = apply(image, kernel, options, corr2d.convolve2d)
    b = apply(image, kernel[::-1, ::-1], turned)
    assert_close(a, b, image, kernel)


@law
@given(st.integers(1, 6), st.integers(1, 6), st.sampled_from(BOUNDARIES))
def test_the_default_anchor_turned(kh, kw, boundary):
    """Without dilation: corr2d's default is ((kh-1)//2, (kw-1)//2), and convolve2d's turned kernel has the other half."""
    image, kernel = np.arange(63.0).reshape(7, 9) ** 1.5, np.arange(kh * kw, dtype=float).reshape(kh, kw) + 1
    options = dict(padding="same", boundary=boundary)
    explicit = corr2d.corr2d(image, kernel, anchor=((kh - 1) // 2, (kw - 1) // 2), **options)
    assert_close(corr2d.corr2d(image, kernel, **options), explicit, image, kernel)
    turned = corr2d.corr2d(image, kernel[::-1, ::-1], anchor=(kh // 2, kw // 2), **options)
    assert_close(corr2d.convolve2d(image, kernel, **options), turned, image, kernel)


@law
@given(problems(max_batch=2))
def test_batch_is_a_loop(problem):
    """A batch gives what its pictures give one by one."""
    image, kernel, options = problem
    batch = apply(image, kernel, options)
    for index in np.ndindex(image.shape[:-2]):
        assert_close(batch[index], apply(image[index], kernel, options), image, kernel)


@law
@given(problems(dtypes=("float64",)), st.integers(-200, 200))
def test_powers_of_two_scale_through(problem, e):
    """No absolute epsilon anywhere: f(x, 2**e k) == 2**e f(x, k), to the bit for direct."""
    image, kernel, options = problem
    plain, scaled = apply(image, kernel, options), apply(image, kernel * 2.0**e, options)
    if options["method"] == "direct":
        assert np.array_equal(scaled, plain * 2.0**e)
    assert_close(scaled * 2.0**-e, plain, image, kernel)
    assert_close(apply(image * 2.0**e, kernel, options) * 2.0**-e, plain, image, kernel)


@law
@given(problems(max_batch=1), st.integers(0, 3))
def test_out_has_the_same_bits(problem, how):
    """out= changes where the result goes, not what it is; C order, F order, reversed, inside a larger array."""
    image, kernel, options = problem
    wanted = apply(image, kernel, options)
    shape = wanted.shape
    out = [
        np.empty(shape, wanted.dtype), np.empty(shape[::-1], wanted.dtype).T, np.empty(shape, wanted.dtype)[..., ::-1],
        np.empty((*shape[:-1], 2 * shape[-1] + 1), wanted.dtype)[..., 1::2],
    ][how]  # fmt: skip
    assert apply(image, kernel, options | dict(out=out)) is out
    assert np.array_equal(out, wanted)


@law
@given(problems(dtypes=("float32", "uint8")), st.integers(1, 5), st.integers(-3, 2), st.integers(-3, 2))
def test_channel_axis_moves(problem, channels, one, other):
    """Moving the channel axis and naming it where it went commute."""
    image, kernel, options = problem
    stack = np.stack([np.roll(image, c, -1) for c in range(channels)])
    a = apply(np.moveaxis(stack, 0, one), kernel, options | dict(channel_axis=one))
    b = apply(np.moveaxis(stack, 0, other), kernel, options | dict(channel_axis=other))
    assert_close(np.moveaxis(a, one, 0), np.moveaxis(b, other, 0), image, kernel)
    assert_close(np.moveaxis(a, one, 0)[0], apply(image, kernel, options), image, kernel)


@law
@given(problems(), st.integers(1, 4), st.integers(1, 3), st.integers(0, 99))
def test_mixing_is_a_sum_over_channels(problem, inputs, outputs, seed):
    """A kernel (O, I, kh, kw) adds up I correlations for each of its O outputs."""
    image, kernel, options = problem
    assume(options["method"] != "separable")
    stack = np.stack([np.roll(image, c, -2) for c in range(inputs)])
    kernel = np.random.default_rng(seed).standard_normal((outputs, inputs, *kernel.shape))
    mixed = apply(stack, kernel, options)
    for o in range(outputs):
        added = sum(apply(stack[i], kernel[o, i], options).astype(float) for i in range(inputs))
        assert_close(mixed[o], added, image, kernel, 1 + inputs)


@law
@given(problems(dtypes=("float32",)))
def test_stride_keeps_every_nth(problem):
    """A stride keeps outputs 0, s, 2s, ... of the same problem without."""
    image, kernel, options = problem
    dense = apply(image, kernel, options | dict(stride=1))
    sy, sx = oracle.pair(options["stride"])
    assert_close(apply(image, kernel, options), dense[::sy, ::sx], image, kernel)


def test_transposing_both_transposes_the_result():
    """corr2d(x.T, k.T) == corr2d(x, k).T, exactly for integers."""
    case = BY_NAME["dtype-uint8-whole"]
    image, kernel = case.image(), case.kernel
    assert np.array_equal(corr2d.corr2d(image.T, kernel.T), corr2d.corr2d(image, kernel).T)


@pytest.mark.parametrize("function", [corr2d.corr2d, corr2d.convolve2d])
def test_a_kernel_of_one_tap_scales(function):
    """A 1x1 kernel multiplies, in both directions."""
    image = np.arange(12.0).reshape(3, 4)
    assert np.array_equal(function(image, [[2.5]]), 2.5 * image)
