"""Send one large array to eight tasks, and not a byte of it through the executor."""

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np

from psk import Store


def mean(array: np.ndarray) -> float:
    return array.mean()


if __name__ == "__main__":
    pool = ProcessPoolExecutor(2, mp_context=get_context("spawn"))
    with Store.from_uri("shm://") as store, pool:
        array = store.proxy(np.arange(25_000_000.0))  # 200 MB go into shared memory, once
        print(list(pool.map(mean, [array] * 8)))  # some 100 bytes go to each task
