"""Writing into memory that is being read: ``out`` overlaps the image, the result is still right."""

from __future__ import annotations

import numpy as np

# A temporary of this size is simply made; larger results go band by band.
TEMPORARY = 48 << 20


def run_overlapping(plan, image: np.ndarray, out: np.ndarray) -> None:
    """Compute into a temporary, then copy."""
    p = plan.problem
    temporary = np.empty(out.shape, out.dtype)
    plan._run(p.canonical(image), p.canonical(temporary), plan.threads)
    out[...] = temporary
