"""Ctrl-C ends a phase after the step it is in, so that the state saved is a whole one."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def polite_interrupt(insist: bool = True) -> Iterator[Callable[[], bool]]:
    """Yields a function that tells whether SIGINT or SIGTERM has come; a second one interrupts at once.

    Args:
        insist: whether a second one does. Not so for one process of several: it gets the signal both
            from the terminal and from the process that watches over it, which kills what does not end.
    """
    came: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False  # only the main thread may set handlers
        return

    def note(number: int, frame: FrameType | None) -> None:
        came.append(number)
        if insist and len(came) > 1:
            raise KeyboardInterrupt

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(came)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
