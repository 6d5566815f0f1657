"""What is remembered: by content, bounded in bytes, from many threads; plans and kernel facts among it."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import corr2d
from cases import dense, pixels
from corr2d import _analysis, _plan
from corr2d._errors import Corr2dError, NoCandidateError
from corr2d._remember import Remembered, content
from machine import run_python


def test_equal_content_is_one_key_and_anything_else_another():
    """Bytes, shape and dtype decide, not identity; for short arrays and for hashed ones."""
    for n in (3, 200):
        a = np.arange(n * n, dtype=float).reshape(n, n)
        changed = a.copy()
        changed[-1, -1] += 1
        others = [changed, a.reshape(-1, 1), a.astype(complex), a.view(np.int64)]
        assert content(a) == content(a.copy())
        assert content(a) == content(np.asfortranarray(a).copy(order="C"))
        assert len({content(x) for x in [a, *others]}) == 5


def test_a_key_of_a_large_array_is_small():
    """A key does not hold a second copy of a large kernel."""
    *_, key = content(np.ones((500, 500)))
    assert len(key) < 100


def test_the_least_recently_used_is_forgotten():
    """Bounded in bytes; an answer asked for again stays."""
    kept, made = Remembered(100), []

    def ask(key, size=40):
        return kept.get(key, lambda: made.append(key) or key, lambda _: size)

    assert [ask(k) for k in "abacac"] == list("abacac")
    assert made == ["a", "b", "c"]  # b made room for c
    ask("b")
    assert made == ["a", "b", "c", "b"]
    assert (len(kept), kept.bytes) == (2, 80)
    ask("giant", size=101)
    assert (len(kept), kept.bytes) == (2, 80)
    kept.clear()
    assert (len(kept), kept.bytes) == (0, 0)


def test_a_failure_is_not_remembered():
    """An exception passes, and the next one who asks tries again."""
    kept = Remembered(100)
    with pytest.raises(ZeroDivisionError):
        kept.get("a", lambda: 1 / 0, lambda _: 1)
    assert kept.get("a", lambda: 5, lambda _: 1) == 5


def test_all_threads_get_one_answer():
    """Two that compute the same at once both get what was kept first, and it is counted once."""
    kept, together = Remembered(1000), threading.Barrier(8)

    def make():
        together.wait(10)  # all eight are computing
        return object()

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: kept.get("key", make, lambda _: 10), range(8)))
    assert len(set(map(id, answers))) == 1
    assert kept.bytes == 10


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_the_child_of_a_fork_is_not_locked_out():
    """A fork while another thread holds the lock: the child has the lock held and not the thread."""
    code = """
import os
from corr2d._remember import Remembered
kept = Remembered(100)
with kept._lock:
    child = os.fork()
    if child == 0:
        os._exit(kept.get("key", lambda: 7, lambda _: 1))
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    assert run_python(code) == "7\n"


def test_many_threads_stay_within_the_limit():
    """Whatever the order, the bytes are those of what is kept."""
    kept = Remembered(500)

    def ask(i):
        return kept.get(i % 37, lambda: i % 37, lambda answer: 10 + answer)

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(ask, range(4000))) == [i % 37 for i in range(4000)]
    assert kept.bytes <= 500
    assert kept.bytes == sum(10 + key for key in kept._kept)


@pytest.mark.parametrize("n", [5, 131], ids=["small", "of more than 16384 taps"])
def test_kernels_are_analysed_once(n, monkeypatch, unplanned):
    """Large ones too; a changed weight is another kernel."""
    measured = []
    monkeypatch.setattr(_analysis, "_measure", lambda w, real=_analysis._measure: measured.append(w) or real(w))
    _analysis._kept.clear()
    image, kernel = pixels(140, 150), dense(n, n).copy()
    first = corr2d.plan(image, kernel)(image)
    corr2d.corr2d(image, kernel.copy())
    corr2d.plan((300, 300), kernel)
    assert len(measured) == 1
    kernel[0, 0] += 1
    assert not np.array_equal(corr2d.corr2d(image, kernel), first)
    assert len(measured) == 2


def test_facts_do_not_change_with_the_callers_array(unplanned):
    """What is remembered is a copy, even where a caller hands over what it goes on using."""
    weights = dense(4, 4).copy()
    _analysis._kept.clear()
    facts = _analysis.analyse(weights)
    before = facts.weights.copy()
    weights[:] = 0
    assert np.array_equal(facts.weights, before)
    assert not facts.weights.flags.writeable


def test_plans_kept_stay_within_their_bytes(unplanned):
    """Hundreds of large kernels do not pile up."""
    for i in range(40):
        corr2d.plan((400, 400), dense(140, 140) + i)
    assert 0 < _plan._kept.bytes <= _plan._kept.limit == 64 << 20
    assert len(_plan._kept) < 40


def test_a_refusal_is_quoted_each_time(unplanned):
    """Errors are not kept: a named method that refuses says why again."""
    for _ in range(2):
        with pytest.raises(NoCandidateError, match="not of rank 1"):
            corr2d.corr2d(pixels(20, 30), dense(3, 3), method="separable")


@pytest.mark.parametrize("threads", [0, -1, 1.5, "2", True])
def test_threads_says_what_is_accepted(threads):
    """Not a positive integer: the error names what came and what goes."""
    with pytest.raises((Corr2dError, TypeError), match=r"threads") as caught:
        corr2d.corr2d(pixels(9, 9), dense(3, 3), threads=threads)
    assert "integer" in str(caught.value) or "1 or more" in str(caught.value)
