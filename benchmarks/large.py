"""Images larger than memory: throughput and peak memory of `corr2d apply`, beside dask-image, SciPy and libvips.

    python benchmarks/large.py --side 24576 --kernel gaussian:sigma=3 --repeat 3

Every run is a process of its own, so that its peak is its own; the contenders take turns. Files
are in the page cache (they were just written, or read once before). libvips reads and writes
tiled TIFF, SciPy maps .npy files, the others Zarr with chunks of 1024 x 1024 and Zarr's default
compression. Results are compared with corr2d's before anything is printed. They differ by up to
two: SciPy and dask-image cut off fractions between their two passes and at the end, libvips has
a Gaussian of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
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
y = x.gaussblur({sigma}, precision="{precision}", min_ampl=0.0004)
y.cast("uchar").tiffsave(sys.argv[2], tile=True, tile_width=512, tile_height=512, bigtiff=True)
"""
MEMORY = """
import sys, zarr, corr2d
from corr2d import kernels
a = zarr.open(sys.argv[1], mode="r")
y = corr2d.corr2d(a[:], kernels.gaussian({sigma}), padding="same", boundary="reflect", dtype="uint8")
zarr.create_array(sys.argv[2], shape=y.shape, chunks=a.chunks, dtype=y.dtype, compressors=a.compressors)[:] = y
"""


def contenders(memory: str, python: str) -> dict[str, tuple[str, str, list[str]]]:
    """Name: (kind of input, kind of output, command without the two files)."""
    apply = [python, "-m", "corr2d.cli", "apply", "IN", "OUT", "-k", f"gaussian:sigma={SIGMA}", "--memory", memory]
    script = lambda text, **more: [python, "-c", text.format(sigma=SIGMA, **more), "IN", "OUT"]  # noqa: E731
    return {
        "corr2d apply, Zarr": ("zarr", "zarr", apply),
        "corr2d in memory, Zarr": ("zarr", "zarr", script(MEMORY)),
        "dask-image, Zarr": ("zarr", "zarr", script(DASK_IMAGE)),
        "corr2d apply, TIFF": ("tif", "tif", apply),
        "libvips integer, TIFF": ("tif", "tif", script(VIPS, precision="integer")),
        "libvips float, TIFF": ("tif", "tif", script(VIPS, precision="float")),
        "corr2d apply, NPY": ("npy", "npy", [*apply, "--dtype", "uint8"]),
        "SciPy on memory maps, NPY": ("npy", "npy", script(SCIPY)),
    }


def picture(side: int, folder: Path, chunk: int) -> None:
    """A noisy picture in three formats."""
    import tifffile
    import zarr
    from scipy.ndimage import gaussian_filter

    rng = np.random.default_rng(0)
    unit = min(side, 2048)
    base = gaussian_filter(rng.standard_normal((unit, unit)).astype(np.float32), 8)
    base = (base / np.abs(base).max() * 100 + 128 + rng.normal(0, 3, base.shape)).clip(0, 255).astype(np.uint8)
    array = zarr.create_array(str(folder / "in.zarr"), shape=(side, side), chunks=(chunk, chunk), dtype="u1")
    mapped = np.lib.format.open_memmap(folder / "in.npy", "w+", np.uint8, (side, side))
    for y in range(0, side, unit):
        band = np.tile(base, (1, -(-side // unit)))[: min(unit, side - y), :side]
        array[y : y + unit] = band
        mapped[y : y + unit] = band
    mapped.flush()
    tifffile.imwrite(folder / "in.tif", mapped, tile=(512, 512), bigtiff=True)


def watched(argv: list[str]) -> dict[str, float]:
    """Run in a fork whose only child it is, for the system adds up the peaks of all children."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        start = time.perf_counter()
        done = subprocess.run(argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False)
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        record = {
            "wall": time.perf_counter() - start, "cpu": used.ru_utime + used.ru_stime, "peak": used.ru_maxrss / 1024,
            "status": done.returncode, "said": done.stderr.decode()[-300:],
        }  # fmt: skip
        os.write(writing, json.dumps(record).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        record = json.loads(pipe.read())
    os.waitpid(child, 0)
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
    parser.add_argument("--only", default="", help="part of the names to run")
    parser.add_argument("--folder", type=Path, help="where the files go; default a temporary folder")
    options = parser.parse_args()
    runs = {name: what for name, what in contenders(options.memory, sys.executable).items() if options.only in name}
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        here = Path(folder)
        picture(options.side, here, options.chunk)
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
                    if worst > 2 or ("corr2d" in name and worst > 1):
                        raise SystemExit(f"{name}: differs from the first by {worst}")
        pixels = options.side**2 / 1e6
        print(f"{options.side}x{options.side} uint8, gaussian sigma={SIGMA}, chunks of {options.chunk}, medians of {options.repeat}")
        print(f"{'':28}{'wall s':>9}{'CPU s':>9}{'Mpixel/s':>10}{'peak MiB':>10}")
        for name, those in records.items():
            wall, cpu, peak = (statistics.median(one[key] for one in those) for key in ("wall", "cpu", "peak"))
            print(f"{name:28}{wall:9.2f}{cpu:9.2f}{pixels / wall:10.0f}{peak:10.0f}")


if __name__ == "__main__":
    main()
