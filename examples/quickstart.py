"""Pass one large array to eight tasks without sending it through the executor."""

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np

from psk import Store


def mean(array: np.ndarray) -> float:
    return array.mean()


if __name__ == "__main__":
    pool = ProcessPoolExecutor(2, mp_context=get_context("spawn"))
    with Store.from_uri("shm://") as store, pool:
        array = store.proxy(np.arange(25_000_000.0))  # 200 MB are written to shared memory, once
        print(list(pool.map(mean, [array] * 8)))  # each task receives about 100 bytes
