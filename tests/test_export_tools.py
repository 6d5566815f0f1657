"""Every target runs: what the program makes of a random image is what `corr2d` makes of it.

The kernels are asymmetric in both directions and of odd and even sides, so that a
kernel that is turned, mirrored, transposed or shifted by one pixel is found out; the
borders are all that the target claims.
"""

import numpy as np
import pytest

import tools
from corr2d import corr2d
from corr2d.export import TARGETS, export
from corr2d.kernel import Kernel
from corr2d.kernel_text import parse_kernel

pytest.importorskip("PIL.Image", reason="image files need pillow")
pytest.importorskip("tifffile", reason="TIFF needs tifffile")

RNG = np.random.default_rng(9)
RGB = RNG.integers(0, 256, (23, 29, 3), np.uint8)

# Positive sums and a middle of the range, so that little is cut off on the way to 8 bits.
KERNELS = {
    "3x3": Kernel(np.array([[1, 2, 3], [0, 5, -4], [-6, 0, 15]]) / 16),
    "3x3 of sum 3/2": Kernel(np.array([[1, 2, 3], [0, 5, -4], [-6, 0, 17]]) / 12),
    "5x5": Kernel(np.array([[1, 0, -2, 3, 1], [0, 4, 1, -1, 2], [3, 0, -5, 1, 2], [0, 2, 0, 0, 1], [-1, 3, 2, 0, 7]]) / 24),
    "3x5": Kernel(np.array([[1, -2, 3, 4, 0], [5, 2, -1, 0, 1], [0, 7, -4, 2, 3]]) / 21, bias=12.5),
    "1x2": Kernel([[1, -1]], bias=128),
    "2x2": Kernel(np.array([[3, -1], [2, 9]]) / 13),
    "2x2 from below": Kernel(np.array([[3, -1], [2, 8]]) / 7.7, anchor=(1, 0), bias=-9),
    "2x3 of floats": Kernel(RNG.uniform(0, 0.3, (2, 3)), anchor=(0, 2)),
    "1x1": Kernel([[0.7]]),
    "4x1": Kernel(np.array([[1], [2], [-1], [5]]) / 7, anchor=(3, 0)),
}

one_by_one = {
    "numpy": tools.python,
    "scipy": tools.python,
    "opencv": tools.python,
    "pytorch": tools.python,
    "onnx": tools.onnxruntime,
    "imagemagick": tools.shell("magick|convert"),
    "ffmpeg": tools.shell("ffmpeg"),
    "gegl": tools.shell("gegl"),
    "gmic": tools.shell("gmic"),
    "vips": tools.vips,
    "c": tools.compiler,
}
together = {"matlab": tools.octave, "imagej": tools.imagej, "svg": tools.svg, "glsl": tools.webgl, "wgsl": tools.webgpu}
FLOATS = ["numpy", "scipy", "opencv", "pytorch", "onnx", "matlab", "c", "vips", "imagej", "glsl", "wgsl"]
IN_COLOUR = ["imagemagick", "ffmpeg", "gegl", "gmic", "vips", "svg", "glsl", "wgsl"]


def run(target, texts, image, folder):
    """What the program makes of the image, text by text; skips where there is no program."""
    try:
        if target in together:
            return together[target](texts, image, folder)
        places = () if target in ("numpy", "scipy", "opencv", "pytorch", "onnx") else (folder,)
        return [one_by_one[target](text, image, *places) for text in texts]
    except (tools.Absent, ModuleNotFoundError) as absent:
        pytest.skip(f"{target}: {absent}")


def cases(target):
    """Every kernel with the target's default border, and every other border with two of them."""
    default, *others = TARGETS[target].borders
    yield from ((name, default) for name in KERNELS)
    yield from ((name, border) for border in others for name in ("3x5", "2x2"))


def expected(image, kernel, border):
    axis = -1 if image.ndim == 3 else None
    return corr2d(image.astype(float), kernel, padding="same", boundary=border, channel_axis=axis)


def difference(target, result, image, kernel, border):
    """The largest one, in the image's samples."""
    exact = expected(image, kernel, border)
    if target not in FLOATS:
        exact = np.clip(np.rint(exact), 0, 255)
    assert result.shape == exact.shape
    return np.abs(result.astype(float) - exact).max()


@pytest.mark.parametrize("target", [name for name in TARGETS if name != "json"])
def test_the_program_computes_what_corr2d_computes(target, tmp_path):
    if target in ("numpy", "scipy", "opencv", "pytorch"):
        pytest.importorskip({"numpy": "numpy", "scipy": "scipy", "opencv": "cv2", "pytorch": "torch"}[target])
    if target == "onnx":
        pytest.importorskip("onnx", reason="the model is built by the onnx package")
    image = RGB if target in IN_COLOUR else RGB[..., 1]
    # 1e-5 of the range of the samples for floats; a grey level for what is rounded on the way.
    limit = 255e-5 if target in FLOATS else 1
    chosen = list(cases(target))
    exports = []
    for name, border in chosen:
        if target == "gegl" and KERNELS[name].anchor == (3, 0):
            continue  # four taps on one side of the anchor: beyond 5x5
        exports.append((name, border, export(KERNELS[name], target, boundary=border)))
    assert all(exported.exact for *_, exported in exports)
    results = run(target, [exported.text for *_, exported in exports], image, tmp_path)
    off = {
        (name, border): difference(target, result, image, KERNELS[name], border)
        for (name, border, _), result in zip(exports, results, strict=True)
    }
    assert {case: amount for case, amount in off.items() if not amount <= limit} == {}


@pytest.mark.parametrize("target", ["imagemagick", "ffmpeg", "gegl", "gmic", "vips"])
def test_a_grey_picture_stays_one(target, tmp_path):
    grey = RGB[..., 0]
    name = "3x3 of sum 3/2"
    exported = export(KERNELS[name], target)
    (result,) = run(target, [exported.text], grey, tmp_path)
    border = next(iter(TARGETS[target].borders))
    assert difference(target, result, grey, KERNELS[name], border) <= 1


@pytest.mark.parametrize(
    ("text", "passes"),
    [("sobel-x", 1), ("laplacian", 1), ("gaussian:sigma=0.4", 1), ("gaussian:sigma=(3, 1.2)", 2), ("box:h=4,w=9", 2), ("sharpen:2", 1)],
)
@pytest.mark.parametrize("bias", [0, 100])
def test_ffmpeg_uses_its_fast_filter_where_it_can(text, passes, bias, tmp_path):
    """Sums of 1 in whole numbers, edges of whole numbers, products of a column and a row."""
    kernel = Kernel(parse_kernel(text), bias=bias)
    exported = export(kernel, "ffmpeg")
    assert ("geq=" in exported.text, exported.text.count("convolution=")) == (False, passes)
    (result,) = run("ffmpeg", [exported.text], RGB, tmp_path)
    assert difference("ffmpeg", result, RGB, kernel, "reflect") <= 1


def test_onnx_mixes_channels_and_takes_batches():
    pytest.importorskip("onnx")
    runtime = pytest.importorskip("onnxruntime")
    images = RNG.random((2, 3, 9, 11), np.float32)
    bank = Kernel(RNG.normal(size=(4, 3, 2, 3)), bias=0.5)
    plain = Kernel(RNG.normal(size=(2, 3)))
    for kernel in (bank, plain):
        session = runtime.InferenceSession(export(kernel, "onnx", boundary="edge").text)
        (result,) = session.run(None, {"image": images})
        np.testing.assert_allclose(result, corr2d(images, kernel, padding="same", boundary="edge"), atol=1e-5)


def test_python_texts_take_batches_and_banks():
    images = RNG.random((2, 3, 9, 11))
    bank = Kernel(RNG.normal(size=(4, 3, 2, 3)), bias=0.5)
    turned = Kernel(RNG.normal(size=(2, 3)) + 1j, bias=2j)
    for kernel, target in ((bank, "numpy"), (turned, "numpy"), (bank, "pytorch")):
        if target == "pytorch":
            pytest.importorskip("torch")
        result = tools.python(export(kernel, target, boundary="edge").text, images)
        np.testing.assert_allclose(result, corr2d(images, kernel, padding="same", boundary="edge"), atol=1e-5)
    one = tools.python(export(bank, "pytorch").text, images[0])
    np.testing.assert_allclose(one, corr2d(images[0], bank, padding="same"), atol=1e-5)


@pytest.mark.parametrize(
    ("target", "right", "wrong"),
    [
        ("imagemagick", "Correlate '", "Convolve '"),
        ("gmic", "correlate", "convolve"),
        ("matlab", "rot90(kernel, 2)", "kernel"),
        ("svg", 'targetX="1"', 'targetX="0"'),
        ("ffmpeg", "X-1", "X+1"),
        ("gegl", "normalize=false", "normalize=true"),
    ],
)
def test_the_check_can_fail(target, right, wrong, tmp_path):
    """A turn too many or too few, an anchor one pixel off, a sum divided out: all are found."""
    kernel, image = KERNELS["3x3 of sum 3/2"], RGB if target in IN_COLOUR else RGB[..., 0]
    text = export(kernel, target, boundary="edge").text
    assert right in text
    (result,) = run(target, [text.replace(right, wrong)], image, tmp_path)
    assert difference(target, result, image, kernel, "edge") > 20


def test_svg_turns_the_kernel(tmp_path):
    """The matrix of the turned kernel, which is the kernel's own, gives another picture."""
    kernel = KERNELS["3x3"]
    (result,) = run("svg", [export(kernel.flip(), "svg").text], RGB, tmp_path)
    assert difference("svg", result, RGB, kernel, "edge") > 20


def test_librsvg_filters_with_single_rows(tmp_path):
    """librsvg 2.54 transposes the matrix; a row has no other orientation to be wrong in."""
    try:
        program = tools.need("rsvg-convert")
    except tools.Absent as absent:
        pytest.skip(str(absent))
    kernel = KERNELS["1x2"]
    size = f'width="{RGB.shape[1]}" height="{RGB.shape[0]}"'
    text = export(kernel, "svg").text.replace("<svg", f"<svg {size}").replace("<image", f"<image {size}")
    tools.picture(tmp_path / "in.png", RGB)
    (tmp_path / "in.svg").write_text(text)
    tools.call(program, "in.svg", "-o", "out.png", cwd=tmp_path)
    assert difference("svg", tools.pixels(tmp_path / "out.png", 3), RGB, kernel, "edge") <= 1
