"""Installed plug-ins are listed with their state, whatever is wrong with them, and none is imported."""

import os
import sys
import time

import pytest

from faults.distributions import install, write_wheel
from psk.plugins import discovery, installed

LOUD = "raise SystemExit('imported')"


def test_the_core_is_listed_as_any_other():
    records = {record.entry_point: record for record in discovery.built_in()}
    assert {"connector.file", "connector.shm", "codec.pickle", "codec.torch"} <= records.keys()
    assert {record.status for record in records.values()} == {"ok"}
    assert {record.distribution for record in records.values()} == {"psk-core"}
    assert records["connector.file"].value == "psk.connectors.file:FileConnector"


def test_a_record_says_all_there_is_to_know(site):
    site.add("Their.Connector", {"connector.theirs": "their_plugin"}, {"their_plugin": LOUD}, version="3.1rc2")
    (record,) = site.run("say([row.as_dict() for row in installed() if row.name == 'theirs'])")[0]
    assert record == {
        "kind": "connector",
        "name": "theirs",
        "distribution": "Their.Connector",
        "version": "3.1rc2",
        "value": "their_plugin",
        "status": "not loaded yet",
        "why": "",
    }


def test_each_state_is_told(site):
    site.add_theirs()
    site.add("their-codec", {"codec.same": "x"})
    site.add("their-other-codec", {"codec.same": "x", "codec.other": "x"})
    site.add("their-file", {"connector.file": "x", "codec.pickle": "x"})
    site.add("their-old", {"observer.old": "x"}, requires=["psk-core>=0.0.1,<0.1"])
    site.add("their-new", {"command.new": "x"}, requires=["pluggy", "psk_core (>=7)"])
    site.add("their-odd", {"connector": "x", "stream.kafka": "x", "": "x"})
    site.add("their-conditional", {"observer.fine": "x"}, requires=["psk-core>=7; python_version<'3'"])
    assert site.run("say(listed())")[0] == {
        "connector.theirs": "not loaded yet",
        "codec.same": "duplicate",
        "codec.other": "not loaded yet",
        "connector.file": "duplicate",
        "codec.pickle": "duplicate",
        "observer.old": "incompatible",
        "command.new": "incompatible",
        "connector.": "broken",
        "stream.kafka": "broken",
        ".": "broken",
        "observer.fine": "not loaded yet",
    }
    reasons = "\n".join(site.run("say(why())")[0])
    assert "their-codec 1.0 and their-other-codec 1.0 both claim it" in reasons
    assert "psk-core 0.1.0 and their-file 1.0 both claim it" in reasons
    assert "their-old 1.0 requires psk-core>=0.0.1,<0.1, and psk-core 0.1.0 is installed" in reasons
    assert "not after one of the kinds connector, codec, command, broker" in reasons


def test_what_is_loaded_is_ok_afterwards(site):
    site.add_theirs()
    program = "say(listed()); load_target('connector', 'theirs'); say(listed())"
    assert [row["connector.theirs"] for row in site.run(program)] == ["not loaded yet", "ok"]


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda folder: (folder / "METADATA").write_bytes(b"Name: \xff\xfe"), "METADATA"),
        (lambda folder: (folder / "METADATA").write_text("Metadata-Version: 2.4\n"), "lacks name or version"),
        (lambda folder: (folder / "METADATA").unlink(), "METADATA"),
    ],
)
def test_bad_metadata_is_reported_and_hurts_nobody_else(site, damage, says):
    damage(site.add("their-bad", {"connector.bad": "x"}))
    site.add_theirs()
    states = dict(site.run("say({row.entry_point: [row.status, row.why] for row in installed()})")[0])
    assert states["connector.theirs"] == ["not loaded yet", ""]
    assert states["connector.bad"][0] == "broken"
    assert says in states["connector.bad"][1]
    kind, message, *_ = site.failure(name="bad")
    assert kind == "BrokenPluginError"
    assert says in message


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(b"[psk]\n\xff\xfe = x\n"),
        lambda path: (path.unlink(), path.mkdir()),
        lambda path: path.write_text("[psk\n"),
        lambda path: path.write_text("connector.x = y\n[psk]\n"),
        lambda path: path.write_text("[psk]\nconnector.x\n"),
    ],
    ids=["not text", "a folder", "no section", "outside a section", "no value"],
)
def test_unreadable_entry_points_hurt_nobody_else(site, damage):
    damage(site.add("their-bad", {}) / "entry_points.txt")
    site.add_theirs()
    assert site.run("say(listed())")[0]["connector.theirs"] == "not loaded yet"
    assert site.run("say(psk.find_connector('theirs').scheme)") == ["theirs"]


def test_entry_points_of_ours_that_cannot_be_read_are_reported(site):
    (site.add("psk-bad", {}) / "entry_points.txt").write_bytes(b"[psk]\n\xff = x\n")
    (record,) = site.run("say([row.as_dict() for row in installed() if row.distribution == 'psk-bad'])")[0]
    assert record["status"] == "broken"
    assert "psk_bad-1.0.dist-info" in record["why"]


def test_of_several_installations_the_first_on_the_path_counts(site, tmp_path):
    site.add_theirs()
    install(tmp_path / "below", "Their_Connector", {"connector.theirs": "x"}, version="0.9")
    paths = [site.folder, tmp_path / "below"]
    program = "say([row.version for row in installed() if row.name == 'theirs'])"
    assert site.run(program, paths=paths) == [["1.0"]]
    assert site.run(program, paths=paths[::-1]) == [["0.9"]]


def test_what_an_uninstallation_left_over_is_passed_by(site):
    folder = site.add_theirs()
    folder.rename(folder.with_name("~" + folder.name[1:]))
    assert site.run("say(listed())") == [{}]


def test_a_plugin_in_an_archive_is_found_and_loaded(site, tmp_path):
    site.add("their-own", {"codec.own": "x"})
    modules = {
        "their_plugin": "from psk.plugins import ConnectorPlugin, hookimpl\n@hookimpl\ndef psk_connectors():\n"
        "    return [ConnectorPlugin(schemes=['zipped'], target='psk.connectors.local:LocalConnector')]\n"
    }
    wheel = write_wheel(tmp_path, "their-zipped", {"connector.zipped": "their_plugin"}, modules)
    program = "say(listed()); say(psk.find_connector('zipped').__name__)"
    paths = [site.folder, wheel, tmp_path / "absent", ""]
    assert site.run(program, paths=paths) == [
        {"codec.own": "not loaded yet", "connector.zipped": "not loaded yet"},
        "LocalConnector",
    ]


def test_a_damaged_archive_hides_no_other_distribution(site, tmp_path):
    site.add("their-own", {"codec.own": "x"})
    damaged = tmp_path / "damaged.whl"
    damaged.write_bytes(b"PK but nothing of an archive")
    wheel = write_wheel(tmp_path, "their-zipped", {"codec.zipped": "x"}, {})
    paths = [damaged, site.folder, wheel]
    assert site.run("say(listed())", paths=paths) == [{"codec.own": "not loaded yet", "codec.zipped": "not loaded yet"}]


def test_listing_imports_nothing_dear(site):
    for number in range(10):
        site.add(f"their-{number}", {f"connector.x{number}": f"their_{number}"}, {f"their_{number}": LOUD})
    program = """
        installed()
        say(sorted({"importlib.metadata", "pluggy", "email", "inspect", "their_0", "configparser"} & set(sys.modules)))
        say(len(listed()))
    """
    assert site.run(program) == [[], 10]


def test_listing_finds_what_importlib_metadata_finds():
    from importlib import metadata

    expected = {
        (point.name, point.value, distribution.name, distribution.version)
        for distribution in metadata.distributions()
        for point in distribution.entry_points
        if point.group == "psk"
    }
    found = {
        (it.entry_point, it.value, it.distribution, it.version) for it in installed() if it.distribution != "psk-core"
    }
    assert found == expected


def test_how_long_ten_plugins_take_to_list_is_told(site, record_property):
    for number in range(10):
        site.add(f"their-{number}", {f"connector.x{number}": f"their_{number}"}, {f"their_{number}": LOUD})
    program = """
        import time
        start = time.process_time()
        found = [row for row in installed() if row.name.startswith("x")]
        say(len(found), time.process_time() - start)
    """
    count, seconds = site.run(program)[0]
    assert count == 10
    record_property("milliseconds", seconds * 1e3)
    print(f"listing 10 plug-ins took {seconds * 1e3:.1f} ms of process time")  # noqa: T201


def test_strange_entries_of_the_path_are_passed_by(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "path", [*sys.path, "\0", b"bytes", None, 7, tmp_path / "absent", "", str(tmp_path)])
    monkeypatch.chdir(tmp_path)
    install(tmp_path, "their-own", {"codec.own": "x"})
    before = time.monotonic()
    assert [record.name for record in installed() if record.distribution == "their-own"] == ["own"]
    assert time.monotonic() >= before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_may_not_be_read_is_passed_by(site):
    (site.add("psk-secret", {}) / "entry_points.txt").chmod(0)
    site.add_theirs()
    assert site.run("say(listed())")[0]["connector.theirs"] == "not loaded yet"
