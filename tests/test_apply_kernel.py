"""``Kernel`` objects in corr2d: their anchor is the default for "same", their bias is added, once, at the end."""

import numpy as np
import pytest

import corr2d
import oracle
from cases import dense, pixels, whole
from corr2d._errors import NoCandidateError
from corr2d.engines import CANDIDATES

METHODS = ["auto", *dict.fromkeys(candidate.method for candidate in CANDIDATES)]
OUTER = np.outer(dense(1, 3), dense(1, 4))


def call(function, image, kernel, method, **options):
    try:
        return function(image, kernel, method=method, **options)
    except NoCandidateError as error:
        pytest.skip(f"{method} refuses: {error}"[:80])


@pytest.mark.parametrize("method", METHODS)
def test_a_plain_kernel_is_its_weights(method):
    """A Kernel without anchor and bias gives what its array gives, to the bit, in both directions."""
    image = pixels(12, 13)
    for function in (corr2d.corr2d, corr2d.convolve2d):
        for options in ({}, dict(padding="same"), dict(padding="full", stride=2)):
            wanted = call(function, image, OUTER, method, **options)
            assert np.array_equal(call(function, image, corr2d.Kernel(OUTER), method, **options), wanted)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("anchor", [(0, 0), (0, 3), (2, 0), (2, 3), (1, 1)])
def test_its_anchor_is_the_default_for_same(method, anchor):
    """ "same" uses the kernel's anchor; a convolution turns it with the kernel; anchor= goes before it."""
    image, kernel = pixels(12, 13), corr2d.Kernel(OUTER, anchor=anchor)
    options = dict(padding="same", boundary="reflect", dilation=(2, 1))
    ours = call(corr2d.corr2d, image, kernel, method, **options)
    oracle.check(ours, image, OUTER, anchor=anchor, **options)
    ours = call(corr2d.convolve2d, image, kernel, method, **options)
    oracle.check(ours, image, OUTER, anchor=anchor, convolve=True, **options)
    ours = call(corr2d.corr2d, image, kernel, method, anchor=(1, 2), **options)
    oracle.check(ours, image, OUTER, anchor=(1, 2), **options)


def test_its_anchor_is_only_for_same():
    """A kernel that has an anchor still goes with every other padding, which takes no anchor."""
    image, kernel = pixels(12, 13), corr2d.Kernel(OUTER, anchor=(2, 3))
    for padding in ("valid", "full", 2, ((1, 0), (0, 2))):
        assert np.array_equal(
            corr2d.corr2d(image, kernel, padding=padding), corr2d.corr2d(image, OUTER, padding=padding)
        )


@pytest.mark.parametrize("method", METHODS)
def test_its_bias_is_added_once_at_the_end(method):
    """Floats: result plus bias. Integers: rounded and saturated after the bias, not before."""
    image = pixels(12, 13)
    kernel = corr2d.Kernel(OUTER, bias=2.5)
    for function, convolve in ((corr2d.corr2d, False), (corr2d.convolve2d, True)):
        ours = call(function, image, kernel, method)
        wanted = oracle.exact(image, OUTER, convolve=convolve) + 2.5
        assert np.abs(ours - wanted).max() <= 2 * oracle.tolerance(image, OUTER) + 2.0**-22
        assert ours.dtype == np.float32
    halves = np.array([[1, 2, 3, 255]], "uint8")
    kernel = corr2d.Kernel([[0.5]], bias=0.5)
    assert call(corr2d.corr2d, halves, kernel, method, dtype="uint8").tolist() == [[1, 2, 2, 128]]
    kernel = corr2d.Kernel([[-1.0]], bias=128.0)
    assert call(corr2d.corr2d, halves, kernel, method, dtype="uint8").tolist() == [[127, 126, 125, 0]]
    assert call(corr2d.corr2d, image[:1, :1] * 0, corr2d.Kernel([[2.0]], bias=-7), method, dtype="int8").tolist() == [
        [-7]
    ]


@pytest.mark.parametrize("method", METHODS)
def test_an_integer_bias_keeps_integers_exact(method):
    """Integer images, kernels and bias: exact, for every image dtype, batches and channels too."""
    taps = np.outer(whole(1, 3), whole(1, 3))
    kernel = corr2d.Kernel(taps, bias=-3)
    for dtype in ("uint8", "uint16", "int32"):
        image = pixels(9, 10, 3, dtype=dtype)
        ours = call(corr2d.corr2d, image, kernel, method, channel_axis=-1)
        assert (ours == oracle.exact(image, taps, channel_axis=-1) - 3).all()


@pytest.mark.parametrize("method", ["auto", "direct", "fft", "reference"])
def test_a_bias_goes_to_every_output_channel(method):
    """A mixing kernel's bias is added to each output, once, however many inputs are added up."""
    image, taps = pixels(3, 9, 10, dtype="uint8"), whole(2, 3, 3, 3)
    ours = call(corr2d.corr2d, image, corr2d.Kernel(taps, bias=100), method)
    assert (ours == oracle.exact(image, taps) + 100).all()


def test_a_bias_hides_no_bad_pixel():
    """NaN stays NaN, and an out that is the image gets the bias once."""
    image = pixels(12, 13)
    image[5, 5] = np.nan
    kernel = corr2d.Kernel(OUTER, bias=1.0)
    wanted = corr2d.corr2d(image.copy(), kernel, padding="same")
    assert np.isnan(wanted).sum() == OUTER.size
    corr2d.corr2d(image, kernel, padding="same", out=image)
    assert np.array_equal(image, wanted, equal_nan=True)


def test_a_plan_knows_bias_and_anchor():
    """plan(image, Kernel)(image) is corr2d(image, Kernel)."""
    image, kernel = pixels(12, 13), corr2d.Kernel(OUTER, bias=1.5, anchor=(0, 3))
    plan = corr2d.plan(image, kernel, padding="same")
    assert np.array_equal(plan(image), corr2d.corr2d(image, kernel, padding="same"))
    assert not np.array_equal(plan(image), corr2d.corr2d(image, OUTER, padding="same"))


def test_torch_takes_kernels_too():
    """A tensor filtered by a Kernel is a tensor."""
    torch = pytest.importorskip("torch")
    image = torch.arange(20.0).reshape(4, 5)
    ours = corr2d.corr2d(image, corr2d.Kernel([[1, -1]], bias=0.5))
    assert torch.equal(ours, torch.full((4, 4), -0.5))
