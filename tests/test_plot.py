"""Pictures: what is drawn is what was computed, legibly, and told apart without colour vision."""

import numpy as np
import pytest

import corr2d
from corr2d import Kernel, kernels
from corr2d._errors import OptionError, ShapeError
from machine import run_python

pytest.importorskip("matplotlib")
from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: E402

from corr2d import plot  # noqa: E402


def pixels(figure):
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].astype(float) / 255


def shown(ax):
    return np.asarray(ax.get_images()[0].get_array())


def texts(ax):
    return [text.get_text() for text in ax.texts]


def cell(figure, ax, y, x):
    """The colour near a corner of a tap, where no number is written."""
    image = pixels(figure)
    column, row = ax.transData.transform((x + 0.35, y - 0.35))
    return image[image.shape[0] - 1 - int(row), int(column)]


def test_a_kernel_is_a_grid_of_its_numbers():
    figure = plot.kernel(kernels.sobel(1))
    (ax,) = figure.axes
    np.testing.assert_array_equal(shown(ax), kernels.sobel(1))
    assert texts(ax) == ["−1", "0", "1", "−2", "0", "2", "−1", "0", "1"]
    assert ax.get_title() == "sobel-x"
    assert kernels.sobel(1).plot().axes[0].get_title() == "sobel-x"


def test_signs_are_orange_and_blue_and_zero_is_white():
    figure = plot.kernel([[-1.0, 0.0, 1.0]])
    negative, zero, positive = (cell(figure, figure.axes[0], 0, x) for x in range(3))
    assert negative[2] > negative[0] + 0.2 and positive[0] > positive[2] + 0.2
    assert zero.min() > 0.97


def test_signs_differ_for_colour_blind_readers():
    """Protan and deutan eyes see (nearly) only the blue-yellow axis and brightness: the pair differs there."""
    figure = plot.kernel([[-1.0, 1.0]])
    negative, positive = (cell(figure, figure.axes[0], 0, x) for x in range(2))
    yellow_blue = np.array([0.5, 0.5, -1.0])
    assert abs((negative - positive) @ yellow_blue) > 0.4


@pytest.mark.parametrize("kernel", [kernels.gaussian(1), kernels.farid(1), [[1234.5678, -0.000123]], kernels.savgol(11, 4)])
def test_numbers_stay_inside_their_taps(kernel):
    figure = plot.kernel(kernel)
    (ax,) = figure.axes
    pixels(figure)
    width = ax.transData.transform((1, 0))[0] - ax.transData.transform((0, 0))[0]
    assert ax.texts
    assert all(text.get_window_extent().width < width for text in ax.texts)
    assert all(text.get_fontsize() >= 6 for text in ax.texts)


def test_large_kernels_are_drawn_without_numbers():
    assert texts(plot.kernel(kernels.gaussian(3)).axes[0]) == []


def test_the_anchor_is_outlined():
    for kernel, corner in ((Kernel(np.ones((3, 3)), anchor=(2, 0)), (-0.5, 1.5)), (Kernel(np.ones((2, 4))), (0.5, -0.5))):
        assert plot.kernel(kernel).axes[0].patches[0].get_xy() == corner


def test_the_response_is_the_fourier_transform():
    figure = plot.frequency(kernels.derivative(dx=1))
    image, profiles = figure.axes[:2]
    f = np.linspace(-0.5, 0.5, 129)
    np.testing.assert_allclose(shown(image), np.broadcast_to(np.abs(np.sin(2 * np.pi * f)), (129, 129)), atol=1e-12)
    along_x, along_y, _ = profiles.get_lines()
    np.testing.assert_allclose(along_x.get_ydata(), np.abs(np.sin(2 * np.pi * along_x.get_xdata())), atol=1e-12)
    np.testing.assert_allclose(along_y.get_ydata(), 0, atol=1e-12)
    assert len({line.get_linestyle() for line in profiles.get_lines()}) == 3  # told apart in grey too


def test_the_transposed_row_is_the_first_transposed():
    """Exercise 1: transposed image and transposed kernel give the transposed result."""
    figure = plot.edges([[1, -1]])
    grid = {ax.get_title(): shown(ax) for ax in figure.axes if ax.get_images()}
    for scene in ("point", "step in y", "step in x", "diagonal"):
        np.testing.assert_array_equal(grid[f"Kᵀ ⋆ {scene}ᵀ"], grid[f"K ⋆ {scene}"].T)
    assert not grid["K ⋆ step in y"].any()
    assert (grid["K ⋆ step in x"] == -1).sum() == 25
    assert grid["K ⋆ diagonal"].any()


def test_before_and_after():
    image = (np.random.default_rng(0).random((20, 30)) * 255).astype(np.uint8)
    figure = plot.before_after(image, kernels.box(3))
    before, _, after = figure.axes
    np.testing.assert_array_equal(shown(before), image)
    np.testing.assert_allclose(shown(after), corr2d.corr2d(image, kernels.box(3), padding="same", boundary="reflect"))
    assert after.get_images()[0].get_clim() == (0, 255)
    edges = plot.before_after(np.dstack([image] * 3), kernels.sobel(1)).axes[2].get_images()[0]
    assert edges.get_clim()[0] == -edges.get_clim()[1]  # zero in the middle of the colours
    assert edges.get_cmap()(0.5)[:3] == pytest.approx((1, 1, 1), abs=0.02)


def test_a_plan_has_a_bar_for_each_answer_and_quotes_refusals():
    chosen = corr2d.plan((512, 512), kernels.gaussian(2))
    figure = plot.plan(chosen)
    (ax,) = figure.axes
    answered = [c for c in chosen.considered if c.seconds is not None]
    assert len(ax.patches) == len(answered)
    filled = [bar for bar in ax.patches if bar.get_facecolor()[:3] != (1, 1, 1)]
    assert len(filled) == 1 and 1e3 * chosen.seconds == pytest.approx(filled[0].get_x() + filled[0].get_width())
    assert sum("refuses: " in text for text in texts(ax)) == len(chosen.considered) - len(answered)
    assert sum("chosen" in text for text in texts(ax)) == 1
    low, high = sorted(ax.get_ylim())
    assert low < -0.35 and high > len(chosen.considered) - 0.65


def test_the_overview_is_titled_with_the_name(tmp_path):
    figure = plot.overview(kernels.log(2))
    assert figure.get_suptitle() == "Laplacian of a Gaussian σ = 2, truncated at 4σ"
    plot.save(figure, tmp_path / "log.png")
    plot.save(figure, tmp_path / "log.svg")
    assert (tmp_path / "log.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in (tmp_path / "log.svg").read_text()
    assert pixels(figure).std() > 0.1  # not an empty page


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: plot.kernel(np.ones((2, 3, 3, 3))), ShapeError, "one real kernel"),
        (lambda: plot.kernel([[1j]]), ShapeError, "one real kernel"),
        (lambda: plot.before_after(np.ones(4), [[1]]), ShapeError, r"a picture is \(H, W\)"),
        (lambda: plot.plan(3), OptionError, "plot.plan draws a plan; got int"),
        (lambda: plot.save(plot.kernel([[1]]), "k.gif"), OptionError, "must end in .png, .svg or .pdf"),
    ],
)
def test_refusals(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_nothing_global_is_touched_and_matplotlib_is_asked_for_late():
    assert run_python("import sys, corr2d; corr2d.plot.kernel; print('matplotlib' in sys.modules)").split() == ["False"]
    code = "import sys, corr2d; corr2d.plot.overview([[1, -1]]); print('matplotlib.pyplot' in sys.modules)"
    assert run_python(code).split() == ["False"]
    code = "import sys; sys.modules['matplotlib'] = None; sys.modules['matplotlib.figure'] = None\nimport corr2d\n"
    code += "try: corr2d.plot.kernel([[1]])\nexcept corr2d.MissingExtraError as e: print(e)"
    assert 'pip install "corr2d[plot]"' in run_python(code)
