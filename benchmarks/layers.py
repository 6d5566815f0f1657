"""corr2d.nn.Conv2D beside torch.nn.Conv2d: checked first, forward alone and with both gradients, interleaved.

python benchmarks/bench.py --suite torch [--threads N] [--repeat N] [--seconds S] [--only REGEX]
"""

from __future__ import annotations

import argparse
import ctypes
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import timing
import torch

import corr2d


@dataclass(frozen=True)
class Case:
    """A layer's arguments, its input, and how many times faster than PyTorch's it is to be: (forward, with gradients)."""

    title: str
    shape: tuple[int, ...]
    arguments: tuple[int, ...]  # in, out, kernel_size
    options: dict[str, Any] = field(default_factory=dict)
    goals: tuple[float, float] = (0.0, 0.0)


CASES = (
    Case("1 channel 3x3, 16 x 512x512", (16, 1, 512, 512), (1, 1, 3), goals=(5, 3)),
    Case("1 channel 7x7, 16 x 512x512", (16, 1, 512, 512), (1, 1, 7), goals=(5, 3)),
    Case("1 channel 3x3, 64 x 28x28", (64, 1, 28, 28), (1, 1, 3), goals=(2, 0)),
    Case("depthwise 32 7x7, 1 x 128x128", (1, 32, 128, 128), (32, 32, 7), dict(padding=3, groups=32), (2, 0)),
    Case("depthwise 32 7x7, 8 x 128x128", (8, 32, 128, 128), (32, 32, 7), dict(padding=3, groups=32), (2, 0)),
    Case("depthwise 32 31x31, 1 x 128x128", (1, 32, 128, 128), (32, 32, 31), dict(padding=15, groups=32), (5, 0)),
    Case("3 to 16 3x3, 8 x 64x64", (8, 3, 64, 64), (3, 16, 3), dict(padding=1)),
    Case("1 to 8 5x5, 64 x 28x28", (64, 1, 28, 28), (1, 8, 5)),
    Case("8 to 8 3x3, 8 x 64x64", (8, 8, 64, 64), (8, 8, 3), dict(padding=1)),
    Case("64 to 64 3x3, 1 x 56x56", (1, 64, 56, 56), (64, 64, 3), dict(padding=1), (1 / 1.05, 0)),
    Case("64 to 64 3x3, 8 x 56x56", (8, 64, 56, 56), (64, 64, 3), dict(padding=1), (1 / 1.05, 0)),
)


def pair(case: Case) -> tuple[torch.nn.Module, torch.nn.Module]:
    """PyTorch's layer and ours with the same parameters."""
    layers = []
    for kind in (torch.nn.Conv2d, corr2d.nn.Conv2D):
        torch.manual_seed(0)
        layers.append(kind(*case.arguments, **case.options))
    return tuple(layers)


def step(layer: torch.nn.Module, x: torch.Tensor) -> Callable[[], Any]:
    """Forward and backward, gradients of the image and the parameters."""
    x = x.clone().requires_grad_()

    def run():
        layer.zero_grad()
        x.grad = None
        y = layer(x)
        y.backward(y.detach())
        return x.grad, *(p.grad for p in layer.parameters())

    return run


def objection(theirs: Any, ours: Any) -> str:
    """What differs by more than float32 sums may, or nothing."""
    for a, b in zip(theirs, ours, strict=True):
        miss = float((a - b).abs().max() / a.abs().max())
        if not miss < 1e-4:
            return f"differs by {miss:.1e} of the largest"
    return ""


def measure(case: Case, args: argparse.Namespace) -> bool:
    """One line; whether ours was right."""
    theirs, ours = pair(case)
    x = torch.randn(case.shape)
    with torch.no_grad():
        wrong = objection([theirs(x)], [ours(x)])
    wrong = wrong or objection(step(theirs, x)(), step(ours, x)())
    if wrong:
        print(f"{case.title:34} WRONG: {wrong}", flush=True)
        return False
    cells = []
    for what, goal in zip(("forward", "gradients"), case.goals, strict=True):
        calls = {"theirs": lambda: theirs(x), "ours": lambda: ours(x)} if what == "forward" else {"theirs": step(theirs, x), "ours": step(ours, x)}
        with torch.set_grad_enabled(what == "gradients"):
            times = timing.interleaved(calls, repeat=args.repeat, seconds=args.seconds)
        a, b = times["theirs"], times["ours"]
        noisy = "~" if a.noisy or b.noisy else ""
        reached = f" (goal {goal:.3g}: {'ok' if a.median / b.median >= goal else 'SHORT'})" if goal else ""
        cells.append(f"{what} {a.median * 1e3:.3f} / {b.median * 1e3:.3f} ms = {a.median / b.median:.2f}x{noisy}{reached}")
    print(f"{case.title:34} {cells[0]:60} {cells[1]}", flush=True)
    return True


def keep_memory() -> None:
    """glibc is told not to give memory back: whose large results meet new pages at every call is chance, and triples their time."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another library's allocator
        return
    for parameter in (-1, -3):  # M_TRIM_THRESHOLD, M_MMAP_THRESHOLD
        mallopt(parameter, 1 << 30)


def main(args: argparse.Namespace) -> int:
    """All cases whose title matches; 1 if any result was wrong."""
    keep_memory()
    torch.set_num_threads(args.threads)
    corr2d.set_threads(args.threads)
    print(f"float32, {args.threads} threads, milliseconds of torch.nn.Conv2d {torch.__version__} / corr2d.nn.Conv2D; ~: noisy")
    right = [measure(case, args) for case in CASES if args.only is None or args.only.search(case.title)]
    return 0 if all(right) else 1
