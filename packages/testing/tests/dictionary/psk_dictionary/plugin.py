"""Which connector does psk-dictionary bring?"""

from psk.plugins import ConnectorPlugin, hookimpl


@hookimpl
def psk_connectors():
    return [ConnectorPlugin(schemes=["dict"], target="psk_dictionary.connector:DictionaryConnector")]
