"""`with` enters and leaves the target."""

import pytest


class Door:
    def __init__(self):
        self.steps = []

    def __enter__(self):
        self.steps.append("in")
        return self

    def __exit__(self, kind, error, trace):
        self.steps.append(kind)
        return kind is ValueError


class EntranceOnly:
    def __enter__(self):
        raise AssertionError("must not be entered")


def test_the_target_is_entered_and_left(proxy_of):
    door = Door()
    with proxy_of(door) as entered:
        assert entered is door
    assert door.steps == ["in", None]


def test_the_target_decides_about_errors(proxy_of):
    door = Door()
    with proxy_of(door):
        raise ValueError("swallowed")
    with pytest.raises(KeyError), proxy_of(door):
        raise KeyError("passed on")
    assert door.steps == ["in", ValueError, "in", KeyError]


@pytest.mark.parametrize("target", [3, EntranceOnly()])
def test_a_target_that_cannot_be_entered_gives_its_own_error(proxy_of, target):
    with pytest.raises(TypeError) as expected, target:
        pass
    with pytest.raises(TypeError) as got, proxy_of(target):
        pass
    assert str(got.value).replace("Proxy of ", "") == str(expected.value)


def test_files_close(proxy_of, tmp_path):
    path = tmp_path / "file"
    path.write_text("a\nb\n")
    stream = path.open()
    with proxy_of(stream) as file:
        assert list(file) == ["a\n", "b\n"]
    assert stream.closed
