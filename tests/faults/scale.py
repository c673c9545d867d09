"""How many trials does a test run, and from which seed?"""

from __future__ import annotations

import os
import random
import tomllib
from pathlib import Path

import pytest

SCALE_FILE = Path(__file__).parents[1] / "scale.toml"
COLUMN = os.environ.get("PSK_SCALE", "test")


@pytest.fixture(scope="session")
def scale():
    """Look up the number of trials of a promise, as in `scale("file.bit_flips")`."""
    table = tomllib.loads(SCALE_FILE.read_text())

    def count(name):
        area, _, trial = name.partition(".")
        try:
            return table[area][trial][COLUMN]
        except KeyError:
            pytest.fail(f"{SCALE_FILE.name} has no count for {name!r} in column {COLUMN!r}")

    return count


@pytest.fixture
def seed(request, record_property):
    """Give the seed of a randomised test; set PSK_SEED to repeat a run that failed."""
    value = int(os.environ.get("PSK_SEED") or random.SystemRandom().randrange(2**32))
    record_property("seed", value)
    print(f"{request.node.name}: PSK_SEED={value}")  # noqa: T201  captured, shown when the test fails
    return value
