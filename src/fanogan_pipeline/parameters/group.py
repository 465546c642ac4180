"""What every parameter group is: immutable, of known keys, without a silent change of type."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

Fraction = Annotated[float, Field(gt=0.0, lt=1.0)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]
Steps = Annotated[int, Field(ge=1, le=100_000_000)]
Batch = Annotated[int, Field(ge=1, le=65_536)]
Rate = Annotated[float, Field(gt=0.0, le=1.0)]
Seed = Annotated[int, Field(ge=0, lt=2**31)]

SHOWN = 24  # known names in a message: folders that count as classes may be thousands
_LOGIN = re.compile(r"://(?:[^/\s]*:\S*|[^/\s]+)@")  # passwords may hold any mark but blanks
_SECRET = re.compile(r"([?&][^=&\s]*(?:pass|pwd|token|secret)[^=&\s]*=)[^&\s'\"]*", re.IGNORECASE)

First = TypeVar("First")
Second = TypeVar("Second")
Pair = Annotated[tuple[First, Second], Field(strict=False)]  # YAML and JSON have lists; what is in them stays strict


def _as_names(value: Any) -> Any:
    if not isinstance(value, list):
        raise ValueError(f"expected a list of class names, found {value!r}")
    if any(isinstance(name, bool) for name in value):  # what YAML makes of no and yes
        raise ValueError(f"expected class names, found {value!r}; put them in quotes")
    return [str(name) for name in value]


def each_once(value: list[Any]) -> list[Any]:
    """The list as it is; ValueError where it names a thing twice."""
    if twice := sorted({name for name in value if value.count(name) > 1}):
        raise ValueError(f"'{twice[0]}' is listed twice")
    return value


ClassNames = Annotated[list[str], Field(min_length=1), BeforeValidator(_as_names), AfterValidator(each_once)]


def in_quotes(name: str, known: list[str]) -> str:
    """The end of a message about a class whose name YAML took for a number, 01 for 1; "" where none is known so."""
    padded = next((label for label in known if label.lstrip("0") == name), None)
    return f"write '{padded}' in quotes, for without them it is a number" if padded else ""


def did_you_mean(name: str, known: list[str]) -> str:
    """ "did you mean 'steps'?" or a list of what is known: the end of a message about an unknown name."""
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    if close:
        return f"did you mean '{close[0]}'?"
    more = f" and {len(known) - SHOWN:,} more" if len(known) > SHOWN else ""
    return f"known are: {', '.join(sorted(known)[:SHOWN])}{more}"


class Group(BaseModel):
    """A parameter group: immutable, unknown keys refused, no silent change of type."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, strict=True)

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            raise ValueError(f"expected a group of parameters, found {type(values).__name__} ({values!r})")
        for name in values:
            if name not in cls.model_fields:
                raise ValueError(f"unknown parameter '{name}'; {did_you_mean(str(name), list(cls.model_fields))}")
        return values


def dotted(groups: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Parameters by their dotted names, of groups within groups; an empty group stands for itself."""
    found: dict[str, Any] = {}
    for name, value in groups.items():
        is_group = isinstance(value, Mapping) and value
        found |= dotted(value, f"{prefix}{name}.") if is_group else {f"{prefix}{name}": value}
    return found


def masked(value: Any) -> Any:
    """Parameters, or a text, without what lets one in at an address: all before its @, passwords in its query."""
    if isinstance(value, Mapping):
        return {name: masked(part) for name, part in value.items()}
    if isinstance(value, list):
        return [masked(part) for part in value]
    return _SECRET.sub(r"\1***", _LOGIN.sub("://***@", value)) if isinstance(value, str) else value


def complaint(group: str, error: ValidationError) -> str:
    """The first thing wrong with a group ("" for the globals) on one line: parameter, what was found and expected."""
    first = error.errors()[0]
    name = ".".join(filter(None, [group, *(str(part) for part in first["loc"])]))
    reason = first["msg"].removeprefix("Value error, ")
    silent = first["type"] in ("value_error", "missing") or "found" in reason
    found = "" if silent else f"; found {first['input']!r}"
    more = len(error.errors()) - 1
    return masked(f"{name}: {reason}{found}" + (f" (and {more} more)" if more else ""))
