"""Are versions and ranges read as the packaging tools read them?"""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from packaging.requirements import Requirement
from packaging.specifiers import InvalidSpecifier, Specifier
from packaging.version import InvalidVersion
from packaging.version import Version as TheirVersion

from psk.plugins.versions import Version, is_within, required_ranges

NUMBERS = st.integers(0, 12).map(str)


@st.composite
def versions(draw, *, local=True):
    text = draw(st.sampled_from(["", "", "", "v", "1!"]))
    text += ".".join(draw(st.lists(NUMBERS, min_size=1, max_size=4)))
    if draw(st.booleans()):
        text += draw(st.sampled_from([".", "-", "_", ""])) + draw(
            st.sampled_from(["a", "b", "rc", "alpha", "beta", "c", "pre", "preview", "RC"])
        )
        text += draw(st.sampled_from(["", "1", "2", "-3"]))
    if draw(st.booleans()):
        text += draw(st.sampled_from([".post1", "-1", ".rev2", "post", "_r0", ".POST3"]))
    if draw(st.booleans()):
        text += draw(st.sampled_from([".dev0", "dev", "-dev3"]))
    if local and draw(st.integers(0, 3)) == 0:
        text += draw(st.sampled_from(["+abc", "+1", "+ubuntu-1.x", "+1.10"]))
    return text


@st.composite
def clauses(draw):
    operator = draw(st.sampled_from(["==", "!=", "<=", ">=", "<", ">", "~=", "==="]))
    bound = draw(versions(local=operator in {"==", "!=", "==="}))
    if operator in {"==", "!="} and draw(st.booleans()):
        bound = ".".join(draw(st.lists(NUMBERS, min_size=1, max_size=3))) + ".*"
    return operator + draw(st.sampled_from(["", " "])) + bound


def judged(clause, version):
    try:
        return Specifier(clause).contains(version, prereleases=True)
    except InvalidSpecifier:
        return None


def test_a_range_means_what_packaging_says(scale):
    @settings(max_examples=scale("plugins.version_ranges"), deadline=None)
    @given(versions(), clauses())
    @example("0.2.0rc1", "<0.2")
    @example("0.1.0.post1", ">0.1.0")
    @example("0.1.0.post1", ">0.1.0.dev1")
    @example("1.0+local", ">1.0")
    @example("1.0.dev1", "<1.0.post1")
    @example("1.0", "~=1.0.0.1")
    @example("1", "==1.0.*")
    def check(version, clause):
        expected = judged(clause, version)
        if expected is not None:
            assert is_within(version, clause) == expected

    check()


@given(versions(), st.lists(clauses(), max_size=3))
@settings(deadline=None)
def test_several_ranges_must_all_hold(version, ranges):
    expected = [judged(clause, version) for clause in ranges]
    if None not in expected:
        assert is_within(version, ",".join(ranges)) == all(expected)


@given(versions(), versions())
@settings(deadline=None)
def test_versions_are_ordered_as_packaging_orders_them(one, other):
    left, right = TheirVersion(TheirVersion(one).public), TheirVersion(TheirVersion(other).public)
    ours, theirs = Version(one).public(), Version(other).public()
    assert (ours < theirs, ours == theirs) == (left < right, left == right)


@given(st.text("0123456789.abcrdevpost!+-_* ", max_size=12))
@settings(deadline=None)
def test_what_is_no_version_is_refused(text):
    try:
        TheirVersion(text)
    except InvalidVersion:
        with pytest.raises(ValueError, match=r".*"):
            Version(text)
    else:
        Version(text)


@pytest.mark.parametrize("ranges", ["0.1", ">=", "=>1", "~=1", ">=1.x", "latest"])
def test_what_is_no_range_is_refused(ranges):
    with pytest.raises(ValueError, match=r".*"):
        is_within("0.1.0", ranges)


@pytest.mark.parametrize(
    ("requirement", "ranges"),
    [
        ("psk-core>=0.1,<0.2", ">=0.1,<0.2"),
        ("psk_core >= 0.1 , < 0.2", ">= 0.1 , < 0.2"),
        ("PSK.Core[testing]>=0.1", ">=0.1"),
        ("psk-core (>=0.1,<0.2)", ">=0.1,<0.2"),
        ("psk-core", ""),
        ("psk-core[testing]", ""),
        ("psk-core>=0.1; extra == 'test'", None),
        ("psk-core>=9; python_version < '3'", None),
        ("psk-core @ https://example.org/psk.whl", None),
        ("psk-core-extras>=9", None),
        ("pluggy>=1.5", None),
        ("%%%", None),
        ("", None),
    ],
)
def test_the_requirement_on_the_core_is_found(requirement, ranges):
    assert required_ranges(requirement, "psk-core") == ranges
    if ranges:
        assert set(Requirement(requirement).specifier) == set(Requirement(f"x {ranges}").specifier)
