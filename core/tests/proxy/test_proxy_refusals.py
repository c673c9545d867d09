"""C code rejects a proxy where the documents say so, and the documented workarounds work."""

import io
import json

import pytest

from psk.proxy import Proxy, extract, resolve


def test_json(proxy_of):
    data = {"a": proxy_of([1, 2]), "b": proxy_of({"c": proxy_of(3)})}
    with pytest.raises(TypeError, match="is not JSON serializable"):
        json.dumps(data)
    assert json.dumps(data, default=extract) == '{"a": [1, 2], "b": {"c": 3}}'


def test_str_join(proxy_of):
    with pytest.raises(TypeError, match="expected str instance, Proxy"):
        "".join([proxy_of("a")])
    assert "".join(map(str, [proxy_of("a")])) == "a"


def test_string_io(proxy_of):
    with pytest.raises(TypeError):
        io.StringIO(proxy_of("a"))
    assert io.StringIO(str(proxy_of("a"))).read() == "a"


def test_text_in_text(proxy_of):
    with pytest.raises(TypeError, match="requires string as left operand"):
        _ = proxy_of("a") in "abc"
    assert str(proxy_of("a")) in "abc"


@pytest.mark.parametrize("target", [{"a": 1}, [1, 2]])
def test_mapping_and_sequence_patterns_of_what_is_not_known_yet(target):
    def matched(value):
        match value:
            case {"a": 1} | [1, 2]:
                return True
        return False

    proxy = Proxy(lambda: target)
    assert not matched(proxy)
    resolve(proxy)
    assert matched(proxy)


def test_text_formatting_with_a_tuple(proxy_of):
    with pytest.raises(TypeError):
        "%s %s" % proxy_of((1, 2))  # noqa: UP031
    assert "%s %s" % tuple(proxy_of((1, 2))) == "1 2"  # noqa: UP031


def test_raising(proxy_of):
    with pytest.raises(TypeError, match="exceptions must derive"):
        raise proxy_of(ValueError("x"))
    with pytest.raises(ValueError, match="x"):
        raise extract(proxy_of(ValueError("x")))


def test_issubclass_of_an_abstract_class(proxy_of):
    from collections.abc import Sequence

    with pytest.raises(TypeError, match="must be a class"):
        issubclass(proxy_of(list), Sequence)
    assert issubclass(extract(proxy_of(list)), Sequence)


def test_attribute_names(proxy_of):
    with pytest.raises(TypeError):
        getattr("", proxy_of("upper"))
    assert getattr("", str(proxy_of("upper")))() == ""


def test_bytearray_of_something_that_is_no_memory(proxy_of):
    assert bytearray(proxy_of([1, 2])) == b"\1\2"


def test_identity(proxy_of):
    target = [1]
    assert proxy_of(target) is not target
    assert extract(proxy_of(target)) is target
