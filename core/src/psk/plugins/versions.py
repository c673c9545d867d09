"""Does a version lie within the ranges that a requirement names? PEP 440 says so, and is read here as far as needed."""

from __future__ import annotations

import re
from typing import Any

# Version identifiers as PEP 440, appendix B, spells them, normalised or not.
_read_version = re.compile(
    r"""\s*v?(?:(?P<epoch>[0-9]+)!)?(?P<release>[0-9]+(?:\.[0-9]+)*)
    (?:[-_.]?(?P<pre>a|b|c|rc|alpha|beta|pre|preview)[-_.]?(?P<pre_number>[0-9]+)?)?
    (?P<post>-(?P<post_implied>[0-9]+)|[-_.]?(?:post|rev|r)[-_.]?(?P<post_number>[0-9]+)?)?
    (?P<dev>[-_.]?dev[-_.]?(?P<dev_number>[0-9]+)?)?
    (?:\+(?P<local>[a-z0-9]+(?:[-_.][a-z0-9]+)*))?\s*""",
    re.VERBOSE | re.IGNORECASE,
).fullmatch
_read_clause = re.compile(r"\s*(===|~=|==|!=|<=|>=|<|>)\s*([^\s,;)]+)\s*").fullmatch
_read_requirement = re.compile(
    r"\s*([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)\s*(?:\[[^\]]*\])?\s*(@[^;]*|\(?[^;]*\)?)(;.*)?"
).fullmatch

_PRE = {"a": "a", "alpha": "a", "b": "b", "beta": "b", "c": "rc", "rc": "rc", "pre": "rc", "preview": "rc"}
# Sort before and after any letter and number.
_FIRST, _LAST = ("",), ("~",)


class Version:
    """One version, comparable by PEP 440.

    Raises:
        ValueError: The text is no version.
    """

    __slots__ = ("dev", "epoch", "local", "post", "pre", "release")

    def __init__(self, text: str) -> None:
        found = _read_version(text)
        if found is None:
            raise ValueError(text)
        self.epoch = int(found["epoch"] or 0)
        self.release = tuple(map(int, found["release"].split(".")))
        self.pre = (_PRE[found["pre"].lower()], int(found["pre_number"] or 0)) if found["pre"] else None
        self.post = int(found["post_implied"] or found["post_number"] or 0) if found["post"] else None
        self.dev = int(found["dev_number"] or 0) if found["dev"] else None
        parts = re.split("[-_.]", found["local"].lower()) if found["local"] else []
        self.local = tuple((1, int(part), "") if part.isdigit() else (0, 0, part) for part in parts)

    def public(self, *, earliest: bool = False) -> tuple[Any, ...]:
        """Give what orders versions, local parts aside; of the earliest development release of this one, if asked."""
        release = self.release
        while release and release[-1] == 0:
            release = release[:-1]
        dev = 0 if earliest else self.dev
        if self.pre is not None:
            pre: tuple[Any, ...] = self.pre
        else:
            pre = _FIRST if self.post is None and dev is not None else _LAST
        return self.epoch, release, pre, -1 if self.post is None else self.post, float("inf") if dev is None else dev

    def is_pre(self) -> bool:
        """Tell whether it comes before the release that it is named after."""
        return self.pre is not None or self.dev is not None

    def follows(self, other: Version) -> bool:
        """Tell whether it is a post-release of another."""
        own, their = self.public(), other.public()
        return self.post is not None and other.post is None and own[:2] == their[:2] and self.pre == other.pre


def is_within(version: str, ranges: str) -> bool:
    """Tell whether a version lies within ranges such as `>=0.1,<0.2`; pre-releases count as any other.

    Raises:
        ValueError: One of the two is not written as PEP 440 says.
    """
    return all(_fits(version, clause) for clause in ranges.split(",") if clause.strip())


def required_ranges(requirement: str, distribution: str) -> str | None:
    """Give the version ranges of a requirement such as `psk-core[testing]>=0.1,<0.2`.

    Returns:
        None if it concerns another distribution, or if it holds only under a condition or for a URL: those are the
        installer's to judge.
    """
    found = _read_requirement(requirement)
    if found is None or re.sub(r"[-_.]+", "-", found[1]).lower() != distribution:
        return None
    if found[3] or found[2].startswith("@"):
        return None
    return found[2].strip().strip("()").strip()


def _fits(text: str, clause: str) -> bool:
    found = _read_clause(clause)
    if found is None:
        raise ValueError(clause)
    operator, wanted = found[1], found[2]
    if operator == "===":
        return text.strip().lower() == wanted.lower()
    version = Version(text)
    if operator in {"==", "!="} and wanted.endswith(".*"):
        return _begins(version, Version(wanted[:-2])) == (operator == "==")
    bound = Version(wanted)
    if operator == "~=":
        if len(bound.release) == 1:
            raise ValueError(clause)
        series = Version(f"{bound.epoch}!{'.'.join(map(str, bound.release[:-1]))}")
        return version.public() >= bound.public() and _begins(version, series)
    return _compares(operator, version, bound)


def _compares(operator: str, version: Version, bound: Version) -> bool:
    ours, theirs = version.public(), bound.public()
    if operator in {"==", "!="}:
        same = ours == theirs and (not bound.local or version.local == bound.local)
        return same == (operator == "==")
    if operator == "<=":
        return ours <= theirs
    if operator == ">=":
        return ours >= theirs
    # Pre-releases of a bound are not meant by what comes before it, nor its post-releases by what comes after.
    if operator == "<":
        return ours < bound.public(earliest=not bound.is_pre())
    return ours > theirs and not (bound.dev is None and version.follows(bound))


def _begins(version: Version, series: Version) -> bool:
    length = len(series.release)
    padded = (*version.release, *[0] * (length - len(version.release)))
    return version.epoch == series.epoch and padded[:length] == series.release
