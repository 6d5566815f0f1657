"""The native tests under builds that watch themselves: AddressSanitizer with UndefinedBehaviorSanitizer, and ThreadSanitizer.

    python tests/sanitize.py [address] [thread] [-- PYTEST ARGUMENTS]

Each has a build folder of its own under build/. Needs Linux and GCC: the runtimes are loaded into an
ordinary interpreter. A report of theirs is a failure, whatever the tests say. Leaks are not looked
for here (an interpreter at its end is full of them); test_recall.py counts them.
"""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HERE = Path(__file__).resolve().parent

# What touches the compiled code. Two things are beyond the watchers: ThreadSanitizer does not follow a
# fork of many threads, and no limit on addresses can be set on a process whose shadow takes terabytes.
CORE = ("traps", "fuzz", "nonfinite", "arrays", "recall", "transform", "properties", "agreement", "limits", "threads", "lags")
SANITIZERS = {
    "address": dict(
        compiled="address,undefined", runtimes=("libasan.so", "libstdc++.so"), tests=CORE,
        skip="no_memory or ctrl_c or quarter_second or interrupts", environment=dict(
            ASAN_OPTIONS="detect_leaks=0:allocator_may_return_null=1:log_path={log}",
            UBSAN_OPTIONS="print_stacktrace=1:halt_on_error=1:log_path={log}",
        ),
    ),
    "thread": dict(
        compiled="thread", runtimes=("libtsan.so", "libstdc++.so"), tests=("threads", "concurrency", "recall", "remember", "traps"),
        skip="no_memory or ctrl_c or fork or joblib or loader or large_image", environment=dict(
            TSAN_OPTIONS="suppressions={here}/sanitizers/thread.supp:history_size=4:log_path={log}",
        ),
    ),
}  # fmt: skip


def build(name):
    """The package with its core watched; its folder, for PYTHONPATH."""
    folder = ROOT / "build" / name
    subprocess.run([
        sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--upgrade", "--target", folder / "site",
        f"--config-settings=build-dir={folder}", "--config-settings=cmake.build-type=RelWithDebInfo",
        f"--config-settings=cmake.define.CORR2D_SANITIZE={SANITIZERS[name]['compiled']}", ROOT,
    ], check=True)  # fmt: skip
    return folder / "site"


def runtime(library):
    """Where the compiler keeps a runtime."""
    path = subprocess.run([os.environ.get("CXX", "g++"), f"-print-file-name={library}"], capture_output=True, text=True, check=True)
    return path.stdout.strip()


def watched(name, site, arguments):
    """Run pytest with the build in ``site``; the failures' description, or nothing."""
    chosen, log = SANITIZERS[name], site.parent / "report"
    for old in site.parent.glob("report.*"):
        old.unlink()
    environment = os.environ | {key: value.format(log=log, here=HERE) for key, value in chosen["environment"].items()}
    environment |= dict(
        LD_PRELOAD=" ".join(map(runtime, chosen["runtimes"])), PYTHONMALLOC="malloc",
        PYTHONPATH=os.pathsep.join([str(site), str(HERE / "sanitizers"), os.environ.get("PYTHONPATH", "")]),
    )  # fmt: skip
    still = ["setarch", "-R"] if name == "thread" else []  # its shadow must not meet an address chosen at random
    where = subprocess.run([*still, sys.executable, "-c", "import corr2d._native as n; print(n.__file__)"],
                           env=environment, capture_output=True, text=True, check=True).stdout  # fmt: skip
    if not where.startswith(str(site)):
        return f"the tests would run on {where.strip()}, which nobody watches"
    tests = [str(HERE / f"test_{part}.py") for part in chosen["tests"] if (HERE / f"test_{part}.py").exists()]
    command = [*still, sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests, "-k", f"not ({chosen['skip']})", *arguments]
    status = subprocess.run(command, env=environment, cwd=ROOT, check=False).returncode
    # Memory that was refused, as some tests ask for more than there is, is only warned of.
    found = "ERROR: AddressSanitizer", "runtime error:", "WARNING: ThreadSanitizer"
    reports = [report for report in sorted(site.parent.glob("report.*")) if any(words in report.read_text() for words in found)]
    for report in reports:
        print(report.read_text()[:4000])
    return f"{len(reports)} reports, pytest's status is {status}" if reports or status else ""


def main(arguments):
    cut = arguments.index("--") if "--" in arguments else len(arguments)
    names, rest, wrong = arguments[:cut] or list(SANITIZERS), arguments[cut + 1 :], {}
    for name in names:
        wrong[name] = watched(name, build(name), rest)
        print(f"{name}: {wrong[name] or 'clean'}", flush=True)
    return any(wrong.values())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
