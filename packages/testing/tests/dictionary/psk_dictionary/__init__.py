"""How does a connector over TCP look that keeps the whole contract? An example, to try the conformance suite on."""
