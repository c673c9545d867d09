"""Register the connector of psk-dictionary."""

from psk.plugins import ConnectorPlugin, hookimpl


@hookimpl
def psk_connectors():
    return [ConnectorPlugin(schemes=["dict"], target="psk_dictionary.connector:DictionaryConnector")]
