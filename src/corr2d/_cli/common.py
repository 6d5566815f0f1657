"""What several commands share: their kernel argument, their progress bar, what they print."""

import json
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from .._errors import Corr2dError, OptionError
from ..kernel import Kernel
from ..kernel_text import parse_kernel

__all__ = ["SIZE", "Flag", "KernelText", "bar", "check_folder", "print_json", "read_kernel", "say"]

SIZE = re.compile(r"(\d+)[x×](\d+)(?:[x×](\d+))?", re.IGNORECASE)

KernelText = Annotated[str, Parameter(name=["--kernel", "-k"], allow_leading_hyphen=True)]
Flag = Annotated[bool, Parameter(negative=())]


def read_kernel(text: str) -> Kernel:
    """The kernel that a command line asks for, or the error that tells whose fault it is not."""
    try:
        return parse_kernel(text)
    except OptionError as error:
        if text.lstrip().startswith("@"):  # the file is at fault, not the command line
            raise Corr2dError(str(error)) from error
        raise


@contextmanager
def stages() -> Iterator[Any]:
    """A function that is told what is done now, or by ``share=`` how much of that; None where no terminal shows it."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=None)

        def told(stage: str | None = None, share: float | None = None) -> None:
            nonlocal task
            if stage is not None:  # which moves to and fro until a share is known
                progress.remove_task(task)
                task = progress.add_task(stage, total=None)
            if share is not None:
                progress.update(task, total=1.0, completed=share)

        yield told


@contextmanager
def bar(what: str) -> Iterator[Any]:
    """A function that is told the share that is done, with a bar on a terminal."""
    with stages() as told:
        if told:
            told(what)
        yield (lambda share: told(share=share)) if told else (lambda _: None)


def check_folder(path: Path) -> None:
    """Refuse an output that has no place to go before the work, not after it."""
    if not path.parent.is_dir():
        raise Corr2dError(f"{path}: there is no folder {str(path.parent)!r}")


def print_json(record: dict[str, Any]) -> None:
    print(json.dumps(record, allow_nan=False))


def say(line: str) -> None:
    # What a broken file made a decoder say may hold control codes.
    printable = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in line)
    print(f"corr2d: {printable}", file=sys.stderr)
