"""Who has an object at the moment, besides its owner? Whoever has a loan that has not ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from psk_patterns.ownership.loan import Loan


class Lent(set["Loan"]):
    """The borrows of an object that have not ended."""

    @property
    def writer(self) -> Loan | None:
        """The mutable borrow, if there is one."""
        return next((loan for loan in tuple(self) if loan.mutable), None)

    @property
    def found(self) -> list[str]:
        """What errors say of them."""
        loans = tuple(self)
        said = [f"{len(loans)} borrows"]
        said += ["a mutable borrow" for loan in loans if loan.mutable]
        said += [f"one that was pickled, and lasts {loan.left:.0f} s more" for loan in loans if loan.is_away]
        return said

    @property
    def remedy(self) -> str:
        """What errors advise."""
        if any(loan.is_away for loan in tuple(self)):
            return "wait for the end of what was pickled, or take it back with psk_patterns.withdraw(owner)"
        return "drop the borrows, or end them with psk_patterns.mark_refs_out_of_scope(*refs)"

    def end_overdue(self) -> None:
        """End those that were sent away so long ago that nobody waits for them any more."""
        for loan in tuple(self):
            if loan.is_away and not loan.left:
                loan.end()

    def take_back(self) -> None:
        """End those that were sent away, and whose proxies here are gone."""
        for loan in tuple(self):
            if loan.is_away:
                loan.end()
