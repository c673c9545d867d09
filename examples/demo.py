"""Run both examples by value and by proxy, check that the results are the same, and show what each way costs.

Each run has a process of its own for its driver, so that none inherits another's memory; this one measures.

    python examples/demo.py [--executor process|thread|fork] [--files 1800] [--megabytes 200]
"""

from __future__ import annotations

import importlib
import os
import signal
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from channel import temporary_store
from chart import chart, table
from cost import Cost, counted
from executors import open_executor, option_parser
from memory import watch_memory

from psk import StoreConfig, get_or_create_store

if TYPE_CHECKING:
    from argparse import Namespace


def drive(by: str, example: str, size: int, options: Namespace, config: StoreConfig) -> tuple[Any, Cost]:
    """Run an example one way, as its driver; return its result and what it cost, except for memory."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})  # a driver, though it started as a worker
    try:
        program = importlib.import_module(example)
        data = program.make_input(size)
        cost = Cost()
        with (
            get_or_create_store(config) as store,
            open_executor(options.executor, options.workers) as executor,
            counted(cost),
        ):
            if by == "value":
                return program.by_value(executor, data), cost
            return program.by_proxy(executor, store, data), cost
    finally:
        # A result that is interrupted while it is sent would leave the pool waiting for the rest of it.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})


def run(by: str, example: str, size: int, options: Namespace) -> tuple[Any, Cost]:
    """Run an example one way, with a driver and a channel of its own; return its result and what it cost."""
    with temporary_store() as store, open_executor("process", workers=1) as drivers:
        driver = drivers.submit(os.getpid).result()
        future = drivers.submit(drive, by, example, size, options, store.config())
        memory = watch_memory(driver, future)
        result, cost = future.result()
    cost.memory = memory
    return result, cost


def compare(example: str, size: int, options: Namespace) -> None:
    """Run an example both ways in turns, and print its result and what the fastest run of each way cost."""
    program = importlib.import_module(example)
    print(f"{program.TITLE}\n")
    costs: dict[str, list[Cost]] = {"value": [], "proxy": []}
    for _ in range(max(1, options.rounds)):
        by_value, value_cost = run("value", example, size, options)
        by_proxy, proxy_cost = run("proxy", example, size, options)
        assert program.same(by_value, by_proxy), "passing by proxy changed the result"
        costs["value"].append(value_cost)
        costs["proxy"].append(proxy_cost)
    fastest = [min(runs, key=lambda cost: cost.seconds) for runs in costs.values()]
    print(f"{program.describe(by_proxy)}\n(the same by value and by proxy)\n")
    print(table(*fastest), chart(*fastest), sep="\n\n", end="\n\n\n")


def main() -> None:
    parser = option_parser(__doc__)
    parser.add_argument("--files", type=int, help="how many files of the standard library to read; default all")
    parser.add_argument("--megabytes", type=int, default=200, help="size of the array; default 200")
    parser.add_argument("--rounds", type=int, default=2, help="how often to run each way; the faster run counts")
    options = parser.parse_args()
    compare("map_reduce", options.files, options)
    if find_spec("numpy"):
        compare("fan_out", options.megabytes, options)
    else:
        print("The second example, fan_out, needs numpy, which is not installed here.")


if __name__ == "__main__":
    main()
