"""Rewrite the README's table, and the chart above it, from the kept results.

python benchmarks/readme.py
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bars import draw
from table import results_table

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
CHART = ROOT / "docs" / "images" / "bench.svg"
RESULTS = ROOT / ".bench" / "results.json"
START, END = "<!-- bench -->", "<!-- /bench -->"
#: Rows shown, in this order, by what they are called in the results, and what they are called here.
SHOWN = {
    "shm: resolve a 100 MB array in another process, writable (Ray: read-only)": "resolve 100 MB in another process",
    "... its first sum, over a sum of an array made there": "its first sum, over a sum of a local array",
    "shm: put a 100 MB array, where one was evicted before": "put 100 MB",
    "... over a plain copy: `array.copy()`, which maps new memory too": "first put of a store, over `array.copy()`",
    "shm: most private memory while a 1 GB array is put, beyond the array itself": "private memory to put 1 GB",
    "shm: fan-out of a 200 MB array to 8 tasks in a pool of 2": "fan-out of 200 MB to 8 tasks",
    "shm: put 1 kB, bytes": "put 1 kB",
    "shm: get 1 kB, bytes": "get 1 kB",
    "file on tmpfs: get a 100 MB array, verified": "get 100 MB from a file, verified",
    "file on tmpfs, two processes: wait(key) wakes after the put, p99 of 1,000": "wake of a wait, after the put (p99)",
    "redis: put a 100 MB array, with checksum": "put 100 MB into Redis",
    "redis: get a 100 MB array, verified": "get 100 MB from Redis, verified",
    "redis: put 1 kB, bytes": "put 1 kB into Redis",
    "redis: get 1 kB, bytes": "get 1 kB from Redis",
    "8 threads resolve 8 objects of 100 ms each": "resolve 8 slow objects in 8 threads",
    "import and open a file store, over a bare interpreter": "import, and open a store",
    "pickled proxy, unsigned": "pickled proxy",
    "resolved proxy: len(p)": "`len(p)`, resolved",
    "resolved proxy: p.attr": "`p.attr`, resolved",
}


def publish(results: dict[str, Any]) -> None:
    """Draw the chart and rewrite the README's table.

    Args:
        results: As `run.py` keeps them, of every topic.
    """
    rows = shown(results["rows"])
    CHART.write_text(draw([row for row in rows if row["ratio"] is not None]))
    before, _, rest = README.read_text().partition(START)
    _, _, after = rest.partition(END)
    README.write_text(f"{before}{START}\n{section(results, rows)}\n{END}{after}")


def shown(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Choose the rows to show, by their short names.

    Raises:
        ValueError: One is missing: not every topic was measured, or it has another name now.
    """
    found = {row["what"]: row for row in rows}
    if missing := SHOWN.keys() - found:
        message = f"no result for {min(missing)!r}; measure every topic: make bench"
        raise ValueError(message)
    return [{**found[what], "what": name} for what, name in SHOWN.items()]


def section(results: dict[str, Any], rows: list[dict[str, Any]]) -> str:
    """Return what stands between the markers: the chart, the table, and how many of all targets were met."""
    environment = results["environment"]
    versions = f"ProxyStore {environment['proxystore']}"
    if any(row["ray"] for row in rows):
        versions += f", Ray {environment['ray']}"
    targets = [row for row in results["rows"] if row["met"] is not None]
    missed = [row["what"] for row in targets if not row["met"]]
    verdict = f"{len(targets) - len(missed)} of the {len(targets)} targets in the whole table are met"
    if missed:
        verdict += ". Missed: " + "; ".join(missed)
    chart = f"![psk's times, memory and bytes as parts of ProxyStore's]({CHART.relative_to(ROOT)})"
    return (
        f"\n{chart}\n\n{results_table(rows)}\n\n"
        f"Medians, ± half the distance of the quartiles; ratio: psk / ProxyStore. {versions}, Python "
        f"{environment['python']}, {environment['processors']} processors. {verdict}.\n"
    )


if __name__ == "__main__":
    publish(json.loads(RESULTS.read_text()))
