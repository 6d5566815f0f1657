"""The ``corr2d`` command: filter an image file, ask for the plan, see a demo.

Exit status: 0 done, 1 the work failed (a file, the disk, the memory), 2 the
request makes no sense, 130 interrupted. Whatever went wrong is one line on
stderr; stdout carries results only.
"""

import os
import sys
from collections.abc import Sequence

from cyclopts import App, CycloptsError

from ._cli.apply import apply
from ._cli.bench import bench
from ._cli.calibrate import calibrate
from ._cli.common import say
from ._cli.demo import demo
from ._cli.describe import describe
from ._cli.design import design
from ._cli.export import export
from ._cli.learn import learn
from ._cli.plan import plan
from ._cli.studio import studio
from ._errors import Corr2dError, DTypeError, NoCandidateError, OptionError
from ._files import one_line

__all__ = ["app", "main"]


def version() -> str:
    """The number of the package that is installed."""
    from importlib.metadata import version as of  # 20 ms that only --version should pay

    return of("corr2d")


app = App(
    name="corr2d",
    help="2-D cross-correlation of images with kernels.",
    version=version,
    suppress_keyboard_interrupt=False,
)
for command in (apply, plan, design, describe, learn, export, calibrate, bench, demo, studio):
    app.command(command)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status.

    Examples
    --------
    >>> main(["plan", "8x8", "-k", "no-such-preset"])  # one line on stderr
    2
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a terminal without "×" shows "?" and carries on
            stream.reconfigure(errors="replace")
    try:
        app(argv, exit_on_error=False, print_error=False, result_action="return_value")
        if sys.stdout is not None:  # closed by the caller: `>&-`
            sys.stdout.flush()
    except BrokenPipeError:
        # `corr2d plan … | head`: the reader has what it wanted. Python flushes
        # stdout once more on exit, and would complain then.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        say("interrupted")
        return 130
    except (CycloptsError, OptionError, NoCandidateError, DTypeError) as error:
        say(one_line(error))
        return 2
    except (Corr2dError, OSError, MemoryError) as error:
        where = f"{error.filename}: " if isinstance(error, OSError) and error.filename else ""
        say("not enough memory" if isinstance(error, MemoryError) else where + one_line(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
