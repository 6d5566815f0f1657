"""``corr2d bench``: a few kernels against the libraries that are installed."""

import corr2d

from .._errors import OptionError
from .common import SIZE, Flag, bar, print_json

__all__ = ["bench"]


def bench(*, size: str = "1536x2048", threads: int | None = None, json: Flag = False) -> None:
    """Time a few kernels against the libraries that are installed here.

    Results are compared first; a library that gives another one is left out.

    Parameters
    ----------
    size
        Of the image: HEIGHTxWIDTH.
    threads
        How many threads corr2d, OpenCV and oaconvolve may use; default all cores.
    json
        Print the seconds as JSON.
    """
    from .. import _bench  # SciPy's filters are of no use to the other commands

    match = SIZE.fullmatch(size)
    if not match or match[3] or min(int(match[1]), int(match[2])) < 32:
        raise OptionError(f"--size {size}: write HEIGHTxWIDTH of at least 32x32, such as 1536x2048")
    if threads is not None and threads < 1:
        raise OptionError(f"--threads {threads}: use 1 or more")
    with bar("timing") as step:
        rows = list(_bench.run((int(match[1]), int(match[2])), threads, step))
    if json:
        print_json({"rows": [row.to_dict() for row in rows]})
    else:
        print(*_bench.table(rows, threads or corr2d.get_threads()), sep="\n")
