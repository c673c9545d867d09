"""The code in the project's documents, and what runs it as a reader would: saved as a file, with spawned processes."""

import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from faults.temporary import bare_environment

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    str(path.relative_to(ROOT)) for place in (".", "docs", "core", "packages/*") for path in ROOT.glob(f"{place}/*.md")
)
FENCE = re.compile(r"^```(\w+)([^\n]*)\n(.*?)^```$", flags=re.MULTILINE | re.DOTALL)
#: What Python code is that is no program: a part of one, a file of a project that a test of its own builds, and a
#: program for the library that this one replaces.
FRAGMENTS = re.compile(r"part|file=\S+|proxystore")
#: Where nobody says how processes begin, they are spawned, as on macOS.
SPAWNING = 'import multiprocessing\n\nmultiprocessing.set_start_method("spawn")\n'


@dataclass(frozen=True)
class Fence:
    """A block of code, and what stands beside its language: `run` for a program."""

    page: str
    line: int
    language: str
    flag: str
    text: str

    @property
    def distribution(self):
        """The distribution whose tests have all that it needs."""
        return "patterns" if "psk_patterns" in self.text else "redis" if "redis://" in self.text else "core"


def _fences_of(page):
    content = (ROOT / page).read_text()
    for found in FENCE.finditer(content):
        language, flag, text = found.groups()
        yield Fence(page, content.count("\n", 0, found.start()) + 1, language, flag.strip(), text)


FENCES = [fence for page in PAGES for fence in _fences_of(page)]


def programs(distribution):
    """Give the programs of all documents that a distribution's tests run, each text once, as parameters of a test."""
    found = [fence for fence in FENCES if fence.flag == "run" and fence.language in {"python", "sh"}]
    once = {fence.text: fence for fence in found if fence.distribution == distribution}
    return [pytest.param(fence, id=f"{fence.page}:{fence.line}") for fence in once.values()]


def run_as_file(fence, folder, replace=()):
    """Save a program in an empty folder, run it there, and fail unless it ends well and in silence.

    Args:
        fence: The program.
        folder: Where to.
        replace: A text in it, and another for its place, such as the address of a server.
    """
    site, place = folder / "site", folder / "place"
    site.mkdir()
    place.mkdir()
    (site / "sitecustomize.py").write_text(SPAWNING)
    file = place / f"program.{fence.language}"
    file.write_text(fence.text.replace(*replace) if replace else fence.text)
    interpreter = {"python": (sys.executable, "-W", "error"), "sh": ("/bin/sh", "-eu")}[fence.language]
    done = subprocess.run(
        [*interpreter, file.name],
        cwd=place,
        env={**bare_environment(), "HOME": str(place), "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
