"""How long does a new process take until it has a file store open?"""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING

from rivals import memory_directory
from row import Row
from timing import take_turns

if TYPE_CHECKING:
    from collections.abc import Iterator

REPETITIONS = 25
PROGRAMS = {
    "bare": "pass",
    "psk": "import psk; psk.Store('bench', 'file://{directory}')",
    "proxystore": """if True:
        from proxystore.connectors.file import FileConnector
        from proxystore.store import Store
        Store('bench', FileConnector('{directory}', clear=False))
    """,
}


def measure() -> Iterator[Row]:
    """Run whole interpreters, and take off what one takes that does nothing, measured in the same turn."""
    with memory_directory() as directory:
        samples = take_turns(
            {name: partial(run, text.format(directory=directory)) for name, text in PROGRAMS.items()}, REPETITIONS
        )
    bare, ours, theirs = (samples[name]["process"] for name in ("bare", "psk", "proxystore"))
    yield Row(
        "import and open a file store, over a bare interpreter",
        "ms",
        [with_psk - without for with_psk, without in zip(ours, bare, strict=True)],
        [with_theirs - without for with_theirs, without in zip(theirs, bare, strict=True)],
        limit=30,
    )
    yield Row("... of which `import psk`, `import proxystore.store`", "ms", *imports())


def imports() -> tuple[list[float], list[float]]:
    """Time the imports alone, over a bare interpreter."""
    programs = {"bare": "pass", "psk": "import psk", "proxystore": "import proxystore.store"}
    samples = take_turns({name: partial(run, text) for name, text in programs.items()}, REPETITIONS)
    bare = samples["bare"]["process"]
    ours, theirs = (
        [loaded - without for loaded, without in zip(samples[name]["process"], bare, strict=True)]
        for name in ("psk", "proxystore")
    )
    return ours, theirs


def run(program: str) -> dict[str, float]:
    start = perf_counter()
    subprocess.run([sys.executable, "-c", program], check=True)  # noqa: S603  the programs above
    return {"process": perf_counter() - start}
