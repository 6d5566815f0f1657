"""``python -m corr2d`` is ``corr2d``, also where the command is not on the path."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
