"""A button of a page: what it does or where it leads, and the sentence on it when it may not be pressed."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Button:
    """What components/act.html draws. With `ask` it asks first; with `typed` a name must be typed then."""

    key: str
    label: str
    url: str
    why_not: str | None = None
    style: str = ""
    icon_name: str = ""
    ask: str = ""
    typed: str = ""
    hidden: tuple[tuple[str, str], ...] = field(default=())
    option: str = ""  # with `ask`: what a tick at the field "option" asks for besides


@dataclass(frozen=True)
class Link:
    """What components/link.html draws: a button that leads to another page."""

    key: str
    label: str
    url: str
    why_not: str | None = None
    icon_name: str = ""
