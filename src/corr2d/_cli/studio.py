"""``corr2d studio``: the page on which kernels are edited, seen and learnt."""

from pathlib import Path

from .. import images
from .._errors import MissingExtraError, OptionError
from .common import Flag

__all__ = ["studio"]


def studio(image: Path | None = None, /, *, port: int | None = None, no_browser: Flag = False) -> None:
    """Open the studio: edit a kernel and watch a picture follow.

    The page is served to this machine only, and asks nothing of any other. Ctrl-C
    closes it.

    Parameters
    ----------
    image
        PNG, JPEG, TIFF or NPY; default a photograph that ships with corr2d.
    port
        Default 8642, or any free one where that is taken.
    no_browser
        Print the address only.
    """
    if port is not None and not 0 <= port <= 65535:
        raise OptionError(f"--port {port}: a port is a number from 0 to 65535")
    try:
        from ..studio import Service
        from ..studio._serve import serve
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("starlette", "uvicorn"):
            raise
        raise MissingExtraError(f'the studio needs {error.name}: pip install "corr2d[studio]"', name=error.name) from error
    service = Service(images.read(image), image.name) if image else Service()
    serve(service, port, browser=not no_browser)
