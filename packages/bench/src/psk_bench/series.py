"""What do many measured times say? Percentiles, and how many bytes went through."""

from __future__ import annotations

from typing import Any, Final

PUT: Final = "put"
GET: Final = "get"


class Series:
    """Hold the times of one operation with objects of one size on one channel.

    Args:
        label: The channel's.
        operation: `PUT` or `GET`.
        nbytes: Bytes in each object.
    """

    __slots__ = ("label", "nbytes", "operation", "seconds")

    def __init__(self, label: str, operation: str, nbytes: int) -> None:
        self.label = label
        self.operation = operation
        self.nbytes = nbytes
        self.seconds: list[float] = []

    def percentile(self, percent: float) -> float:
        """Give the time within which so many of a hundred rounds were done: nearest rank, no interpolation."""
        ordered = sorted(self.seconds)
        rank = -(-len(ordered) * percent // 100)
        return ordered[max(0, int(rank) - 1)]

    @property
    def throughput(self) -> float:
        """Bytes per second over all rounds."""
        return self.nbytes * len(self.seconds) / sum(self.seconds)

    def as_dict(self) -> dict[str, Any]:
        """Give it in plain values."""
        return {
            "channel": self.label,
            "operation": self.operation,
            "nbytes": self.nbytes,
            "rounds": len(self.seconds),
            "least_seconds": min(self.seconds),
            "mean_seconds": sum(self.seconds) / len(self.seconds),
            "p50_seconds": self.percentile(50),
            "p90_seconds": self.percentile(90),
            "p99_seconds": self.percentile(99),
            "bytes_per_second": self.throughput,
        }
