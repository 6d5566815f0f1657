"""``corr2d demo``: a photograph, its edges, the times, a panel."""

from pathlib import Path
from typing import Annotated

import numpy as np
from cyclopts import Parameter

from .. import images
from .._errors import OptionError

__all__ = ["demo"]


def demo(*, output: Annotated[Path, Parameter(name=["--output", "-o"])] = Path("corr2d-demo.png")) -> None:
    """Find the edges in a photograph, time it, and write a picture of it.

    Parameters
    ----------
    output
        Where the panel goes, a PNG.
    """
    from .. import _demo  # its drawing is of no use to the other commands

    reason = images.refusal(output, np.uint8, channels=3)
    if reason:
        raise OptionError(f"{output}: {reason}")
    _demo.run(output)
