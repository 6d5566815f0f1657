"""Random problems through every candidate, against the definition and three rivals, for as long as you like.

    python tests/fuzz.py [--minutes M] [--cases N] [--seed K] [--jobs J] [--replay FILE]

Prints the problems tried, and per method its runs and its worst error as a share of the accuracy
bound. A failure is made as plain as it gets and kept in tests/corpus/, where ``make test`` replays it.
"""

import argparse
import json
import multiprocessing
import os
import sys
import time
import traceback
import warnings
from collections import defaultdict
from pathlib import Path

import numpy as np

import corr2d
import oracle
from corr2d import _native
from corr2d._errors import NoCandidateError, ShapeError
from problems import Problem, Random, random_record

CORPUS = Path(__file__).parent / "corpus"
SLOW = 15_000  # multiplications beyond which the definition's loops in Python are not waited for

SCIPY = dict(constant="constant", edge="nearest", reflect="mirror", symmetric="reflect", wrap="wrap")
OPENCV = dict(constant=0, edge=1, symmetric=2, reflect=4)


def examine(record, methods=None, rivals=True):
    """``{candidate: share of the bound}`` of every candidate that accepts; AssertionError where one is wrong."""
    problem = Problem(record)
    isa = record["isa"] if record["isa"] in _native.available_isas() else _native.available_isas()[-1]
    before = _native.isa()
    _native.use_isa(isa)
    try:
        return _examine(problem, methods, rivals)
    finally:
        _native.use_isa(before)


def _examine(problem, methods, rivals):
    if not problem.fits:
        try:
            problem.run("auto")
        except ShapeError as error:
            assert "does not fit" in str(error)
            return {}
        raise AssertionError("auto: a kernel that does not fit was accepted")
    shares, result = {}, None
    asked = methods or ("auto", *dict.fromkeys(c.method for c in corr2d._plan.CANDIDATES))
    for method in asked:
        if method == "reference" and problem.multiplications > SLOW:
            continue
        try:
            answer = problem.run(method)
            if method == "auto":
                result = np.array(answer)
        except NoCandidateError:
            assert method not in ("auto", "direct"), f"{method}: refuses"
            continue
        try:
            shares[method] = problem.judge(answer)
        except AssertionError as error:
            raise AssertionError(f"{method}: {error}") from None
    if rivals and result is not None:
        for name, theirs in _rivals(problem):
            shares[name] = _distance(problem, result, theirs, name)
    return shares


def _rivals(problem):
    """``(name, result)`` of the libraries that can answer this problem; each by its own conventions."""
    record, options, image, kernel = problem.record, problem.options, problem.image, problem.weights
    plain = not (problem.bias or record["convolve"] or record["bad"] or "channel_axis" in options or np.iscomplexobj(kernel))
    plain = plain and not record["exponent"] and record["kernel"] != "spread"  # they hold weights in the image's dtype
    if not plain or not np.isfinite(options.get("fill", 0.0)) or image.dtype.kind != "f" or image.dtype.itemsize == 2:
        return
    image, half = oracle.as_numpy(image), tuple(n // 2 for n in kernel.shape[-2:])
    once = options.get("stride", 1) == options.get("dilation", 1) == 1
    same = options.get("padding") == "same" and once and kernel.ndim == image.ndim == 2
    centred = same and options.get("anchor", tuple((n - 1) // 2 for n in kernel.shape)) == half
    boundary, fill = options.get("boundary", "constant"), options.get("fill", 0.0)
    within = same and all(k <= 4 * n for k, n in zip(kernel.shape, image.shape, strict=True))
    if centred and within and np.abs(kernel[kernel != 0]).min(initial=1) > 1e-13 and image.dtype == "float64":
        # It leaves out weights below 2e-16, and its `reflect` of 2 pixels is wrong from 16 taps on (1.17).
        from scipy import ndimage

        yield "scipy", ndimage.correlate(image, kernel, mode=SCIPY[boundary], cval=fill)
    if centred and boundary in OPENCV and fill == 0 and min(image.shape) > max(kernel.shape) and np.abs(kernel).max() < 1e30:
        import cv2

        yield "opencv", cv2.filter2D(image, -1, kernel, borderType=OPENCV[boundary])
    padding = options.get("padding", "valid")
    if (padding == "valid" or isinstance(padding, int)) and boundary == "constant" and fill == 0:
        import torch

        x = torch.from_numpy(np.ascontiguousarray(image))
        k = torch.from_numpy(kernel.astype(image.dtype) if kernel.ndim == 4 else kernel.astype(image.dtype)[None, None])
        flat = x.reshape(-1, *((1,) if kernel.ndim == 2 else image.shape[-3:-2]), *image.shape[-2:])
        numbers = dict(stride=options.get("stride", 1), dilation=options.get("dilation", 1), padding=0 if padding == "valid" else padding)
        yield "torch", torch.conv2d(flat, k, **numbers).numpy().reshape(problem.truth[0].shape)


def _distance(problem, ours, theirs, name):
    """The distance to a rival's result as a share of what two sums in any order may differ by."""
    u = oracle.unit(problem.image.dtype)
    weights = problem.weights
    if theirs.dtype != ours.dtype:  # another dtype was asked of us alone
        if ours.dtype.kind in "iu" or ours.real.dtype.itemsize < theirs.dtype.itemsize:
            return 0.0
    # Its own rounding of the weights and of each product and sum; transforms within.
    room = (32 + 2 * weights.size + 64) * u * oracle.magnitude(problem.image, weights, problem.options.get("fill", 0.0))
    smallest = 4 * weights.size * np.finfo(theirs.dtype).smallest_normal  # which some flush to zero
    with np.errstate(invalid="ignore"):
        apart = np.abs(np.asarray(ours.real, np.longdouble) - theirs)
    known = np.isfinite(apart) & (np.abs(theirs) < np.finfo(theirs.dtype).max / 1e3)
    share = float(np.max(apart / (room + smallest), initial=0, where=known))
    assert share <= 1, f"auto: {share:.3g} times what may lie between us and {name}"
    return share


# -------------------------------------------------------------------------------------------------
# failures


def plainer(record):
    """Records that are one step plainer than this one."""
    simple = dict(layout="plain", bad=0, exponent=0, weights="float64", bias=0.0, convolve=False, out="none", threads=1,
                  isa="best", pixels="normal", kernel="dense", complex_kernel=False)  # fmt: skip
    for name, value in simple.items():
        if record[name] != value:
            yield record | {name: value}
    for name in record["options"]:
        without = {name, "anchor"} if name == "padding" else {name}
        yield record | dict(options={k: v for k, v in record["options"].items() if k not in without})
    for name in ("shape", "size"):
        for axis, n in enumerate(record[name]):
            if len(record["size"]) == 4 and axis < len(record[name]) - 2:
                continue  # channels of image and kernel belong together
            for smaller in {1, n // 2, n - 1}:
                if 1 <= smaller < n:
                    yield record | {name: [*record[name][:axis], smaller, *record[name][axis + 1 :]]}


def failure(record, methods=None):
    """What goes wrong with a record, or nothing."""
    try:
        examine(record, methods)
        return ""
    except AssertionError as error:
        return str(error) or traceback.format_exc(limit=-3)
    except Exception:
        return traceback.format_exc(limit=-3)


def shrunk(record, seconds=20):
    """The plainest record found that fails in the same method."""
    reason = failure(record)
    method = reason.partition(":")[0]
    end = time.monotonic() + seconds
    again = True
    while again and time.monotonic() < end:
        again = False
        for simpler in plainer(record):
            said = failure(simpler)
            if said.partition(":")[0] == method:
                record, reason, again = simpler, said, True
                break
    return record, reason


def keep(record, reason):
    """Write a failing record into the corpus; its path."""
    CORPUS.mkdir(exist_ok=True)
    path = CORPUS / f"{record['dtype']}-{record['kernel']}-{record['seed']}.json"
    path.write_text(json.dumps(dict(failure=reason.strip().splitlines()[-1][:300], record=record), indent=1) + "\n")
    return path


# -------------------------------------------------------------------------------------------------
# the long run


def work(arguments):
    """One process's share: problems, (runs, worst share, its index) per method, failures."""
    seed, job, jobs, cases, seconds = arguments
    warnings.simplefilter("ignore")
    worst, failures, end, index, done = defaultdict(lambda: [0, 0.0, -1]), [], time.monotonic() + seconds, job, 0
    while time.monotonic() < end and done < cases and len(failures) < 20:
        record = random_record(Random(seed, index))
        try:
            shares = examine(record)
        except Exception:  # the words are kept: what fails after many others may not fail alone
            failures.append((index, traceback.format_exc(limit=-4)))
            shares = {}
        for name, share in shares.items():
            entry = worst[name]
            entry[0] += 1
            if share >= entry[1]:
                entry[1:] = share, index
        index, done = index + jobs, done + 1
    return done, dict(worst), failures


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--cases", type=int, default=10**9)
    parser.add_argument("--seed", type=int, default=None, help="of the whole run; default: another each time")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count())
    parser.add_argument("--replay", type=Path, help="a file of the corpus")
    chosen = parser.parse_args()
    if chosen.replay:
        print(failure(json.loads(chosen.replay.read_text())["record"]) or "passes")
        return 0
    seed = int.from_bytes(os.urandom(3)) if chosen.seed is None else chosen.seed
    started = time.monotonic()
    share = [(seed, job, chosen.jobs, -(-chosen.cases // chosen.jobs), chosen.minutes * 60) for job in range(chosen.jobs)]
    with multiprocessing.get_context("spawn").Pool(chosen.jobs) as pool:
        parts = pool.map(work, share, chunksize=1)
    total, failures = sum(done for done, _, _ in parts), sorted(failed for _, _, found in parts for failed in found)
    print(f"seed {seed}: {total} problems in {time.monotonic() - started:.0f} s, {len(failures)} failures")
    merged = defaultdict(lambda: [0, 0.0, -1])
    for _, worst, _ in parts:
        for name, (runs, largest, index) in worst.items():
            entry = merged[name]
            entry[0] += runs
            if largest >= entry[1]:
                entry[1:] = largest, index
    print(f"{'method':<12}{'runs':>9}  worst error / bound")
    for name, (runs, largest, index) in merged.items():
        print(f"{name:<12}{runs:>9}  {largest:.4f}  (problem {index})")
    for index, said in failures:
        record, reason = shrunk(random_record(Random(seed, index)))
        alone = "" if reason else ", but not alone"
        print(f"\nproblem {index} fails{alone}, kept as {keep(record, reason or said)}\n  {(reason or said).strip()[-1200:]}", flush=True)
    return bool(failures)


if __name__ == "__main__":
    sys.exit(main())
