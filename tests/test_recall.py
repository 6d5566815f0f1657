"""Calls that are known: the second call with the same words is the first one's equal, errors included."""

import gc
import sys
import threading
import tracemalloc
import weakref

import numpy as np
import pytest

import corr2d
from cases import dense, pixels
from corr2d import _api, _native
from corr2d._errors import Corr2dError

IMAGE, KERNEL = pixels(20, 23), dense(3, 3)


@pytest.fixture(autouse=True)
def nothing_known():
    """Each test begins with an empty table and the default number of threads."""
    _native.forget()
    yield
    corr2d.set_threads(None)


@pytest.fixture
def planned(monkeypatch):
    """Counts the calls that were not known."""
    calls = []
    slow = _api._apply
    monkeypatch.setattr(_api, "_apply", lambda *args: calls.append(args) or slow(*args))
    return calls


def fresh(function, image, kernel, **options):
    """The answer of a call that is surely not known."""
    _native.forget()
    return function(image, kernel, **options)


WORDS = [
    {},
    dict(padding="same"),
    dict(padding="full", boundary="wrap"),
    dict(padding=2, boundary="scipy:mirror"),
    dict(padding=(1, 2), stride=(2, 1), dilation=(1, 3)),
    dict(padding=((0, 1), (2, 3)), fill=1.5),
    dict(padding="same", anchor=(0, 2), method="sparse"),
    dict(padding="same", dtype="uint8"),
    dict(padding="same", dtype=np.uint8),
    dict(padding="same", dtype=np.dtype("float64"), method="fft"),
    dict(padding="same", dtype="complex64"),
    dict(channel_axis=-1, threads=1),
    dict(channel_axis=0),
    dict(channel_axis=-2, padding="same", dtype=float),
    dict(method="reference"),
    dict(method="separable"),
]
IMAGES = [
    pixels(20, 23),
    pixels(16, 18, 3, dtype="uint8"),
    pixels(4, 9, 14, dtype="int16")[:, ::-1],
    pixels(12, 15).astype(">f4"),
    pixels(11, 12, dtype="complex64"),
    np.asfortranarray(pixels(9, 30, dtype="float64")),
    pixels(8, 9, dtype="float32")[::-1, 1:-1],
]
KERNELS = [dense(3, 3), np.ones((3, 2)), dense(2, 3).astype(">f4"), dense(3, 3).T, np.arange(6).reshape(2, 3) * 1j, np.eye(3, dtype="int8")]


@pytest.mark.parametrize("function", [corr2d.corr2d, corr2d.convolve2d])
@pytest.mark.parametrize("words", WORDS, ids=str)
def test_the_second_answer_is_the_first(function, words):
    """Bits, dtype, type and order, with and without out; where the first call is refused, so is the second."""
    for image in IMAGES:
        for kernel in [*KERNELS, corr2d.Kernel(dense(3, 2), bias=0.5), corr2d.Kernel(dense(3, 2), anchor=(2, 1))]:
            try:
                wanted = fresh(function, image, kernel, **words)
            except Corr2dError as error:
                with pytest.raises(type(error)) as again:
                    function(image, kernel, **words)
                assert str(again.value) == str(error)
                continue
            got = function(image, kernel, **words)
            assert got is not wanted
            assert (type(got), got.dtype, got.flags.c_contiguous, got.flags.owndata) == (np.ndarray, wanted.dtype, True, True)
            assert np.array_equal(got, wanted, equal_nan=True)
            out = np.full_like(wanted, 7)
            assert function(image, kernel, out=out, **words) is out
            assert np.array_equal(out, wanted, equal_nan=True)


def test_known_calls_are_not_planned(planned):
    """The same words in other objects are the same: tuples, strings, numbers, kernels made anew."""
    for spelling in range(3):
        for words in WORDS[:11]:
            words = {k: tuple(list(v)) if isinstance(v, tuple) else "".join(list(v)) if isinstance(v, str) else v for k, v in words.items()}
            corr2d.corr2d(IMAGE.copy(), KERNEL.copy(), **words)
            corr2d.corr2d(IMAGE, corr2d.Kernel(KERNEL, bias=1.0), **words)
        assert len(planned) == 22, spelling


SPELLINGS = [
    [dict(padding=1), dict(padding=True), dict(padding=1.0)],
    [dict(padding=(1, 0)), dict(padding=(True, False)), dict(padding=(1.0, 0.0)), dict(padding=[1, 0])],
    [dict(stride=1), dict(stride=True), dict(stride=1.0)],
    [dict(threads=1), dict(threads=True), dict(threads=1.0)],
    [dict(padding=2, fill=1), dict(padding=2, fill=1.0), dict(padding=2, fill="1"), dict(padding=2, fill=True)],
    [dict(padding=2, fill=0.0), dict(padding=2, fill=-0.0), dict(padding=2, fill=float("nan")), dict(padding=2, fill=float("inf"))],
    [dict(channel_axis=0), dict(channel_axis=False), dict(channel_axis=0.0), dict(channel_axis=None)],
    [dict(dtype="float64"), dict(dtype=float), dict(dtype=np.float64), dict(dtype="f8"), dict(dtype=">f8"), dict(dtype=bool)],
    [dict(method="direct"), dict(method="Direct"), dict(method=b"direct"), dict(method=None)],
    [dict(anchor=(1, 1), padding="same"), dict(anchor=(1, True), padding="same"), dict(anchor=(1, 1))],
    [dict(padding=((1, 1), (0, 0))), dict(padding=((1, 1.0), (0, 0))), dict(padding=(1, 1, 0, 0)), dict(padding=((0, 0), (1, 1)))],
]  # fmt: skip


def outcome(function, *args, **options):
    """Bytes and dtype of a result, or type and text of an error."""
    try:
        result = function(*args, **options)
    except Exception as error:
        return type(error), str(error)
    return result.dtype, result.shape, result.tobytes()


@pytest.mark.parametrize("spellings", SPELLINGS, ids=str)
@pytest.mark.parametrize("image", [pixels(2, 6, 7), -pixels(2, 6, 7)], ids=["image", "negative"])
def test_words_that_look_alike(spellings, image):
    """1, 1.0 and True are three words, and 0.0 and -0.0 are two: whatever is known, each keeps its own answer."""
    kernel = np.array([[1.0, -0.0, 1.0]])
    alone = []
    for words in spellings:
        _native.forget()
        alone.append(outcome(corr2d.corr2d, image, kernel, **words))
    for first in range(len(spellings)):  # each in turn is heard before all others
        _native.forget()
        outcome(corr2d.corr2d, image, kernel, **spellings[first])
        for _ in range(2):
            assert [outcome(corr2d.corr2d, image, kernel, **words) for words in spellings] == alone


def test_corr2d_and_convolve2d_are_two():
    """The turned kernel is another one."""
    for _ in range(2):
        a, b = corr2d.corr2d(IMAGE, KERNEL, padding="same"), corr2d.convolve2d(IMAGE, KERNEL, padding="same")
        assert not np.array_equal(a, b)
        assert np.array_equal(b, corr2d.corr2d(IMAGE, KERNEL[::-1, ::-1], padding="same"))


def test_weights_changed_in_place():
    """Other bytes, dtype, byte order, shape or order of the kernel are another kernel."""
    kernel = np.arange(6.0).reshape(2, 3)
    corr2d.corr2d(IMAGE, kernel)
    kernel[1, 2] = 7
    variants = [
        kernel, kernel.astype("f4"), kernel.astype(">f8"), kernel.view(">f8") * 0 + 1, kernel.view("i8").copy(), kernel.reshape(3, 2),
        np.asfortranarray(kernel), kernel[::-1], kernel[:, ::-1], kernel.astype("u1"), kernel.astype("i1"), kernel + 0j,
    ]  # fmt: skip
    for _ in range(2):
        for variant in variants:
            assert np.array_equal(corr2d.corr2d(IMAGE, variant), corr2d.corr2d(IMAGE, variant.tolist()))


def test_kernels_that_differ_in_more_than_weights():
    """A Kernel's anchor and bias count; its name does not; an array is a Kernel without them."""
    def filtered(kernel):
        return corr2d.corr2d(IMAGE, kernel, padding="same").tobytes()

    kernels = [KERNEL, *(corr2d.Kernel(KERNEL, anchor=a, bias=b) for a in (None, (0, 0), (2, 1)) for b in (0.0, 1.0))]
    alone = []
    for kernel in kernels:
        _native.forget()
        alone.append(filtered(kernel))
    for _ in range(2):
        assert [filtered(k) for k in kernels] == alone
    assert len(set(alone)) == 6


def test_images_that_differ():
    """Shape, dtype and byte order of the image are asked anew in each call."""
    image = np.arange(48, dtype="f4").reshape(6, 8)
    for _ in range(2):
        for variant in (image, image.T, image.reshape(8, 6), image.astype(">f4"), image.view(">f4"), image.view("i4"), image.view("u4"),
                        image.astype("i8"), image.astype("u8"), image.astype("f8"), image[None], image.reshape(2, 3, 8)):  # fmt: skip
            got = corr2d.corr2d(variant, np.ones((2, 2)), padding=1)
            assert np.array_equal(got, corr2d.corr2d(variant, [[1.0, 1], [1, 1]], padding=1))
    image.shape = (8, 6)
    assert corr2d.corr2d(image, np.ones((2, 2)), padding=1).shape == (9, 7)


class Mine(np.ndarray):
    """An array of another class."""


def test_outs_are_checked_in_every_call():
    """Wrong shape, dtype, order, class; read-only; overlapping: the same on known calls as on the first."""
    image = pixels(9, 9)
    wanted = corr2d.corr2d(image, KERNEL, padding="same")
    read_only = np.zeros((9, 9), "f4")
    read_only.flags.writeable = False
    bad = [np.zeros((9, 8), "f4"), np.zeros((9, 9)), np.zeros((9, 9), ">f4"), np.zeros((1, 9, 9), "f4"), read_only, [[0.0]], "out",
           np.broadcast_to(np.zeros(9, "f4"), (9, 9)), np.zeros((9, 9), "i4"), 5]  # fmt: skip
    for out in bad:
        known = outcome(corr2d.corr2d, image, KERNEL, padding="same", out=out)
        _native.forget()
        assert issubclass(known[0], Corr2dError)
        assert known == outcome(corr2d.corr2d, image, KERNEL, padding="same", out=out)
        corr2d.corr2d(image, KERNEL, padding="same")
    assert not read_only.any()
    room = np.zeros((20, 20), "f4")
    for out in (np.empty((9, 9), "f4", order="F"), room[::2, ::2][:9, :9], room[9:0:-1, :9], np.empty((9, 9), "f4").view(Mine)):
        assert corr2d.corr2d(image, KERNEL, padding="same", out=out) is out
        assert np.array_equal(out, wanted)
    for _ in range(2):  # the image itself, and its mirror image
        for turn in (np.s_[:, :], np.s_[::-1, ::-1]):
            both = image.copy()
            corr2d.corr2d(both[turn], KERNEL, padding="same", out=both)
            assert np.array_equal(both, corr2d.corr2d(image[turn], KERNEL, padding="same"))


def test_other_arrays_take_the_other_way():
    """A subclass, a masked array, a list beside a known call of the same content."""
    corr2d.corr2d(IMAGE, KERNEL)
    assert type(corr2d.corr2d(IMAGE.view(Mine), KERNEL)) is np.ndarray
    assert np.array_equal(corr2d.corr2d(IMAGE, KERNEL.view(Mine)), corr2d.corr2d(IMAGE, KERNEL))
    for masked in (lambda: corr2d.corr2d(np.ma.masked_less(IMAGE, 0), KERNEL), lambda: corr2d.corr2d(IMAGE, np.ma.masked_less(KERNEL, 0))):
        with pytest.raises(TypeError, match="mask"):
            masked()


def test_the_default_number_of_threads_is_asked_in_every_call(planned, monkeypatch):
    """Plans for other numbers of threads are other plans, unless the work is small for all of them."""
    large, small = pixels(700, 800), pixels(20, 20)
    corr2d.set_threads(2)
    corr2d.corr2d(large, KERNEL)
    corr2d.corr2d(small, KERNEL)
    assert len(planned) == 2
    corr2d.set_threads(1)
    corr2d.corr2d(small, KERNEL)
    assert len(planned) == 2
    corr2d.corr2d(large, KERNEL)
    assert len(planned) == 3
    for n in (2, 1):
        corr2d.set_threads(n)
        corr2d.corr2d(large, KERNEL)
        corr2d.corr2d(large, KERNEL, threads=2)
    assert len(planned) == 4
    corr2d.set_threads(1)  # known while one was all there is: not so when there are more
    corr2d.corr2d(pixels(701, 801), KERNEL)
    corr2d.set_threads(2)
    corr2d.corr2d(pixels(701, 801), KERNEL)
    assert len(planned) == 6


def test_nothing_leaks():
    """Neither references nor memory; what is forgotten is freed."""
    kernel, out = np.arange(9.0).reshape(3, 3), np.empty((18, 21), "f4")
    padding = tuple([1, 1])
    watched = [IMAGE, kernel, out, padding, None, np.dtype("f4")]

    def calls():
        for _ in range(2000):
            corr2d.corr2d(IMAGE, kernel, out=out)
            corr2d.corr2d(IMAGE, kernel, padding=padding)
            corr2d.corr2d(IMAGE, kernel.T, channel_axis=None)
            corr2d.corr2d(IMAGE, corr2d.Kernel(kernel))
            corr2d.corr2d(IMAGE, kernel * 1j)

    calls()
    gc.collect()
    before = [sys.getrefcount(w) for w in watched]
    tracemalloc.start()
    calls()
    gc.collect()
    grown = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert [abs(sys.getrefcount(w) - b) <= 20 for w, b in zip(watched, before, strict=True)] == [True] * len(watched)
    assert grown < 100_000


def test_what_is_forgotten_is_freed():
    """The table holds the plan, and lets go of it."""
    weights = np.random.default_rng(5).random((3, 5))
    words = (False, "valid", "constant", 0.0, None, 1, 1, None, None, "auto", None)

    class Plan:
        def __call__(self, image, out):
            return "planned"

    plan = Plan()
    ended = weakref.ref(plan)
    _native.remember(IMAGE, weights, words, plan, None, np.empty((18, 19), "f4"), 0, 1, 0, 0)
    del plan
    assert corr2d.corr2d(IMAGE, weights) == "planned"
    _native.forget()
    gc.collect()
    assert ended() is None


def test_the_table_is_bounded(planned):
    """Two thousand different calls push one another out; all are right, and the last ones are known.

    The table holds 32 sets of 16. Where a call falls depends on the hashes of strings, which differ from
    run to run: after a thousand calls a set had got fewer than 16 in one run of twenty.
    """
    image = pixels(4, 5, dtype="uint8")
    kernels = [np.array([[i, 1.0], [0, i % 7]]) for i in range(2000)]
    for kernel in kernels:
        assert corr2d.corr2d(image, kernel)[0, 0] == (image[:2, :2] * kernel).sum()
    assert len(planned) == 2000
    for kernel in kernels[-50:]:
        corr2d.corr2d(image, kernel)
    assert len(planned) == 2000
    for kernel in kernels[:50]:
        corr2d.corr2d(image, kernel)
    assert len(planned) == 2050


def test_the_table_is_bounded_in_bytes(planned):
    """Transforms of megabytes are not all kept, the last one is."""
    kernels = [np.random.default_rng(i).random((32, 32)) for i in range(12)]

    def filtered(kernel):
        return corr2d.corr2d(pixels(520, 520, dtype="float64"), kernel, method="fft", dilation=16, padding=2, threads=1)

    for kernel in [*kernels, kernels[-1]]:
        filtered(kernel)
    assert len(planned) == 12
    for kernel in kernels:
        filtered(kernel)
    assert len(planned) > 15


def test_fewer_threads_than_planned_is_another_call(planned):
    """A plan for two of four threads is not for a default of one."""
    sizes = (n for n in range(40, 600, 4) if 1 < corr2d.plan((n, n), KERNEL, threads=4).threads < 4)
    image = pixels(*[next(sizes)] * 2)
    try:
        corr2d.set_threads(4)
        wanted = fresh(corr2d.corr2d, image, KERNEL)
        corr2d.corr2d(image, KERNEL)
        assert len(planned) == 1
        corr2d.set_threads(1)
        assert np.array_equal(corr2d.corr2d(image, KERNEL), wanted)
        assert len(planned) == 2
    finally:
        corr2d.set_threads(None)


def test_many_callers_share_the_table():
    """Threads that fill, use and empty it at once get their own answers."""
    images = [pixels(15 + i, 30, dtype=d) for i in range(4) for d in ("f4", "f8", "u1")]
    wanted = [corr2d.corr2d(image, KERNEL, padding="same") for image in images]
    wrong = []

    def work(seed):
        rng = np.random.default_rng(seed)
        for n in range(300):
            i = int(rng.integers(len(images)))
            if n % 40 == 0:
                _native.forget()
            if not np.array_equal(corr2d.corr2d(images[i], KERNEL.copy(), padding="same"), wanted[i]):
                wrong.append(i)

    callers = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(60)
        assert not caller.is_alive()
    assert wrong == []
