"""Build one distribution from its tag, install it alone, import it and check that it may be published.

    python .ci/release.py psk-connector-redis-v0.1.0 [--out dist]

Leaves wheel and source archive in the folder given; anything that is not as it must be ends it with a message.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import NamedTuple, NoReturn

ROOT = Path(__file__).resolve().parents[1]
_BESIDE = Path(sys.executable).with_name("uv")  # where `make setup` installs it
UV = str(_BESIDE) if _BESIDE.exists() else "uv"
TAG = re.compile(r"(?P<name>[a-z][a-z0-9-]*)-v(?P<version>\d+(?:\.\d+)*(?:(?:a|b|rc)\d+)?)")


class Distribution(NamedTuple):
    """One folder of the workspace that is published by itself."""

    name: str
    version: str
    folder: Path

    @property
    def import_name(self) -> str:
        """The package it brings."""
        return next((self.folder / "src").glob("*/__init__.py")).parent.name


def distributions() -> dict[str, Distribution]:
    """Read what the workspace holds."""
    found = {}
    for path in (ROOT / "core/pyproject.toml", *sorted(ROOT.glob("packages/*/pyproject.toml"))):
        project = tomllib.loads(path.read_text())["project"]
        found[project["name"]] = Distribution(project["name"], project["version"], path.parent)
    return found


def refuse(reason: str) -> NoReturn:
    """End the release with its reason."""
    raise SystemExit(f"not released: {reason}")


def run(*command: object, **options: object) -> str:
    """Run a program and give its output; its failure is the release's."""
    words = [str(word) for word in command]
    print("+", *words, file=sys.stderr, flush=True)
    done = subprocess.run(words, check=False, stdout=subprocess.PIPE, text=True, **options)  # type: ignore[call-overload]
    if done.returncode:
        refuse(f"{' '.join(words)} ended with {done.returncode}\n{done.stdout}")
    return str(done.stdout)


def of_tag(tag: str) -> Distribution:
    """Find what a tag means, and make sure that sources and changelog say the same."""
    known = distributions()
    meant = TAG.fullmatch(tag)
    if meant is None or meant["name"] not in known:
        refuse(f"{tag!r} is no tag of a release, <distribution>-v<version> (found: {', '.join(known)})")
    distribution = known[meant["name"]]
    if distribution.version != meant["version"]:
        refuse(f"{tag!r} names another version than {distribution.folder}/pyproject.toml, {distribution.version}")
    if f"## {distribution.version}" not in (distribution.folder / "CHANGELOG.md").read_text():
        refuse(f"the changelog of {distribution.name} has no entry for {distribution.version}")
    return distribution


def check(distribution: Distribution, out: Path, place: Path) -> None:
    """Install the wheel into an empty environment, import it, and run its conformance tests there, or all its tests."""
    python = place / "bin/python"
    run(UV, "venv", "--quiet", "--python", sys.executable, place)
    # The rest of the workspace only where the index does not have it yet.
    for needed in distributions().values():
        if needed is not distribution:
            run(UV, "build", "--quiet", "--wheel", "--out-dir", place / "workspace", needed.folder)
    wheel = next(out.glob(f"{distribution.name.replace('-', '_')}-{distribution.version}-*.whl"))
    install = (UV, "pip", "install", "--quiet", "--python", python, "--find-links", place / "workspace")
    run(*install, wheel)
    imported = f"import {distribution.import_name} as it; print(it.__version__, it.__file__)"
    version, path = run(python, "-I", "-c", imported).split(maxsplit=1)
    if version != distribution.version or not Path(path.strip()).is_relative_to(place):
        refuse(f"{distribution.import_name} says that it is {version} at {path}")
    listed = json.loads(run(place / "bin/psk", "plugins", "list", "--load", "--json"))
    if broken := [row for row in listed if row["status"] not in {"ok", "not loaded yet"}]:
        refuse(f"plug-ins that do not load: {broken}")
    run(*install, "psk-testing", "--project", ROOT, "--group", "test", "--group", "engines", "--group", "examples")
    tests = sorted(map(str, distribution.folder.glob("tests/**/test_conformance*.py")))
    if not tests:
        # No connector: all its tests, on every channel of the workspace.
        tests = [str(distribution.folder / "tests")]
        run(*install, *(known.name for known in distributions().values() if known is not distribution))
    run(python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests, cwd=ROOT, env={**os.environ, "CI": "true"})


def main() -> None:
    """Check and build what a tag names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tag")
    parser.add_argument("--out", type=Path, default=ROOT / "dist")
    arguments = parser.parse_args()
    distribution = of_tag(arguments.tag)
    run(UV, "build", "--quiet", "--out-dir", arguments.out, distribution.folder)
    with tempfile.TemporaryDirectory(prefix="release-") as place:
        check(distribution, arguments.out, Path(place) / "empty")
    print(f"{distribution.name} {distribution.version} is fit to be published: {arguments.out}")


if __name__ == "__main__":
    main()
