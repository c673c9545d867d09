"""From Python 3.12 on, C code can read a proxy as bytes."""

import hashlib
import io
import pickle
import re
import sys
import zlib

import numpy as np
import pytest

from_3_12 = pytest.mark.skipif(sys.version_info < (3, 12), reason="__buffer__ came with Python 3.12")


@from_3_12
def test_a_memoryview_shares_the_targets_memory(proxy_of):
    target = bytearray(b"abc")
    with memoryview(proxy_of(target)) as view:
        view[0] = ord("x")
    assert target == b"xbc"
    target.append(0)


@from_3_12
def test_read_only_memory_stays_read_only(proxy_of):
    assert memoryview(proxy_of(b"abc")).readonly
    with pytest.raises((BufferError, TypeError)):
        io.BytesIO(b"zzz").readinto(proxy_of(b"abc"))


@from_3_12
def test_format_and_shape_are_kept(proxy_of):
    view = memoryview(proxy_of(np.zeros((2, 3), "i2")))
    assert (view.format, view.shape) == ("h", (2, 3))


@from_3_12
def test_c_code_reads_it(proxy_of):
    assert hashlib.sha256(proxy_of(b"abc")).digest() == hashlib.sha256(b"abc").digest()
    assert zlib.crc32(proxy_of(b"abc")) == zlib.crc32(b"abc")
    assert pickle.loads(proxy_of(pickle.dumps([1]))) == [1]
    assert b"-".join([proxy_of(b"a"), proxy_of(b"b")]) == b"a-b"
    assert re.match(b"a", proxy_of(b"abc"))
    assert io.BytesIO(proxy_of(b"abc")).read() == b"abc"
    assert np.frombuffer(proxy_of(b"abc"), "u1").tolist() == [97, 98, 99]


@from_3_12
def test_a_target_without_memory_is_refused_with_its_name(proxy_of):
    with pytest.raises(TypeError, match=r"a bytes-like object is required, not '(Proxy of )?int'"):
        memoryview(proxy_of(3))


def test_bytes_of_a_proxy_are_those_of_its_target(proxy_of):
    assert bytes(proxy_of(b"abc")) == b"abc"
    assert bytes(proxy_of([1, 2])) == b"\1\2"
    assert bytes(proxy_of(2)) == b"\0\0"
