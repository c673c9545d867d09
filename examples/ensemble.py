"""Train an ensemble of forests on handwritten digits, the digits and the forests passed by value or owned.

The data are the 1,797 digits that come with scikit-learn. Each task of the first stage trains a small forest on a
sample of them; each task of the second classifies the others with one forest; then the forests vote. By value each
forest is sent to this process and back. With a StoreExecutor over shared memory a result is an owned proxy: the forest
stays in the store, is lent to the task that uses it, and is evicted when that is done.

    python examples/ensemble.py [--forests 20] [--trees 20] [--rounds 2] [--executor process|thread|fork]
"""

from __future__ import annotations

from itertools import repeat
from typing import TYPE_CHECKING, Any

import numpy as np
from channel import temporary_store
from cost import Cost, counted
from executors import open_executor, option_parser
from saved import count, duration, megabytes, table
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier

from psk_patterns import ProxySize, ProxyType, StoreExecutor, borrow
from psk_patterns.deferred_cleanup import flush

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable
    from concurrent.futures import Executor

    from numpy.typing import NDArray

    Labels = NDArray[np.int64]
    Pixels = NDArray[np.float64]

TRAINING = 1_200
#: Arrays have a size in bytes; a forest does not tell its own.
POLICY = ProxySize(10_000) | ProxyType(RandomForestClassifier)


def train(pixels: Pixels, labels: Labels, trees: int, seed: int) -> RandomForestClassifier:
    chosen = np.random.default_rng(seed).integers(len(labels), size=len(labels))
    return RandomForestClassifier(trees, random_state=seed).fit(pixels[chosen], labels[chosen])


def read(forest: RandomForestClassifier, pixels: Pixels) -> Labels:
    return forest.predict(pixels)


def vote(readings: list[Labels]) -> Labels:
    counts = np.stack([np.bincount(votes, minlength=10) for votes in np.stack(readings, axis=1)])
    return counts.argmax(axis=1)


def ensemble(executor: Executor, lend: Callable[[Any], Any], digits: Any, forests: int, trees: int) -> Labels:
    """Train, classify and vote; the executor decides how objects are passed, and `lend` how a task gets its forest."""
    known, labels, unknown = digits.data[:TRAINING], digits.target[:TRAINING], digits.data[TRAINING:]
    grown = executor.map(train, repeat(known), repeat(labels), repeat(trees), range(forests))
    return vote(list(executor.map(read, map(lend, grown), repeat(unknown))))


def itself(obj: Any) -> Any:
    return obj


def run(executor: Executor, lend: Callable[[Any], Any], digits: Any, options: Namespace) -> tuple[Labels, Cost]:
    cost = Cost()
    with counted(cost):
        return ensemble(executor, lend, digits, options.forests, options.trees), cost


def main() -> None:
    parser = option_parser(__doc__)
    parser.add_argument("--forests", type=int, default=20, help="how many to train; default 20")
    parser.add_argument("--trees", type=int, default=20, help="how many in each of them; default 20")
    parser.add_argument("--rounds", type=int, default=2, help="how often to do it each way; the faster run counts")
    options = parser.parse_args()
    digits = load_digits()
    with temporary_store() as store, open_executor(options.executor, options.workers) as executor:
        owning = StoreExecutor(executor, store, POLICY)
        rounds = [
            (*run(executor, itself, digits, options), *run(owning, borrow, digits, options))
            for _ in range(options.rounds)
        ]
        flush()  # dropped objects are evicted in the background
        left = len(store.list())
    expected, _, readings, _ = rounds[0]
    by_value, by_owner = (min((each[place] for each in rounds), key=lambda cost: cost.seconds) for place in (1, 3))
    assert np.array_equal(readings, expected), "passing by proxy changed the result"
    assert left == 0, "objects were left"
    labels = digits.target[TRAINING:]
    print(f"{options.forests} forests read {np.mean(readings == labels):.1%} of {len(labels)} digits correctly")
    print("(the same by value and owned)\n")
    figures = [
        ("bytes through the executor", by_value.sent + by_value.received, by_owner.sent + by_owner.received, megabytes),
        ("  work items, to the workers", by_value.sent, by_owner.sent, megabytes),
        ("  results, to the driver", by_value.received, by_owner.received, megabytes),
        ("time", by_value.seconds, by_owner.seconds, duration),
    ]
    print(table("by value", "owned", figures))
    print(f"\nobjects left: {count(left)}")


if __name__ == "__main__":
    main()
