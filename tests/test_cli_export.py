"""``corr2d export``: stdout carries the text and nothing else."""

import json

import pytest

from corr2d import cli, kernels
from corr2d.kernel import Kernel
from corr2d.kernel_text import parse_kernel
from machine import run_python


@pytest.fixture
def run(tmp_path, monkeypatch, capfd):
    """Run the command line in an empty folder; return (status, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)

    def call(*argv):
        status = cli.main(["export", *argv])
        return status, *capfd.readouterr()

    return call


@pytest.mark.parametrize("text", ["sobel-x", "-1,1", "gaussian:sigma=1", "2x1+1+0: 3,4"])
@pytest.mark.parametrize("target", ["numpy", "vips", "c", "json"])
def test_stdout_is_the_text(run, text, target):
    assert run("-k", text, "--to", target) == (0, parse_kernel(text).export(target).text, "")


def test_a_file_instead(run, tmp_path):
    assert run("-k", "sobel-x", "--to", "opencv", "-o", "k.py", "--boundary", "edge") == (0, "", "")
    assert (tmp_path / "k.py").read_text() == kernels.sobel(1).export("opencv", boundary="edge").text
    assert run("-k", "-1,1", "--to", "json", "--output", "k.json") == (0, "", "")
    assert run("-k", "@k.json", "--to", "vips")[1].startswith("3 1 1 0\n0 -1 1\n")


def test_warnings_are_on_stderr(run):
    status, out, err = run("-k", "sobel-x", "--to", "gmic")
    assert (status, err.count("\n")) == (0, 1)
    assert err.startswith("corr2d: about half of what this kernel gives is negative, and gmic cuts it off at 0")
    assert out.startswith("# corr2d kernel")


def test_what_cannot_be_said_is_refused_or_approximated(run):
    status, out, err = run("-k", "sobel-x", "--to", "vips", "--boundary", "wrap")
    assert (status, out) == (2, "")
    assert "vips has no boundary 'wrap'; it has 'edge'" in err
    status, out, err = run("-k", "sobel-x", "--to", "vips", "--boundary", "wrap", "--approximate")
    assert (status, out.splitlines()[0]) == (0, "3 3 1 0")
    assert "outputs whose window leaves the image differ" in err


def test_json_for_machines(run):
    status, out, err = run("-k", "1,-1", "--to", "ffmpeg", "--json")
    record = json.loads(out)
    assert (status, record["target"], record["exact"]) == (0, "ffmpeg", True)
    assert record["text"] == Kernel([[1, -1]]).export("ffmpeg").text
    assert record["warnings"][0] in err


@pytest.mark.parametrize(
    ("argv", "status", "message"),
    [
        (("-k", "sobel-x", "--to", "opencb"), 2, "'opencb' is not known; closest is 'opencv'; targets: numpy"),
        (("-k", "sobel-z", "--to", "numpy"), 2, "no such preset"),
        (("-k", "sobel-x"), 2, "--to"),
        (("-k", "sobel-x", "--to", "c", "--boundary", "egde"), 2, "boundary='egde' is not known"),
        (("-k", "@none.json", "--to", "c"), 1, "none.json"),
        (("-k", "sobel-x", "--to", "c", "-o", "none/k.h"), 1, "there is no folder 'none'"),
    ],
)
def test_mistakes_are_one_line(run, argv, status, message):
    got, out, err = run(*argv)
    assert (got, out) == (status, "")
    assert message in err
    assert err.count("\n") == 1


def test_a_model_goes_to_a_file_or_a_pipe(run, tmp_path):
    onnx = pytest.importorskip("onnx")
    assert run("-k", "sobel-x", "--to", "onnx", "-o", "k.onnx") == (0, "", "")
    onnx.checker.check_model(onnx.load(tmp_path / "k.onnx"))
    status, out, err = run("-k", "sobel-x", "--to", "onnx", "--json")
    assert (status, out, err) == (2, "", "corr2d: onnx is a binary file; name it with -o FILE\n")


def test_help_names_every_target(run):
    from corr2d.export import TARGETS

    out = run("--help")[1]
    flat = " ".join(out.split())
    assert all(name in flat for name in TARGETS)


def test_the_command_line_does_not_import_what_export_needs():
    code = "import sys, corr2d.cli; print([m for m in ('onnx', 'cv2', 'torch') if m in sys.modules])"
    assert run_python(code).strip() == "[]"
