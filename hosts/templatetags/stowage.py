"""How templates say states, amounts and icons. The one map from a state's word to its tone is here."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django import template
from django.templatetags.static import static
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timesince import timesince

from hosts.once import FIELD, token_new
from hosts.operations.registry import title_of
from hosts.words import step_said, verb_said

register = template.Library()

# A tone is a colour and a shape (static/img/icons.svg, state-<tone>); the word always stands beside it.
TONES = {
    "": "stopped",
    # workloads
    "running": "running",
    "paused": "paused",
    "stopped": "stopped",
    "crashed": "alarm",
    "migrating": "moving",
    "starting": "moving",
    "creating": "moving",
    "unknown": "unknown",
    "gone": "alarm",
    # hosts
    "on": "running",
    "off": "stopped",
    "enrolling": "moving",
    "enrolment failed": "alarm",
    "not answering": "alarm",
    "degraded": "paused",
    "quarantined": "alarm",
    "proven": "running",
    "unproven": "paused",
    "maintenance": "paused",
    "cordoned": "paused",
    # operations and plans
    "under way": "moving",
    "being taken back": "paused",
    "taken back": "paused",
    "could not be taken back": "alarm",
    "queued": "stopped",
    "undoing": "paused",
    "done": "running",
    "failed": "alarm",
    "cancelled": "stopped",
    "needs attention": "alarm",
    "stuck": "alarm",
    "being planned": "moving",
    "proposed": "moving",
    "rejected": "stopped",
    "planning failed": "alarm",
    "being answered": "moving",
    "answered": "running",
    "not answered": "alarm",
    "waiting": "stopped",
    "dropped": "stopped",
    # API tokens
    "valid": "running",
    "expired": "stopped",
    "revoked": "stopped",
    # alerts, notices and channels
    "pending": "paused",
    "firing": "alarm",
    "still firing": "alarm",
    "fired": "alarm",
    "resolved": "running",
    "acknowledged": "paused",
    "silenced": "stopped",
    "critical": "alarm",
    "warning": "paused",
    "info": "moving",
    "being sent": "moving",
    "sent": "running",
    "working": "running",
    "being tested": "moving",
    "failing": "alarm",
    "switched off": "stopped",
    "not tried yet": "unknown",
    "ended": "stopped",
    # entries of a journal
    "started": "moving",
    "undo started": "paused",
    "undone": "paused",
    "undo failed": "alarm",
    "noted": "stopped",
}
# Work under way has the moving tone; only a workload that runs is green for it.
_UNDER_WAY = {"running": "moving"}


@register.filter
def tone(word: str, thing: str = "") -> str:
    """The tone of a state's word; "work" as `thing` for operations, plans and actions, where running is under way."""
    key = str(word).lower()
    return (_UNDER_WAY.get(key) if thing == "work" else None) or TONES.get(key, "unknown")


@register.inclusion_tag("components/badge.html")
def badge(word: str, title: str = "", thing: str = "") -> dict[str, str]:
    """A state as shape, colour and word."""
    return {"word": str(word), "title": title, "tone": tone(word, thing)}


@register.simple_tag
def icon(name: str, size: str = "") -> SafeString:
    """An icon of static/img/icons.svg, hidden from screen readers: words stand beside it."""
    css = f"icon icon-{size}" if size else "icon"
    return format_html(
        '<svg class="{}" aria-hidden="true"><use href="{}#{}"/></svg>', css, static("img/icons.svg"), name
    )


@register.inclusion_tag("components/load.html")
def meter(label: str, kind: str, source: str, values: dict[str, Any] | None, field: str, of: float) -> dict[str, Any]:
    """A meter with the newest value of a sample's field as a share of `of`; `kind` is its colour."""
    used = (values or {}).get(field)
    share = min(100.0, 100.0 * used / of) if used is not None and of else None
    return {"label": label, "kind": kind, "source": source, "field": field, "of": of, "share": share}


@register.inclusion_tag("components/amount.html")
def amount(source: str, values: dict[str, Any] | None, field: str, unit: str) -> dict[str, Any]:
    """The newest value of a sample's field as text; `unit` is "mib" or "cores"."""
    return {"source": source, "field": field, "unit": unit, "value": (values or {}).get(field)}


@register.filter
def mib(value: float | None) -> str:
    """MiB as people say it: "512 MiB", "1.5 GiB"."""
    if value is None:
        return "–"
    return f"{value / 1024:.1f} GiB" if value >= 1024 else f"{value:.0f} MiB"


@register.filter
def gib(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.0f} GiB" if value >= 100 else f"{value:.1f} GiB"


@register.filter
def size(value: int | None) -> str:
    """Bytes as MiB or GiB."""
    return "–" if value is None else mib(value / 2**20)


@register.filter
def cores(value: float | None) -> str:
    return "–" if value is None else f"{value:g}"


@register.filter
def whole(value: float | None) -> str:
    """A number without decimals, thousands apart by a thin space."""
    return "–" if value is None else f"{value:,.0f}".replace(",", "\u202f")


@register.filter
def operation_said(kind: str) -> str:
    """The kind of an operation as an operator says it: "move VM"."""
    return title_of(kind)


register.filter("step_said", step_said)
register.filter("verb_said", verb_said)


@register.filter
def kind_said(kind: str) -> str:
    """The kind of a thing in words."""
    return kind.upper() if kind in ("vm", "bmc") else kind.replace("_", " ")


@register.filter
def ago(moment: datetime) -> str:
    """How long ago, to the minute; "just now" within the first."""
    if (timezone.now() - moment).total_seconds() < 60:
        return "just now"
    return f"{timesince(moment, depth=1)} ago"


@register.filter
def at(values: dict[str, Any] | None, key: Any) -> Any:
    """The value under a key, None where there is none."""
    return (values or {}).get(str(key))


@register.filter
def source_of(thing: Any) -> str:
    """Under which a workload's samples come."""
    return f"workload:{thing.pk}"


@register.filter
def seconds_until(start: datetime | None, end: datetime | None) -> str:
    """How long it took, as "0.4 s" or "2 min 3 s"."""
    if start is None or end is None:
        return ""
    seconds = max(0.0, (end - start).total_seconds())
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


@register.simple_tag
def once() -> SafeString:
    """The token by which a form that is sent twice acts once."""
    return format_html('<input type="hidden" name="{}" value="{}">', FIELD, token_new())


@register.simple_tag(takes_context=True)
def query(context: dict[str, Any], **changes: Any) -> str:
    """The page's own query string with some values changed; an empty value leaves its key out."""
    values = context["request"].GET.dict() | {key: str(value) for key, value in changes.items()}
    return "?" + urlencode({key: value for key, value in values.items() if value != ""})
