"""Imports that happen on first use: naming a pipeline or a dataset costs nothing, using it pays for what it uses."""

from __future__ import annotations

import builtins
import importlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType, SimpleNamespace
from typing import Any

_LOCK = threading.Lock()


class _Later(ModuleType):
    """Stands for a module, which is imported when an attribute of it is first read."""

    def __getattr__(self, name: str) -> Any:
        return getattr(importlib.import_module(self.__name__), name)


@contextmanager
def lazily() -> Iterator[None]:
    """Inside, `from package import module` imports nothing yet; names of other things than modules cannot be taken.

    Unlike `importlib.util.LazyLoader` it leaves `sys.modules` alone, where `inspect` would wake every sleeper.
    Other threads import as ever.
    """
    with _LOCK:
        really_import, me = builtins.__import__, threading.get_ident()

        def import_later(
            name: str, _globals: Any = None, _locals: Any = None, modules: Any = (), level: int = 0
        ) -> Any:
            if not modules or level or threading.get_ident() != me:
                return really_import(name, _globals, _locals, modules, level)
            return SimpleNamespace(**{module: _Later(f"{name}.{module}") for module in modules})

        builtins.__import__ = import_later  # type: ignore[assignment]
        try:
            yield
        finally:
            builtins.__import__ = really_import
