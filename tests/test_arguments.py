"""Bad arguments: what came, what is accepted, the one-line fix; and nothing is written to ``out``."""

import numpy as np
import pytest

import corr2d
from cases import dense, pixels
from corr2d._errors import Corr2dError, DTypeError, NoCandidateError, OptionError, ShapeError

IMAGE = pixels(8, 9)
K = dense(3, 3)
FUNCTIONS = pytest.mark.parametrize("function", [corr2d.corr2d, corr2d.convolve2d, corr2d.plan])

WRONG_KERNELS = {
    "1-D": ([1, 0, -1], ShapeError, r"kernel\[None, :\]"),
    "1-D array": (np.ones(5), ShapeError, r"kernel\[None, :\]"),
    "scalar": (3.0, ShapeError, "kernel"),
    "3-D": (np.ones((2, 3, 3)), ShapeError, r"\(2, 3, 3\)"),
    "5-D": (np.ones((1, 1, 1, 3, 3)), ShapeError, "kernel"),
    "empty list": ([], ShapeError, "empty|kernel"),
    "empty row": ([[]], ShapeError, "empty|tap"),
    "no rows": (np.ones((0, 3)), ShapeError, "empty|tap"),
    "no outputs": (np.ones((0, 2, 3, 3)), ShapeError, "empty|tap"),
    "string": ("sobel-x", DTypeError, "str|sobel-x"),
    "strings": ([["1", "2"]], DTypeError, "kernel"),
    "bytes": (b"abc", DTypeError, "kernel"),
    "ragged": ([[1, 2], [3]], Corr2dError, "kernel"),
    "objects": (np.array([[1, None]], object), DTypeError, "kernel"),
    "dates": (np.zeros((3, 3), "datetime64[s]"), DTypeError, "kernel"),
    "None": (None, DTypeError, "kernel"),
    "masked": (np.ma.masked_equal(np.eye(3), 0), DTypeError, "mask"),
    "too tall": (np.ones((9, 3)), ShapeError, r"9.*8|8.*9"),
    "too wide": (np.ones((1, 10)), ShapeError, r"10.*9|9.*10"),
}


@FUNCTIONS
@pytest.mark.parametrize("name", WRONG_KERNELS)
def test_kernels_that_are_none(function, name):
    """1-D, empty, ragged, textual, masked and oversized kernels are refused, each with its reason."""
    kernel, error, match = WRONG_KERNELS[name]
    with pytest.raises(error, match=match):
        function(IMAGE, kernel)


WRONG_IMAGES = {
    "1-D": (np.ones(9), ShapeError, r"\(9,\)"),
    "0-D": (np.array(1.0), ShapeError, "image"),
    "objects": (np.full((8, 9), None), DTypeError, "object"),
    "dates": (np.zeros((8, 9), "datetime64[s]"), DTypeError, "datetime64"),
    "durations": (np.zeros((8, 9), "timedelta64[s]"), DTypeError, "timedelta64"),
    "text": (np.full((8, 9), "a"), DTypeError, "image"),
    "records": (np.zeros((8, 9), "f4,f4"), DTypeError, "image"),
    "long double": (np.zeros((8, 9), np.longdouble), DTypeError, "longdouble|float128|float96"),
    "string": ("photo.png", DTypeError, "image|photo.png"),
    "None": (None, DTypeError, "image"),
    "masked": (np.ma.masked_less(pixels(8, 9), 0), DTypeError, "mask"),
}


@pytest.mark.parametrize("function", [corr2d.corr2d, corr2d.convolve2d])
@pytest.mark.parametrize("name", WRONG_IMAGES)
def test_images_that_are_none(function, name):
    """Arrays that hold no numbers, or have no two axes, or would lose their mask."""
    image, error, match = WRONG_IMAGES[name]
    with pytest.raises(error, match=match):
        function(image, K)


SAME = dict(padding="same")
TWO = r"\(3, 3\)|3"
WRONG_OPTIONS = [
    (dict(padding="Same"), OptionError, "same"),
    (dict(padding="reflect"), OptionError, "valid.*same.*full"),
    (dict(padding="half"), OptionError, "half.*valid|valid.*half"),
    (dict(padding=-1), OptionError, "-1"),
    (dict(padding=(1, -2)), OptionError, "-2"),
    (dict(padding=1.5), OptionError, "1.5"),
    (dict(padding=True), OptionError, "True"),
    (dict(padding=None), OptionError, r"None.*valid.*\(top, bottom\)"),
    (dict(padding={1, 2}), OptionError, r"not understood.*\(py, px\)"),
    (dict(padding=(1, 2, 3)), OptionError, r"\(1, 2, 3\)"),
    (dict(padding=(1, 2, 3, 4)), OptionError, r"\(top, bottom\)"),
    (dict(padding=((1, 2), 3, (4, 5))), OptionError, "padding"),
    (dict(padding=((1, 2, 3), (4, 5))), OptionError, "padding"),
    (dict(boundary="foo"), OptionError, "foo.*constant.*edge.*reflect.*symmetric.*wrap"),
    (dict(boundary=None), OptionError, "boundary"),
    (dict(boundary=4), OptionError, "boundary"),
    (dict(boundary="scipy:foo"), OptionError, "foo"),
    (dict(boundary="cupy:mirror"), OptionError, "scipy.*opencv|opencv.*scipy"),
    (dict(boundary="opencv:mirror"), OptionError, "mirror"),
    (dict(fill="zero"), (OptionError, DTypeError), "fill"),
    (dict(fill=None), (OptionError, DTypeError), "fill"),
    (dict(fill=[1, 2]), (OptionError, DTypeError), "fill"),
    (dict(anchor=(1, 1)), OptionError, "same"),
    (dict(anchor=(1, 1), padding="full"), OptionError, "same"),
    (dict(anchor=(1, 1), padding=1), OptionError, "same"),
    (dict(SAME, anchor=(3, 0)), OptionError, "3"),
    (dict(SAME, anchor=(0, 3)), OptionError, "3"),
    (dict(SAME, anchor=(-1, 0)), OptionError, "-1"),
    (dict(SAME, anchor=(0.5, 0)), OptionError, "0.5"),
    (dict(SAME, anchor=(1,)), OptionError, "anchor"),
    (dict(SAME, anchor=(1, 1, 1)), OptionError, "anchor"),
    (dict(SAME, anchor="centre"), OptionError, "anchor"),
    (dict(SAME, anchor=(True, 0)), OptionError, "True"),
    (dict(stride=0), OptionError, "0"),
    (dict(stride=-1), OptionError, "-1"),
    (dict(stride=1.0), OptionError, "1.0"),
    (dict(stride=True), OptionError, "True"),
    (dict(stride="2"), OptionError, "stride"),
    (dict(stride=(1, 0)), OptionError, "0"),
    (dict(stride=(1, 2, 3)), OptionError, "stride"),
    (dict(stride=None), OptionError, r"None.*pair \(y, x\)"),
    (dict(anchor="center", padding="same"), OptionError, r"center.*pair \(y, x\)"),
    (dict(dilation=0), OptionError, "0"),
    (dict(dilation=(2, -1)), OptionError, "-1"),
    (dict(dilation=1.5), OptionError, "1.5"),
    (dict(dilation=False), OptionError, "False"),
    (dict(dilation=5), ShapeError, "11|fit"),
    (dict(threads=0), OptionError, "0"),
    (dict(threads=-2), OptionError, "-2"),
    (dict(threads=True), OptionError, "True"),
    (dict(threads=1.5), OptionError, "1.5"),
    (dict(threads="all"), OptionError, "all"),
    (dict(method="fast"), OptionError, "fast.*direct|direct.*fast"),
    (dict(method="Direct"), OptionError, "direct"),
    (dict(method=None), OptionError, "method"),
    (dict(method=3), OptionError, "method"),
    (dict(dtype="float"), None, ""),  # NumPy's word for float64
    (dict(dtype="foo"), DTypeError, "foo"),
    (dict(dtype="U3"), DTypeError, "dtype"),
    (dict(dtype=object), DTypeError, "object"),
    (dict(dtype="datetime64[s]"), DTypeError, "datetime64"),
    (dict(dtype=3), DTypeError, "dtype"),
    (dict(channel_axis=-1), ShapeError, "2-D|two|spare"),
    (dict(channel_axis=0), ShapeError, "2-D|two|spare"),
]


@pytest.mark.parametrize("function", [corr2d.corr2d, corr2d.convolve2d, corr2d.plan])
@pytest.mark.parametrize(
    ("options", "error", "match"), WRONG_OPTIONS, ids=lambda v: str(v) if isinstance(v, dict) else ""
)
def test_options_that_are_not_understood(function, options, error, match):
    """Each bad value is named in the error, with what would be accepted."""
    if error is None:
        function(IMAGE, K, **options)
        return
    with pytest.raises(error, match=rf"(?s){match}") as caught:
        function(IMAGE, K, **options)
    assert isinstance(caught.value, (ValueError, TypeError))
    (name,) = options.keys() - {"padding"} or {"padding"}
    assert name in str(caught.value) or isinstance(caught.value, ShapeError), "the message names the option"
    assert len(str(caught.value)) > 25


@FUNCTIONS
def test_options_are_keywords(function):
    """Options go by name, and a misspelt one is a TypeError."""
    with pytest.raises(TypeError):
        function(IMAGE, K, "same")
    with pytest.raises(TypeError, match="paddding"):
        function(IMAGE, K, paddding="same")


TRANSLATIONS = {
    "mirror": "reflect", "nearest": "edge", "replicate": "edge", "circular": "wrap", "grid-wrap": "wrap",
    "BORDER_REFLECT_101": "reflect", "BORDER_REFLECT": "symmetric", "BORDER_REPLICATE": "edge", "BORDER_WRAP": "wrap",
    "zeros": "constant", "grid-mirror": "symmetric", "grid-constant": "constant", "BORDER_CONSTANT": "constant",
}  # fmt: skip


@pytest.mark.parametrize("word", TRANSLATIONS)
def test_other_libraries_words_are_translated(word):
    """Without its prefix, another library's word is an error that names ours."""
    with pytest.raises(OptionError, match=rf"(?s){word}.*{TRANSLATIONS[word]}"):
        corr2d.corr2d(IMAGE, K, padding="same", boundary=word)


def test_channel_axes_that_do_not_exist():
    """A channel axis must be one of the image's; a wrong type is no axis."""
    for axis in (3, -4):
        with pytest.raises((ShapeError, OptionError), match="channel_axis"):
            corr2d.corr2d(pixels(8, 9, 3), K, channel_axis=axis)
    for axis in (1.0, "last", True, (0, 1)):
        with pytest.raises((OptionError, DTypeError), match="channel_axis"):
            corr2d.corr2d(pixels(8, 9, 3), K, channel_axis=axis)


@pytest.mark.parametrize(("shape", "axis", "match"), [
    ((4, 8, 9), None, "3.*4|4.*3"), ((8, 9, 4), -1, "3.*4|4.*3"), ((8, 9), None, "2-D|channel|image"), ((3, 8, 9), -1, "3.*9|9.*3"),
])  # fmt: skip
def test_mixing_kernels_need_their_channels(shape, axis, match):
    """A kernel (O, I, kh, kw) needs I channels where it looks for them."""
    with pytest.raises(ShapeError, match=rf"(?s){match}"):
        corr2d.corr2d(pixels(*shape), dense(2, 3, 3, 3), channel_axis=axis)


def test_a_refusing_method_quotes_its_reason():
    """Separable refuses a kernel of full rank, and the error says what plan says."""
    with pytest.raises(NoCandidateError, match="separable") as caught:
        corr2d.corr2d(IMAGE, K, method="separable")
    (entry,) = (c for c in corr2d.plan(IMAGE, K).considered if c.method == "separable")
    assert entry.reason
    assert entry.reason.rstrip(".") in str(caught.value)


def test_complex_numbers_do_not_fit_a_real_dtype():
    """Dropping an imaginary part takes more than a dtype."""
    for image, kernel in [(IMAGE, K + 1j), (IMAGE.astype("complex64"), K)]:
        with pytest.raises((DTypeError, OptionError), match="complex"):
            corr2d.corr2d(image, kernel, dtype="float32")


# -------------------------------------------------------------------------------------------------
# out


def frozen(array):
    array.flags.writeable = False
    return array


WRONG_OUTS = {
    "shape": (np.empty((6, 8), "float32"), ShapeError, r"\(6, 8\).*\(6, 7\)|\(6, 7\).*\(6, 8\)"),
    "transposed": (np.empty((7, 6), "float32"), ShapeError, r"\(7, 6\)"),
    "ndim": (np.empty((1, 6, 7), "float32"), ShapeError, r"\(1, 6, 7\)"),
    "dtype": (np.empty((6, 7), "float64"), DTypeError, "float64.*float32|float32.*float64"),
    "integer": (np.empty((6, 7), "int32"), DTypeError, "int32"),
    "read-only": (frozen(np.empty((6, 7), "float32")), ValueError, "read-only|writ"),
    "zero-stride": (np.lib.stride_tricks.as_strided(np.empty(7, "float32"), (6, 7), (0, 4)), ValueError, "share memory"),
    "list": ([[0.0] * 7] * 6, TypeError, "out"),
    "string": ("float32", TypeError, "out"),
    "masked": (np.ma.masked_array(np.empty((6, 7), "float32")), TypeError, "mask|out"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG_OUTS)
@pytest.mark.parametrize("method", ["auto", "direct", "fft", "reference"])
def test_outs_that_cannot_take_the_result(name, method):
    """Wrong shape, wrong dtype, closed for writing, several pixels at one address, no array at all."""
    out, error, match = WRONG_OUTS[name]
    with pytest.raises(error, match=match) as caught:
        corr2d.corr2d(IMAGE, K, out=out, method=method)
    assert isinstance(caught.value, Corr2dError)


@pytest.mark.parametrize("options", [o for o, error, _ in WRONG_OPTIONS if error is not None], ids=str)
def test_nothing_is_written_when_arguments_are_wrong(options):
    """An error leaves out as it was."""
    out = np.full((6, 7), 5.0, "float32")
    with pytest.raises(Corr2dError):
        corr2d.corr2d(IMAGE, K, out=out, **options)
    assert (out == 5).all()
    for kernel, error, _ in WRONG_KERNELS.values():
        with pytest.raises(error):
            corr2d.corr2d(IMAGE, kernel, out=out)
    assert (out == 5).all()


def test_errors_are_of_the_familiar_families():
    """Each is also a ValueError or TypeError, so NumPy programs catch them."""
    assert issubclass(OptionError, ValueError)
    assert issubclass(ShapeError, ValueError)
    assert issubclass(DTypeError, TypeError)
    assert issubclass(NoCandidateError, ValueError)


def test_good_values_of_odd_types_are_accepted():
    """NumPy's integers, lists for tuples, 0-d fills: what numpy itself would take."""
    wanted = corr2d.corr2d(IMAGE, K, padding=(1, 2), stride=(1, 2), boundary="constant", fill=2.0, threads=1)
    got = corr2d.corr2d(IMAGE, K.tolist(), padding=[np.int64(1), np.uint8(2)], stride=[np.int32(1), 2],
                        fill=np.array(2.0), threads=np.int64(1), dtype=np.float32)  # fmt: skip
    assert np.array_equal(wanted, got)
    assert np.array_equal(corr2d.corr2d(IMAGE, K, **SAME), corr2d.corr2d(IMAGE, K, **SAME, anchor=np.array([1, 1])))
