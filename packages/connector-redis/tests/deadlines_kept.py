"""Check that every call of a connector ends in time, in a value or a typed error, while something is wrong."""

from __future__ import annotations

import os
import threading
import time

from psk.errors import PskError
from psk.wire import encode
from psk_testing.operations import all_calls
from psk_testing.timing import GRACE_SECONDS, timed

LARGE = 3_000_000


def prepared_calls(connector):
    """Give calls of every kind, each a function of `timeout`; about objects that are there, small and large, too."""
    small, large = encode(b"small"), encode(os.urandom(LARGE))
    for payload in (small, large):
        connector.put(payload)
    payloads = [encode(number) for number in range(50)]
    keys = connector.put_batch(payloads)
    following = encode(os.urandom(LARGE), object_id=large.object_id, revision=1)
    calls = {f"{name} of nothing": call for name, call in all_calls(connector).items() if name != "clear"}
    calls |= {
        "put, large": lambda **options: connector.put(encode(b"x" * LARGE), **options),
        "get, small": lambda **options: connector.get(small.key, **options),
        "get, large": lambda **options: connector.get(large.key, **options),
        "take, small": lambda **options: connector.take(small.key, "me", **options),
        "take, large": lambda **options: connector.take(large.key, "me", **options),
        "swap, large": lambda **options: connector.swap(large.key, following, **options),
        "get_range, large": lambda **options: connector.get_range(large.key, 5, 1_000_000, **options),
        "put_batch, 50": lambda **options: connector.put_batch(payloads, **options),
        "get_batch, 50": lambda **options: connector.get_batch(keys, **options),
        "exists_batch, 50": lambda **options: connector.exists_batch(keys, **options),
        "wait, small": lambda **options: connector.wait([large.key, small.key], **options),
        "renew": lambda **options: connector.renew(small.key, 1000, **options),
    }
    return calls


def run_at_once(calls, timeout):
    """Make all calls at the same time; list those that ended late, or in something else than a typed error.

    Returns:
        What was wrong; and how many calls ended in a typed error.
    """
    wrong, refused = [], []
    durations = {}

    def run(name, call):
        start = time.monotonic()
        try:
            call(timeout=timeout)
        except PskError as error:
            refused.append(f"{name}: {error}")
        except BaseException as error:  # noqa: BLE001  that is the finding
            wrong.append(f"{name} raised {type(error).__name__}: {error}")
        durations[name] = time.monotonic() - start

    threads = [threading.Thread(target=run, args=each) for each in calls.items()]
    with timed() as clock:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for name, seconds in durations.items():
        if seconds - clock.stalled > timeout + GRACE_SECONDS:
            wrong.append(
                f"{name} took {seconds:.2f} s of {timeout} s, of which the machine stalled {clock.stalled:.2f}"
            )
    return wrong, refused
