"""A requirement on psk-core of the form that the guide asks for is read as the packaging tools read it."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from packaging.specifiers import SpecifierSet

from psk.plugins.discovery import excludes

RELEASES = st.lists(st.integers(0, 12), min_size=1, max_size=4).map(lambda parts: ".".join(map(str, parts)))


def test_bounds_mean_what_packaging_says(scale):
    @settings(max_examples=scale("plugins.version_ranges"), deadline=None)
    @given(RELEASES, RELEASES, RELEASES)
    @example("0.2", "0.1", "0.2.0")
    @example("0.2.0", "0.2.0.0", "1")
    @example("0.10", "0.9", "0.11")
    @example("10.0", "10", "10.0.0.1")
    def check(version, low, high):
        assert excludes(f"psk-core>={low},<{high}", version) != SpecifierSet(f">={low},<{high}").contains(version)

    check()


@pytest.mark.parametrize(
    "requirement",
    ["psk-core>=0.1,<0.2", "psk_core >= 0.1 , < 0.2", "PSK.Core[testing]>=0.1,<0.2", "psk-core (>=0.1,<0.2)"],
)
def test_the_requirement_on_the_core_is_found_however_it_is_written(requirement):
    assert not excludes(requirement, "0.1.0")
    assert excludes(requirement, "0.2.0")
    assert excludes(requirement, "0.2.0rc1")


@pytest.mark.parametrize(
    "requirement",
    [
        *("psk-core", "psk-core[testing]", "psk-core>=9; extra == 'test'", "psk-core>=9; python_version < '3'"),
        *("psk-core @ https://example.org/psk.whl", "psk-core-extras>=9", "pluggy>=9", "%%%", "", "psk-core>=?"),
        *("psk-core~=9.0", "psk-core==9", "psk-core!=0.1", "psk-core>=9rc1"),
    ],
)
def test_what_has_another_form_is_left_to_the_installer(requirement):
    assert not excludes(requirement, "0.1.0")
