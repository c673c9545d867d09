"""Fixtures of the tests of plug-ins."""

import pytest

from faults.distributions import Site
from faults.observer import PLUGIN


@pytest.fixture
def site(tmp_path):
    """An empty folder for distributions, and interpreters that see it."""
    return Site(tmp_path / "site")


@pytest.fixture
def observed(site):
    """The same, with an observer that remembers what it heard."""
    site.add("their-observer", {"observer.theirs": "their_observer"}, {"their_observer": PLUGIN})
    return site
