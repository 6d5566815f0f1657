"""The fuzzer's short form: hypothesis draws the problems, and failures of the past are replayed."""

import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import corr2d
import fuzz
from problems import KERNELS, LAYOUTS, OUTS, PIXELS, Problem, Random, random_record

CORPUS = sorted(fuzz.CORPUS.glob("*.json"))
PLAIN = dict(seed=1, dtype="float32", shape=[9, 11], pixels="normal", layout="plain", bad=0, kernel="dense", size=[3, 4],
             complex_kernel=False, exponent=0, weights="float64", bias=0.0, options={}, convolve=False, out="none", threads=1,
             isa="best")  # fmt: skip


class Drawn:
    """Choices that hypothesis makes, and makes plainer where something fails."""

    def __init__(self, draw):
        self.draw = draw

    def pick(self, options):
        return self.draw(st.sampled_from(options))

    def integer(self, low, high):
        return self.draw(st.integers(low, high))

    def once_in(self, n):
        return self.draw(st.integers(0, n - 1)) == n - 1


records = st.composite(lambda draw: random_record(Drawn(draw)))


@settings(derandomize=True, deadline=None, max_examples=200, database=None, suppress_health_check=list(HealthCheck))
@given(records())
def test_whatever_hypothesis_thinks_of(record):
    """Every candidate that accepts, by the definition; the rivals that can answer, by theirs."""
    fuzz.examine(record)


@pytest.mark.parametrize("index", range(6))
def test_random_problems(index):
    """A hundred problems each of the long run's, which are wilder than hypothesis's."""
    for i in range(100 * index, 100 * index + 100):
        record = random_record(Random(4, i))
        assert not fuzz.failure(record), json.dumps(record)


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem)
def test_failures_of_the_past(path):
    """What once failed, and was mended."""
    assert not fuzz.failure(json.loads(path.read_text())["record"])


def test_there_is_a_corpus():
    """Without one the test above would pass unseen."""
    assert CORPUS


def test_every_kind_is_drawn():
    """No kernel, pixel, layout, out or candidate is forgotten by the generator."""
    drawn = [random_record(Random(5, i)) for i in range(2000)]
    for name, kinds in dict(kernel=KERNELS, pixels=PIXELS, layout=LAYOUTS, out=OUTS).items():
        assert {r[name] for r in drawn} == set(kinds)
    assert sum("channel_axis" in r["options"] for r in drawn) > 50
    assert sum(len(r["size"]) == 4 for r in drawn) > 50
    assert sum(Problem(r).fits for r in drawn[:400]) > 300
    accepted = {}
    for record in drawn[:200]:
        for name in fuzz.examine(record):
            accepted[name] = accepted.get(name, 0) + 1
    assert {"auto", "direct", "sparse", "separable", "lowrank", "box", "fft", "reference", "scipy", "opencv", "torch"} <= set(accepted)
    assert min(accepted.values()) >= 3, accepted


def test_a_record_is_json_and_nothing_else():
    """What is kept gives the same problem when it is read again."""
    for i in range(200):
        record = random_record(Random(6, i))
        again = json.loads(json.dumps(record))
        assert repr(again) == repr(record)  # NaN is not equal to itself
        one, other = Problem(record), Problem(again)
        assert one.image.tobytes() == other.image.tobytes() and one.weights.tobytes() == other.weights.tobytes()


WRONG = {
    "one value": lambda r: np.where(np.arange(r.size).reshape(r.shape) == r.size // 2, r + 1, r).astype(r.dtype),
    "shifted": lambda r: np.roll(r, 1, -1),
    "dtype": lambda r: r.astype("complex128"),
    "shape": lambda r: r[..., :-1],
    "nan": lambda r: np.where(np.arange(r.size).reshape(r.shape) == 3, np.nan, r).astype(r.dtype),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_the_fuzzer_sees_what_is_wrong(wrong, monkeypatch, tmp_path):
    """A wrong answer is found, shrunk to something plainer that is wrong as well, and kept."""
    right = corr2d.corr2d

    def broken(*args, method, out=None, **options):
        result = right(*args, method=method, out=out, **options)
        return WRONG[wrong](result) if method == "direct" and out is None else result

    monkeypatch.setattr(corr2d, "corr2d", broken)
    monkeypatch.setattr(fuzz, "CORPUS", tmp_path)
    record = PLAIN | dict(options=dict(padding="same", boundary="reflect"), layout="stepped", threads=2)
    assert fuzz.failure(record).startswith("direct:")
    plain, reason = fuzz.shrunk(record, seconds=5)
    assert plain["layout"] == "plain" and plain["threads"] == 1
    assert reason.startswith("direct:")
    kept = json.loads(fuzz.keep(plain, reason).read_text())
    assert kept["record"] == plain and kept["failure"].startswith("direct:")


def test_an_output_that_hides_a_nan_is_seen(monkeypatch):
    """A method that forgets bad pixels, or writes into its image, is found."""
    record, right = PLAIN | dict(bad=1), corr2d.corr2d
    monkeypatch.setattr(corr2d, "corr2d", lambda *a, **o: np.nan_to_num(right(*a, **o), posinf=0, neginf=0))
    assert "hide a non-finite pixel" in fuzz.failure(record)

    def writes(image, *args, **options):
        result = right(image, *args, **options)
        image[0, 0] += 1
        return result

    monkeypatch.setattr(corr2d, "corr2d", writes)
    assert "the image was written" in fuzz.failure(PLAIN)
