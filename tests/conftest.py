"""Tests plan with the defaults, whatever was calibrated on this machine; subprocesses too."""

import os
import signal
import tempfile

import pytest

_nowhere = tempfile.TemporaryDirectory(prefix="corr2d-tests-")
os.environ["CORR2D_CACHE"] = _nowhere.name

# A shell starts what it runs in the background deaf to Ctrl-C, and so would be all that the tests start and interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def unplanned():
    """As in a new process: no constants read, no plan made."""
    from corr2d import _cost, _plan

    def forget():
        _cost._machine = None
        _plan._kept.clear()

    forget()
    yield
    forget()
