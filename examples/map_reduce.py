"""Count the words of Python's standard library by map and reduce, the texts passed by value or by proxy.

Some tasks read the texts, others count their words, others add up the counts; each result is an input of
a later task. By value everything passes through this process twice. By proxy it stays in the channel, and only
references are sent.

    python examples/map_reduce.py [--by proxy|value] [--executor process|thread|fork] [--files 1800]
"""

from __future__ import annotations

import re
import sysconfig
from collections import Counter
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from channel import temporary_store
from executors import open_executor, option_parser

from psk import extract, get_or_create_store

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor

    from psk import Store, StoreConfig

    Task = Callable[[Any], Any]
    Run = Callable[[Task, list[Any]], list[Any]]

TITLE = "Map-reduce: the words in the source files of Python's standard library"
LIBRARY = Path(sysconfig.get_path("stdlib"))
WORD = re.compile(r"[A-Za-z]{2,}")
CHUNKS = 16
MERGED = 4


def read_texts(names: list[str]) -> list[str]:
    return [(LIBRARY / name).read_text(encoding="utf-8", errors="replace") for name in names]


def count_words(texts: list[str]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(WORD.findall(text))
    return counts


def merge(parts: list[Counter[str]]) -> Counter[str]:
    total: Counter[str] = Counter()
    for counts in parts:
        total.update(counts)
    return total


def map_reduce(run: Run, names: list[str]) -> Counter[str]:
    """Count the words of all files; `run` gives each input to a task and decides how the results travel."""
    texts = run(read_texts, [names[first::CHUNKS] for first in range(CHUNKS)])
    counts = run(count_words, texts)
    while len(counts) > 1:
        counts = run(merge, [counts[first : first + MERGED] for first in range(0, len(counts), MERGED)])
    return counts[0]


def by_value(executor: Executor, names: list[str]) -> Counter[str]:
    return map_reduce(lambda task, inputs: list(executor.map(task, inputs)), names)


def by_proxy(executor: Executor, store: Store, names: list[str]) -> Counter[str]:
    def run(task: Task, inputs: list[Any]) -> list[Any]:
        return list(executor.map(partial(leave_in_store, store.config(), task), inputs))

    return extract(map_reduce(run, names))


def leave_in_store(config: StoreConfig, task: Task, inputs: Any) -> Any:
    """Run a task where a worker is, and give back a proxy of its result, which the next task uses once."""
    return get_or_create_store(config).proxy(task(inputs), evict=True)


def same(left: Counter[str], right: Counter[str]) -> bool:
    return left == right


def make_input(limit: int | None) -> list[str]:
    """List the source files of the standard library, relative to it."""
    found = sorted(LIBRARY.rglob("*.py"))
    return [str(path.relative_to(LIBRARY)) for path in found if "site-packages" not in path.parts][:limit]


def describe(counts: Counter[str]) -> str:
    most = ", ".join(f"{word} {count:,}" for word, count in counts.most_common(8))
    return f"{counts.total():,} words, {len(counts):,} of them different; most frequent: {most}"


def main() -> None:
    parser = option_parser(__doc__)
    parser.add_argument("--by", choices=("proxy", "value"), default="proxy", help="how texts and counts are passed")
    parser.add_argument("--files", type=int, help="how many files of the standard library to read; default all")
    options = parser.parse_args()
    names = make_input(options.files)
    with temporary_store() as store, open_executor(options.executor, options.workers) as executor:
        counts = by_value(executor, names) if options.by == "value" else by_proxy(executor, store, names)
    print(f"{len(names):,} files: {describe(counts)}")


if __name__ == "__main__":
    main()
