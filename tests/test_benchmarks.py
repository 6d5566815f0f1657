"""The benchmarks that judge the planner and draw pictures: their arithmetic, not their timings."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.append(str(Path(__file__).resolve().parent.parent / "benchmarks"))

import regret  # noqa: E402


def test_random_work_is_the_same_for_the_same_seed():
    """Replaying timings needs the work back from its seed and index."""
    for index in range(20):
        a, b, other = (regret.random_work(seed, index) for seed in (1, 1, 2))
        assert (a.title, a.shape, a.dtype, a.options) == (b.title, b.shape, b.dtype, b.options)
        assert np.array_equal(a.kernel, b.kernel)
        assert a.title != other.title


def test_random_work_is_of_every_kind():
    """Each structure, dtype and layout turns up, and every piece of it can be planned."""
    works = [regret.random_work(5, i, largest=300) for i in range(250)]
    assert {w.structure for w in works} == {*regret._KERNELS, "mixing"}
    assert len({w.dtype for w in works}) == 8
    assert {w.options.get("channel_axis") for w in works} == {None, -1}
    for work in works[::5]:
        assert work.plan().seconds > 0


def outcome(index, chosen, predicted, measured):
    return regret.Outcome(index, f"#{index}", chosen, predicted, measured)


def test_regret_is_the_chosen_time_over_the_best():
    """Worked by hand."""
    found = regret.summary(
        [
            outcome(0, "direct", {"direct": 1.0, "fft": 2.0}, {"direct": 1.0, "fft": 3.0}),
            outcome(1, "direct", {"direct": 1.0, "fft": 2.0}, {"direct": 4.5, "fft": 3.0}),
            outcome(2, "fft", {"fft": 2.0}, {"fft": 2.0}),
        ]
    )
    assert found["regret"]["median"] == 1.0
    assert found["regret"]["worst"] == 1.5
    assert found["regret"]["choices_that_were_best"] == pytest.approx(2 / 3)
    assert found["prediction"]["chosen"]["within_2x"] == pytest.approx(2 / 3)
    assert found["prediction"]["direct"]["median"] == pytest.approx((1.0 + 1 / 4.5) / 2)
    assert found["worst"][0]["index"] == 1
    text = "\n".join(regret.lines(found))
    assert "1.50×" in text
    assert "chose direct" in text


def test_a_small_run_and_its_replay(tmp_path, capsys):
    """It measures, writes every timing, and judges the same planner by them; no result is wrong."""
    path = tmp_path / "regret.json"
    small = ["--threads", "1", "--largest", "40", "--repeat", "1", "--share", "0.001"]
    assert regret.main(["--cases", "3", *small, "--json", str(path)]) == 0
    stored = json.loads(path.read_text())
    assert stored["summary"]["cases"] == 3
    assert all(o["measured"] for o in stored["outcomes"])
    assert regret.main(["--replay", str(path), *small]) == 0
    assert "3 of 3 stored cases" in capsys.readouterr().out


def test_differing_results_are_found(monkeypatch):
    """A candidate that computes something else ends the run with status 1."""
    monkeypatch.setattr(regret, "_allowed", lambda work, image, dtype: -1.0)
    assert regret.main(["--cases", "1", "--largest", "20", "--repeat", "1", "--share", "0.001"]) == 1


def test_figures_are_drawn_from_data(tmp_path):
    """Both pictures in both formats, and the data beside them; no rival needs to be there."""
    pytest.importorskip("matplotlib")
    import figures

    points = [
        {"side": k, "method": "direct", "seconds": {"corr2d": 1e-3 * k, "direct": 1e-3 * k, "copy": 1e-3} | ({"fft": 0.01} if k > 1 else {})}
        for k in figures.SIDES
    ]
    data = {"schema": 1, "machine": {"cpu": "a processor"}, "size": [100, 200], "threads": 2, "fma_per_second": 1e11, "points": points}
    data["versions"] = {"corr2d": "1", "corr2d_isa": "avx2", "cv2": None, "scipy": "1", "torch": None}
    source = tmp_path / "data.json"
    source.write_text(json.dumps(data))
    assert figures.main(["--data", str(source), "--out", str(tmp_path / "docs")]) == 0
    names = {p.name for p in (tmp_path / "docs").iterdir()}
    assert names == {"speed.svg", "speed.png", "roofline.svg", "roofline.png", "figures.json"}
    assert json.loads((tmp_path / "docs" / "figures.json").read_text()) == data
