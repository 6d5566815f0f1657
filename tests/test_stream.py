"""`corr2d apply` piece by piece: the ordinary result from any store into any other, bounded memory, no half-finished output."""

import errno
import json
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import corr2d
from corr2d import _stream, cli, images
from corr2d._stores import ZarrSink
from corr2d._tiff_tiles import TiffSink
from corr2d.kernel_text import parse_kernel

zarr = pytest.importorskip("zarr", reason="Zarr files need zarr")
tifffile = pytest.importorskip("tifffile", reason="TIFF needs tifffile")
pytest.importorskip("imagecodecs", reason="compressed TIFF needs imagecodecs")

RNG = np.random.default_rng(21)
GRAY = RNG.integers(0, 256, (150, 210), np.uint8)
RGB = RNG.integers(0, 256, (90, 110, 3), np.uint8)
STACK = RNG.integers(0, 4000, (2, 3, 70, 80), np.uint16)
SHARPEN = "0 -1 0; -1 5 -1; 0 -1 0"


@pytest.fixture
def run(tmp_path, monkeypatch, capfd):
    """Run the command line in an empty folder, with bands of few rows; return (status, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(_stream, "_LARGEST_BAND", 1)

    def call(*argv):
        status = cli.main(argv)
        return status, *capfd.readouterr()

    return call


def to_zarr(path, array, chunks, **options):
    node = zarr.create_array(str(path), shape=array.shape, chunks=chunks, dtype=array.dtype, **options)
    node[...] = array
    return node


def put(name, array):
    """An image in the format of its name, in small chunks."""
    if name.endswith("2.zarr"):
        to_zarr(name, array, (32, 48, 3)[: array.ndim], zarr_format=2)
    elif name.endswith(".zarr"):
        to_zarr(name, array, (16, 16, 3)[: array.ndim], shards=(32, 64, 3)[: array.ndim])
    elif name.endswith(".npy"):
        np.save(name, array)
    else:
        layout = {"strips.tif": {"rowsperstrip": 13}}.get(name, {"tile": (32, 48), "bigtiff": True})
        tifffile.imwrite(name, array, compression="zlib", photometric="rgb" if array.ndim == 3 else "minisblack", **layout)


def get(name):
    if str(name).endswith(".zarr"):
        return zarr.open(str(name), mode="r")[...]
    return np.load(name) if str(name).endswith(".npy") else tifffile.imread(name)


# -- results -------------------------------------------------------------------------------------------


SOURCES, OUTPUTS = ["in.zarr", "in2.zarr", "in.npy", "tiles.tif", "strips.tif"], ["out.zarr", "out.npy", "out.tif"]
KERNELS = ["gaussian:sigma=1", "sobel-x", SHARPEN, "-1,1"]
# Every source into every output, the kernels in turn and thus each with each.
PAIRS = [(source, out, KERNELS[(i + j) % 4]) for i, source in enumerate(SOURCES) for j, out in enumerate(OUTPUTS)]


@pytest.mark.parametrize(("source", "out", "kernel"), PAIRS)
def test_the_same_file_as_at_once(run, source, out, kernel):
    """Samples and the line about them are those of an image that is read at once."""
    pixels = RGB if kernel == SHARPEN else GRAY
    put(source, pixels)
    tifffile.imwrite("plain.tif", pixels, photometric="rgb" if pixels.ndim == 3 else "minisblack")
    expected = "expected" + (".npy" if out == "out.npy" else ".tif")
    status, text, said = run("apply", "plain.tif", expected, "-k", kernel)
    assert (status, text) == (0, "")
    assert run("apply", source, out, "-k", kernel, "--memory", "2G") == (0, "", said.replace(expected, out))
    result = get(out)
    assert result.dtype == get(expected).dtype
    np.testing.assert_array_equal(result, get(expected))
    assert not list(Path().glob("*.partial*"))


@pytest.mark.parametrize(
    ("argv", "options"),
    [
        (["--boundary", "wrap"], {"boundary": "wrap"}),
        (["--padding", "full", "--boundary", "symmetric"], {"padding": "full", "boundary": "symmetric"}),
        (["--padding", "200,0,7,300"], {"padding": ((200, 0), (7, 300))}),
        (["--padding", "valid", "--stride", "3,2"], {"padding": "valid", "stride": (3, 2)}),
        (["--stride", "70"], {"stride": 70}),
        (["--dilation", "9,4", "--anchor", "0,2"], {"dilation": (9, 4), "anchor": (0, 2)}),
        (["--boundary", "constant", "--fill", "-3.5"], {"boundary": "constant", "fill": -3.5}),
        (["--method", "direct", "--threads", "1", "--dtype", "float64"], {"method": "direct", "dtype": "float64"}),
    ],
    ids=str,
)
def test_options_mean_what_they_mean_in_the_api(run, argv, options):
    put("in.zarr", GRAY)
    kernel = RNG.integers(-9, 9, (4, 3)) / 7
    corr2d.Kernel(kernel).save("k.json")
    assert run("apply", "in.zarr", "out.npy", "-k", "@k.json", *argv) == (0, "", "")
    expected = corr2d.corr2d(GRAY, kernel, **{"padding": "same", "boundary": "reflect"} | options)
    np.testing.assert_array_equal(np.load("out.npy"), expected)


@pytest.mark.parametrize("options", [(), ("--padding", "full", "--stride", "2", "--boundary", "wrap")], ids=str)
def test_alpha_passes_through(run, options):
    rgba = RNG.integers(0, 256, (90, 110, 4), np.uint8)
    tifffile.imwrite("in.tif", rgba, photometric="rgb", extrasamples=["unassalpha"], tile=(32, 32), resolution=(300, 300), resolutionunit=2)
    for out, more in (("at-once.tif", ()), ("out.tif", ("--memory", "2G"))):
        assert run("apply", "in.tif", out, "-k", "box:3", *options, *more) == (0, "", "")
    once, streamed = images.read("at-once.tif"), images.read("out.tif")
    np.testing.assert_array_equal(streamed.pixels, once.pixels)
    np.testing.assert_array_equal(streamed.alpha, once.alpha)
    assert (streamed.dpi, streamed.premultiplied) == (once.dpi, once.premultiplied)


def test_scale_offset_clip_and_nan(run):
    image = GRAY.astype("float32")
    image[40, 50] = np.nan
    put("in.zarr", image)
    status, out, err = run("apply", "in.zarr", "out.tif", "-k", "box:3", "--dtype", "uint8", "--scale", "2", "--offset", "-100", "--json")
    result = corr2d.corr2d(image, np.ones((3, 3)) / 9, padding="same", boundary="reflect").astype(float) * 2 - 100
    saturated = int(((np.rint(result) < 0) | (np.rint(result) > 255)).sum())
    assert saturated > 100
    share = f"{saturated} of 31500 pixels ({100 * saturated / 31500:.2g} %) do not fit uint8 and saturate"
    assert (status, err) == (0, f"corr2d: out.tif: {share}, 9 samples are NaN and become 0\n")
    record = json.loads(out)
    assert (record["scale"], record["offset"], record["nan_samples"], record["saturated_pixels"]) == (2, -100, 9, saturated)
    np.testing.assert_array_equal(get("out.tif"), np.rint(np.nan_to_num(result.clip(0, 255))))


def test_kernels_that_mix_channels(run):
    put("in.zarr", RGB)
    mix = "[[[[0.25]], [[0.5]], [[0.25]]], [[[1]], [[0]], [[0]]]]"
    assert run("apply", "in.zarr", "out.zarr", "-k", mix)[0] == 0
    np.testing.assert_array_equal(get("out.zarr"), np.rint(RGB @ np.array([[0.25, 0.5, 0.25], [1, 0, 0]]).T))
    to_zarr("cyx.zarr", np.moveaxis(RGB, -1, 0), (3, 32, 32), dimension_names=["c", "y", "x"])
    assert run("apply", "cyx.zarr", "cyx-out.zarr", "-k", mix)[0] == 0
    np.testing.assert_array_equal(get("cyx-out.zarr"), np.moveaxis(get("out.zarr"), -1, 0))
    assert zarr.open("cyx-out.zarr").metadata.dimension_names == ("c", "y", "x")
    to_zarr("zyx.zarr", np.moveaxis(RGB, -1, 0), (1, 32, 32), dimension_names=["z", "y", "x"])
    assert "axes are ZYX, without a C" in run("apply", "zyx.zarr", "x.zarr", "-k", mix)[2]


def pyramid(name, zarr_format):
    """An OME-Zarr image of two levels, and its levels."""
    kinds = ["channel", "space", "space", "space"]
    axes = [{"name": axis, "type": kind, "unit": "micrometer"} for axis, kind in zip("czyx", kinds, strict=True)]
    scales = [[1.0, 0.5, 0.25 * 2**level, 0.25 * 2**level] for level in range(2)]
    datasets = [{"path": f"s{i}", "coordinateTransformations": [{"type": "scale", "scale": scale}]} for i, scale in enumerate(scales)]
    meta = {"multiscales": [{"name": "cells", "version": "0.4", "axes": axes, "datasets": datasets}], "omero": {"channels": []}}
    group = zarr.create_group(name, zarr_format=zarr_format, attributes={"ome": meta | {"version": "0.5"}} if zarr_format == 3 else meta)
    levels = [STACK, np.ascontiguousarray(STACK[..., ::2, ::2])]
    for i, level in enumerate(levels):
        # Chunks that hold two planes: bands of one would tear them.
        group.create_array(f"s{i}", shape=level.shape, chunks=(2, 2, 32, 16), dtype=level.dtype)[...] = level
    return levels


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("level", [0, 1])
def test_levels_of_a_pyramid_keep_their_metadata(run, zarr_format, level):
    levels = pyramid("in.zarr", zarr_format)
    options = ("--level", "1") if level else ()
    assert run("apply", "in.zarr", "out.zarr", "-k", "box:3", "--stride", "1,2", *options) == (0, "", "")
    expected = np.rint(corr2d.corr2d(levels[level], np.ones((3, 3)) / 9, padding="same", boundary="reflect", stride=(1, 2)))
    group = zarr.open("out.zarr", mode="r")
    np.testing.assert_array_equal(group["0"][...], expected)
    assert group.metadata.zarr_format == zarr_format
    assert group["0"].chunks == (2, 2, 32, 16)
    meta = dict(group.attrs).get("ome", dict(group.attrs))
    image = meta["multiscales"][0]
    assert meta["omero"] == {"channels": []}
    assert (image["name"], [axis["unit"] for axis in image["axes"]]) == ("cells", ["micrometer"] * 4)
    (dataset,) = image["datasets"]
    spacing = 0.25 * 2**level
    assert dataset == {"path": "0", "coordinateTransformations": [{"type": "scale", "scale": [1.0, 0.5, spacing, 2 * spacing]}]}


@pytest.mark.parametrize("shards", [None, (2, 4, 64, 32)], ids=["chunks", "shards"])
def test_chunks_are_written_whole(run, monkeypatch, shards):
    """A chunk, or a shard, that two bands wrote to would be torn where they meet in time."""
    stack = RNG.integers(0, 4000, (3, 5, 150, 80), np.uint16)
    to_zarr("in.zarr", stack, (1, 2, 32, 16), shards=shards, dimension_names=["t", "z", "y", "x"])
    written, write = [], ZarrSink.write

    def watched(sink, index, block):
        written.append(index)
        write(sink, index, block)

    monkeypatch.setattr(ZarrSink, "write", watched)
    assert run("apply", "in.zarr", "out.zarr", "-k", "box:3")[0] == 0
    assert len(written) > 6
    unit = shards or (1, 2, 32, 16)
    for index in written:
        for part, n, u in zip(index, stack.shape, unit, strict=True):
            assert part.start % u == 0
            assert part.stop % u == 0 or part.stop == n
    expected = np.rint(corr2d.corr2d(stack, np.ones((3, 3)) / 9, padding="same", boundary="reflect"))
    np.testing.assert_array_equal(get("out.zarr"), expected)


def test_valid_outputs_move_the_origin(run):
    pyramid("in.zarr", 3)
    assert run("apply", "in.zarr", "out.zarr", "-k", "box:5", "--padding", "valid")[0] == 0
    transforms = zarr.open("out.zarr").attrs["ome"]["multiscales"][0]["datasets"][0]["coordinateTransformations"]
    assert transforms[1] == {"type": "translation", "translation": [0.0, 0.0, 0.5, 0.5]}


def test_ome_tiff(run):
    tifffile.imwrite("in.ome.tif", STACK, tile=(32, 32), metadata={"axes": "TCYX", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5}, compression="zlib")
    assert run("apply", "in.ome.tif", "out.ome.tif", "-k", "box:3", "--memory", "2G") == (0, "", "")
    with tifffile.TiffFile("out.ome.tif") as tiff:
        assert (tiff.series[0].axes, tiff.is_bigtiff, tiff.pages[0].tile) == ("TCYX", True, (32, 32))
        assert 'PhysicalSizeX="0.5"' in tiff.ome_metadata
        expected = np.rint(corr2d.corr2d(STACK, np.ones((3, 3)) / 9, padding="same", boundary="reflect"))
        np.testing.assert_array_equal(tiff.asarray(), expected)


@pytest.mark.parametrize("shape", [(300, 400), (3, 2, 90, 70)])
def test_an_empty_tiff_is_the_one_that_tifffile_writes(tmp_path, shape):
    """... of which its empty tiles, as large as the image, are not written."""
    sink = TiffSink(tmp_path / "out.tif", shape, np.dtype("u2"), "TCYX"[-len(shape) :], type("like", (), {"alpha": False}))
    sink.create()
    tifffile.imwrite(tmp_path / "whole.tif", shape=shape, dtype="u2", **sink.options)
    assert sink.path.read_bytes() == (tmp_path / "whole.tif").read_bytes()
    assert 0 < (tmp_path / "whole.tif").stat().st_size <= 512 * sink.path.stat().st_blocks  # its space is taken


def test_lines_as_chunks_become_tiles(run):
    image = RNG.integers(0, 256, (300, 2000), np.uint8)
    to_zarr("in.zarr", image, (1, 2000))
    assert run("apply", "in.zarr", "out.zarr", "-k", "box:3") == (0, "", "")
    assert zarr.open("out.zarr").chunks == (300, 1024)
    np.testing.assert_array_equal(get("out.zarr"), np.rint(corr2d.corr2d(image, np.ones((3, 3)) / 9, padding="same", boundary="reflect")))


# -- memory --------------------------------------------------------------------------------------------

MEASURED = """
import sys
from pathlib import Path
from corr2d import cli
status = cli.main(sys.argv[1:])
# Not ru_maxrss, in which the process that started this one is still counted.
print(int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1024)
sys.exit(status)
"""


def measured(*argv):
    """Peak of a fresh process, in MiB."""
    done = subprocess.run([sys.executable, "-c", MEASURED, *argv], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return float(done.stdout)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize(("name", "out"), [("in.npy", "out.npy"), ("in.zarr", "out.zarr"), ("in.tif", "out.tif")])
def test_memory_is_bounded(tmp_path, name, out):
    """150 MB of image and as much of output, 600 MB of floats if read at once, in 220 MB with the interpreter."""
    image = np.zeros((10240, 15360), np.uint8)
    path, target = str(tmp_path / name), str(tmp_path / out)
    if name == "in.npy":
        np.save(path, image)
    elif name == "in.zarr":
        to_zarr(path, image, (512, 512))
    else:
        tifffile.imwrite(path, image, tile=(512, 512), compression="zlib")
    assert measured("apply", path, target, "-k", SHARPEN, "--memory", "220M", "--dtype", "uint8") < 220


def test_the_measurement_can_fail(tmp_path):
    """Read at once, the same picture takes more."""
    image = np.zeros((10240, 15360), np.uint8)
    np.save(tmp_path / "in.npy", image)
    assert measured("apply", str(tmp_path / "in.npy"), str(tmp_path / "out.npy"), "-k", SHARPEN, "--dtype", "uint8") > 220


def test_panels_where_rows_are_too_wide(run, monkeypatch):
    """An image of which one row of chunks is too much is cut into columns too."""
    image = RNG.integers(0, 256, (300, 5000), np.uint8)
    to_zarr("in.zarr", image, (64, 64))
    monkeypatch.setattr(_stream, "resident", lambda: 0)
    monkeypatch.setattr(_stream, "_PER_WORKER", 0)
    status, out, _ = run("apply", "in.zarr", "out.zarr", "-k", SHARPEN, "--boundary", "wrap", "--memory", "1M", "--json")
    assert status == 0
    assert json.loads(out)["band"][1] < 2000
    expected = corr2d.corr2d(image, parse_kernel(SHARPEN), padding="same", boundary="wrap", dtype="uint8")
    np.testing.assert_array_equal(get("out.zarr"), expected)


@pytest.mark.parametrize("kernel", ["box:9", "box:41"])  # of less and of more rows than a band
def test_chunks_are_read_once(run, monkeypatch, kernel):
    """Bands keep the rows that the next one needs."""
    put("in.zarr", GRAY)
    seen = []
    read = _stream.Job._read
    monkeypatch.setattr(_stream.Job, "_read", lambda self, lead, rows, *rest: seen.append(rows) or read(self, lead, rows, *rest))
    assert run("apply", "in.zarr", "out.zarr", "-k", kernel)[0] == 0
    rows = sorted((r.start, r.stop) for r in seen)
    assert len(rows) > 3
    assert [stop for _, stop in rows[:-1]] == [start for start, _ in rows[1:]]
    assert all(start % 16 == 0 for start, _ in rows)


def test_threads_are_for_chunks_too(run, monkeypatch):
    """--threads also bounds how many chunks Zarr codes side by side."""
    put("in.zarr", GRAY)
    seen, write = set(), ZarrSink.write
    monkeypatch.setattr(ZarrSink, "write", lambda *args: seen.add(zarr.config.get("async.concurrency")) or write(*args))
    before = zarr.config.get("async.concurrency")
    assert run("apply", "in.zarr", "out.zarr", "-k", "box:3", "--threads", "1")[0] == 0
    assert (seen, zarr.config.get("async.concurrency")) == ({1}, before)


# -- what may go wrong -----------------------------------------------------------------------------------


def fail_after(monkeypatch, bands, error):
    """Make the work fail once so many bands are written."""
    write, count = _stream.Job.filter, []

    def filtered(self, *args, **options):
        if len(count) == bands:
            raise error
        count.append(1)
        return write(self, *args, **options)

    monkeypatch.setattr(_stream.Job, "filter", filtered)
    return lambda: monkeypatch.setattr(_stream.Job, "filter", write)


@pytest.mark.parametrize("out", ["out.zarr", "out.npy", "out.tif"])
@pytest.mark.parametrize("kernel", ["box:3", "sobel-x", SHARPEN])
def test_resuming(run, monkeypatch, out, kernel):
    """An interrupted run leaves nothing that looks finished, and --resume does the rest only."""
    source = "tiles.tif" if out == "out.tif" else "in.zarr"
    put(source, GRAY)
    run("apply", source, f"whole-{out}", "-k", kernel, "--memory", "2G")
    passes = 5 if kernel == "sobel-x" and out != "out.npy" else 0  # the first measures all bands
    mend = fail_after(monkeypatch, passes + 2, KeyboardInterrupt)
    status, _, err = run("apply", source, out, "-k", kernel, "--threads", "1", "--memory", "2G")
    assert status == 130
    assert f"2 of {10 if out == 'out.npy' else 5} bands are kept" in err
    assert not Path(out).exists()
    mend()
    worked = []
    band = _stream.Job.filter
    monkeypatch.setattr(_stream.Job, "filter", lambda self, n, *a, **k: worked.append(n) or band(self, n, *a, **k))
    status, _, err = run("apply", source, out, "-k", kernel, "--threads", "1", "--memory", "2G", "--resume")
    assert status == 0
    assert worked == sorted(worked)
    assert worked[0] == 2
    np.testing.assert_array_equal(get(out), get(f"whole-{out}"))
    assert not list(Path().glob("*.partial*"))
    if kernel == SHARPEN:
        assert "do not fit" in err or out == "out.npy"  # of all bands, also those of the first run


def test_resuming_something_else_is_refused(run, monkeypatch):
    put("in.zarr", GRAY)
    mend = fail_after(monkeypatch, 2, KeyboardInterrupt)
    run("apply", "in.zarr", "out.zarr", "-k", "box:3")
    mend()
    status, _, err = run("apply", "in.zarr", "out.zarr", "-k", "box:5", "--resume")
    assert status == 1
    assert "begun by another command" in err
    assert run("apply", "in.zarr", "out.zarr", "-k", "box:5")[0] == 0


@pytest.mark.parametrize("out", ["out.zarr", "out.tif", "out.npy"])
def test_a_second_run_says_so(run, out):
    put("in.zarr", GRAY)
    assert run("apply", "in.zarr", out, "-k", "box:3")[0] == 0
    before = get(out)
    status, _, err = run("apply", "in.zarr", out, "-k", "box:3", "--resume")
    assert (status, "is finished already" in err) == (0, True)
    if out != "out.npy":  # which cannot say what it was made by
        status, _, err = run("apply", "in.zarr", out, "-k", "box:3")
        assert (status, "is finished already" in err) == (0, True)
    np.testing.assert_array_equal(get(out), before)


def test_other_folders_are_not_overwritten(run):
    put("in.zarr", GRAY)
    put("other.zarr", GRAY)
    status, _, err = run("apply", "in.zarr", "other.zarr", "-k", "box:3")
    assert status == 1
    assert "exists already, and is not the result of this command" in err
    np.testing.assert_array_equal(get("other.zarr"), GRAY)


def test_nothing_to_resume(run):
    put("in.zarr", GRAY)
    status, _, err = run("apply", "in.zarr", "out.zarr", "-k", "box:3", "--resume")
    assert (status, err) == (0, "corr2d: out.zarr: nothing to resume, begun anew\n")


@pytest.mark.parametrize("out", ["out.zarr", "out.npy", "out.tif"])
def test_what_was_begun_is_gone(run, monkeypatch, out):
    """The journal is left and what it tells of is not."""
    source = "tiles.tif" if out == "out.tif" else "in.zarr"
    put(source, GRAY)
    mend = fail_after(monkeypatch, 2, KeyboardInterrupt)
    assert run("apply", source, out, "-k", "box:3", "--memory", "2G")[0] == 130
    mend()
    begun = Path(f"{out}.partial")
    shutil.rmtree(begun) if begun.is_dir() else begun.unlink()
    status, _, err = run("apply", source, out, "-k", "box:3", "--memory", "2G", "--resume")
    assert (status, err) == (0, f"corr2d: {out}: nothing to resume, begun anew\n")
    run("apply", source, f"whole-{out}", "-k", "box:3", "--memory", "2G")
    np.testing.assert_array_equal(get(out), get(f"whole-{out}"))


def test_a_disk_that_is_still_full_costs_nothing(run, monkeypatch):
    """What a failed --resume found is found by the next one."""
    put("in.zarr", GRAY)
    mend = fail_after(monkeypatch, 2, KeyboardInterrupt)
    run("apply", "in.zarr", "out.zarr", "-k", "box:3")
    mend()

    def full(path, text):
        path.write_bytes(b"")
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", full)
        status, _, err = run("apply", "in.zarr", "out.zarr", "-k", "box:3", "--resume")
    assert status == 1
    assert "out.zarr: cannot be written: no space left on device" in err
    status, _, err = run("apply", "in.zarr", "out.zarr", "-k", "box:3", "--resume")
    assert (status, err) == (0, "")
    assert sorted(os.listdir()) == ["in.zarr", "out.zarr"]


@pytest.mark.parametrize("name", ["in.zarr", "in2.zarr", "tiles.tif"])
def test_a_corrupt_chunk_is_named(run, name):
    put(name, GRAY)
    if name == "tiles.tif":
        with tifffile.TiffFile(name) as tiff:
            offset = tiff.pages[0].dataoffsets[5 * 3 + 2]
        with open(name, "r+b") as file:
            file.seek(offset)
            file.write(b"no deflate stream")
    else:
        chunk = Path("in2.zarr/2.2") if name == "in2.zarr" else Path("in.zarr/c/2/1")
        chunk.write_bytes(b"no chunk of anything" * 5)
    status, out, err = run("apply", name, "out.zarr", "-k", "box:3", "--memory", "2G")
    assert (status, out) == (1, "")
    where = {"in.zarr": "chunk (4, ", "in2.zarr": "chunk (2, 2)", "tiles.tif": "tile (3, 2)"}[name]
    assert f"{name}: {where}" in err
    assert "cannot be read" in err
    assert not Path("out.zarr").exists()
    assert err.count("\n") == 1 + ("kept" in err)
    assert ("kept" in err) == (name != "tiles.tif")  # whose output is one band


def test_a_file_that_is_cut_off(run):
    put("tiles.tif", GRAY)
    data = Path("tiles.tif").read_bytes()
    with tifffile.TiffFile("tiles.tif") as tiff:
        end = max(tiff.pages[0].dataoffsets)
    Path("cut.tif").write_bytes(data[: end + 10])
    status, _, err = run("apply", "cut.tif", "out.npy", "-k", "box:3", "--memory", "2G")
    assert status == 1
    assert "cut.tif: tile (4, 4) cannot be read: the file ends within it" in err
    np.save("a.npy", GRAY)
    Path("a.npy").write_bytes(Path("a.npy").read_bytes()[:-5])
    assert run("apply", "a.npy", "out.zarr", "-k", "box:3")[0] == 1


LIMITED = """
import resource, signal, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
from corr2d import cli
sys.exit(cli.main(sys.argv[1:]))
"""


@pytest.mark.parametrize("out", ["out.npy", "out.tif", "out.zarr"])
def test_no_space_is_one_line(run, out):
    """The limit on file sizes stands for a full disk."""
    image = RNG.integers(0, 256, (1000, 1000), np.uint8)
    to_zarr("in.zarr", image, (500, 1000), compressors=None)
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, "apply", "in.zarr", out, "-k", "[[1]]"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr == f"corr2d: {out}: cannot be written: file too large\n"
    assert sorted(os.listdir()) == ["in.zarr"]


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (("in.zarr", "in.zarr/out.zarr"), "lies inside the input"),
        (("in.zarr", "in.zarr"), "lies inside the input"),
        (("folder", "out.zarr"), "a folder without a Zarr array"),
        (("none.zarr", "out.zarr"), "no Zarr array that can be read"),
        (("broken.zarr", "out.zarr"), "no Zarr array that can be read"),
        (("group.zarr", "out.zarr"), "a Zarr group without an OME pyramid; name one of its arrays, a"),
        (("text.zarr", "out.zarr"), "an image holds numbers"),
        (("in.zarr", "nowhere/out.zarr"), "there is no folder 'nowhere'"),
        (("in.zarr", "out.zarr", "--padding", "valid", "-k", "box:999"), "the kernel does not fit"),
        (("in.zarr", "out.zarr", "--memory", "1M"), "takes .*M and --memory is 1M"),
        (("in.zarr", "out.zarr", "--scheduler", "tcp://127.0.0.1:9"), "no Dask scheduler answers there"),
        (("photo.png", "out.zarr"), "PNG is read at once"),
        (("in.zarr", "out.jpg"), "out.jpg: an image that is written piece by piece is a .zarr, .tif or .npy"),
        (("in.zarr", "out"), "out: an image that is written piece by piece"),
        (("photo.png", "out.bmp"), r"out.bmp: the name must end in one of \.png"),
        (("in.zarr", "in.zarr/c/out.npy"), "lies inside the input"),
    ],
    ids=str,
)
def test_refusals_are_one_line(run, argv, message):
    pytest.importorskip("distributed")
    put("in.zarr", GRAY)
    images.write("photo.png", GRAY)
    os.mkdir("folder")
    os.mkdir("broken.zarr")
    Path("broken.zarr/zarr.json").write_text("{")
    zarr.create_group("group.zarr").create_array("a", shape=(3, 3), dtype="u1")
    zarr.create_array("text.zarr", shape=(3, 3), dtype="bool", zarr_format=2).attrs["x"] = 1
    text = json.loads(Path("text.zarr/.zarray").read_text()) | {"dtype": "<U3", "fill_value": ""}
    Path("text.zarr/.zarray").write_text(json.dumps(text))
    before = sorted(os.listdir())
    status, out, err = run("apply", *argv, *(() if "-k" in argv else ("-k", "box:3")))
    assert (status, out, err.count("\n")) == (1, "", 1)
    assert re.search(message, err), err
    assert sorted(os.listdir()) == before
    np.testing.assert_array_equal(get("in.zarr"), GRAY)


@pytest.mark.parametrize("argv", [("--memory", "much"), ("--memory", "0"), ("--level", "3"), ("--level", "-1")], ids=str)
def test_bad_usage_is_status_two(run, argv):
    pyramid("in.zarr", 3)
    assert run("apply", "in.zarr", "out.zarr", "-k", "box:3", *argv)[0] == 2


def test_small_files_are_read_at_once(run):
    put("tiles.tif", GRAY)
    status, out, _ = run("apply", "tiles.tif", "out.tif", "-k", "box:3", "--json")
    assert "bands" not in json.loads(out)


def test_ctrl_c(tmp_path):
    """A process that is interrupted says how to carry on, and another finishes the work."""
    image = np.zeros((20000, 4096), np.uint8)
    to_zarr(tmp_path / "in.zarr", image, (256, 4096))
    code = "import sys; from corr2d import cli, _stream; _stream._LARGEST_BAND = 1; sys.exit(cli.main(sys.argv[1:]))"
    command = [sys.executable, "-c", code, "apply", "in.zarr", "out.zarr", "-k", "box:41", "--dtype", "float32"]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    journal = tmp_path / "out.zarr.partial.json"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not (journal.exists() and journal.read_text().count("\n") > 2):
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "bands are kept in out.zarr.partial; the same command with --resume carries on" in err
    assert not (tmp_path / "out.zarr").exists()
    subprocess.run([*command, "--resume"], cwd=tmp_path, check=True)
    assert (zarr.open(str(tmp_path / "out.zarr"))[...] == 0).all()
    shutil.rmtree(tmp_path / "out.zarr")


@pytest.mark.parametrize("terminal", [True, False])
def test_a_bar_with_rate_and_remaining_time_is_for_terminals(terminal, tmp_path):
    to_zarr(tmp_path / "in.zarr", np.zeros((3000, 2048), np.uint8), (128, 2048))
    controller, end = pty.openpty() if terminal else os.pipe()
    code = "import sys; from corr2d import cli, _stream; _stream._LARGEST_BAND = 1; sys.exit(cli.main(sys.argv[1:]))"
    argv = [sys.executable, "-c", code, "apply", "in.zarr", "out.zarr", "-k", "box:31", "--dtype", "float32"]
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    subprocess.run(argv, cwd=tmp_path, stderr=end, check=True, env=environment)
    os.set_blocking(controller, False)
    try:
        shown = os.read(controller, 1_000_000).decode()
    except BlockingIOError:
        shown = ""
    os.close(controller)
    os.close(end)
    assert bool(re.search(r"filtering.* \d+%.* \d+ Mpixel/s.* left.*\d:\d\d", shown)) == terminal, shown[-2000:]
