"""Lines as CSV: ISO times in UTC, units in the heads, and no cell that a spreadsheet would run.

A long range is read piece by piece while it is sent, so neither end holds all of it.
"""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from asgiref.sync import sync_to_async

from datacenter.metrics.history import History, Line, Wanted, history
from datacenter.metrics.spans import Span
from hosts.errors import DriverError

ROWS_A_PIECE = 500
_FORMULA_BEGINS = ("=", "+", "-", "@", "\t", "\r", "\n")
_STATISTICS = (("low", "lowest"), ("high", "highest"), ("p95", "p95"))


def cell(text: str) -> str:
    """The text as a cell that is text in every spreadsheet. Source: OWASP, CSV injection."""
    return f"'{text}" if text.startswith(_FORMULA_BEGINS) else text


def pieces_of(span: Span) -> Iterator[Span]:
    """The span cut into parts of so many points, oldest first."""
    start, length_s = span.start, ROWS_A_PIECE * span.step_s
    while start < span.end:
        # cut at the grid: a point belongs to one piece only
        end = min(span.end, (start // span.step_s) * span.step_s + length_s)
        yield replace(span, start=start, end=end)
        start = end


async def csv_of(wanted: Sequence[Wanted], first: History, rest: Sequence[Span]) -> AsyncIterator[bytes]:
    """The file: heads, the first piece, which is read already, and the rest as it is read.

    A store that goes away meanwhile ends the file with its sentence: the answer's status is sent long since.
    """
    yield _encoded([_heads(wanted)])
    yield _encoded(_rows(wanted, first))
    for piece in rest:
        try:
            yield _encoded(_rows(wanted, await sync_to_async(history)(wanted, piece)))
        except DriverError as error:
            yield _encoded([[cell(f"Not complete. {error.message}")]])
            return


def _heads(wanted: Sequence[Wanted]) -> list[str]:
    heads = ["Time (UTC)"]
    for one in wanted:
        heads.append(cell(f"{one.label} ({one.row.unit})"))
        if not one.row.is_limit:
            heads += [cell(f"{one.label}, {words} ({one.row.unit})") for _, words in _STATISTICS]
    return heads


def _rows(wanted: Sequence[Wanted], found: History) -> Iterator[list[str]]:
    lines = {line.label: line for line in found.lines}
    for number, at in enumerate(found.times):
        row = [datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")]
        for one in wanted:
            row += _cells(lines.get(one.label), number, is_limit=one.row.is_limit)
        if any(row[1:]):
            yield row


def _cells(line: Line | None, number: int, *, is_limit: bool) -> list[str]:
    columns = [line.values if line else []]
    if not is_limit:
        columns += [getattr(line, name) if line else [] for name, _ in _STATISTICS]
    return ["" if not values or values[number] is None else f"{values[number]:g}" for values in columns]


def _encoded(rows: Iterator[list[str]] | list[list[str]]) -> bytes:
    written = io.StringIO()
    csv.writer(written).writerows(rows)
    return written.getvalue().encode()
