"""Kernels from text: everything the grammar accepts, and where it stops."""

import io
import pickle
import struct

import numpy as np
import pytest

from corr2d import kernels
from corr2d._errors import OptionError
from corr2d.kernel import Kernel
from corr2d.kernel_text import PRESETS, parse_kernel


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("identity", kernels.identity()),
        ("sobel-x", kernels.sobel(1)),
        ("sobel-y", kernels.sobel(0)),
        ("Sobel_Y", kernels.sobel(0)),
        ("scharr-x", kernels.scharr(1)),
        ("scharr-y", kernels.scharr(0)),
        ("laplacian", kernels.laplacian()),
        ("laplacian:points=9", kernels.laplacian(9)),
        ("laplacian:9", kernels.laplacian(9)),
        ("gaussian:sigma=2", kernels.gaussian(2)),
        ("gaussian:1/2", kernels.gaussian(0.5)),
        ("gaussian:sigma=(1, 2.5), order=(0,1)", kernels.gaussian((1, 2.5), order=(0, 1))),
        ("gaussian: sigma=1, truncate=3", kernels.gaussian(1, truncate=3)),
        ("box:h=5,w=3", kernels.box(5, 3)),
        ("box:5", kernels.box(5)),
        ("box:5,3", kernels.box(5, 3)),
        ("sharpen", kernels.sharpen()),
        ("sharpen:amount=2", kernels.sharpen(2)),
        ("sharpen:-.5", kernels.sharpen(-0.5)),
        ("gabor:wavelength=8,angle=30", kernels.gabor(8, 30)),
        ("derivative:dx=1,accuracy=4", kernels.derivative(dx=1, accuracy=4)),
        ("derivative:dy=1,scheme=forward,accuracy=1", kernels.derivative(1, scheme="forward", accuracy=1)),
        ("kirsch:ne", kernels.kirsch("NE")),
        ("savgol:window=(5,7),degree=2", kernels.savgol((5, 7), 2)),
        ("dog:s1=1,s2=1.6", kernels.dog(1, 1.6)),
        ("smallest-derivative:3", kernels.smallest_derivative(3)),
        ("directional:(1,-1)", kernels.directional((1, -1))),
        ("sobel:axis=1", kernels.sobel(1)),
    ],
)
def test_presets(text, expected):
    assert parse_kernel(text) == expected


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("1,-1", [[1, -1]]),
        ("-1,1", [[-1, 1]]),
        ("-1 , 1", [[-1, 1]]),
        ("0 -1 0; -1 5 -1; 0 -1 0", [[0, -1, 0], [-1, 5, -1], [0, -1, 0]]),
        ("0 -1 0\n-1 5 -1\n0 -1 0\n", [[0, -1, 0], [-1, 5, -1], [0, -1, 0]]),
        ("1 2;\r\n3 4;", [[1, 2], [3, 4]]),
        ("1\t2\n\n3 4", [[1, 2], [3, 4]]),
        ("5", [[5]]),
        ("1/9 -1/3; .5 +2e-1", [[1 / 9, -1 / 3], [0.5, 0.2]]),
        ("1.5/2", [[0.75]]),
        ("\N{MINUS SIGN}1 1", [[-1, 1]]),
        ("[1, -1]", [[1, -1]]),
        ("[[0, 1.5], [2e0, -3]]", [[0, 1.5], [2, -3]]),
        ("[[[[1, 2]]], [[[3, 4]]]]", [[[[1, 2]]], [[[3, 4]]]]),
    ],
)
def test_rows_and_lists(text, rows):
    np.testing.assert_array_equal(parse_kernel(text).weights, np.array(rows, float))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty string; give a preset, rows, a JSON list or @file"),
        (" \n", "empty string"),
        ("sobl", "'sobl': no such preset; closest is 'sobel'; all 39 are listed by `corr2d design`"),
        ("gauss:sigma=2", "closest is 'gaussian'"),
        ("nan", "no such preset"),
        ("box", "preset box takes h, w"),
        ("identity:1", "preset identity takes no arguments"),
        ("sobel-x:axis=0", "preset sobel-x takes no arguments"),
        ("sobel-x:0", "preset sobel-x takes no arguments"),
        ("gaussian:radius=2", "preset gaussian takes sigma, order, truncate"),
        ("gaussian:2,3", "preset gaussian takes sigma, order, truncate"),
        ("gaussian:sigma=two", "sigma='two' is text"),
        ("gaussian:sigma=t-o", "argument 'sigma=t-o' is not name=number or name=word"),
        ("box:three", "h='three' is not a whole number"),
        ("kirsch", "preset kirsch takes direction"),
        ("kirsch:up", "direction='up' is not known; choose E, NE"),
        ("derivative:dx=1,accuracy=3", "accuracy=3 is odd"),
        ("gaussian:sigma=", "argument 'sigma=' is not name=number"),
        ("gaussian:sigma=2,sigma=3", "sigma is given twice"),
        ("box:h=3,4", "argument '4' needs a name"),
        ("box:2.5", "h=2.5 is not a whole number"),
        ("gaussian:sigma=0", "sigma=0 must be above 0"),
        ("gaussian:sigma=(1,2,3)", "neither one number nor a pair"),
        ("laplacian:points=7", "choose 5 or 9"),
        ("box:99999999999999999999", "is not a whole number"),
        ("1 2; 3", "1 number in row 2, but 2 numbers in row 1"),
        ("1,,2", "nothing where a number is expected"),
        (",1", "nothing where a number is expected"),
        ("1;;2", "nothing where a number is expected"),
        (";", "nothing where a number is expected"),
        ("1 two", "'two' where a number is expected"),
        ("1 nan", "'nan' where a number is expected"),
        ("1 1_000", "'1_000' where a number is expected"),
        ("-sobel-x", "'-sobel-x' where a number is expected"),
        ("1/0", "1/0 divides by zero"),
        ("1e999 1", "NaN or infinity"),
        ("1/2/3", "where a number is expected"),
        ("{}", "'{}' where a number is expected"),
        ("[1, 2", "not a JSON list"),
        ("[1]]", "not a JSON list: extra data"),
        ("[" * 100_000, "not a JSON list"),
        ("[]", r"kernel has shape \(0,\)"),
        ("[[]]", "kernel is empty"),
        ("[[1, 2], [3]]", "rows differ in length"),
        ("[1, [2]]", "rows differ in length"),
        ('[["1"]]', "are not numbers"),
        ("3x3: 1,2", "^kernel '3x3: 1,2': 2 numbers for 3 rows and 3 columns$"),
        ("convolution=0m='1 2'", "^kernel .*: 2 numbers in a matrix"),
        ("[[NaN]]", "NaN or infinity"),
    ],
)
def test_malformed_text_is_refused_in_one_line(text, message):
    with pytest.raises(OptionError, match=message) as caught:
        parse_kernel(text)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


def test_every_design_is_a_preset():
    assert {name.replace("_", "-") for name in kernels.__all__} <= PRESETS.keys()


def test_presets_cannot_be_changed_from_outside():
    with pytest.raises(TypeError, match="assignment"):
        PRESETS["mine"] = kernels.identity


# -- files ---------------------------------------------------------------------


def test_json_file_keeps_anchor_and_bias(tmp_path):
    kernel = Kernel([[0.1, 2]], anchor=(0, 1), bias=3, name="k")
    kernel.save(tmp_path / "k.json")
    assert parse_kernel(f"@{tmp_path / 'k.json'}") == kernel


@pytest.mark.parametrize("array", [np.array([[1, -1]]), np.asfortranarray(np.eye(3, 2)), np.array([[1.5]], ">f4")])
def test_npy_file(array, tmp_path):
    np.save(tmp_path / "k.npy", array)
    np.testing.assert_array_equal(parse_kernel(f"@{tmp_path / 'k.npy'}").weights, array)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("k.txt", "# emboss\n1 2  # first\n\n3 1/4\n"),
        ("k.csv", "\ufeff1,2\r\n3,0.25\r\n"),
        ("K.CSV", "1, 2; 3, .25"),
    ],
)
def test_text_file(name, content, tmp_path):
    (tmp_path / name).write_text(content, "utf-8", newline="")
    np.testing.assert_array_equal(parse_kernel(f"@{tmp_path / name}").weights, [[1, 2], [3, 0.25]])


def npy(header):
    header = header.encode() + b"\n"
    return b"\x93NUMPY\x01\0" + struct.pack("<H", len(header)) + header


def pickled_npy():
    file = io.BytesIO()
    np.save(file, np.array([[{}]]), allow_pickle=True)
    return file.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("k.json", b"{}", "not a corr2d kernel file"),
        ("k.npy", b"", "not a NumPy array"),
        ("k.npy", pickle.dumps([[1]]), "not a NumPy array"),
        ("k.npy", pickled_npy(), "Python objects"),
        ("k.npy", npy("{'descr': '<f8', 'fortran_order': False, 'shape': (1000000, 1000000), }"), "greater than file size"),
        ("k.npy", npy("__import__('os').abort()"), "not a NumPy array"),
        ("k.txt", b"", "nothing where a number is expected"),
        ("k.txt", b"\xff\xfe1\x00", "not text in UTF-8"),
        ("k.csv", b"1,2\n3\n", "1 number in row 2"),
        ("k.png", b"\x89PNG", "not text in UTF-8, nor a NumPy file"),
    ],
)
def test_a_bad_file_is_refused_in_one_line(name, content, message, tmp_path):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(OptionError, match=message) as caught:
        parse_kernel(f"@{path}")
    assert "\n" not in str(caught.value)
    assert name in str(caught.value)


@pytest.mark.parametrize("suffix", [".json", ".npy", ".txt"])
def test_a_missing_file_is_refused(suffix, tmp_path):
    with pytest.raises(OptionError, match=f"none{suffix}.*no such file"):
        parse_kernel(f"@{tmp_path / 'none'}{suffix}")


def test_a_1d_npy_file_names_the_fix(tmp_path):
    np.save(tmp_path / "k.npy", np.ones(3))
    with pytest.raises(OptionError, match=r"kernel\[None, :\]"):
        parse_kernel(f"@{tmp_path / 'k.npy'}")
