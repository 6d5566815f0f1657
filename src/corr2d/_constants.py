"""Where the constants measured on this machine are kept: one small JSON file for each machine.

A planner with wrong constants is slower, never wrong; so nothing about this file may break a
call. What cannot be read, or makes no sense, is left aside with one warning.
"""

from __future__ import annotations

import json
import math
import os
import platform
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from . import _native
from ._files import one_line, replacing

SCHEMA = 1  # raise it when a constant changes its meaning: older files are then not looked at
FOLDER = "CORR2D_CACHE"  # the environment variable that names the folder

_LONGEST = 1 << 16  # bytes; ours have about a thousand
_FURTHEST = 1e4  # how many times more or less than its default a rate may be


class UnusableError(Exception):
    """The file is there and cannot be used; the message says why."""


def folder() -> Path:
    """``$CORR2D_CACHE``, or the user's cache folder by the rules of the system."""
    named = os.environ.get(FOLDER)
    if named:
        return Path(named)
    from platformdirs import user_cache_path  # 5 ms that no import of corr2d should pay

    return user_cache_path("corr2d", appauthor=False)


def available_cores() -> int:
    """Cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS, Windows
        return os.cpu_count() or 1


def key() -> dict[str, Any]:
    """What must be alike for constants to hold."""
    return {"schema": SCHEMA, "processor": processor(), "instruction_set": _native.isa(), "cores": available_cores()}


def processor() -> str:
    """The processor's model, in its maker's words."""
    try:
        with open("/proc/cpuinfo", errors="replace") as file:
            head = file.read(4096)  # the first of perhaps hundreds
    except OSError:
        head = ""
    named = re.search(r"^(?:model name|Model|Hardware)\s*:\s*(\S.*)$", head, re.MULTILINE)
    return named[1].strip() if named else platform.processor() or platform.machine() or "unknown"


def path() -> Path:
    """The file of this machine: a home on a network has one for each."""
    k = key()
    model = re.sub(r"[^a-z0-9]+", "-", k["processor"].lower()).strip("-")[:80]
    return folder() / f"machine-{model}-{k['instruction_set']}-{k['cores']}-v{SCHEMA}.json"


def load(defaults: Mapping[str, float]) -> dict[str, float] | None:
    """The stored constants, all of them; None where none are stored.

    Raises
    ------
    UnusableError
        When there is a file that cannot be read or does not make sense.
    """
    try:
        file = path()
        if not file.exists():
            return None
        if not file.is_file():  # opening a pipe would wait for its writer
            raise UnusableError("it is not a regular file")
        with file.open("rb") as stream:
            text = stream.read(_LONGEST + 1)
        if len(text) > _LONGEST:
            raise UnusableError(f"it is longer than {_LONGEST} bytes")
        return _checked(json.loads(text), defaults)
    except (OSError, ValueError, ArithmeticError, RuntimeError) as error:  # RuntimeError: no home folder; nested too deep
        raise UnusableError(one_line(error)) from error


def _checked(record: Any, defaults: Mapping[str, float]) -> dict[str, float]:
    if not isinstance(record, dict) or record.get("key") != key():
        raise UnusableError("it was made on another machine or by another version")
    constants = record.get("constants")
    if not isinstance(constants, dict) or constants.keys() != defaults.keys():
        raise UnusableError("it does not hold the constants of this version")
    for name, value in constants.items():
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not (number and math.isfinite(value) and defaults[name] / _FURTHEST <= value <= defaults[name] * _FURTHEST):
            raise UnusableError(f"its {name} is {value!r}, which is not a sensible rate")
    return {name: float(value) for name, value in constants.items()}


def save(constants: Mapping[str, float], **about: Any) -> Path:
    """Write the file, complete or not at all; of two writers at once the last one stays."""
    file = path()
    file.parent.mkdir(parents=True, exist_ok=True)
    record = {"key": key(), "constants": dict(constants), **about}
    with replacing(file) as stream:
        stream.write(json.dumps(record, indent=1, allow_nan=False).encode() + b"\n")
    return file


def reset() -> Path | None:
    """Remove the file; its path, or None where there was none."""
    file = path()
    try:
        file.unlink()
    except FileNotFoundError:
        return None
    return file
