"""Load the core's tests of examples and documents by their path, as modules."""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

ROOT = Path(__file__).parents[4]


def load(path):
    """Import a test module of the core under its own name, from its path below `core/tests`."""
    spec = spec_from_file_location(Path(path).stem, ROOT / "core/tests" / path)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
