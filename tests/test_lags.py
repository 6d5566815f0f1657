"""Lag sums against their definition: dtypes, strides, batches, tiles, threads, exactness."""

import signal
import threading
import time

import numpy as np
import pytest

from corr2d import _native
from corr2d._errors import ShapeError
from corr2d._lags import lag_sums


def by_definition(a, b, origins=(0, 0)):
    """Each lag's sum, by fsum-like pairwise float64 or exactly, as the arrays' type tells."""
    wide = object if a.dtype.kind in "biu" and b.dtype.kind in "biu" else np.longdouble
    a, b = (x.astype(np.int64).astype(wide) if wide is object else x.astype(wide) for x in (a, b))
    a, b = a - origins[0], b - origins[1]
    h, w = a.shape[-2:]
    lags = tuple(m - n + 1 for n, m in zip(a.shape[-2:], b.shape[-2:], strict=True))
    return np.array([[float((a * b[..., p : p + h, q : q + w]).sum()) for q in range(lags[1])] for p in range(lags[0])])


def samples(rng, dtype, shape):
    dtype = np.dtype(dtype)
    if dtype.kind == "f":
        return rng.normal(size=shape).astype(dtype)
    if dtype.kind == "b":
        return rng.random(shape) < 0.5
    info = np.iinfo(dtype)
    most = min(info.max, 2**20)
    return rng.integers(max(info.min, -most), most, size=shape, endpoint=True).astype(dtype)


@pytest.mark.parametrize("isa", _native.available_isas())
@pytest.mark.parametrize("lags", [(1, 1), (2, 3), (5, 4), (6, 9), (1, 33), (21, 1)], ids=str)
@pytest.mark.parametrize("size", [(1, 1), (7, 5), (60, 256), (61, 257), (125, 300)], ids=str)
def test_floats(isa, lags, size):
    """Every block of lags and every tail of rows and columns, in both precisions, on every instruction set."""
    rng = np.random.default_rng(1)
    a, b = samples(rng, "f4", size), samples(rng, "f4", tuple(n + k - 1 for n, k in zip(size, lags, strict=True)))
    expected, before = by_definition(a, b), _native.isa()
    scale = np.sqrt(float((a.astype(float) ** 2).sum() * (b.astype(float) ** 2).sum()))
    try:
        _native.use_isa(isa)
        double, single = lag_sums(a, b, threads=2), lag_sums(a, b, threads=2, single=True)
    finally:
        _native.use_isa(before)
    assert abs(double - expected).max() <= 1e-15 * scale + 1e-300
    assert abs(single - expected).max() <= 1e-6 * scale


@pytest.mark.parametrize("dtype", ["?", "u1", "i1", "u2", "i2", "u4", "i4", "f2", "f4", "f8", ">u2", ">i4", ">f4"])
def test_sample_types(dtype):
    """All types, strided and turned over; integers exactly."""
    rng = np.random.default_rng(2)
    a, b = samples(rng, dtype, (70, 41))[::2, ::-1], samples(rng, dtype, (2, 44, 38 + 6)).transpose(0, 2, 1)[1][:, ::1]
    expected = by_definition(a, b)
    assert expected.shape == (10, 4)
    got = lag_sums(a, b, threads=1)
    if np.dtype(dtype).kind == "f":
        np.testing.assert_allclose(got, expected, rtol=1e-13, atol=1e-12)
    else:
        assert (got == expected).all()


@pytest.mark.parametrize("value, origin", [(0, 128), (255, 128), (255, 0), (255, 255)])
def test_bytes_are_exact_at_their_worst(value, origin):
    """The largest products of every lane: float32 holds their sums around 128, and is not used elsewhere."""
    x = np.full((400, 700), value, np.uint8)
    x[::7, ::5] = 254 if value else 1  # odd and even sums
    expected = by_definition(x[:-3, :-3], x, (origin, origin))
    assert (lag_sums(x[:-3, :-3], x, threads=2, origins=(origin, origin)) == expected).all()


@pytest.mark.parametrize("count, size", [(1000, (3, 5)), (37, (28, 28)), (5, (70, 300)), (0, (4, 4))], ids=str)
def test_batches(count, size):
    """Small planes share tiles; sums run over all of them, and see nothing of their neighbours."""
    rng = np.random.default_rng(3)
    a, b = rng.normal(size=(count, *size)).astype("f4"), rng.normal(size=(count, size[0] + 2, size[1] + 4)).astype("f4")
    np.testing.assert_allclose(lag_sums(a, b, threads=2), by_definition(a, b), rtol=1e-12, atol=1e-10)
    a, b = a.reshape(-1, 1, *a.shape[1:]), b.reshape(-1, 1, *b.shape[1:])
    np.testing.assert_allclose(lag_sums(a, b, threads=2, single=True), by_definition(a, b), rtol=1e-4, atol=1e-3)


def test_threads_do_not_matter():
    """The same bits on one thread and on several."""
    rng = np.random.default_rng(4)
    a, b = rng.normal(size=(900, 500)), rng.normal(size=(904, 506))
    one = lag_sums(a, b, threads=1)
    assert all((lag_sums(a, b, threads=n) == one).all() for n in (2, 3, 7))


def by_spectra(firsts, b, size, origins=None, origin=0.0, threads=2):
    """What native/lag_spectra.hpp makes of them, each with as many lags as it has."""
    lags = [tuple(m - n + 1 for n, m in zip(a.shape, b.shape, strict=True)) for a in firsts]
    out = np.full((len(firsts), *(max(n) for n in zip(*lags, strict=True))), np.nan)
    _native.lag_spectra(firsts, b, out, origins or [0.0] * len(firsts), origin, size, threads)
    return [sums[:p, :q] for sums, (p, q) in zip(out, lags, strict=True)]


@pytest.mark.parametrize("isa", _native.available_isas())
@pytest.mark.parametrize("size", [(64, 64), (96, 64), (64, 192), (128, 1536), (256, 384)], ids=str)
def test_spectra(isa, size):
    """One tile, a last tile of its own, many; several firsts, strided, of other types and with fewer lags: sums in registers."""
    rng, before = np.random.default_rng(5), _native.isa()
    b = samples(rng, "f4", (200, 331)).T[:, ::-1]
    firsts = [samples(rng, "f8", (300, 188))[::-1], samples(rng, ">u2", (331, 199)), samples(rng, "u1", (320, 200))]
    origins = [0.25, 30000.0, 128.0]
    try:
        _native.use_isa(isa)
        got = by_spectra(firsts, b, size, origins, -0.5)
        few = by_spectra([b[:5, :7]], b[:9, :20], size)  # smaller than a tile: the second of its pair is empty
        assert all((x == y).all() for x, y in zip(got, by_spectra(firsts, b, size, origins, -0.5, threads=1), strict=True))
    finally:
        _native.use_isa(before)
    for a, origin, sums in zip(firsts, origins, got, strict=True):
        scale = np.sqrt(float(((a - origin) ** 2).sum() * ((b + 0.5).astype(float) ** 2).sum()))
        assert abs(sums - lag_sums(a, b, origins=(origin, -0.5), threads=2)).max() <= 1e-15 * scale
    np.testing.assert_allclose(few[0], by_definition(b[:5, :7], b[:9, :20]), atol=1e-12)


def test_spectra_of_what_does_not_fit():
    """Lengths that are none, more lags than points, planes that are larger, stacks, sums of another shape."""
    x = np.zeros((90, 100))
    for firsts, b, shape, size, match in [
        ([x], x, (1, 1, 1), (80, 64), "of this length"), ([x], x, (1, 1, 1), (64, 4096), "of this length"), ([x[:20]], x, (1, 71, 1), (64, 64), "more lags"),
        ([x], x[1:], (1, 1, 1), (64, 64), "larger"), ([x[None]], x, (1, 1, 1), (64, 64), "planes"), ([x], x, (2, 1, 1), (64, 64), "contiguous"),
        ([x], x, (1, 1, 2), (64, 64), "contiguous"),
    ]:  # fmt: skip
        with pytest.raises(ValueError, match=match):
            _native.lag_spectra(firsts, b, np.zeros(shape), [0.0] * len(firsts), 0.0, size, 1)


def test_shapes_that_do_not_fit_are_refused():
    """b smaller than a, other planes, vectors."""
    for a, b in [((3, 3), (2, 3)), ((3, 3), (3, 2)), ((2, 3, 3), (3, 3, 3)), ((3,), (3,)), ((3, 3), (1, 3, 3))]:
        with pytest.raises(ShapeError, match="at least as large"):
            lag_sums(np.zeros(a), np.zeros(b), threads=1)


@pytest.mark.skipif(threading.current_thread() is not threading.main_thread(), reason="signals reach the main thread")
def test_interrupts_are_heard():
    """Ctrl-C ends work that would take many seconds."""

    def alarm(*_):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, alarm)
    x = np.zeros((4000, 2000), np.float64)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        start = time.perf_counter()
        with pytest.raises(KeyboardInterrupt):
            lag_sums(x[:-1000, :-1000], x, threads=2)
        assert time.perf_counter() - start < 5  # the whole takes minutes
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
