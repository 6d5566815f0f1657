"""On a `distributed` cluster: the same bits, also after a worker was killed; a block that fails for good names itself."""

import json
import os
import re
import signal
import subprocess
import sys

import pytest

pytest.importorskip("distributed", reason="clusters need distributed")
pytest.importorskip("zarr", reason="Zarr files need zarr")

SETUP = """
import contextlib, io, json, logging, os, signal, sys, threading, time, warnings
warnings.simplefilter("ignore")
import numpy as np, zarr, dask
import dask.array as da
from distributed import Client, LocalCluster
import corr2d
from corr2d import cli

dask.config.set({"distributed.scheduler.allowed-failures": 5})

def kill_one(client, after):
    time.sleep(after)
    info = client.scheduler_info(n_workers=-1)["workers"]
    os.kill(client.run(os.getpid, workers=list(info)[:1]).popitem()[1], signal.SIGKILL)

if __name__ == "__main__":
    cluster = LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs=logging.CRITICAL)
    client = Client(cluster)
    image = np.random.default_rng(5).integers(0, 256, (600, 700)).astype("uint8")
    zarr.create_array("in.zarr", shape=image.shape, chunks=(64, 100), dtype="u1")[...] = image
    kernel = np.random.default_rng(6).standard_normal((7, 4))
    np.save("k.npy", kernel)
    scheduler = ["--scheduler", cluster.scheduler_address]
    seen = {}

    from corr2d import _stream
    _stream._LARGEST_BAND = 1
    good = open("in.zarr/c/8/2", "rb").read()
    open("in.zarr/c/8/2", "wb").write(b"garbage" * 9)
    command = ["apply", "in.zarr", "mended.zarr", "-k", "box:3", *scheduler]
    seen["corrupt"] = cli.main(command), os.path.exists("mended.zarr")
    open("in.zarr/c/8/2", "wb").write(good)
    statuses = cli.main([*command, "--resume"]), cli.main([*command, "--resume"])
    expected = np.rint(corr2d.corr2d(image, np.ones((3, 3)) / 9, padding="same", boundary="reflect"))
    seen["mended"] = *statuses, bool((zarr.open("mended.zarr")[...] == expected).all())

    def slow(block):
        time.sleep(0.05)
        return block
    lazy = da.from_array(image, chunks=(64, 100)).map_blocks(slow, dtype="uint8")
    threading.Thread(target=kill_one, args=(client, 0.8)).start()
    start = time.time()
    result = client.compute(corr2d.corr2d(lazy, kernel, padding="same", boundary="wrap")).result()
    seen["seconds"] = time.time() - start
    seen["lazily"] = bool((result == corr2d.corr2d(image, kernel, padding="same", boundary="wrap")).all())

    filtered = _stream._task
    def slowed(*arguments):
        time.sleep(0.2)
        return filtered(*arguments)
    _stream._task = slowed
    threading.Thread(target=kill_one, args=(client, 0.5)).start()
    status = cli.main(["apply", "in.zarr", "out.zarr", "-k", "@k.npy", "--dtype", "float32", *scheduler])
    expected = corr2d.corr2d(image, kernel, padding="same", boundary="reflect")
    seen["streamed"] = status, bool((zarr.open("out.zarr")[...] == expected).all())
    def deaths():
        return sum(event.get("action") == "remove-worker" for _, event in client.get_events("all"))
    seen["died"] = deaths()

    from corr2d._learning import pairs
    pairs._TASK, worked_out = 1 << 14, pairs._task
    def slowly(*arguments):
        time.sleep(0.2)
        return worked_out(*arguments)
    pairs._task = slowly
    after = np.rint(corr2d.corr2d(image, np.ones((3, 3)) / 9, padding="same", boundary="reflect")).astype("uint8")
    zarr.create_array("after.zarr", shape=image.shape, chunks=(100, 128), dtype="u1")[...] = after
    np.save("in.npy", image), np.save("after.npy", after)
    def learned(*files):
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            status = cli.main(["learn", *files, "--max-size", "5", "--json"])
        return status, printed.getvalue()
    before_it = deaths()
    threading.Thread(target=kill_one, args=(client, 0.5)).start()
    on_cluster = learned("in.zarr", "after.zarr", *scheduler)
    seen["learned"] = on_cluster[0], on_cluster == learned("in.npy", "after.npy"), deaths() > before_it
    seen["files"] = os.listdir()

    cluster.scale(0)
    while client.nthreads():
        time.sleep(0.05)
    seen["alone"] = cli.main(["apply", "in.zarr", "x.zarr", "-k", "box:3", *scheduler]), os.path.exists("x.zarr")
    print(json.dumps(seen))
    cluster.close()
"""


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """What that script saw, and what it said: one cluster of two workers for all tests, in an interpreter of its own."""
    folder = tmp_path_factory.mktemp("cluster")
    (folder / "script.py").write_text(SETUP)
    process = subprocess.Popen(
        [sys.executable, "script.py"], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        out, err = process.communicate(timeout=120)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    assert process.returncode == 0, err[-3000:]
    return json.loads(out.strip().splitlines()[-1]), err


def test_a_killed_worker_costs_time_and_not_correctness(ran):
    """Lazily and by the command line; the blocks are slowed, so that a worker dies amid them each time."""
    seen, _ = ran
    assert seen["lazily"]
    assert seen["streamed"] == [0, True]
    assert seen["seconds"] > 0.8  # it was still at work
    assert seen["died"] >= 2
    assert not [name for name in seen["files"] if "partial" in name]


def test_learning_on_a_cluster(ran):
    """The answer in memory, to the last digit, although a worker died amid its sums."""
    assert ran[0]["learned"] == [0, True, True]


def test_a_corrupt_chunk_fails_on_a_cluster_too(ran):
    """The chunk is named, nothing looks finished, and once mended --resume completes the output."""
    seen, said = ran
    assert seen["corrupt"] == [1, False]
    assert re.search(r"in\.zarr: chunk \(8, 2\) cannot be read", said)
    assert seen["mended"] == [0, 0, True]
    assert "mended.zarr: is finished already" in said


def test_a_cluster_without_workers_is_refused(ran):
    seen, said = ran
    assert seen["alone"] == [1, False]
    assert re.search("it has no workers; start some with `dask worker tcp://", said)


