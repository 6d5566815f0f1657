"""Learning a kernel: exactness, supports, error bars, real filters, verdicts, hostile input."""

import io
import itertools
import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

import corr2d
from corr2d._errors import DTypeError, OptionError, ShapeError
from corr2d._learning import moments as sums
from corr2d._learning import lagsums
from corr2d._learning.lagsums import by_transform
from corr2d._lags import lag_sums
from corr2d.learning import VERDICTS

PHOTO = Path(corr2d.__file__).parent / "data" / "cameraman.png"


@pytest.fixture(scope="module")
def photo():
    """The committed photograph, 8 bits of grey."""
    pytest.importorskip("PIL", reason="Pillow reads the photograph")
    pixels = corr2d.images.read(PHOTO).pixels
    grey = pixels if pixels.ndim == 2 else pixels[..., 0]
    return np.ascontiguousarray(grey)


@pytest.fixture(scope="module")
def chapter():
    x = np.ones((6, 8))
    x[:, 2:6] = 0
    return x, x[:, :-1] - x[:, 1:]


def valid(image, kernel):
    """The definition, in float64."""
    return corr2d.corr2d(image.astype(float), kernel, method="reference")


def blurred(image, sigma):
    return corr2d.corr2d(image.astype(float), corr2d.kernels.gaussian(sigma), padding="same", boundary="reflect")


# -------------------------------------------------------------------------------------------------
# moments


@pytest.mark.parametrize("channels, outputs", [(1, 1), (2, 3)])
@pytest.mark.parametrize("size", [(1, 1), (3, 3), (5, 4), (1, 7), (6, 2)], ids=str)
def test_moments_are_those_of_all_patches_bit_for_bit(size, channels, outputs):
    """Lag sums and the walk along the edges against patches written out; images hardly larger than the window, too."""
    rng = np.random.default_rng(0)
    for shape in [(31, 40), (size[0] + 2, size[1] + 1)]:
        x = rng.integers(0, 256, (channels, *shape), dtype=np.uint8)
        y = rng.integers(0, 256, (outputs, *(n - k + 1 for n, k in zip(shape, size, strict=True))), dtype=np.uint8)
        got = sums.of_pair(x, y, size, (128.0, 128.0), 2)
        rows = np.lib.stride_tricks.sliding_window_view(x.astype(object) - 128, size, axis=(1, 2)).transpose(0, 3, 4, 1, 2)
        v = np.concatenate([np.ones((1, y[0].size), object), rows.reshape(-1, y[0].size), (y.astype(object) - 128).reshape(outputs, -1)])
        assert (got.matrix == (v @ v.T).astype(float)).all()
        assert (got.around((3.0, -7.0)).matrix == sums.of_pair(x, y, size, (3.0, -7.0), 1).matrix).all()


def test_transforms_give_the_same_integers():
    """Linear, not circular, and rounded to what 8-bit products add up to; floats to their precision."""
    rng = np.random.default_rng(1)
    x = rng.integers(0, 256, (300, 333), dtype=np.uint8)
    a = x[:-40, :-30]
    assert (by_transform(a, x, (128, 128), 2, tile=(128, 192)) == lag_sums(a, x, origins=(128, 128), threads=2)).all()
    f = rng.normal(size=(200, 210))
    np.testing.assert_allclose(by_transform(f[:-9, :-9], f, (0.5, 0), 1, tile=(64, 96)), lag_sums(f[:-9, :-9], f, origins=(0.5, 0), threads=1), atol=1e-9)


@pytest.mark.parametrize("size", [(31, 31), (3, 9), (9, 2), (1, 8), (4, 1)])
def test_shared_transforms_give_the_same_integers(monkeypatch, size):
    """The picture with itself, both ways, and with the other from one transform of its tiles, against sums in registers."""
    rng = np.random.default_rng(2)
    x = rng.integers(0, 256, (1, 170, 230), dtype=np.uint8)
    y = rng.integers(0, 256, (2, 171 - size[0], 231 - size[1]), dtype=np.uint8)
    found = []
    for limit in (0, 1 << 30):
        monkeypatch.setattr(lagsums, "_TOGETHER", (limit, limit))
        monkeypatch.setattr(lagsums, "_DIRECT", 1 << 30)
        found.append(sums.of_pair(x, y, size, (128.0, 128.0), 2).matrix)
    assert (found[0] == found[1]).all()


def test_masked_pixels_take_no_part(photo):
    """Few are taken out again, many are never put in: the same moments, bit for bit."""
    rng = np.random.default_rng(2)
    x, y = photo[None, :60, :70], photo[None, 3:61, 5:73]
    for share in (0.02, 0.6):
        used = rng.random(y.shape[1:]) > share
        got = sums.of_pair(x, y, (3, 3), (128.0, 128.0), 1, used)
        assert (got.matrix == sums.of_rows(x, y, (3, 3), (128.0, 128.0), used, None).matrix).all()


def test_any_order_gives_the_same_bits(photo):
    """Tiles of a photograph in any order, merged in any way; overlapping by max_size - 1."""
    k = np.array([[1, 2, 1], [0, 3, 0], [1, 0, 1]]) / 9
    after = np.rint(valid(photo, k)).astype(np.uint8)
    tiles = [(slice(y, y + 130), slice(x, x + 200)) for y in range(0, 510, 130) for x in range(0, 510, 200)]
    seen = []
    for order in (tiles, tiles[::-1]):
        learner, other = corr2d.KernelLearner(3), corr2d.KernelLearner(3)
        for n, (ys, xs) in enumerate(order):
            y = after[ys, xs]
            before = photo[ys.start : ys.start + y.shape[0] + 2, xs.start : xs.start + y.shape[1] + 2]
            (learner if n % 2 else other).update(before, y)
        learner.merge(other)
        seen.append(learner._moments.matrix)
    whole = corr2d.KernelLearner(3)
    whole.update(photo, after)
    assert (seen[0] == seen[1]).all() and (seen[0] == whole._moments.matrix).all()
    fit = learner.solve(size=3)
    np.testing.assert_allclose(fit.kernel.weights, k, atol=5e-4)
    assert fit.verdict == "lsi-rounded"


# -------------------------------------------------------------------------------------------------
# exactness


def test_the_chapter(chapter):
    """[1, -1] at once, to 1e-12."""
    fit = corr2d.learn_kernel(*chapter)
    assert fit.kernel.shape == (1, 2) and abs(fit.kernel.weights - [[1, -1]]).max() <= 1e-12
    assert fit.verdict == "lsi-exact" and fit.rank_deficiency == 0
    assert fit.certificate.numerators.tolist() == [[1, -1]] and fit.certificate.divisor == 1 and fit.certificate.mismatches == 0
    np.testing.assert_allclose(fit.predict(chapter[0]), chapter[1], atol=1e-12)


def test_the_chapters_picture_cannot_tell_more(chapter):
    """Its patches have rank 3 of 9: said so, and the shortest kernel of all."""
    x = chapter[0]
    y = valid(x, np.arange(9.0).reshape(3, 3))
    fit = corr2d.learn_kernel(x, y, bias=False)
    assert fit.verdict == "not-identifiable" and fit.rank_deficiency == 6 and "told apart" in fit.reasons[0]
    patches = np.lib.stride_tricks.sliding_window_view(x, (3, 3)).reshape(-1, 9)
    shortest = np.linalg.lstsq(patches, y.ravel(), rcond=None)[0].reshape(3, 3)
    np.testing.assert_allclose(fit.kernel.weights, shortest, atol=1e-10)
    assert abs(patches @ fit.null_directions.reshape(6, 9).T).max() < 1e-10


@pytest.mark.parametrize("size", [(1, 1), (3, 3), (5, 4), (2, 7), (9, 9)], ids=str)
def test_random_kernels_without_noise(photo, size):
    """To 1e-11 of the largest tap."""
    k, x = np.random.default_rng(3).normal(size=size), photo[100:300, 150:350]
    after = valid(x, k) + 2.5
    fit = corr2d.learn_kernel(x, after, size)
    assert abs(fit.kernel.weights - k).max() <= 1e-11 * abs(k).max()
    assert fit.verdict == "lsi-exact" and abs(fit.bias - 2.5) < 1e-8


def test_a_rational_oracle():
    """Normal equations solved in fractions."""
    rng = np.random.default_rng(4)
    x, y = rng.integers(0, 20, (7, 6)), rng.integers(0, 50, (6, 5))
    rows = [[Fraction(int(v)) for v in x[i : i + 2, j : j + 2].ravel()] + [Fraction(1)] for i in range(6) for j in range(5)]
    right = [Fraction(int(v)) for v in y.ravel()]
    n = 5
    a = [[sum(r[i] * r[j] for r in rows) for j in range(n)] + [sum(r[i] * t for r, t in zip(rows, right, strict=True))] for i in range(n)]
    for i, j in itertools.product(range(n), range(n)):
        if i != j:
            factor = a[j][i] / a[i][i]
            a[j] = [u - factor * v for u, v in zip(a[j], a[i], strict=True)]
    exact = [float(a[i][n] / a[i][i]) for i in range(n)]
    fit = corr2d.learn_kernel(x, y)
    np.testing.assert_allclose([*fit.kernel.weights.ravel(), fit.bias], exact, rtol=1e-10)


def test_full_channels():
    """(C, H, W) pictures give (O, I, kh, kw); another channel's pixels count."""
    rng = np.random.default_rng(5)
    x, k = rng.normal(size=(3, 40, 50)), rng.normal(size=(2, 3, 3, 4))
    fit = corr2d.learn_kernel(x, corr2d.corr2d(x, k) + np.array([1.0, -2.0])[:, None, None], channels="full")
    np.testing.assert_allclose(fit.kernel.weights, k, atol=1e-11)
    np.testing.assert_allclose(fit.bias, [1, -2], atol=1e-10)
    assert fit.stderr.shape == k.shape and fit.verdict == "lsi-exact"


def test_batches_and_channel_axis(photo):
    """Leading axes are more pictures of the same filter; channels may lie last."""
    k = np.array([[0.5, 0.25, 0.25]])
    x = np.stack([photo[:100], photo[100:200], photo[200:300]])
    for before, after, axis in [(x, corr2d.corr2d(x, k), None), (np.moveaxis(x, 0, -1), np.moveaxis(corr2d.corr2d(x, k), 0, -1), -1)]:
        fit = corr2d.learn_kernel(before, after, channel_axis=axis)
        np.testing.assert_allclose(fit.kernel.weights, k, atol=1e-6)


# -------------------------------------------------------------------------------------------------
# support, place, borders


@pytest.mark.parametrize("seed", range(6))
def test_the_size_is_found(photo, seed):
    """Of random kernels of odd and even sizes, under noise and rounding; and where it lies."""
    rng = np.random.default_rng(seed)
    size = tuple(int(n) for n in rng.integers(1, 8, 2))
    k, anchor = rng.normal(size=size), tuple(int(rng.integers(0, n)) for n in size)
    y = corr2d.corr2d(photo.astype(float), k, padding="same", anchor=anchor, boundary="reflect")
    y = np.rint(y + rng.normal(scale=2, size=y.shape))
    fit = corr2d.learn_kernel(photo, y)
    assert fit.kernel.shape == size and (size == (1, 1) or fit.kernel.anchor == anchor)


def test_a_window_that_is_too_small_is_noticed(photo):
    """A given size, and a search that ends at its bound."""
    after = blurred(photo, 2.0)
    assert "larger" in " ".join(corr2d.learn_kernel(photo, after, 3).reasons)
    assert "max_size" in " ".join(corr2d.learn_kernel(photo, after, max_size=7).reasons)


@pytest.mark.parametrize(("sigma", "size"), [(5.0, "auto"), (2.0, 3), (2.0, 7)])
def test_a_blur_wider_than_its_window_is_called_no_other_thing(photo, sigma, size):
    """What the window leaves out goes along with contrasts and places, and is neither."""
    fit = corr2d.learn_kernel(photo, np.rint(blurred(photo, sigma)).astype(np.uint8), size)
    assert fit.verdict == "lsi+noise"
    assert "the kernel is larger" in fit.reasons[0]


@pytest.mark.parametrize("after", [np.full((60, 70), 7, np.uint8), np.full((60, 70), 2.5), np.zeros((60, 70))])
def test_an_after_without_contrast_takes_one_tap(after):
    """A tap of zero and the bias: no warning, and no window full of zeros."""
    before = np.random.default_rng(0).integers(0, 256, after.shape, dtype=np.uint8)
    fit = corr2d.learn_kernel(before, after)
    assert (fit.kernel.shape, fit.kernel.weights.item(), fit.bias) == ((1, 1), 0.0, after[0, 0])


@pytest.mark.parametrize("rule", ["constant", "edge", "reflect", "symmetric", "wrap"])
def test_border_rules_are_found(photo, rule):
    """Also with noise, and in an image that is predicted so."""
    k = np.random.default_rng(0).normal(size=(5, 5))
    x = photo[100:300, 100:300].astype(float)
    y = corr2d.corr2d(x, k, padding="same", boundary=rule)
    fit = corr2d.learn_kernel(x, y)
    assert fit.boundary == rule
    np.testing.assert_allclose(fit.predict(x), y, atol=1e-8)
    noisy = y + np.random.default_rng(1).normal(size=y.shape)
    assert corr2d.learn_kernel(x, noisy).boundary == rule


def test_shifts_and_crops(photo):
    """Integer offsets between the pictures, known to nobody."""
    k = corr2d.kernels.gaussian(1.0).weights[2:-2, 2:-2]
    same = corr2d.corr2d(photo.astype(float), k, padding="same")
    fit = corr2d.learn_kernel(photo, np.roll(same, (23, -11), (0, 1)))
    np.testing.assert_allclose(fit.kernel.weights, k, atol=0.02)
    fit = corr2d.learn_kernel(photo, same[50:300, 41:333])
    np.testing.assert_allclose(fit.kernel.weights, k, atol=1e-9)
    assert fit.verdict == "lsi-exact"


# -------------------------------------------------------------------------------------------------
# error bars


@pytest.mark.parametrize("noise", ["white", "correlated"])
def test_intervals_cover(photo, noise):
    """95 % intervals hold the truth 93 to 97 times in 100, over 1 200 taps."""
    x = photo[150:262, 150:262].astype(float)
    k = np.random.default_rng(0).normal(size=(3, 5))
    clean, inside = valid(x, k), []
    for seed in range(80):
        e = np.random.default_rng(seed).normal(scale=2, size=(clean.shape[0] + 2, clean.shape[1] + 2))
        e = e[1:-1, 1:-1] if noise == "white" else corr2d.corr2d(e, np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1]]) / 6)
        low, high = corr2d.learn_kernel(x, clean + e, (3, 5)).confidence_interval(0.95)
        inside.append((low <= k) & (k <= high))
    assert 0.93 <= np.mean(inside) <= 0.97


def test_standard_errors_are_those_of_the_textbook():
    """Against the dense least-squares formula."""
    rng = np.random.default_rng(6)
    x = rng.normal(size=(30, 30))
    y = valid(x, np.ones((2, 2))) + rng.normal(size=(29, 29))
    a = np.hstack([np.lib.stride_tricks.sliding_window_view(x, (2, 2)).reshape(-1, 4), np.ones((841, 1))])
    k, rss, *_ = np.linalg.lstsq(a, y.ravel(), rcond=None)
    errors = np.sqrt(rss[0] / (841 - 5) * np.diag(np.linalg.inv(a.T @ a)))
    fit = corr2d.learn_kernel(x, y)
    np.testing.assert_allclose(fit.kernel.weights.ravel(), k[:4], rtol=1e-9)
    np.testing.assert_allclose([*fit.stderr.ravel(), fit.bias_stderr], errors, rtol=0.02)
    with pytest.raises(OptionError, match="0.95"):
        fit.confidence_interval(95)


# -------------------------------------------------------------------------------------------------
# real images


def test_missing_pixels(photo):
    """NaN in either picture, a mask, weights: what is missing is nowhere, not even its window."""
    rng = np.random.default_rng(7)
    k = rng.normal(size=(3, 3))
    x = photo[:200, :200].astype(float)
    y = valid(x, k)
    x[50, 60], x[120:124, 30] = np.nan, np.inf
    y[10, 10] = np.nan
    mask = rng.random(y.shape) > 0.1
    y[~mask] = 1e6
    fit = corr2d.learn_kernel(x, y, mask=mask)
    np.testing.assert_allclose(fit.kernel.weights, k, atol=1e-10)
    assert fit.count == (mask & np.isfinite(y)).sum() - (mask[48:51, 58:61] & np.isfinite(y[48:51, 58:61])).sum() - mask[118:124, 28:31].sum()
    weights = np.where(mask, 1.0, 0.0)
    np.testing.assert_allclose(corr2d.learn_kernel(x, y, weights=weights).kernel.weights, k, atol=1e-9)


def test_outliers(photo):
    """One pixel in ten is anything: robust learning does not mind."""
    rng = np.random.default_rng(8)
    k = np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1]]) / 16
    y = np.rint(valid(photo, k))
    hit = rng.random(y.shape) < 0.1
    y[hit] = rng.integers(0, 256, hit.sum())
    assert abs(corr2d.learn_kernel(photo, y, 3).kernel.weights - k).max() > 0.003
    assert abs(corr2d.learn_kernel(photo, y, 3, method="robust").kernel.weights - k).max() < 0.001


def test_saturation_is_judged_by_the_prediction(photo):
    """Sobel cut off at 0 and 255: more than half the pixels say nothing."""
    y = np.clip(valid(photo, corr2d.kernels.sobel(1).weights), 0, 255).astype(np.uint8)
    fit = corr2d.learn_kernel(photo, y, 3)
    np.testing.assert_allclose(fit.kernel.weights, [[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]], atol=1e-10)
    assert fit.verdict == "lsi+clipping" and fit.certificate.mismatches == 0
    naive = corr2d.learn_kernel(photo, y, 3, clip=None)
    assert abs(naive.kernel.weights - fit.kernel.weights).max() > 0.1


def test_flat_parts_are_not_saturation(photo):
    """Floats, many of whose pixels are the lowest or the highest there are: the kernel predicts them there, give or take arithmetic."""
    x = np.clip(np.tile(photo, (2, 2)).astype(int) * 4 - 300, 0, 255).astype(np.uint8)
    for dtype in ("float32", "float64"):
        fit = corr2d.learn_kernel(x, corr2d.corr2d(x, np.outer([1, 2, 1], [1, 2, 1]) / 16, padding="same", boundary="reflect", dtype=dtype))
        assert (fit.verdict, fit.kernel.shape) == ("lsi-exact", (3, 3)) and not [reason for reason in fit.reasons if "beyond" in reason]


def test_truncation_shows_as_a_bias(photo):
    """Cut off instead of rounded: half a step less, and the certificate says so."""
    y = (valid(photo, np.ones((3, 3))) // 9).astype(np.uint8)
    fit = corr2d.learn_kernel(photo, y)
    assert abs(fit.bias + 4 / 9) < 0.02
    assert (fit.certificate.rounding, fit.certificate.divisor, fit.certificate.mismatches) == ("floor", 9, 0)


# -------------------------------------------------------------------------------------------------
# constraints


def test_constraints(photo):
    """Each is kept, and is the best of all kernels that keep it (a small step along it makes it worse)."""
    rng = np.random.default_rng(9)
    x = photo[:90, :90].astype(float)
    y = valid(x, rng.normal(size=(3, 3)) + 0.5) + rng.normal(size=(88, 88))

    def loss(k):
        e = y - valid(x, k)
        return float(((e - e.mean()) ** 2).sum())

    def fit(*constraints):
        return corr2d.learn_kernel(x, y, 3, constraints=constraints).kernel.weights

    assert abs(fit("sum=1").sum() - 1) < 1e-12 and abs(fit("sum=0").sum()) < 1e-12
    symmetric, anti = fit("symmetric"), fit("antisymmetric")
    np.testing.assert_allclose(symmetric, symmetric[::-1, ::-1], atol=1e-12)
    np.testing.assert_allclose(anti, -anti[::-1, ::-1], atol=1e-12)
    fixed = fit({(0, 0): 0.25, (1, 1): -1}, "sum=1")
    assert abs(fixed[0, 0] - 0.25) < 1e-12 and abs(fixed[1, 1] + 1) < 1e-12 and abs(fixed.sum() - 1) < 1e-12
    flat = fit("separable")
    assert np.linalg.svd(flat)[1][1] < 1e-12
    positive = fit("nonnegative")
    assert positive.min() == 0
    for k, moves in [(symmetric, [np.eye(3), np.ones((3, 3))]), (positive, [np.where(positive > 0, 1, 0), np.where(positive == 0, 1, 0)])]:
        for move in moves:
            assert loss(k + 1e-4 * move) > loss(k)
    for u in np.eye(3):
        step = np.outer(u, flat[1]) * 1e-4
        assert loss(flat + step) > loss(flat) and loss(flat - step) > loss(flat)


def test_sparse(photo):
    """Holes in a cross, where BIC finds no tap."""
    k = np.zeros((5, 5))
    k[2, [0, 4]], k[[0, 4], 2], k[2, 2] = 0.2, 0.1, 0.4
    y = valid(photo[:200, :200], k) + np.random.default_rng(0).normal(size=(196, 196))
    fit = corr2d.learn_kernel(photo[:200, :200], y, 5, constraints="sparse")
    assert ((fit.kernel.weights != 0) == (k != 0)).all()


def test_ridge(photo):
    """Shrunk by an amount that the data choose, and that is told."""
    x = photo[:40, :40].astype(float)
    y = valid(x, corr2d.kernels.box(7).weights) + np.random.default_rng(0).normal(scale=20, size=(34, 34))
    plain, shrunk = corr2d.learn_kernel(x, y), corr2d.learn_kernel(x, y, ridge="auto")
    truth = 1 / 49
    assert abs(shrunk.kernel.weights - truth).max() < abs(plain.kernel.weights - truth).max()
    assert shrunk.ridge > 0 and any("ridge" in reason for reason in shrunk.reasons)


@pytest.mark.parametrize(
    "constraints, match",
    [("sum=2", "sum=1"), (["sum=1", "sum=0"], "together"), (["separable", "sum=1"], "alone"), ({(3, 0): 1}, "outside"), ({0: 1}, "row, column"), (7, "not understood")],
)
def test_constraints_that_cannot_be(photo, constraints, match):
    with pytest.raises(OptionError, match=match):
        corr2d.learn_kernel(photo[:50, :50], photo[:50, :50], 3, constraints=constraints)


# -------------------------------------------------------------------------------------------------
# curves, variation, gradient


def test_linear_light(photo):
    """A blur in linear light: the curve is found and named, the taps are right."""
    light = blurred(np.where(photo / 255 <= 0.04045, photo / 255 / 12.92, ((photo / 255 + 0.055) / 1.055) ** 2.4), 1.0)
    y = np.rint(255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)).astype(np.uint8)
    plain, fit = corr2d.learn_kernel(photo, y, 7), corr2d.learn_kernel(photo, y, 7, curves="auto")
    assert plain.verdict == fit.verdict == "static-nonlinear"
    assert "sRGB" in fit.reasons[0] and fit.rms < 0.35 < plain.rms
    truth = corr2d.kernels.gaussian(1.0).weights
    middle = tuple(slice(m // 2 - 1, m // 2 + 2) for m in fit.kernel.shape), (slice(3, 6), slice(3, 6))
    assert abs(fit.kernel.weights[middle[0]] - truth[middle[1]]).max() < 0.01


def test_a_gamma_that_is_in_no_standard(photo):
    """Any exponent is found, and where it was; nobody is told to try what was tried."""
    part = photo[100:356, 100:356]
    y = np.rint(255 * (blurred(part, 1.0) / 255) ** 0.6).astype(np.uint8)
    fit = corr2d.learn_kernel(part, y, 7, curves="auto")
    assert "gamma 1.67 of the result" in fit.reasons[0] and fit.rms < 0.35
    assert "try curves" not in " ".join(fit.reasons)


def test_no_curve_is_made_up(photo):
    """Plain noise is not a tone curve."""
    x = photo[100:300, 100:300]
    y = blurred(x, 1.0) + np.random.default_rng(0).normal(size=x.shape)
    assert corr2d.learn_kernel(x, y, 7, curves="auto").verdict == "lsi+noise"


def test_kernels_that_change_across_the_picture(photo):
    """A blur that grows from left to right: recovered by its polynomials, and refused where there is none."""
    w = np.linspace(0, 1, photo.shape[1])
    y = np.rint(blurred(photo, 0.6) * (1 - w) + blurred(photo, 1.4) * w)
    fit = corr2d.learn_kernel(photo, y, 9, vary="auto")
    assert fit.verdict == "spatially-varying" and fit.rms < 0.35 < corr2d.learn_kernel(photo, y, 9).rms
    left = fit.variation.at(256, 0)
    assert abs(left[4, 4] - corr2d.kernels.gaussian(0.6).weights.max()) < 0.02
    part = photo[:200, :200]
    same = corr2d.learn_kernel(part, np.rint(blurred(part, 1.0)), 5, vary="auto")
    assert same.variation is None and "everywhere" in same.reasons[-1]
    asked = corr2d.learn_kernel(part, np.rint(blurred(part, 1.0)), 5, vary=1)
    assert asked.variation.degree == 1 and asked.verdict != "spatially-varying" and "everywhere" in asked.reasons[-1]


def test_gradient_descent_as_in_the_chapter(chapter):
    """The losses of a loop over pixels, step by step; and what twenty steps come to."""
    x, y = chapter
    fit = corr2d.learn_kernel(x, y, (1, 2), bias=False, method="gradient", steps=20, lr=0.01)
    k, losses = np.zeros((1, 2)), []
    for _ in range(20):
        e = valid(x, k) - y
        losses.append((e**2).sum())
        k -= 0.01 * 2 * np.array([[(e * x[:, :7]).sum(), (e * x[:, 1:]).sum()]])
    np.testing.assert_allclose(fit.losses, losses, rtol=1e-9)
    np.testing.assert_allclose(fit.kernel.weights, k, rtol=1e-9)
    with pytest.raises(OptionError, match="diverged"):
        corr2d.learn_kernel(x, y, (1, 2), method="gradient", lr=10.0)


# -------------------------------------------------------------------------------------------------
# statistics on disk


def test_saved_and_loaded(tmp_path, photo):
    """The same sums come back, and go on."""
    learner = corr2d.KernelLearner((3, 5))
    learner.update(photo[:100], photo[:100])
    learner.save(tmp_path / "sums.npz")
    again = corr2d.KernelLearner.load(tmp_path / "sums.npz")
    assert (again._moments.matrix == learner._moments.matrix).all() and again.count == learner.count
    again.update(photo[100:200], photo[100:200])
    assert again.solve().kernel.weights.round(9).tolist() == [[1.0]]
    corr2d.KernelLearner(4).save(tmp_path / "empty.npz")
    assert corr2d.KernelLearner.load(tmp_path / "empty.npz").count == 0


def test_hostile_files_are_refused(tmp_path, photo):
    """Pickles, other files, damaged ones, sums that no picture has."""
    learner = corr2d.KernelLearner(3)
    learner.update(photo[:50], photo[:50])
    learner.save(tmp_path / "good.npz")
    with np.load(tmp_path / "good.npz") as record:
        good = dict(record)
    bad = {
        "nan": good | {"matrix": np.full((11, 11), np.nan)}, "shape": good | {"matrix": np.zeros((3, 3))}, "negative": good | {"matrix": -good["matrix"]},
        "size": good | {"max_size": np.array([10**6, 10**6])}, "version": good | {"version": np.array(9)}, "kind": good | {"format": np.array("other")},
        "channels": good | {"channels": np.array("none")}, "missing": {k: v for k, v in good.items() if k != "matrix"},
        "pickle": good | {"origins": np.array([{}, 1], object)}, "float": good | {"counts": np.array([1.5, 1])},
    }  # fmt: skip
    for name, record in bad.items():
        np.savez(tmp_path / f"{name}.npz", **record)
    (tmp_path / "text.npz").write_text("no statistics")
    (tmp_path / "cut.npz").write_bytes((tmp_path / "good.npz").read_bytes()[:300])
    (tmp_path / "empty.npz").write_bytes(b"")
    np.save(tmp_path / "array.npz", np.zeros(3))
    with pytest.raises(FileNotFoundError, match="absent.npz"):
        corr2d.KernelLearner.load(tmp_path / "absent.npz")
    for name in [*bad, "text", "cut", "empty", "array"]:
        path = tmp_path / (f"{name}.npz" if not (tmp_path / f"{name}.npz.npy").exists() else f"{name}.npz.npy")
        with pytest.raises(OptionError, match=path.name) as caught:
            corr2d.KernelLearner.load(path)
        assert "allow_pickle" not in str(caught.value)


def test_learners_that_do_not_fit(photo):
    """Nothing is added when a pair is refused."""
    learner = corr2d.KernelLearner(5)
    with pytest.raises(ShapeError, match="no pixels yet"):
        learner.solve()
    learner.update(photo[:60], photo[:60])
    count = learner.count
    for before, after, match in [
        (photo[:60], photo[4:60, 4:], "not mixed"), (photo[:60], photo[:58], "smaller than before by 2"), (photo[:3, :3], photo[:3, :3], "no window"),
    ]:  # fmt: skip
        with pytest.raises(ShapeError, match=match):
            learner.update(before, after)
    with pytest.raises(ShapeError, match="do not merge"):
        learner.merge(_fed(corr2d.KernelLearner(3), photo))
    with pytest.raises(OptionError, match="larger max_size"):
        learner.solve(size=7)
    assert learner.count == count


def _fed(learner, photo):
    learner.update(photo, photo)
    return learner


# -------------------------------------------------------------------------------------------------
# bad input


@pytest.mark.parametrize(
    "before, after, options, error, match",
    [
        (np.zeros((5, 5)), np.zeros((6, 5)), {}, ShapeError, "larger than before"),
        (np.zeros((2, 9, 9)), np.zeros((3, 9, 9)), {}, ShapeError, "leading axes"),
        (np.zeros((9, 9, 3)), np.zeros((7, 7, 3)), {}, ShapeError, "channel_axis=-1"),
        (np.zeros((0, 5)), np.zeros((0, 5)), {}, ShapeError, "empty"),
        (np.zeros(5), np.zeros(5), {}, ShapeError, "H, W"),
        (np.zeros((5, 5)), np.zeros((5, 5)), {"channels": "full"}, ShapeError, "C, H, W"),
        (np.eye(9), np.eye(9), {"size": (10, 3)}, ShapeError, "larger than the image"),
        (np.eye(9), np.eye(9), {"size": 0}, OptionError, "at least 1"),
        (np.eye(9), np.eye(9), {"size": "big"}, OptionError, "auto"),
        (np.eye(9), np.eye(9), {"size": (3, 3, 3)}, OptionError, "rows, columns"),
        (np.eye(9), np.eye(9), {"method": "magic"}, OptionError, "exact, robust, gradient"),
        (np.eye(9), np.eye(9), {"curves": "all"}, OptionError, "none"),
        (np.eye(9), np.eye(9), {"channels": "rgb"}, OptionError, "depthwise"),
        (np.eye(9), np.eye(9), {"max_size": 0}, OptionError, "max_size"),
        (np.eye(9), np.eye(9), {"clip": (3, 1)}, OptionError, "lower level first"),
        (np.eye(9), np.eye(9), {"clip": "often"}, OptionError, "low, high"),
        (np.eye(9), np.eye(9), {"vary": 9}, OptionError, "vary"),
        (np.eye(9), np.eye(9), {"ridge": -1}, OptionError, "ridge"),
        (np.eye(9), np.eye(9), {"mask": np.zeros((9, 9), bool)}, ShapeError, "no output is left"),
        (np.eye(9), np.eye(9), {"mask": np.ones((9, 9))}, DTypeError, "astype"),
        (np.eye(9), np.eye(9), {"mask": np.ones((8, 9), bool)}, ShapeError, "after's"),
        (np.eye(9), np.eye(9), {"weights": -np.eye(9)}, OptionError, "1/variance"),
        (np.full((9, 9), np.nan), np.eye(9), {}, ShapeError, "no output is left"),
        (np.eye(9), np.full((9, 9), np.nan), {}, ShapeError, "no output is left"),
        (np.eye(9) * 1j, np.eye(9), {}, DTypeError, "real numbers"),
        ("a.png", np.eye(9), {}, DTypeError, "images.read"),
        (np.eye(9), None, {}, DTypeError, "after"),
    ],
)  # fmt: skip
def test_what_cannot_be_learned_from_is_refused(before, after, options, error, match):
    with pytest.raises(error, match=match):
        corr2d.learn_kernel(before, after, **options)


def test_honest_answers(photo):
    """Constant pictures, identical ones, such as have nothing to do with each other."""
    flat = np.full((40, 40), 7, np.uint8)
    assert corr2d.learn_kernel(flat, flat).verdict == "not-identifiable"
    same = corr2d.learn_kernel(photo, photo)
    assert same.verdict == "lsi-exact" and same.name == "identity"
    assert same.certificate.numerators.tolist() == [[1]] and same.certificate.divisor == 1 and same.certificate.mismatches == 0
    other = np.random.default_rng(0).integers(0, 256, photo.shape, dtype=np.uint8)
    assert corr2d.learn_kernel(photo, other).verdict == "misaligned"


def test_results_go_into_json(photo):
    """All of it, and what is printed names the verdict."""
    fit = corr2d.learn_kernel(photo, np.rint(blurred(photo, 1.0)))
    record = json.loads(json.dumps(fit.to_dict(), allow_nan=False))
    assert record["verdict"] in VERDICTS and record["convolution_kernel"][0] == record["kernel"][-1][::-1]
    assert fit.verdict in str(fit) and fit.verdict in repr(fit)


# -------------------------------------------------------------------------------------------------
# verdicts


def controls(photo):
    """Effects that are no convolution, and the verdicts they deserve."""
    cv2 = pytest.importorskip("cv2", reason="OpenCV makes the controls")
    image = pytest.importorskip("PIL.Image", reason="Pillow writes the JPEG")
    h, w = photo.shape

    def jpeg(quality, picture):
        file = io.BytesIO()
        image.fromarray(picture).save(file, "JPEG", quality=quality)
        return np.asarray(image.open(file))

    def turned(degrees):
        return cv2.warpAffine(photo, cv2.getRotationMatrix2D((w / 2, h / 2), degrees, 1), (w, h), flags=cv2.INTER_CUBIC)

    ramp = np.linspace(0, 1, w)
    soft = cv2.GaussianBlur(photo, (0, 0), 1)
    return {
        "median": (cv2.medianBlur(photo, 3), "local-nonlinear"),
        "bilateral": (cv2.bilateralFilter(photo, 7, 40, 3), "local-nonlinear"),
        "means": (cv2.fastNlMeansDenoising(photo, h=10), "local-nonlinear"),
        "dilation": (cv2.dilate(photo, np.ones((3, 3))), "local-nonlinear"),
        "clahe": (cv2.createCLAHE(2.0, (8, 8)).apply(photo), "local-nonlinear"),
        "equalised": (cv2.equalizeHist(photo), "static-nonlinear"),
        "gamma": (np.rint(255 * (soft / 255) ** 1.2).astype(np.uint8), "static-nonlinear"),
        "light": (np.rint(255 * cv2.GaussianBlur((photo / 255) ** 2.2, (0, 0), 1.2) ** (1 / 2.2)).astype(np.uint8), "static-nonlinear"),
        "rotation": (turned(0.1), "misaligned"),
        "scale": (cv2.warpAffine(photo, np.float32([[1.002, 0, 0], [0, 1.002, 0]]), (w, h)), "misaligned"),
        "varying": (np.rint(blurred(photo, 0.6) * (1 - ramp) + blurred(photo, 1.4) * ramp).astype(np.uint8), "spatially-varying"),
        "jpeg": (jpeg(90, soft), "jpeg-grid"),
        "jpeg 75": (jpeg(75, photo), "jpeg-grid"),  # whose residual shows no blocks
    }


@pytest.mark.parametrize(
    "name", ["median", "bilateral", "means", "dilation", "clahe", "equalised", "gamma", "light", "rotation", "scale", "varying", "jpeg", "jpeg 75"]
)
def test_controls(photo, name):
    """Each is told from a convolution, and for the right reason."""
    after, verdict = controls(photo)[name]
    fit = corr2d.learn_kernel(photo, after, 7)
    assert fit.verdict == verdict, fit.reasons


@pytest.mark.parametrize("seed", [*range(12), 25])  # 25 is dark and flat: windows come up again, rounded alike
def test_linear_filters_raise_no_alarm(photo, seed):
    """Random kernels, places in the picture, kinds of noise; benchmarks/learning.py runs two hundred."""
    x, y, expected = linear_case(photo, seed)
    assert corr2d.learn_kernel(x, y, max_size=9).verdict in expected


def linear_case(photo, seed):
    """A linear pair, and the verdicts that are right for it."""
    rng = np.random.default_rng(seed)
    h, w = (int(n) for n in rng.integers(100, 300, 2))
    top, left = int(rng.integers(0, 512 - h)), int(rng.integers(0, 512 - w))
    x = photo[top : top + h, left : left + w]
    k = rng.normal(size=tuple(rng.integers(1, 7, 2)))
    if seed % 2:
        k = abs(k) / abs(k).sum()
    y = corr2d.corr2d(x.astype(float), k, padding="same", boundary="reflect")
    match seed % 6:
        case 0:
            return x, y, {"lsi-exact"}
        case 1:
            return x, np.rint(y).astype(np.uint8), {"lsi-rounded", "lsi-exact"}
        case 2:
            return x, y + rng.normal(scale=rng.uniform(1, 20), size=y.shape), {"lsi+noise"}
        case 3:
            return x, rng.poisson(y).astype(float), {"lsi+noise"}
        case 4:
            e = corr2d.corr2d(rng.standard_t(4, size=y.shape), np.ones((3, 3)), padding="same")
            return x, y + e, {"lsi+noise"}
    return x, np.clip(np.rint(1.6 * y - 30 + rng.normal(size=y.shape)), 0, 255).astype(np.uint8), {"lsi+noise", "lsi+clipping"}
