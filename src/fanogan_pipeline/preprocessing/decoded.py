"""Pictures read by several threads, in order, what cannot be read kept apart from the rest."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import numpy as np
from tqdm import tqdm

from fanogan_pipeline.errors import InputError
from fanogan_pipeline.in_order import in_order

T = TypeVar("T")
CHUNK = 256  # pictures handed to the workers at once: bounds what is decoded but not yet stored


def readable(found: Iterable[T | InputError], settle: Callable[[InputError], str], reasons: list[str]) -> Iterator[T]:
    """What is no error; `reasons` gets "" for each, and what `settle` makes of each error."""
    for one in found:
        if isinstance(one, InputError):
            reasons.append(settle(one))
        else:
            reasons.append("")
            yield one


def decoded(prepare: Callable[[int], T], rows: np.ndarray, workers: int, what: str) -> Iterator[T | InputError]:
    """What `prepare` makes of each row, or its refusal, in order, a bounded number ahead."""

    def attempt(row: int) -> T | InputError:
        try:
            return prepare(row)
        except InputError as error:
            return error

    found = in_order(attempt, rows.tolist(), workers, CHUNK)
    is_silent = None if what else True  # a bar where there is a terminal, silence elsewhere
    yield from tqdm(found, total=len(rows), desc=what, unit="picture", disable=is_silent, delay=1, leave=False)
