"""Every error that corr2d raises on purpose.

Our tree, drawn::

    Corr2dError
    ├── OptionError        (ValueError)   an option has a value that is not understood
    ├── ShapeError         (ValueError)   shapes do not fit together
    ├── DTypeError         (TypeError)    an argument is of a type that cannot be filtered
    ├── NoCandidateError   (ValueError)   the method asked for refuses; the message quotes why
    ├── ImageFileError     (ValueError)   a file is missing, broken, or holds no image
    └── MissingExtraError  (ImportError)  an optional package is not installed

Catch ``Corr2dError`` for all of them, or the built-in family for what any
NumPy program would catch. A message says what came, what is accepted, and the
one-line fix.
"""

__all__ = [
    "Corr2dError",
    "DTypeError",
    "ImageFileError",
    "MissingExtraError",
    "NoCandidateError",
    "OptionError",
    "ShapeError",
]


class Corr2dError(Exception):
    """Base of all errors raised on purpose by corr2d."""


class OptionError(Corr2dError, ValueError):
    """An option has a value that is not understood."""


class ShapeError(Corr2dError, ValueError):
    """Shapes do not fit together, or an array has the wrong number of axes."""


class DTypeError(Corr2dError, TypeError):
    """An argument is of a type that cannot be filtered."""


class NoCandidateError(Corr2dError, ValueError):
    """The method asked for refuses this problem; the message quotes the reason."""


class ImageFileError(Corr2dError, ValueError):
    """A file is missing, broken, or holds no image that can be read."""


class MissingExtraError(Corr2dError, ImportError):
    """An optional package is needed and not installed."""
