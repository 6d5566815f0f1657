"""`LearnedKernel`: the kernel with its error bars, the verdict, and everything that led to it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

import corr2d

from .._errors import OptionError
from ..kernel import Kernel
from .certificate import Certificate

__all__ = ["LearnedKernel"]


@dataclass(slots=True, eq=False, repr=False)
class LearnedKernel:
    """What `learn_kernel` and `KernelLearner.solve` found.

    Attributes
    ----------
    kernel : Kernel
        In correlation orientation, ``(kh, kw)`` or ``(O, I, kh, kw)``, with its anchor, its name, and its bias where
        there is one output. ``fit.kernel.flip()`` is the same filter for programs that convolve.
    bias : float or ndarray (O,)
        Added to each output.
    stderr : ndarray, shape of the kernel
        Standard error of each tap; 0 for taps that were fixed, meaningless along null directions.
    bias_stderr : float
    r2 : float
        Share of the variance of `after` that is explained. A median filter gives 0.997: read the verdict.
    rms : float
        Of the residuals, in units of `after`.
    verdict : str
        One of ``corr2d.learning.VERDICTS``.
    reasons : tuple of str
        Why, in sentences; also what curve, offset or ridge was found.
    name : str
        What the kernel is called, "" if it has no name.
    certificate : Certificate or None
        Integers and a rule that reproduce `after` bit for bit.
    rank_deficiency : int
        Combinations of taps that the pictures say nothing about: the kernel is the shortest of all that fit.
    null_directions : ndarray (rank_deficiency, kernel size)
        Those combinations.
    boundary : str or None
        The rule for pixels beyond the border that the rim of `after` follows.
    count : int
        Output pixels used.
    losses : tuple of float
        Of ``method="gradient"``: the sum of squares before each step.

    Examples
    --------
    >>> import numpy as np, corr2d
    >>> X = np.random.default_rng(0).random((20, 20))
    >>> fit = corr2d.learn_kernel(X, corr2d.corr2d(X, [[1, -1]]), size=(1, 2))
    >>> fit.verdict, np.asarray(fit.kernel).round(9).tolist()
    ('lsi-exact', [[1.0, -1.0]])
    """

    kernel: Kernel
    bias: Any
    stderr: NDArray[np.float64]
    bias_stderr: float
    r2: float
    rms: float
    worst: float
    verdict: str
    reasons: tuple[str, ...]
    name: str
    certificate: Certificate | None
    rank_deficiency: int
    null_directions: NDArray[np.float64]
    boundary: str | None
    count: int
    degrees: float  # of freedom that the residuals have
    covariance: NDArray[np.float64]  # (P, P), of the first output's taps
    ridge: float = 0.0
    losses: tuple[float, ...] = ()
    same: bool = True
    corner: tuple[int, int] = (0, 0)
    curve: Any = None
    variation: Any = field(default=None)

    def confidence_interval(self, level: float = 0.95) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The lower and upper ends of an interval for each tap, by Student's t.

        Parameters
        ----------
        level : float, default 0.95
            How often such intervals hold the true value.

        Returns
        -------
        low, high : ndarray, shape of the kernel

        Raises
        ------
        OptionError
            If the level is not between 0 and 1.

        Examples
        --------
        >>> import numpy as np, corr2d
        >>> rng = np.random.default_rng(0)
        >>> before = rng.normal(size=(64, 64))
        >>> after = corr2d.corr2d(before, [[1.0, -1.0]]) + rng.normal(size=(64, 63))
        >>> low, high = corr2d.learn_kernel(before, after).confidence_interval(0.99)
        >>> bool((low <= [[1, -1]]).all() and (high >= [[1, -1]]).all())
        True
        """
        if not 0 < level < 1:
            raise OptionError(f"level={level!r} is not between 0 and 1; for 95 percent say 0.95")
        from scipy.special import stdtrit

        reach = float(stdtrit(max(self.degrees, 1.0), (1 + level) / 2)) * self.stderr
        return self.kernel.weights - reach, self.kernel.weights + reach

    def predict(self, before: Any, *, boundary: str | None = None) -> NDArray[np.float64]:
        """What the learned filter makes of a picture, before any rounding or clipping.

        Parameters
        ----------
        before : array_like
            As in `learn_kernel`.
        boundary : str, optional
            For pixels beyond the border; default the rule that was found, else "reflect".

        Returns
        -------
        ndarray of float64
            Of the shape that `after` had relative to `before`.

        Examples
        --------
        >>> import numpy as np, corr2d
        >>> X = np.ones((6, 8)); X[:, 2:6] = 0
        >>> fit = corr2d.learn_kernel(X, X[:, :-1] - X[:, 1:])
        >>> bool(np.abs(fit.predict(X) - (X[:, :-1] - X[:, 1:])).max() < 1e-12)
        True
        """
        x = np.asarray(before)
        if self.curve is not None:
            x = self.curve.forward(x)
        options: dict[str, Any] = {"dtype": "float64"}
        if self.same:
            rule = boundary or (self.boundary if self.boundary in ("constant", "edge", "reflect", "symmetric", "wrap") else "reflect")
            (oy, ox), (kh, kw) = self.corner, self.kernel.shape[-2:]
            options |= {"boundary": rule, "padding": ((-oy, kh - 1 + oy), (-ox, kw - 1 + ox))}
            if min(-oy, -ox, kh - 1 + oy, kw - 1 + ox) < 0:  # the window lies to one side: widen it to its anchor
                return self._from_afar(x, options)
        plain = Kernel(self.kernel.weights)
        if self.variation is not None:
            out = self.variation.apply(x, options)
        else:
            out = corr2d.corr2d(x, plain, **options)
        out = out + (np.asarray(self.bias)[:, None, None] if np.ndim(self.bias) else self.bias)
        return out if self.curve is None else self.curve.back(out)

    def _from_afar(self, x: NDArray, options: dict[str, Any]) -> NDArray[np.float64]:
        (oy, ox), (kh, kw) = self.corner, self.kernel.shape[-2:]
        top, left = min(oy, 0), min(ox, 0)
        below, right = max(oy + kh - 1, 0), max(ox + kw - 1, 0)
        weights = np.zeros((*self.kernel.shape[:-2], below - top + 1, right - left + 1))
        weights[..., oy - top : oy - top + kh, ox - left : ox - left + kw] = self.kernel.weights
        out = corr2d.corr2d(x, weights, **{**options, "padding": ((-top, below), (-left, right))})
        return out + (np.asarray(self.bias)[:, None, None] if np.ndim(self.bias) else self.bias)

    def summary(self) -> str:
        """The whole answer in a few lines.

        Examples
        --------
        >>> import numpy as np, corr2d
        >>> X = np.ones((6, 8)); X[:, 2:6] = 0
        >>> print(corr2d.learn_kernel(X, X[:, :-1] - X[:, 1:], bias=False).summary())
        1x2 kernel, lsi-exact: difference of neighbours along x, scaled by −1
           1  -1
        rms 0, R² 1.000000, 42 pixels
        exactly: [[1, -1]] / 1, rounding none, border valid
        as a convolution kernel, turned by 180 degrees: [[-1, 1]]
        - every pixel is reproduced: the largest difference is 0
        """
        shape = "x".join(map(str, self.kernel.shape))
        lines = [f"{shape} kernel, {self.verdict}" + (f": {self.name}" if self.name else "")]
        lines += _table(self.kernel.weights, self.stderr) if self.kernel.ndim == 2 and self.kernel.weights.size <= 400 else []
        bias = f", bias {_short(self.bias)}" if np.ndim(self.bias) == 0 and abs(self.bias) > 1e-12 else ""
        lines.append(f"rms {_short(self.rms)}, R² {self.r2:.6f}{bias}, {self.count} pixels")
        if self.certificate is not None:
            c = self.certificate
            odd = f", but for {c.mismatches} of {c.pixels} pixels" if c.mismatches else ""
            plus = f" + {_short(c.bias)}" if c.bias else ""
            lines.append(f"exactly: {c.numerators.tolist()} / {c.divisor}{plus}, rounding {c.rounding}, border {c.boundary or 'unknown'}{odd}")
            turned = c.numerators[::-1, ::-1]
            if not np.array_equal(turned, c.numerators):
                lines.append(f"as a convolution kernel, turned by 180 degrees: {turned.tolist()}")
        return "\n".join(lines + [f"- {reason}" for reason in self.reasons])

    __str__ = summary

    def __repr__(self) -> str:
        return f"<LearnedKernel {'x'.join(map(str, self.kernel.shape))}, {self.verdict}, rms {_short(self.rms)}>"

    def to_dict(self) -> dict[str, Any]:
        """Everything as lists and numbers that JSON holds.

        Examples
        --------
        >>> import numpy as np, corr2d
        >>> x = np.random.default_rng(0).integers(0, 256, (40, 40), dtype=np.uint8)
        >>> corr2d.learn_kernel(x, x).to_dict()["verdict"]
        'lsi-exact'
        """
        return {
            "kernel": self.kernel.weights.tolist(), "anchor": list(self.kernel.anchor) if self.kernel.anchor else None,
            "convolution_kernel": self.kernel.weights[..., ::-1, ::-1].tolist(),
            "bias": np.asarray(self.bias).tolist(), "stderr": self.stderr.tolist(), "bias_stderr": float(self.bias_stderr),
            "r2": float(self.r2), "rms": float(self.rms), "largest_residual": float(self.worst), "count": int(self.count),
            "verdict": self.verdict, "reasons": list(self.reasons), "name": self.name,
            "certificate": None if self.certificate is None else self.certificate.to_dict(),
            "boundary": self.boundary, "rank_deficiency": int(self.rank_deficiency), "ridge": float(self.ridge),
            "losses": list(self.losses), "curve": None if self.curve is None else self.curve.name,
        }  # fmt: skip


def _short(value: Any) -> str:
    return f"{float(value):.4g}"


def _table(weights: NDArray, stderr: NDArray) -> list[str]:
    """Taps in columns, each with its error where it has one worth printing."""
    scale = float(np.abs(weights).max(initial=0)) or 1.0
    known = (stderr > 1e-7 * scale).any()
    digits = max(0, min(8, int(np.ceil(-np.log10(float(np.median(stderr)))) + 1))) if known and np.median(stderr) > 0 else 6

    def cell(k: float, s: float) -> str:
        if not known:
            text = f"{k:.6g}" if abs(k) > 1e-9 * scale else "0"
            return text
        return f"{k:.{digits}f}±{s:.{digits}f}"

    cells = [[cell(k, s) for k, s in zip(*rows, strict=True)] for rows in zip(weights, stderr, strict=True)]
    width = max(len(c) for row in cells for c in row)
    return ["  " + "  ".join(c.rjust(width) for c in row) for row in cells]
