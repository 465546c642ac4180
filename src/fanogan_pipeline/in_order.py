"""One thing done to many items in several threads, the results in the items' order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from typing import TypeVar

S = TypeVar("S")
T = TypeVar("T")
AT_ONCE = 8  # items that a thread takes at a time, of many: handing one over takes as long as reading a small picture


def in_order(do: Callable[[S], T], items: Sequence[S], workers: int, together: int) -> Iterator[T]:
    """`do(item)` for each item, in so many threads.

    Args:
        do: is safe to call from several threads.
        items: what to do it to.
        workers: threads.
        together: items handed out at a time: enough to keep the threads busy, few enough that results which nobody
            has taken yet stay small.
    """

    def do_some(some: Sequence[S]) -> list[T]:
        return [do(item) for item in some]

    with ThreadPoolExecutor(workers) as pool:
        for start in range(0, len(items), together):
            end = min(start + together, len(items))
            few = min(AT_ONCE, max(1, (end - start) // (4 * workers)))  # each thread has several turns, so none is idle
            parts = [items[k : min(k + few, end)] for k in range(start, end, few)]
            yield from chain.from_iterable(pool.map(do_some, parts))
