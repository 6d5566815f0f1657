"""Images larger than memory: throughput and peak memory of `corr2d apply`, beside dask-image, SciPy and libvips.

    python benchmarks/large.py --side 24576 --kernel gaussian:sigma=3 --repeat 3

Every run is a process of its own, so that its peak is its own; the contenders take turns. Files
are in the page cache (they were just written, or read once before). libvips reads and writes
tiled TIFF, SciPy maps .npy files, the others Zarr with chunks of 1024 x 1024 and Zarr's default
compression. Results are compared with corr2d's before anything is printed. They differ by up to
two: SciPy and dask-image cut off fractions between their two passes and at the end; libvips by up
to eight where it computes with integer weights.
"""

from __future__ import annotations

import argparse
import json
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
y = nf.gaussian_filter(x, {sigma}, mode="mirror", truncate=4.0)
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
import sys, pyvips
x = pyvips.Image.new_from_file(sys.argv[1], access="sequential")
y = x.gaussblur({sigma}, precision="{precision}", min_ampl=0.001)
y.cast("uchar").tiffsave(sys.argv[2], tile=True, tile_width=512, tile_height=512, bigtiff=True)
"""
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


def contenders(memory: str, python: str) -> dict[str, tuple[str, str, list[str]]]:
    """Name: (kind of input, kind of output, command without the two files)."""
    apply = [python, "-m", "corr2d.cli", "apply", "IN", "OUT", "-k", f"gaussian:sigma={SIGMA}", "--memory", memory]
    script = lambda text, **more: [python, "-c", text.format(sigma=SIGMA, **more), "IN", "OUT"]  # noqa: E731
    return {
        "corr2d apply, Zarr": ("zarr", "zarr", apply),
        "corr2d apply, 1 thread, Zarr": ("zarr", "zarr", [*apply, "--threads", "1"]),
        "corr2d apply, cluster, Zarr": ("zarr", "zarr", script(CLUSTER)),
        "corr2d in memory, Zarr": ("zarr", "zarr", script(MEMORY)),
        "dask-image, Zarr": ("zarr", "zarr", script(DASK_IMAGE)),
        "corr2d apply, TIFF": ("tif", "tif", apply),
        "libvips integer, TIFF": ("tif", "tif", script(VIPS, precision="integer")),
        "libvips float, TIFF": ("tif", "tif", script(VIPS, precision="float")),
        "corr2d apply, NPY": ("npy", "npy", [*apply, "--dtype", "uint8"]),
        "SciPy on memory maps, NPY": ("npy", "npy", script(SCIPY)),
    }


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
    record = json.loads(subprocess.run([sys.executable, "-S", "-c", WATCH, *argv], capture_output=True, check=True).stdout)
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
    runs = {name: what for name, what in contenders(options.memory, sys.executable).items() if any(part in name for part in options.only.split('|'))}
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        here = Path(folder)
        picture(options.side, here, options.chunk, {source for source, _, _ in runs.values()})
        records: dict[str, list[dict[str, float]]] = {name: [] for name in runs}
        reference = None
        for turn in range(options.repeat):
            for name, (source, kind, command) in runs.items():
                out = here / f"out.{kind}"
                if out.exists():
                    shutil.rmtree(out) if out.is_dir() else out.unlink()
                records[name].append(watched([{"IN": str(here / f"in.{source}"), "OUT": str(out)}.get(w, w) for w in command]))
                if not turn and options.side <= 16384:
                    result = opened(out)[64:-64, 64:-64].astype(np.int16)
                    reference = result if reference is None else reference
                    worst = int(np.abs(result - reference).max())
                    if worst > (8 if "integer" in name else 1 if "corr2d" in name else 2):
                        raise SystemExit(f"{name}: differs from the first by {worst}")
        pixels = options.side**2 / 1e6
        print(f"{options.side}x{options.side} uint8, gaussian sigma={SIGMA}, chunks of {options.chunk}, medians of {options.repeat}")
        print(f"{'':30}{'wall s':>9}{'CPU s':>9}{'Mpixel/s':>10}{'peak MiB':>10}")
        for name, those in records.items():
            wall, cpu, peak = (statistics.median(one[key] for one in those) for key in ("wall", "cpu", "peak"))
            print(f"{name:30}{wall:9.2f}{cpu:9.2f}{pixels / wall:10.0f}{peak:10.0f}")


if __name__ == "__main__":
    main()
