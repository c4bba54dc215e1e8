"""Lets through readings that changed, and raises an alert where one passes a limit."""

import json
import re

import stile
from componentize_py_types import Err
from stile import PASS, Invalid, Property
from wit_world.imports import kv


def make(settings, _setup):
    field, limit, alerts = checked(**settings)

    def judge(message, index):
        try:
            reading = stile.number(stile.at(stile.json(message.payload), field))
        except ValueError:
            return stile.reject("the payload is no JSON")
        if reading is None:
            return PASS
        before = last(message.topic)
        if before == reading:
            return stile.drop("unchanged")
        keep(message.topic, reading)
        trend = "first" if before is None else "rising" if reading > before else "falling"
        if reading <= limit or (before is not None and before > limit):
            return stile.modify(set={"trend": trend})
        changed = stile.like(message, index)
        changed.properties = [one for one in changed.properties if one.name != "trend"] + [Property("trend", trend)]
        payload = json.dumps({"reading": reading, "limit": limit}).encode()
        alert = stile.draft(f"{message.topic}/{alerts}", payload, qos=message.qos, content_type="application/json")
        return stile.replace(changed, alert)

    return judge


def checked(*, field="", limit=None, alerts="alert", **unknown):
    """The settings; raises what the operator has to change."""
    for name in unknown:
        raise Invalid(f"there is no setting `{name}`")
    if stile.number(limit) is None:
        raise Invalid("`limit` has to be a number")
    if not isinstance(field, str):
        raise Invalid("`field` has to be a text")
    if field and not field.startswith("/"):
        raise Invalid(f"`field` is no JSON Pointer; write `/{field}`")
    if not isinstance(alerts, str) or not re.fullmatch(r"[^+#\0]+", alerts):
        raise Invalid("`alerts` is no level of a topic")
    return field, float(limit), alerts


def last(topic):
    """The reading of this topic that went on last."""
    kept = kv.get(topic)
    return None if kept is None else float(kept)


def keep(topic, reading):
    """What can't be kept lets a message too many go on, and none too few."""
    try:
        kv.set(topic, repr(reading).encode(), None)
    except Err:
        pass


Filter = stile.make_filter(make)
