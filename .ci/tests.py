"""Run the tests of the distributions side by side, each in a pytest process of its own.

    python .ci/tests.py [DISTRIBUTION ...]

A distribution is named by its folder: core, connector-redis, patterns, ...; `workspace` is tests/. Tests mostly wait,
so one more process runs than there are processors. The output of a process is printed when it ends.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO, NamedTuple

ROOT = Path(__file__).resolve().parents[1]
AT_ONCE = len(os.sched_getaffinity(0)) + 1 if hasattr(os, "sched_getaffinity") else 2
#: The slowest folders of the core, which has more tests than all the others, run as a process of their own.
CORE_CHANNELS = ("connectors",)
#: The distributions whose tests take longest, in this order; they start first, so that none runs alone at the end.
LONGEST = ("patterns", "core", "connector-redis", "workspace", "testing")
COUNTED = re.compile(r"(\d+) (passed|failed|error|skipped)")


class Part(NamedTuple):
    """The tests of one process."""

    distribution: str
    paths: list[Path]


class Run(NamedTuple):
    """One process and its output."""

    part: Part
    process: subprocess.Popen[bytes]
    output: IO[bytes]
    began: float


def all_parts() -> list[Part]:
    """List the tests of every distribution; the parts that take longest come first."""
    core = ROOT / "core" / "tests"
    channels = [core / name for name in CORE_CHANNELS]
    others = [path for path in sorted(core.iterdir()) if path not in channels and has_tests(path)]
    packages = sorted(path for path in (ROOT / "packages").iterdir() if has_tests(path))
    parts = [
        Part("core", channels),
        Part("core", others),
        *(Part(path.name, [path]) for path in packages),
        Part("workspace", [ROOT / "tests"]),
    ]
    return sorted(parts, key=lambda part: (*LONGEST, part.distribution).index(part.distribution))


def has_tests(path: Path) -> bool:
    """Tell whether pytest finds tests there."""
    return path.name.startswith("test_") if path.is_file() else any(path.rglob("test_*.py"))


def start(part: Part) -> Run:
    """Start the process of one part."""
    output = tempfile.TemporaryFile()  # noqa: SIM115  closed by `finish`
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *map(str, part.paths)]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
    return Run(part, process, output, time.monotonic())


def finish(run: Run) -> dict[str, int]:
    """Print the output of a process that has ended, and return how many tests had which outcome."""
    run.output.seek(0)
    text = run.output.read().decode(errors="replace")
    run.output.close()
    seconds = time.monotonic() - run.began
    print(f"\n===== {run.part.distribution}: {seconds:.0f} s, exit {run.process.returncode}\n{text}", flush=True)
    counts = [line for line in text.splitlines() if line.startswith("=") and " in " in line]  # the last one of pytest
    return {outcome: int(count) for count, outcome in COUNTED.findall(counts[-1] if counts else "")}


def run_all(waiting: list[Part]) -> tuple[dict[str, int], list[str]]:
    """Run the parts; return the counts of all outcomes, and the distributions that failed."""
    counts = dict.fromkeys(("passed", "failed", "error", "skipped"), 0)
    failed: list[str] = []
    running: list[Run] = []
    try:
        while waiting or running:
            while waiting and len(running) < AT_ONCE:
                running.append(start(waiting.pop(0)))
            time.sleep(0.1)
            for run in [run for run in running if run.process.poll() is not None]:
                running.remove(run)
                for outcome, count in finish(run).items():
                    counts[outcome] += count
                if run.process.returncode:
                    failed.append(run.part.distribution)
    finally:
        for run in running:  # interrupted: pytest stops the servers that it started
            run.process.send_signal(signal.SIGINT)
            run.process.wait()
    return counts, failed


def main() -> int:
    """Run the distributions that were named, or all."""
    wanted = sys.argv[1:]
    parts = all_parts()
    known = list(dict.fromkeys(part.distribution for part in parts))
    if unknown := set(wanted).difference(known):
        sys.exit(f"no distribution is named {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    began = time.monotonic()
    counts, failed = run_all([part for part in parts if not wanted or part.distribution in wanted])
    print(f"{time.monotonic() - began:.0f} s" + (f"; failed: {', '.join(failed)}" if failed else ""))
    print(f"{counts['passed']} passed, {counts['failed'] + counts['error']} failed, {counts['skipped']} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
