"""Where correlations run: the ordered list of candidates.

A candidate is a pair (engine, method) that answers three questions about a problem and a
kernel: `refuse` (a sentence, or "" when willing), `work` (predicted seconds of arithmetic on
one core), and `prepare` (a callable that computes). To add a method, write one class and one line here: the planner and
the tests find it.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from .._analysis import KernelFacts
from .._cost import Machine
from .._problem import Problem
from .fft import FFT
from .native import Box, Direct, LowRank, Separable, Sparse
from .reference import Reference
from .torch import MatMul, TorchFFT
from .transform import Transform


class Runner(Protocol):
    """Computes into `out`. Both arrays are canonical: (*lead, [channels,] rows, columns)."""

    def __call__(self, image: np.ndarray, out: np.ndarray, threads: int) -> None: ...


class Candidate(Protocol):
    engine: str
    method: str

    def refuse(self, problem: Problem, facts: KernelFacts) -> str: ...

    def work(self, problem: Problem, facts: KernelFacts, machine: Machine) -> float: ...

    def prepare(self, problem: Problem, facts: KernelFacts) -> Runner: ...


CANDIDATES: tuple[Candidate, ...] = (Box(), Separable(), LowRank(), Direct(), Sparse(), Transform(), FFT(), MatMul(), TorchFFT(), Reference())


METHODS = tuple(dict.fromkeys(candidate.method for candidate in CANDIDATES))
