"""`await`, `async for` and `async with` work on a proxy."""

import asyncio

import pytest

from psk.proxy import Proxy


async def answer():
    await asyncio.sleep(0)
    return 42


async def count():
    for number in range(3):
        yield number


class Door:
    def __init__(self):
        self.steps = []

    async def __aenter__(self):
        self.steps.append("in")
        return self

    async def __aexit__(self, kind, error, trace):
        self.steps.append(kind)
        return kind is ValueError


def test_await():
    async def main():
        assert await Proxy(answer) == 42
        future = asyncio.get_running_loop().create_future()
        future.set_result(1)
        assert await Proxy(lambda: future) == 1
        assert await asyncio.wait_for(Proxy(answer), 5) == 42

    asyncio.run(main())


def test_async_for():
    async def main():
        assert [number async for number in Proxy(count)] == [0, 1, 2]
        numbers = Proxy(count)
        assert await anext(numbers) == 0
        assert await numbers.__anext__() == 1
        assert await anext(numbers) == 2
        assert await anext(numbers, "end") == "end"

    asyncio.run(main())


def test_async_with():
    async def main():
        door = Door()
        async with Proxy(lambda: door) as entered:
            assert entered is door
            raise ValueError("swallowed by the door")
        assert door.steps == ["in", ValueError]

    asyncio.run(main())


@pytest.mark.parametrize("target", [3, [1]])
def test_errors_are_those_of_the_target(target):
    async def wait(value):
        await value

    async def loop(value):
        async for _ in value:
            pass

    async def enter(value):
        async with value:
            pass

    for use in (wait, enter, loop):
        with pytest.raises(TypeError) as expected:
            asyncio.run(use(target))
        with pytest.raises(TypeError) as got:
            asyncio.run(use(Proxy(lambda: target)))
        if use is not loop:
            assert str(got.value) == str(expected.value)


def test_generators():
    def numbers():
        got = yield 1
        yield got

    proxy = Proxy(numbers)
    assert next(proxy) == 1
    assert proxy.send("sent") == "sent"
    with pytest.raises(StopIteration):
        next(proxy)

    def delegate():
        yield from Proxy(numbers)

    assert list(delegate()) == [1, None]
    assert list(Proxy(numbers)) == [1, None]
