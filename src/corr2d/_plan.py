"""Choosing: ask every candidate for a refusal or a time, take the least; a plan is the answer kept."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _arrays
from ._analysis import KernelFacts, analyse, unmeasured
from ._constants import available_cores
from ._cost import machine, predicted_seconds
from ._errors import DTypeError, NoCandidateError, OptionError, ShapeError
from ._problem import Problem, _count
from ._remember import Remembered, content
from .engines import CANDIDATES, METHODS, Candidate, Runner
from .engines.accuracy import comfortable
from .engines.native import Compiled

if TYPE_CHECKING:
    from ._block import Block

_threads: int | None = None


def set_threads(n: int | None) -> None:
    """Set how many threads calls use when they do not say ``threads=``.

    Parameters
    ----------
    n : int or None
        At least 1; None for the default, every core this process may use.

    Examples
    --------
    >>> import corr2d
    >>> corr2d.set_threads(1)
    >>> corr2d.get_threads()
    1
    >>> corr2d.set_threads(None)
    """
    global _threads
    _threads = None if n is None else _count("threads", n, 1)


def get_threads() -> int:
    """How many threads calls use by default.

    Examples
    --------
    >>> import corr2d
    >>> corr2d.get_threads() >= 1
    True
    """
    return available_cores() if _threads is None else _threads


def threads_set() -> int | None:
    """What `set_threads` was told; None: nothing."""
    return _threads


@dataclass(frozen=True, slots=True)
class Considered:
    """One candidate's answer: predicted seconds, or the reason why it refused."""

    engine: str
    method: str
    seconds: float | None
    reason: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """How a correlation will be computed. Print it, compare it, call it.

    Attributes
    ----------
    method, engine : str
        What was chosen, and where it runs.
    seconds : float
        Predicted time of a warm call that writes into ``out=``.
    considered : tuple of Considered
        Every candidate's answer.

    Examples
    --------
    >>> import corr2d, numpy as np
    >>> p = corr2d.plan((480, 640), np.ones((3, 3)) / 9, padding="same")
    >>> p(np.zeros((480, 640), np.float32)).shape
    (480, 640)
    """

    problem: Problem = field(repr=False)
    facts: KernelFacts = field(repr=False)
    threads: int
    method: str
    engine: str
    seconds: float
    considered: tuple[Considered, ...]
    _run: Runner = field(repr=False)

    def __reduce__(self):
        # What it was made of; the compiled part is made anew where it arrives.
        return make_plan, (self.problem, np.array(self.facts.weights), self.method, self.threads)

    def __call__(self, image: Any, out: Any = None) -> Any:
        """Run the plan on an image of the planned shape and dtype."""
        p = self.problem
        if p.device != "cpu":
            return self._run_there(image, out)
        source = _arrays.take(image)
        if source.data.shape != p.shape or source.dtype != p.image_dtype:
            raise ShapeError(
                f"the plan is for an image of shape {p.shape} and dtype {p.image_dtype}; "
                f"got shape {source.data.shape} and dtype {source.dtype}: make a plan for it with corr2d.plan(image, kernel)"
            )
        return self.run(source, image, out)

    def _run_there(self, image: Any, out: Any) -> Any:
        """On the device of a tensor, to which NumPy has no access."""
        p, torch = self.problem, _arrays.torch_of(image)
        if torch is None or (str(image.device), tuple(image.shape), _arrays.tensor_dtype_name(image, "image")) != (p.device, p.shape, p.image_dtype):
            got = f"a tensor of shape {tuple(image.shape)}, {image.dtype}, on {image.device}" if torch else type(image).__name__
            raise ShapeError(
                f"the plan is for a tensor of shape {p.shape} and dtype {p.image_dtype} on device {p.device}; "
                f"got {got}: make a plan for it with corr2d.plan(image, kernel)"
            )
        _arrays.refuse_history(image, torch, "image")
        result = torch.empty(p.out_shape, dtype=getattr(torch, p.out_dtype), device=image.device)
        if not image.is_meta:
            views = (image, result) if p.channel_axis is None else (a.movedim(p.channel_axis, -3) for a in (image, result))
            self._run(*views, self.threads)
        return result if out is None else _arrays.copy_into(out, result)

    def block(self, rows: slice, columns: slice) -> Block:
        """Part of the result, for images that are read piece by piece.

        Parameters
        ----------
        rows, columns : slice
            Of the result, without a step.

        Returns
        -------
        Block
            Its ``rows`` and ``columns`` are the slices of the image that it needs, halo included;
            call it with those pixels. Results of ``direct``, ``sparse`` and ``separable`` are the
            same bits as the whole's.

        Raises
        ------
        OptionError
            The slices are empty, have a step, or reach past the result.

        Examples
        --------
        >>> import corr2d, numpy as np
        >>> image = np.arange(48.0).reshape(6, 8)
        >>> p = corr2d.plan(image, np.ones((3, 3)), padding="same")
        >>> block = p.block(slice(0, 2), slice(0, 8))
        >>> block.rows, block.columns
        ((slice(0, 3, None),), (slice(0, 8, None),))
        >>> bool((block(image[0:3]) == p(image)[0:2]).all())
        True
        """
        from ._block import block_of

        return block_of(self, rows, columns)

    def part(self, problem: Problem) -> Plan:
        """The same kernel and method for another problem: a block of this one."""
        return make_plan(problem, self.facts.weights, self.method, self.threads)

    def run(self, source: _arrays.HostArray, image: Any, out: Any) -> Any:
        """Compute for a checked image; `out` is checked here."""
        p = self.problem
        if out is None:
            result, target = _arrays.empty(p.out_shape, p.out_dtype, source.home)
            self.compute(source.data, target)
            return _arrays.give(result, source.home)
        target = check_out(out, p, image)
        if np.may_share_memory(source.data, target):
            from ._overlap import run_overlapping

            run_overlapping(self, source.data, target)
        else:
            self.compute(source.data, target)
        return out

    def compute(self, image: np.ndarray, out: np.ndarray) -> None:
        """The arithmetic alone: arrays of the right shapes and types that share no memory."""
        p = self.problem
        if p.channel_axis is not None:
            image, out = p.canonical(image), p.canonical(out)
        self._run(image, out, self.threads)

    def __str__(self) -> str:
        p = self.problem
        kernel = "×".join(map(str, ((*p.channels,) if p.channels else ()) + p.kernel_size))
        facts = [f"{self.facts.nonzeros} of {self.facts.weights.size} taps non-zero"]
        if self.facts.separable:
            facts.append(f"rank 1 (residual {self.facts.residual:.0e})")
        elif self.facts.terms:
            facts.append(f"rank {len(self.facts.terms[0])} (residual {self.facts.terms_residual:.0e})")
        if self.facts.mirror:
            facts.append("its own mirror image left to right" + (", negated" if self.facts.mirror < 0 else ""))
        if self.facts.integer:
            facts.append("integer")
        lines = [
            f"{'×'.join(map(str, p.shape))} {p.image_dtype} ⋆ {kernel} → {'×'.join(map(str, p.out_shape))} {p.out_dtype}, "
            f"{self.threads} thread{'s' * (self.threads > 1)}",
            f"kernel: {', '.join(facts)}",
        ]
        width = max(len(f"{c.engine} · {c.method}") for c in self.considered)
        answers = sorted(self.considered, key=lambda c: (c.seconds is None, c.seconds, c.method != self.method))
        for c in answers:
            mark = "▸" if (c.engine, c.method) == (self.engine, self.method) else " "
            name = f"{c.engine} · {c.method}".ljust(width)
            lines.append(f"{mark} {name}  {format_seconds(c.seconds):>9}" if c.seconds is not None else f"{mark} {name}          —  {c.reason}")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """The plan as JSON-ready values."""
        p = self.problem
        return {
            "image": {"shape": list(p.shape), "dtype": p.image_dtype},
            "kernel": {"shape": list(self.facts.weights.shape), "nonzeros": self.facts.nonzeros, "rank_one": self.facts.separable},
            "result": {"shape": list(p.out_shape), "dtype": p.out_dtype},
            "padding": [list(pad) for pad in p.pads],
            "boundary": p.boundary.name.lower(),
            "stride": list(p.stride),
            "dilation": list(p.dilation),
            "threads": self.threads,
            "method": self.method,
            "engine": self.engine,
            "seconds": self.seconds,
            "considered": [
                {"engine": c.engine, "method": c.method, "seconds": c.seconds, "reason": c.reason} for c in self.considered
            ],
        }


def format_seconds(seconds: float) -> str:
    """1.9 ms, 43 µs, 2.1 s."""
    for unit, scale in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= scale or unit == "µs":
            value = seconds / scale
            return f"{value:.{0 if value >= 99.5 else 1 if value >= 9.95 else 2}f} {unit}"
    raise AssertionError


def check_out(out: Any, p: Problem, image: Any) -> np.ndarray:
    """The NumPy view of a caller's ``out``, or an error before anything is written."""
    if (_arrays.torch_of(out) is None) != (_arrays.torch_of(image) is None):
        raise DTypeError(f"out is {type(out).__name__} and the image is {type(image).__name__}; use the same kind of array for both")
    if not isinstance(out, np.ndarray) and _arrays.torch_of(out) is None:
        raise DTypeError(f"out is {type(out).__name__}; it must be an array that can be written to")
    view = _arrays.take(out, "out")
    if view.data.shape != p.out_shape:
        raise ShapeError(f"out has shape {view.data.shape} and the result has shape {p.out_shape}; use np.empty({p.out_shape}, '{p.out_dtype}')")
    if view.dtype != p.out_dtype:
        raise DTypeError(f"out has dtype {view.dtype} and the result is {p.out_dtype}; pass dtype='{view.dtype}' or an out of dtype {p.out_dtype}")
    if not view.data.dtype.isnative:
        raise DTypeError(f"out has dtype {view.data.dtype!r} of foreign byte order; use the native {p.out_dtype}")
    if not view.data.flags.writeable:
        raise OptionError("out is read-only; pass a writeable array, e.g. out.copy()")
    if view.data.size and any(stride == 0 and n > 1 for stride, n in zip(view.data.strides, view.data.shape, strict=True)):
        raise OptionError("out is a broadcast array whose elements share memory; pass out.copy()")
    return view.data


# Plans hold weights in the compiled code's form, and spectra: megabytes for large kernels.
_kept: Remembered[Plan] = Remembered(64 << 20)


def make_plan(problem: Problem, weights: np.ndarray, method: str, threads: int | None) -> Plan:
    """The plan for a problem; plans are remembered by the kernel's content."""
    if not isinstance(method, str):
        raise OptionError(f"method={method!r}: use 'auto' or one of {', '.join(METHODS)}")
    threads = get_threads() if threads is None else _count("threads", threads, 1)
    key = problem, content(weights), method, threads
    return _kept.get(key, lambda: _choose(problem, analyse(weights), method, threads), _footprint)


def _footprint(plan: Plan) -> int:
    """Bytes of a plan, roughly: the weights in several forms; spectra have the size of their tile, those of parts two of the largest."""
    if plan.method != "fft":
        return 4096 + 8 * plan.facts.weights.nbytes
    side = max(64, min(4 * max(plan.problem.span), 1024))
    return 4096 + 8 * plan.facts.weights.nbytes + 16 * side**2 * (1 + (max(plan.problem.span) >= 768))


class Trained:
    """A problem whose weights will not come again: nothing about them is measured or kept, but who is to compute."""

    def __init__(self, problem: Problem):
        self.problem = problem
        self._choices: dict[tuple[bool, str, int], tuple[Candidate, int]] = {}
        self._ready: dict[tuple[str, int], tuple[Compiled, int]] = {}  # runners that take other weights

    def choice(self, finite: bool = True, method: str = "auto", threads: int = 1) -> tuple[Candidate, int]:
        """Who is to compute, on how many threads; who it is does not depend on these."""
        key = finite, method, threads
        if key not in self._choices:
            p = self.problem
            weights = np.full(p.weights_shape, 1.0 if finite else math.nan)
            self._choices[key] = _consider(p, unmeasured(weights, None), method, threads)[:2]
        return self._choices[key]

    def seconds(self, threads: int) -> dict[str, float]:
        """The least that each engine is predicted to take."""
        considered = _consider(self.problem, unmeasured(np.ones(self.problem.weights_shape), None), "auto", threads)[2]
        times: dict[str, float] = {}
        for c in considered:
            if c.seconds is not None:
                times[c.engine] = min(c.seconds, times.get(c.engine, c.seconds))
        return times

    def run(self, weights: np.ndarray, biases: np.ndarray | None, method: str, threads: int, image: np.ndarray, out: np.ndarray) -> None:
        """Correlate: `weights` and `biases` are float32 or float64, contiguous, of any shape; `image` and `out` canonical."""
        kept, used = self._ready.get((method, threads), (None, 0))
        runner = kept and kept.renewed(weights, biases)
        if runner is not None and runner is not kept:
            self._ready[method, threads] = runner, used
        if runner is None:
            weights = weights.reshape(self.problem.weights_shape)
            facts = unmeasured(*(None if a is None else a.astype(np.float64, copy=False) for a in (weights, biases)))
            candidate, used = self.choice(facts.finite, method, threads)
            runner = candidate.prepare(self.problem, facts)
            # In a relaxed problem the weights' sizes decide nothing but this.
            if self.problem.relaxed and facts.finite and comfortable(facts) and isinstance(runner, Compiled):
                self._ready[method, threads] = runner, used
        runner(image, out, used)


def _choose(problem: Problem, facts: KernelFacts, method: str, threads: int) -> Plan:
    candidate, used, considered = _consider(problem, facts, method, threads)
    seconds = next(c.seconds for c in considered if (c.engine, c.method) == (candidate.engine, candidate.method))
    return Plan(problem, facts, used, candidate.method, candidate.engine, seconds, considered, candidate.prepare(problem, facts))


def _consider(problem: Problem, facts: KernelFacts, method: str, threads: int) -> tuple[Candidate, int, tuple[Considered, ...]]:
    """The candidate of least work, the threads that it pays for, and everyone's answer."""
    if method != "auto" and method not in METHODS:
        raise OptionError(f"method={method!r} is not known; use 'auto' or one of {', '.join(METHODS)}")
    m = machine()
    elsewhere = "" if problem.device == "cpu" else f"the image is on device {problem.device}"
    # Nothing is imported on anyone's behalf, nor may it matter what somebody else has imported.
    unasked = "" if problem.tensor or elsewhere or method != "auto" else "PyTorch computes for tensors, or where it is asked for by name"
    reasons = [(unasked if c.engine == "torch" else elsewhere) or c.refuse(problem, facts) for c in CANDIDATES]
    work = [None if reason else c.work(problem, facts, m) for c, reason in zip(CANDIDATES, reasons, strict=True)]
    allowed = [
        (w, i) for i, (w, c) in enumerate(zip(work, CANDIDATES, strict=True)) if w is not None and method in ("auto", c.method)
    ]  # fmt: skip
    if not allowed:
        quoted = "; ".join(f"{c.engine}: {r}" for c, r in zip(CANDIDATES, reasons, strict=True) if c.method == method)
        raise NoCandidateError(f"method={method!r} refuses this problem ({quoted}); use method='auto'")
    least, chosen = min(allowed)
    used = m.threads_for(max(least, problem.bytes_moved / m.bytes_rate), threads)
    seconds = [None if w is None else predicted_seconds(m, problem, w, used) for w in work]
    considered = tuple(
        Considered(c.engine, c.method, s, r) for c, s, r in zip(CANDIDATES, seconds, reasons, strict=True)
    )  # fmt: skip
    return CANDIDATES[chosen], used, considered


__all__ = ["Considered", "Plan", "get_threads", "make_plan", "set_threads"]
