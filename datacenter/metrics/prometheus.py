"""A read-only Prometheus API in front of the two stores: what Grafana's data source asks, and nothing else.

Paths and parameters are on a list; whatever is not is refused or left out. Sources: Prometheus docs, "HTTP API";
VictoriaMetrics docs, "Prometheus querying API enhancements" (extra_filters[]).
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cache

import httpx

from datacenter.metrics.spans import LONGEST_S, RAW_KEPT_S
from datacenter.metrics.table import METRICS
from hosts.errors import Invalid, NotFound, Refused, TimedOut, Unreachable

QUERY_LETTERS_MOST = 16_000
MATCHES_MOST = 20
POINTS_MOST = 11_000  # as Prometheus itself allows
ANSWER_BYTES_MOST = 32 * 2**20
TIMEOUT_S = 15.0
AT_ONCE_MOST = 6
WAIT_FOR_TURN_S = 10.0
ROWS_MOST = 50_000

_PARAMETERS = {
    "query": ("query", "time", "step"),
    "query_range": ("query", "start", "end", "step"),
    "series": ("match[]", "start", "end", "limit"),
    "labels": ("match[]", "start", "end", "limit"),
    "label values": ("match[]", "start", "end", "limit"),
}
_LABEL_VALUES = re.compile(r"label/([a-zA-Z_][a-zA-Z0-9_]{0,63})/values")
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|w|y)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0, "y": 31536000.0}
_GROWTH = re.compile(r"\b(rate|irate|increase|delta|idelta|deriv|resets)\s*\(")
_turns = threading.BoundedSemaphore(AT_ONCE_MOST)

Parameters = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Question:
    """What is passed on: the path in the store, its parameters, and which store."""

    path: str
    parameters: list[tuple[str, str]]
    is_long: bool


def question_of(resource: str, given: Parameters, now: float) -> Question:
    """What to ask the store. Raises NotFound for what is not on the list, Invalid for a value that makes no sense."""
    label = _LABEL_VALUES.fullmatch(resource)
    kind = "label values" if label else resource
    if kind not in _PARAMETERS:
        raise NotFound("This is not a part of the Prometheus API that is served here.")
    values = {name: list(given.get(name, ())) for name in _PARAMETERS[kind]}
    if len(values.get("match[]", [])) > MATCHES_MOST:
        raise Invalid(f"At most {MATCHES_MOST} selectors at once.")
    query = _single(values, "query")
    if kind.startswith("query") and not query:
        raise Invalid("The parameter query is missing.")
    if any(len(text) > QUERY_LETTERS_MOST for texts in values.values() for text in texts):
        raise Invalid(f"A query has at most {QUERY_LETTERS_MOST:,} letters.")
    start, _end = _range(kind, values, now)
    is_long = start is not None and start < now - RAW_KEPT_S
    parameters = [(name, text) for name, texts in values.items() for text in texts if name != "limit"]
    parameters += _limits(kind, values) + (_long_filter(query) if is_long and query else [])
    return Question(f"/api/v1/{resource}", parameters, is_long)


def _range(kind: str, values: Mapping[str, list[str]], now: float) -> tuple[float | None, float]:
    """Beginning (None: not said) and end of what is asked for; checks them and the step."""
    end = moment_of(_single(values, "end") or _single(values, "time"), now)
    said = _single(values, "start") or _single(values, "time")
    start = moment_of(said, now) if said else None
    if start is not None and not start <= end <= now + LONGEST_S:
        raise Invalid("The range ends before it begins, or far in the future.")
    if kind == "query_range":
        step_s = seconds_of(_single(values, "step"))
        if start is None or step_s <= 0:
            raise Invalid("A range query has start, end and step.")
        if (end - start) / step_s > POINTS_MOST:
            raise Invalid(f"At most {POINTS_MOST:,} points for each series: take a longer step.")
    return start, end


def _long_filter(query: str) -> list[tuple[str, str]]:
    """In the long store each series stands four times, told apart by `aggregate`; the average is meant by default."""
    if "aggregate" in query:
        return []
    if _GROWTH.search(query):
        raise Invalid(
            "Older than 30 days only five-minute aggregates are kept, and counters stand there as their growth in a "
            'second. Ask for name{aggregate="avg"} (or min, p95, max) without rate() or increase().'
        )
    return [("extra_filters[]", '{aggregate=~"avg|"}')]


def _limits(kind: str, values: Mapping[str, list[str]]) -> list[tuple[str, str]]:
    if kind.startswith("query"):
        return [("timeout", f"{TIMEOUT_S - 2:g}s")]
    asked = _single(values, "limit")
    limit = int(asked) if asked.isdigit() and len(asked) < 9 else 0
    return [("limit", str(min(limit or ROWS_MOST, ROWS_MOST)))]


def _single(values: Mapping[str, list[str]], name: str) -> str:
    found = values.get(name, [])
    if len(found) > 1:
        raise Invalid(f"The parameter {name} is given twice.")
    return found[0] if found else ""


def moment_of(text: str, now: float) -> float:
    """Epoch seconds of a time as Prometheus takes it: a number or RFC 3339; now when it is empty."""
    if not text:
        return now
    try:
        at = float(text)
    except ValueError:
        try:
            at = datetime.fromisoformat(text).timestamp()
        except (ValueError, OverflowError):
            raise Invalid("A time is given in seconds since 1970, or like 2026-01-31T08:00:00Z.") from None
    if not 0 <= at < 1e11:
        raise Invalid("A time is given in seconds since 1970, or like 2026-01-31T08:00:00Z.")
    return at


def seconds_of(text: str) -> float:
    """Seconds of a duration: a number, or like 15s and 1h30m; 0 when it is neither."""
    try:
        seconds = float(text)
        return seconds if 0 < seconds < 1e11 else 0.0
    except ValueError:
        parts = _DURATION.findall(text)
        is_whole = parts and "".join(number + unit for number, unit in parts) == text
        return sum(float(number) * _SECONDS[unit] for number, unit in parts) if is_whole else 0.0


def asked(question: Question, url: str, client: httpx.Client | None = None) -> tuple[int, bytes]:
    """Status and body of the store's answer. Raises Unreachable, TimedOut, and Refused for one that is too large."""
    with _turn():
        try:
            with (client or _client_of(url)).stream("POST", question.path, data=_form(question.parameters)) as response:
                return response.status_code, b"".join(_capped(response.iter_bytes()))
        except httpx.TimeoutException as error:
            raise TimedOut("The metrics store answers too slowly.", str(error)) from error
        except httpx.HTTPError as error:
            raise Unreachable("The metrics store does not answer.", str(error)) from error


@contextmanager
def _turn() -> Iterator[None]:
    """So many at once ask the stores; others wait for a while. Charts of our own pages do not wait behind them."""
    if not _turns.acquire(timeout=WAIT_FOR_TURN_S):
        raise TimedOut("Too many queries at once. Ask again in a while.")
    try:
        yield
    finally:
        _turns.release()


def _capped(chunks: Iterable[bytes]) -> Iterator[bytes]:
    size = 0
    for chunk in chunks:
        size += len(chunk)
        if size > ANSWER_BYTES_MOST:
            raise Refused("The answer is too large. Ask for fewer series, a shorter range or a longer step.")
        yield chunk


def _form(parameters: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    form: dict[str, list[str]] = {}
    for name, text in parameters:
        form.setdefault(name, []).append(text)
    return form


@cache
def _client_of(url: str) -> httpx.Client:
    return httpx.Client(base_url=url, timeout=TIMEOUT_S)


def metadata(name: str = "") -> dict[str, list[dict[str, str]]]:
    """Type and meaning of our metrics, as /api/v1/metadata tells them; the stores know neither."""
    chosen = [metric for metric in METRICS if name in ("", metric.name)]
    return {metric.name: [{"type": metric.kind, "help": metric.words, "unit": metric.unit}] for metric in chosen}
