"""``corr2d design`` and ``corr2d describe``, as a shell sees them."""

import json
from pathlib import Path

import numpy as np
import pytest

from corr2d import Kernel, cli, kernels
from corr2d.kernel_text import PRESETS, parse_kernel


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def run(*argv):
        status = cli.main(list(argv))
        out, err = capsys.readouterr()
        return status, out, err

    return run


@pytest.mark.parametrize(
    ("words", "kernel"),
    [
        (["sobel-x"], kernels.sobel(1)),
        (["gaussian:sigma=0.5"], kernels.gaussian(0.5)),
        (["gaussian", "sigma=0.5", "truncate=3"], kernels.gaussian(0.5, truncate=3)),
        (["derivative", "dx=1", "accuracy=4"], kernels.derivative(dx=1, accuracy=4)),
        (["kirsch", "NE"], kernels.kirsch("NE")),
        (["savgol", "window=(3,5)", "degree=2"], kernels.savgol((3, 5), 2)),
        (["smallest_derivative", "3"], kernels.smallest_derivative(3)),
    ],
)
def test_design_prints_rows_that_read_back_bit_for_bit(run, words, kernel):
    status, out, err = run("design", *words)
    assert (status, err) == (0, "")
    np.testing.assert_array_equal(parse_kernel(out), kernel)


@pytest.mark.parametrize("suffix", [".json", ".npy", ".txt", ".csv"])
def test_design_writes_files_that_every_k_reads(run, suffix):
    assert run("design", "log:1", "--output", f"k{suffix}") == (0, "", "")
    np.testing.assert_array_equal(parse_kernel(f"@k{suffix}"), kernels.log(1))
    if suffix == ".json":
        assert Kernel.load("k.json").source == "corr2d.kernels.log(sigma=1)"


def test_design_lists_what_there_is(run):
    status, out, _ = run("design")
    assert status == 0
    assert [line.split()[0] for line in out.splitlines()[::2]] == [name.replace("_", "-") for name in kernels.__all__]
    assert "derivative           dy=0, dx=0, accuracy=2, scheme='central', spacing=1.0\n" in out


def test_design_as_json(run):
    record = json.loads(run("design", "box:2", "--json")[1])
    assert (record["name"], record["source"]) == ("box 2×2", "corr2d.kernels.box(h=2)")
    assert (record["anchor"], record["weights"]) == (None, [[0.25, 0.25], [0.25, 0.25]])


def test_design_as_json_is_a_kernel_file(run):
    """``corr2d design … --json > k.json``, and then ``-k @k.json``; ``-o`` writes the same."""
    Path("k.json").write_text(run("design", "derivative", "dx=1", "accuracy=4", "--json")[1])
    assert Kernel.load("k.json") == kernels.derivative(0, 1, accuracy=4)
    assert run("design", "derivative", "dx=1", "accuracy=4", "-o", "same.json") == (0, "", "")
    assert Kernel.load("same.json") == Kernel.load("k.json")


def test_describe_says_the_name_first(run):
    for argv in (["-1 0 1; -2 0 2; -1 0 1"], ["sobel-x"], ["[[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]"]):
        status, out, err = run("describe", *argv)
        assert (status, err) == (0, "")
        assert out.startswith("3×3 kernel: Sobel, x-derivative (")
    assert run("describe", "-1,1")[1].startswith("1×2 kernel: difference of neighbours along x (")


def test_describe_as_json(run):
    record = json.loads(run("describe", "gaussian:1.5", "--json")[1])
    assert record["family"] == "gaussian"
    assert record["parameters"]["sigma_x"] == pytest.approx(1.5)


def test_describe_with_a_tolerance(run):
    assert "no known family" in run("describe", "0.1 0 -0.1; 0.21 0.01 -0.19; 0.11 0 -0.1")[1]
    assert "Sobel" in run("describe", "0.1 0 -0.1; 0.21 0.01 -0.19; 0.11 0 -0.1", "--tolerance", "0.01")[1]


def test_describe_draws(run, tmp_path):
    pytest.importorskip("matplotlib")
    assert run("describe", "sobel-x", "--plot", "k.png")[0] == 0
    assert (tmp_path / "k.png").read_bytes().startswith(b"\x89PNG")
    assert run("describe", "sobel-x", "--plot", "none/k.png")[::2] == (1, "corr2d: none/k.png: there is no folder 'none'\n")
    status, _, err = run("describe", "sobel-x", "--plot", "k.gif")
    assert status == 2 and "must end in .png, .svg or .pdf" in err


@pytest.mark.parametrize(
    ("argv", "status", "message"),
    [
        (["design", "gaus"], 2, "closest is 'gaussian'"),
        (["design", "1,-1"], 2, "design takes the name of a preset"),
        (["design", "@k.json"], 2, "design takes the name of a preset"),
        (["design", "gaussian", "sigma=0"], 2, "sigma=0 must be above 0"),
        (["design", "kirsch"], 2, "preset kirsch takes direction"),
        (["design", "box:3", "--output", "k.png"], 2, "must end in one of .json, .npy, .txt, .csv"),
        (["design", "box:3", "--output", "none/k.npy"], 1, "there is no folder 'none'"),
        (["describe", "sobl"], 2, "closest is 'sobel'"),
        (["describe", "@none.json"], 1, "no such file"),
        (["describe", "box:3", "--tolerance", "-1"], 2, "below 0"),
    ],
)
def test_mistakes_are_one_line(run, argv, status, message):
    got, out, err = run(*argv)
    assert (got, out) == (status, "")
    assert message in err and err.count("\n") == 1


def test_every_preset_can_be_asked_for():
    arguments = {
        "airy": "2", "binomial": "3", "box": "3", "compass": "N", "directional": "30", "disk": "2", "dog": "1,2", "farid": "1", "gabor": "6", "gaussian": "1",
        "integral": "3", "kirsch": "S", "lanczos": "2", "log": "1", "moffat": "2,3", "motion": "5,30", "prewitt": "0", "roberts": "1", "savgol": "5,2", "scharr": "0",
        "smallest-derivative": "2", "sobel": "1", "unsharp": "1",
    }  # fmt: skip
    for name in PRESETS:
        assert parse_kernel(f"{name}:{arguments.get(name, '')}".rstrip(":")).name
