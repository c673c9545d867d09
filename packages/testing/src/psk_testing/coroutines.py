"""Do the coroutines of a connector do what its methods do, as C39 and C57 say?"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from psk.connectors import CAPABILITIES, SupportsAsync, SupportsExpiry
from psk.errors import InvalidArgumentError, InvalidKeyError
from psk.wire import encode
from psk_testing.citing import rule
from psk_testing.operations import has
from psk_testing.suite import Suite
from psk_testing.values import MISSING, pattern, value_of


class Coroutines(Suite):
    """Test `aput`, `aget`, `aexists` and `aevict`, and that no capability is half there."""

    @rule("C39", fix="define every method of a capability, or none")
    @pytest.mark.parametrize("power", CAPABILITIES, ids=lambda power: power.__name__)
    def test_a_capability_is_whole_or_absent(self, connector: Any, power: Any) -> None:
        methods = [name for name in vars(power) if not name.startswith("_")]
        has = [name for name in methods if callable(getattr(connector, name, None))]
        assert has in ([], methods)
        assert isinstance(connector, power) == bool(has)

    @rule("C57", needs=(SupportsAsync,), fix="share the code of the methods without `a`; await where they would block")
    def test_coroutines_do_the_same(self, connector: Any) -> None:
        ttl = 100 if has(connector, SupportsExpiry) else None

        async def main() -> tuple[object, ...]:
            key = await connector.aput(encode("async"), ttl=ttl)
            there = await connector.aexists(key)
            value = value_of(await connector.aget(key, size=100))
            await connector.aevict(key)
            return there, value, await connector.aexists(key), await connector.aget(MISSING)

        assert asyncio.run(main()) == (True, "async", False, None)

    @rule("C3", "C6", "C57", needs=(SupportsAsync,), fix="check keys and times in the coroutines as well")
    def test_coroutines_refuse_the_same(self, connector: Any) -> None:
        async def main() -> None:
            with pytest.raises(InvalidKeyError):
                await connector.aget("no key")
            with pytest.raises(InvalidArgumentError):
                await connector.aput(encode(1), timeout=-1)

        asyncio.run(main())

    @rule("C57", needs=(SupportsAsync,), fix="hand nothing to the loop that waits for the channel in its thread")
    def test_coroutines_run_beside_each_other(self, connector: Any) -> None:
        async def one(number: int) -> bool:
            key = await connector.aput(encode(pattern(10_000, number)))
            return value_of(await connector.aget(key)) == pattern(10_000, number)

        async def main() -> list[bool]:
            return await asyncio.gather(*(one(number) for number in range(20)))

        assert asyncio.run(main()) == [True] * 20
