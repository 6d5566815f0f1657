"""``corr2d learn``: what it prints, saves and refuses."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

import corr2d
from corr2d import cli, images
from corr2d.kernel import Kernel

pytest.importorskip("PIL.Image", reason="image files need pillow")
pytest.importorskip("tifffile", reason="TIFF needs tifffile")

ROOT = Path(__file__).parent.parent
RNG = np.random.default_rng(5)
GRAY = RNG.integers(0, 256, (60, 70), np.uint8)
BLUR = np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1]]) / 16


@pytest.fixture
def run(tmp_path, monkeypatch, capfd):
    """Run the command line in a folder with two pictures; return (status, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)
    images.write("before.png", GRAY)
    images.write("after.png", corr2d.corr2d(GRAY, BLUR, padding="same", boundary="reflect", dtype="uint8"))

    def call(*argv):
        status = cli.main(argv)
        return status, *capfd.readouterr()

    return call


def test_it_prints_kernel_verdict_and_certificate(run):
    status, out, err = run("learn", "before.png", "after.png")
    assert (status, err) == (0, "")
    assert "3x3 kernel, lsi-rounded" in out and "±" in out
    assert "exactly: [[1, 2, 1], [2, 4, 2], [1, 2, 1]] / 16, rounding half-even, border reflect" in out


def test_json_and_the_saved_kernel(run):
    """The file goes back into the command line with -k @."""
    status, out, err = run("learn", "before.png", "after.png", "--size", "3x3", "--json", "-o", "k.json")
    record = json.loads(out)
    assert status == 0 and record["verdict"] == "lsi-rounded" and record["certificate"]["divisor"] == 16
    assert err == "corr2d: kernel saved to k.json\n"
    np.testing.assert_allclose(Kernel.load("k.json").weights, BLUR, atol=0.01)
    assert run("apply", "before.png", "again.png", "-k", "@k.json")[0] == 0
    assert abs(images.read("again.png").pixels.astype(int) - images.read("after.png").pixels).max() <= 1


def test_colour_pictures_and_a_mask(run):
    """Channels last; white pixels of the mask may be used."""
    rgb = np.random.default_rng(0).integers(0, 256, (50, 60, 3), np.uint8)
    after = corr2d.corr2d(rgb, BLUR, padding="same", channel_axis=-1, dtype="uint8")
    after[20:30, 20:30] = 255
    images.write("a.png", rgb), images.write("b.png", after)
    mask = np.full((50, 60), 255, np.uint8)
    mask[20:30, 20:30] = 0
    images.write("m.png", mask)
    record = json.loads(run("learn", "a.png", "b.png", "--mask", "m.png", "--json")[1])
    np.testing.assert_allclose(record["kernel"], BLUR, atol=0.01)
    full = json.loads(run("learn", "a.png", "b.png", "--mask", "m.png", "--channels", "full", "--size", "3", "--json")[1])
    assert np.shape(full["kernel"]) == (3, 3, 3, 3)


def test_the_panel(run):
    """A picture of a page's size with something on it."""
    pytest.importorskip("matplotlib")
    assert run("learn", "before.png", "after.png", "--plot", "panel.png")[0] == 0
    panel = images.read("panel.png").pixels
    assert min(panel.shape[:2]) > 600 and panel.std() > 10


def test_the_panel_shows_no_error_where_the_result_was_cut_off(tmp_path, monkeypatch):
    """Nor rounding for a weight."""
    pytest.importorskip("matplotlib")
    from corr2d._learning import panel

    before = np.random.default_rng(0).integers(0, 256, (90, 80), dtype=np.uint8)
    after = corr2d.corr2d(before, [[0, -1, 0], [-1, 5, -1], [0, -1, 0]], padding="same", boundary="reflect", dtype="uint8")
    fit = corr2d.learn_kernel(before, after, 3)
    drawn = []
    monkeypatch.setattr(panel, "_residual", lambda figure, axis, residual, fit: drawn.append(residual))
    panel.draw(tmp_path / "panel.png", before, after, fit)
    assert fit.verdict == "lsi+clipping" and np.abs(drawn[0]).max() < 1e-9
    assert [panel._short(w, 5.0) for w in (-5e-18, 5.0, -1.0)] == ["0", "5", "-1"]


@pytest.mark.parametrize(
    "argv, status, match",
    [
        (("before.png", "absent.png"), 1, "absent.png"),
        (("before.png", "after.png", "--size", "big"), 2, "3x5"),
        (("before.png", "after.png", "--size", "99"), 1, "larger than the image"),
        (("before.png", "after.png", "--constraint", "sum=3"), 2, "sum=1"),
        (("before.png", "after.png", "--method", "magic"), 2, "magic"),
    ],
)
def test_what_cannot_be_done(run, argv, status, match):
    """One line on stderr, and the status that says whose fault it is."""
    got, out, err = run("learn", *argv)
    assert (got, out) == (status, "") and re.search(match, err) and err.count("\n") == 1


def test_the_readmes_example(monkeypatch):
    """It runs as printed, and says what is printed."""
    monkeypatch.chdir(ROOT)
    text = (ROOT / "README.md").read_text().partition("## Learn a kernel")[2].partition("\n## ")[0]
    code, printed = re.findall(r"```(?:python)?\n(.*?)```", text, re.DOTALL)[:2]
    scope = {}
    exec(code, scope)
    assert str(scope["fit"]).splitlines()[0] == printed.splitlines()[0]
    assert scope["fit"].certificate.mismatches == 0
