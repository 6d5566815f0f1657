"""Other libraries' words for borders, each equal to what that library does; guarded imports."""

import numpy as np
import pytest

import corr2d
import oracle
from cases import dense, pixels

SHAPES = pytest.mark.parametrize("shape", [(3, 3), (2, 4), (5, 2), (1, 6)])


def assert_close(ours, theirs, kernel):
    assert ours.shape == theirs.shape
    image = pixels(8, 10, dtype="float64")
    assert np.abs(ours - theirs).max() <= 4 * float(oracle.tolerance(image, kernel, fill=0.5))


@SHAPES
@pytest.mark.parametrize(
    "mode", ["reflect", "grid-mirror", "mirror", "nearest", "wrap", "grid-wrap", "constant", "grid-constant"]
)
def test_scipy_modes(shape, mode):
    """scipy:* with anchor (kh//2, kw//2) is scipy.ndimage, correlate and convolve."""
    ndimage = pytest.importorskip("scipy.ndimage")
    image, kernel = pixels(8, 10, dtype="float64"), dense(*shape)
    options = dict(padding="same", boundary=f"scipy:{mode}", fill=0.5, anchor=tuple(n // 2 for n in shape))
    theirs = ndimage.correlate(image, kernel, mode=mode, cval=0.5)
    assert_close(corr2d.corr2d(image, kernel, **options), theirs, kernel)
    theirs = ndimage.convolve(image, kernel, mode=mode, cval=0.5)
    assert_close(corr2d.convolve2d(image, kernel, **options), theirs, kernel)


@SHAPES
@pytest.mark.parametrize("mode", ["BORDER_REFLECT", "BORDER_REFLECT_101", "BORDER_REFLECT101", "BORDER_DEFAULT",
                                  "BORDER_REPLICATE", "BORDER_CONSTANT"])  # fmt: skip
def test_opencv_borders(shape, mode):
    """opencv:BORDER_* with anchor (kh//2, kw//2) is cv2.filter2D."""
    cv2 = pytest.importorskip("cv2")
    image, kernel = pixels(8, 10, dtype="float64"), dense(*shape)
    theirs = cv2.filter2D(image, -1, kernel, borderType=getattr(cv2, mode))
    ours = corr2d.corr2d(image, kernel, padding="same", boundary=f"opencv:{mode}", anchor=tuple(n // 2 for n in shape))
    assert_close(ours, theirs, kernel)


def test_opencv_wrap():
    """BORDER_WRAP, which cv2.filter2D refuses, is cv2.copyMakeBorder's."""
    cv2 = pytest.importorskip("cv2")
    image, kernel = pixels(8, 10, dtype="float64"), dense(3, 3)
    padded = cv2.copyMakeBorder(image, 1, 1, 1, 1, cv2.BORDER_WRAP)
    assert_close(corr2d.corr2d(image, kernel, padding=1, boundary="opencv:BORDER_WRAP"), corr2d.corr2d(padded, kernel), kernel)


@SHAPES
@pytest.mark.parametrize("mode", ["zeros", "reflect", "replicate", "circular"])
def test_torch_modes(shape, mode):
    """torch:* without an anchor is nn.Conv2d(padding="same"), even kernels included."""
    torch = pytest.importorskip("torch")
    image, kernel = pixels(8, 10, dtype="float64"), dense(*shape)
    layer = torch.nn.Conv2d(1, 1, shape, padding="same", padding_mode=mode, bias=False, dtype=torch.float64)
    with torch.no_grad():
        layer.weight[:] = torch.from_numpy(kernel.copy())
        import warnings

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch warns of even kernels
            theirs = layer(torch.from_numpy(image)[None])[0].numpy()
    assert_close(corr2d.corr2d(image, kernel, padding="same", boundary=f"torch:{mode}"), theirs, kernel)


@pytest.mark.parametrize("stride", [1, 2, (3, 1)])
@pytest.mark.parametrize("dilation", [1, 2, (1, 3)])
def test_torch_conv2d_is_a_mixing_kernel(stride, dilation):
    """torch.conv2d's four axes, strides, dilations and paddings, in its own order."""
    torch = pytest.importorskip("torch")
    image, kernel = pixels(2, 3, 14, 15, dtype="float64"), dense(4, 3, 3, 2)
    options = dict(stride=stride, dilation=dilation, padding=(2, 1))
    theirs = torch.conv2d(torch.from_numpy(image), torch.from_numpy(kernel.copy()), **options).numpy()
    assert np.abs(corr2d.corr2d(image, kernel, **options) - theirs).max() < 1e-12


@pytest.mark.parametrize(("word", "ours"), [
    ("matlab:symmetric", "symmetric"), ("matlab:replicate", "edge"), ("matlab:circular", "wrap"),
    ("numpy:reflect", "reflect"), ("numpy:symmetric", "symmetric"), ("numpy:edge", "edge"), ("numpy:wrap", "wrap"),
    ("numpy:constant", "constant"), ("torch:constant", "constant"),
])  # fmt: skip
def test_words_of_libraries_that_are_not_here(word, ours):
    """MATLAB's and NumPy's words, by the table in research/features.md."""
    image, kernel = pixels(8, 10), dense(4, 3)
    theirs = corr2d.corr2d(image, kernel, padding=6, boundary=word, fill=2)
    assert np.array_equal(theirs, corr2d.corr2d(image, kernel, padding=6, boundary=ours, fill=2))


def test_scipy_signal():
    """scipy.signal.convolve2d and correlate2d, all three modes, complex too: its defaults are ours by other names."""
    signal = pytest.importorskip("scipy.signal")
    for dtype in ("float64", "complex128"):
        image, kernel = pixels(9, 8, dtype=dtype), dense(4, 3, dtype=dtype)
        for mode in ("valid", "same", "full"):
            for ours, theirs in ((corr2d.corr2d, signal.correlate2d), (corr2d.convolve2d, signal.convolve2d)):
                assert np.abs(ours(image, kernel, padding=mode) - theirs(image, kernel, mode)).max() < 1e-12


def test_numpy_pad():
    """numpy.pad's words mean what numpy.pad does, where it is right (pads narrower than the image)."""
    image, kernel = pixels(8, 10), dense(3, 4)
    for boundary in oracle.BOUNDARIES:
        padded = np.pad(image, ((2, 3), (4, 1)), mode=boundary)
        wanted = corr2d.corr2d(padded, kernel)
        got = corr2d.corr2d(image, kernel, padding=((2, 3), (4, 1)), boundary=boundary)
        assert np.abs(got - wanted).max() <= float(oracle.tolerance(image, kernel))
