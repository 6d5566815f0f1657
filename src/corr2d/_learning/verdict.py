"""One word for what relates the two pictures, and the reasons in sentences.

The order is that of what hides what: taps that cannot be told apart first; then whether residuals are rounding;
then saturation, blocks of JPEG, curves, displacement, change across the picture, and other local rules.
R squared decides nothing: a 3 x 3 median is fitted by a kernel with an R squared of 0.997.
"""

from __future__ import annotations

from dataclasses import dataclass

from .evidence import GROUPS, Evidence

__all__ = ["VERDICTS", "Case", "judge"]

VERDICTS = (
    "lsi-exact", "lsi-rounded", "lsi+noise", "lsi+clipping", "static-nonlinear", "spatially-varying", "local-nonlinear",
    "jpeg-grid", "not-identifiable", "misaligned",
)  # fmt: skip

FLOOR = 12**-0.5  # rms of rounding to integers
_FOUND = 0.02  # share of the residual's variance that noise would not let predict
# Of the best score, from which the simpler explanation is taken; a maximum or a minimum looks like a tone curve, too.
_CLOSE = {"static": 0.95, "moved": 0.75, "varying": 0.75, "local": 0.75, "support": 0.75}


@dataclass(frozen=True, slots=True)
class Case:
    """What is known when the verdict is given."""

    deficiency: int
    taps: int
    rms: float
    worst: float
    precision: float  # rms that the sample type of `after` alone explains, 0 for integers
    whole: bool  # `after` holds integers
    clipped: int  # outputs left out because they were predicted beyond the levels
    related: bool  # some tap is not zero
    evidence: Evidence
    constant: bool  # `before` has no contrast at all


def judge(case: Case) -> tuple[str, list[str]]:
    """The verdict and the reasons."""
    reasons: list[str] = []
    if case.deficiency:
        what = "before is constant" if case.constant else "the pictures are too plain or too small for a kernel of this size"
        reasons.append(
            f"{case.deficiency} of {case.taps} combinations of taps cannot be told apart: {what}; the kernel given is the shortest "
            "of all that fit alike. A picture of random dots would tell them apart"
        )
        return "not-identifiable", reasons
    if case.rms <= case.precision or (case.whole and case.worst <= 1e-6):
        reasons.append(f"every pixel is reproduced: the largest difference is {case.worst:.2g}")
        return ("lsi+clipping" if case.clipped else "lsi-exact"), reasons + _clipping(case)
    if not case.related:
        reasons.append("no tap differs from zero by more than its error: the pictures have nothing in common where they are laid on each other")
        return "misaligned", reasons
    rounded = case.whole and case.rms <= 1.08 * FLOOR and case.worst <= 0.75
    if rounded:
        reasons.append(f"residuals are rounding: rms {case.rms:.3f}, where rounding to integers gives 0.289, and none above {case.worst:.2f}")
        return ("lsi+clipping" if case.clipped else "lsi-rounded"), reasons + _clipping(case)
    found = _alternative(case, reasons)
    if found:
        return found, reasons
    if _like_roundings(case):
        reasons.append(
            f"residuals are like several roundings in a row: rms {case.rms:.3f} (one gives 0.289), none above {case.worst:.2f}"
        )
        return ("lsi+clipping" if case.clipped else "lsi-rounded"), reasons + _clipping(case)
    share = max((case.evidence.scores.get(group, 0.0) for group in GROUPS), default=0.0)
    if case.evidence.scores:
        reasons.append(f"residuals, rms {case.rms:.4g}, are noise: nothing in the first picture predicts more than {max(share, 0):.1%} of them")
    else:
        reasons.append(f"residuals have an rms of {case.rms:.4g}; too few pixels to test whether they are only noise")
    return ("lsi+clipping" if case.clipped else "lsi+noise"), reasons + _clipping(case)


def _like_roundings(case: Case) -> bool:
    """Whether residuals are no larger than those of a few roundings one after the other."""
    return case.whole and case.rms <= 0.6 and case.worst <= 2.6


def _clipping(case: Case) -> list[str]:
    return [f"{case.clipped} pixels are predicted beyond the levels where after stops, and took no part"] if case.clipped else []


def _alternative(case: Case, reasons: list[str]) -> str:
    """The verdict that explains the residual better than noise, or ""."""
    seen, scores = case.evidence, case.evidence.scores
    if not scores:
        return ""
    best = max(scores[group] for group in GROUPS)
    if scores["support"] > _FOUND and scores["support"] >= _CLOSE["support"] * best:
        reasons.append(f"pixels just outside the window predict {scores['support']:.0%} of the residual: the kernel is larger; allow a larger size")
    if abs(seen.grid_sigmas) > 6 and not 1 / 1.12 < seen.grid < 1.12 and best < 0.5:
        reasons.append(
            f"residuals are {seen.grid:.2f} times as large where blocks of 8x8 meet as elsewhere: after went through JPEG, whose losses are "
            "not noise and bias the taps; use a lossless copy"
        )
        return "jpeg-grid"
    if seen.steps > 0.3 and best < 0.5:
        reasons.append(
            "the cosine transforms of after's blocks of 8x8 lie on steps, and those of before do not: after went through JPEG, whose losses are "
            "not noise and bias the taps; use a lossless copy"
        )
        return "jpeg-grid"
    # Support first: pixels left out mimic whatever goes with them, so nothing that predicts less than they do is believed.
    if best > _FOUND and scores["support"] == best and not _like_roundings(case):
        reasons.append("what the window leaves out is counted as noise")
        return "lsi+clipping" if case.clipped else "lsi+noise"
    if best > _FOUND:
        for group, verdict, words in (
            ("static", "static-nonlinear", 'powers of the pixel values predict {:.0%} of the residual: a tone curve; try curves="auto"'),
            ("moved", "misaligned", "a displacement that changes across the picture predicts {:.0%} of the residual: rotation, scale or distortion"),
            ("varying", "spatially-varying", 'a kernel that changes across the picture predicts {:.0%} of the residual; try vary="auto"'),
            ("local", "local-nonlinear", "local medians, extremes or contrasts predict {:.0%} of the residual: not a linear filter"),
        ):
            if scores[group] > _FOUND and scores[group] >= _CLOSE[group] * max(scores[g] for g in GROUPS if g != "support"):
                if group == "varying" and scores["adaptive"] - scores[group] > 0.15 * (1 - scores[group]):
                    reasons.append(f"curves and contrasts that change across the picture predict {scores['adaptive']:.0%} of the residual: a filter that adapts")
                    return "local-nonlinear"
                reasons.append(words.format(scores[group]))
                return verdict
    if seen.texture > 0.12:
        reasons.append(
            f"residuals grow with local contrast (correlation {seen.texture:.2f}, brightness apart), as those of noise do not: not a linear filter"
        )
        return "local-nonlinear"
    # Rounding gives equal windows equal outputs, too.
    if seen.repeats >= 200 and seen.agreeing == 1.0 and not _like_roundings(case):
        reasons.append(f"{seen.repeats} windows came up again, each with the same output: a function of the window, and not a linear one")
        return "local-nonlinear"
    return ""
