"""Thirty-four traps that correlation libraries are known to fall into: one named test for each.

The numbers are those of the study of SciPy, OpenCV, PyTorch, CuPy, astropy, ITK and libvips that this
package began with; what a peer answers is said where it was seen. Most tests ask every method that
is willing, for a trap is usually avoided on one path and met on another.
"""

import inspect

import numpy as np
import pytest

import corr2d
import oracle
from cases import BOUNDARIES, SOBEL, dense, gauss, mexican, misaligned, pixels, read_only, whole
from corr2d._errors import DTypeError, NoCandidateError, OptionError, ShapeError
from corr2d.engines import CANDIDATES

METHODS = ("auto", *dict.fromkeys(candidate.method for candidate in CANDIDATES))


def answers(image, kernel, function=corr2d.corr2d, **options):
    """``{method: result}`` of all methods that do not refuse."""
    found = {}
    for method in METHODS:
        try:
            found[method] = function(image, kernel, method=method, **options)
        except NoCandidateError:
            continue
    assert {"auto", "direct", "reference"} <= set(found)
    return found


def row(values, kernel, dtype="float64", **options):
    """A correlation of one row with one row, as a list."""
    return corr2d.corr2d(np.array([values], dtype), np.array([kernel]), **options)[0].tolist()


def offsets(result, n, at=10):
    """Which pixel, relative to the output's, each of n taps read: from the answer to a spike at ``at``."""
    return sorted(at - int(np.flatnonzero(result == tap)[0]) for tap in range(1, n + 1))


@pytest.mark.parametrize("n", [2, 4, 6])
def test_t01_even_kernel_centre(n):
    """One documented centre, (n-1)//2, and an anchor for the others' n//2; live SciPy says the same."""
    ndimage, signal = pytest.importorskip("scipy.ndimage"), pytest.importorskip("scipy.signal")
    spike, kernel = np.zeros((1, 21)), np.arange(1.0, n + 1)[None]
    spike[0, 10] = 1
    for result in answers(spike, kernel, padding="same").values():
        assert offsets(np.rint(result[0]), n) == list(range(-((n - 1) // 2), n // 2 + 1))
        assert np.allclose(result, signal.correlate2d(spike, kernel, "same"))
    for result in answers(spike, kernel, padding="same", anchor=(0, n // 2)).values():
        assert offsets(np.rint(result[0]), n) == list(range(-(n // 2), n - n // 2))
        assert np.allclose(result, ndimage.correlate(spike, kernel, mode="constant"))


def test_t02_duality_of_correlation_and_convolution():
    """conv(x, k, a) == corr(x, k turned, n-1-a), for every border, size and anchor."""
    image = pixels(6, 7, dtype="int16")
    for kh, kw, boundary in [(h, w, b) for h in (1, 2, 3, 4) for w in (1, 2, 5) for b in BOUNDARIES]:
        kernel = whole(kh, kw)
        for a in {(0, 0), (kh // 2, kw // 2), (kh - 1, kw - 1)}:
            turned = (kh - 1 - a[0], kw - 1 - a[1])
            conv = corr2d.convolve2d(image, kernel, padding="same", boundary=boundary, anchor=a)
            corr = corr2d.corr2d(image, kernel[::-1, ::-1], padding="same", boundary=boundary, anchor=turned)
            assert np.array_equal(conv, corr)


def test_t03_border_wider_than_the_image():
    """Periods 2L, 2(L-1) and L, however wide; a single pixel is repeated. numpy.pad has a bug here."""
    for boundary, wanted in dict(symmetric=[13, 15, 17], reflect=[16, 15, 14], wrap=[15, 15, 15], edge=[13, 15, 17]).items():
        if boundary == "edge":
            wanted = [1 * 1 + 2 * 6, 15, 2 * 8 + 1]
        for result in answers(np.array([[0.0, 1, 2]]), np.ones((1, 15)), padding="same", boundary=boundary).values():
            assert np.rint(result[0]).tolist() == wanted, boundary
    for boundary in set(BOUNDARIES) - {"constant"}:
        assert row([5], [1, 1, 1], padding="same", boundary=boundary) == [15]


def test_t04_kernel_larger_than_the_image():
    """"valid" does not swap the operands, as scipy.signal does: it says that the kernel does not fit."""
    for shape in [(3, 3), (1, 3), (3, 1)]:
        with pytest.raises(ShapeError, match="does not fit.*padding='same'"):
            corr2d.corr2d(np.ones((2, 2)), np.ones(shape))


def test_t05_same_with_a_longer_kernel():
    """"same" has the image's shape also then; numpy.convolve's has the kernel's."""
    for result in answers(np.array([[1.0, 2]]), np.ones((1, 3)), padding="same").values():
        assert np.rint(result).tolist() == [[3, 3]]
    assert corr2d.corr2d(np.ones((2, 3)), np.ones((9, 40)), padding="same").tolist() == [[6] * 3] * 2


@pytest.mark.parametrize("kernel", [0.5, np.float32(0.5), np.float16(0.5)], ids=["float64", "float32", "float16"])
def test_t06_output_dtype(kernel):
    """The image decides, and fractions survive integer images; scipy.ndimage answers in integers."""
    for dtype in "bool uint8 int8 uint16 int16 float16 float32 uint32 int32 uint64 int64 float64".split():
        large = dtype in ("uint32", "int32", "uint64", "int64", "float64")
        for result in answers(np.ones((1, 2), dtype), np.array([[kernel]])).values():
            assert result.dtype == ("float64" if large else "float32")
            assert result.tolist() == [[0.5, 0.5]]


def test_t07_uint8_rounding_and_saturation():
    """Half to even, saturated: neither SciPy's cut and wrap (211, 44) nor MATLAB's 11."""
    for result in answers(np.array([[1, 3, 5, 21]], "uint8"), [[0.5]], dtype="uint8").values():
        assert result.tolist() == [[0, 2, 2, 10]]
    for result in answers(np.array([[45, 100, 255]], "uint8"), [[-1]], dtype="uint8").values():
        assert result.tolist() == [[0, 0, 0]]
    for result in answers(np.array([[100, 85]], "uint8"), [[3]], dtype="uint8").values():
        assert result.tolist() == [[255, 255]]


def test_t08_rounding_between_passes():
    """A separable filter of bytes rounds once; scipy.ndimage.gaussian_filter after each axis."""
    image, kernel = pixels(30, 40, dtype="uint8"), gauss(7, 1.0)
    once = np.rint(oracle.exact(image, kernel)).astype("uint8")
    across = np.rint(oracle.exact(image, np.sqrt(np.diag(kernel))[None]).astype(float))
    twice = np.rint(oracle.exact(across, np.sqrt(np.diag(kernel))[:, None])).astype("uint8")
    assert (once != twice).mean() > 0.05, "the trap is there"
    for method, result in answers(image, kernel, dtype="uint8").items():
        assert np.array_equal(result, once), method


def test_t09_integers_beyond_the_mantissa():
    """2**53 + 1 keeps its last bit in an integer result, and the transform steps aside before it would lose one."""
    for value in (2**53 + 1, -(2**53) - 1, 2**62 + 1):
        for method, result in answers(np.full((3, 4), value, "int64"), [[1, 0]], dtype="int64").items():
            assert (result == value).all(), method
    image = np.full((3, 7), 65535, "uint16")
    image[1, 3] = 65533
    wanted = oracle.exact(image, [[200, 101, -300]])  # fits; 65535 * 301, halfway, does not fit float32
    for method, result in answers(image, [[200, 101, -300]]).items():
        assert np.array_equal(result, wanted), method
    with pytest.raises(NoCandidateError, match="2\\*\\*44"):
        corr2d.corr2d(np.ones((9, 9), "int64"), np.ones((3, 3), int), method="fft")


def test_t10_integers_do_not_wrap_in_the_sum():
    """Sums are wider than the pixels: scipy.signal.convolve2d wraps uint8 to [144, 88, 144]."""
    for dtype, value in dict(uint8=200, uint16=60000, int8=-128, int32=-(2**31)).items():
        for result in answers(np.full((3, 3), value, dtype), np.ones((3, 3), dtype)).values():
            assert result.tolist() == [[9 * value]]


def test_t11_bool_images():
    """A bool image is counted, and no array of invalid truth values comes back; SciPy's holds threes."""
    for result in answers(np.ones((1, 5), bool), np.ones((1, 3), bool)).values():
        assert result.dtype == "float32" and result.tolist() == [[3, 3, 3]]
    with pytest.raises(DTypeError, match="result != 0"):
        corr2d.corr2d(np.ones((1, 5), bool), np.ones((1, 3)), dtype=bool)


def test_t12_half_precision():
    """float16 and bfloat16 are read, added up in float32 at least, and rounded once where they are asked for."""
    image = np.ones((70, 80), "float16")  # float16 sums of ones stop at 2048
    for method, result in answers(image, np.ones((64, 64), "float16")).items():
        assert result.dtype == "float32" and (result == 4096).all(), method
    assert (corr2d.corr2d(image, np.full((64, 64), 1 / 3), dtype="float16") == np.float16(4096 / 3)).all()
    torch = pytest.importorskip("torch")
    half = corr2d.corr2d(torch.ones(20, 20, dtype=torch.bfloat16), np.ones((17, 17)), dtype="bfloat16")
    assert half.dtype == torch.bfloat16 and (half == torch.tensor(289.0).bfloat16()).all()


def test_t13_the_kernels_dtype_does_not_choose_the_precision():
    """Integer weights written as int, bool, float32 or float64 give the same bits; CuPy's accumulators differ."""
    kernel = np.abs(whole(3, 4)) > 2
    for dtype in ("float32", "float64", "uint8", "int64"):
        image = pixels(20, 30, dtype=dtype, limit=1000)
        wanted = answers(image, kernel.astype("float64"))
        for spelt in ("bool", "uint8", "int64", "float16", "float32"):
            for method, result in answers(image, kernel.astype(spelt)).items():
                assert result.tobytes() == wanted[method].tobytes(), (dtype, spelt, method)


def test_t14_tiny_and_huge_weights():
    """No absolute epsilon anywhere: scipy.ndimage drops weights of 1e-16, and finds asymmetric ones symmetric."""
    assert row([1, 2, 4, 8], [1e-17, 0, 3e-17], padding="same") == pytest.approx([6e-17, 13e-17, 26e-17, 4e-17], rel=1e-15)
    kernels = dict(dense=dense(3, 4), outer=gauss(5, 1.0), flat=np.full((3, 5), 0.3), rank2=mexican(7, 1.2))
    for name, kernel in kernels.items():
        image = pixels(12, 14, dtype="float64")
        plain = answers(image, kernel)
        for exponent in (-996, -300, -56, 56, 300, 996):  # 1e-300 to 1e300, by powers of two: exactly
            scaled = answers(image, np.ldexp(kernel, exponent))
            assert scaled.keys() == plain.keys() or exponent == 56, "where many weights are integers"
            for method, result in scaled.items():
                room = float(2 * oracle.tolerance(image, kernel))
                assert np.abs(np.ldexp(result, -exponent) - plain[method]).max() <= room, (name, exponent, method)


def test_t15_nan_in_the_kernel():
    """Every method that takes it answers NaN, wherever the NaN stands; scipy.ndimage ignores it in 2-D."""
    for at in np.ndindex(3, 3):
        kernel = np.ones((3, 3))
        kernel[at] = np.nan
        for method, result in answers(pixels(6, 7), kernel).items():
            assert np.isnan(result).all(), method


def test_t16_a_zero_weight_meets_nan():
    """Every tap counts, zero or not, on every path: so separating a kernel changes no NaN. SciPy: 1 or 3 of them."""
    image = pixels(9, 11, dtype="float64")
    image[4, 5] = np.nan
    for kernel in (np.outer([0, 1, 0], [0, 1, 0]), np.diag([1.0, 1, 1]), SOBEL, np.zeros((3, 3))):
        for method, result in answers(image, kernel, padding="same").items():
            bad = np.isnan(result)
            assert bad[3:6, 4:7].all() and bad.sum() == 9, method


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_t17_not_a_number_under_a_transform(value):
    """One bad pixel of 64 x 64 spoils 25 outputs, not 4096 as in scipy.signal.convolve."""
    image = pixels(64, 64, dtype="float64")
    image[30, 40] = value
    clean = corr2d.corr2d(np.where(np.isfinite(image), image, 0), dense(5, 5), method="fft", padding="same")
    result = corr2d.corr2d(image, dense(5, 5), method="fft", padding="same")
    seen = np.zeros(image.shape, bool)
    seen[28:33, 38:43] = True
    assert not np.isfinite(result[seen]).any()
    assert np.allclose(result[~seen], clean[~seen], rtol=0, atol=1e-13)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_t18_running_sums_forget(value):
    """A window that has passed a NaN is finite again; uniform_filter1d is lost to the end of the line."""
    image = np.ones((8, 40))
    image[3, 10] = value
    for method, result in answers(image, np.full((2, 5), 0.25)).items():
        bad = ~np.isfinite(result)
        assert bad.sum() == 10 and bad[2:4, 6:11].all(), method
        assert np.allclose(result[~bad], 2.5), method


def test_t19_the_transforms_error_is_absolute():
    """Beside a pixel of 1e16 a transform is as exact as the contract says, and sums of products are exact zeros."""
    image, kernel = np.zeros((40, 50)), dense(7, 7)
    image[20, 25] = 1e16
    for method, result in answers(image, kernel, padding="same").items():
        far = np.ones(image.shape, bool)
        far[17:24, 22:29] = False
        leak = np.abs(result[far]).max()
        assert leak <= float(oracle.tolerance(image, kernel)) if method in ("fft", "auto") else leak == 0, method


def test_t20_negative_results_of_a_transform():
    """Sums of products of nothing negative are not negative; a transform's miss zero by its bound at most, in integers not at all."""
    image, kernel = np.abs(pixels(60, 70)), np.abs(dense(9, 9))
    image[:30] = 0
    for method, result in answers(image, kernel).items():
        assert result.min() >= (-float(oracle.tolerance(image, kernel)) if method in ("fft", "auto") else 0), method
    counts = (image > 1).astype("uint8")
    for method, result in answers(counts, np.ones((9, 9))).items():
        assert result.min() == 0 and np.array_equal(result, np.rint(result)), method


def test_t21_the_method_changes_rounding_only():
    """From 3 taps to 900, through every choice of the planner: the border, the NaNs and the dtype stay the definition's."""
    image, chosen = pixels(90, 95), set()
    image[50, 60] = np.nan
    for n in (3, 7, 8, 11, 12, 15, 22, 30):  # OpenCV turns to its transform at 11, and once lost the border there
        kernel, options = dense(n, n), dict(padding="same", boundary="reflect")
        chosen.add(corr2d.plan(image, kernel, **options).method)
        result = corr2d.corr2d(image, kernel, **options)
        bad = np.isnan(result)
        assert result.dtype == "float32" and bad.sum() == n * n and bad[50, 60]
        clean = np.where(np.isnan(image), 0, image)
        truth = oracle.exact(clean, kernel, **options)
        result[bad] = truth[bad]
        oracle.check(result, clean, kernel, truth=truth, **options)
    assert len(chosen) > 1


def test_t22_nothing_is_normalised():
    """Kernels of sum 0, -1 and 5 are applied as they are; astropy divides by the sum, or refuses."""
    for kernel, total in [(SOBEL, 0), (-np.eye(3) / 3, -1), (np.full((3, 3), 5 / 9), 5)]:
        for result in answers(np.full((5, 6), 2.0), kernel).values():
            assert np.allclose(result, 2 * total)


def test_t23_masked_arrays():
    """A mask is refused with the way out, never dropped as SciPy drops it, in images, kernels and out."""
    masked = np.ma.masked_greater(np.ones((4, 4)), 3)
    for image, kernel in [(masked, np.ones((2, 2))), (np.ones((4, 4)), masked)]:
        with pytest.raises(DTypeError, match=r"masked.*filled\(0\)"):
            corr2d.corr2d(image, kernel)


def test_t24_a_fill_through_two_passes():
    """The second pass of a separable kernel meets fill times the first one's sum, a bias is added once."""
    for fill in (-3.7, 0.1, 250.0):
        kernel = corr2d.Kernel(gauss(5, 1.1), bias=2.5)
        image = pixels(7, 8, dtype="float64")
        wanted = oracle.exact(image, kernel.weights, padding=3, fill=fill) + 2.5
        for method, result in answers(image, kernel, padding=3, fill=fill).items():
            assert np.abs(result - wanted).max() < 1e-12, (method, fill)


def test_t25_fractions_and_nan_as_the_fill_of_integers():
    """An integer image is padded with 0.5 and NaN as they are; scipy.ndimage's NaN becomes -2**63."""
    image = np.array([[1, 2], [3, 4]], "int32")
    for result in answers(image, [[1, 1]], padding=((0, 0), (1, 0)), fill=0.5).values():
        assert np.allclose(result, [[1.5, 3], [3.5, 7]], rtol=1e-14)
    for result in answers(image, [[1, 1]], padding=((0, 0), (1, 0)), fill=np.nan).values():
        assert np.isnan(result[:, 0]).all() and result[:, 1].tolist() == [3, 7]


def test_t26_complex_numbers():
    """corr2d conjugates the kernel as numpy.correlate does, convolve2d does not; complex64 stays; no part is dropped."""
    one = np.array([[1 + 0j]])
    assert corr2d.corr2d(one, [[1j]]).tolist() == [[-1j]]
    assert corr2d.convolve2d(one, [[1j]]).tolist() == [[1j]]
    image, kernel = pixels(9, 10, dtype="complex64"), dense(3, 4, dtype="complex128")
    for result in answers(image, kernel).values():
        oracle.check(result, image, kernel)
    assert corr2d.corr2d(image, [[0.5]]).dtype == "complex64"
    with pytest.raises(OptionError, match="complex"):
        corr2d.corr2d(np.ones((2, 2)), [[1]], padding=1, fill=1j)


def test_t27_empty_arrays():
    """No pixels give no results, of the right shape and dtype; no taps are an error that says so."""
    for dtype, result_dtype in dict(uint8="float32", float64="float64").items():
        for result in answers(np.ones((0, 4, 5), dtype), np.ones((2, 2))).values():
            assert result.shape == (0, 3, 4) and result.dtype == result_dtype
    assert corr2d.corr2d(np.ones((0, 5)), np.ones((3, 3)), padding="same").shape == (0, 5)
    assert corr2d.corr2d(np.ones((0, 5)), np.ones((3, 3)), padding="full").tolist() == [[0] * 7] * 2
    for shape in [(0, 3), (3, 0), (0, 0)]:
        with pytest.raises(ShapeError, match="without a single tap"):
            corr2d.corr2d(np.ones((4, 4)), np.ones(shape))


def test_t28_strides_order_and_endianness():
    """F-order, reversed, broadcast, read-only, foreign and misaligned memory: the same pixels, the same result."""
    plain = pixels(12, 20)
    same = dict(
        fortran=np.asfortranarray(plain), reversed=plain[::-1, ::-1].copy()[::-1, ::-1], read_only=read_only(plain.copy()),
        foreign=plain.astype(">f4"), misaligned=misaligned(plain), every_second=np.repeat(plain, 2, 1)[:, ::2],
        transposed=plain.T.copy().T, field=np.rec.fromarrays([plain, plain], names="a,b")["b"],
    )  # fmt: skip
    for kernel in (dense(3, 4), gauss(5, 1.0), np.full((3, 5), 0.2)):
        wanted = answers(plain, kernel)
        for name, image in same.items():
            for method, result in answers(image, kernel).items():
                assert np.array_equal(result, wanted[method]), (name, method)
        flat = answers(np.broadcast_to(plain[3], plain.shape), kernel)
        copied = answers(np.broadcast_to(plain[3], plain.shape).copy(), kernel)
        assert all(np.array_equal(flat[m], copied[m]) for m in copied)


def test_t29_out_is_the_image():
    """The result is right also where it overwrites the image, exactly or askew."""
    for kernel in (dense(3, 3), gauss(3, 1.0), np.full((3, 3), 1 / 9)):
        start = pixels(40, 41, dtype="float64")
        wanted = answers(start[:-2, :-2], kernel, padding="same", boundary="reflect")
        for method, right in wanted.items():
            for shift in (0, 1, 2):
                memory = start.copy()
                image, out = memory[:-2, :-2], memory[shift : shift + 38, 2 - shift : 41 - shift]
                corr2d.corr2d(image, kernel, padding="same", boundary="reflect", method=method, out=out)
                assert np.array_equal(out, right), (method, shift)


def test_t30_stride_with_same():
    """ceil(L / s) outputs: those at 0, s, 2s, ... of "same" without a stride, with its d(k-1) pixels of padding."""
    image = pixels(11, 13, dtype="int16")
    for s, d, k in [(2, 1, 3), (3, 2, 4), (5, 1, 2), (4, 3, 3), (20, 1, 5)]:
        every = corr2d.corr2d(image, whole(k, k), padding="same", dilation=d)
        for result in answers(image, whole(k, k), padding="same", stride=s, dilation=d).values():
            assert result.shape == (-(-11 // s), -(-13 // s))
            assert np.array_equal(result, every[::s, ::s])


def test_t31_negative_numbers_in_unsigned_results():
    """Clamped before the cast, which C leaves undefined: 0 on every machine, and the ceiling above."""
    for target in ("uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64"):
        limits = np.iinfo(target)
        for dtype in ("float32", "float64", "int32"):
            image = np.array([[1, 2, 0]], dtype)
            for factor, one, two in [(-45.25, -45, -90), (-1e30, limits.min, limits.min), (1e30, limits.max, limits.max)]:
                wanted = np.clip([one, two], limits.min, limits.max).tolist()
                for method, result in answers(image, [[factor]], dtype=target).items():
                    assert result[0, :2].tolist() == wanted, (method, target, dtype, factor)
                    assert result[0, 2] == 0 or method == "fft", "whose error is as large as its largest result"


def test_t32_no_precision_is_dropped_silently():
    """float32 is float32, whatever torch was told about TF32 and the like: the last bit comes through."""
    image = np.float32(1) + np.spacing(np.float32(1)) * np.arange(20 * 30, dtype="float32").reshape(20, 30)
    for method, result in answers(image, [[1.0]]).items():
        room = float(oracle.tolerance(image, [[1.0]])) if method == "fft" else 0
        assert np.abs(result - image).max() <= room, method
    torch = pytest.importorskip("torch")
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("medium")
        tensor = torch.from_numpy(image)
        assert torch.equal(corr2d.corr2d(tensor, [[1.0]]), tensor)
    finally:
        torch.set_float32_matmul_precision(before)


@pytest.mark.parametrize("function", [corr2d.corr2d, corr2d.convolve2d])
def test_t33_the_default_size_is_in_the_signature(function):
    """"valid", in both directions; scipy.signal's default is "full", others' "same"."""
    assert inspect.signature(function).parameters["padding"].default == "valid"
    assert function(np.ones((5, 7)), np.ones((2, 3))).shape == (4, 5)


def test_t34_flat_images_under_kernels_without_gain(tmp_path, capsys):
    """No edges anywhere: exact zeros, and mid-grey, not 0/0, where the command line scales them to fit."""
    for kernel in (SOBEL, corr2d.kernels.laplacian().weights, np.array([[1, -1]])):
        for value in (77, 0.5, 0.1):
            for method, result in answers(np.full((9, 9), value), kernel).items():
                assert np.abs(result).max() <= float(oracle.tolerance([[value]], kernel)), method
                assert not result.any() or value == 0.1 or method == "fft", method
    images = pytest.importorskip("corr2d.images")
    pytest.importorskip("PIL")
    from corr2d.cli import main

    images.write(tmp_path / "flat.png", np.full((9, 9), 77, "uint8"))
    main(["apply", str(tmp_path / "flat.png"), str(tmp_path / "edges.png"), "-k", "sobel-x"])
    assert set(images.read(tmp_path / "edges.png").pixels.ravel().tolist()) <= {127, 128}
