"""Inside other people's pools: joblib, PyTorch's data loaders, executors left open, interpreters without a lock."""

import sys
import sysconfig
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import corr2d
from cases import dense, gauss, mexican, pixels
from corr2d.engines import CANDIDATES
from machine import run_python

METHODS = [m for m in dict.fromkeys(c.method for c in CANDIDATES) if m != "reference"]
KERNELS = dict(separable=gauss(9, 1.5), lowrank=mexican(9, 1.6), box=np.full((9, 8), 0.1))
IMAGE = pixels(300, 420)
CHANNELS, MIXING = pixels(3, 100, 120), dense(12, 25).reshape(4, 3, 5, 5)


def solve(method):
    """One answer of a method, at module level so that other processes find it."""
    if method == "matmul":  # of PyTorch, for channels that mix
        pytest.importorskip("torch")
        return corr2d.corr2d(CHANNELS, MIXING, method=method, padding="same", boundary="reflect")
    return corr2d.corr2d(IMAGE, KERNELS.get(method, dense(7, 6)), method=method, padding="same", boundary="reflect")


@pytest.mark.parametrize("backend", ["threading", "loky"])
def test_joblib(backend):
    """Workers of every kind that joblib has, more of them than cores, give what the caller gets."""
    joblib = pytest.importorskip("joblib")
    wanted = [solve(m) for m in METHODS]
    with joblib.parallel_config(backend=backend, n_jobs=4):
        results = joblib.Parallel()(joblib.delayed(solve)(m) for m in METHODS * 3)
    assert all(np.array_equal(r, w) for r, w in zip(results, wanted * 3, strict=True))


class Filtered:
    """A data set whose samples are filtered when they are asked for, as an augmentation does it."""

    def __len__(self):
        return 24

    def __getitem__(self, index):
        torch = sys.modules["torch"]
        image = torch.from_numpy(np.roll(IMAGE, index, 0).copy())
        return corr2d.corr2d(image, gauss(7, 1.0), padding="same", boundary="reflect")


def test_data_loader_workers():
    """PyTorch's workers, started with the parent's threads running, deliver the parent's results."""
    torch = pytest.importorskip("torch")
    data = Filtered()
    wanted = torch.stack([data[i] for i in range(len(data))])
    loader = torch.utils.data.DataLoader(data, batch_size=4, num_workers=2, timeout=120)
    assert torch.equal(torch.cat(list(loader)), wanted)


def test_all_methods_at_once():
    """Every method in many threads, each call with threads of its own, while the default number changes."""
    wanted = {m: solve(m) for m in METHODS}
    before, wrong, done = corr2d.get_threads(), [], threading.Event()

    def meddle():
        n = 0
        while not done.wait(0.001):
            corr2d.set_threads(n % 4 + 1)
            n += 1

    meddler = threading.Thread(target=meddle)
    meddler.start()
    try:
        with ThreadPoolExecutor(12) as pool:
            for method, result in pool.map(lambda m: (m, solve(m)), METHODS * 15):
                if not np.array_equal(result, wanted[method]):
                    wrong.append(method)
    finally:
        done.set()
        meddler.join()
        corr2d.set_threads(before)
    assert wrong == []


ENDS = """
import atexit, os, threading, time
tasks = lambda: len(os.listdir("/proc/self/task"))
def tell():
    for _ in range(200):  # a thread that has been joined is on the system's list for a moment longer
        if tasks() == before: break
        time.sleep(0.01)
    print("at the end", tasks())
atexit.register(tell)  # before corr2d is there: so after it has ended
import numpy as np, scipy.fft, corr2d  # these two bring threads of their own, which stay
before = tasks()
print("before", before, flush=True)
image = np.random.default_rng(1).random((900, 900))
for method, kernel in dict(direct=np.random.rand(5, 5), fft=np.random.rand(41, 41), box=np.ones((9, 9))).items():
    corr2d.corr2d(image, kernel, method=method, threads=6)
corr2d.corr2d(image + 0j, np.random.rand(41, 41), method="fft", threads=6)
print("with", tasks(), flush=True)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="counts threads in /proc")
def test_no_thread_outlives_the_interpreter():
    """The threads that calls started are gone when the interpreter is."""
    count = dict(line.rsplit(" ", 1) for line in run_python(ENDS).splitlines())
    assert int(count["with"]) >= int(count["before"]) + 5, "there were threads"
    assert int(count["at the end"]) == int(count["before"])


OPEN = """
import threading, numpy as np, corr2d
from concurrent.futures import ThreadPoolExecutor
image, kernel = np.ones((600, 700)), np.random.rand(7, 7)
pool = ThreadPoolExecutor(6)
futures = [pool.submit(corr2d.corr2d, image, kernel) for _ in range(200)]
print(futures[0].result().shape[0])
"""


def test_an_executor_left_open():
    """An interpreter that ends while other threads still filter waits for them, and ends."""
    start = time.monotonic()
    assert run_python(OPEN, quiet=True, timeout=60).split() == ["594"]
    assert time.monotonic() - start < 30


@pytest.mark.skipif(not sysconfig.get_config_var("Py_GIL_DISABLED"), reason="this interpreter has a lock")
def test_without_an_interpreter_lock():
    """A free-threaded CPython turns its lock on for this module, which does not claim to do without."""
    assert sys._is_gil_enabled()
    test_all_methods_at_once()
