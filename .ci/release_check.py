"""Rehearse a release: build every distribution, install it into an empty environment, and check what it says.

    python .ci/release_check.py

Builds the wheel and the source archive of each distribution, installs the wheel with nothing but what it requires,
imports it, and prints one row for each. Ends with 1 if something is not as it must be. Publishes and tags nothing.
"""

from __future__ import annotations

import json
import sys
import tarfile
import tempfile
import zipfile
from email.parser import Parser
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from release import ROOT, UV, Distribution, distributions, run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from email.message import Message

PYTHONS = ">=3.11"
CORE = "psk-core"


class Built(NamedTuple):
    """The archives of one distribution, and the metadata in its wheel."""

    distribution: Distribution
    wheel: Path
    sdist: Path
    metadata: Message


def build(distribution: Distribution, out: Path) -> Built:
    """Build wheel and source archive."""
    run(UV, "build", "--quiet", "--out-dir", out, distribution.folder)
    stem = f"{distribution.name.replace('-', '_')}-{distribution.version}"
    wheel = next(out.glob(f"{stem}-*.whl"))
    with zipfile.ZipFile(wheel) as archive:
        metadata = Parser().parsestr(archive.read(f"{stem}.dist-info/METADATA").decode())
    return Built(distribution, wheel, out / f"{stem}.tar.gz", metadata)


def problems(built: Built) -> Iterator[str]:
    """Say what is wrong with the metadata and the files of a distribution."""
    metadata = built.metadata
    if metadata["License-Expression"] != "MIT":
        yield f"licence {metadata['License-Expression']!r}"
    if metadata["Requires-Python"] != PYTHONS:
        yield f"requires-python {metadata['Requires-Python']!r}"
    if insecure := [link for link in links_of(metadata) if not link.startswith("https://")]:
        yield f"links that are not https: {', '.join(insecure)}"
    if not (metadata.get_payload() or "").strip():
        yield "no description"
    required = [it for it in metadata.get_all("Requires-Dist", ()) if "extra ==" not in it]
    if built.distribution.name == CORE and required:
        yield f"requires {', '.join(required)}"
    yield from problems_of_files(built)


def problems_of_files(built: Built) -> Iterator[str]:
    """Say what is missing or stray in the archives of a distribution."""
    package = built.distribution.import_name
    with zipfile.ZipFile(built.wheel) as archive:
        names = archive.namelist()
    if f"{package}/py.typed" not in names:
        yield "no py.typed"
    places = {package, built.sdist.name.removesuffix(".tar.gz") + ".dist-info"}
    if stray := [name for name in names if name.partition("/")[0] not in places]:
        yield f"stray {', '.join(stray)}"
    if not any(name.endswith("licenses/LICENSE") for name in names):
        yield "no text of the licence"
    elif (built.distribution.folder / "LICENSE").read_text() != (ROOT / "LICENSE").read_text():
        yield "another licence than that of the repository"
    with tarfile.open(built.sdist) as archive:
        held = {name.partition("/")[2] for name in archive.getnames()}
    if missing := {"pyproject.toml", "README.md", "CHANGELOG.md", "LICENSE"} - held:
        yield f"source archive without {', '.join(sorted(missing))}"


def links_of(metadata: Message) -> list[str]:
    """Give the addresses to which the metadata link."""
    return [link.partition(",")[2].strip() for link in metadata.get_all("Project-URL", ())]


def install(built: Built, out: Path, place: Path) -> list[str]:
    """Install a wheel into an empty environment, import it there, and give the names of all that came with it."""
    python = place / "bin/python"
    run(UV, "venv", "--quiet", "--python", sys.executable, place)
    run(UV, "pip", "install", "--quiet", "--python", python, "--find-links", out, built.wheel)
    package = built.distribution.import_name
    version = run(python, "-I", "-c", f"import {package}; print({package}.__version__)").strip()
    if version != built.distribution.version:
        raise SystemExit(f"{package} says that it is {version}, not {built.distribution.version}")
    listed = json.loads(run(UV, "pip", "list", "--quiet", "--python", python, "--format", "json"))
    return [row["name"] for row in listed if row["name"] != built.distribution.name]


def main() -> int:
    """Check all distributions, and print the table."""
    rows, amiss = [], 0
    with tempfile.TemporaryDirectory(prefix="release-check-") as folder:
        out = Path(folder) / "dist"
        archives = [build(distribution, out) for distribution in distributions().values()]
        for built in archives:
            brought = install(built, out, Path(folder) / built.distribution.name)
            wrong = list(problems(built))
            if built.distribution.name == CORE and brought:
                wrong.append(f"brings {', '.join(brought)}")
            amiss += bool(wrong)
            size = f"{built.wheel.stat().st_size // 1000} kB"
            counts = (len(brought), len(links_of(built.metadata)))
            rows.append((built.distribution.name, built.distribution.version, size, *counts, "; ".join(wrong) or "ok"))
    print(f"{'distribution':<24}{'version':<10}{'wheel':<10}{'brings':<8}{'links':<7}state")
    for name, version, size, brings, links, state in rows:
        print(f"{name:<24}{version:<10}{size:<10}{brings:<8}{links:<7}{state}")
    return 1 if amiss else 0


if __name__ == "__main__":
    sys.exit(main())
