"""What does a line of the table of results say?"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median, quantiles
from typing import Any

#: How many of each unit make one of what samples are given in: seconds, bytes, or parts of a whole.
UNITS = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9, "bytes": 1.0, "%": 1e2}

#: What `cells` gives.
HEADER = ("measured", "psk", "ProxyStore", "ratio", "target", "met")


@dataclass(frozen=True)
class Row:
    """One figure of both libraries, and what psk's is to reach.

    Attributes:
        what: What was measured.
        unit: A key of `UNITS`.
        psk: Samples, in seconds, bytes or parts of a whole.
        proxystore: Samples taken in turns with them; empty if ProxyStore has nothing alike.
        ratio: psk's median is to be at most so many times ProxyStore's; None: no such target.
        limit: psk's median is to be at most this, in `unit`; None: no such target.
        digits: Decimal places shown.
    """

    what: str
    unit: str
    psk: list[float]
    proxystore: list[float]
    ratio: float | None = None
    limit: float | None = None
    digits: int = 1

    @property
    def reached(self) -> float | None:
        """Psk's median as a multiple of ProxyStore's."""
        return median(self.psk) / median(self.proxystore) if self.proxystore else None

    @property
    def met(self) -> bool | None:
        """Whether the target was met; None if there is none."""
        if self.ratio is not None:
            return self.reached is not None and self.reached <= self.ratio
        if self.limit is not None:
            return median(self.psk) * UNITS[self.unit] <= self.limit
        return None

    def cells(self) -> tuple[str, ...]:
        """Give the row's texts for the table."""
        reached = "" if self.reached is None else f"{self.reached:.2f}"
        target = ""
        if self.ratio is not None:
            target = f"<= {self.ratio:g}x"
        elif self.limit is not None:
            target = f"<= {self.limit:g} {self.unit}"
        met = {None: "", True: "yes", False: "NO"}[self.met]
        return self.what, self._shown(self.psk), self._shown(self.proxystore), reached, target, met

    def as_dict(self) -> dict[str, Any]:
        """Give everything as plain values; `psk` and `proxystore` as median, best and quartiles in `unit`."""
        return {
            "what": self.what,
            "unit": self.unit,
            "psk": self._summary(self.psk),
            "proxystore": self._summary(self.proxystore),
            "ratio": self.reached,
            "target_ratio": self.ratio,
            "target": self.limit,
            "met": self.met,
        }

    def _summary(self, samples: list[float]) -> dict[str, float] | None:
        if not samples:
            return None
        values = [sample * UNITS[self.unit] for sample in samples]
        low, middle, high = quantiles(values, method="inclusive") if len(values) > 1 else values * 3
        return {
            "median": middle,
            "best": min(values),
            "lower_quartile": low,
            "upper_quartile": high,
            "samples": len(values),
        }

    def _shown(self, samples: list[float]) -> str:
        summary = self._summary(samples)
        if summary is None:
            return ""
        figure = f"{summary['median']:,.{self.digits}f} {self.unit}"
        spread = (summary["upper_quartile"] - summary["lower_quartile"]) / 2
        return figure if self.unit == "bytes" else f"{figure} ± {spread:.{self.digits}f}"
