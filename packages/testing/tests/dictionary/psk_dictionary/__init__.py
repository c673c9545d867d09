"""An example connector over TCP that keeps the whole contract, for trying the conformance suite."""
