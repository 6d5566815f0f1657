"""`Kernel`: what it refuses, its algebra against the filter itself, its files."""

import copy
import json
import pickle
from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest

from corr2d import convolve2d, corr2d
from corr2d._errors import DTypeError, OptionError, ShapeError
from corr2d.kernel import Kernel

RNG = np.random.default_rng(20)
IMAGE = RNG.integers(-50, 50, (17, 19)).astype(np.float64)


def whole(*shape):
    return RNG.integers(-9, 10, shape).astype(np.float64)


# -- construction --------------------------------------------------------------


@pytest.mark.parametrize(
    ("weights", "error", "message"),
    [
        ([1, -1], ShapeError, r"1-D with 2 taps.*kernel\[None, :\]"),
        (3.0, ShapeError, r"shape \(\); a kernel is an array"),
        ([], ShapeError, r"shape \(0,\); a kernel"),
        ([[]], ShapeError, "empty.*at least one tap"),
        (np.zeros((3, 0)), ShapeError, "empty.*at least one tap"),
        (np.zeros((2, 3, 3)), ShapeError, r"\(2, 3, 3\).*\(O, I, kh, kw\)"),
        ([[1, 2], [3]], ShapeError, "rows differ in length"),
        ("1 -1", DTypeError, "text '1 -1'.*parse_kernel"),
        ([["1", "-1"]], DTypeError, "dtype <U2 are not numbers"),
        ([[None, 1]], DTypeError, "dtype object are not numbers"),
        (np.array([["2020-01-01"]], "M8[D]"), DTypeError, "not numbers"),
        ([[np.nan, 1.0]], OptionError, "NaN or infinity"),
        ([[np.inf]], OptionError, "NaN or infinity"),
    ],
)
def test_weights_that_are_no_kernel_are_refused(weights, error, message):
    with pytest.raises(error, match=message):
        Kernel(weights)


@pytest.mark.parametrize("anchor", [(3, 0), (0, 3), (-1, 0), (0, -1)])
def test_anchor_outside_is_refused(anchor):
    with pytest.raises(OptionError, match=r"outside the kernel; anchor is \(row, column\) from \(0, 0\) to \(2, 2\)"):
        Kernel(np.eye(3), anchor=anchor)


@pytest.mark.parametrize("anchor", [1, (1,), (1, 1, 1), (1.0, 1), "11"])
def test_anchor_that_is_no_pair_of_integers_is_refused(anchor):
    with pytest.raises(OptionError, match="not a pair of integers"):
        Kernel(np.eye(3), anchor=anchor)


@pytest.mark.parametrize(
    ("bias", "error", "message"),
    [
        ("1", DTypeError, "bias is one number; got str"),
        ([1.0], DTypeError, "bias is one number; got list"),
        (np.nan, OptionError, "not finite"),
        (1j, DTypeError, "bias=1j is complex and the weights are real"),
    ],
)
def test_bad_bias_is_refused(bias, error, message):
    with pytest.raises(error, match=message):
        Kernel([[1.0]], bias=bias)


def test_bad_name_is_refused():
    with pytest.raises(DTypeError, match="name is a str; got int"):
        Kernel([[1.0]], name=3)


@pytest.mark.parametrize("given", [[[1, 2]], [[True, False]], np.float32([[1, 2]]), np.array([[1, 2]], ">i2")])
def test_real_weights_are_float64(given):
    kernel = Kernel(given)
    assert kernel.dtype == np.float64
    assert kernel.shape == (1, 2)
    assert kernel.ndim == 2


def test_complex_weights_are_complex128():
    assert Kernel(np.complex64([[1j]])).dtype == np.complex128


def test_four_axes_mix_channels():
    assert Kernel(whole(3, 2, 5, 4)).shape == (3, 2, 5, 4)


def test_nothing_can_be_changed():
    source = np.array([[1.0, 2.0]])
    kernel = Kernel(source)
    source[0, 0] = 9
    assert kernel.weights[0, 0] == 1
    with pytest.raises(FrozenInstanceError):
        kernel.bias = 1.0
    with pytest.raises(ValueError, match="read-only"):
        kernel.weights[0, 0] = 9
    with pytest.raises(ValueError, match="WRITEABLE"):
        kernel.weights.setflags(write=True)


def test_a_kernel_of_a_kernel_keeps_what_it_knows():
    kernel = Kernel([[1, 2]], anchor=(0, 1), bias=3, name="a")
    assert Kernel(kernel) == kernel
    assert Kernel(kernel).name == "a"
    assert Kernel(kernel, name="b").name == "b"


def test_numpy_sees_an_array():
    kernel = Kernel([[1, -1]])
    assert np.asarray(kernel) is kernel.weights
    assert np.array(kernel).flags.writeable
    assert np.asarray(kernel, np.float32).dtype == np.float32
    assert np.abs(kernel).sum() == 2
    with pytest.raises(ValueError, match="copy"):
        np.asarray(kernel, np.float32, copy=False)


@pytest.mark.parametrize("clone", [copy.copy, copy.deepcopy, lambda k: pickle.loads(pickle.dumps(k))])
def test_copies_are_equal_and_read_only(clone):
    kernel = Kernel(whole(3, 2), anchor=(2, 0), bias=0.5, name="k")
    again = clone(kernel)
    assert again == kernel
    assert (again.anchor, again.name) == ((2, 0), "k")
    assert not again.weights.flags.writeable


# -- equality ------------------------------------------------------------------


def test_equal_kernels_have_equal_hashes():
    a, b = Kernel([[0.0, 1.0]], name="a"), Kernel([[-0.0, 1.0]], name="b")
    assert a == b
    assert hash(a) == hash(b)
    assert a == Kernel([[0.0, 1.0]], anchor=(0, 0))  # the default tap, written out


@pytest.mark.parametrize(
    "other",
    [
        Kernel([[0.0, 2.0]]),
        Kernel([[0.0], [1.0]]),
        Kernel([[0.0, 1.0]], bias=1),
        Kernel([[0.0, 1.0]], anchor=(0, 1)),
        Kernel([[0.0, 1.0 + 0j]]),
        "kernel",
        None,
    ],
)
def test_unequal(other):
    assert Kernel([[0.0, 1.0]]) != other


# -- turning -------------------------------------------------------------------


def test_transpose_filters_the_transposed_image():
    kernel = Kernel(whole(2, 4), anchor=(1, 3), bias=2)
    assert kernel.T.anchor == (3, 1)
    expected = corr2d(IMAGE, kernel, padding="same").T
    np.testing.assert_array_equal(corr2d(IMAGE.T, kernel.T, padding="same"), expected)
    assert kernel.T.T == kernel


@pytest.mark.parametrize("shape", [(3, 3), (2, 4), (1, 2), (5, 2)])
@pytest.mark.parametrize("corner", [None, "first", "last"])
def test_flip_makes_correlation_convolution(shape, corner):
    anchor = {None: None, "first": (0, 0), "last": (shape[0] - 1, shape[1] - 1)}[corner]
    kernel = Kernel(whole(*shape), anchor=anchor, bias=-3)
    expected = convolve2d(IMAGE, kernel, padding="same")
    np.testing.assert_array_equal(corr2d(IMAGE, kernel.flip(), padding="same"), expected)
    assert kernel.flip().flip() == kernel


def test_flip_leaves_a_default_anchor_alone_where_it_can():
    assert Kernel(whole(3, 5)).flip().anchor is None
    assert Kernel(whole(3, 4)).flip().anchor == (1, 2)


def test_transpose_and_flip_of_four_axes_turn_the_last_two():
    kernel = Kernel(whole(3, 2, 4, 5))
    assert kernel.T.shape == (3, 2, 5, 4)
    np.testing.assert_array_equal(kernel.flip().weights, kernel.weights[:, :, ::-1, ::-1])


# -- algebra -------------------------------------------------------------------


@pytest.mark.parametrize(("a", "b"), [((3, 3), (2, 5)), ((1, 2), (1, 2)), ((4, 1), (1, 4)), ((1, 1), (3, 2))])
def test_product_applies_the_right_factor_first(a, b):
    a, b = Kernel(whole(*a), bias=3), Kernel(whole(*b), bias=-2)
    once = corr2d(IMAGE, a @ b)
    np.testing.assert_array_equal(once, corr2d(corr2d(IMAGE, b), a))
    assert (once != corr2d(corr2d(IMAGE, a), b)).any()  # the biases tell the order


@pytest.mark.parametrize(
    ("anchor_a", "anchor_b"), [(None, None), ((0, 1), (1, 0)), (None, (1, 1)), ((1, 0), None)]
)
def test_product_keeps_the_image_in_place(anchor_a, anchor_b):
    a, b = Kernel(whole(2, 2), anchor=anchor_a), Kernel(whole(2, 4), anchor=anchor_b)
    once = corr2d(IMAGE, a @ b, padding="same")
    twice = corr2d(corr2d(IMAGE, b, padding="same"), a, padding="same")
    inside = np.s_[4:-4, 5:-5]
    np.testing.assert_array_equal(once[inside], twice[inside])


def test_product_of_odd_kernels_leaves_the_anchor_open():
    assert (Kernel(whole(3, 5)) @ Kernel(whole(5, 3))).anchor is None


def test_product_of_complex_kernels():
    a = Kernel(whole(2, 3) + 1j * whole(2, 3), bias=1 - 2j)
    b = Kernel(whole(3, 2) + 1j * whole(3, 2), bias=2 + 1j)
    np.testing.assert_array_equal(corr2d(IMAGE, a @ b), corr2d(corr2d(IMAGE, b), a))


@pytest.mark.parametrize(
    ("a", "b"),
    [((4, 3, 2, 2), (3, 2, 3, 1)), ((2, 2), (3, 2, 3, 1)), ((4, 2, 1, 2), (3, 3))],
    ids=["4-D after 4-D", "2-D after 4-D", "4-D after 2-D"],
)
def test_product_with_channels(a, b):
    a, b = Kernel(whole(*a), bias=5), Kernel(whole(*b))
    image = whole(2, 9, 11)
    np.testing.assert_array_equal(corr2d(image, a @ b), corr2d(corr2d(image, b), a))


def test_product_whose_channels_do_not_meet_is_refused():
    with pytest.raises(ShapeError, match=r"right one makes 2 channels and the left one takes 3"):
        Kernel(whole(4, 3, 1, 1)) @ Kernel(whole(2, 3, 1, 1))


def test_product_that_needs_a_bias_for_each_channel_is_refused():
    with pytest.raises(OptionError, match="a different bias in each output channel"):
        Kernel([[[[1.0]]], [[[2.0]]]]) @ Kernel([[1.0]], bias=1)
    even = Kernel([[[[1.0]]], [[[1.0]]]]) @ Kernel([[1.0]], bias=3)
    assert even.bias == 3


@pytest.mark.parametrize("other", [np.eye(2), [[1.0]], 2])
def test_product_with_what_is_no_kernel_is_refused(other):
    with pytest.raises(DTypeError, match="@ applies one Kernel after another"):
        Kernel(np.eye(2)) @ other
    with pytest.raises(DTypeError, match="@ applies one Kernel after another"):
        other @ Kernel(np.eye(2))


@pytest.mark.parametrize("factor", [2, 0.5, np.float64(3), np.int8(-1), np.float32(0.25)])
def test_scaling_scales_the_result(factor):
    kernel = Kernel(whole(3, 3), anchor=(0, 1), bias=4)
    for scaled in (factor * kernel, kernel * factor):
        assert isinstance(scaled, Kernel)
        assert scaled.anchor == (0, 1)
        np.testing.assert_array_equal(corr2d(IMAGE, scaled), float(factor) * corr2d(IMAGE, kernel))


def test_division_is_correctly_rounded():
    third = Kernel([[1.0, 5.0]], bias=1) / 3
    assert third.weights.tolist() == [[1 / 3, 5 / 3]]
    assert third.bias == 1 / 3


def test_negation():
    kernel = Kernel([[1.0, 2.0]], bias=3)
    assert -kernel == Kernel([[-1.0, -2.0]], bias=-3)


def test_complex_factor_is_conjugated_like_the_weights():
    kernel = Kernel([[1.0, 2.0j]], bias=1 + 1j)
    np.testing.assert_array_equal(corr2d(IMAGE, 1j * kernel), -1j * corr2d(IMAGE, kernel))


def test_division_by_zero_and_overflow_are_refused():
    with pytest.raises(ZeroDivisionError, match="divided by zero"):
        Kernel([[1.0]]) / 0
    with pytest.raises(OptionError, match="NaN or infinity"):
        Kernel([[1e308]]) * 10


# -- files ---------------------------------------------------------------------

AWKWARD = np.array([[0.1, 1 / 3, -0.0], [5e-324, 1.7976931348623157e308, 2**53 + 2.0]])


@pytest.mark.parametrize(
    "kernel",
    [
        Kernel(AWKWARD, anchor=(1, 2), bias=0.1 + 0.2, name='edge "Δ"\n'),
        Kernel([[complex(-0.0, 1 / 3), complex(0.1, -0.0)]], bias=1 / 3 - 0.1j),
        Kernel([[1j]], bias=2.0),
        Kernel(whole(2, 3, 1, 4) / 7),
    ],
    ids=["real", "complex", "complex with real bias", "channels"],
)
def test_files_are_exact(kernel, tmp_path):
    path = tmp_path / "k.json"
    kernel.save(path)
    again = Kernel.load(path)
    assert again == kernel
    assert again.weights.tobytes() == kernel.weights.tobytes()  # signs of zero included
    assert (again.anchor, again.bias, again.name) == (kernel.anchor, kernel.bias, kernel.name)
    assert json.loads(path.read_text("utf-8"))["format"] == "corr2d-kernel"


def saved(tmp_path, **changes):
    path = tmp_path / "k.json"
    Kernel([[1.0, 2.0]]).save(path)
    record = json.loads(path.read_text())
    record.update(changes)
    path.write_text(json.dumps({key: value for key, value in record.items() if value is not ...}))
    return path


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": "other"}, 'no "format": "corr2d-kernel"'),
        ({"version": 2}, "version 2 is not 1; update corr2d"),
        ({"weights": ...}, "'weights' is missing"),
        ({"weights": [[1], [2, 3]]}, "not a corr2d kernel file"),
        ({"weights": [["1", "2"]]}, "not an array of numbers"),
        ({"weights": [[1e999]]}, "a weight cannot be Infinity"),
        ({"weights": [[10**400]]}, "not an array of numbers"),
        ({"weights": [1, 2]}, "1-D with 2 taps"),
        ({"weights": 7}, r"shape \(\)"),
        ({"dtype": "object"}, "dtype 'object' is neither"),
        ({"dtype": "complex128"}, "1-D with 1 taps"),
        ({"dtype": "complex128", "weights": [[[1, 2, 3, 4]]]}, "are pairs"),
        ({"anchor": [5, 5]}, "outside the kernel"),
        ({"anchor": "00"}, "not a pair of integers"),
        ({"bias": "1"}, "bias is one number"),
        ({"bias": [1, 2, 3]}, "not a corr2d kernel file"),
        ({"name": 3}, "name is a str"),
    ],
)
def test_a_corrupt_file_is_refused_in_one_line(changes, message, tmp_path):
    with pytest.raises(OptionError, match=message) as caught:
        Kernel.load(saved(tmp_path, **changes))
    assert "\n" not in str(caught.value)
    assert "k.json" in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b"\xff\xfe\x00", b"[" * 200_000, b'{"format": NaN}', pickle.dumps([1])],
    ids=["empty", "cut", "list", "null", "bytes", "deep", "nan", "pickle"],
)
def test_a_hostile_file_is_refused_in_one_line(content, tmp_path):
    path = tmp_path / "k.json"
    path.write_bytes(content)
    with pytest.raises(OptionError, match="not a corr2d kernel file") as caught:
        Kernel.load(path)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_the_usual_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="none.json"):
        Kernel.load(tmp_path / "none.json")


# -- looking -------------------------------------------------------------------


def test_repr_reads_back():
    kernel = Kernel([[1, -2.5], [0, 3]], anchor=(1, 0), bias=0.5, name="k")
    assert eval(repr(kernel)) == kernel
    assert repr(Kernel([[1.0]])) == "Kernel([[1.]])"


def test_html_is_without_script_and_escapes_the_name():
    kernel = Kernel(whole(3, 3), anchor=(0, 0), name="<script>alert(1)</script>")
    html = kernel._repr_html_()
    assert "<script" not in html
    assert "&lt;script&gt;" in html
    assert html.count("<td") == 9
    assert html.count("outline:2px") == 1


@pytest.mark.parametrize("shape", [(200, 2), (15, 15), (2, 3, 3, 3)])
def test_html_of_large_kernels_stays_small(shape):
    assert len(Kernel(np.ones(shape))._repr_html_()) < 60_000


def test_what_is_made_from_a_kernel_is_not_called_the_same():
    kernel = Kernel([[1.0, 2.0]], name="a")
    assert {k.name for k in (kernel.T, kernel.flip(), 2 * kernel, kernel / 2, -kernel)} == {""}
    assert (kernel @ Kernel([[1.0]], name="b")).name == "a @ b"


def test_replace_changes_one_thing():
    kernel = Kernel([[1.0]], bias=2, name="a")
    assert replace(kernel, bias=0.0) == Kernel([[1.0]])
