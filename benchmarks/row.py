"""One line of the table of results."""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import median, quantiles
from typing import Any

#: How many of each unit make one of what samples are given in: seconds, bytes, or parts of a whole.
UNITS = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9, "bytes": 1.0, "MB": 1e-6, "%": 1e2, "times": 1.0}


@dataclass(frozen=True)
class Row:
    """One figure of psk and its rivals, and psk's target.

    Attributes:
        what: What was measured.
        unit: A key of `UNITS`.
        psk: Samples, in seconds, bytes or parts of a whole.
        proxystore: Samples taken in turns with them; empty if ProxyStore has no equivalent.
        ratio: psk's median is to be at most so many times ProxyStore's; None: no such target.
        limit: psk's median is to be at most this, in `unit`; None: no such target.
        digits: Decimal places shown.
        ray: Samples of Ray, taken in turns with the others; empty if Ray is not installed or has nothing alike.
    """

    what: str
    unit: str
    psk: list[float]
    proxystore: list[float]
    ratio: float | None = None
    limit: float | None = None
    digits: int = 1
    ray: list[float] = field(default_factory=list)

    @property
    def reached(self) -> float | None:
        """Psk's median as a multiple of ProxyStore's; None without it, or where each is a multiple itself already."""
        if not self.proxystore or self.unit == "times":
            return None
        return median(self.psk) / median(self.proxystore)

    @property
    def met(self) -> bool | None:
        """Whether the target was met; None if there is none."""
        if self.ratio is not None:
            return self.reached is not None and self.reached <= self.ratio
        if self.limit is not None:
            return median(self.psk) * UNITS[self.unit] <= self.limit
        return None

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain values; those of samples as median, best and quartiles in `unit`."""
        return {
            "what": self.what,
            "unit": self.unit,
            "psk": self._summary(self.psk),
            "proxystore": self._summary(self.proxystore),
            "ray": self._summary(self.ray),
            "ratio": self.reached,
            "target_ratio": self.ratio,
            "target": self.limit,
            "met": self.met,
            "digits": self.digits,
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
