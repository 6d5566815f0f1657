"""The studio for tests: a server of its own, a real Chromium, pages that may not complain or look elsewhere."""

import base64
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from contextlib import contextmanager

import numpy as np
import pytest

# Whoever imports this is skipped without them.
pytest.importorskip("starlette", reason="the studio needs starlette: pip install 'corr2d[studio]'")
pytest.importorskip("uvicorn", reason="the studio needs uvicorn: pip install 'corr2d[studio]'")

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
_QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
          "--disable-component-update", "--disable-sync", "--font-render-hinting=none"]  # fmt: skip


@contextmanager
def server(*argv):
    """The address of a `corr2d studio` that runs until the block ends, and ends cleanly."""
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "corr2d.cli", "studio", "--no-browser", "--port", "0", *map(str, argv)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        url = process.stdout.readline().strip()
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/", url), (url, process.stderr.read())
        yield url
    finally:
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err) == (0, "", "")


def ask(url, question, record=None, data=None, headers=()):
    """(status, record, bytes) of one question, as any program may send it."""
    text = json.dumps(record or {})
    request = urllib.request.Request(
        f"{url}api/{question}", data=text.encode() if data is None else data,
        headers={"x-corr2d": "{}" if data is None else text} | dict(headers), method="POST",
    )  # fmt: skip
    try:
        with urllib.request.urlopen(request, timeout=60) as reply:
            body = reply.read()
            inside = reply.headers.get("x-corr2d")
            return (reply.status, json.loads(inside), body) if inside else (reply.status, json.loads(body), b"")
    except urllib.error.HTTPError as refusal:
        with refusal:
            return refusal.code, json.loads(refusal.read()), b""


@contextmanager
def browser():
    """Debian's Chromium, driven by Playwright."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=_QUIET, env={**os.environ, "LANG": "C.UTF-8"})
        yield started
        started.close()


@contextmanager
def page(browser, url, *, allow_errors=False, **context):
    """A page of the studio that is ready; it must stay without an error and without a foreign request."""
    settings = {"viewport": {"width": 1440, "height": 900}, "color_scheme": "light", "locale": "en-GB"} | context
    opened = browser.new_context(**settings)
    opened.set_default_timeout(30_000)
    tab = opened.new_page()
    home = url.split("#")[0]
    said, foreign = [], []
    tab.on("console", lambda message: said.append(message.text) if message.type in ("error", "warning") else None)
    tab.on("pageerror", lambda error: said.append(str(error)))
    tab.on("request", lambda request: None if request.url.startswith((home, "blob:", "data:")) else foreign.append(request.url))
    tab.goto(url)
    settled(tab)
    yield tab
    opened.close()
    assert foreign == []
    assert allow_errors or said == []


def settled(tab):
    """Wait until what is shown belongs to the state of now."""
    tab.locator("#studio[data-settled=true]").wait_for()


def weights(tab):
    """The kernel in the grid."""
    cells = tab.eval_on_selector_all(
        "[data-testid^=kernel-cell-]", "cells => cells.map(c => [c.dataset.testid.split('-').slice(2).map(Number), c.title])"
    )
    rows, columns = (max(at[axis] for at, _ in cells) + 1 for axis in (0, 1))
    out = np.zeros((rows, columns))
    for (i, j), title in cells:
        out[i, j] = float(title.rpartition(": ")[2])
    return out


def set_weights(tab, rows):
    """Through the text box, as anyone would paste a kernel."""
    if not tab.get_by_label("Kernel as text").is_visible():
        tab.get_by_text("Paste or copy as text").click()
    tab.get_by_label("Kernel as text").fill("; ".join(" ".join(repr(float(v)) for v in row) for row in rows))
    tab.wait_for_timeout(300)  # the page waits for a pause in the typing
    for _ in range(300):
        if np.array_equal(weights(tab), rows):
            return settled(tab)
        tab.wait_for_timeout(100)
    raise AssertionError(f"the page shows {weights(tab)}, not {rows}: {tab.get_by_role('alert').all_inner_texts()}")


def canvas(tab, testid, *, drawn=False):
    """The pixels of a canvas, RGB; of the part that is drawn on, where asked."""
    from PIL import Image

    encoded = tab.get_by_test_id(testid).evaluate("canvas => canvas.toDataURL()").partition(",")[2]
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(encoded))).convert("RGBA"))
    if drawn:
        rows, columns = (np.flatnonzero((pixels[..., 3] > 250).any(axis)) for axis in (1, 0))
        pixels = pixels[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return pixels[..., :3]


def said_sum(tab):
    """What the panel says the explained output is: (y, x), value."""
    text = tab.get_by_test_id("arithmetic").locator(".lead").inner_text()
    y, x, value = re.fullmatch(r"\D*\[(\d+), (\d+)\] = (\S+)", text).groups()
    return (int(y), int(x)), float(value)


def cell(tab, i, j):
    return tab.get_by_test_id(f"kernel-cell-{i}-{j}")


# -- fixtures, imported by the tests that use them ---------------------------------------------------


@pytest.fixture(scope="module")
def url():
    with server() as address:
        yield address


@pytest.fixture(scope="module")
def chromium():
    pytest.importorskip("playwright", reason="pages are tested with playwright: pip install 'corr2d[test]'")
    if CHROMIUM is None:
        pytest.skip("no Chromium here: apt-get install chromium")
    with browser() as started:
        yield started


@pytest.fixture
def studio(chromium, url):
    with page(chromium, url) as tab:
        yield tab


@pytest.fixture(scope="module")
def modules(chromium, url):
    """One page for all that only calls the page's modules."""
    with page(chromium, url) as tab:
        yield tab
