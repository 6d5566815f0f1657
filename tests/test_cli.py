"""The command line: files in and out, what it says, and its exit status."""

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import corr2d
from corr2d import _demo, _samples, cli, images, kernels
from corr2d._errors import OptionError
from corr2d.images import Image
from corr2d.kernel import Kernel
from corr2d.kernel_text import parse_kernel

pytest.importorskip("PIL.Image", reason="image files need pillow")
pytest.importorskip("tifffile", reason="TIFF needs tifffile")
pytest.importorskip("imagecodecs", reason="16-bit colour PNG needs imagecodecs")

RNG = np.random.default_rng(11)
GRAY = RNG.integers(0, 256, (40, 50), np.uint8)
RGB = RNG.integers(0, 256, (40, 50, 3), np.uint8)
SAME = {"padding": "same", "boundary": "reflect"}


@pytest.fixture
def run(tmp_path, monkeypatch, capfd):
    """Run the command line in an empty folder; return (status, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)

    def call(*argv):
        status = cli.main(argv)
        return status, *capfd.readouterr()

    return call


def test_the_package_runs_as_a_module():
    """Where the folder of scripts is not on the path."""
    done = subprocess.run([sys.executable, "-m", "corr2d", "plan", "8x8", "-k", "no-such"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "") and done.stderr.startswith("corr2d: kernel 'no-such'")


def shell(*argv, **options):
    return subprocess.run([sys.executable, "-m", "corr2d.cli", *argv], capture_output=True, text=True, **options)


def put(name, pixels, alpha=None, **rest):
    images.write(name, Image(pixels, alpha, **rest))


# -- results -------------------------------------------------------------------


@pytest.mark.parametrize("text", ["sobel-x", "gaussian:sigma=1", "-1,1", "0 -1 0; -1 5 -1; 0 -1 0", "[[1, 2], [3, 4]]"])
def test_npy_gets_what_the_function_returns(run, text):
    put("a.png", RGB)
    assert run("apply", "a.png", "b.npy", "-k", text) == (0, "", "")
    expected = corr2d.corr2d(RGB, parse_kernel(text), channel_axis=-1, **SAME)
    np.testing.assert_array_equal(np.load("b.npy"), expected)


@pytest.mark.parametrize(
    ("argv", "options"),
    [
        (["--padding", "valid"], {"padding": "valid"}),
        (["--padding", "full"], {"padding": "full"}),
        (["--padding", "2"], {"padding": 2}),
        (["--padding", "1,2"], {"padding": (1, 2)}),
        (["--padding=0, 1, 2, 3"], {"padding": ((0, 1), (2, 3))}),
        (["--boundary", "wrap"], {"boundary": "wrap"}),
        (["--boundary", "opencv:BORDER_REFLECT_101"], {"boundary": "reflect"}),
        (["--boundary", "constant", "--fill", "-3.5"], {"boundary": "constant", "fill": -3.5}),
        (["--anchor", "0,2"], {"anchor": (0, 2)}),
        (["--stride", "2"], {"stride": 2}),
        (["--stride", "3,1", "--dilation", "1,2"], {"stride": (3, 1), "dilation": (1, 2)}),
        (["--method", "direct", "--threads", "1"], {"method": "direct", "threads": 1}),
        (["--dtype", "float64"], {"dtype": "float64"}),
    ],
)
def test_options_mean_what_they_mean_in_the_api(run, argv, options):
    put("a.png", GRAY)
    kernel = Kernel(RNG.integers(-9, 9, (2, 3)) / 7)
    kernel.save("k.json")
    assert run("apply", "a.png", "b.npy", "-k", "@k.json", *argv) == (0, "", "")
    result = np.load("b.npy")
    expected = corr2d.corr2d(GRAY, kernel, **(SAME | options))
    assert result.dtype == expected.dtype
    np.testing.assert_array_equal(result, expected)


def test_a_kernel_file_brings_its_anchor_and_bias(run):
    put("a.png", GRAY)
    Kernel([[1.0, 2.0]], anchor=(0, 1), bias=7).save("k.json")
    assert run("apply", "a.png", "b.npy", "-k", "@k.json")[0] == 0
    np.testing.assert_array_equal(
        np.load("b.npy"), corr2d.corr2d(GRAY, [[1, 2]], anchor=(0, 1), **SAME) + 7
    )


@pytest.mark.parametrize("form", [["-k", "-1,1"], ["-k=-1,1"], ["--kernel", "-1 1"], ["--kernel=-1,1"], ["-k", "-1;-2"]])
def test_a_kernel_may_begin_with_a_minus_sign(run, form):
    put("a.png", GRAY)
    status, out, err = run("apply", "a.png", "b.npy", *form)
    assert (status, out, err) == (0, "", "")


def test_kernels_that_mix_channels(run):
    put("a.png", RGB)
    assert run("apply", "a.png", "b.png", "-k", "[[[[0.25]], [[0.5]], [[0.25]]]]")[0] == 0
    mixed = images.read("b.png").pixels
    np.testing.assert_array_equal(mixed, np.rint(RGB @ [0.25, 0.5, 0.25]).astype(np.uint8))
    assert run("apply", "b.png", "c.png", "-k", "[[[[1]]], [[[0.5]]], [[[0]]]]")[0] == 0
    assert images.read("c.png").pixels.shape == RGB.shape


def test_the_output_may_be_the_input(run):
    for name in ("a.png", "a.npy"):
        put(name, GRAY)
        assert run("apply", name, name, "-k", "box:3", "--dtype", "uint8") == (0, "", "")
        expected = np.rint(corr2d.corr2d(GRAY, kernels.box(3), **SAME))
        np.testing.assert_array_equal(images.read(name).pixels, expected)


# -- sample types ----------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("with_alpha", [False, True])
def test_sample_type_alpha_and_profile_stay(run, suffix, dtype, channels, with_alpha):
    most = np.iinfo(dtype).max
    pixels = RNG.integers(0, most + 1, (20, 30) if channels == 1 else (20, 30, 3), dtype)
    alpha = RNG.integers(0, most + 1, (20, 30), dtype) if with_alpha else None
    put(f"a{suffix}", pixels, alpha, icc_profile=b"\0" * 200, dpi=(300, 300))
    assert run("apply", f"a{suffix}", f"b{suffix}", "-k", "box:3") == (0, "", "")
    after = images.read(f"b{suffix}")
    expected = corr2d.corr2d(pixels, kernels.box(3), channel_axis=None if channels == 1 else -1, **SAME)
    np.testing.assert_array_equal(after.pixels, np.rint(expected).astype(dtype))
    np.testing.assert_array_equal(after.alpha, alpha)
    assert (after.icc_profile, round(after.dpi[0])) == (b"\0" * 200, 300)


def test_identity_changes_no_byte_of_the_pixels(run):
    put("a.png", RGB)
    assert run("apply", "a.png", "b.png", "-k", "identity") == (0, "", "")
    np.testing.assert_array_equal(images.read("b.png").pixels, RGB)


@pytest.mark.parametrize("suffix", [".tif", ".npy"])
def test_floats_hold_everything(run, suffix):
    pixels = RNG.normal(size=(9, 8)).astype(np.float32) * 1e6
    put(f"a{suffix}", pixels)
    assert run("apply", f"a{suffix}", f"b{suffix}", "-k", "sobel-x") == (0, "", "")
    np.testing.assert_array_equal(
        images.read(f"b{suffix}").pixels, corr2d.corr2d(pixels, kernels.sobel(1), **SAME)
    )


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["--padding", "valid"], np.s_[1:-1, 1:-1]),
        (["--stride", "2"], np.s_[::2, ::2]),
        (["--padding", "valid", "--stride", "3,2"], np.s_[1:-1:3, 1:-1:2]),
        (["--padding", "valid", "--dilation", "2"], np.s_[2:-2, 2:-2]),
    ],
)
def test_alpha_is_cropped_and_skipped_like_the_pixels(run, argv, expected):
    alpha = RNG.integers(0, 256, (40, 50), np.uint8)
    put("a.png", RGB, alpha)
    assert run("apply", "a.png", "b.png", "-k", "box:3", *argv)[0] == 0
    after = images.read("b.png")
    np.testing.assert_array_equal(after.alpha, alpha[expected])
    assert after.alpha.shape == after.pixels.shape[:2]


def test_alpha_outside_the_image_is_transparent_under_constant_padding(run):
    put("a.png", GRAY, np.full((40, 50), 200, np.uint8))
    assert run("apply", "a.png", "b.png", "-k", "box:3", "--padding", "full", "--boundary", "constant", "--fill", "9")[0] == 0
    alpha = images.read("b.png").alpha
    assert alpha.shape == (42, 52)
    assert (alpha[0].max(), alpha[1:-1, 1:-1].min()) == (0, 200)


# -- results that do not fit -------------------------------------------------------


@pytest.mark.parametrize(("dtype", "middle", "room"), [("uint8", 128, 127), ("uint16", 32768, 32767)])
@pytest.mark.parametrize("text", ["sobel-x", "1,-1", "laplacian:points=9"])
def test_zero_gain_is_shown_around_mid_grey_and_said(run, dtype, middle, room, text):
    pixels = GRAY.astype(dtype)
    pixels[:10, :10] = 77  # a flat corner
    put("a.png", pixels)
    status, out, err = run("apply", "a.png", "b.png", "-k", text)
    assert (status, out) == (0, "")
    value = corr2d.corr2d(pixels, parse_kernel(text), **SAME).astype(float)
    scale = room / np.abs(value).max()
    shown = images.read("b.png").pixels
    np.testing.assert_array_equal(shown, np.rint(middle + scale * value).astype(dtype))
    assert (shown[1:8, 1:8] == middle).all()
    assert err == f"corr2d: b.png: a zero-gain kernel: shown as {middle} + {scale:.3g} x value\n"


def test_other_kernels_saturate_and_the_share_is_said(run):
    put("a.png", RGB)
    status, _, err = run("apply", "a.png", "b.png", "-k", "sharpen")
    value = np.rint(corr2d.corr2d(RGB, kernels.sharpen(), channel_axis=-1, **SAME))
    outside = int(((value < 0) | (value > 255)).any(axis=-1).sum())
    assert status == 0
    np.testing.assert_array_equal(images.read("b.png").pixels, np.clip(value, 0, 255))
    assert err == f"corr2d: b.png: {outside} of 2000 pixels ({outside / 20:.2g} %) do not fit uint8 and saturate\n"


def test_clip_scale_and_offset_decide_otherwise(run):
    put("a.png", GRAY)
    value = corr2d.corr2d(GRAY, kernels.sobel(1), **SAME).astype(float)
    assert "do not fit uint8" in run("apply", "a.png", "b.png", "-k", "sobel-x", "--clip")[2]
    np.testing.assert_array_equal(images.read("b.png").pixels, np.clip(value, 0, 255))
    assert run("apply", "a.png", "b.png", "-k", "sobel-x", "--scale", "-0.0625", "--offset", "100") == (0, "", "")
    np.testing.assert_array_equal(images.read("b.png").pixels, np.rint(100 - value / 16))
    assert run("apply", "a.png", "b.tif", "-k", "sobel-x", "--dtype", "int16") == (0, "", "")
    np.testing.assert_array_equal(images.read("b.tif").pixels, value)
    assert run("apply", "a.png", "b.tif", "-k", "sobel-x", "--dtype", "float32", "--offset", "0.5") == (0, "", "")
    np.testing.assert_array_equal(images.read("b.tif").pixels, value + 0.5)


def test_dtype_brings_floats_into_png(run):
    put("a.tif", np.array([[0, 0.5, 1.0, 1.5]], np.float32))
    status, _, err = run("apply", "a.tif", "b.png", "-k", "identity")
    assert (status, "PNG holds uint8 or uint16 and not float32" in err) == (2, True)
    assert not os.path.exists("b.png")
    status, _, err = run("apply", "a.tif", "b.png", "-k", "identity", "--dtype", "uint8", "--scale", "255")
    assert images.read("b.png").pixels.tolist() == [[0, 128, 255, 255]]  # half to even: 127.5 → 128
    assert "1 of 4 pixels (25 %) do not fit uint8" in err


class TestFit:
    def test_block_by_block_is_the_same(self, monkeypatch):
        result = RNG.normal(size=(37, 11, 3)) * 200
        whole = _samples.fit(result, np.dtype("uint8"), zero_gain=False)
        monkeypatch.setattr(_samples, "_BLOCK", 50)
        parts = _samples.fit(result, np.dtype("uint8"), zero_gain=False)
        np.testing.assert_array_equal(parts.samples, whole.samples)
        assert (parts.saturated, parts.note) == (whole.saturated, whole.note)

    @pytest.mark.parametrize("dtype", ["int64", "uint64", "int32", "uint32"])
    def test_the_widest_types_saturate_without_wrapping(self, dtype):
        fitted = _samples.fit(np.array([[-1e30, 1e30]]), np.dtype(dtype), zero_gain=False)
        low, high = (int(n) for n in fitted.samples[0])
        assert low == np.iinfo(dtype).min
        assert high >= np.iinfo(dtype).max - 2048  # the largest float64 below 2⁶⁴
        assert fitted.saturated == 2

    def test_rounding_is_half_to_even(self):
        fitted = _samples.fit(np.array([[0.5, 1.5, 2.5, 255.5]]), np.dtype("uint8"), zero_gain=False)
        assert fitted.samples.tolist() == [[0, 2, 2, 255]]
        assert fitted.saturated == 1  # 255.5 rounds to 256

    def test_nan_becomes_zero_and_is_said(self):
        fitted = _samples.fit(np.array([[np.nan, np.inf, -5.0]]), np.dtype("int16"), zero_gain=True)
        assert fitted.samples.tolist() == [[0, 32767, -5]]
        assert "1 samples are NaN and become 0" in fitted.note

    def test_signed_types_keep_edges_as_they_are_if_they_fit(self):
        small = _samples.fit(np.array([[-300.0, 300.0]]), np.dtype("int16"), zero_gain=True)
        assert (small.samples.tolist(), small.note) == ([[-300, 300]], "")
        large = _samples.fit(np.array([[-70000.0, 35000.0]]), np.dtype("int16"), zero_gain=True)
        assert large.samples.tolist() == [[-32767, 16384]]

    def test_flat_edges_are_mid_grey(self):
        fitted = _samples.fit(np.zeros((2, 2)), np.dtype("uint8"), zero_gain=True)
        assert (fitted.samples == 128).all()

    def test_complex_needs_npy(self):
        with pytest.raises(OptionError, match="result is complex and uint8 is not"):
            _samples.fit(np.zeros((2, 2), complex), np.dtype("uint8"), zero_gain=False)

    @pytest.mark.parametrize(
        ("kernel", "expected"),
        [
            (kernels.sobel(1), True),
            (kernels.laplacian(9), True),
            (Kernel([[0.1, 0.2, -0.3]]), True),
            (Kernel([[1, -1 + 1e-8]]), False),
            (kernels.sharpen(), False),
            (Kernel([[0.0]]), False),
            (Kernel([[1, -1]], bias=128), False),
            (Kernel([[[[1, -1]]], [[[1, 1]]]]), False),
        ],
    )
    def test_zero_gain(self, kernel, expected):
        assert _samples.is_zero_gain(kernel) == expected


# -- exit status and stderr ----------------------------------------------------------

BAD_USAGE = [
    (["apply", "a.png", "b.png", "-k", "sobl"], "closest is 'sobel'; all 39 are listed by"),
    (["apply", "a.png", "b.png", "-k", "1 2; 3"], "1 number in row 2"),
    (["apply", "a.png", "b.png", "-k", ""], "empty string"),
    (["apply", "a.png", "b.png", "-k"], "-k requires an argument"),
    (["apply", "a.png", "b.png"], "--kernel requires an argument"),
    (["apply", "a.png", "-k", "identity"], "OUT requires an argument"),
    (["apply", "a.png", "b.png", "c.png", "-k", "identity"], "unused Tokens"),
    (["apply", "a.png", "b.png", "-k", "identity", "--bondary", "wrap"], "--bondary. Did you mean --boundary"),
    (["apply", "a.png", "b.png", "-k", "identity", "--boundary", "mirror"], "boundary='mirror' is not known"),
    (["apply", "a.png", "b.png", "-k", "identity", "--padding", "some"], "padding 'some' is not known"),
    (["apply", "a.png", "b.png", "-k", "identity", "--padding", "1,2,3"], "padding '1,2,3' is not known"),
    (["apply", "a.png", "b.png", "-k", "identity", "--stride", "0"], "stride"),
    (["apply", "a.png", "b.png", "-k", "identity", "--stride", "1,2,3"], "'1,2,3' is not 1 or 2 whole numbers"),
    (["apply", "a.png", "b.png", "-k", "box:3", "--anchor", "3,0"], "anchor"),
    (["apply", "a.png", "b.png", "-k", "box:3", "--anchor", "1"], "anchor '1' is not 2 whole numbers"),
    (["apply", "a.png", "b.png", "-k", "identity", "--threads", "0"], "threads"),
    (["apply", "a.png", "b.png", "-k", "identity", "--threads", "two"], "--threads"),
    (["apply", "a.png", "b.png", "-k", "identity", "--method", "magic"], "method='magic' is not known"),
    (["apply", "a.png", "b.png", "-k", "1 2; 3 5", "--method", "separable"], "separable.*refuses"),
    (["apply", "a.png", "b.png", "-k", "identity", "--dtype", "float15"], 'invalid value "float15" for --dtype'),
    (["apply", "a.png", "b.png", "-k", "identity", "--scale", "big"], "--scale"),
    (["apply", "a.png", "b.jpg", "-k", "identity", "--dtype", "uint16"], "JPEG holds uint8 and not uint16"),
    (["plan", "a.png", "-k", "identity", "--image-dtype", "uint8"], "--image-dtype goes with a size"),
    (["demo", "--output", "panel.gif"], "must end in one of"),
    (["learn", "a.png", "a.png", "--plot", "p.foo"], "p.foo: a figure's name must end in .png, .svg or .pdf"),
    (["aply"], 'unknown command "aply". Did you mean "apply"'),
]
FAILED_WORK = [
    (["apply", "none.png", "b.png", "-k", "identity"], "none.png: no such file"),
    (["apply", "cut.png", "b.png", "-k", "identity"], "cut.png: .*(cut off|truncated)"),
    (["apply", "text.png", "b.png", "-k", "identity"], "text.png: neither PNG, JPEG, TIFF nor NPY"),
    (["apply", "a.png", "b.gif", "-k", "identity"], r"b.gif: the name must end in one of \.png"),
    (["apply", "a.png", "b", "-k", "identity", "--dtype", "float32"], r"b: the name must end in one of \.png.*tells the format$"),
    (["apply", "a.png", "none/b.png", "-k", "identity"], "none/b.png: there is no folder 'none'"),
    (["apply", "a.png", "text.png/b.png", "-k", "identity"], "there is no folder 'text.png'"),
    (["apply", "a.png", "folder.png", "-k", "identity"], "folder.png: cannot be written: is a folder"),
    (["apply", "a.png", "b.png", "-k", "@none.json"], "kernel file 'none.json': no such file"),
    (["apply", "a.png", "b.png", "-k", "@text.json"], "kernel file 'text.json': not a corr2d kernel file"),
    (["apply", "a.png", "b.png", "-k", "box:99", "--padding", "valid"], "kernel"),
    (["learn", "a.png", "a.png", "-o", "none/k.json"], "none/k.json: there is no folder 'none'"),
    (["learn", "a.png", "a.png", "--plot", "none/p.png"], "none/p.png: there is no folder 'none'"),
    (["export", "-k", "identity", "--to", "c", "-o", "none/k.h"], "none/k.h: there is no folder 'none'"),
    (["export", "-k", "identity", "--to", "c", "-o", f"{'k' * 300}.h"], "kkk.h: file name too long"),
    (["plan", "none.png", "-k", "identity"], "none.png: neither a file nor a size such as 3072x4096"),
]


@pytest.mark.parametrize(
    ("argv", "message", "status"),
    [(*case, 2) for case in BAD_USAGE] + [(*case, 1) for case in FAILED_WORK],
    ids=lambda value: " ".join(value)[:70] if isinstance(value, list) else "",
)
def test_what_goes_wrong_is_one_line_and_leaves_no_file(run, argv, message, status):
    put("a.png", GRAY)
    with open("a.png", "rb") as whole, open("cut.png", "wb") as cut:
        cut.write(whole.read()[:-30])
    for name in ("text.png", "text.json"):
        with open(name, "w") as file:
            file.write("hello")
    os.mkdir("folder.png")
    before = sorted(os.listdir())
    got, out, err = run(*argv)
    assert (got, out) == (status, "")
    assert re.search(message, err)
    assert err.startswith("corr2d: ")
    assert err.endswith("\n")
    assert len(err.splitlines()) == 1
    assert "\x1b" not in err
    assert sorted(os.listdir()) == before


def test_control_codes_do_not_reach_the_terminal(run):
    status, _, err = run("plan", "\x1b[31mred.png", "-k", "identity")
    assert (status, "\x1b" in err) == (1, False)


def test_exit_status_of_the_process(tmp_path):
    put(tmp_path / "a.png", GRAY)
    good = shell("apply", "a.png", "b.png", "-k", "-1,1", cwd=tmp_path)
    assert (good.returncode, good.stdout) == (0, "")
    for argv, status in ((["-k", "sobl"], 2), (["-k", "@none.npy"], 1)):
        bad = shell("apply", "a.png", "c.png", *argv, cwd=tmp_path)
        assert (bad.returncode, bad.stdout) == (status, "")
        assert len(bad.stderr.splitlines()) == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.png", "b.png"]


def test_version_and_help_are_plain_text():
    version = shell("--version")
    assert (version.returncode, version.stdout.strip()) == (0, corr2d.__version__)
    for argv in (["--help"], ["apply", "--help"], ["plan", "--help"], ["demo", "--help"]):
        shown = shell(*argv)
        assert shown.returncode == 0
        assert "\x1b" not in shown.stdout
    assert "--boundary" in shell("apply", "--help").stdout


def test_a_missing_package_is_one_line(run, monkeypatch):
    put("a.png", GRAY)
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    status, out, err = run("apply", "a.png", "b.png", "-k", "identity")
    assert (status, out) == (1, "")
    assert err == 'corr2d: image files need pillow: pip install "corr2d[images]"\n'


def test_ctrl_c_while_writing_leaves_no_file(run, monkeypatch):
    put("a.png", GRAY)

    def interrupted(file, raster):
        file.write(b"half")
        raise KeyboardInterrupt

    monkeypatch.setitem(images.ENCODERS, "png", interrupted)
    assert run("apply", "a.png", "b.png", "-k", "identity") == (130, "", "corr2d: interrupted\n")
    assert os.listdir() == ["a.png"]


def test_ctrl_c_during_the_work_is_heard(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((2000, 2000), np.float32))
    argv = ["apply", "a.npy", "b.npy", "-k", "box:301", "--method", "direct", "--threads", "1"]
    process = subprocess.Popen(
        [sys.executable, "-m", "corr2d.cli", *argv], cwd=tmp_path, stderr=subprocess.PIPE, text=True
    )
    time.sleep(2.0)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    start = time.monotonic()
    _, err = process.communicate(timeout=20)
    assert time.monotonic() - start < 2
    assert (process.returncode, err) == (130, "corr2d: interrupted\n")
    assert [p.name for p in tmp_path.iterdir()] == ["a.npy"]


def test_a_reader_that_leaves_early_is_no_error():
    reading, writing = os.pipe()
    os.close(reading)
    argv = [sys.executable, "-m", "corr2d.cli", "plan", "64x64", "-k", "box:3"]
    done = subprocess.run(argv, stdout=writing, stderr=subprocess.PIPE)
    os.close(writing)
    assert (done.returncode, done.stderr) == (1, b"")


@pytest.mark.parametrize("terminal", [True, False])
def test_a_progress_bar_is_for_terminals(terminal, tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((2100, 2000), np.uint8))
    controller, end = pty.openpty() if terminal else os.pipe()
    argv = [sys.executable, "-m", "corr2d.cli", "apply", "a.npy", "[red] b.npy", "-k", "box:3"]
    environment = {**os.environ, "TERM": "xterm"}
    subprocess.run(argv, cwd=tmp_path, stderr=end, check=True, env=environment)
    os.set_blocking(controller, False)
    try:
        shown = os.read(controller, 100_000)
    except BlockingIOError:
        shown = b""
    os.close(controller)
    os.close(end)
    assert (b"writing [red] b.npy" in shown) == terminal


# -- reports, plan, demo -----------------------------------------------------------


def test_json_is_all_of_stdout(run):
    put("a.png", GRAY)
    status, out, err = run("apply", "a.png", "b.png", "-k", "sobel-x", "--json")
    assert status == 0
    report = json.loads(out)
    assert report["kernel"] == {"name": "sobel-x", "shape": [3, 3]}
    assert (report["output"], report["shape"], report["dtype"]) == ("b.png", [40, 50], "uint8")
    assert report["offset"] == 128
    assert report["saturated_pixels"] == 0
    assert report["seconds"] > 0
    assert report["note"] in err


def test_plan_prints_the_plan(run):
    options = {"padding": "same", "boundary": "reflect", "stride": 2, "threads": 1}
    status, out, err = run("plan", "300x400", "-k", "gaussian:2", "--stride", "2", "--threads", "1")
    expected = corr2d.plan((300, 400), kernels.gaussian(2), image_dtype="float32", **options)
    assert (status, out, err) == (0, f"{expected}\n", "")


def test_plan_reads_shape_and_type_from_a_file(run):
    put("a.png", RGB.astype(np.uint16))
    status, out, _ = run("plan", "a.png", "-k", "box:3", "--json")
    expected = corr2d.plan(RGB.astype(np.uint16), kernels.box(3), channel_axis=-1, **SAME)
    assert status == 0
    assert json.loads(out) == json.loads(json.dumps(expected.to_dict()))


def test_plan_of_a_size_takes_a_type_and_channels(run):
    status, out, _ = run("plan", "30x40x3", "-k", "box:3", "--image-dtype", "uint8", "--json")
    assert (status, json.loads(out)["image"]) == (0, {"shape": [30, 40, 3], "dtype": "uint8"})


def test_demo_measures_and_draws(run):
    status, out, err = run("demo")
    assert (status, err) == (0, "")
    assert os.listdir() == ["corr2d-demo.png"]
    assert "corr2d-demo.png" in out.splitlines()[-1]
    for line in ("copy the image", "the chapter's [1, -1]", "Sobel, x"):
        (row,) = [row for row in out.splitlines() if row.startswith(line)]
        small, large = (float(ms) for ms in re.findall(r"([\d.]+) ms", row))
        assert 0 < small < large
    panel = images.read("corr2d-demo.png").pixels
    assert panel.shape[2] == 3
    # The photograph is on the page, pixel for pixel.
    photo = images.sample().pixels
    tile = panel[_demo._HEAD : _demo._HEAD + 512, _demo._MARGIN : _demo._MARGIN + 512, 0]
    np.testing.assert_array_equal(tile, photo)


@pytest.mark.parametrize("option", [("--scale", "nan"), ("--offset", "inf"), ("--scale=-1e400",)])
def test_scale_and_offset_are_finite(run, option):
    """A scale or offset that is not a number is bad usage, not a black picture."""
    put("in.png", np.zeros((4, 5), np.uint8))
    status, _, error = run("apply", "in.png", "out.png", "-k", "sharpen", *option)
    assert status == 2 and "finite number" in error
    assert not Path("out.png").exists()


def test_a_file_may_hold_a_bare_json_list(run):
    """@kernel.json takes the same list as the command line."""
    Path("k.json").write_text("[[1, 2, 1]]")
    put("in.png", np.arange(20, dtype=np.uint8).reshape(4, 5))
    assert run("apply", "in.png", "a.npy", "-k", "@k.json")[0] == 0
    assert run("apply", "in.png", "b.npy", "-k", "[[1, 2, 1]]")[0] == 0
    assert np.array_equal(np.load("a.npy"), np.load("b.npy"))


def test_a_pipe_is_refused_in_one_line(run):
    """An image is read twice, which a pipe does not allow: said so, not called corrupt."""
    os.mkfifo("pipe.png")
    status, _, error = run("apply", "pipe.png", "out.png", "-k", "identity")
    assert status == 1 and "regular file" in error and error.count("\n") == 1


def test_a_closed_stdout_is_no_failure(tmp_path):
    """`corr2d apply … >&-` does its work and exits with 0."""
    images.write(tmp_path / "in.png", Image(np.zeros((4, 5), np.uint8), None))
    command = f"{sys.executable} -m corr2d.cli apply in.png out.png -k sharpen >&-"
    done = subprocess.run(["sh", "-c", command], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "out.png").exists()
