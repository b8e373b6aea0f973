"""Frozen dataclasses made again of the plain values that JSON holds, each value checked against its field's type."""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import lru_cache
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

Made = TypeVar("Made")


class PlainValueError(ValueError):
    """A value is missing or of another type than its field."""


def from_plain(kind: type[Made], value: Any) -> Made:
    """Make a dataclass of a JSON object.

    Parameters
    ----------
    kind
        A dataclass whose fields are numbers, text, decisions, tuples and dataclasses.
    value
        What JSON holds; keys that are no fields are passed over, so that later versions may add some.

    Raises
    ------
    PlainValueError
        If it is no object, a field without a default is missing, or a value has another type than its field.
    """
    if not isinstance(value, Mapping):
        raise PlainValueError(kind.__name__)
    given: dict[str, Any] = {}
    dataclass: Any = kind
    hints = _hints(dataclass)
    for field in fields(dataclass):
        if field.name in value:
            given[field.name] = _checked(hints[field.name], value[field.name], field.name)
        elif field.default is MISSING and field.default_factory is MISSING:
            raise PlainValueError(field.name)
    return kind(**given)


@lru_cache(maxsize=64)
def _hints(kind: type[Any]) -> dict[str, Any]:
    return get_type_hints(kind)


def _checked(hint: Any, value: Any, name: str) -> Any:
    """Give the value as its field's type holds it."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        if value is None and type(None) in inner:
            return None
        return _checked(next(entry for entry in inner if entry is not type(None)), value, name)
    if origin is Literal:
        if value in inner:
            return value
    elif origin is tuple:
        if isinstance(value, list) and (inner[-1] is Ellipsis or len(inner) == len(value)):
            return tuple(_checked(inner[0], entry, name) for entry in value)
    elif is_dataclass(hint) and isinstance(hint, type):
        return from_plain(hint, value)
    elif hint is float:
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return float(value)
    elif isinstance(value, hint) and not (hint is int and isinstance(value, bool)):
        return value
    raise PlainValueError(name)
