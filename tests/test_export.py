"""`Kernel.export`: what texts say, what is refused, what is given up, and what comes back."""

import json
import re
import warnings
from pathlib import Path

import numpy as np
import pytest

from corr2d import corr2d, kernels
from corr2d._errors import MissingExtraError, OptionError
from corr2d._export.ffmpeg import whole_numbers
from corr2d.export import TARGETS, Export, export
from corr2d.kernel import Kernel
from machine import run_python

RNG = np.random.default_rng(4)
K = Kernel([[1, 2, 3], [0, 5, -4], [-6, 0, 7]], name="test")
TEXTS = [name for name in TARGETS if name != "onnx"]


def test_the_targets_are_the_seventeen():
    names = "numpy scipy opencv pytorch onnx imagemagick ffmpeg gegl vips svg glsl wgsl imagej matlab gmic c json"
    assert list(TARGETS) == names.split()


@pytest.mark.parametrize(("name", "message"), [
    ("scypi", "target 'scypi' is not known; closest is 'scipy'; targets: numpy, scipy, .*, json"),
    ("FFmpeg", "closest is 'ffmpeg'"),
    ("", "target '' is not known; targets"),
    (None, "target None is not known"),
])  # fmt: skip
def test_an_unknown_target_lists_them(name, message):
    with pytest.raises(OptionError, match=message):
        K.export(name)


def test_an_export_is_text_warnings_and_exact():
    exported = K.export("scipy")
    assert isinstance(exported, Export)
    assert isinstance(exported.text, str)
    assert (exported.warnings, exported.exact) == ((), True)
    assert str(exported) == exported.text
    assert export(np.asarray(K), "scipy").text == export(Kernel(K.weights), "scipy").text


def test_save_writes_the_text(tmp_path):
    exported = K.export("c")
    exported.save(tmp_path / "k.h")
    assert (tmp_path / "k.h").read_text() == exported.text


@pytest.mark.parametrize("target", [name for name in TEXTS if name != "json"])
def test_every_text_states_its_facts(target):
    kernel = Kernel(K.weights, anchor=(2, 1), bias=12.5, name='a "name" \\')
    boundary = "edge" if "edge" in TARGETS[target].borders else None
    text = kernel.export(target, boundary=boundary).text
    for fact in ("orientation: ", "anchor: ", "divisor: ", "bias: 12.5", "border: ", "numbers: ", f"for {target}"):
        assert fact in text


def test_the_model_states_its_facts():
    onnx = pytest.importorskip("onnx")
    model = onnx.load_from_string(K.export("onnx").text)
    facts = {entry.key: entry.value for entry in model.metadata_props}
    assert facts.keys() == {"orientation", "anchor", "divisor", "bias", "border", "numbers"}
    assert 'corr2d kernel "test"' in model.doc_string


@pytest.mark.parametrize("target", TEXTS)
@pytest.mark.parametrize(
    "name", ["two\nlines", "x\\", "*/ --> */", "\x00\x1b[2J", "$(reboot) `reboot` '", "]]></desc>", "Δ" * 500]
)
def test_a_name_cannot_leave_its_comment(target, name):
    """Whatever it is called, the kernel's text is the same but for its first line."""
    named, plain = (Kernel(K.weights, name=given).export(target).text.splitlines() for given in (name, ""))
    assert len(named) == len(plain)
    assert sum(a != b for a, b in zip(named, plain, strict=True)) == 1
    assert all(line.isascii() and line.isprintable() for line in named)
    assert not any(line.endswith("\\") for line in named if "kernel" in line and "corr2d kernel" in line)


@pytest.mark.parametrize(("target", "boundary"), [
    ("scipy", "scipy:mirror"), ("opencv", "opencv:BORDER_REFLECT_101"), ("pytorch", "torch:circular"), ("numpy", "symmetric"),
])  # fmt: skip
def test_boundaries_have_the_words_of_other_libraries(target, boundary):
    exported = K.export(target, boundary=boundary)
    image = RNG.random((5, 6))
    pytest.importorskip({"opencv": "cv2", "pytorch": "torch"}.get(target, target))
    scope = {"image": image}
    exec(exported.text, scope)
    np.testing.assert_allclose(scope["result"], corr2d(image, K, padding="same", boundary=boundary), atol=1e-12)


# -- what cannot be expressed ----------------------------------------------------------


@pytest.mark.parametrize("target", [name for name in TARGETS if len(TARGETS[name].borders) < 5])
def test_a_border_that_is_not_there_is_refused_or_said(target):
    if target == "onnx":
        pytest.importorskip("onnx")
    missing = next(name for name in ("wrap", "reflect", "symmetric") if name not in TARGETS[target].borders)
    with pytest.raises(OptionError, match=rf"{target} has no boundary '{missing}'; it has .*strict=False writes"):
        K.export(target, boundary=missing)
    exported = K.export(target, boundary=missing, strict=False)
    assert not exported.exact
    assert missing in exported.warnings[0]
    if target not in ("json", "onnx"):
        assert "not exact: " in exported.text


def test_a_boundary_with_a_typo_is_refused():
    with pytest.raises(OptionError, match="boundary='egde' is not known"):
        K.export("numpy", boundary="egde")


@pytest.mark.parametrize("target", [name for name in TARGETS if not TARGETS[name].channels])
def test_what_mixes_channels_is_refused(target):
    with pytest.raises(OptionError, match=f"{target} filters each channel alike; this kernel of shape"):
        Kernel(np.ones((2, 3, 3, 3))).export(target, strict=False)


@pytest.mark.parametrize("target", [name for name in TARGETS if not TARGETS[name].complex])
def test_complex_weights_are_refused(target):
    with pytest.raises(OptionError, match=f"{target} takes real weights; this kernel is complex"):
        Kernel([[1j, 2]]).export(target, strict=False)


@pytest.mark.parametrize("kernel", [Kernel(np.ones((6, 1))), Kernel(np.ones((7, 7))), Kernel(np.ones((1, 4)), anchor=(0, 0))])
def test_gegl_takes_five_by_five(kernel):
    with pytest.raises(OptionError, match="gegl takes at most 5x5 weights around the anchor; this kernel of shape"):
        kernel.export("gegl")


def test_gegl_has_a_largest_offset():
    kernel = Kernel([[-3]], bias=300)
    with pytest.raises(OptionError, match="offset is at most 255 grey levels; the bias is 300; strict=False"):
        kernel.export("gegl")
    exported = kernel.export("gegl", strict=False)
    assert (exported.exact, "offset=1 " in exported.text) == (False, True)
    assert "off by 45 grey levels" in exported.warnings[0]


def test_ffmpeg_has_a_largest_kernel():
    with pytest.raises(OptionError, match="up to 1024 weights and 64 a side; it has 1225 in 35 x 35"):
        Kernel(np.ones((35, 35))).export("ffmpeg")
    with pytest.raises(OptionError, match="has 70 in 70 x 1"):
        Kernel(np.ones((70, 1))).export("ffmpeg", boundary="edge")


@pytest.mark.parametrize("target", ["c", "glsl", "wgsl", "onnx", "gmic", "imagej", "svg"])
def test_weights_that_float32_cannot_hold_are_refused_or_said(target):
    if target == "onnx":
        pytest.importorskip("onnx")
    with pytest.raises(OptionError, match=rf"{target} holds weights as float32, up to 3.4e38; scale"):
        Kernel([[1e39]]).export(target, strict=False)
    tiny = Kernel([[1e-46, 3e-46]])
    with pytest.raises(OptionError, match=f"{target} holds weights as float32, too coarse.*strict=False"):
        tiny.export(target)
    exported = tiny.export(target, strict=False)
    assert not exported.exact
    assert "differ by up to 4e-46 times the largest sample" in exported.warnings[0]
    assert Kernel([[1 / 3, 0.1]]).export(target).exact


@pytest.mark.parametrize("target", ["imagemagick", "ffmpeg", "gegl", "gmic"])
def test_edges_that_a_picture_cuts_off_are_pointed_out(target):
    edges = Kernel([[1, -1]])
    exported = edges.export(target)
    assert exported.exact
    assert "cuts it off at 0: to see it, give the kernel a bias" in exported.warnings[0]
    assert Kernel(edges, bias=128).export(target).warnings == ()


def test_without_onnx_the_error_names_the_extra():
    code = "import sys; sys.modules['onnx'] = None\nimport corr2d\n"
    code += "try: corr2d.Kernel([[1]]).export('onnx')\nexcept corr2d.MissingExtraError as error: print(error)"
    assert run_python(code).strip() == "exporting to onnx needs the onnx package: pip install 'corr2d[onnx]'"
    assert issubclass(MissingExtraError, ImportError)


# -- whole numbers -------------------------------------------------------------------------


@pytest.mark.parametrize(("weights", "numerators", "divisor"), [
    (np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1]]) / 16, [[1, 2, 1], [2, 4, 2], [1, 2, 1]], 16),
    (np.full((3, 3), 1 / 9), np.ones((3, 3)), 9),
    (np.array([[0.5, -0.25]]), [[2, -1]], 4),
    (np.array([[1, 1000, -7]]) / 997, [[1, 1000, -7]], 997),
    (np.array([[6, -4]]), [[3, -2]], 0.5),
    (np.zeros((1, 3)), np.zeros((1, 3)), 1),
])  # fmt: skip
def test_fractions_become_their_numerators(weights, numerators, divisor):
    found, factor = whole_numbers(weights)
    np.testing.assert_array_equal(found, numerators)
    assert factor == pytest.approx(1 / divisor, rel=1e-12)


def test_other_weights_are_approximated_as_well_as_the_sums_allow():
    """No denominator that leaves room in an int does better, of all up to 200 000 by brute force."""
    weights = np.exp(-np.linspace(0, 3, 9)).reshape(3, 3)
    found, factor = whole_numbers(weights)
    assert np.abs(found).sum() * 255 < 2**31
    error = np.abs(found * factor - weights).max()
    others = weights.max() / np.arange(1, 200_000)[:, None]
    best = np.abs(np.rint(weights.ravel() / others) * others - weights.ravel()).max(axis=1).min()
    assert error <= best
    assert error < 1e-7


def test_ffmpeg_states_the_error_it_chose():
    text = Kernel(np.exp(-np.linspace(0, 3, 9)).reshape(3, 3) / 3.0).export("ffmpeg").text
    assert "geq=" in text  # its sum is not 1
    weights = np.exp(-np.linspace(0, 3, 9)).reshape(3, 3)
    text = Kernel(weights / weights.sum()).export("ffmpeg").text
    assert "convolution=" in text
    assert "whole numbers, off by at most" in text


# -- round trips -----------------------------------------------------------------------------

READABLE = ["json", "imagemagick", "ffmpeg", "vips", "imagej"]
KERNELS = [
    K,
    Kernel(K.weights / 8, bias=3),
    Kernel([[1, -1]]),
    Kernel([[3, -1], [2, 5.5]], anchor=(1, 0), bias=-2.5),
    Kernel(RNG.normal(size=(5, 4))),
    Kernel(RNG.normal(size=(3, 5)) * 1e-9, anchor=(0, 4)),
    Kernel([[7]]),
    Kernel([[1], [-2], [1.0]]),
    kernels.gaussian(1.5),
]


def trimmed(kernel):
    """Weights and anchor without the zeros around them, which some syntaxes need: what the filter is."""
    kh, kw = kernel.shape
    row, column = kernel.anchor or ((kh - 1) // 2, (kw - 1) // 2)
    taps = {(i - row, j - column): w for (i, j), w in np.ndenumerate(kernel.weights) if w}
    return taps, kernel.bias


@pytest.mark.parametrize("kernel", KERNELS, ids=lambda k: "x".join(map(str, k.shape)))
@pytest.mark.parametrize(("target", "boundary"), [(t, b) for t in READABLE for b in (None, *TARGETS[t].borders)])
def test_what_is_exported_comes_back(target, kernel, boundary, tmp_path):
    path = tmp_path / ("kernel.json" if target == "json" else "kernel.txt")
    kernel.export(target, boundary=boundary).save(path)
    (taps, bias), (again, bias_again) = trimmed(kernel), trimmed(Kernel.load(path))
    assert again.keys() == taps.keys()
    np.testing.assert_allclose([again[tap] for tap in taps], list(taps.values()), rtol=1e-6, atol=1e-9)
    assert bias_again == pytest.approx(bias, abs=1e-12)


def test_json_is_what_save_writes(tmp_path):
    K.save(tmp_path / "k.json")
    assert K.export("json").text == (tmp_path / "k.json").read_text()
    assert json.loads(K.export("json").text)["orientation"] == "correlation"


def test_exporting_warns_in_the_result_only():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for target in TEXTS:
            K.export(target, boundary="reflect", strict=False)


# -- the documents ---------------------------------------------------------------------------

ROOT = Path(__file__).parent.parent


def test_the_table_is_of_the_targets_and_their_borders():
    """docs/export.md has a row for each target, in order, with its borders, default first."""
    text = (ROOT / "docs" / "export.md").read_text()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("| `")]
    table = {row[0].strip("`"): row for row in rows if row[0].strip("`") in TARGETS}
    assert list(table) == list(TARGETS)
    for name, row in table.items():
        assert len(row) == 6
        assert re.findall("`([a-z]+)`", row[3]) == list(TARGETS[name].borders), name


def test_the_example_of_the_readme_runs():
    text = (ROOT / "README.md").read_text().partition("## Carry a kernel elsewhere")[2]
    example = re.search("```python\n(.*?)```", text, re.DOTALL)[1]
    scope = {}
    exec(example, scope)
    expected = corr2d(np.eye(3), [[1, -1]], padding="same", boundary="edge")
    np.testing.assert_array_equal(scope["scope"]["result"], expected)
    assert "docs/export.md" in text
