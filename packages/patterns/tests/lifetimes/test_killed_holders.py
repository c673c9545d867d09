"""Objects of a killed holder are removed within its lease and a second, and none of a living one."""

import os

import pytest
from killed_holders import Trial

from psk_patterns import ContextLifetime, LeaseLifetime

ONLY_IN_SOAK = pytest.mark.skipif(os.environ.get("PSK_SCALE") != "soak", reason="the same on shm: tried by `make soak`")


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("kind", ["shm", *(pytest.param(kind, marks=ONLY_IN_SOAK) for kind in ("file", "redis"))])
def test_objects_go_with_a_killed_holder_and_stay_with_a_living_one(open_channel, scale, seed, kind):
    trial = Trial(open_channel(kind).uri, scale("patterns_leases.killed_holders"), seed)
    assert trial.run() == []
    assert trial.killed == trial.count
    print(f"{kind}: {trial.killed} holders killed, which had {trial.objects} objects")  # noqa: T201  for the evidence


def begin_unrenewed(store, ttl):
    return LeaseLifetime(store, ttl, renew=False)


def begin_unleased(store, ttl):
    return ContextLifetime(store)


@pytest.mark.parametrize(
    ("begin", "complaint"),
    [(begin_unrenewed, "of a living holder is gone"), (begin_unleased, "of a killed holder is left")],
)
def test_a_holder_that_does_not_do_so_is_noticed(open_channel, seed, begin, complaint):
    # Again: on a busy machine the holders of a trial may all be killed before they hold anything.
    trials = (Trial(open_channel("file").uri, 2, seed + attempt, begin) for attempt in range(4))
    assert any(complaint in line for trial in trials for line in trial.run())
