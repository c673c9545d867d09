"""Calls of libraries give with proxies what they give with objects, or what docs/proxy.md says to do instead works."""

import copy
import csv
import dataclasses
import importlib.util
import io
import json
import re
import sqlite3
import warnings
from pathlib import Path

import numpy as np
import pytest

from psk.proxy import Proxy, extract, make_proxy

DOCUMENT = (Path(__file__).parents[3] / "docs" / "proxy.md").read_text()


def table_rows():
    table = DOCUMENT.partition("<!-- libraries -->")[2].partition("<!-- /libraries -->")[0]
    for line in table.strip().splitlines()[2:]:
        library, calls, instead = (cell.strip() for cell in line.strip("|").split(" | "))
        yield library, re.findall(r"`([^`]+)`", calls), None if instead == "works" else instead.strip("`")


@dataclasses.dataclass
class Point:
    x: int
    names: list


def written(rows):
    stream = io.StringIO()
    csv.writer(stream).writerows(rows)
    return stream.getvalue()


def query(text, parameters):
    connection = sqlite3.connect(":memory:")
    try:
        return connection.execute(text, parameters).fetchall()
    finally:
        connection.close()


def of_numpy():
    return {
        "array": np.arange(3.0),
        "matrix": np.eye(3) + np.arange(9.0).reshape(3, 3) / 10,
        "labels": np.array([0, 1, 1]),
        "places": np.array([0, 2]),
        "function": np.square,
    }


def of_python():
    return {
        "columns": ["a"],
        "values": [1.0, 2.0, 4.0],
        "numbers": [1, 2, 3],
        "mapping": {1: 10, 2: 20},
        "number": 2,
        "name": "a",
        "data": b"abc",
        "dates": ["2020-01-01"],
        "record": {"a": 1, "b": [1, 2]},
        "rows": [("a", 1), ("b", 2)],
        "row": ("a", 1),
        "edges": [(1, 2), (2, 3)],
        "point": Point(1, ["a"]),
    }


def of_pandas():
    pd = pytest.importorskip("pandas")
    table = pd.DataFrame({"a": [1, 2, 3], "b": [1.0, 2.0, 4.0]})
    return {"table": table, "tables": [table, table], "series": pd.Series([1, 2, 3]), "mask": table.a > 1}


def of_polars():
    pl = pytest.importorskip("polars")
    return {"frame": pl.DataFrame({"a": [1, 2, 3], "b": [1.0, 2.0, 4.0]}), "column": pl.Series("a", [1, 2, 3])}


def of_networkx():
    return {"graph": pytest.importorskip("networkx").path_graph(4)}


def of_torch():
    return {"tensor": pytest.importorskip("torch").arange(3.0)}


def of_matplotlib():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    return {"axes": Figure().subplots()}


BY_LIBRARY = {"pandas": of_pandas, "polars": of_polars, "networkx": of_networkx, "torch": of_torch}
PLAIN = {"np": np, "json": json, "csv": csv, "dataclasses": dataclasses}
PLAIN |= {"extract": lambda it: extract(it) if isinstance(it, Proxy) else it, "written": written, "query": query}


def objects_for(library, call):
    objects = of_numpy() | of_python()
    if library in BY_LIBRARY:
        objects |= BY_LIBRARY[library]()
    if re.search(r"\b(table|tables|series|mask)\b", call):
        objects |= of_pandas()
    return objects


def namespace_for(library, call):
    """Give the modules and functions that a call names."""
    found = dict(PLAIN)
    for name, module in {"pd": "pandas", "pl": "polars", "nx": "networkx", "torch": "torch"}.items():
        if re.search(rf"\b{name}\.", call):
            found[name] = pytest.importorskip(module)
    if library == "scipy":
        found["scipy"] = pytest.importorskip("scipy")
        for part in set(re.findall(r"scipy\.(\w+)", call)):
            importlib.import_module(f"scipy.{part}")
    if library == "scikit-learn":
        pytest.importorskip("sklearn")
        for part in ("linear_model", "model_selection", "preprocessing", "metrics"):
            found |= vars(importlib.import_module(f"sklearn.{part}"))
    if library == "matplotlib":
        found |= of_matplotlib()
    return found


def unresolved(target):
    return make_proxy(lambda: target, type(target))


def used(target):
    proxy = Proxy(lambda: target, target=target)
    assert proxy.__class__ is proxy.__class__
    return proxy


def run(library, call, wrap=lambda target: target):
    names = {name: wrap(value) for name, value in copy.deepcopy(objects_for(library, call)).items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return plain(eval(call, {**namespace_for(library, call), **names}))


def plain(value):
    """Describe a result so that equal ones compare equal, whatever library it is of."""
    if isinstance(value, Proxy):
        value = extract(value)
    kind = type(value).__module__.partition(".")[0]
    if kind == "matplotlib" or (isinstance(value, list | tuple) and "matplotlib" in repr(value)):
        return "drawn"
    if kind == "networkx":
        return sorted(map(str, value.edges(data=True)))
    if kind in {"pandas", "polars"} and hasattr(value, "equals"):
        return kind, str(getattr(value, "dtype", None)), str(getattr(value, "dtypes", None)), value.to_numpy().tolist()
    if kind == "scipy" and hasattr(value, "toarray"):
        value = value.toarray()
    if isinstance(value, np.ndarray) or kind == "torch":
        return kind, str(value.dtype), value.tolist()
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


@pytest.fixture(scope="module", autouse=True)
def _running_polars():
    """Let polars start what it keeps for the life of the process before the checks for leaks look."""
    if importlib.util.find_spec("polars"):
        frame = of_polars()["frame"]
        frame.join(frame, on="a")


@pytest.mark.parametrize("wrap", [unresolved, used])
@pytest.mark.parametrize(("library", "calls", "instead"), list(table_rows()))
def test_calls_with_proxies_do_what_the_table_says(library, calls, instead, wrap):
    for call in calls:
        expected = str(run(library, call))
        if instead is None:
            assert str(run(library, call, wrap)) == expected, call
            continue
        try:
            got = run(library, call, wrap)
        except Exception as error:  # noqa: BLE001  # any refusal will do
            got = error
        assert str(got) != expected, f"{call} works by now: say so in the table"
    if instead is not None:
        assert str(run(library, instead, wrap)) == str(run(library, instead))


def test_the_table_names_every_library():
    named = {library for library, _, _ in table_rows()}
    assert named >= {"pandas", "polars", "scipy", "scikit-learn", "torch", "matplotlib", "networkx"}
    assert named >= {"json", "csv", "sqlite3", "dataclasses"}
