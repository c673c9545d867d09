"""Let Ray take part from an environment of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from functools import partial
from importlib.metadata import distributions
from pathlib import Path
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ENVIRONMENT = Path(__file__).parents[1] / ".bench-ray"
PROGRAM = Path(__file__).with_name("ray_program.py")
SECONDS_TO_END = 30


def ray_version() -> str | None:
    """Return the installed version of Ray; None if it is not installed."""
    places = [str(place) for place in ENVIRONMENT.glob("lib/python*/site-packages")]
    return next((found.version for found in distributions(name="ray", path=places)), None)


@contextmanager
def ray_turns() -> Iterator[Callable[[str], dict[str, float]] | None]:
    """Start Ray, and give the function that has it take a turn, by the name of a method of `ray_program.Turns`.

    None where Ray is not installed or does not start; why is printed.
    """
    if ray_version() is None:
        print("without Ray, which is not installed; `make bench` says why", file=sys.stderr)
        yield None
        return
    # Its home too: Ray writes a token there.
    with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as directory:
        errors = Path(directory) / "errors.txt"
        with errors.open("w") as said, started(directory, said) as process:
            if process.stdout.readline():
                yield partial(turn, process)
            else:
                lines = errors.read_text().strip().split("\n")
                print(f"without Ray, which did not start: {lines[-1]}", file=sys.stderr)
                yield None


@contextmanager
def started(directory: str, errors: IO[str]) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(  # noqa: S603  the program beside this file
        [ENVIRONMENT / "bin" / "python", PROGRAM, directory],
        env={**os.environ, "HOME": directory, "RAY_USAGE_STATS_ENABLED": "0"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        text=True,
    )
    try:
        yield process
    finally:
        process.stdin.close()  # which ends it
        try:
            process.wait(SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


def turn(process: subprocess.Popen[str], name: str) -> dict[str, float]:
    print(name, file=process.stdin, flush=True)
    return json.loads(process.stdout.readline())
