"""Learning from pictures that are never in memory as a whole: the same answers, from parts."""

import json
import re

import numpy as np
import pytest

import corr2d
from corr2d import cli, images
from corr2d._errors import Corr2dError
from corr2d._learning import lazy, levels, pairs, placing

RNG = np.random.default_rng(7)
BLUR = np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1]]) / 16
SHARP = np.array([[0, -1, 0], [-1, 5, -1], [0, -1, 0]])


def picture(rows=330, columns=260):
    """Lines and noise with flat parts at both ends of the range."""
    walk = np.cumsum(RNG.normal(size=(rows, columns)), 1) * 4 + 128
    return np.clip(walk + RNG.normal(scale=20, size=(rows, columns)), 0, 255).astype(np.uint8)


X = picture()


def after(kernel, boundary="reflect", x=X):
    return np.clip(np.rint(corr2d.corr2d(x, kernel, padding="same", boundary=boundary)), 0, 255).astype(np.uint8)


PAIRS = {
    "rounded": (X, after(BLUR)), "wrapped": (X, after(BLUR, "wrap")), "zeros": (X, after(BLUR, "constant")), "clipped": (X, after(SHARP)),
    "valid": (X, after(BLUR)[1:-1, 1:-1]), "crop": (X, after(BLUR)[20:300, 8:250]), "shifted": (X, np.roll(X, (11, -3), (0, 1))),
    "noisy": (X, np.clip(after(BLUR) + RNG.normal(scale=3, size=X.shape), 0, 255).astype(np.uint8)),
    "stack": (np.stack([X, X[::-1]]), np.stack([after(BLUR), after(BLUR)[::-1]])), "floats": (X, corr2d.corr2d(X, SHARP, padding="same")),
}  # fmt: skip


@pytest.fixture
def small_parts(monkeypatch):
    """Bands of a few rows, so that small pictures have many."""
    monkeypatch.setattr(lazy, "_PART", 1 << 12)
    monkeypatch.setattr(lazy, "_FEWEST", 16)
    monkeypatch.setattr(pairs, "_TASK", 1 << 13)
    monkeypatch.setattr(levels, "_ROWS", 1 << 12)


class Recorder:
    """An array of (N, C, H, W), read as a file would be; notes what is read at once."""

    def __init__(self, array):
        self.array, self.most, self.times = array, 0, np.zeros(array.shape[2], int)

    def read(self, plane, rows, columns):
        part = self.array[plane, :, rows, columns]
        self.most = max(self.most, part.size)
        self.times[rows] += part.shape[-1] > self.array.shape[3] // 2
        return part.copy()


def recorded(image, grid=16):
    reader = Recorder(image[None, None])
    return reader, lazy.LazyPlanes(reader, reader.array.shape, image.dtype, grid)


def same_answers(one, other):
    a, b = one.to_dict(), other.to_dict()
    return a.keys() == b.keys() and not [key for key in a if json.dumps(a[key]) != json.dumps(b[key])]


# -------------------------------------------------------------------------------------------------
# Dask


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("chunks", [(37, 100), (330, 41)])
def test_dask_gives_the_same_bits(small_parts, name, chunks):
    """All that a fit says, whatever the chunks: kernel, errors, verdict, certificate, border rule."""
    da = pytest.importorskip("dask.array")
    x, y = PAIRS[name]
    lead = x.ndim - 2
    expected = corr2d.learn_kernel(x, y, max_size=7)
    got = corr2d.learn_kernel(da.from_array(x, chunks=(1,) * lead + chunks), da.from_array(y, chunks=(1,) * lead + chunks), max_size=7)
    assert same_answers(expected, got)


@pytest.mark.parametrize(
    "options", [{"curves": "auto"}, {"method": "robust"}, {"vary": 1}, {"method": "gradient"}, {"size": (4, 3)}, {"weights": RNG.random(X.shape)},
                {"constraints": "sum=1"}, {"clip": (3, 200)}], ids=lambda options: next(iter(options)),
)  # fmt: skip
def test_every_option_takes_dask(small_parts, options):
    """In light that is no linear function of the samples, so that curves have something to find."""
    da = pytest.importorskip("dask.array")
    y = np.rint(255 * (corr2d.corr2d((X / 255.0) ** 2.2, BLUR, padding="same", boundary="reflect")) ** (1 / 2.2)).astype(np.uint8)
    expected = corr2d.learn_kernel(X, y, max_size=5, **options)
    got = corr2d.learn_kernel(da.from_array(X, chunks=(60, 90)), da.from_array(y, chunks=(45, 260)), max_size=5, **options)
    if "weights" in options or options.get("method") == "robust":  # sums that are no integers
        np.testing.assert_allclose(got.kernel.weights, expected.kernel.weights, rtol=0, atol=1e-9)
        assert (got.verdict, got.count, got.boundary) == (expected.verdict, expected.count, expected.boundary)
    else:
        assert same_answers(expected, got)
    assert options != {"curves": "auto"} or "gamma" in expected.reasons[0]


def test_dask_learners(small_parts):
    """The same sums, with masks and in colour too."""
    da = pytest.importorskip("dask.array")
    x, y = np.stack([X, X[::-1], X.T[:330, :260] if X.T.shape == X.shape else X[:, ::-1]]), None
    y = np.stack([after(BLUR, x=plane) for plane in x])
    mask = RNG.random(X.shape) < 0.8
    for channels, m in (("depthwise", np.broadcast_to(mask, x.shape)), ("full", mask)):
        here, there = corr2d.KernelLearner(4, channels=channels), corr2d.KernelLearner(4, channels=channels)
        here.update(x, y, mask=m)
        there.update(da.from_array(x, chunks=(2, 50, 70)), da.from_array(y, chunks=(3, 31, 260)), mask=m)
        assert here.count == there.count and (here._moments.matrix == there._moments.matrix).all()


# -------------------------------------------------------------------------------------------------
# never whole


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("kernel", [BLUR, SHARP], ids=["blur", "sharp"])
def test_no_picture_is_read_whole(small_parts, monkeypatch, dtype, kernel):
    """Not for its mean, its levels, its rim, its integers: the most that is read at once stays small when the picture grows."""
    monkeypatch.setattr(pairs, "_BAND", 1 << 12)
    monkeypatch.setattr(placing, "_CROP", 100)
    x = picture(1600, 130)
    y = after(kernel, x=x)
    readers = [recorded(image.astype(dtype)) for image in (x, y)]
    fit = corr2d.learn_kernel(readers[0][1], readers[1][1], max_size=5)
    np.testing.assert_allclose(fit.kernel.weights, kernel, atol=0.02)
    for reader, _ in readers:
        assert 0 < reader.most <= x.size // 8


def test_each_chunk_is_read_once_a_pass(small_parts):
    """A learner looks once; what bands share is kept, and the sample for the mean takes blocks only."""
    x = picture(400, 300).astype(np.float32)
    (first, before), (second, second_planes) = recorded(x, 20), recorded(x, 13)
    learner = corr2d.KernelLearner(5)
    learner.update(before, second_planes)
    assert first.times.max() == 1 and second.times.max() == 1


def test_the_sample_of_a_picture_sees_all_of_it():
    """Half black, half bright: the mean lies between, though the corner is black."""
    x = np.zeros((900, 700), np.float32)
    x[:, 350:] = 1000
    pair = pairs.Pair(recorded(x)[1], recorded(x)[1], None, None, False)
    assert pairs.origins_of(pair)[0] == pytest.approx(500, abs=5)


# -------------------------------------------------------------------------------------------------
# tiles


@pytest.mark.parametrize("size", [1, 4, 5, (1, 9), (6, 3), (2, 8)])
@pytest.mark.parametrize("step", [(300, 47), (90, 90)])
def test_tiles_add_up_to_the_picture(size, step):
    """Those that overlap by max_size - 1 leave no gap and count nothing twice, also where the window is even or long."""
    y = after(BLUR)
    whole = corr2d.KernelLearner(size)
    whole.update(X, y)
    tiled = corr2d.KernelLearner(size)
    overlap = [n - 1 for n in whole.max_size]
    for top in range(0, X.shape[0] - overlap[0], step[0]):
        for left in range(0, X.shape[1] - overlap[1], step[1]):
            tile = slice(top, top + step[0] + overlap[0]), slice(left, left + step[1] + overlap[1])
            tiled.update(X[tile], y[tile])
    assert tiled.count == whole.count
    assert (tiled._moments.matrix == whole._moments.matrix).all()


def test_outputs_of_a_smaller_window_were_not_predicted(small_parts):
    """`_Between` leaves them out."""
    pair = pairs.check(X, after(SHARP), "depthwise", None, None)
    frame = pairs.Frame((7, 7), (-3, -3))
    inside = levels._Between(pair, -1e9, 1e9, frame, np.ones((1, 1, 7, 7)), np.zeros(1))
    found = inside[0, slice(0, 330), slice(0, 260)]
    rows, columns = pair.outputs(frame)
    expected = np.zeros(X.shape, bool)
    expected[rows, columns] = True
    assert (found == expected).all()
    assert not inside[0, slice(0, 2), slice(10, 20)].any()


# -------------------------------------------------------------------------------------------------
# the command line


@pytest.fixture
def run(tmp_path, monkeypatch, capfd):
    """Run `corr2d learn` in a folder with the pictures a and b as .npy, .tif (tiles), strips.tif and .zarr."""
    tifffile, zarr = pytest.importorskip("tifffile"), pytest.importorskip("zarr")
    monkeypatch.chdir(tmp_path)
    for name, image in (("a", X), ("b", after(BLUR))):
        np.save(f"{name}.npy", image)
        tifffile.imwrite(f"{name}.tif", image, tile=(64, 48))
        tifffile.imwrite(f"{name}.strips.tif", image, rowsperstrip=7)
        zarr.create_array(f"{name}.zarr", shape=image.shape, chunks=(50, 90), dtype=image.dtype)[...] = image

    def call(*argv):
        status = cli.main(["learn", *argv])
        return status, *capfd.readouterr()

    return call


@pytest.mark.parametrize("ends", [(".zarr", ".zarr"), (".tif", ".tif"), (".strips.tif", ".npy"), (".npy", ".npy"), (".zarr", ".tif")])
def test_files_give_the_same_answer(run, small_parts, ends):
    """--memory has them read piece by piece; what is printed is what it is for arrays, to the last digit."""
    expected = corr2d.learn_kernel(X, after(BLUR)).to_dict()
    status, out, err = run(f"a{ends[0]}", f"b{ends[1]}", "--memory", "4G", "--json")
    assert (status, err) == (0, "") and json.loads(out) == json.loads(json.dumps(expected))


def test_what_is_being_done_is_shown_on_a_terminal(run, small_parts, monkeypatch):
    """The stage, and how far down the pictures it is; where nobody looks, nothing. The answer stays alone on stdout."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    status, out, err = run("a.zarr", "b.zarr", "--json")
    assert status == 0 and json.loads(out)["verdict"]
    assert "sums over the pictures" in err and "looking at the residuals" in err
    assert re.search(r"[1-9]\d*%", err)


def test_a_level_of_a_pyramid_with_axes(run, small_parts):
    """Time and channels before the rows: more pictures of the same filter, or channels that mix."""
    zarr = pytest.importorskip("zarr")
    x = np.stack([picture(90, 80) for _ in range(6)]).reshape(2, 3, 90, 80)
    y = np.stack([after(BLUR, x=plane) for plane in x.reshape(6, 90, 80)]).reshape(x.shape)
    for name, image in (("p", x), ("q", y)):
        group = zarr.open_group(f"{name}.ome.zarr", mode="w")
        axes = [{"name": n} for n in "tcyx"]
        group.attrs["ome"] = {"version": "0.5", "multiscales": [{"axes": axes, "datasets": [{"path": "0"}, {"path": "1"}]}]}
        group.create_array("0", shape=(2, 3, 40, 40), dtype="u1")
        group.create_array("1", shape=image.shape, chunks=(1, 2, 32, 80), dtype="u1")[...] = image
    for channels in ("depthwise", "full"):
        expected = corr2d.learn_kernel(x, y, 3, channels=channels).to_dict()
        status, out, err = run("p.ome.zarr", "q.ome.zarr", "--level", "1", "--size", "3", "--channels", channels, "--json")
        assert (status, err) == (0, "") and json.loads(out) == json.loads(json.dumps(expected))


def test_colours_of_a_zarr_array(run):
    zarr = pytest.importorskip("zarr")
    rgb = np.stack([X, X[::-1], X[:, ::-1]], -1)
    blurred = corr2d.corr2d(rgb, BLUR, padding="same", channel_axis=-1, dtype="uint8")
    for name, image in (("c", rgb), ("d", blurred)):
        zarr.create_array(f"{name}.zarr", shape=image.shape, chunks=(50, 90, 3), dtype="u1")[...] = image
    expected = corr2d.learn_kernel(rgb, blurred, channel_axis=-1).to_dict()
    status, out, _ = run("c.zarr", "d.zarr", "--json")
    assert status == 0 and json.loads(out) == json.loads(json.dumps(expected))


def test_the_panel_of_a_large_picture_shows_its_middle(run):
    pytest.importorskip("matplotlib")
    assert run("a.zarr", "b.zarr", "--plot", "panel.png")[0] == 0
    assert images.read("panel.png").pixels.std() > 10


@pytest.mark.parametrize(
    "argv, status, match",
    [
        (("a.zarr", "b.zarr", "--memory", "1M"), 1, r"--memory is 1M; give --memory \d+M"),
        (("a.zarr", "b.zarr", "--memory", "lots"), 2, "800M"),
        (("a.zarr", "b.zarr", "--method", "robust"), 2, "--method robust looks at all pixels"),
        (("a.zarr", "b.zarr", "--curves", "auto"), 2, "--curves auto looks at all pixels"),
        (("a.zarr", "b.npy", "--mask", "a.npy"), 2, "--mask looks at all pixels"),
        (("a.zarr", "b.zarr", "--channels", "full"), 1, "its axes are YX"),
        (("a.zarr", "b.zarr", "--level", "2"), 2, "single array"),
        (("a.zarr", "absent.npy"), 1, "absent.npy"),
        (("b.npy", "z.zarr"), 1, "z.zarr"),
        (("a.zarr", "b.zarr", "--scheduler", "tcp://127.0.0.1:9"), 1, "no Dask scheduler answers"),
    ],
)
def test_what_cannot_be_read(run, argv, status, match):
    """One line, and whose fault it is."""
    if "--scheduler" in argv:
        pytest.importorskip("distributed")
    got, out, err = run(*argv)
    assert (got, out) == (status, "") and re.search(match, err) and err.count("\n") == 1


def test_a_corrupt_chunk_is_named(run, tmp_path):
    (tmp_path / "b.zarr/c/3/1").write_bytes(b"garbage" * 9)
    status, out, err = run("a.zarr", "b.zarr")
    assert (status, out) == (1, "") and re.search(r"b\.zarr: chunk \(3, 1\) cannot be read", err)


def test_complex_samples_are_refused(run):
    np.save("z.npy", X.astype(complex))
    with pytest.raises(Corr2dError, match="real numbers"):
        corr2d.learn_kernel(np.load("z.npy"), X)
    assert re.search("real numbers", run("z.npy", "a.npy", "--memory", "4G")[2])
