"""``corr2d calibrate``: measure this machine, keep the constants."""

import warnings
from dataclasses import asdict

from .. import _constants
from .._errors import Corr2dError
from .._files import one_line
from .common import Flag, bar, print_json

__all__ = ["calibrate"]


def calibrate(*, reset: Flag = False, json: Flag = False) -> None:
    """Measure this machine's speeds, by which plans choose an algorithm; takes seconds.

    The constants are kept in the user's cache folder, or in the folder that the
    environment variable CORR2D_CACHE names. They change which algorithm is
    chosen and what plans predict.

    Parameters
    ----------
    reset
        Forget what was measured: plans use the defaults again.
    json
        Print the constants and the measurements as JSON.
    """
    if reset:
        removed = _constants.reset()
        if json:
            print_json({"removed": None if removed is None else str(removed)})
        else:
            print(f"removed {removed}" if removed else "nothing was stored; plans use the defaults")
        return
    from .. import _calibrate  # its fit is of no use to the other commands

    with warnings.catch_warnings(), bar("measuring") as step:
        warnings.simplefilter("ignore", RuntimeWarning)  # of a broken file, which is about to be replaced
        measured = _calibrate.calibrate(step)
    try:
        path = _constants.save(asdict(measured.after), crossing=[asdict(c) for c in measured.crossing])
    except OSError as error:
        raise Corr2dError(
            f"{_constants.path()}: {one_line(error)}; name a folder that can be written to in CORR2D_CACHE"
        ) from error
    if json:
        print_json({**measured.to_dict(), "path": str(path)})
    else:
        print(measured)
        print(f"kept in {path}")
