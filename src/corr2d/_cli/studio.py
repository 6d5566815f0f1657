"""``corr2d studio``: the page on which kernels are edited, seen and learnt."""

from pathlib import Path

from .. import images
from .._errors import OptionError
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
    from ..studio import Service  # a server library is of no use to the other commands
    from ..studio._serve import serve

    service = Service(images.read(image), image.name) if image else Service()
    serve(service, port, browser=not no_browser)
