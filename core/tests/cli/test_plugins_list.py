"""`psk plugins list` shows what is installed and what is wrong with it, and imports nothing."""

import json

import pytest

from psk.cli.output import Exit


@pytest.fixture
def shelves(shelf):
    shelf.add("their-loud", {"connector.their-loud": "their_loud"}, {"their_loud": "raise SystemExit('imported!')"})
    shelf.add("their-one", {"codec.their-twin": "their_twin"})
    shelf.add("their-two", {"codec.their-twin": "their_twin"})
    shelf.add("their-old", {"connector.their-old": "their_old"}, requires=["psk-core>=7,<8"])
    shelf.add("their-put", {"command.inspect": "their_put"})
    shelf.add("their-odd", {"nothing.at-all": "their_odd"})
    return shelf


def statuses(document):
    return {f"{it['kind']}.{it['name']}": it["status"] for it in document if it["distribution"].startswith("their")}


EXPECTED = {
    "connector.their-loud": "not loaded yet",
    "codec.their-twin": "duplicate",
    "connector.their-old": "incompatible",
    "command.inspect": "duplicate",
    "nothing.at-all": "broken",
}


def test_each_state_is_told_and_nothing_imported(psk, shelves):
    done = psk("plugins", "list", "--json")
    assert done.code == Exit.DONE
    assert statuses(done.document) == EXPECTED
    assert all(it["why"] for it in done.document if it["status"] not in {"ok", "not loaded yet"})


def test_load_tells_what_is_broken_and_why(psk, shelves):
    done = psk("plugins", "list", "--load", "--kind", "connector", "--json")
    assert done.code == Exit.NO
    assert statuses(done.document) == {"connector.their-loud": "broken", "connector.their-old": "incompatible"}
    (loud,) = [it for it in done.document if it["name"] == "their-loud"]
    assert "SystemExit: imported!" in loud["why"]
    assert "their-loud 1.2" in loud["why"]


def test_the_table_is_for_people(psk, shelves):
    text = psk("plugins", "list").out
    header, *rows = text.splitlines()
    assert header.split() == ["KIND", "NAME", "DISTRIBUTION", "VERSION", "STATUS"]
    assert any(row.split() == ["connector", "file", "psk-core", "0.1.0", "ok"] for row in rows)
    assert "codec.their-twin: their-one 1.2 and their-two 1.2 both claim it" in text


def test_what_is_not_allowed_is_not_loaded(psk, shelves, monkeypatch):
    monkeypatch.setenv("PSK_PLUGINS", "codec.*")
    done = psk("plugins", "list", "--load", "--kind", "connector", "--json")
    assert statuses(done.document) == {"connector.their-loud": "not allowed", "connector.their-old": "not allowed"}


def test_one_that_loads_is_ok_afterwards(psk, shelf):
    code = """
        from psk.plugins import ConnectorPlugin, hookimpl
        @hookimpl
        def psk_connectors():
            return [ConnectorPlugin(schemes=["their-fine"], target="psk.connectors.local:LocalConnector")]
    """
    shelf.add("their-fine", {"connector.their-fine": "their_fine"}, {"their_fine": code})
    assert statuses(psk("plugins", "list", "--json").document) == {"connector.their-fine": "not loaded yet"}
    assert statuses(psk("plugins", "list", "--load", "--json").document) == {"connector.their-fine": "ok"}


def test_nothing_dear_is_imported(command, shelves):
    program = """if True:
        import sys
        from psk.cli import main
        main(["plugins", "list"])
        dear = "importlib.metadata pluggy json inspect dataclasses shutil logging asyncio email".split()
        print(sorted(set(dear) & set(sys.modules)))
    """
    import subprocess
    import sys

    environment = {"PYTHONPATH": str(shelves.folder)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    assert json.loads(command("plugins", "list", "--json", folders=[shelves.folder]).stdout)
