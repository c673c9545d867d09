"""Measure psk beside ProxyStore in one run, print the table of results, and keep it as JSON.

They take turns, and Ray too where it has an equivalent, so ratios count and absolute times are this machine's. Each
figure is a median, with half the distance of its quartiles. Unless a row says that caches are in use, every get is the
first one of a new object in a store that did not put it, so that no cache helps either side. A run of all topics also
draws docs/images/bench.svg and rewrites the table in the README.

    python benchmarks/run.py [topic...]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from importlib import import_module
from importlib.metadata import version

from ray_rival import ray_version
from readme import RESULTS, publish
from table import results_table

TOPICS = (
    "shared_memory",
    "private_memory",
    "fan_out",
    "large_objects",
    "small_objects",
    "many_objects",
    "start_up",
    "pickled_size",
    "operations",
    "threads",
    "waiting",
    "redis_channel",
    "future_wakeup",
    "task_chain",
    "executor_overhead",
    "staged_workflow",
    "coding",
)

LIBRARIES = ("psk-core", "psk-connector-redis", "psk-patterns", "proxystore", "redis", "hiredis", "numpy")


def environment() -> dict[str, str | int | None]:
    """Describe the machine and the versions."""
    return {
        "python": platform.python_version(),
        "system": platform.platform(),
        "processors": os.cpu_count(),
        **{name: version(name) for name in LIBRARIES},
        "ray": ray_version(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("topics", nargs="*", metavar="topic", help=f"of {', '.join(TOPICS)}; default all")
    topics = parser.parse_args().topics or TOPICS
    if unknown := set(topics) - set(TOPICS):
        parser.error(f"no topic {min(unknown)!r} (found: {', '.join(TOPICS)})")
    rows = []
    for topic in topics:
        print(f"measuring {topic} ...", file=sys.stderr)
        rows.extend(row.as_dict() for row in import_module(topic).measure())
    print(", ".join(f"{name} {value}" for name, value in environment().items()), end="\n\n")
    print(results_table(rows))
    results = {"environment": environment(), "rows": rows}
    # Results of some topics do not replace those of a run of all.
    kept = RESULTS if topics == TOPICS else RESULTS.with_name("some-results.json")
    kept.parent.mkdir(exist_ok=True)
    kept.write_text(json.dumps(results, indent=1) + "\n")
    print(f"\nwritten to {kept}")
    if topics == TOPICS:
        publish(results)


if __name__ == "__main__":
    main()
