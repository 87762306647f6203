"""The planner's values as JSON-ready data and back, by their own field types."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from hosts.errors import Invalid

Value = TypeVar("Value")


def to_data(value: Any) -> Any:
    """The value as dicts, lists, text and numbers."""
    if is_dataclass(value) and not isinstance(value, type):
        return {spec.name: to_data(getattr(value, spec.name)) for spec in fields(value)}
    if isinstance(value, tuple | list):
        return [to_data(item) for item in value]
    if isinstance(value, dict):
        return {key: to_data(item) for key, item in value.items()}
    return value


def from_data(kind: type[Value], data: Any) -> Value:
    """The `kind` (DataCenter, Policy, Plan, ...) that `to_data` wrote. Fields left out take their default.

    Raises Invalid with a sentence where the data is not of that shape.
    """
    if not isinstance(data, dict):
        raise Invalid(f"A {kind.__name__} must be an object with named fields.")
    hints = _hints(kind)  # type: ignore[arg-type]
    unknown = set(data) - set(hints)
    if unknown:
        raise Invalid(f"A {kind.__name__} has no field {', '.join(sorted(unknown))}.")
    values = {name: _decode(hints[name], item, f"{kind.__name__}.{name}") for name, item in data.items()}
    try:
        return kind(**values)
    except TypeError as error:
        raise Invalid(f"A {kind.__name__} is incomplete.", detail=str(error)) from error


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _decode(hint: Any, data: Any, where: str) -> Any:
    origin = get_origin(hint)
    if origin in (Union, UnionType):
        choices = get_args(hint)
        if data is None and NoneType in choices:
            return None
        return _decode(next(choice for choice in choices if choice is not NoneType), data, where)
    if origin is Literal:
        if data not in get_args(hint):
            raise Invalid(f"{where} must be one of {', '.join(map(str, get_args(hint)))}.")
        return data
    if origin is tuple:
        if not isinstance(data, list | tuple):
            raise Invalid(f"{where} must be a list.")
        return tuple(_decode(get_args(hint)[0], item, where) for item in data)
    if origin is dict:
        if not isinstance(data, dict):
            raise Invalid(f"{where} must be an object.")
        return {key: _decode(get_args(hint)[1], item, where) for key, item in data.items()}
    if is_dataclass(hint):
        return from_data(hint, data)  # type: ignore[arg-type]
    accepted = (int, float) if hint is float else hint
    if not isinstance(data, accepted) or (isinstance(data, bool) and hint is not bool):
        raise Invalid(f"{where} must be {_WORDS.get(hint, hint.__name__)}.")
    return data


_WORDS = {float: "a number", int: "a whole number", str: "text", bool: "true or false"}
