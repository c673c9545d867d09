"""Wait for conditions in the tests of futures, and check that nothing is left."""

import time


def release_all(futures):
    for made in futures:
        made.release()


def until(condition, seconds=10):
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.005)
    assert condition()
