"""One thing done to many items in several threads, the results in the items' order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

S = TypeVar("S")
T = TypeVar("T")


def in_order(do: Callable[[S], T], items: Sequence[S], workers: int, together: int) -> Iterator[T]:
    """`do(item)` for each item, in so many threads.

    Args:
        do: is safe to call from several threads.
        items: what to do it to.
        workers: threads.
        together: items handed out at a time: enough to keep the threads busy, few enough that results which nobody
            has taken yet stay small.
    """
    with ThreadPoolExecutor(workers) as pool:
        for start in range(0, len(items), together):
            yield from pool.map(do, items[start : start + together])
