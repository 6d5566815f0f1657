"""Fresh interpreters for tests: what a process imports, how long it takes, how much memory it touches."""

import os
import subprocess
import sys
from textwrap import dedent

import pytest

PEAK = """
def _status(word):
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(word)) / 1024

def _measured(call):
    with open("/proc/self/clear_refs", "w") as peak:
        peak.write("5")  # the high-water mark starts again from here
    before = _status("VmRSS")
    call()
    return _status("VmHWM") - before
"""


def run_python(code, *, timeout=120, flags=("-W", "error"), quiet=False):
    """Standard output of a fresh interpreter that ran ``code``; it must succeed, without a word on stderr where ``quiet``."""
    done = subprocess.run(
        [sys.executable, *flags, "-c", code], capture_output=True, text=True, timeout=timeout, check=False
    )
    assert done.returncode == 0, f"status {done.returncode}: {done.stderr[-3000:]}"
    assert not (quiet and done.stderr), done.stderr[-3000:]
    return done.stdout


def peak_of(setup, call):
    """MiB by which the peak of a fresh process grows during ``call`` after ``setup`` has run."""
    if not os.access("/proc/self/clear_refs", os.W_OK):
        pytest.skip("needs Linux's /proc")
    code = f"{PEAK}\n{dedent(setup)}\nprint(_measured(lambda: {dedent(call).strip()}))"
    return float(run_python(code))
