"""A wheel of this platform, built, and installed where there is no compiler and no source: does it work there?

    python tests/wheel.py [FOLDER]     (default: dist)

The environment is new, has the package's dependencies and nothing else, and sees no compiler on its
path. What runs in it is this file once more.
"""

import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def build(folder):
    """Build the wheel; its path."""
    subprocess.run([sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, ROOT], check=True)
    return max(folder.glob("corr2d-*.whl"), key=lambda path: path.stat().st_mtime)


def install(wheel, folder):
    """Install it into a new environment, from wheels only; the environment's interpreter."""
    venv.create(folder, with_pip=True)
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    subprocess.run([python, "-I", "-m", "pip", "install", "--quiet", "--only-binary=:all:", wheel], check=True)
    return python


def smoke():
    """In the new environment: every method against the sum, integers, errors, the command line."""
    import shutil

    import numpy as np

    import corr2d
    from corr2d import _native

    assert not shutil.which("cc") and not shutil.which("g++"), "a compiler is in sight"
    assert Path(_native.__file__).is_relative_to(sys.prefix), f"{_native.__file__} is not what was installed"
    rng = np.random.default_rng(1)
    image = rng.integers(0, 256, (90, 130), np.uint8)
    kernels = dict(
        direct=rng.integers(-9, 9, (5, 4)), separable=np.outer([1, 2, 1], [1, 0, -1]), box=np.ones((7, 6), int), sparse=np.eye(6, dtype=int),
        fft=rng.integers(-9, 9, (15, 14)),
    )  # fmt: skip
    tried = []
    for isa in _native.available_isas():
        _native.use_isa(isa)
        for method, kernel in kernels.items():
            windows = np.lib.stride_tricks.sliding_window_view(image.astype(int), kernel.shape)
            assert np.array_equal(corr2d.corr2d(image, kernel, method=method), (windows * kernel).sum(axis=(2, 3))), (isa, method)
        tried.append(isa)
    means = corr2d.corr2d(image.astype(float), np.full((3, 3), 1 / 9), method="fft", padding="same", boundary="reflect")
    padded = np.pad(image.astype(float), 1, mode="reflect")
    assert np.allclose(means, np.lib.stride_tricks.sliding_window_view(padded, (3, 3)).mean(axis=(2, 3)))
    try:
        corr2d.corr2d(image, [1, 2, 3])
    except corr2d.ShapeError as error:
        assert "kernel[None, :]" in str(error)
    else:
        raise AssertionError("a kernel of one axis was accepted")
    described = subprocess.run([sys.executable, "-m", "corr2d.cli", "plan", "3072x4096", "-k", "sobel-x"], capture_output=True, text=True, check=False)
    print(f"corr2d {corr2d.__version__} from {Path(_native.__file__).parent}: {', '.join(kernels)} right on {', '.join(tried)}")
    return described.returncode


def main():
    if "--smoke" in sys.argv:
        return smoke()
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "dist")
    wheel = build(folder)
    print(f"{wheel.name}: {wheel.stat().st_size / 2**20:.2f} MiB")
    with tempfile.TemporaryDirectory() as place:
        python = install(wheel, Path(place) / "env")
        nothing = {"PATH": str(python.parent), "CORR2D_CACHE": place, "HOME": place}
        return subprocess.run([python, "-I", __file__, "--smoke"], env=nothing, cwd=place, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
