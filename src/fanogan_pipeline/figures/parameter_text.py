"""The words on whose parameters a report lists."""

from __future__ import annotations

from collections.abc import Sequence


def whose(groups: Sequence[str], others: Sequence[str]) -> str:
    """Whose the parameters are.

    Args:
        groups: those that are known from what the report shows.
        others: names in them that the run that made the report was given other values of.
    """
    words = (
        f"Of {', '.join(groups)}: what the split, the models and the detector were made with. Of all else: what the "
        "run that made this report was given."
    )
    return words + (f" That run was given other values of {', '.join(others)}." if others else "")
