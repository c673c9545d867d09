"""An authority of the tests, and certificates of a server and of a client, made by openssl."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from pathlib import Path

_NAMES = "subjectAltName=IP:127.0.0.1,DNS:localhost"


class Certificates:
    """Makes an authority, a server's and a client's certificate in a folder.

    Args:
        folder: Where the files go.
        names: The extension with the names that the server's certificate is for.
        clients: Whether the server demands a certificate of its clients.
    """

    def __init__(self, folder, *, names=_NAMES, clients=False):
        self.folder = Path(folder)
        self.clients = clients
        self.folder.mkdir(parents=True, exist_ok=True)
        self.ca, self.ca_key = self._new("ca")
        self.server, self.server_key = self._signed("server", names)
        self.client, self.client_key = self._signed("client", "subjectAltName=DNS:client")

    @staticmethod
    def are_possible():
        """Tell whether openssl is installed."""
        return shutil.which("openssl") is not None

    def server_lines(self):
        """Give the lines of a server's configuration."""
        return {
            "tls-cert-file": self.server,
            "tls-key-file": self.server_key,
            "tls-ca-cert-file": self.ca,
            "tls-auth-clients": "yes" if self.clients else "no",
        }

    def client_context(self):
        """Give what a client of the tests needs to connect."""
        context = ssl.create_default_context(cafile=self.ca)
        context.load_cert_chain(self.client, self.client_key)
        return context

    def _new(self, name):
        certificate, key = self._paths(name)
        _openssl(
            *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"),
            *("-subj", f"/CN=psk tests {name}", "-keyout", key, "-out", certificate),
            *("-addext", "keyUsage=critical,keyCertSign,cRLSign"),
        )
        return certificate, key

    def _signed(self, name, extension):
        certificate, key = self._paths(name)
        request = str(self.folder / f"{name}.csr")
        _openssl(
            *("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
            *("-subj", f"/CN=psk tests {name}", "-keyout", key, "-out", request),
        )
        (self.folder / f"{name}.ext").write_text(f"{extension}\nauthorityKeyIdentifier=keyid\n")
        _openssl(
            *("x509", "-req", "-in", request, "-CA", self.ca, "-CAkey", self.ca_key, "-days", "2"),
            *("-extfile", str(self.folder / f"{name}.ext"), "-out", certificate),
        )
        return certificate, key

    def _paths(self, name):
        return str(self.folder / f"{name}.crt"), str(self.folder / f"{name}.key")


def _openssl(*arguments):
    subprocess.run(["openssl", *arguments], check=True, capture_output=True, timeout=60)
