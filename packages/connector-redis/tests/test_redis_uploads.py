"""A payload in parts is visible as a whole or not at all, whatever ends during its upload."""

import os
import signal
import time

import pytest
from interference import names_in
from large_objects import PART, large
from usage import opened

from psk.errors import ChannelFullError, ChannelUnavailableError
from psk.wire import Payload, decode, encode
from psk_connector_redis import writing
from psk_connector_redis.connection import Connection
from psk_connector_redis.reading import MOST_PARTS
from psk_connector_redis.scripts import COMMIT, Script
from psk_connector_redis.writing import cut

pytestmark = pytest.mark.usefixtures("parts_of_10_kb")


def test_an_upload_that_fails_leaves_nothing(plain, client, prefix, monkeypatch):
    payload = large()
    send, sent = Connection.send, []

    def send_some(self, buffers, deadline):
        sent.append(sum(map(len, buffers)))
        if sum(size > PART for size in sent) == 3 and sent[-1] > PART:
            raise MemoryError
        send(self, buffers, deadline)

    monkeypatch.setattr(Connection, "send", send_some)
    with pytest.raises(MemoryError):
        plain.put(payload)
    monkeypatch.undo()
    assert names_in(client, prefix) == []


def test_an_upload_whose_writer_is_killed_expires(plain, client, prefix, uri, monkeypatch):
    payload = large()
    send, sent = Connection.send, []

    def die_in_the_midst(self, buffers, deadline):
        sent.append(sum(map(len, buffers)))
        if sum(size > PART for size in sent) == 3 and sent[-1] > PART:
            os.kill(os.getpid(), signal.SIGKILL)
        send(self, buffers, deadline)

    monkeypatch.setattr(Connection, "send", die_in_the_midst)
    monkeypatch.setattr(writing, "_SPARE_SECONDS", 0)
    child = os.fork()
    if not child:
        opened(uri).put(payload, timeout=1.0)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    monkeypatch.undo()
    assert plain.get(payload.key) is None
    assert not plain.exists(payload.key)
    assert list(plain.keys()) == []
    assert len(names_in(client, prefix)) == 2
    end = time.monotonic() + 5
    while names_in(client, prefix) and time.monotonic() < end:
        time.sleep(0.02)
    assert names_in(client, prefix) == []


def test_a_commit_whose_answer_is_lost_is_one_put(plain, client, prefix, monkeypatch):
    payload = large()
    run, lost = Script.run, []

    def lose(script, *arguments, **options):
        answer = run(script, *arguments, **options)
        if script is COMMIT and not lost:
            lost.append(answer)
            raise ConnectionResetError(104, "Connection reset by peer")
        return answer

    monkeypatch.setattr(Script, "run", lose)
    plain.put(payload)
    assert lost == [1]
    assert plain.get(payload.key).buffers[0] == payload.tobytes()
    assert len(names_in(client, prefix)) == 1 + -(-payload.nbytes // PART)


def test_parts_that_vanish_before_the_commit_are_sent_again_but_not_for_ever(plain, client, prefix, monkeypatch):
    payload = large()
    upload, losses = writing._upload, []

    def lose(channel, key, manifest, *arguments):
        upload(channel, key, manifest, *arguments)
        if losses:
            losses.pop()
            client.delete(manifest.names(channel.names, key)[1])

    monkeypatch.setattr(writing, "_upload", lose)
    losses += [1, 1]
    plain.put(payload)
    assert plain.get(payload.key).buffers[0] == payload.tobytes()
    plain.evict(payload.key)
    losses += [1] * 10
    with pytest.raises(ChannelUnavailableError, match="noeviction"):
        plain.put(payload)
    assert names_in(client, prefix) == []


def test_what_has_too_many_parts_is_refused_before_any_is_sent(plain, client, prefix, monkeypatch):
    monkeypatch.setattr(writing, "PART_BYTES", 10)
    with pytest.raises(ChannelFullError, match="split"):
        plain.put(encode(bytes(10 * MOST_PARTS)))
    assert names_in(client, prefix) == []


def test_pieces_have_the_sizes_that_were_asked_for():
    buffers = [b"", os.urandom(10), bytearray(os.urandom(3)), memoryview(os.urandom(40)), b"", b"end"]
    whole = b"".join(buffers)
    for size in (1, 3, 7, 10, 56, 100):
        sizes = [min(size, len(whole) - start) for start in range(0, len(whole), size)]
        pieces = [b"".join(piece) for piece in cut(buffers, sizes)]
        assert [len(piece) for piece in pieces] == sizes
        assert b"".join(pieces) == whole


@pytest.mark.skipif(os.environ.get("PSK_SCALE") != "soak", reason="moves 700 MB: full counts only, by `make soak`")
def test_more_than_a_server_takes_at_once_really_goes(plain, client, prefix, monkeypatch):
    monkeypatch.undo()
    data = bytearray(os.urandom(1000)) * 700_000
    payload = encode(data)
    key = plain.put(payload)
    assert len(names_in(client, prefix)) == 4
    received = Payload.parse(plain.get(key))
    received.verify()
    assert decode(received) == data
    del received
    assert plain.get_range(key, 512 * 1024 * 1024 - 5, 10) == payload.tobytes()[512 * 1024 * 1024 - 5 :][:10]
    plain.evict(key)
    assert names_in(client, prefix) == []
