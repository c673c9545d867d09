"""Compare docs/porting.md with the names of ProxyStore and of psk."""

import inspect
import re
import tomllib
from importlib import import_module
from pathlib import Path

import pytest

from psk import LocalConnector, Store

ROOT = Path(__file__).parents[3]
GUIDE = (ROOT / "docs" / "porting.md").read_text()
DIFFERENCES = "".join(
    (ROOT / place).read_text()
    for place in (
        "core/tests/docs/test_porting_differences.py",
        "packages/patterns/tests/examples/test_porting_patterns.py",
    )
)
NAMES = {
    name: parameters
    for section in tomllib.loads((Path(__file__).parent / "proxystore_names.toml").read_text()).values()
    for name, parameters in section.items()
}
DISTRIBUTIONS = {
    "psk-core",
    "psk-patterns",
    "psk-stream-kafka",
    *(f"psk-connector-{name}" for name in ("daos", "endpoint", "globus", "margo", "redis", "ucx", "zmq")),
}
DIFFERENT = [*(f"B{number}" for number in range(1, 19)), *(f"D{number}" for number in range(1, 18))]


def table_rows(text, beginning):
    """Give the cells of each table row whose first cell matches, by that cell without its backticks."""
    lines = [line for line in text.splitlines() if re.match(rf"\| {beginning}", line)]
    split = [[cell.strip() for cell in line.strip()[1:-1].split("|")] for line in lines]
    return {cells[0].strip("`"): cells[1:] for cells in split}


def quoted(cell):
    return re.findall(r"`([^`]+)`", cell)


NAMES_PART = GUIDE.partition("## Names")[2]
NAME_ROWS = table_rows(NAMES_PART, "`")
DIFFERENT_ROWS = table_rows(GUIDE, r"[BD]\d")
LIVE_ROWS = {name: cells for name, cells in NAME_ROWS.items() if cells[0].startswith("`")}


def look_up(dotted):
    """Import what a dotted name says, wherever the module ends and the attributes begin."""
    parts = dotted.partition("(")[0].split(".")
    found = pytest.importorskip(parts[0])  # another distribution, which need not be installed
    for place, part in enumerate(parts[1:], 2):
        found = getattr(found, part) if hasattr(found, part) else import_module(".".join(parts[:place]))
    return found


def test_every_name_of_proxystore_has_one_row():
    first_cells = re.findall(r"^\| `([^`]+)` \|", NAMES_PART, flags=re.MULTILINE)
    assert sorted(first_cells) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_row_is_complete(name):
    status, parameters, remark = NAME_ROWS[name]
    listed = [re.findall(r"`([^`]+)`", item)[0] for item in parameters.split(", ") if item]
    assert listed == NAMES[name]
    if status == "none":
        assert remark, "a name without successor needs its reason"
    elif not status.startswith("`"):
        assert status.removeprefix("planned in ") in DISTRIBUTIONS


@pytest.mark.parametrize("name", LIVE_ROWS)
def test_promised_name_exists(name):
    found = look_up(quoted(LIVE_ROWS[name][0])[0])
    argument = re.search(r'\("(.*)"\)', LIVE_ROWS[name][0])
    if argument:
        found(argument[1])


def parameters_of(found):
    if inspect.isclass(found) and found.__init__ is not object.__init__:
        # A typed stand-in may give the class a `__new__` for type checkers: its __init__ is what runs.
        found = found.__init__
    return set(inspect.signature(found).parameters)


@pytest.mark.parametrize("name", [name for name, cells in LIVE_ROWS.items() if cells[1]])
def test_promised_parameters_exist(name):
    status, parameters, _ = LIVE_ROWS[name]
    kept = []
    for item in parameters.split(", "):
        old, _, new = item.partition(" → ")
        if new != "none":
            kept += quoted(new or old)
    if "as_dict" in status or not kept:
        return  # keys of a result, or nothing kept
    assert set(kept) <= parameters_of(look_up(quoted(status)[0]))


@pytest.mark.parametrize("statement", re.findall(r"`(from psk[^`]+)`", GUIDE))
def test_import_works(statement):
    exec(statement, {})


def test_every_difference_has_one_row():
    assert list(DIFFERENT_ROWS) == DIFFERENT


@pytest.mark.parametrize("difference", DIFFERENT)
def test_a_difference_is_shown_by_a_test_or_waits_for_a_distribution(difference):
    shown_by = DIFFERENT_ROWS[difference][2]
    tests = [name for name in quoted(shown_by) if name.startswith("test_")]
    missing = [name for name in tests if f"def {name}(" not in DIFFERENCES]
    waits_for = re.findall(r"planned in (\S+)", shown_by)
    assert not missing
    assert tests or waits_for
    assert set(waits_for) <= DISTRIBUTIONS


def test_every_test_that_the_guide_names_exists():
    named = set(re.findall(r"`(test_\w+)`", GUIDE))
    assert named == set(re.findall(r"^def (test_\w+)\(", DIFFERENCES, flags=re.MULTILINE))


def test_every_metric_in_the_guide_is_counted():
    with Store("measured", LocalConnector(), metrics=True) as store:
        key = store.put(["some", "object"])
        store.get(key)
        store.exists(key)
        store.put_batch([1, 2])
        store.proxy([3], populate_target=False).append(4)
        store.proxy_batch([[5]])
        store.evict(key)
        counted = store.metrics.as_dict()
        store.clear()
    named = set(re.findall(r'`times\["([^"]+)"\]`', GUIDE))
    assert named <= counted["times"].keys()
    assert set(re.findall(r'`nbytes\["([^"]+)"\]`', GUIDE)) <= counted["nbytes"].keys()
    assert set(quoted(NAME_ROWS["Metrics"][2])) == counted.keys()
    assert set(quoted(NAME_ROWS["TimeStats"][2])[1:]) == counted["times"]["store.get"].keys()
