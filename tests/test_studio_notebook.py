"""`corr2d.KernelStudio` in a real JupyterLab: it appears, and its kernel goes both ways."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import numpy as np
import pytest

from corr2d import kernels
from studio_page import cell, chromium, weights  # noqa: F401

# As large as the rest of what tests need together, so nobody is made to install it.
pytest.importorskip("jupyterlab", reason="tried in a notebook where there is one: pip install jupyterlab")
pytest.importorskip("ipykernel", reason="tried in a notebook where there is one: pip install jupyterlab")
pytest.importorskip("anywidget", reason="the notebook studio needs anywidget: pip install 'corr2d[notebook]'")

CELLS = [
    "import corr2d\nstudio = corr2d.KernelStudio(kernel=[[1, -1]])\nstudio",
    "print(studio.kernel.weights.tolist())",
    "studio.kernel = 'sobel-y'",
]


@pytest.fixture
def notebook(tmp_path):
    """The address of a notebook with `CELLS`, none of them run."""
    cells = [
        {"cell_type": "code", "id": f"cell-{i}", "source": text, "metadata": {}, "outputs": [], "execution_count": None}
        for i, text in enumerate(CELLS)
    ]
    spec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    content = {"cells": cells, "metadata": {"kernelspec": spec}, "nbformat": 4, "nbformat_minor": 5}
    (tmp_path / "it.ipynb").write_text(json.dumps(content), "utf-8")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    own = {name: str(tmp_path / name) for name in ("HOME", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR")}
    argv = ["--no-browser", "--allow-root", f"--port={port}", "--ServerApp.port_retries=0", "--IdentityProvider.token=", f"--ServerApp.root_dir={tmp_path}"]
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen([sys.executable, "-m", "jupyterlab", *argv], env=os.environ | own, stdout=log, stderr=log)
    try:
        for _ in range(240):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/api", timeout=5).close()
                break
            except urllib.error.URLError:
                assert process.poll() is None, (tmp_path / "log").read_text()
                time.sleep(0.25)
        yield f"http://127.0.0.1:{port}/lab/tree/it.ipynb?reset"
    finally:
        process.terminate()
        process.wait(30)


def test_the_kernel_goes_both_ways(chromium, notebook):  # noqa: F811
    """Edited on the page, read in Python; assigned in Python, seen on the page; nothing is complained about."""
    context = chromium.new_context(viewport={"width": 1400, "height": 1000})
    tab = context.new_page()
    tab.set_default_timeout(60_000)
    said = []
    tab.on("pageerror", lambda error: said.append(str(error)))
    tab.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
    tab.goto(notebook)
    cells = tab.locator(".jp-Notebook .jp-CodeCell")
    tab.locator(".jp-Notebook-ExecutionIndicator[data-status=idle]").first.wait_for()

    def run(number):
        for _ in range(20):  # a notebook that has just been drawn loses the key with its focus
            cells.nth(number).locator(".cm-content").press("Control+Enter")
            tab.wait_for_timeout(500)
            if cells.nth(number).locator(".jp-InputPrompt").inner_text().strip() != "[ ]:":
                return
        raise AssertionError(f"cell {number} was not run")

    run(0)
    tab.locator(".corr2d-studio[data-settled=true]").wait_for()
    np.testing.assert_array_equal(weights(tab), [[1, -1]])
    cell(tab, 0, 1).fill("7")
    tab.wait_for_timeout(500)
    run(1)
    cells.nth(1).locator(".jp-OutputArea-output", has_text="[[1.0, 7.0]]").wait_for()
    run(2)
    cell(tab, 2, 1).wait_for()
    np.testing.assert_array_equal(weights(tab), kernels.sobel(0).weights)
    # JupyterLab's own word where a kernel is asked for its debugger and answers late.
    assert [words for words in said if "Could not restore the debugger state" not in words] == []
    context.close()
