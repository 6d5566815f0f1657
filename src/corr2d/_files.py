"""An output file is complete or absent.

Everything this package writes to disk is written beside its destination and
renamed over it: a full disk, an exception or Ctrl-C leaves what was there
before, and no temporary file.
"""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

__all__ = ["one_line", "replacing"]

_LONGEST_REASON = 300  # characters; a decoder that dumps its tables has lost the reader


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a binary file that takes the place of *path* when the block ends well.

    Parameters
    ----------
    path
        Destination. A symbolic link is followed, so the link stays a link.

    Yields
    ------
    BinaryIO
        A new file in the destination's folder, open for reading and writing.

    Raises
    ------
    OSError
        When the destination is no regular file, or the folder or the disk
        does not take the bytes.

    Notes
    -----
    ``os.replace`` is atomic within one file system, which is why the temporary
    file lies beside its destination and not in ``/tmp``. There is no ``fsync``:
    the promise is about programs that fail, not about power that does.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> target = pathlib.Path(tempfile.mkdtemp()) / "answer.txt"
    >>> with replacing(target) as file:
    ...     _ = file.write(b"42")
    >>> target.read_bytes()
    b'42'
    """
    target = Path(os.path.realpath(path))
    if target.is_dir():
        raise IsADirectoryError(errno.EISDIR, "is a folder, not a file", str(target))
    if target.exists() and not target.is_file():
        # Renaming over a device or a pipe would delete it.
        raise OSError(errno.EINVAL, "is not a regular file", str(target))
    beside = target.with_name(f".corr2d-{os.urandom(6).hex()}.tmp")
    try:
        # "x" leaves the permissions to the umask; tempfile would make it 0600.
        with open(beside, "x+b") as file:
            yield file
        if target.exists():
            shutil.copymode(target, beside)
        os.replace(beside, target)
    except BaseException as error:
        full = isinstance(error, OSError) and error.errno is None and _is_full(target.parent)
        with suppress(OSError):
            beside.unlink()
        if full:  # ndarray.tofile reports a short write, and not why it was short
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(target)) from error
        if isinstance(error, OSError) and error.errno and error.filename in (None, str(beside)):
            raise OSError(error.errno, error.strerror, os.fspath(path)) from error  # by the name that the caller knows
        raise


def one_line(error: BaseException) -> str:
    """The reason in *error*, on one line and without what the caller already says.

    Examples
    --------
    >>> one_line(FileNotFoundError(2, "No such file or directory", "a.png"))
    'no such file or directory'
    >>> one_line(ValueError("first\\nsecond"))
    'first second'
    """
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    text = " ".join(text.split()) or type(error).__name__
    if len(text) > _LONGEST_REASON:
        text = f"{text[: _LONGEST_REASON - 3]}..."
    # "No such file" continues a sentence; "EXIF is broken" keeps its capitals.
    return text[0].lower() + text[1:] if text[1:2].islower() else text


def _is_full(folder: Path) -> bool:
    try:
        return shutil.disk_usage(folder).free < 4096
    except OSError:
        return False
