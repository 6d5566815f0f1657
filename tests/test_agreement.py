"""Every candidate on every case of the table against the oracle, and proof that the check can fail."""

from collections import Counter
from functools import cache

import numpy as np
import pytest

import corr2d
import oracle
from cases import BOUNDARIES, BY_NAME, CASES, SOBEL, dense, gauss, low_rank, mexican, mirrored, pixels, whole
from corr2d import _native, _plan
from corr2d._errors import NoCandidateError
from corr2d.engines import CANDIDATES

METHODS = list(dict.fromkeys(candidate.method for candidate in CANDIDATES))
SLOW = {"reference": 40_000}  # the definition, tap by tap: only where it takes no time
LEAST = {"direct": 500, "separable": 60, "fft": 250, "reference": 300, "matmul": 15}
SAME_BITS = [m for m in ("direct", "separable", "sparse", "lowrank", "box") if m in METHODS]


@cache
def truth(case):
    """The exact result of a case, computed once for all candidates."""
    options = {k: v for k, v in case.options.items() if k != "dtype"}
    return oracle.exact(case.image(), case.kernel, convolve=case.convolve, **options)


def run(case, method, **more):
    """The case through corr2d; None, with the reason checked, where the method refuses."""
    call = corr2d.convolve2d if case.convolve else corr2d.corr2d
    try:
        return call(case.image(), case.kernel, **case.options, method=method, **more)
    except NoCandidateError as error:
        assert method in str(error) and len(str(error)) > 20, f"a refusal without a reason: {error!r}"
        return None


def check(case, result):
    oracle.check(result, case.image(), case.kernel, truth=truth(case), convolve=case.convolve, **case.options)


def worth_running(case, method):
    return case.work <= SLOW.get(method, np.inf)


TABLE = [pytest.param(c, m, id=f"{m}-{c.name}") for c in CASES for m in METHODS if worth_running(c, m)]


def test_names_are_unique():
    """A case is found by its name."""
    assert len(BY_NAME) == len(CASES)


def test_candidates_are_pairs():
    """The list has the issue's pairs, the definition last, and no pair twice."""
    pairs = [(c.engine, c.method) for c in CANDIDATES]
    assert {("native", "direct"), ("native", "separable"), ("fft", "fft")} <= set(pairs)
    assert pairs[-1] == ("reference", "reference")
    assert len(set(pairs)) == len(pairs)


@pytest.mark.parametrize(("case", "method"), TABLE)
def test_candidate_agrees_with_the_oracle(case, method):
    """Whatever method is asked for: the contract's shape, dtype and accuracy, or a refusal that says why."""
    result = run(case, method)
    if result is None:
        assert method not in ("direct", "reference"), "these two refuse nothing that the contract allows"
        pytest.skip(f"{method} refuses")
    check(case, result)


@pytest.mark.parametrize("case", CASES, ids=repr)
def test_auto_agrees_with_the_oracle(case):
    """The planner's own choice on every case, by the same yardstick."""
    result = run(case, "auto")
    assert result is not None, "auto refused"
    check(case, result)


@pytest.mark.parametrize("method", METHODS)
def test_no_candidate_hides(method):
    """Each candidate is willing on many cases of many groups: skips above cannot hide a candidate."""
    groups, reasons = Counter(), Counter()
    for case in CASES:
        if case.convolve:
            continue
        try:
            corr2d.plan(case.image(), case.kernel, method=method, **case.options)
        except NoCandidateError as refusal:
            reasons[str(refusal)] += 1
        else:
            groups[case.group] += worth_running(case, method)
    assert all(len(r) > 10 for r in reasons)
    assert groups.total() >= LEAST.get(method, 30), (groups, reasons)
    assert len(+groups) >= (1 if method == "matmul" else 6), (groups, reasons)  # that one is for channels that mix


@pytest.mark.parametrize("name", ["large-15-valid", "structure-gauss13", "dtype-uint8-whole", "even-4x3-same-reflect",
                                  "mixing-2from3", "channels-3-axis-1", "target-float32-to-uint8"])  # fmt: skip
def test_the_check_can_fail(name):
    """Turned kernels, shifted outputs, other borders and one value just outside the bound are all found."""
    case = BY_NAME[name]
    good = run(case, "auto")
    check(case, good)
    turned = corr2d.corr2d(case.image(), case.kernel[..., ::-1, ::-1], **case.options)
    wrong = [np.roll(good, 1, -1), np.roll(good, 1, 0), np.flip(good, -1)]
    if name != "structure-gauss13":  # the only symmetric one
        wrong.append(turned)
    bumped = good.copy()
    room = oracle.tolerance(case.image(), case.kernel, dtype=case.options.get("dtype"))
    bump = 1 if good.dtype.kind == "u" or name == "dtype-uint8-whole" else 2.5 * float(room)
    bumped.flat[good.size // 2] += np.asarray(bump if bumped.flat[good.size // 2] < 100 else -bump, good.dtype)
    for bad in (*wrong, bumped, good[..., :-1], good.astype("complex64")):
        with pytest.raises(AssertionError):
            check(case, bad)


# -------------------------------------------------------------------------------------------------
# integers


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", ["bool", "int8", "uint8", "int16", "uint16", "int32", "uint32"])
@pytest.mark.parametrize("kernel_dtype", ["int64", "uint8", "float32", "float64", "complex64"])
def test_integers_are_exact(method, dtype, kernel_dtype):
    """Integer pixels times integer-valued kernels of whatever dtype, no rounding anywhere."""
    kernel = np.abs(np.outer(whole(1, 5), whole(1, 4)) if method == "separable" else whole(5, 4, limit=9))
    kernel = np.full((5, 4), 7) if method == "box" else kernel
    image = pixels(20, 33, dtype=dtype)
    case_size = kernel.size * 16 * 30
    if case_size > SLOW.get(method, np.inf):
        image = image[:12, :12]
    result = run_or_skip(image, kernel.astype(kernel_dtype), method)
    wanted = oracle.exact(image, kernel)
    assert np.abs(wanted).max() <= 2 ** (24 if result.dtype in (np.float32, np.complex64) else 53)
    assert (result == wanted.astype(result.dtype)).all()


@pytest.mark.parametrize("method", METHODS)
def test_integers_held_by_floats_are_exact(method):
    """The chapter's images are floats that hold integers: its outputs have no dust on them."""
    image = pixels(12, 13, dtype="int16", limit=255).astype("float32")
    kernel = np.full((3, 4), -7) if method == "box" else SOBEL
    result = run_or_skip(image, kernel, method)
    assert (result == oracle.exact(image, kernel).astype("float32")).all()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("dtype", "factor"), [("uint16", 1000), ("int32", 2**21), ("uint8", 2**20)])
def test_integers_survive_cancellation(method, dtype, factor):
    """A true value that fits is exact although the sum passes through numbers that do not."""
    rng = np.random.default_rng(7)
    step = rng.integers(0, 2, (9, 24))
    image = (np.iinfo(dtype).max - step).astype(dtype)
    kernel = np.outer([1, -1], [1, -2, 1]) * factor + (
        0 if method == "separable" else np.array([[0, 0, 0], [1, -2, 1]])
    )
    wanted = oracle.exact(image, kernel)
    assert np.abs(wanted).max() <= 2 ** (53 if dtype == "int32" else 24)
    result = run_or_skip(image, kernel, method)
    assert (result == wanted.astype(result.dtype)).all()


@pytest.mark.parametrize("method", METHODS)
def test_int64_is_exact_up_to_the_accumulators_integers(method):
    """int64 pixels up to 2**53, and integer results of a difference of numbers near 2**52."""
    image = (2**52 + pixels(9, 12, dtype="int64", limit=1000)).astype("int64")
    for kernel in ([[1, -1]], [[1], [1]]):
        result = run_or_skip(image, np.array(kernel), method, dtype="int64")
        assert (result == oracle.exact(image, kernel)).all()


def run_or_skip(image, kernel, method, **options):
    try:
        return corr2d.corr2d(image, kernel, method=method, **options)
    except NoCandidateError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("method", ["direct", "separable", "box", "reference"])
def test_one_rounding_half_to_even(method):
    """Targets round once, half to even: means of four that end in .5, .25, .75."""
    image = pixels(30, 34, dtype="uint8")
    kernel = np.full((2, 2), 0.25)
    result = corr2d.corr2d(image, kernel, dtype="uint8", method=method)
    assert (result == np.rint(oracle.exact(image, kernel)).astype("uint8")).all()
    halves = np.array([[1, 3, 5, 7, 9, 255]], "uint8")
    assert corr2d.corr2d(halves, [[0.5]], dtype="uint8", method=method).tolist() == [[0, 2, 2, 4, 4, 128]]
    assert corr2d.corr2d(halves, [[-0.5]], dtype="int8", method=method).tolist() == [[0, -2, -2, -4, -4, -128]]


@pytest.mark.parametrize("target", ["uint8", "int8", "uint16", "int16"])
@pytest.mark.parametrize("isa", _native.available_isas())
def test_narrow_targets_hold_what_is_beyond_them(isa, target, unplanned):
    """Ties, both ends of the type and of int32, infinities and NaN, at each place of a block of vectors."""
    info = np.iinfo(target)
    ends = [e + d for e in (info.min, info.max, -(2**31), 2**31, 0) for d in (-1, -0.5, 0, 0.5, 1)]
    values = np.array([*ends, -0.0, 2.5, -2.5, 1e-30, 65537, -65537, 2**24, 1e30, -1e30], "f4")
    finite = np.resize(values, (24, 197))  # 197 and the number of values have no divisor in common
    mixed = np.resize([*values, np.inf, -np.inf, np.nan], (24, 197)).astype("f4")  # blocks with such go another way
    before = _native.isa()
    try:
        _native.use_isa(isa)
        _native.forget()
        _plan._kept.clear()
        for image in (finite, mixed):
            expected = np.clip(np.rint(np.nan_to_num(image.astype("f8"), nan=0)), info.min, info.max)
            assert (corr2d.corr2d(image, [[1.0]], dtype=target, method="direct") == expected).all()
    finally:
        _native.use_isa(before)
        _native.forget()


# -------------------------------------------------------------------------------------------------
# the same bits


def bits(array):
    return np.ascontiguousarray(array).view(np.uint8).tobytes()


PROBLEMS = {
    "float32": (pixels(150, 333), gauss(7, 1.3), {}),
    "float64": (pixels(150, 133, dtype="float64"), gauss(9, 1.3), {}),
    "uint8": (pixels(150, 133, dtype="uint8"), gauss(5, 1.3), {}),
    "uint16-to-uint16": (pixels(150, 133, dtype="uint16"), gauss(5, 1.3), dict(dtype="uint16")),
    "complex": (pixels(90, 70, dtype="complex64"), np.outer(dense(1, 5), dense(1, 4)), {}),
    "dilated": (pixels(150, 133), np.outer(dense(1, 5), dense(1, 4)), dict(dilation=(2, 3))),
    "cancelling": (pixels(150, 133, dtype="uint16"), SOBEL * 1000, {}),
    "long": (pixels(150, 233), np.outer(dense(1, 41), dense(1, 60)), {}),
    "long-mirrored": (pixels(150, 233), np.outer(dense(1, 33), mirrored(1, 31)), {}),
    "long-mirrored-float64": (pixels(150, 133, dtype="float64"), np.outer(dense(1, 12), mirrored(1, 14)), dict(dilation=(1, 3))),
    "rank3-mirrored": (pixels(150, 233), dense(13, 3) @ mirrored(3, 17), dict(dilation=(1, 4))),
    "rank2": (pixels(150, 333), mexican(9, 1.6), {}),
    "mirrored": (pixels(150, 333), mirrored(7, 5), {}),
    "mirrored-float64": (pixels(150, 133, dtype="float64"), mirrored(9, 8, -1), dict(dilation=(1, 2))),
    "mirrored-uint8": (pixels(150, 333, dtype="uint8"), mirrored(5, 5) / 30, dict(dtype="uint8")),
    "mirrored-whole": (pixels(150, 333, dtype="uint8"), np.abs(mirrored(5, 5)).round(), dict(dtype="uint16")),
    "rank3-float64": (pixels(150, 133, dtype="float64"), low_rank(21, 18, 3), dict(dilation=(1, 2))),
    "box": (pixels(250, 333), np.full((11, 7), 0.1), {}),
    "box-float64": (pixels(150, 133, dtype="float64"), np.full((6, 19), 0.1), dict(dilation=(3, 1))),
    "box-wide": (pixels(150, 333), np.full((71, 101), 0.1), dict(dilation=(1, 2))),
    "box-uint8": (pixels(150, 333, dtype="uint8"), np.full((31, 14), 1 / 434), dict(dtype="uint8")),
}


def willing(method, problem):
    image, kernel, options = PROBLEMS[problem]
    return any(c.method == method and not c.reason for c in corr2d.plan(image, kernel, **options).considered)


BITWISE = pytest.mark.parametrize(("method", "problem"), [(m, p) for m in SAME_BITS for p in PROBLEMS if willing(m, p)])


@BITWISE
def test_bits_do_not_depend_on_threads(method, problem):
    """1, 2, 3 and 7 threads: the same bits."""
    image, kernel, options = PROBLEMS[problem]
    first, *others = (corr2d.corr2d(image, kernel, method=method, threads=n, **options) for n in (1, 2, 3, 7))
    assert all(bits(first) == bits(other) for other in others)


@BITWISE
def test_bits_do_not_depend_on_the_block(method, problem):
    """A block computed alone has the bits that it has in the whole, at every offset and width."""
    image, kernel, options = PROBLEMS[problem]
    kh, kw = ((n - 1) * d for n, d in zip(kernel.shape, oracle.pair(options.get("dilation", 1)), strict=True))
    whole_ = corr2d.corr2d(image, kernel, method=method, **options)
    rng = np.random.default_rng(3)
    h, w = whole_.shape
    for width in (*range(1, min(w, 70), 5), w - 1):
        height = int(rng.integers(1, 20))
        y, x = int(rng.integers(0, h - height + 1)), int(rng.integers(0, w - width + 1))
        block = image[y : y + height + kh, x : x + width + kw]
        for tile in (block, block.copy()):
            result = corr2d.corr2d(tile, kernel, method=method, **options)
            assert bits(result) == bits(whole_[y : y + height, x : x + width]), (y, x, height, width)


@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8"])
@pytest.mark.parametrize("rows", range(1, 9))
def test_bits_do_not_depend_on_the_height(dtype, rows):
    """Whatever number of rows is left for the last blocks, they are those of a higher image, and right."""
    rng = np.random.default_rng(rows)
    kernel = rng.integers(-2, 3, (rows, 3)).astype(float) if dtype == "uint8" else rng.standard_normal((rows, 3))
    for width in (16, 17, 33, 64, 65, 130):  # a block in whole vectors of every instruction set, and beyond
        image = (rng.standard_normal((27 + rows, width)) * 20 + 100).astype(dtype)
        higher = corr2d.corr2d(image, kernel, method="direct", padding=((0, 0), (1, 1)))
        padded = np.pad(image.astype(float), ((0, 0), (1, 1)))
        wanted = sum(kernel[i, j] * padded[i : i + 28, j : j + width] for i in range(rows) for j in range(3))
        np.testing.assert_allclose(higher, wanted, rtol=0, atol=np.abs(kernel).sum() * 200 * 1e-6)
        for height in range(1, 28):
            part = corr2d.corr2d(image[: height + rows - 1], kernel, method="direct", padding=((0, 0), (1, 1)))
            assert bits(part) == bits(higher[:height]), (width, height)


@BITWISE
@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_bits_do_not_depend_on_who_pads(method, problem, boundary):
    """A border laid by corr2d and the same border laid beforehand, as a chunk's halo is: the same bits."""
    image, kernel, options = PROBLEMS[problem]
    fill = 3 if boundary == "constant" else 0.0
    axes = oracle.geometry(image.shape, kernel.shape, padding=((5, 9), (20, 3)), **{
        k: v for k, v in options.items() if k == "dilation"})  # fmt: skip
    padded = oracle.extend(image, axes, boundary, fill)
    inside = corr2d.corr2d(
        image, kernel, method=method, padding=((5, 9), (20, 3)), boundary=boundary, fill=fill, **options
    )
    assert bits(inside) == bits(corr2d.corr2d(padded, kernel, method=method, **options))


@BITWISE
def test_bits_do_not_depend_on_layout_batch_or_out(method, problem):
    """F-order, reversed views, a place in a batch, out=: the same bits."""
    image, kernel, options = PROBLEMS[problem]
    whole_ = corr2d.corr2d(image, kernel, method=method, **options)
    out = np.empty(whole_.shape[::-1], whole_.dtype).T
    big = image.astype(image.dtype.newbyteorder(">"))
    batch = np.stack([image[::-1], image, image])
    others = [
        corr2d.corr2d(np.asfortranarray(image), kernel, method=method, **options),
        corr2d.corr2d(image[:, ::-1].copy()[:, ::-1], kernel, method=method, **options),
        corr2d.corr2d(big, kernel, method=method, **options),
        corr2d.corr2d(image, kernel, method=method, out=out, **options),
        corr2d.corr2d(batch, kernel, method=method, **options)[1],
    ]
    assert [bits(o) == bits(whole_) for o in others] == [True] * len(others)
    assert others[3] is out


FUSED = [isa for isa in _native.available_isas() if isa != "sse2"]  # which has no fused multiply-adds


@pytest.mark.skipif(len(FUSED) < 2, reason="one instruction set to compare")
@pytest.mark.parametrize(("method", "problem"), [(m, p) for m in (*SAME_BITS, "fft") for p in PROBLEMS if willing(m, p)])
def test_bits_do_not_depend_on_the_width_of_vectors(method, problem, unplanned):
    """AVX2 and AVX-512: the same formula, the same bits; without fused multiply-adds they are within the bound."""
    image, kernel, options = PROBLEMS[problem]
    before, results = _native.isa(), {}
    try:
        for isa in _native.available_isas():
            _native.use_isa(isa)
            _native.forget()
            _plan._kept.clear()
            results[isa] = corr2d.corr2d(image, kernel, method=method, **options)
            oracle.check(results[isa], image, kernel, **options)
    finally:
        _native.use_isa(before)
        _native.forget()
    assert len({bits(results[isa]) for isa in FUSED}) == 1
    if method == "box" and "sse2" in results:
        assert bits(results["sse2"]) == bits(results[FUSED[0]])


@pytest.mark.parametrize("method", SAME_BITS)
def test_bits_do_not_depend_on_far_away_nans(method):
    """A NaN elsewhere in the image moves no bit of an output that does not see it."""
    image, kernel, _ = PROBLEMS["float32"]
    kernel = {"lowrank": mexican(7, 1.2), "box": np.full((7, 7), 0.1)}.get(method, kernel)
    clean = corr2d.corr2d(image, kernel, method=method)
    image = image.copy()
    image[70, 200] = np.nan
    dirty = corr2d.corr2d(image, kernel, method=method)
    seen = np.zeros(clean.shape, bool)
    seen[64:71, 194:201] = True
    assert np.isnan(dirty[seen]).all()
    assert bits(np.where(seen, 0, dirty)) == bits(np.where(seen, 0, clean))


@pytest.mark.parametrize("method", METHODS)
def test_threads_never_change_the_values(method):
    """Results do not depend on the thread count, whatever the method."""
    image, kernel = (pixels(20, 21), dense(3, 3)) if method == "reference" else (pixels(600, 700), gauss(13, 2.0))
    kernel = {"lowrank": mexican(13, 2.0), "box": np.full((13, 12), 0.1)}.get(method, kernel)
    if method == "matmul":  # for channels that mix
        pytest.importorskip("torch")
        image, kernel = pixels(16, 200, 300), dense(32 * 16, 9).reshape(32, 16, 3, 3)
    first, *others = (corr2d.corr2d(image, kernel, method=method, threads=n) for n in (1, 2, 3))
    assert all(bits(first) == bits(other) for other in others)


NEAR_THE_CROSSING = [
    ("float64", (148, 113), dense(3, 37), dict(padding="same")),
    ("float64", (262, 255), dense(19, 19), {}),
    ("float32", (282, 194), dense(32, 24, dtype="complex128"), {}),
    ("float32", (420, 530), dense(25, 25), {}),
    ("float16", (4, 219, 56), dense(1, 29).T, dict(padding="same", dilation=(3, 2))),
    ("uint8", (123, 169, 2), np.outer(dense(1, 4), dense(1, 19)), dict(padding="same", channel_axis=-1)),
    ("uint8", (123, 169), dense(4, 19), dict(dilation=(4, 1))),
    ("int32", (206, 185), np.outer(dense(1, 9), dense(1, 5)), dict(padding="full")),
]


@pytest.mark.parametrize("problem", NEAR_THE_CROSSING, ids=lambda p: f"{p[0]}-{p[1]}-{p[2].shape}".replace(" ", ""))
def test_auto_does_not_depend_on_threads(problem):
    """Results do not depend on the thread count: nor does the choice of the method that makes them."""
    dtype, shape, kernel, options = problem
    image = pixels(*shape, dtype=dtype)
    assert len({corr2d.plan(image, kernel, threads=n, **options).method for n in (1, 2, 3, 8, 64)}) == 1
    first, *others = (corr2d.corr2d(image, kernel, threads=n, **options) for n in (1, 2, 3))
    assert all(bits(first) == bits(other) for other in others)


@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64", "complex64"])
def test_the_choice_does_not_depend_on_threads(dtype):
    """The same over a sweep of sizes, dense and separable."""
    wavering = []
    for n in (64, 100, 150, 220, 330, 500, 1000):
        for k in (2, 3, 4, 5, 7, 9, 13, 19, 27, 37):
            for kernel in (dense(k, k), gauss(k, k / 5), dense(2, k)):
                chosen = {corr2d.plan((n, n), kernel, image_dtype=dtype, threads=t).method for t in (1, 2, 3, 8)}
                if len(chosen) > 1:
                    wavering.append((n, kernel.shape, chosen))
    assert wavering == []
