"""The oracle itself, against the contract's sum in fractions and against three libraries."""

import numpy as np
import pytest

import oracle
from cases import BOUNDARIES, BY_NAME, CASES, SOBEL, dense, pixels, whole

SCIPY = dict(constant="constant", edge="nearest", reflect="mirror", symmetric="reflect", wrap="wrap")
TORCH = dict(constant="constant", edge="replicate", reflect="reflect", wrap="circular")
OPENCV = dict(constant=0, edge=1, symmetric=2, reflect=4)  # cv2.BORDER_CONSTANT, _REPLICATE, _REFLECT, _REFLECT_101


def assert_close(a, b):
    np.testing.assert_allclose(np.asarray(a, np.longdouble), np.asarray(b, np.longdouble), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("length", [1, 2, 3, 7])
@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_closed_form_is_where_walking_leads(boundary, length):
    """Index maps land where one gets by walking pixel by pixel, however far outside."""
    positions = range(-4 * length - 3, 5 * length + 3)
    walked = [oracle.walk(p, length, boundary) for p in positions]
    assert [-1 if p is None else p for p in walked] == list(oracle.source(list(positions), length, boundary))


SMALL = [c for c in CASES if c.work < 6000 and c.kernel.ndim == 2 and not np.iscomplexobj(c.image())
         and not np.iscomplexobj(c.kernel) and c.image().ndim == 2]  # fmt: skip


def test_enough_cases_are_checked_in_fractions():
    """The comparison below covers most groups of the table."""
    assert len(SMALL) > 150 and len({c.group for c in SMALL}) >= 14


@pytest.mark.parametrize("case", SMALL, ids=repr)
def test_exact_is_the_definition(case):
    """The oracle is the contract's sum, computed in fractions by four loops."""
    options = {k: v for k, v in case.options.items() if k != "dtype"}
    got = oracle.exact(case.image(), case.kernel, convolve=case.convolve, **options)
    image, kernel = oracle.as_numpy(case.image()), oracle.as_numpy(case.kernel)
    if case.convolve:  # the kernel turned, and the anchor with it, default included
        kernel = kernel[::-1, ::-1]
        if "anchor" in options:
            options["anchor"] = tuple(n - 1 - a for n, a in zip(kernel.shape, options["anchor"], strict=True))
        elif options.get("padding") == "same":
            total = [d * (n - 1) for n, d in zip(kernel.shape, oracle.pair(options.get("dilation", 1)), strict=True)]
            options["padding"] = tuple((t - t // 2, t // 2) for t in total)
    wanted = oracle.by_definition(image, kernel, **options)
    room = oracle.magnitude(image, kernel, options.get("fill", 0)) * np.longdouble(2.0) ** -62
    for a, b in zip(got.ravel(), wanted.ravel(), strict=True):
        assert abs(np.longdouble(a) - np.longdouble(b.numerator) / np.longdouble(b.denominator)) <= room


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("shape", [(3, 3), (2, 4), (5, 2), (9, 11)])
def test_oracle_is_scipy_with_its_anchor(shape, boundary):
    """scipy.ndimage.correlate is "same" with anchor (kh//2, kw//2), also beyond the image's size."""
    ndimage = pytest.importorskip("scipy.ndimage")
    image, kernel = pixels(4, 6, dtype="float64"), dense(*shape)
    anchor = tuple(n // 2 for n in shape)
    options = dict(padding="same", anchor=anchor, boundary=boundary, fill=0.5)
    assert_close(oracle.exact(image, kernel, **options), ndimage.correlate(image, kernel, mode=SCIPY[boundary], cval=0.5))
    wanted = ndimage.convolve(image, kernel, mode=SCIPY[boundary], cval=0.5)
    assert_close(oracle.exact(image, kernel, convolve=True, **options), wanted)


@pytest.mark.parametrize("mode", ["valid", "full"])
def test_oracle_is_scipy_signal(mode):
    """convolve2d and correlate2d of scipy.signal, complex included: only correlation conjugates."""
    signal = pytest.importorskip("scipy.signal")
    for dtype in ("float64", "complex128"):
        image, kernel = pixels(7, 8, dtype=dtype), dense(3, 4, dtype=dtype)
        for convolve, theirs in ((False, signal.correlate2d), (True, signal.convolve2d)):
            ours = oracle.exact(image, kernel, padding=mode, convolve=convolve)
            np.testing.assert_allclose(ours.astype(np.complex128), theirs(image, kernel, mode), rtol=1e-12, atol=1e-12)


def test_oracle_is_scipy_convolve2d_same():
    """scipy.signal's "same" convolution centres (n-1)//2, which is the default anchor, turned, of correlation."""
    signal = pytest.importorskip("scipy.signal")
    image, kernel = pixels(7, 8, dtype="float64"), dense(4, 2)
    assert_close(oracle.exact(image, kernel, padding="same"), signal.correlate2d(image, kernel, "same"))
    theirs = signal.convolve2d(image, kernel, "same")
    assert_close(oracle.exact(image, kernel, padding="same", convolve=True), theirs)


@pytest.mark.parametrize("boundary", OPENCV)
@pytest.mark.parametrize("shape", [(3, 3), (2, 4), (5, 2)])
def test_oracle_is_opencv_with_its_anchor(shape, boundary):
    """cv2.filter2D is "same" with anchor (kh//2, kw//2)."""
    cv2 = pytest.importorskip("cv2")
    image, kernel = pixels(12, 16, dtype="float64"), dense(*shape)
    theirs = cv2.filter2D(image, -1, kernel, borderType=OPENCV[boundary])
    assert_close(oracle.exact(image, kernel, padding="same", anchor=tuple(n // 2 for n in shape), boundary=boundary), theirs)


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel:UserWarning")
@pytest.mark.parametrize("padding", ["valid", "same", (2, 1)])
@pytest.mark.parametrize("stride", [1, (2, 3)])
@pytest.mark.parametrize("dilation", [1, 2, (3, 2)])
@pytest.mark.parametrize("shape", [(2, 3, 3, 3), (4, 3, 2, 4)])
def test_oracle_is_torch(shape, padding, stride, dilation):
    """torch.conv2d: channel mixing, strides, dilations, and "same" where torch allows it."""
    torch = pytest.importorskip("torch")
    if padding == "same" and stride != 1:
        pytest.skip("torch has no strided 'same'")
    image, kernel = pixels(2, 3, 13, 14, dtype="float64"), dense(*shape)
    x, k = (torch.from_numpy(a.copy()) for a in (image, kernel))
    theirs = torch.nn.functional.conv2d(x, k, stride=stride, dilation=dilation, padding=padding)
    assert_close(oracle.exact(image, kernel, padding=padding, stride=stride, dilation=dilation), theirs.numpy())


@pytest.mark.parametrize("boundary", TORCH)
def test_oracle_is_torch_pad(boundary):
    """torch.nn.functional.pad, four different widths, then conv2d."""
    torch = pytest.importorskip("torch")
    image, kernel = pixels(1, 1, 7, 8, dtype="float64"), dense(1, 1, 3, 2)
    padded = torch.nn.functional.pad(torch.from_numpy(image.copy()), (4, 3, 2, 1), mode=TORCH[boundary])
    theirs = torch.nn.functional.conv2d(padded, torch.from_numpy(kernel.copy()))
    assert_close(oracle.exact(image, kernel, padding=((2, 1), (4, 3)), boundary=boundary), theirs.numpy())


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_adjoint_is_the_transpose(boundary):
    """The oracle's adjoint, built column by column from its forward."""
    kernel, shape = dense(3, 2), (4, 5)
    options = dict(padding=((3, 6), (2, 1)), stride=(2, 1), dilation=(1, 2), boundary=boundary)
    basis = np.eye(20).reshape(20, *shape)
    matrix = np.stack([oracle.exact(e, kernel, **options).ravel() for e in basis], 1)
    y = np.arange(len(matrix), dtype=float)
    out = oracle.exact(basis[0], kernel, **options).shape
    assert_close(oracle.adjoint(y.reshape(out), kernel, shape, **options).ravel(), matrix.T @ y)


def test_integers_are_exact():
    """Integer sums are Python's, however large."""
    image = np.full((2, 2), 2**64 - 1, np.uint64)
    assert oracle.exact(image, np.full((2, 2), 2**62))[0, 0] == 4 * 2**62 * (2**64 - 1)


@pytest.mark.parametrize("name", ["dtype-float32-dense", "dtype-uint8-whole", "dtype-complex64-dense",
                                  "target-float32-to-uint8", "target-float64-to-float16"])  # fmt: skip
def test_check_accepts_the_rounded_truth_and_nothing_worse(name):
    """The yardstick passes the exact result rounded once, and fails one value moved just too far."""
    case = BY_NAME[name]
    image, options = case.image(), dict(case.options)
    target = oracle.result_dtype(image.dtype, case.kernel, dtype=options.pop("dtype", None))
    truth = oracle.exact(image, case.kernel, **options)
    with np.errstate(over="ignore"):
        good = (truth if target.kind in "fc" else np.clip(np.rint(truth), 0, 255)).astype(target)
    check = dict(options, dtype=case.options.get("dtype"))
    oracle.check(good, image, case.kernel, **check)
    for position in (0, good.size // 2, good.size - 1):
        bad = good.copy()
        room = oracle.tolerance(image, case.kernel, dtype=check["dtype"])
        step = 1 if target.kind in "iu" or case.group == "dtype" and "whole" in name else 2.1 * room
        if target == np.float16:
            step = step + 2 * np.abs(np.spacing(bad.flat[position])).astype(float)
        bad.flat[position] += np.asarray(step if bad.flat[position] < 200 else -step).astype(target)
        with pytest.raises(AssertionError, match="bound|differ"):
            oracle.check(bad, image, case.kernel, **check)
    with pytest.raises(AssertionError, match="shape"):
        oracle.check(good[1:], image, case.kernel, **check)
    with pytest.raises(AssertionError, match="dtype"):
        oracle.check(good.astype("complex128"), image, case.kernel, **check)


def test_magnitude_is_the_contracts():
    """sum|k| * max|image|, with the fill among the pixels."""
    image = np.array([[-3, 2]])
    assert oracle.magnitude(image, SOBEL) == 24
    assert oracle.magnitude(image, SOBEL, fill=-5) == 40
    assert oracle.magnitude(np.ones((2, 2, 2)), whole(3, 2, 1, 1) * 0 + 2) == 4
