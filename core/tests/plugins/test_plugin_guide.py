"""The plug-ins of docs/plugins.md work as they are printed there."""

import inspect
import re
import tomllib
from pathlib import Path

import pytest

from psk import errors
from psk.plugins import KINDS, discovery, specs

ROOT = Path(__file__).parents[3]
GUIDE = (ROOT / "docs/plugins.md").read_text()
FILES = dict(re.findall(r"^```python file=(\S+)\n(.*?)^```$", GUIDE, flags=re.MULTILINE | re.DOTALL))
PROJECTS = [
    tomllib.loads(text) for text in re.findall(r"^```toml plugin\n(.*?)^```$", GUIDE, flags=re.MULTILINE | re.DOTALL)
]
CONNECTOR = """
    from psk.connectors.local import LocalConnector
    class MineConnector(LocalConnector):
        scheme = "mine"
"""


@pytest.fixture
def guided(site):
    entry_points = {name: value for it in PROJECTS for name, value in it["project"]["entry-points"]["psk"].items()}
    modules = {path.removesuffix(".py"): text for path, text in FILES.items()}
    modules["psk_connector_mine/connector"] = CONNECTOR
    site.add("their-guide", entry_points, modules, requires=PROJECTS[0]["project"]["dependencies"])
    return site


def test_every_kind_has_an_example():
    names = {name for project in PROJECTS for name in project["project"]["entry-points"]["psk"]}
    assert {name.partition(".")[0] for name in names} == set(KINDS)


def test_the_examples_work(guided, tmp_path):
    program = f"""
        from fractions import Fraction
        for scheme in ("mine", "mine+unix", "mines"):
            say(psk.find_connector(scheme).__name__)
        with psk.Store.from_uri("file://{tmp_path}/objects", serializer="fraction") as store:
            key = store.put(Fraction(3, 7))
            say(str(store.get(key)), store.stat(key).codec)
            import psk_slow
            psk_slow.LIMIT_SECONDS = 0
            say(len(store.proxy_from_key(key).limit_denominator().as_integer_ratio()))
        from psk.cli import main
        say(main(["count", "file://{tmp_path}/objects"]))
        say([plugins.find(*each).target for each in [("broker", "log"), ("transport", "pigeon"), ("engine", "abacus")]])
        say(sorted(set(listed().values())))
    """
    targets = ["psk_events.log:LogBroker", "psk_events.pigeon:Pigeon", "psk_events.abacus:Abacus"]
    assert guided.run(program) == [*["MineConnector"] * 3, ["3/7", "fraction"], 2, 1, 0, targets, ["ok"]]
    assert re.search(r"objects: [0-9a-f]{32} took 0\.0 s for 0 bytes", guided.stderr)


def test_the_guide_names_every_hook_status_and_error():
    hooks = {name: inspect.signature(hook) for name, hook in vars(specs).items() if name.startswith("psk_")}
    for name, signature in hooks.items():
        assert f"`{name}({', '.join(signature.parameters)})`" in GUIDE
    for status in (
        discovery.OK,
        discovery.NOT_LOADED,
        discovery.DUPLICATE,
        discovery.INCOMPATIBLE,
        discovery.NOT_ALLOWED,
        discovery.BROKEN,
    ):
        assert f"| `{status}` |" in GUIDE
    for name, error in vars(errors).items():
        if inspect.isclass(error) and issubclass(error, errors.PluginError):
            assert name in GUIDE
    assert discovery.VARIABLE in GUIDE
