"""Measure how long a new process takes to open a file store, and to list the plug-ins."""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from pathlib import Path
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

PLUGINS = 10
#: What the command's script does, with the plug-ins on the path, and the list thrown away.
LIST = """if True:
    import os, sys
    sys.path.append('{directory}')
    sys.stdout = open(os.devnull, 'w')
    from psk.cli import main
    sys.exit(main(['plugins', 'list']))
"""


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
        limit=22,
    )
    yield Row("... of which `import psk`, `import proxystore.store`", "ms", *imports())
    yield Row(f"`psk plugins list` with {PLUGINS} plug-ins more, the whole process", "ms", listing(), [], limit=80)


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


def listing() -> list[float]:
    """Time the command as a whole, interpreter included, with plug-ins installed that it does not import."""
    with memory_directory() as directory:
        for number in range(PLUGINS):
            install(Path(directory), f"bench{number}")
        samples = take_turns({"list": partial(run, LIST.format(directory=directory))}, REPETITIONS)
    return samples["list"]["process"]


def install(directory: Path, name: str) -> None:
    """Write what an installer writes for a plug-in; importing it would fail, so the list must not."""
    place = directory / f"psk_{name}-1.0.dist-info"
    place.mkdir()
    (place / "METADATA").write_text(f"Metadata-Version: 2.4\nName: psk-{name}\nVersion: 1.0\nRequires-Dist: psk-core\n")
    (place / "entry_points.txt").write_text(f"[psk]\nconnector.{name} = psk_{name}.plugin\n")


def run(program: str) -> dict[str, float]:
    start = perf_counter()
    subprocess.run([sys.executable, "-c", program], check=True)  # noqa: S603  the programs above
    return {"process": perf_counter() - start}
