"""What validators are made of: each says what it found and what it expected."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pandas as pd
from pandas.api import types

from fanogan_pipeline.errors import InputError

_Check = Callable[[pd.Series], bool]
_TYPES: dict[str, _Check] = {
    "text": lambda column: (
        bool(types.is_string_dtype(getattr(column.dtype, "categories", column))) and not column.isna().any()
    ),
    "true or false": lambda column: column.dtype == bool,
    "whole numbers": lambda column: bool(types.is_integer_dtype(column.dtype)),
    "numbers": lambda column: bool(types.is_float_dtype(column.dtype) or types.is_integer_dtype(column.dtype)),
    "finite numbers": lambda column: _TYPES["numbers"](column) and bool(np.isfinite(column.to_numpy(float)).all()),
    "probabilities": lambda column: _TYPES["finite numbers"](column) and bool(column.between(0, 1).all()),
}


def expect(data: Any, kind: type) -> None:
    if not isinstance(data, kind):
        raise InputError(f"found {type(data).__name__}, expected {kind.__name__}")


def expect_keys(data: Any, names: Iterable[str], kind: type = dict) -> None:
    expect(data, kind)
    if missing := [name for name in names if name not in data]:
        raise InputError(f"lacks {', '.join(missing)}, found {', '.join(map(str, data))[:200]}")


def expect_finite(data: dict[str, Any], names: Iterable[str]) -> None:
    for name in names:
        value = data[name]
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise InputError(f"{name}: found {value!r}, expected a finite number")


def expect_columns(
    data: pd.DataFrame, expected: dict[str, str], names: Iterable[str] = (), may_be_empty: bool = False
) -> None:
    expect_keys(data, (*names, *expected), pd.DataFrame)
    if len(data) == 0 and not may_be_empty:
        raise InputError("found no rows, expected at least one")
    for name, kind in expected.items():
        if not _TYPES[kind](data[name]):
            raise InputError(f"{name}: found {data[name].dtype} with other values, expected {kind}")


def expect_unique(data: pd.DataFrame, name: str) -> None:
    if count := int(data[name].duplicated().sum()):
        raise InputError(f"{name}: found {count:,} repeated, expected each once")
