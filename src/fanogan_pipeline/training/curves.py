"""The curves of a phase while it trains: finished rows, and the row that is being summed up."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor


@dataclass
class Curves:
    """Rows of `step` and the mean of each term since the row before.

    Attributes:
        rows: the finished rows.
        sums: of each term over the steps since, scalars.
        since: how many steps those are.
    """

    rows: list[dict[str, float]] = field(default_factory=list)
    sums: dict[str, Tensor] = field(default_factory=dict)
    since: int = 0

    def add(self, terms: dict[str, Tensor]) -> None:
        """The terms of one more step."""
        self.sums = {name: self.sums[name] + value for name, value in terms.items()} if self.sums else terms
        self.since += 1

    def open_row(self) -> dict[str, float]:
        """The means so far; empty right after a row."""
        return {name: float(value) / self.since for name, value in self.sums.items()}

    def close_row(self, step: int) -> dict[str, float]:
        """The means as a finished row of step `step`."""
        values = self.open_row()
        self.rows.append({"step": step, **values})
        self.sums, self.since = {}, 0
        return values
