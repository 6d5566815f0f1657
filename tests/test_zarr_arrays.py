"""Zarr's samples are zarr-python's, whoever codes them; chunks of nothing are left out; one library stands in for the other."""

import warnings
from pathlib import Path

import numpy as np
import pytest

from corr2d import _zarr_arrays
from corr2d._zarr_arrays import ZarrSamples

zarr = pytest.importorskip("zarr", reason="Zarr files need zarr")
numcodecs = pytest.importorskip("numcodecs", reason="comes with zarr")

RNG = np.random.default_rng(11)
LAYOUTS = {
    "plain": {"chunks": (32, 48)},
    "uncompressed": {"chunks": (32, 48), "compressors": None},
    "shards": {"chunks": (16, 16), "shards": (32, 48)},
    "column-major": {"chunks": (32, 48), "zarr_format": 2, "order": "F"},
    "format 2, Blosc": {"chunks": (32, 48), "zarr_format": 2, "compressors": numcodecs.Blosc(cname="lz4", shuffle=2)},
    "format 2, a filter": {"chunks": (32, 48), "zarr_format": 2, "filters": [numcodecs.Delta("<u2")], "compressors": numcodecs.Zlib()},
    "format 2, LZMA": {"chunks": (32, 48), "zarr_format": 2, "compressors": numcodecs.LZMA()},
    "gzip": {"chunks": (32, 48), "compressors": zarr.codecs.GzipCodec()},
    "other byte order": {"chunks": (32, 48), "zarr_format": 2, "dtype": ">u2"},
    "turned about": {"chunks": (32, 48), "filters": [zarr.codecs.TransposeCodec(order=(1, 0))]},
}
BLOCK = (slice(32, 96), slice(48, 210))  # whole chunks, and the cut ones at the right


@pytest.fixture(params=["zarrs", "zarr-python"])
def coder(request, monkeypatch):
    """Both that may be installed; each test runs with either."""
    if request.param == "zarrs":
        pytest.importorskip("zarrs", reason="the quick way needs zarrs")
    else:
        monkeypatch.setattr(_zarr_arrays, "find_spec", lambda name: None)
    return request.param


@pytest.mark.parametrize("layout", LAYOUTS)
def test_samples_are_those_of_zarr_python(tmp_path, coder, layout):
    image = RNG.integers(0, 5000, (150, 210)).astype(np.uint16)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # zarr-python's own on codecs that the format's text does not name
        array = zarr.create_array(tmp_path / "a.zarr", shape=image.shape, **{"dtype": "u2"} | LAYOUTS[layout])
        array[...] = image
    samples = ZarrSamples(tmp_path / "a.zarr")
    np.testing.assert_array_equal(samples.read(BLOCK), image[BLOCK])
    np.testing.assert_array_equal(samples.read((slice(5, 77), slice(3, 209))), image[5:77, 3:209])
    written = ZarrSamples(tmp_path / "a.zarr", mode="r+")
    written.write(BLOCK, image[BLOCK][::-1] + np.uint16(7))
    image[BLOCK] = image[BLOCK][::-1] + np.uint16(7)
    np.testing.assert_array_equal(zarr.open(tmp_path / "a.zarr")[...], image)


@pytest.mark.parametrize("kind", ["u1", "i8", "f4", "f8", "c8"])
def test_sample_types(tmp_path, coder, kind):
    image = (RNG.standard_normal((3, 64, 50, 2)) * 50).astype(kind)
    if kind == "f4":
        image[0, :5] = np.nan, -np.inf
    group = zarr.create_group(tmp_path / "a.zarr")
    group.create_array("s0", shape=image.shape, chunks=(2, 32, 20, 2), dtype=kind)
    everything = (slice(None),) * 4
    ZarrSamples(tmp_path / "a.zarr", "s0", "r+").write(everything, image)
    np.testing.assert_array_equal(zarr.open(tmp_path / "a.zarr")["s0"][...], image)
    np.testing.assert_array_equal(ZarrSamples(tmp_path / "a.zarr", "s0").read(everything), image)


def test_empty_chunks_are_left_out(tmp_path, coder):
    """Also where others of the block are full; one that is empty in the middle only is written."""
    image = RNG.integers(1, 256, (128, 128), np.uint8)
    image[:32, 32:64] = image[64:96] = 0
    image[40:60, :32] = 0
    zarr.create_array(tmp_path / "a.zarr", shape=image.shape, chunks=(32, 32), dtype="u1")
    samples = ZarrSamples(tmp_path / "a.zarr", mode="r+")
    for start in range(0, 128, 32):
        samples.write((slice(start, start + 32), slice(0, 128)), image[start : start + 32])
    chunks = {str(path.relative_to(tmp_path / "a.zarr/c")) for path in Path(tmp_path / "a.zarr/c").glob("*/*")}
    empty = {"0/1", *(f"2/{i}" for i in range(4))}
    assert chunks == {f"{i}/{j}" for i in range(4) for j in range(4)} - empty
    np.testing.assert_array_equal(zarr.open(tmp_path / "a.zarr")[...], image)


def test_what_one_cannot_the_other_does(tmp_path, monkeypatch):
    """Whatever zarrs raises, zarr-python is asked, then and from then on; its errors are those that are seen."""
    image = RNG.integers(0, 256, (64, 64), np.uint8)
    zarr.create_array(tmp_path / "a.zarr", shape=image.shape, chunks=(32, 32), dtype="u1")
    asked, array = [], ZarrSamples._array

    def unable(self, **options):
        asked.append(self.quick)
        if self.quick:
            raise RuntimeError("of the quick way")
        return array(self, **options)

    monkeypatch.setattr(_zarr_arrays, "find_spec", lambda name: True)
    samples = ZarrSamples(tmp_path / "a.zarr", mode="r+")
    monkeypatch.setattr(ZarrSamples, "_array", unable)
    samples.write((slice(0, 64), slice(0, 64)), image)
    np.testing.assert_array_equal(samples.read((slice(0, 64), slice(0, 64))), image)
    assert asked[0] and not any(asked[1:])
    (tmp_path / "a.zarr/c/0/1").write_bytes(b"no chunk")
    with pytest.raises(Exception, match=r"(?i)zstd|decompress"):
        ZarrSamples(tmp_path / "a.zarr").read((slice(0, 64), slice(0, 64)))


def test_threads_code_chunks(tmp_path, monkeypatch):
    """What --threads says reaches zarrs, and other arrays of the process keep their settings."""
    zarr.create_array(tmp_path / "a.zarr", shape=(64, 64), chunks=(32, 32), dtype="u1")
    before, seen = zarr.config.get("threading.max_workers"), []
    set_, names = zarr.config.set, ("threading.max_workers", "codec_pipeline.chunk_concurrent_minimum", "codec_pipeline.path")
    monkeypatch.setattr(_zarr_arrays, "find_spec", lambda name: True)
    monkeypatch.setattr(zarr.config, "set", lambda settings: seen.append([settings[name] for name in names]) or set_(settings))
    pytest.importorskip("zarrs", reason="the quick way needs zarrs")
    ZarrSamples(tmp_path / "a.zarr", threads=1).read((slice(0, 64), slice(0, 64)))
    assert seen == [[1, 1, "zarrs.ZarrsCodecPipeline"]]
    assert zarr.config.get("threading.max_workers") == before
