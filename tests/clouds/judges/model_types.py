"""Types of values in JSON, as the annotations of a vendor's generated models name them."""

import datetime
import enum
import inspect
import typing

PLAIN = {str: str, int: int, bool: bool, float: (int, float)}


def is_enum(hint):
    return inspect.isclass(hint) and issubclass(hint, enum.Enum)


def is_time(value):
    try:
        return datetime.datetime.fromisoformat(value) is not None
    except (TypeError, ValueError):
        return False


def faults(value, hint, path):
    """What is wrong with a value that should be as the annotation says. Models inside it are left to the caller."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    wrong = [f"{path}: {value!r} is not {hint}"]
    if origin is typing.Union:
        if value is None and type(None) in inner:
            return []
        # Generated models take a text beside each enum, for values that came later.
        enums = [one for one in inner if is_enum(one)]
        return [] if any(not faults(value, one, path) for one in enums or inner) else wrong
    if origin is typing.Literal:
        return [] if value in [getattr(one, "value", one) for one in inner] else wrong
    if origin is list:
        items = value if isinstance(value, list) else None
        return wrong if items is None else [fault for item in items for fault in faults(item, inner[0], path)]
    if origin is dict:
        if not isinstance(value, dict):
            return wrong
        return [fault for name, item in value.items() for fault in faults(item, inner[1], f"{path}.{name}")]
    if is_enum(hint):
        return [] if value in [one.value for one in hint] else wrong
    if hint is datetime.datetime:
        return [] if is_time(value) else wrong
    if hint in PLAIN:
        return [] if isinstance(value, PLAIN[hint]) and isinstance(value, bool) == (hint is bool) else wrong
    if inspect.isclass(hint) and hint is not type(None):
        return [] if isinstance(value, dict) else wrong
    return []
