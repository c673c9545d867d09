"""A program that runs tasks on an engine by way of a StoreExecutor, as `python engine_program.py loky`.

The engines are joblib's loky, or a client of Dask and that client's executor (`dask`). What the program defines is in
`__main__`, as in a script or a notebook.
"""

import sys
from contextlib import ExitStack

from psk import Store
from psk.errors import ProxyResolveError
from psk_patterns import ProxySize, ProxyType, StoreExecutor
from psk_patterns.deferred_cleanup import flush
from psk_patterns.ownership import is_owned

LARGE = 10_000


class Model:
    def __init__(self, weights):
        self.weights = weights


def train(*parts):
    return Model(b"".join(map(bytes, parts)))


def weigh(model):
    return len(model.weights)


def open_engines(name, stack):
    if name == "loky":
        from joblib.externals.loky import get_reusable_executor

        return [get_reusable_executor(max_workers=1)]
    from distributed import Client, LocalCluster

    cluster = stack.enter_context(LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None))
    client = stack.enter_context(Client(cluster))
    return [client, client.get_executor()]


def run_tasks(engine, store):
    # Workers of Dask forget results that they can make again.
    with StoreExecutor(engine, store, ProxySize(LARGE) | ProxyType(Model), retries=True) as executor:
        parts = [executor.submit(bytes, LARGE), executor.submit(bytes, 5)]
        models = [executor.submit(train, *parts), executor.submit(train, parts[0], b"x")]
        assert [executor.submit(weigh, model).result() for model in models] == [LARGE + 5, LARGE + 1]
        assert is_owned(parts[0].result())
        assert list(executor.map(len, [bytes(LARGE), b"x"])) == [LARGE, 1]
        executor.shutdown(wait=False, cancel_futures=True)
        del parts, models


def put_by_reference(name, store):
    """Put what loky's workers cannot import, and give the error of the one that tries."""
    with ExitStack() as opened, StoreExecutor(*open_engines(name, opened), store, ProxyType(Model)) as executor:
        try:
            return executor.submit(weigh, Model(b"x")).result()
        except ProxyResolveError as error:
            return error


if __name__ == "__main__":
    name = sys.argv[1]
    with ExitStack() as opened:
        store = opened.enter_context(Store("engines", "shm://", serializer="cloudpickle"))
        for engine in open_engines(name, opened):
            run_tasks(engine, store)
        flush()
        assert store.list() == []
        if name == "loky":
            with Store("by reference", "shm://") as plain:
                sys.stdout.write(str(put_by_reference(name, plain)))
