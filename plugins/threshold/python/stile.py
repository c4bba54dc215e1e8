"""What an author of a filter in Python depends on.

It hides the batch, makes actions of plain calls, and answers with an error where something is raised: what left the
component uncaught would say nothing of itself.
"""

import json as _json
import math
import re
from collections.abc import Callable

from componentize_py_types import Err
from wit_world.imports import context, log, types
from wit_world.imports.types import Draft, Message, Patch, Property, Qos

Action = types.Action | None

PASS: Action = None
"""The message goes on as it is."""


class Invalid(Exception):
    """Raised while settings are read: tells the operator what to change."""


class Unavailable(Exception):
    """Raised where something is not there now: the same call may succeed later."""


def drop(reason: str) -> Action:
    """It ends here, as the filter is meant to. Keep to a few different reasons, such as `unchanged`."""
    return types.Action_Drop(reason)


def reject(why: str) -> Action:
    """The filter can't judge it: the operator's `on-failure` decides."""
    return types.Action_Reject(why)


def modify(*, set: dict[str, str] = {}, unset: list[str] = [], **fields) -> Action:
    """It goes on, changed: `payload`, `topic`, `qos`, `retain` and so on, and user properties set or taken away."""
    patch = Patch(None, None, None, None, None, None, None, None, properties(set), list(unset))
    for name, value in fields.items():
        if not hasattr(patch, name):
            raise TypeError(f"a message has no {name}")
        setattr(patch, name, value)
    return types.Action_Modify(patch)


def replace(*drafts: Draft) -> Action:
    """It ends here, and these go on instead."""
    return types.Action_Replace(list(drafts))


def draft(topic: str, payload: bytes, *, qos: Qos = Qos.AT_MOST_ONCE, content_type: str | None = None) -> Draft:
    """A message that is not kept. Its fields can be set to something else."""
    return Draft(topic, payload, qos, False, content_type, None, None, None, [])


def like(message: Message, index: int) -> Draft:
    """A message as it came, to go on beside others. How long it is still worth delivering is not known here."""
    return Draft(
        message.topic,
        message.payload,
        message.qos,
        message.retain,
        context.content_type(index),
        context.response_topic(index),
        context.correlation(index),
        None,
        context.user_properties(index),
    )


def properties(named: dict[str, str]) -> list[Property]:
    """User properties."""
    return [Property(name, value) for name, value in named.items()]


DEEPEST = 500
"""Levels of nesting that the interpreter's stack is sure to bear."""


def json(payload: bytes):
    """The payload as JSON; `ValueError` where it is none. Python alone would take NaN, and trap at what is nested deep."""
    text = payload.decode("utf-8")
    if _is_deep(text):
        raise ValueError("nested too deep")
    return _json.loads(text, parse_constant=_none, parse_float=_finite)


def at(value, pointer: str):
    """What stands at a JSON Pointer (RFC 6901), such as `/object/temperature`; `None` where nothing does."""
    for name in pointer.split("/")[1:]:
        key = name.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict):
            value = value.get(key)
        elif isinstance(value, list) and key.isascii() and key.isdecimal() and (key == "0" or key[0] != "0"):
            value = value[int(key)] if len(key) < 10 and int(key) < len(value) else None
        else:
            return None
    return value


def number(value) -> float | None:
    """A number of JSON; `None` for all else. For Python, `True` would be one."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        raise ValueError("a number is too large") from None


def make_filter(make: Callable[[dict, types.Setup], Callable[[Message, int], Action]]) -> type:
    """Makes the class that the component exports, to be named `Filter`.

    `make` is called once for each instance, with the settings and the whole setup, and gives the function that is called
    for each message and its place in the batch.
    """

    class Filter:
        _judge: Callable[[Message, int], Action]

        def configure(self, setup: types.Setup) -> None:
            Filter._judge = staticmethod(_guarded(lambda: make(_json.loads(setup.config), setup)))

        def process(self, messages: list[Message]) -> list[types.Decision]:
            return _guarded(lambda: list(_decisions(messages)))

    def _decisions(messages):
        for index, message in enumerate(messages):
            action = Filter._judge(message, index)
            if action is not None:
                yield types.Decision(index, action)

    return Filter


def _guarded(call):
    """Calls, and makes of what is raised the error that the gateway expects. What nobody foresaw goes to its log, too."""
    try:
        return call()
    except Invalid as error:
        raise Err(types.Error_Invalid(str(error))) from None
    except Unavailable as error:
        raise Err(types.Error_Unavailable(str(error))) from None
    except Exception as error:
        log.write(log.Level.ERROR, _told(error))
        raise Err(types.Error_Broken(f"{type(error).__name__}: {error}")) from None


def _told(error: Exception) -> str:
    """The error and where it was raised. The module `traceback` would look for the source in files, and trap."""
    lines, at = [f"{type(error).__name__}: {error}"], error.__traceback__
    while at is not None:
        code = at.tb_frame.f_code
        lines.append(f"    {code.co_filename}:{at.tb_lineno} in {code.co_qualname}")
        at = at.tb_next
    return "\n".join(lines)


_MARKS = re.compile(r'"(?:[^"\\]|\\.)*"|[][{}]', re.DOTALL)


def _is_deep(text: str) -> bool:
    # Most texts are too short for it.
    if len(text) <= DEEPEST:
        return False
    depth = 0
    for mark in _MARKS.finditer(text):
        depth += 1 if mark[0] in "[{" else -1 if mark[0] in "]}" else 0
        if depth > DEEPEST:
            return True
    return False


def _none(constant: str):
    raise ValueError(f"{constant} is no JSON")


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError("a number is too large")
    return value
