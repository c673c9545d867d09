"""Train an ensemble of decision trees on handwritten digits, the digits and the trees passed by value or owned.

The data are the 1,797 digits that come with scikit-learn. Each task of the first stage trains a tree on a sample of
them; each task of the second lets one tree say what it takes the others for; then they vote. By value the digits go
out with each task, and each tree comes here and goes out again. With a StoreExecutor over shared memory, what is large
is put once, and what comes back is an owned proxy: the tree stays where it is, and goes when nobody has its proxy.

    python examples/ensemble.py [--trees 40] [--executor process|thread|fork] [--workers 2]
"""

from __future__ import annotations

from itertools import repeat
from typing import TYPE_CHECKING, Any

import numpy as np
from channel import temporary_store
from cost import Cost, counted
from executors import open_executor, option_parser
from psk_patterns import ProxySize, StoreExecutor
from saved import count, duration, megabytes, table
from sklearn.datasets import load_digits
from sklearn.tree import DecisionTreeClassifier

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from numpy.typing import NDArray

    from psk import Store

    Labels = NDArray[np.int64]
    Pixels = NDArray[np.float64]

TITLE = "Ensemble: decision trees that read handwritten digits"
TRAINING = 1_200
LARGE = 10_000


def train(pixels: Pixels, labels: Labels, seed: int) -> DecisionTreeClassifier:
    chosen = np.random.default_rng(seed).integers(len(labels), size=len(labels))
    return DecisionTreeClassifier(max_features="sqrt", random_state=seed).fit(pixels[chosen], labels[chosen])


def read(tree: DecisionTreeClassifier, pixels: Pixels) -> Labels:
    return tree.predict(pixels)


def vote(readings: list[Labels]) -> Labels:
    counts = np.stack([np.bincount(votes, minlength=10) for votes in np.stack(readings, axis=1)])
    return counts.argmax(axis=1)


def ensemble(executor: Any, trees: int) -> tuple[Labels, Labels]:
    """Train, read and vote; `executor` decides how things travel. Give what was read, and what it is."""
    digits = load_digits()
    known, unknown = digits.data[:TRAINING], digits.data[TRAINING:]
    grown = executor.map(train, repeat(known), repeat(digits.target[:TRAINING]), range(trees))
    return vote(list(executor.map(read, grown, repeat(unknown)))), digits.target[TRAINING:]


def owned(executor: Executor, store: Store, trees: int) -> tuple[Labels, Labels]:
    return ensemble(StoreExecutor(executor, store, ProxySize(LARGE)), trees)


def main() -> None:
    parser = option_parser(__doc__)
    parser.add_argument("--trees", type=int, default=40, help="how many to train; default 40")
    options = parser.parse_args()
    by_value, by_owner = Cost(), Cost()
    with temporary_store() as store, open_executor(options.executor, options.workers) as executor:
        with counted(by_value):
            expected, labels = ensemble(executor, options.trees)
        with counted(by_owner):
            readings, _ = owned(executor, store, options.trees)
        left = len(store.list())
    assert np.array_equal(readings, expected), "passing by proxy changed the result"
    assert left == 0, "objects were left"
    print(f"{options.trees} trees read {np.mean(readings == labels):.1%} of {len(labels)} digits correctly")
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
