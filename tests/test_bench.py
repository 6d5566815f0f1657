"""``corr2d bench``: everybody computes the same before anybody is timed. Tests assert no times."""

import json

import pytest

from corr2d import _bench, cli


@pytest.fixture
def run(monkeypatch, capfd):
    """Run the command line with hurried timings; return (status, stdout, stderr)."""
    monkeypatch.setattr(_bench, "_ROUNDS", 1)
    monkeypatch.setattr(_bench, "_SAMPLE", 0.0)

    def call(*argv):
        status = cli.main(argv)
        return status, *capfd.readouterr()

    return call


def test_it_compares_with_what_is_installed(run):
    """A line for each kernel; SciPy is always there, and its results agree."""
    status, out, err = run("bench", "--size", "64x80")
    lines = out.splitlines()
    assert (status, err) == (0, "")
    assert len(lines) == 2 + 6
    assert "ndimage.correlate" in lines[1]
    assert "dense 3×3" in lines[2]
    assert lines[2].count("×") >= 4


def test_as_json(run):
    """Seconds of everybody, null for who cannot do it."""
    status, out, _ = run("bench", "--size", "64x80", "--threads", "1", "--json")
    rows = json.loads(out)["rows"]
    assert status == 0
    assert all(row["seconds"]["corr2d"] > 0 for row in rows)
    assert rows[0]["seconds"]["ndimage.correlate"] > 0
    assert rows[-1]["seconds"]["ndimage.correlate"] is None
    assert rows[0]["method"] == "direct"


def test_a_rival_that_computes_something_else_gets_no_time(run, monkeypatch):
    """Nor one that leaves the array as corr2d filled it."""
    monkeypatch.setitem(_bench._RIVALS, "ndimage.correlate", lambda image, kernel, out, threads: lambda: image)
    monkeypatch.setitem(_bench._RIVALS, "signal.oaconvolve", lambda image, kernel, out, threads: lambda: out)
    _, out, _ = run("bench", "--size", "64x80", "--json")
    for row in json.loads(out)["rows"]:
        assert row["seconds"]["ndimage.correlate"] is None
        assert row["seconds"]["signal.oaconvolve"] is None


@pytest.mark.parametrize("arguments", [["--size", "64"], ["--size", "8x8"], ["--size", "64x80x3"], ["--threads", "0"]])
def test_nonsense_is_refused(run, arguments):
    """One line that says what is accepted."""
    status, out, err = run("bench", *arguments)
    assert (status, out) == (2, "")
    assert err.count("\n") == 1
    assert "1536x2048" in err or "1 or more" in err


@pytest.mark.parametrize(("x", "text"), [(0.814, "0.81"), (1.56, "1.6"), (26.4, "26"), (1120.0, "1120")])
def test_numbers_have_no_exponents(x, text):
    """Ratios of hundreds are read more often than written."""
    assert _bench._digits(x) == text
