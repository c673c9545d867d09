"""Run `psk plugins check` on plug-ins that keep the contract or cannot be tested, and check its cleanup."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from psk.cli import Exit
from psk.connectors import open_connector
from psk.wire import encode
from psk_testing.checking.channel import CheckStoppedError
from psk_testing.checking.duties import CHECKS
from psk_testing.checking.live import Live

pytestmark = pytest.mark.usefixtures("impatient")


@pytest.mark.parametrize("scheme", ["local", "file", "shm", "multi"])
def test_what_is_built_in_passes_on_a_scratch_channel(psk, scheme):
    done = psk("plugins", "check", scheme, "--json")
    assert done.code == Exit.DONE, [check for check in done.document["checks"] if check["outcome"] == "failed"]
    assert done.document["uri"].startswith(f"{scheme}://")
    assert {check["outcome"] for check in done.document["checks"]} <= {"ok", "skipped"}
    assert done.document["speed"]["put_small_seconds"] > 0
    assert done.document["speed"]["wait_seconds"] >= 0


def test_a_plugin_that_needs_a_server_says_what_to_name_and_what_was_tried(psk, shelf):
    module = """
        from psk import hookimpl
        from psk.connectors.local import LocalConnector
        from psk.errors import ConnectorConfigError
        from psk.plugins import ConnectorPlugin
        class Far(LocalConnector):
            @classmethod
            def from_config(cls, config):
                raise ConnectorConfigError("the URI names no host", remedy="name one")
        @hookimpl
        def psk_connectors():
            return [ConnectorPlugin(schemes=["their-far"], target="their_far:Far")]
    """
    shelf.add("their-far", {"connector.their-far": "their_far"}, {"their_far": module})
    done = psk("plugins", "check", "their-far", "--json")
    assert done.code == Exit.DONE
    (skipped,) = [check for check in done.document["checks"] if check["outcome"] == "skipped"]
    assert skipped["detail"].startswith(
        "name a channel: psk plugins check their-far://... (none could be made at their-far:/"
    )
    assert "the URI names no host" in skipped["detail"]


def test_nothing_is_left_in_a_channel_that_was_given(psk, uri):
    with_connector = open_connector(uri)
    mine = with_connector.put(encode(b"mine"))
    try:
        assert psk("plugins", "check", uri).code == Exit.DONE
        assert list(with_connector.keys()) == [mine]
    finally:
        with_connector.evict(mine)
        with_connector.close()


def test_a_directory_that_only_the_check_made_goes_again(psk, tmp_path):
    assert psk("plugins", "check", f"file://{tmp_path}/new").code == Exit.DONE
    assert not (tmp_path / "new").exists()
    (tmp_path / "old").mkdir(mode=0o700)
    assert psk("plugins", "check", f"file://{tmp_path}/old").code == Exit.DONE
    assert (tmp_path / "old").exists()


def test_one_that_cannot_be_loaded_says_why(psk, shelf):
    shelf.add("their-bad", {"connector.their-bad": "their_bad"}, {"their_bad": "import their_missing"})
    done = psk("plugins", "check", "their-bad", "--json")
    assert done.code == Exit.NO
    assert "their_missing" in done.document["problem"]


def test_a_channel_that_cannot_be_reached_is_no_fault_of_the_plugin(psk):
    done = psk("plugins", "check", "shm://~0123456789abcdef/space")
    assert done.code == Exit.FAILED
    assert "Traceback" not in done.err


def test_a_full_channel_is_no_failure(psk):
    name = f"test-{os.urandom(4).hex()}"
    done = psk("plugins", "check", f"shm://{name}?max_bytes=2000000", "--json")
    assert done.code == Exit.DONE
    assert done.document["speed"]["put_large_seconds"] is None
    assert done.document["speed"]["put_small_seconds"] > 0


def test_codecs_and_commands_are_checked(psk):
    assert psk("plugins", "check", "codec.pickle").code == Exit.DONE
    assert psk("plugins", "check", "codec.nothing").code == Exit.NO


def test_nothing_is_put_after_ctrl_c(tmp_path, monkeypatch):
    live = Live(f"file://{tmp_path}/objects", 10.0)
    connector, ours = live.channel.connector, threading.main_thread().ident
    begun, goes_on = threading.Event(), threading.Event()

    class Slow:
        def put(self, payload, **options):
            begun.set()
            goes_on.wait(30)
            return connector.put(payload, **options)

        def __getattr__(self, name):
            return getattr(connector, name)

    def interrupt():
        begun.wait(30)
        signal.pthread_kill(ours, signal.SIGINT)
        time.sleep(0.1)
        goes_on.set()

    live.channel.connector = Slow()
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    presser = threading.Thread(target=interrupt)
    presser.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            live.checks()
        live.tidy()
        assert list(connector.keys()) == []
        with pytest.raises(CheckStoppedError):
            live.channel.put(encode(b"more"))
        assert list(connector.keys()) == []
    finally:
        signal.signal(signal.SIGINT, before)
        presser.join()
        live.close()
        connector.close()


def test_ctrl_c_leaves_nothing_either(tmp_path):
    program = """if True:
        import signal, sys
        signal.signal(signal.SIGINT, signal.default_int_handler)
        from psk.cli import main
        sys.exit(main(sys.argv[1:]))
    """
    words = ["plugins", "check", f"file://{tmp_path}/objects"]
    running = subprocess.Popen([sys.executable, "-c", program, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    with running:
        end = time.monotonic() + 30
        while not list(tmp_path.glob("objects/????????*")) and time.monotonic() < end:
            time.sleep(0.005)
        running.send_signal(signal.SIGINT)
        assert running.wait(30) == Exit.INTERRUPTED
        assert (running.stdout.read(), running.stderr.read()) == (b"", b"psk: error: interrupted\n")
    assert not (tmp_path / "objects").exists()


def test_the_fix_for_malformed_keys_refuses_places_too():
    (fix,) = [check.fix for check in CHECKS if check.rule == "C3"]
    assert "validate_plain_key" in fix
