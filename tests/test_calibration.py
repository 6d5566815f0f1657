"""Constants measured on this machine: fitted, kept, read lazily; and whatever happens to their file, calls work."""

import json
import math
import os
import stat
import subprocess
import sys
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace

import numpy as np
import pytest

import corr2d
from cases import PHOTO, dense, gauss, pixels
from corr2d import _calibrate, _constants, _cost
from corr2d._calibrate import PROBES, Probe, calibrate, fit, measure, prediction
from corr2d._cost import Machine, default_machine
from corr2d.cli import main
from machine import run_python

DEFAULTS = asdict(default_machine())


@pytest.fixture
def cache(tmp_path, monkeypatch, unplanned):
    """An empty cache folder, in a process that has planned nothing."""
    monkeypatch.setenv("CORR2D_CACHE", str(tmp_path))
    return tmp_path


def store(**changed):
    return _constants.save(DEFAULTS | changed)


def write(text):
    path = _constants.path()
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def filtered(kernel=None, **options):
    image = pixels(60, 70)
    return corr2d.plan(image, dense(5, 5) if kernel is None else kernel, **options)(image)


# -------------------------------------------------------------------------------------------------
# the fit


@pytest.fixture(scope="module")
def predictions():
    """On two threads, also where there is one core: their waking is one of the constants."""
    corr2d.set_threads(2)
    yield [prediction(probe.plan()) for probe in PROBES]
    corr2d.set_threads(None)


def test_the_fit_recovers_known_constants(predictions):
    """Timings that a made-up machine would show give back that machine's constants, to a few percent."""
    rng = np.random.default_rng(3)
    truth = Machine(**{name: value * math.exp(rng.uniform(-0.7, 0.7)) for name, value in DEFAULTS.items()})
    truth = replace(truth, bytes_rate_all=1.7 * truth.bytes_rate)
    found = fit([(p, p(truth)) for p in predictions], default_machine())
    for name, value in asdict(truth).items():
        tolerance = 1.5 if name == "load_rate" else 1.1  # little depends on it
        assert 1 / tolerance < getattr(found, name) / value < tolerance, name


def test_the_fit_stands_noise_and_an_outlier(predictions):
    """5 % of noise, and one timing wrong by a factor of 10, do not bend the constants that others feel too."""
    rng = np.random.default_rng(4)
    truth = replace(default_machine(), fma_rate=DEFAULTS["fma_rate"] / 2, convert_rate=DEFAULTS["convert_rate"] * 2)
    timings = [p(truth) * math.exp(rng.normal(0, 0.05)) for p in predictions]
    victim = next(i for i, probe in enumerate(PROBES) if probe.feels == "fma_rate")
    timings[victim] *= 10
    found = fit(list(zip(predictions, timings, strict=True)), default_machine())
    assert 0.75 < found.fma_rate / truth.fma_rate < 1.33
    assert 0.75 < found.transform_rate / truth.transform_rate < 1.33


def test_constants_that_no_probe_feels_stay(predictions):
    """What was not measured keeps its default."""
    feel_little = [p for p, probe in zip(predictions, PROBES, strict=True) if probe.feels == "call_overhead"]
    found = fit([(p, 3 * p(default_machine())) for p in feel_little], default_machine())
    assert found.call_overhead > 2 * DEFAULTS["call_overhead"]
    assert found.exact_rate == pytest.approx(DEFAULTS["exact_rate"])
    assert found.fft_rate == pytest.approx(DEFAULTS["fft_rate"])


def test_every_constant_is_felt_by_a_probe(predictions):
    """Each constant changes the predicted time of the probes that name it, by some percent of its own change."""
    assert {name for probe in PROBES for name in probe.feels.split()} == DEFAULTS.keys()
    m = default_machine()
    for name in DEFAULTS:
        more = replace(m, **{name: 1.01 * getattr(m, name)})
        felt = [abs(math.log(p(more) / p(m))) for p, probe in zip(predictions, PROBES, strict=True) if name in probe.feels.split()]
        assert max(felt) > 0.02 * math.log(1.01), name


def test_measuring_forgives_disturbances_and_stops_in_time():
    """With a clock of our own: quartiles of interleaved samples; and a budget ends the rounds."""
    now, calls = [0.0], []

    def takes(name, seconds):
        def call():
            calls.append(name)
            now[0] += seconds if len(calls) % 7 else 40 * seconds  # now and then something else runs

        return call

    found = measure([takes("a", 0.004), takes("b", 0.5e-3)], clock=lambda: now[0])
    assert found[0] == pytest.approx(0.004)
    assert found[1] == pytest.approx(0.5e-3, rel=0.01)
    assert calls[:2] == ["a", "a"]
    assert calls.index("b") < len(calls) - calls[::-1].index("a")
    begun = now[0]
    measure([takes("slow", 1.0)], clock=lambda: now[0], budget=2.0)
    assert now[0] - begun < 60


def test_a_calibration_is_a_table_and_a_dictionary(cache, monkeypatch):
    """print() shows each constant before and after and where the choice turns; to_dict() is JSON."""
    monkeypatch.setattr(_calibrate, "ROUNDS", 1)
    shares = []
    made = calibrate(shares.append, PROBES[:2])
    text = str(made)
    for name in DEFAULTS:
        assert name in text
    assert "chosen" in text
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1.0)
    data = json.loads(json.dumps(made.to_dict(), allow_nan=False))
    assert data["after"].keys() == DEFAULTS.keys()
    assert len(data["probes"]) == 2
    assert data["crossing"]
    assert list(cache.iterdir()) == []  # nothing is stored by measuring


# -------------------------------------------------------------------------------------------------
# the file


def test_stored_constants_change_predictions_and_never_results(cache):
    """Ten times slower constants predict longer times; every method's bits stay; the choice may change, the bound holds."""
    kernels = {"direct": dense(7, 7), "separable": gauss(9, 2.0), "sparse": dense(3, 3), "fft": dense(31, 31)}
    before = {m: (corr2d.plan(PHOTO, k, method=m).seconds, filtered(k, padding="same", method=m)) for m, k in kernels.items()}
    slower = {name: value / 10 for name, value in DEFAULTS.items() if name.endswith("_rate") or name == "bytes_rate_all"}
    store(**slower)
    _cost._machine = None
    from corr2d import _plan

    _plan._kept.clear()
    for method, (seconds, result) in before.items():
        assert corr2d.plan(PHOTO, kernels[method], method=method).seconds > 5 * seconds
        assert filtered(kernels[method], padding="same", method=method).tobytes() == result.tobytes()
    _cost._machine = replace(default_machine(), fma_rate=1e6, sum_rate=1e6)
    _plan._kept.clear()
    assert corr2d.plan((60, 70), dense(9, 9)).method == "fft"
    kernel, image = dense(9, 9), pixels(60, 70)
    exact = corr2d.corr2d(image.astype(float), kernel)
    assert np.abs(corr2d.corr2d(image, kernel) - exact).max() <= 32 * 2.0**-24 * np.abs(kernel).sum() * np.abs(image).max()


def test_the_file_is_read_once_and_not_by_importing(cache):
    """The first plan reads it; an import does not, nor does it bring platformdirs."""
    store(reference_rate=123e3)
    code = """
        import corr2d, sys
        from corr2d import _cost
        print(_cost._machine is None, "platformdirs" in sys.modules)
        corr2d.plan((9, 9), [[1.0]])
        print(_cost._machine.reference_rate)
    """
    assert run_python("\n".join(line.strip() for line in code.splitlines())).split() == ["True", "False", "123000.0"]


def test_threads_that_plan_at_once_use_the_same_constants(cache, monkeypatch):
    """Nobody plans with the defaults while another is still reading."""
    store(reference_rate=123e3)
    load = _constants.load

    def slowly(defaults):
        time.sleep(0.05)
        return load(defaults)

    monkeypatch.setattr(_constants, "load", slowly)
    with ThreadPoolExecutor(8) as pool:
        machines = set(pool.map(lambda _: _cost.machine(), range(8)))
    assert [m.reference_rate for m in machines] == [123e3]


BROKEN = {
    "empty": "",
    "half": '{"key": {"schema": 1',
    "binary": b"\x00\xff\xfe\x80" * 50,
    "not an object": "[1, 2, 3]",
    "deep": "[" * 60000,
    "no key": json.dumps({"constants": DEFAULTS}),
    "no constants": lambda: json.dumps({"key": _constants.key()}),
    "one missing": lambda: record({k: v for k, v in DEFAULTS.items() if k != "fma_rate"}),
    "one too many": lambda: record(DEFAULTS | {"warp_rate": 9.0}),
    "negative": lambda: record(DEFAULTS | {"fma_rate": -1e9}),
    "zero": lambda: record(DEFAULTS | {"call_overhead": 0}),
    "NaN": lambda: record(DEFAULTS | {"fma_rate": math.nan}),
    "infinite": lambda: record(DEFAULTS | {"bytes_rate": math.inf}),
    "beyond floats": lambda: record(DEFAULTS | {"bytes_rate": 10**400}),
    "text": lambda: record(DEFAULTS | {"fma_rate": "fast"}),
    "bool": lambda: record(DEFAULTS | {"cache_bytes": True}),
    "null": lambda: record(DEFAULTS | {"fma_rate": None}),
    "absurd": lambda: record(DEFAULTS | {"fma_rate": 1e30}),
    "another machine": lambda: json.dumps({"key": _constants.key() | {"processor": "Z80"}, "constants": DEFAULTS}),
    "too long": lambda: record(DEFAULTS) + " " * 70000 + "x",
}


def record(constants):
    return json.dumps({"key": _constants.key(), "constants": constants})


@pytest.mark.parametrize("text", BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_file_is_left_aside_with_one_warning(cache, text):
    """Results and predictions are those without a file; the first plan warns, no other does."""
    expected = filtered(), default_machine()
    _cost._machine = None
    corr2d._plan._kept.clear()
    path = write(text() if callable(text) else text)
    with pytest.warns(RuntimeWarning, match="corr2d calibrate") as caught:
        result = filtered()
    assert len(caught) == 1
    assert np.array_equal(result, expected[0])
    assert _cost.machine() == expected[1]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        filtered(dense(3, 4))
    assert path.exists()


def test_the_checks_of_the_file_can_pass(cache):
    """The same writer without a fault is believed: the tests above fail for the fault they name."""
    write(record(DEFAULTS | {"fma_rate": 1.25e9}))
    assert corr2d.plan((9, 9), [[1.0]]).seconds > 0
    assert _cost.machine().fma_rate == 1.25e9


def test_a_folder_or_a_pipe_in_its_place(cache):
    """What is no regular file is not opened: a pipe would wait for ever."""
    _constants.path().mkdir()
    with pytest.warns(RuntimeWarning, match="regular file"):
        filtered()
    _constants.path().rmdir()
    os.mkfifo(_constants.path())
    _cost._machine = None
    with pytest.warns(RuntimeWarning, match="regular file"):
        _cost.machine()


def test_a_cache_folder_that_cannot_be(cache, monkeypatch, capsys):
    """A file where the folder should be: calls work; calibrate says what to do and ends with 1."""
    occupied = cache / "occupied"
    occupied.write_text("")
    monkeypatch.setenv("CORR2D_CACHE", str(occupied))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        filtered()
    monkeypatch.setattr(_calibrate, "ROUNDS", 1)
    monkeypatch.setattr(_calibrate, "PROBES", PROBES[:1])
    assert main(["calibrate"]) == 1
    assert "CORR2D_CACHE" in capsys.readouterr().err


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads and writes everything")
def test_a_cache_folder_without_permission(cache):
    """An unreadable file warns once; an unwritable folder is an OSError for who writes."""
    path = store()
    path.chmod(0)
    with pytest.warns(RuntimeWarning, match="permission"):
        filtered()
    cache.chmod(stat.S_IRUSR | stat.S_IXUSR)
    with pytest.raises(OSError):
        store()
    cache.chmod(stat.S_IRWXU)


def test_machines_do_not_share_files(cache, monkeypatch):
    """Processor, instruction set, cores and schema are in the file's name: one home serves many machines."""
    names = {_constants.path().name}
    for name, value in {"processor": lambda: "Z80", "available_cores": lambda: 999}.items():
        with monkeypatch.context() as here:
            here.setattr(_constants, name, value)
            names.add(_constants.path().name)
    with monkeypatch.context() as here:
        here.setattr(_constants, "SCHEMA", _constants.SCHEMA + 1)
        names.add(_constants.path().name)
    assert len(names) == 4
    assert all(name.isascii() and "/" not in name for name in names)


def test_many_writers_at_once(cache):
    """Whoever reads while others write finds one of the written files, whole; no leftovers stay."""
    store()

    def write_one(i):
        store(reference_rate=1e6 + i)

    with ThreadPoolExecutor(8) as pool:
        writing = [pool.submit(write_one, i) for i in range(60)]
        seen = {_constants.load(DEFAULTS)["reference_rate"] for _ in range(200)}
        for each in writing:
            each.result()
    assert seen <= {DEFAULTS["reference_rate"], *(1e6 + i for i in range(60))}
    assert [p.name for p in cache.iterdir()] == [_constants.path().name]


def test_two_processes_calibrating_at_once(cache):
    """Both succeed, and what stays is one of their files."""
    code = "from corr2d import _calibrate as c, cli; c.ROUNDS = 1; c.PROBES = c.PROBES[:2]; raise SystemExit(cli.main(['calibrate', '--json']))"
    both = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    written = [json.loads(out)["after"] for out, _ in said]
    assert _constants.load(DEFAULTS) in written
    assert len(list(cache.iterdir())) == 1


# -------------------------------------------------------------------------------------------------
# the command


@pytest.fixture
def quick(monkeypatch):
    """A calibration of one round of two probes."""
    monkeypatch.setattr(_calibrate, "ROUNDS", 1)
    monkeypatch.setattr(_calibrate.calibrate, "__defaults__", (_calibrate.calibrate.__defaults__[0], PROBES[:2]))


def test_calibrate_keeps_what_it_measured(cache, quick, capsys):
    """The table on stdout, nothing on stderr without a terminal, the file where it says."""
    assert main(["calibrate"]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    assert "fma_rate" in said.out
    assert str(_constants.path()) in said.out
    assert _constants.load(DEFAULTS).keys() == DEFAULTS.keys()
    assert main(["calibrate", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["path"] == str(_constants.path())


def test_calibrate_replaces_a_broken_file(cache, quick, capsys):
    """No warning of the file that is being replaced."""
    write("{")
    assert main(["calibrate"]) == 0
    assert capsys.readouterr().err == ""
    assert _constants.load(DEFAULTS)


def test_reset_removes_the_file(cache, capsys):
    """And says so; twice is no error."""
    path = store()
    assert main(["calibrate", "--reset"]) == 0
    assert str(path) in capsys.readouterr().out
    assert not path.exists()
    assert main(["calibrate", "--reset"]) == 0
    assert "nothing" in capsys.readouterr().out
    assert main(["calibrate", "--reset", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"removed": None}


def test_ctrl_c_leaves_the_old_file(cache, quick, monkeypatch):
    """Interrupted anywhere, what was stored before is untouched."""
    path = store(reference_rate=4.5e6)
    before = path.read_bytes()

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(_calibrate, "measure_crossing", interrupted)
    assert main(["calibrate"]) == 130
    assert path.read_bytes() == before
    assert [p.name for p in cache.iterdir()] == [path.name]


def test_a_full_disk_leaves_the_old_file(cache, quick, monkeypatch, capsys):
    """A write that fails half way is an error, and the old constants stay."""
    path = store()
    before = path.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    assert main(["calibrate"]) == 1
    assert "no space left" in capsys.readouterr().err
    assert path.read_bytes() == before
    assert [p.name for p in cache.iterdir()] == [path.name]


def test_probes_are_small():
    """All images and results of the probes together stay below 200 MB."""
    assert sum(2 * np.prod(probe.shape) * max(4, np.dtype(probe.dtype).itemsize) for probe in PROBES) < 200e6
    assert isinstance(PROBES[0], Probe)
