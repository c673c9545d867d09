"""A command line that is not valid is answered with what is wrong and what to do."""

import os

import pytest

from psk.cli.output import Exit

NO_KEY = "0" * 32


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "note.txt").write_text("a note\n")
    (tmp_path / "folder").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        ("-v", Exit.USAGE, "psk has no option '-v' before a command; write options after the command; see psk --help"),
        (
            "put {uri} note.txt --ttl soon",
            Exit.USAGE,
            "argument --ttl: 'soon' is not a time of at most a century; write 30s, 10m, 1h or 2d",
        ),
        (
            "put {uri} note.txt --ttl 0",
            Exit.USAGE,
            "argument --ttl: '0' is not a time of at most a century; write 30s, 10m, 1h or 2d",
        ),
        ("put {uri} note.txt --ttl 99999d", Exit.USAGE, "argument --ttl: '99999d' is not a time of at most a century"),
        ("get {uri} {key} --timeout never", Exit.USAGE, "argument --timeout: 'never' is not a time"),
        ("put {uri} folder", Exit.USAGE, "folder is not a file; give a file, or - and pipe the bytes in"),
        ("put {uri} note.txt --payload", Exit.FAILED, "note.txt is not a whole payload: 7 bytes"),
        ("put {uri} note.txt --payload", Exit.FAILED, "omit --payload to put the file as it is"),
        (
            "put shm:// note.txt",
            Exit.FAILED,
            "object would be lost when this command ends: no other process has shm:// open; use file://, or shm",
        ),
        (
            "put local://x note.txt",
            Exit.FAILED,
            "would be lost when this command ends: no other process has local://x",
        ),
        ("get {uri} {key}", Exit.NO, "there is no object {key} in {uri}; psk ls {uri} lists the keys"),
        (
            "get {uri} {key} --decode -o x",
            Exit.USAGE,
            "prints the object and does not write a file; omit --output",
        ),
        ("rm {uri}", Exit.USAGE, "psk rm needs a KEY, or --all; see psk rm --help"),
        ("rm --all {uri} {key}", Exit.USAGE, "psk rm takes either KEYs or --all; see psk rm --help"),
        (
            "rm --all {uri}",
            Exit.USAGE,
            "asks before it removes all 0 objects of {uri}, and standard input is not a terminal; add --yes",
        ),
        ("ls multi://near", Exit.FAILED, "needs the option 'to1'; add to1=... to the URI"),
        ("ls file://", Exit.FAILED, "needs the option 'path'; write file:///the/path"),
        ("ls file://here", Exit.FAILED, "the authority of a 'file' URI cannot be 'here'; give three slashes"),
    ],
)
def test_it_says_what_is_wrong_and_what_to_do(psk, place, words, code, says):
    facts = {"uri": f"file://{place}/folder", "key": NO_KEY}
    done = psk(*words.format(**facts).split())
    assert (done.code, done.out) == (code, "")
    assert says.format(**facts) in done.err
    assert done.err.count("\n") == 1


def test_an_option_before_the_command_is_sent_behind_it(psk):
    done = psk("--json", "ls", "local://")
    assert (done.code, done.document["remedy"]) == (Exit.USAGE, "write options after the command; see psk --help")


@pytest.mark.parametrize(("option", "value"), [("PSK_SIGNING", "on"), ("PSK_CODECS", "none")])
def test_an_impossible_rule_names_its_variable(command, place, option, value):
    done = command("get", f"file://{place}/folder", NO_KEY, env={option: value})
    assert done.returncode == Exit.FAILED
    assert f"psk: error: {option} cannot be '{value}'" in done.stderr.decode()


def test_a_place_that_cannot_be_written_is_named_as_it_was_given(psk, place):
    uri = f"file://{place}/folder"
    key = psk("put", uri, "note.txt").out.strip()
    for path, reason in (("gone/copy", "No such file or directory"), ("/dev/full", "No space left on device")):
        done = psk("get", uri, key, "-o", path)
        assert (done.code, done.err) == (Exit.FAILED, f"psk: error: {path}: {reason}\n")


def test_an_empty_name_of_a_file_can_be_seen(psk, place):
    assert psk("put", f"file://{place}/folder", "").err == "psk: error: '': No such file or directory\n"


def test_options_may_stand_between_arguments(psk, place):
    uri = f"file://{place}/folder"
    keys = [psk("put", uri, "note.txt").out.strip() for _ in range(2)]
    assert psk("rm", uri, keys[0], "--timeout", "1m", keys[1]).code == Exit.DONE
    assert os.listdir(place / "folder") == []
    assert psk("sweep", uri, "--json", "local://").code == Exit.DONE
