"""Fixtures for the tests of examples and documents, taken from the core's tests."""

import sys
from pathlib import Path

# For `core_tests`.
sys.path.append(str(Path(__file__).parent))
