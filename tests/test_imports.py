"""The shop window: import weight, layers, names, docstrings and their examples."""

import ast
import doctest
import importlib
import inspect
import pkgutil
import re
from pathlib import Path

import pytest

import corr2d
from machine import run_python

PACKAGE = Path(corr2d.__file__).parent
HEAVY = ["torch", "dask", "matplotlib", "cv2", "scipy.ndimage", "scipy.signal", "cyclopts", "rich", "PIL", "tifffile", "platformdirs"]

# Imports only point down this list.
LAYERS = {
    "_errors": 0, "_native": 0, "_files": 0,
    "_boundary": 1, "_arrays": 1, "_constants": 1, "_remember": 1, "_lags": 1,
    "_problem": 2,
    "_analysis": 3,
    "engines": 4, "_cost": 4, "_overlap": 4, "_block": 4,
    "_plan": 5,
    "_api": 6, "_adjoint": 6, "_torch": 6, "_torch_operators": 6, "_torch_derivatives": 6, "_blockwise": 6, "_labelled": 6, "_calibrate": 6,
    "kernel": 7, "kernels": 7, "kernel_text": 7, "export": 7, "matrix": 7, "learning": 7, "nn": 7, "images": 7, "plot": 7,
    "_export": 7, "_kernel_files": 7, "_kernel_syntaxes": 7, "_image_formats": 7, "_kernel_html": 7, "_samples": 7,  # parts of kernel and images
    "_design": 7, "_describe": 7,  # behind kernels and describe
    "_zarr_arrays": 7, "_stores": 7, "_tiff_tiles": 7, "_stream": 7,  # parts of apply
    "_learning": 7,  # behind learning
    "cli": 8, "studio": 8, "_demo": 8, "_bench": 8, "_cli": 8, "__main__": 8,
}  # fmt: skip
OUTSIDE = 7  # from here on, modules come in by the public door
# ... or by these: they know no images, or they are what a tensor's door opens to.
SIDE_DOORS = {"_errors", "_files", "_constants", "_calibrate", "_boundary", "_adjoint", "_lags", "_torch"}


# -------------------------------------------------------------------------------------------------
# weight


def seconds_of(first, then, tries=5):
    """Seconds that ``import then`` takes in a fresh interpreter that has imported ``first``: the best of several."""
    code = f"import time, {first}; t = time.perf_counter(); import {then}; print(time.perf_counter() - t)"
    return min(float(run_python(code)) for _ in range(tries))


def loaded_by(statement, suspects):
    """Which of the suspects are modules of a fresh interpreter after the statement."""
    code = f"import sys\n{statement}\nprint(*[m for m in {suspects!r} if m in sys.modules])"
    return run_python(code).split()


def test_import_takes_a_quarter_second_more_than_numpy():
    """``import corr2d`` takes at most 0.25 s more than ``import numpy``."""
    assert seconds_of("numpy", "corr2d") <= 0.25


def test_import_brings_no_heavy_library():
    """Neither torch, dask nor matplotlib, nor anything else that only some users need."""
    assert loaded_by("import corr2d", HEAVY) == []


def test_using_it_brings_no_heavy_library():
    """Filtering and planning do not import them either."""
    code = "import corr2d; corr2d.corr2d([[1.0, 2.0]], [[1]]) if 0 else None\nimport numpy as np\n"
    code += "p = corr2d.plan(np.ones((9, 9)), np.ones((3, 3))); str(p); p(np.ones((9, 9)))"
    assert loaded_by(code, ["torch", "dask", "matplotlib", "cv2", "PIL"]) == []


def test_the_import_checks_can_fail():
    """The same checks notice a module that is there and an import that is slow."""
    assert loaded_by("import json, corr2d", ["json", "corr2d._errors", "torch"]) == ["json", "corr2d._errors"]
    pytest.importorskip("torch")
    assert loaded_by("import torch, corr2d", HEAVY[:1]) == ["torch"]
    assert seconds_of("numpy", "torch", tries=1) > 0.25


# -------------------------------------------------------------------------------------------------
# layers


def layer_name(path):
    """The entry of LAYERS to which a file belongs: its top-level module."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports_of(path, source=None):
    """Modules of this package that a file imports, as ``corr2d.x.y``; the door itself is ``corr2d``."""
    parts = ["corr2d", *path.relative_to(PACKAGE).parent.parts]
    for node in ast.walk(ast.parse(source or path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] == "corr2d")
        elif isinstance(node, ast.ImportFrom):
            base = parts[: len(parts) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            if module.split(".")[0] != "corr2d":
                continue
            for alias in node.names:
                inner = f"{module}.{alias.name}"
                yield inner if is_module(inner) else module


def is_module(name):
    """Is there a file or folder of this name in the package?"""
    path = PACKAGE.joinpath(*name.split(".")[1:])
    return path.with_suffix(".py").exists() or (path / "__init__.py").exists() or name == "corr2d._native"


def offences(path, source=None):
    """Imports of a file that point up, or past the door."""
    mine, found = layer_name(path), []
    if mine not in LAYERS:
        return [f"{mine} has no layer"]
    for module in imports_of(path, source):
        theirs = module.split(".")[1] if "." in module else None
        if theirs is None:  # the door
            if LAYERS[mine] < OUTSIDE:
                found.append(f"{mine} imports the public door from inside")
        elif theirs == mine:
            continue
        elif theirs not in LAYERS:
            found.append(f"{theirs} has no layer")
        elif LAYERS[theirs] > LAYERS[mine]:
            found.append(f"{mine} imports {theirs}, which is above it")
        elif LAYERS[mine] >= OUTSIDE and LAYERS[theirs] < OUTSIDE and theirs not in SIDE_DOORS:
            found.append(f"{mine} imports {theirs} past the public door")
    return found


FILES = sorted(p for p in PACKAGE.rglob("*.py") if p != PACKAGE / "__init__.py")


def test_every_module_has_a_layer():
    """A new module needs a place in the list above, and in the design."""
    assert {layer_name(p) for p in FILES} <= LAYERS.keys()


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_point_down(path):
    """The design's layers, read from the syntax tree."""
    assert offences(path) == []


def test_the_layer_check_can_fail():
    """It finds imports that point up, and such as go past the door."""
    for name, source in {
        "_boundary.py": "from ._plan import Plan", "_problem.py": "import corr2d.engines.fft", "_analysis.py": "import corr2d",
        "images.py": "from corr2d._plan import Plan", "cli.py": "from . import _problem", "engines/fft.py": "from .. import _plan",
    }.items():  # fmt: skip
        assert offences(PACKAGE / name, source), (name, source)
    assert not offences(PACKAGE / "cli.py", "from corr2d import images, kernels\nfrom ._errors import Corr2dError")


def test_no_import_cycles_within_a_layer():
    """Inside one layer, too, imports have an order."""
    graph = {}
    for path in FILES:
        module = "corr2d." + ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
        tree = ast.parse(path.read_text())
        top = ast.Module([n for n in tree.body if isinstance(n, (ast.Import, ast.ImportFrom))], [])
        graph[module.removesuffix(".__init__")] = set(imports_of(path, ast.unparse(top)))

    def reach(start):
        seen, todo = set(), list(graph.get(start, ()))
        while todo:
            module = todo.pop()
            if module not in seen:
                seen.add(module)
                todo += graph.get(module, ())
        return seen

    assert [m for m in graph if m in reach(m) and m != "corr2d.engines"] == []


# -------------------------------------------------------------------------------------------------
# names and docstrings

PUBLIC = [getattr(corr2d, name) for name in corr2d.__all__]


def test_all_is_complete_and_sorted():
    """__all__ is what one sees: sorted, importable, nothing public left out, nothing private in."""
    assert list(corr2d.__all__) == sorted(corr2d.__all__)
    assert all(hasattr(corr2d, name) for name in corr2d.__all__)
    visible = {n for n, v in vars(corr2d).items() if not n.startswith("_") and not inspect.ismodule(v)}
    assert visible - set(corr2d.__all__) - {"annotations"} == set()
    assert {"corr2d", "convolve2d", "plan", "set_threads", "Corr2dError"} <= set(corr2d.__all__)
    assert not [n for n in corr2d.__all__ if n.startswith("_") and n != "__version__"]
    assert set(corr2d.__all__) <= set(dir(corr2d))


def test_an_unknown_name_is_an_attribute_error():
    """Lazy namespaces do not swallow misspellings."""
    with pytest.raises(AttributeError, match="corr3d"):
        corr2d.corr3d  # noqa: B018


def test_the_version_is_one():
    """corr2d.__version__ is the installed distribution's."""
    from importlib.metadata import version

    assert re.fullmatch(r"\d+\.\d+.*", corr2d.__version__)
    assert corr2d.__version__ == version("corr2d")


def is_error(thing):
    return inspect.isclass(thing) and issubclass(thing, BaseException)


@pytest.mark.parametrize("name", corr2d.__all__)
def test_public_names_are_documented(name):
    """Each has a docstring, and each function and class but the errors an example that runs."""
    thing = getattr(corr2d, name)
    if not (callable(thing) or inspect.ismodule(thing)):
        return
    doc = inspect.getdoc(thing)
    assert doc, f"{name} has no docstring"
    if callable(thing) and not is_error(thing):
        assert ">>>" in doc, f"{name} shows no example"


def modules():
    """Every module of the package that can be imported here."""
    for info in pkgutil.walk_packages(corr2d.__path__, "corr2d."):
        if info.name.endswith(("__main__", "_native")):
            continue
        try:
            yield importlib.import_module(info.name)
        except ImportError as error:
            assert "corr2d[" in str(error), f"{info.name}: {error}"


@pytest.mark.parametrize("module", [corr2d, *modules()], ids=lambda m: m.__name__)
def test_examples_run(module):
    """Every example in every docstring prints what it says."""
    result = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    assert result.failed == 0
