"""The definition, in four nested loops. Never optimised: the others are tested against it."""

from __future__ import annotations

import itertools
import math

import numpy as np

from .._analysis import KernelFacts
from .._boundary import Boundary, source_indices
from .._cost import Machine
from .._problem import Problem


def correlate(image, weights, rows, columns, out_size, stride, dilation, fill):
    """One plane: ``out[y][x] = sum over i, j of weights[i][j] * image[row][column]``.

    `rows` and `columns` say which pixel stands at each padded position, -1 meaning `fill`.
    Products are Python numbers (exact for integers) and summed with one rounding.

    Examples
    --------
    >>> image = [[0, 1, 2], [3, 4, 5], [6, 7, 8]]
    >>> correlate(image, [[0, 1], [2, 3]], [0, 1, 2], [0, 1, 2], (2, 2), (1, 1), (1, 1), 0)
    [[19, 25], [37, 43]]
    """
    height, width = out_size
    kh, kw = len(weights), len(weights[0])
    out = [[0] * width for _ in range(height)]
    for y in range(height):
        for x in range(width):
            products = []
            for i in range(kh):
                for j in range(kw):
                    row = rows[y * stride[0] + i * dilation[0]]
                    column = columns[x * stride[1] + j * dilation[1]]
                    pixel = fill if row < 0 or column < 0 else image[row][column]
                    products.append(weights[i][j] * pixel)
            out[y][x] = total(products)
    return out


def total(products):
    """The sum with one rounding; exact for integers; NaN and infinities follow IEEE 754."""
    if any(isinstance(p, complex) for p in products):
        return complex(total([complex(p).real for p in products]), total([complex(p).imag for p in products]))
    if all(isinstance(p, int) for p in products):
        return sum(products)
    try:
        return math.fsum(products)
    except (ValueError, OverflowError):  # inf - inf, or a sum beyond the range
        with np.errstate(over="ignore", invalid="ignore"):
            return float(np.sum(products))


def round_to(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Python numbers to samples: half to even and saturated for integers."""
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)

        def to_integer(v):
            v = v.real if isinstance(v, complex) else v
            if isinstance(v, float) and not math.isfinite(v):
                return 0 if math.isnan(v) else limits.max if v > 0 else limits.min
            return min(max(round(v), limits.min), limits.max)

        return np.array([to_integer(v) for v in values.flat], dtype=dtype).reshape(values.shape)
    with np.errstate(over="ignore", invalid="ignore"):
        return values.astype(dtype)


class Reference:
    """The definition as the last candidate: always willing, never fast."""

    engine = method = "reference"

    def refuse(self, problem: Problem, facts: KernelFacts) -> str:
        if "bfloat16" in (problem.image_dtype, problem.out_dtype):
            return "the loops in Python do not read or write bfloat16"
        return ""

    def work(self, problem: Problem, facts: KernelFacts, machine: Machine) -> float:
        # A list and a sum for each output; and every pixel, wanted or not, becomes a Python number first.
        padded = sum(n + before + after for n, (before, after) in zip(problem.size, problem.pads, strict=True))
        return (problem.outputs * (problem.taps + 4) + problem.pixels + padded) / machine.reference_rate

    def prepare(self, problem: Problem, facts: KernelFacts):
        def run(image: np.ndarray, out: np.ndarray, threads: int) -> None:
            kernels = facts.weights.reshape((problem.bank, *(problem.channels or (1, 1)), *problem.kernel_size)).astype(object)
            if facts.integer and facts.real:
                kernels = np.vectorize(int, otypes=[object])(kernels)
            rows, columns = padded_indices(problem)
            channels = image if problem.channels else image[..., None, :, :]
            results = out if problem.channels else out[..., None, :, :]
            fill = python_number(problem.fill)
            bias = python_number(problem.bias)
            biases = itertools.cycle([bias] * kernels.shape[1] if facts.biases is None else facts.biases.tolist())
            for plane, kernel in zip(np.ndindex(*problem.lead), itertools.cycle(kernels)):
                pixels = [as_numbers(channel) for channel in channels[plane]]
                for o, per_input in enumerate(kernel):
                    bias = next(biases)
                    parts = [
                        correlate(p, k.tolist(), rows, columns, problem.out_size, problem.stride, problem.dilation, fill)
                        for p, k in zip(pixels, per_input, strict=True)
                    ]
                    sums = np.empty(problem.out_size, dtype=object)
                    for y, x in np.ndindex(*problem.out_size):
                        sums[y, x] = total([part[y][x] for part in parts] + [bias])
                    results[plane + (o,)] = round_to(sums, out.dtype)

        return run


def as_numbers(channel: np.ndarray) -> list:
    """A plane as lists of Python numbers."""
    if channel.dtype.kind in "biu":
        return [[int(v) for v in row] for row in channel]
    return channel.astype(complex if channel.dtype.kind == "c" else float).tolist()


def python_number(value: complex):
    """An int where the value is one, else a float, else a complex."""
    if value.imag:
        return value
    return int(value.real) if math.isfinite(value.real) and value.real.is_integer() else value.real


def padded_indices(problem: Problem) -> tuple[list[int], list[int]]:
    """For each axis, which pixel stands at every position of the padded image (-1: fill)."""
    return tuple(
        source_indices(Boundary(problem.boundary), -before, n + before + after, n).tolist() if n or problem.boundary is Boundary.CONSTANT else []
        for n, (before, after) in zip(problem.size, problem.pads, strict=True)
    )
