"""Ctrl-C ends a phase after a whole step, so that the state saved is a whole one: at once, or as several agree."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from fanogan_pipeline.training.distributed import Group

ASK_SECONDS = 5.0  # the launcher gives its processes 30 to end in


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


class Stopping:
    """Whether to end after a step, in all processes of a group alike.

    Several ask one another only now and then, for it makes them wait: at every logged step, and where steps are slow
    as often as about every `ASK_SECONDS`, told in steps of the slowest process, which they all count alike.

    Args:
        group: the processes.
        interrupted: whether this one is to end.
        step: where it stands.
        log_every: steps from one logged step to the next.
    """

    def __init__(self, group: Group, interrupted: Callable[[], bool], step: int, log_every: int) -> None:
        self.group, self.interrupted, self.log_every = group, interrupted, log_every
        self._asked_at, self._asked_step, self._next = time.monotonic(), step, step + 1

    def __call__(self, step: int) -> bool:
        if self.group.size == 1:
            return self.interrupted()
        if step % self.log_every and step < self._next:
            return False
        seconds = (time.monotonic() - self._asked_at) / (step - self._asked_step)
        wanted, slowest = self.group.most([self.interrupted(), seconds])
        self._asked_at, self._asked_step = time.monotonic(), step
        self._next = step + max(1, int(ASK_SECONDS / max(slowest, 1e-6)))
        return wanted > 0
