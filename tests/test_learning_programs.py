"""Kernels of other people's programs, read off a photograph that they filtered: taps, orientation, divisor, rounding, border."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

import corr2d

PHOTO = Path(corr2d.__file__).parent / "data" / "cameraman.png"
COUNT = np.arange(1, 10).reshape(3, 3)  # tells every orientation from every other


@pytest.fixture(scope="module")
def photo():
    pytest.importorskip("PIL", reason="Pillow reads the photograph")
    pixels = corr2d.images.read(PHOTO).pixels
    return np.ascontiguousarray(pixels if pixels.ndim == 2 else pixels[..., 0])


def program(*names):
    """The first of these programs that is installed, or a skip."""
    found = next((path for name in names if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip(f"{names[0]} is not installed")
    return found


def ran(*command, stdin=b""):
    done = subprocess.run([str(part) for part in command], input=stdin, capture_output=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr.decode()[-500:]
    return done.stdout


def as_pgm(image):
    return b"P5 %d %d 255\n" % image.shape[::-1] + image.tobytes()


def from_pgm(data, shape):
    assert data.startswith(b"P5")
    return np.frombuffer(data[-shape[0] * shape[1] :], np.uint8).reshape(shape)


def check_certificate(fit, numerators, divisor, boundary):
    """The certificate holds for every pixel, and is this one."""
    c = fit.certificate
    assert c is not None, fit.reasons
    assert c.numerators.tolist() == np.asarray(numerators).tolist() and c.divisor == divisor
    assert (c.boundary, c.mismatches) == (boundary, 0)


# -------------------------------------------------------------------------------------------------
# Pillow


@pytest.mark.parametrize(
    "name, numerators, divisor",
    [
        ("SMOOTH", [[1, 1, 1], [1, 5, 1], [1, 1, 1]], 13),
        ("SHARPEN", [[-1, -1, -1], [-1, 16, -1], [-1, -1, -1]], 8),
        ("EDGE_ENHANCE", [[-1, -1, -1], [-1, 10, -1], [-1, -1, -1]], 2),
        ("FIND_EDGES", [[-1, -1, -1], [-1, 8, -1], [-1, -1, -1]], 1),
        ("CONTOUR", [[-1, -1, -1], [-1, 8, -1], [-1, -1, -1]], 1),
    ],
)
def test_pillow(photo, name, numerators, divisor):
    """Its own filters, saturating ones too; the rim is copied."""
    from PIL import Image, ImageFilter

    after = np.asarray(Image.fromarray(photo).filter(getattr(ImageFilter, name)))
    fit = corr2d.learn_kernel(photo, after, max_size=7)
    check_certificate(fit, numerators, divisor, "copy")
    assert fit.verdict in ("lsi-rounded", "lsi+clipping") and abs(fit.certificate.bias - (255 if name == "CONTOUR" else 0)) < 1e-9


def test_pillow_turns_kernels_upside_down(photo):
    """`ImageFilter.Kernel` correlates with the kernel flipped vertically."""
    from PIL import Image, ImageFilter

    after = np.asarray(Image.fromarray(photo).filter(ImageFilter.Kernel((3, 3), COUNT.ravel().tolist(), scale=45)))
    check_certificate(corr2d.learn_kernel(photo, after), COUNT[::-1], 45, "copy")


def test_pillows_five_by_five_is_exact_but_for_ties(photo):
    """SMOOTH_MORE adds up in float32: a few ties go the other way, and they are counted."""
    from PIL import Image, ImageFilter

    c = corr2d.learn_kernel(photo, np.asarray(Image.fromarray(photo).filter(ImageFilter.SMOOTH_MORE)), 5).certificate
    assert c.divisor == 100 and c.numerators[2, 2] == 44 and 0 < c.mismatches < 0.003 * photo.size


# -------------------------------------------------------------------------------------------------
# OpenCV


def test_opencv(photo):
    """A fixed-point Gaussian, boxes of two sizes, derivatives in 16 bits; its border is reflect."""
    cv2 = pytest.importorskip("cv2")
    row = np.array([1, 4, 6, 4, 1])
    check_certificate(corr2d.learn_kernel(photo, cv2.GaussianBlur(photo, (5, 5), 0)), np.outer(row, row), 256, "reflect")
    check_certificate(corr2d.learn_kernel(photo, cv2.blur(photo, (5, 3))), np.ones((3, 5), int), 15, "reflect")
    check_certificate(corr2d.learn_kernel(photo, cv2.Sobel(photo, cv2.CV_16S, 1, 0)), [[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]], 1, "reflect")
    check_certificate(corr2d.learn_kernel(photo, cv2.Scharr(photo, cv2.CV_16S, 0, 1)), [[-3, -10, -3], [0, 0, 0], [3, 10, 3]], 1, "reflect")
    check_certificate(corr2d.learn_kernel(photo, cv2.Laplacian(photo, cv2.CV_16S, ksize=3)), [[2, 0, 2], [0, -8, 0], [2, 0, 2]], 1, "reflect")


def test_opencvs_gaussian_of_bytes_is_not_the_float_one(photo):
    """[4 21 60 86 60 21 4] / 256 twice, many standard errors from the documented Gaussian."""
    cv2 = pytest.importorskip("cv2")
    fit = corr2d.learn_kernel(photo, cv2.GaussianBlur(photo, (7, 7), 1.2), 7)
    row = np.array([4, 21, 60, 86, 60, 21, 4])
    fixed, truth = np.outer(row, row) / 65536, np.outer(*[cv2.getGaussianKernel(7, 1.2)[:, 0]] * 2)
    assert (abs(fit.kernel.weights - fixed) / fit.stderr).max() < 4.5 < (abs(fit.kernel.weights - truth) / fit.stderr).max()


def test_opencvs_cubic_interpolation(photo):
    """A shift of 0.3 pixels: Keys' cubic with a = -0.75."""
    cv2 = pytest.importorskip("cv2")
    moved = cv2.warpAffine(photo, np.float32([[1, 0, 0.3], [0, 1, 0]]), photo.shape[::-1], flags=cv2.INTER_CUBIC)
    fit = corr2d.learn_kernel(photo, moved)
    a, t = -0.75, np.array([1.7, 0.7, 0.3, 1.3])  # how far the taps, from the left, are from where the output looks
    keys = np.where(t < 1, (a + 2) * t**3 - (a + 3) * t**2 + 1, a * t**3 - 5 * a * t**2 + 8 * a * t - 4 * a)
    assert fit.kernel.shape == (1, 4)
    np.testing.assert_allclose(fit.kernel.weights[0], keys, atol=1e-3)


# -------------------------------------------------------------------------------------------------
# programs


def test_ffmpeg(photo):
    """Its convolution filter correlates, in reading order, and adds the bias."""
    ffmpeg = program("ffmpeg")
    size = f"{photo.shape[1]}x{photo.shape[0]}"
    made = ran(ffmpeg, "-v", "error", "-f", "rawvideo", "-pix_fmt", "gray", "-s", size, "-i", "-", "-vf",
               "convolution=0m=1 2 3 4 5 6 7 8 9:0rdiv=0.0222222222:0bias=5", "-f", "rawvideo", "-pix_fmt", "gray", "-", stdin=photo.tobytes())  # fmt: skip
    fit = corr2d.learn_kernel(photo, np.frombuffer(made, np.uint8).reshape(photo.shape), 3)
    np.testing.assert_allclose(fit.kernel.weights * 45, COUNT, atol=5 * 45 * fit.stderr.max() + 0.01)
    assert 4.4 < fit.bias < 5.1 and fit.verdict in ("lsi-rounded", "lsi+clipping")


def test_imagemagick(photo):
    """-convolve correlates, and divides by the sum; its way back to 8 bits is seen in the bias."""
    convert = program("convert-im6.q16", "convert")
    made = from_pgm(ran(convert, "pgm:-", "-convolve", "1,2,3,4,5,6,7,8,9", "-depth", "8", "pgm:-", stdin=as_pgm(photo)), photo.shape)
    fit = corr2d.learn_kernel(photo, made, 3)
    np.testing.assert_allclose(fit.kernel.weights * 45, COUNT, atol=5 * 45 * fit.stderr.max() + 0.01)
    assert -0.55 < fit.bias < 0.05 and fit.verdict.startswith("lsi")


def test_libvips(photo, tmp_path):
    """conv in float correlates, exactly."""
    vips = program("vips")
    (tmp_path / "in.pgm").write_bytes(as_pgm(photo))
    (tmp_path / "mask.mat").write_text("3 3 45 0\n" + "\n".join(" ".join(map(str, row)) for row in COUNT.tolist()))
    ran(vips, "conv", tmp_path / "in.pgm", tmp_path / "out.tif", tmp_path / "mask.mat", "--precision", "float")
    pytest.importorskip("tifffile")
    fit = corr2d.learn_kernel(photo, corr2d.images.read(tmp_path / "out.tif").pixels)
    np.testing.assert_allclose(fit.kernel.weights * 45, COUNT, atol=1e-4)
    assert fit.verdict == "lsi-exact" and fit.boundary == "edge"
