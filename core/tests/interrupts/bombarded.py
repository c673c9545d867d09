"""Use a store while interrupts come, and see after each, also from another thread, whether anything is in the way."""

import faulthandler
import resource
import sys
from pathlib import Path

import psk

sys.path.insert(0, str(Path(__file__).parents[3] / "tests"))
from faults.interrupts import RandomInterrupts, elsewhere, steps

LARGE = b"x" * 200_000
URI = sys.argv[2]
# An interrupt between the system's opening of a file and our taking note of its descriptor leaves it open.
resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
# What interrupts a finaliser is reported, as it can be raised nowhere.
sys.unraisablehook = lambda report: None if report.exc_type is KeyboardInterrupt else sys.__unraisablehook__(report)

store = psk.Store("bombarded", URI)

OPERATIONS = {
    "put": lambda _: store.put([1, 2]),
    "put large": lambda _: store.put(LARGE),
    "get": store.get,
    "resolve": lambda key: len(store.proxy_from_key(key)),
    "evict": store.evict,
    "wait": lambda key: store.wait(key, timeout=1),
    "renew": lambda key: store.renew(key, 600),
    "take": lambda key: store.connector.take(key, "claim", lease=60),
    "fulfil": lambda _: store.fulfil(reserved[0], [3]),
    "fulfil large": lambda _: store.fulfil(reserved[0], LARGE),
    "clear": lambda _: store.clear(),
    "open": lambda _: psk.Store.from_uri(URI, register=False).close(),
}


#: A key whose object may come.
reserved = [""]


def prepare():
    """Give a key with an object; where this thread itself hangs from now on, it says so, and ends."""
    faulthandler.dump_traceback_later(90, exit=True)
    reserved[0] = store.reserve()
    return store.put([1, 2])


def check(key, gone=False):
    """See that nothing is in the way of those who come after."""
    assert store.get(key) in ([[1, 2], None] if gone else [[1, 2]])
    store.evict(key)
    assert store.get(reserved[0], timeout=5) in (None, [3], LARGE)
    store.evict(reserved[0])
    for made in (store.put([3], ttl=60), store.put(LARGE)):
        target = store.proxy_from_key(made)
        assert len(target) in {1, len(LARGE)}
        assert store.wait(made, timeout=5) == [made]
        store.evict(made)
        assert store.get(made) is None


def step(stride, seed):
    """Interrupt each operation at one instant after the other."""
    for name, operation in OPERATIONS.items():

        def seen(key, name=name):
            check(key, gone=name in {"evict", "clear"})

        count, amiss = steps(operation, prepare, seen, where="/psk/", stride=stride, start=1 + seed % stride)
        assert count, name
        assert not amiss, (name, len(amiss), list(amiss.items())[:3])
        store.clear()
        print(name, count)  # noqa: T201


def bombard(count, seed):
    """Interrupt all operations at random instants."""
    done = 0
    with RandomInterrupts(seed) as interrupts:
        while done < count:
            for operation in OPERATIONS.values():
                key = prepare()
                if interrupts.strike(lambda operation=operation, key=key: operation(key)):
                    done += 1
                    elsewhere(lambda key=key: check(key, gone=True))
                    check(prepare())
            store.clear()
    print(done)  # noqa: T201


{"steps": step, "random": bombard}[sys.argv[1]](int(sys.argv[3]), int(sys.argv[4]))
store.clear()
store.close()
