"""Learning: which kernel turned this picture into that one?

`learn_kernel` answers from a pair of pictures, with error bars and a verdict on whether it was a kernel at all;
`KernelLearner` collects what it needs from any number of pairs, in one pass, and forgets the pixels.
"""

from __future__ import annotations

import math
import os
import zipfile
from typing import Any

import numpy as np
from numpy.typing import NDArray

import corr2d

from ._errors import Corr2dError, OptionError, ShapeError
from ._design.checks import count
from ._files import replacing
from ._learning import curves as _curves
from ._learning import fitting, gradient, pairs, varying
from ._learning.certificate import Certificate
from ._learning.moments import Moments
from ._learning.result import LearnedKernel
from ._learning.verdict import VERDICTS

__all__ = ["VERDICTS", "Certificate", "KernelLearner", "LearnedKernel", "learn_kernel"]

# What a file of something else, or a damaged one, makes of NumPy and of zipfile; RuntimeError is a password.
_REFUSALS = (Corr2dError, ValueError, KeyError, TypeError, EOFError, MemoryError, RuntimeError, zipfile.BadZipFile)

_METHODS = ("exact", "robust", "gradient")


def learn_kernel(
    before: Any,
    after: Any,
    size: Any = "auto",
    *,
    bias: bool = True,
    mask: Any = None,
    weights: Any = None,
    clip: Any = "auto",
    channels: str = "depthwise",
    constraints: Any = (),
    curves: str = "none",
    method: str = "exact",
    max_size: int = 15,
    vary: int | str = 0,
    ridge: float | str | None = None,
    channel_axis: int | None = None,
    steps: int = 20,
    lr: float | None = None,
    threads: int | None = None,
    progress: Any = None,
) -> LearnedKernel:
    """The kernel between two pictures: exact least squares, error bars, and a verdict.

    Minimises ``sum (after - bias - corr2d(before, kernel))**2`` over all outputs whose window lies inside `before`, so no
    border rule is assumed.

    Parameters
    ----------
    before, after : array_like, shape (..., H, W)
        The pictures. `after` has `before`'s shape, or that of its valid correlation, or is a crop. Leading axes are more
        pictures of the same filter. NaN marks missing pixels. Dask arrays are read some rows at a time; `mask`, `weights`,
        ``curves="auto"`` and ``method="robust"`` take memory for every pixel.
    size : "auto", int or (int, int)
        Rows and columns of the kernel. "auto" takes the rectangle of least BIC up to `max_size`.
    bias : bool, default True
        Also fit a constant.
    mask : array of bool, optional
        True where a pixel of `after` may be used; `after`'s shape.
    weights : array, optional
        1/variance of each pixel of `after`.
    clip : "auto", None or (low, high)
        Levels at which `after` is cut off. Pixels that are predicted beyond take no part.
    channels : {"depthwise", "full"}
        "full" takes (C, H, W) and gives a kernel (O, I, kh, kw) that mixes channels.
    constraints : str, dict or sequence of them
        "sum=1", "sum=0", "symmetric" (under half a turn), "antisymmetric", "nonnegative", "separable", "sparse",
        {(row, column): value}.
    curves : {"none", "auto"}
        "auto" also tries tone curves (sRGB, Rec. 709, gamma 1.8 to 2.4, logarithm) before and after the kernel.
    method : {"exact", "robust", "gradient"}
        "robust" gives outliers no weight (Tukey's biweight); "gradient" takes `steps` steps of gradient descent with rate
        `lr` on the sum of squares, as the chapter does, and keeps the losses.
    max_size : int, default 15
        Bounds the search for a size.
    vary : int or "auto", default 0
        Degree of the polynomial by which the kernel changes across the picture; "auto" by BIC up to 2.
    ridge : None, "auto" or float
        Shrink taps; "auto" by what the data make most likely.
    channel_axis : int, optional
        The axis that holds channels, e.g. -1 for (H, W, C).
    steps, lr : int, float
        Of ``method="gradient"``; without lr, the fastest rate that cannot diverge.
    threads : int, optional
        At most this many; the sums do not depend on it.
    progress : callable, optional
        Called with the name of each stage.

    Returns
    -------
    LearnedKernel

    Raises
    ------
    ShapeError, DTypeError, OptionError
        Shapes that cannot belong together, nothing left to learn from, an option that is not understood.

    Notes
    -----
    The normal equations come from lag sums, ``2 kh kw - kh - kw + 1`` for the Gram matrix, and a walk along the edges; those of 8-bit
    images are exact integers. Verdicts rest on the rounding floor ``1/sqrt(12)`` and on cross-validated tests
    of the residual; R squared says little, a median filter has 0.997.

    Examples
    --------
    >>> import numpy as np, corr2d
    >>> X = np.ones((6, 8)); X[:, 2:6] = 0
    >>> fit = corr2d.learn_kernel(X, corr2d.corr2d(X, [[1, -1]]))
    >>> fit.kernel.weights.round(12)
    array([[ 1., -1.]])
    >>> fit.verdict
    'lsi-exact'
    """
    if method not in _METHODS:
        raise OptionError(f"method={method!r} is not understood; use one of {', '.join(_METHODS)}")
    if curves not in ("none", "auto"):
        raise OptionError(f'curves={curves!r} is not understood; use "none" or "auto"')
    wanted = pairs.read_size(size)
    pair = pairs.check(before, after, channels, mask, weights, channel_axis)
    request = fitting.Request(
        size=wanted, bias=bool(bias), constraints=_listed(constraints), ridge=ridge, clip=clip, max_size=count("max_size", max_size, lowest=1),
        robust=method == "robust", threads=corr2d.get_threads() if threads is None else count("threads", threads, lowest=1),
        told=progress or (lambda _: None),
    )  # fmt: skip
    if method == "gradient":
        return gradient.descend(pair, request, count("steps", steps, lowest=1), lr)
    if curves == "auto":
        fit = _curves.fit(pair, request)
    else:
        fit = fitting.fit(pair, request)
    if vary != 0:
        fit = varying.fit(pair, request, fit, vary)
    return fit


class KernelLearner:
    """One pass over any number of pairs; the kernel afterwards, in any size, without a pixel.

    Parameters
    ----------
    max_size : int or (int, int), default 15
        The largest window that can be asked for. Pairs without a border (`after` smaller by ``max_size - 1``) and
        pairs of equal size are taken.
    channels : {"depthwise", "full"}
        As in `learn_kernel`.
    threads : int, optional

    Notes
    -----
    Statistics of any pairs add up, also over processes and machines: `merge`, `save`, `load`. Those of 8-bit images are exact and
    the same bits in any order. Tiles of one picture given one by one overlap by ``max_size - 1``.

    Examples
    --------
    >>> import numpy as np, corr2d
    >>> rng = np.random.default_rng(0)
    >>> learner = corr2d.KernelLearner(max_size=5)
    >>> for _ in range(3):
    ...     before = rng.integers(0, 256, (40, 50), dtype=np.uint8)
    ...     learner.update(before, corr2d.corr2d(before, [[1, 2, 1]], padding="same"))
    >>> learner.solve(size=(1, 3)).kernel.weights.round(9)
    array([[1., 2., 1.]])
    """

    def __init__(self, max_size: int | tuple[int, int] = 15, *, channels: str = "depthwise", threads: int | None = None) -> None:
        size = pairs.read_size(max_size)
        if size is None:
            raise OptionError('max_size="auto" is not a size; use an integer or (rows, columns)')
        if channels not in ("depthwise", "full"):
            raise OptionError(f'channels={channels!r} is not understood; use "depthwise" or "full"')
        self.max_size = size
        self.channels = channels
        self.threads = threads
        self._moments: Moments | None = None
        self._same: bool | None = None
        self._whole = True

    @property
    def count(self) -> int:
        """Output pixels seen so far."""
        return 0 if self._moments is None else int(self._moments.count)

    def update(self, before: Any, after: Any, *, mask: Any = None, weights: Any = None) -> None:
        """Add a pair of pictures. Dask arrays are computed some rows at a time.

        Raises
        ------
        ShapeError, DTypeError, OptionError
            Nothing has been added then.
        """
        pair = pairs.check(before, after, self.channels, mask, weights)
        if not pair.same and pair.margin != tuple(n - 1 for n in self.max_size):
            raise ShapeError(
                f"after is smaller than before by {pair.margin[0]} rows and {pair.margin[1]} columns; a learner of max_size {self.max_size} takes "
                f"pictures of equal size, or smaller by {tuple(n - 1 for n in self.max_size)}"
            )
        if self._same is not None and pair.same != self._same and self.max_size != (1, 1):
            raise ShapeError("pairs of equal size and pairs without a border are not mixed in one learner, whose window would lie elsewhere; use two")
        if min(m - n for m, n in zip(pair.before.shape[-2:], self.max_size, strict=True)) < 0:
            raise ShapeError(f"before, {pair.before.shape[-2]}x{pair.before.shape[-1]}, is smaller than max_size {self.max_size}: no window lies inside")
        corner = tuple(-((n - 1) // 2) for n in self.max_size) if pair.same else (0, 0)
        seen = self._moments
        if seen is not None and (seen.channels, seen.outputs) != (pair.before.shape[1], pair.after.shape[1]):
            raise ShapeError(f"this pair has {pair.before.shape[1]} and {pair.after.shape[1]} channels, those before had {seen.channels} and {seen.outputs}")
        origins = seen.origins if seen is not None else pairs.origins_of(pair)
        threads = corr2d.get_threads() if self.threads is None else self.threads
        # Where tiles meet there is no rim to keep off.
        part = pairs.moments(pair, pairs.Frame(self.max_size, corner, guarded=False), origins, threads)
        self._moments = part if seen is None else seen + part
        self._same = pair.same
        self._whole = self._whole and pair.after.dtype.kind != "f"

    def merge(self, other: KernelLearner) -> None:
        """Add what another learner has seen."""
        if not isinstance(other, KernelLearner):
            raise OptionError(f"merge takes a KernelLearner; got {type(other).__name__}")
        if other._moments is None:
            return
        if (other.max_size, other.channels) != (self.max_size, self.channels):
            raise ShapeError(f"learners of max_size {self.max_size} and {other.max_size} do not merge; make both with the same")
        if self._moments is not None:
            if self._same != other._same:
                raise ShapeError("one learner has seen pairs of equal size and the other pairs without a border; they do not merge")
            if (self._moments.channels, self._moments.outputs) != (other._moments.channels, other._moments.outputs):
                raise ShapeError("the learners have seen different numbers of channels")
        self._moments = other._moments if self._moments is None else self._moments + other._moments
        self._same, self._whole = other._same, self._whole and other._whole

    def solve(self, size: Any = "auto", *, bias: bool = True, constraints: Any = (), ridge: Any = None) -> LearnedKernel:
        """The kernel of all pairs seen so far; parameters as in `learn_kernel`.

        Raises
        ------
        ShapeError
            If nothing has been seen yet.
        """
        if self._moments is None or not self._moments.count:
            raise ShapeError("the learner has seen no pixels yet; call update(before, after) first")
        return fitting.from_moments(self._moments, pairs.read_size(size), bool(bias), _listed(constraints), ridge, bool(self._same), self._whole)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the statistics to an NPZ file: numbers only, no pickle."""
        m = self._moments
        with replacing(path) as file:
            np.savez_compressed(
                file, format=np.array("corr2d-learner"), version=np.array(1), max_size=np.array(self.max_size), channels=np.array(self.channels),
                same=np.array(-1 if self._same is None else int(self._same)), whole=np.array(self._whole),
                counts=np.array([0, 0] if m is None else [m.channels, m.outputs]), origins=np.array((0.0, 0.0) if m is None else m.origins),
                matrix=np.zeros((0, 0)) if m is None else m.matrix,
            )  # fmt: skip

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> KernelLearner:
        """Read what `save` wrote.

        Raises
        ------
        OSError
            The file cannot be opened.
        OptionError
            It is something else, or was damaged.
        """
        try:
            if os.path.getsize(path) > 1 << 32:
                raise ValueError("the file is larger than any statistics")
            with open(path, "rb") as file, np.load(file, allow_pickle=False) as record:
                return cls._restored(record)
        except (OSError, *_REFUSALS) as error:
            if isinstance(error, OSError) and error.errno:
                raise
            # NumPy's advice on files of other kinds is to unpickle them.
            reason = "it holds objects, or no arrays" if "pickle" in str(error) else error
            raise OptionError(f"{os.fspath(path)}: not the statistics of a KernelLearner: {reason}") from None

    @classmethod
    def _restored(cls, record: Any) -> KernelLearner:
        if not hasattr(record, "files") or "format" not in record.files or str(record["format"]) != "corr2d-learner":
            raise ValueError('there is no format "corr2d-learner" in it')
        if record["version"].shape != () or int(record["version"]) != 1:
            raise ValueError("its version is not 1; update corr2d")
        sizes, counts = record["max_size"], record["counts"]
        if sizes.shape != (2,) or sizes.dtype.kind not in "iu" or counts.shape != (2,) or counts.dtype.kind not in "iu":
            raise ValueError("sizes are not pairs of integers")
        learner = cls(tuple(int(n) for n in sizes), channels=str(record["channels"]))
        same = int(record["same"])
        learner._same, learner._whole = (None if same < 0 else bool(same)), bool(record["whole"])
        channels, outputs = (int(n) for n in counts)
        if not channels:
            return learner
        # A few bytes may claim any shape: what is expected is known before it is unpacked.
        wanted = 1 + channels * math.prod(learner.max_size) + outputs
        matrix: NDArray = record["matrix"]
        origins = record["origins"]
        if outputs < 1 or matrix.shape != (wanted, wanted) or matrix.dtype != np.float64 or origins.shape != (2,) or origins.dtype != np.float64:
            raise ValueError(f"the sums are not {wanted}x{wanted} numbers")
        if not (np.isfinite(matrix).all() and np.isfinite(origins).all() and (matrix == matrix.T).all() and (np.diag(matrix) >= 0).all()):
            raise ValueError("the sums are not those of any picture")
        learner._moments = Moments(learner.max_size, channels, outputs, (float(origins[0]), float(origins[1])), matrix)
        return learner

    def __repr__(self) -> str:
        return f"KernelLearner(max_size={self.max_size}, channels={self.channels!r}, count={self.count})"


def _listed(constraints: Any) -> tuple:
    if constraints is None:
        return ()
    if isinstance(constraints, (str, dict)):
        return (constraints,)
    try:
        return tuple(constraints)
    except TypeError:
        raise OptionError(f"constraints={constraints!r} is not understood; give a word, a dict of fixed taps, or a list of them") from None
