"""Dask arrays and DataArrays: the same bits as NumPy's whatever the chunks, lazily, in graphs that grow with the blocks."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import corr2d
import oracle
from cases import CASES, dense, gauss, pixels, whole
from corr2d import DTypeError, OptionError, ShapeError
from machine import run_python

da = pytest.importorskip("dask.array", reason="lazy images need dask")
dask = pytest.importorskip("dask")

SAME_BITS = {"direct", "sparse", "separable", "lowrank", "box", "reference"}


@pytest.fixture(autouse=True)
def one_by_one():
    """Blocks run in this thread, so that a failure shows where it happened."""
    with dask.config.set(scheduler="sync"):
        yield


def chunked(image, seed, cuts=3):
    """The image as a Dask array of uneven chunks."""
    rng = np.random.default_rng(seed)
    edges = [sorted({0, n, *rng.integers(0, n + 1, cuts).tolist()}) for n in image.shape]
    return da.from_array(image, chunks=tuple(tuple(np.diff(e).tolist()) or (0,) for e in edges))


def check(image, kernel, options, lazy, convolve=False):
    """The lazy result is NumPy's: the same bits, or within the accuracy for the transform."""
    call = corr2d.convolve2d if convolve else corr2d.corr2d
    result = call(lazy, kernel, **options)
    expected = call(image, kernel, **options)
    assert isinstance(result, da.Array)
    assert (result.shape, result.dtype) == (expected.shape, expected.dtype)
    got = result.compute()
    assert got.dtype == expected.dtype
    plan = corr2d.plan(image, kernel if not convolve else np.asarray(kernel)[..., ::-1, ::-1], **options)
    if plan.method in SAME_BITS:
        np.testing.assert_array_equal(got, expected)
    else:
        oracle.check(got, image, kernel, convolve=convolve, **options)
    return result


# -- the results -----------------------------------------------------------------------------------

# Every sixth: all groups, in seconds.
SOME = [case for i, case in enumerate(CASES) if i % 6 == 0 and isinstance(case.build(), np.ndarray) and "out" not in case.options]


@pytest.mark.parametrize("group", sorted({case.group for case in SOME}))
def test_cases(group):
    """The cases of tests/cases.py in random chunks."""
    for i, case in enumerate(SOME):
        if case.group == group and not case.name.startswith("refused"):
            options = {k: v for k, v in case.options.items() if k != "threads"}
            check(case.image(), case.kernel, options, chunked(case.image(), i), case.convolve)


@pytest.mark.parametrize("boundary", oracle.BOUNDARIES)
@pytest.mark.parametrize("kernel", [dense(3, 4), dense(2, 1), gauss(9, 1.5), whole(5, 6), np.full((4, 7), 0.1)], ids=lambda k: f"{k.shape}")
@pytest.mark.parametrize("padding", ["valid", "same", "full", ((40, 3), (0, 70))], ids=str)
def test_halos_wider_than_chunks_and_image(boundary, kernel, padding):
    """Chunks of one to a few pixels; padding several times as wide as the image."""
    image = pixels(13, 17)
    options = dict(padding=padding, boundary=boundary, fill=0.75)
    lazy = da.from_array(image, chunks=((1, 2, 1, 9), (3, 1, 1, 12)))
    result = check(image, kernel, options, lazy)
    if padding == "same":
        assert result.chunks == lazy.chunks
    assert max(map(max, result.chunks)) <= 12 + max(kernel.shape)  # wide padding is cut as well


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_problem_in_any_chunks(data):
    """Random options, chunks and layouts."""
    draw = lambda low, high: data.draw(st.integers(low, high))  # noqa: E731
    one = lambda values: data.draw(st.sampled_from(values))  # noqa: E731
    kernel = dense(draw(1, 6), draw(1, 6)) if one([True, False]) else whole(draw(1, 6), draw(1, 6))
    layout = one(["plain", "batch", "last", "first", "mixed"])
    size = draw(8, 30), draw(8, 30)
    shape = {"plain": size, "batch": (3, *size), "last": (*size, 3), "first": (3, *size), "mixed": (2, 3, *size)}[layout]
    options = dict(boundary=one(oracle.BOUNDARIES), stride=(draw(1, 4), draw(1, 3)), dilation=(draw(1, 2), draw(1, 3)))
    options["padding"] = one(["same", "full", 0, (draw(0, 40), draw(0, 9)), ((draw(0, 5), 9), (0, draw(0, 33)))])
    options["fill"] = one([0.0, 0.5, 300.0])
    kh, kw = kernel.shape
    if options["padding"] == "same" and one([True, False]):
        options["anchor"] = draw(0, kh - 1), draw(0, kw - 1)
    if options["padding"] != "same" and options["padding"] != "full":
        options["padding"] = (19, 19)
    if layout in ("last", "first"):
        options["channel_axis"] = -1 if layout == "last" else 0
    if layout == "mixed":
        kernel = dense(2, 3, kh, kw)
    if one([True, False]):
        options["dtype"] = one(["uint8", "int16", "float64"])
    image = pixels(*shape, dtype=one(["uint8", "float32", "int32", "float64"]), limit=3000)
    method = one(["auto", "direct", "sparse"])
    check(image, kernel, options | {"method": method}, chunked(image, draw(0, 1000), draw(0, 6)))


def test_the_comparison_can_fail():
    """Blocks that were filtered on their own, without a halo, are noticed."""
    image = pixels(20, 20)
    lazy = da.from_array(image, chunks=10).map_blocks(lambda b: corr2d.corr2d(b, dense(3, 3), padding="same"), dtype="float32")
    assert not np.array_equal(lazy.compute(), corr2d.corr2d(image, dense(3, 3), padding="same"))


def test_fractional_fill_of_integers():
    """Whether padding holds a fraction decides the arithmetic of inner blocks too."""
    for dtype in ("uint8", "int64"):
        image = pixels(64, 64, dtype=dtype)
        for fill in (0.5, 1e6, -3):
            check(image, whole(3, 3), dict(padding="same", fill=fill), da.from_array(image, chunks=8))


def test_nonfinite_pixels_reach_across_seams():
    image = pixels(40, 40)
    image[19, 19], image[20, 31] = np.nan, np.inf
    for kernel in (dense(3, 3), gauss(7, 1.0)):
        check(image, kernel, dict(padding="same", boundary="reflect"), da.from_array(image, chunks=20))


def test_foreign_byte_order_and_a_kernel_of_corr2d():
    image = pixels(30, 31).astype(">f4")
    kernel = corr2d.Kernel(dense(3, 2), anchor=(2, 0), bias=0.5)
    lazy = corr2d.corr2d(da.from_array(image, chunks=7), kernel, padding="same")
    np.testing.assert_array_equal(lazy.compute(), corr2d.corr2d(image, kernel, padding="same"))


@pytest.mark.parametrize("scheduler", ["threads", "processes"])
def test_other_schedulers(scheduler):
    """Plans travel to other processes."""
    image = pixels(60, 60)
    lazy = corr2d.corr2d(da.from_array(image, chunks=30), dense(5, 5), padding="same", boundary="wrap")
    with dask.config.set(scheduler=scheduler, num_workers=2):
        np.testing.assert_array_equal(lazy.compute(), corr2d.corr2d(image, dense(5, 5), padding="same", boundary="wrap"))


# -- laziness and the graph ---------------------------------------------------------------------------


def test_nothing_is_computed_before_it_is_asked_for():
    def fail(block):
        raise AssertionError("computed")

    lazy = da.ones((40, 40), chunks=10, dtype="float32").map_blocks(fail, dtype="float32")
    result = corr2d.corr2d(lazy, dense(3, 3), padding="same")
    assert corr2d.plan(lazy, dense(3, 3), padding="same").method == "direct"
    with pytest.raises(AssertionError, match="computed"):
        result.compute()


def asked(result, source):
    """Samples of the source's chunks that a result's graph reads: whole chunks, or what is cut from them."""
    graph, total = dict(result.__dask_graph__()), 0
    names = {source.name}
    shapes = {(source.name, *i): tuple(c[j] for c, j in zip(source.chunks, i, strict=True)) for i in np.ndindex(*source.numblocks)}
    cut = set()
    for key, task in graph.items():
        if isinstance(key, tuple) and str(key[0]).startswith("cut-corr2d"):
            _, chunk, index = task
            assert chunk[0] in names
            total += int(np.prod([len(range(*s.indices(n))) for s, n in zip(index, shapes[chunk], strict=True)]))
            cut.add(key)
    return total, len(cut)


def test_a_block_reads_its_input_and_exactly_its_halo():
    source = da.ones((90, 90), chunks=30, dtype="float32")
    middle = corr2d.corr2d(source, dense(5, 4), padding="same").blocks[1, 1]
    middle = dask.optimize(middle)[0]
    result = corr2d.corr2d(source, dense(5, 4), padding="same")
    block = corr2d.plan((90, 90), dense(5, 4), padding="same").block(slice(30, 60), slice(30, 60))
    assert (block.rows, block.columns) == ((slice(28, 62),), (slice(29, 62),))
    # Cuts of all blocks: two rows down and two up between rows of chunks, one and two columns, corners.
    sides = 2 * (2 + 2) * 90 + 2 * (1 + 2) * 90
    corners = 4 * (2 * 1 + 2 * 2 + 2 * 1 + 2 * 2)
    assert asked(result, source)[0] == sides + corners
    assert middle.compute().shape == (30, 30)


@pytest.mark.parametrize("boundary", ["constant", "reflect", "wrap"])
def test_graphs_grow_with_the_blocks(boundary):
    sizes = []
    for n in (4, 8, 16):
        lazy = da.zeros((50 * n, 50 * n), chunks=50, dtype="uint8")
        sizes.append(len(corr2d.corr2d(lazy, dense(7, 7), padding="same", boundary=boundary).__dask_graph__().to_dict()) / n**2)
    assert max(sizes) <= 11  # itself, its chunk, and at most eight cuts, and the plan
    assert sizes[2] <= sizes[0] + 4


def test_large_kernels_are_in_the_graph_once():
    lazy = corr2d.corr2d(da.zeros((4000, 4000), chunks=100, dtype="float32"), dense(301, 301), padding="same")
    plans = [key for key, task in lazy.__dask_graph__().to_dict().items() if isinstance(task, corr2d.Plan)]
    assert len(plans) == 1


def test_names_tell_problems_apart():
    x = da.zeros((20, 20), chunks=10)
    names = {
        corr2d.corr2d(x, k, **o).name
        for k in (dense(3, 3), dense(2, 3))
        for o in ({}, {"padding": "same"}, {"padding": "same", "boundary": "wrap"}, {"method": "fft"})
    }
    assert len(names) == 8
    assert corr2d.corr2d(x, dense(3, 3)).name == corr2d.corr2d(x, dense(3, 3)).name


def test_empty_batches_and_images():
    for shape in [(0, 5, 5), (2, 0, 5), (0, 0)]:
        lazy = da.zeros(shape, chunks=-1, dtype="uint8")
        assert corr2d.corr2d(lazy, [[1, 2]], padding="same").compute().shape == shape


# -- refusals ------------------------------------------------------------------------------------------


def test_out_is_refused_with_the_reason():
    with pytest.raises(OptionError, match=r"result is lazy.*store"):
        corr2d.corr2d(da.zeros((9, 9)), [[1]], out=np.zeros((9, 9)))


def test_unknown_shapes_are_refused():
    x = da.zeros((9, 9), chunks=3)
    with pytest.raises(ShapeError, match=r"unknown shape.*compute_chunk_sizes"):
        corr2d.corr2d(x[x[:, 0] > 0], [[1]])


def test_chunks_that_are_not_arrays_of_numbers_are_refused():
    with pytest.raises(DTypeError, match=r"masked array"):
        corr2d.corr2d(da.ma.masked_equal(da.zeros((9, 9), chunks=3), 1), [[1]])
    with pytest.raises(DTypeError, match=r"dtype object"):
        corr2d.corr2d(da.from_array(np.full((3, 3), None), chunks=3), [[1]])


def test_other_arguments_are_checked_at_once():
    with pytest.raises(ShapeError, match="does not fit"):
        corr2d.corr2d(da.zeros((9, 9), chunks=3), np.ones((10, 1)))
    with pytest.raises(DTypeError, match=r"kernel is a Dask Array.*kernel.compute\(\)"):
        corr2d.corr2d(np.zeros((9, 9)), da.ones((3, 3)))
    with pytest.raises(DTypeError, match=r"out is Array"):
        corr2d.corr2d(np.zeros((9, 9)), [[1]], out=da.zeros((9, 9)))


# -- blocks by hand -------------------------------------------------------------------------------------


def test_blocks_of_a_plan():
    image = pixels(30, 20, dtype="uint8")
    plan = corr2d.plan(image, dense(5, 3), padding="same", boundary="wrap")
    block = plan.block(slice(0, 10), slice(None))
    assert block.rows == (slice(0, 12), slice(28, 30))
    assert block.shape == (10, 20)
    part = np.concatenate([image[rows] for rows in block.rows])
    np.testing.assert_array_equal(block(part), plan(image)[:10])


@pytest.mark.parametrize("rows", [slice(5, 5), slice(0, 31), slice(0, 30, 2), slice(9, 3)], ids=str)
def test_blocks_that_are_none(rows):
    with pytest.raises(OptionError, match="a slice of at least one of the result's 30 rows"):
        corr2d.plan((30, 20), [[1]]).block(rows, slice(None))


def test_a_block_says_what_it_needs():
    block = corr2d.plan((30, 20), dense(3, 3), padding="same").block(slice(10, 20), slice(None))
    with pytest.raises(ShapeError, match=r"along axis -2 it needs 12, which are \(\(9, 21\),\)"):
        block(np.zeros((10, 20), "float32"))
    with pytest.raises(ShapeError, match="dtype float64"):
        block(np.zeros((12, 20)))


# -- xarray ---------------------------------------------------------------------------------------------


@pytest.fixture
def scene():
    xr = pytest.importorskip("xarray", reason="labels need xarray")
    y, x = np.arange(12) * 10.0, np.arange(9) + 0.5
    return xr.DataArray(
        pixels(3, 12, 9),
        dims=("band", "y", "x"),
        coords={"band": ["r", "g", "b"], "y": y, "x": x, "lat": (("y", "x"), y[:, None] + x), "time": 7},
        attrs={"crs": "EPSG:3857"},
        name="scene",
    )


def test_labels_stay(scene):
    result = corr2d.corr2d(scene, dense(3, 4), padding="same", boundary="edge")
    np.testing.assert_array_equal(result.values, corr2d.corr2d(scene.values, dense(3, 4), padding="same", boundary="edge"))
    assert (result.dims, result.name, result.attrs) == (scene.dims, "scene", scene.attrs)
    assert result.coords.equals(scene.coords)


def test_labels_of_lazy_scenes(scene):
    lazy = scene.chunk({"band": 1, "y": 5, "x": 4})
    result = corr2d.convolve2d(lazy, dense(3, 4), padding="same")
    assert isinstance(result.data, da.Array)
    assert result.coords.equals(scene.coords)
    np.testing.assert_array_equal(result.values, corr2d.convolve2d(scene.values, dense(3, 4), padding="same"))


def test_an_output_has_the_coordinates_of_its_pixel(scene):
    valid = corr2d.corr2d(scene, dense(3, 3))
    assert valid.y.values.tolist() == scene.y.values[1:-1].tolist()
    assert valid.lat.equals(scene.lat[1:-1, 1:-1])
    spot = np.zeros((3, 3))
    spot[1, 1] = 1
    assert corr2d.corr2d(scene, spot).equals(scene[:, 1:-1, 1:-1].astype("float32"))
    for options in ({"padding": "same", "stride": (2, 3)}, {"stride": 2}, {"padding": (1, 1)}, {"padding": "same", "anchor": (1, 1)}):
        result = corr2d.corr2d(scene, spot, **options)
        at = scene.sel(y=result.y, x=result.x)
        assert result.coords.equals(at.coords)
        inner = result[:, 1:-1, 1:-1]
        np.testing.assert_array_equal(inner.values, at.values[:, 1:-1, 1:-1])
    moved = corr2d.corr2d(scene, spot, padding="same", anchor=(0, 0))  # the tap at the corner lies on the pixel
    np.testing.assert_array_equal(moved.values[:, :-1, :-1], scene.values[:, 1:, 1:])
    assert moved.coords.equals(scene.coords)


def test_coordinates_that_do_not_exist_are_left_out(scene):
    full = corr2d.corr2d(scene, dense(3, 1), padding="full")
    assert set(full.coords) == {"band", "time", "x"}
    mixed = corr2d.corr2d(scene, dense(2, 3, 3, 3), padding="same")
    assert mixed.sizes["band"] == 2
    assert set(mixed.coords) == {"y", "x", "lat", "time"}


def test_out_of_a_labelled_image(scene):
    out = np.empty(scene.shape, "float32")
    assert corr2d.corr2d(scene, dense(3, 3), padding="same", out=out) is out


# -- imports --------------------------------------------------------------------------------------------


def test_neither_dask_nor_xarray_is_imported():
    code = "import sys, numpy as np, corr2d\ncorr2d.corr2d(np.ones((9, 9)), np.ones((3, 3)))\n"
    assert run_python(code + "print(*[m for m in ('dask', 'xarray', 'distributed', 'zarr') if m in sys.modules])").split() == []
