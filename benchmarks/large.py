"""Images larger than memory: throughput and peak memory of `corr2d apply`, beside dask-image, SciPy and libvips.

    python benchmarks/large.py --side 24576 --repeat 3

Every run is a process of its own, so that its peak is its own; the contenders take turns. Files
are in the page cache (they were just written, or read once before). libvips reads and writes
tiled TIFF or raw samples, SciPy maps .npy files, the others Zarr with chunks of 1024 x 1024 and
Zarr's default compression. Every result is compared with corr2d's of the same weights before
anything is printed: SciPy and dask-image may differ by two, for they cut off fractions between
their two passes and at the end, and libvips by one, for it rounds between its.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

SIGMA = 3

DASK_IMAGE = """
import sys, dask.array as da, dask_image.ndfilters as nf
x = da.from_zarr(sys.argv[1])
y = {call}
y.to_zarr(sys.argv[2], compute=True)
"""
SEPARABLE = 'nf.gaussian_filter(x, 3, mode="mirror", truncate=4.0)'
WHOLE = 'nf.convolve(x, __import__("corr2d").kernels.gaussian(3).weights, mode="mirror")'
LAZY = """
import sys, dask.array as da, corr2d
x = da.from_zarr(sys.argv[1])
y = corr2d.corr2d(x, corr2d.kernels.gaussian({sigma}), padding="same", boundary="reflect", dtype="uint8")
y.to_zarr(sys.argv[2], compute=True)
"""
SCIPY = """
import sys, numpy as np, scipy.ndimage as nd
x = np.load(sys.argv[1], mmap_mode="r")
y = np.lib.format.open_memmap(sys.argv[2], "w+", x.dtype, x.shape)
nd.gaussian_filter(x, {sigma}, output=y, mode="mirror", truncate=4.0)
y.flush()
"""
VIPS = """
import sys, numpy, pyvips
if sys.argv[1].endswith(".npy"):
    shape = numpy.load(sys.argv[1], mmap_mode="r").shape
    x = pyvips.Image.rawload(sys.argv[1], *shape[::-1], 1, offset=128, access="sequential")
else:
    x = pyvips.Image.new_from_file(sys.argv[1], access="sequential")
y = ({call}).cast("uchar")
if sys.argv[2].endswith(".raw"):
    y.rawsave(sys.argv[2])
else:
    y.tiffsave(sys.argv[2], tile=True, tile_width=512, tile_height=512, bigtiff=True)
"""
BLUR = 'x.gaussblur(3, precision="{precision}", min_ampl=0.001)'
BINOMIAL = 'x.conv(pyvips.Image.new_from_array([[a * b for b in (1, 4, 6, 4, 1)] for a in (1, 4, 6, 4, 1)], scale=256), precision="integer")'
MEMORY = """
import sys, zarr, corr2d
from corr2d import kernels
a = zarr.open(sys.argv[1], mode="r")
y = corr2d.corr2d(a[:], kernels.gaussian({sigma}), padding="same", boundary="reflect", dtype="uint8")
zarr.create_array(sys.argv[2], shape=y.shape, chunks=a.chunks, dtype=y.dtype, compressors=a.compressors)[:] = y
"""
CLUSTER = """
import sys
if __name__ == "__main__":
    from distributed import LocalCluster
    from corr2d import cli
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        status = cli.main(["apply", *sys.argv[1:], "-k", "gaussian:sigma={sigma}", "--scheduler", cluster.scheduler_address])
    sys.exit(status)
"""


def contenders(memory: str, python: str) -> dict[str, tuple[str, str, str, list[str]]]:
    """Name: (weights, kind of input, kind of output, command without the two files)."""
    apply = lambda kernel, *more: [python, "-m", "corr2d.cli", "apply", "IN", "OUT", "-k", kernel, "--memory", memory, "--dtype", "uint8", *more]  # noqa: E731
    script = lambda text, **more: [python, "-c", text.format(sigma=SIGMA, **more), "IN", "OUT"]  # noqa: E731
    quick = ["env", "ZARR_CODEC_PIPELINE__PATH=zarrs.ZarrsCodecPipeline"]  # the coder that corr2d apply takes by itself
    gauss = f"gaussian:sigma={SIGMA}"
    return {
        "corr2d apply, Zarr": (gauss, "zarr", "zarr", apply(gauss)),
        "corr2d apply, 1 thread, Zarr": (gauss, "zarr", "zarr", apply(gauss, "--threads", "1")),
        "corr2d apply, cluster, Zarr": (gauss, "zarr", "zarr", script(CLUSTER)),
        "corr2d in memory, Zarr": (gauss, "zarr", "zarr", script(MEMORY)),
        "corr2d on a Dask array, Zarr": (gauss, "zarr", "zarr", script(LAZY)),
        "corr2d on a Dask array, zarrs": (gauss, "zarr", "zarr", [*quick, *script(LAZY)]),
        "dask-image, Zarr": (gauss, "zarr", "zarr", script(DASK_IMAGE, call=SEPARABLE)),
        "dask-image, zarrs": (gauss, "zarr", "zarr", [*quick, *script(DASK_IMAGE, call=SEPARABLE)]),
        "dask-image convolve, Zarr": (gauss, "zarr", "zarr", script(DASK_IMAGE, call=WHOLE)),
        "corr2d apply, TIFF": (gauss, "tif", "tif", apply(gauss)),
        "libvips float, TIFF": (gauss, "tif", "tif", script(VIPS, call=BLUR.format(precision="float"))),
        "corr2d apply, NPY": (gauss, "npy", "npy", apply(gauss)),
        "SciPy on memory maps, NPY": (gauss, "npy", "npy", script(SCIPY)),
        "corr2d, integers, TIFF": ("integers", "tif", "tif", apply("@INTEGERS")),
        "libvips, integers, TIFF": ("integers", "tif", "tif", script(VIPS, call=BLUR.format(precision="integer"))),
        "corr2d, integers, NPY": ("integers", "npy", "npy", apply("@INTEGERS")),
        "libvips, integers, raw": ("integers", "npy", "raw", script(VIPS, call=BLUR.format(precision="integer"))),
        "corr2d, binomial 5x5, TIFF": ("binomial", "tif", "tif", apply("binomial:5")),
        "libvips, binomial 5x5, TIFF": ("binomial", "tif", "tif", script(VIPS, call=BINOMIAL)),
        "corr2d, binomial 5x5, NPY": ("binomial", "npy", "npy", apply("binomial:5")),
        "libvips, binomial 5x5, raw": ("binomial", "npy", "raw", script(VIPS, call=BINOMIAL)),
    }


def integers(path: Path) -> None:
    """The weights that libvips makes of the Gaussian where it computes with integers, divisor included."""
    import pyvips

    line = np.trim_zeros(pyvips.Image.gaussmat(SIGMA, 0.001, separable=True, precision="integer").numpy()[0])
    np.save(path, np.outer(line, line) / line.sum() ** 2)


def picture(side: int, folder: Path, chunk: int, kinds: set[str]) -> None:
    """A noisy picture in the formats that are read."""
    import tifffile
    import zarr
    from scipy.ndimage import gaussian_filter

    rng = np.random.default_rng(0)
    unit = min(side, 2048)
    base = gaussian_filter(rng.standard_normal((unit, unit)).astype(np.float32), 8)
    base = (base / np.abs(base).max() * 100 + 128 + rng.normal(0, 3, base.shape)).clip(0, 255).astype(np.uint8)
    band = np.tile(base, (1, -(-side // unit)))[:, :side]
    targets = []
    if "zarr" in kinds:
        targets.append(zarr.create_array(str(folder / "in.zarr"), shape=(side, side), chunks=(chunk, chunk), dtype="u1"))
    if kinds - {"zarr"}:
        targets.append(np.lib.format.open_memmap(folder / "in.npy", "w+", np.uint8, (side, side)))
    for target in targets:
        for y in range(0, side, unit):
            target[y : y + unit] = band[: min(unit, side - y)]
    if "tif" in kinds:
        tifffile.imwrite(folder / "in.tif", targets[-1], tile=(512, 512), bigtiff=True)


# In a small process of its own: a child's peak counts what it had of its parent before it became another program.
WATCH = """
import json, resource, subprocess, sys, time
start = time.perf_counter()
done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
wall, used = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps(dict(
    wall=wall, cpu=used.ru_utime + used.ru_stime, peak=used.ru_maxrss / 1024, status=done.returncode, said=done.stderr.decode()[-300:]
)))
"""


def watched(argv: list[str]) -> dict[str, float]:
    """Wall and CPU seconds, and the peak in MiB, of a process."""
    kept = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}  # as after an installation
    record = json.loads(subprocess.run([sys.executable, "-S", "-c", WATCH, *argv], capture_output=True, check=True, env=kept).stdout)
    if record["status"]:
        raise SystemExit(f"{argv[:4]}: {record['said']}")
    return record

def opened(path: Path) -> np.ndarray:
    if path.suffix == ".zarr":
        import zarr

        node = zarr.open(str(path), mode="r")
        return node[...]
    if path.suffix == ".npy":
        return np.load(path, mmap_mode="r")
    if path.suffix == ".raw":
        samples = np.fromfile(path, np.uint8)
        return samples.reshape(2 * [int(samples.size**0.5)])
    import tifffile

    return tifffile.imread(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--side", type=int, default=8192)
    parser.add_argument("--chunk", type=int, default=1024)
    parser.add_argument("--memory", default="1200M")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--only", default="", help="parts of the names to run, separated by |")
    parser.add_argument("--folder", type=Path, help="where the files go; default a temporary folder")
    options = parser.parse_args()
    wanted = options.only.split("|")
    runs = {name: what for name, what in contenders(options.memory, sys.executable).items() if any(part in name for part in wanted)}
    if options.side > 8192 and "dask-image convolve" not in wanted:  # minutes
        runs.pop("dask-image convolve, Zarr", None)
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        here = Path(folder)
        picture(options.side, here, options.chunk, {source for _, source, _, _ in runs.values()})
        if any("INTEGERS" in word for *_, command in runs.values() for word in command):
            integers(here / "integers.npy")
        records: dict[str, list[dict[str, float]]] = {name: [] for name in runs}
        reference: dict[str, np.ndarray] = {}
        for turn in range(options.repeat):
            for name, (weights, source, kind, command) in runs.items():
                out = here / f"out.{kind}"
                if out.exists():
                    shutil.rmtree(out) if out.is_dir() else out.unlink()
                files = {"IN": str(here / f"in.{source}"), "OUT": str(out), "@INTEGERS": f"@{here / 'integers.npy'}"}
                records[name].append(watched([files.get(word, word) for word in command]))
                if not turn and options.side <= 16384:
                    result = opened(out)[64:-64, 64:-64].astype(np.int16)
                    worst = int(np.abs(result - reference.setdefault(weights, result)).max())
                    if worst > (2 if weights.startswith("gaussian") and not name.startswith("corr2d") else 1):
                        raise SystemExit(f"{name}: differs from the first by {worst}")
        pixels = options.side**2 / 1e6
        print(f"{options.side}x{options.side} uint8, gaussian sigma={SIGMA}, chunks of {options.chunk}, medians of {options.repeat}")
        print(f"{'':32}{'wall s':>9}{'CPU s':>9}{'Mpixel/s':>10}{'peak MiB':>10}")
        for name, those in records.items():
            wall, cpu, peak = (statistics.median(one[key] for one in those) for key in ("wall", "cpu", "peak"))
            print(f"{name:32}{wall:9.2f}{cpu:9.2f}{pixels / wall:10.0f}{peak:10.0f}")


if __name__ == "__main__":
    main()
