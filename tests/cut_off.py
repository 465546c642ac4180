"""A process without a network, which writes down what it would have spoken to."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

# Looking for whether a kind of socket exists binds one; nothing leaves the machine by that.
SPEAKING = ("connect", "connect_ex", "sendto", "sendmsg")


@contextmanager
def cut_off() -> Iterator[list[tuple]]:
    """All that this process tries to speak to, in growing; none of it is reached."""
    tried: list[tuple] = []

    def refuse(*arguments: object, **options: object) -> None:
        if getattr(arguments[0], "family", None) != socket.AF_UNIX:
            tried.append(arguments)
            raise OSError("no network here")

    with pytest.MonkeyPatch.context() as patch:
        for name in SPEAKING:
            patch.setattr(socket.socket, name, refuse)
        for name in ("getaddrinfo", "create_connection"):
            patch.setattr(socket, name, refuse)
        yield tried
