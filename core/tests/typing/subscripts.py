"""Classes that programs written for ProxyStore subscript: their annotations are valid, also where evaluated."""

from typing import Any, TypeVar

from psk import FileConnector, LocalConnector, Proxy, ProxyOr, Store
from psk.connectors import Connector, Key, SupportsReserve
from psk.proxy import FactoryType, ProxyLocker
from psk.store import StoreFactory

C = TypeVar("C", bound=Connector[Any])
T = TypeVar("T")


class Engine:
    store: Store[Any]
    factory: StoreFactory[FileConnector, int]
    another: StoreFactory[Any, Any]
    plain: StoreFactory[Any]
    deferrable: SupportsReserve[Any]
    connector: Connector[Key]
    making: FactoryType[int]
    either: ProxyOr[int]
    locked: ProxyLocker[int]


def connector_of(store: Store[C]) -> C:
    return store.connector


def proxied(store: Store[Any], value: T) -> Proxy[T]:
    return store.proxy(value)


def takes_any(store: Store) -> str:
    return store.connector.scheme


def uses(factory: StoreFactory[FileConnector, int]) -> None:
    files = Store("files", FileConnector("objects"))
    exact: Store[FileConnector] = files
    wide: Store[Connector[Any]] = exact
    takes_any(wide)
    takes_any(files)
    takes_any(Store("memory", "local://memory"))
    takes_any(Store.from_uri("local://memory"))
    takes_any(Store[LocalConnector]("memory", LocalConnector()))
    connector_of(files).durabilities.count("disk")
    proxied(files, 3)
    takes_any(factory.store())
    number: int = factory() + factory.resolve()
    with connector_of(files) as connector:
        connector.wait([], timeout=number)
