"""The metrics store: writes samples with their own time, answers PromQL.

Source: VictoriaMetrics docs, "How to import data in Prometheus exposition format" and "Prometheus querying API".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import httpx

from hosts.errors import Rejected, TimedOut, Unreachable


@dataclass(frozen=True)
class Sample:
    """One value of one series; `at` in epoch seconds."""

    metric: str
    labels: Mapping[str, str]
    value: float
    at: float


@dataclass(frozen=True)
class Series:
    """A query's answer for one label set: (epoch seconds, value), oldest first."""

    labels: dict[str, str]
    points: list[tuple[float, float]]


Row = tuple[dict[str, str], list[tuple[float, str]]]  # labels, and (epoch seconds, value as text), oldest first


def quoted(value: str) -> str:
    """The text as it stands between a label's quotation marks."""
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def exposition_line(sample: Sample) -> str:
    """The sample in Prometheus' text format, its time in milliseconds."""
    labels = ",".join(f'{name}="{quoted(value)}"' for name, value in sample.labels.items())
    return f"{sample.metric}{{{labels}}} {sample.value!r} {int(sample.at * 1000)}"


class MetricsStore:
    """A client of one store. Each call blocks for at most `timeout_s` and raises Unreachable, TimedOut or Rejected."""

    def __init__(self, url: str, timeout_s: float = 5.0, transport: httpx.BaseTransport | None = None) -> None:
        self._client = httpx.Client(base_url=url, timeout=timeout_s, transport=transport)

    def close(self) -> None:
        self._client.close()

    def write(self, samples: Sequence[Sample]) -> None:
        """Stores the samples; writing the same ones twice equals once."""
        if samples:
            self.write_lines("".join(exposition_line(sample) + "\n" for sample in samples).encode())

    def write_lines(self, body: bytes) -> None:
        """Stores lines of Prometheus' text format, each with its time and its end of line."""
        self._call("POST", "/api/v1/import/prometheus", content=body)

    def rollups_forget(self) -> None:
        """Makes the store forget what it has worked out: samples older than its cache trusts have come in.

        A store that is not VictoriaMetrics has no such cache, or knows by itself.
        """
        with suppress(Rejected):
            self._call("GET", "/internal/resetRollupResultCache")

    def query(self, promql: str, at: float | None = None) -> list[Series]:
        """The value of each series at one moment (now when `at` is None)."""
        parameters: dict[str, Any] = {"query": promql} | ({"time": at} if at is not None else {})
        return self._series("/api/v1/query", parameters, lambda row: [row["value"]])

    def samples(self, selector: str, length_s: float, end: float) -> list[Series]:
        """The stored samples of the last `length_s` before `end`, with their own times."""
        parameters = {"query": f"{selector}[{length_s:g}s]", "time": end}
        return self._series("/api/v1/query", parameters, lambda row: row["values"])

    def rows_range(self, promql: str, start: float, end: float, step_s: float) -> list[Row]:
        """The same as `query_range` for much at once: each series as the store tells it, its values still as text.

        From exactly `start` on (VictoriaMetrics would move it to a multiple of the step).
        """
        parameters = {"query": promql, "start": start, "end": end, "step": step_s, "nocache": "1"}
        response = self._call("POST", "/api/v1/query_range", data=parameters)
        try:
            return [(row["metric"], row["values"]) for row in response.json()["data"]["result"]]
        except (ValueError, KeyError, TypeError) as error:
            raise Rejected("The metrics store gave no answer that makes sense.", response.text[:500]) from error

    def query_range(self, promql: str, start: float, end: float, step_s: float) -> list[Series]:
        """Each series between two moments, a point every `step_s` seconds where there is one."""
        parameters = {"query": promql, "start": start, "end": end, "step": step_s}
        return self._series("/api/v1/query_range", parameters, lambda row: row["values"])

    def _series(
        self, path: str, parameters: Mapping[str, Any], points: Callable[[dict[str, Any]], list[list[Any]]]
    ) -> list[Series]:
        response = self._call("GET", path, params=parameters)
        try:
            rows = response.json()["data"]["result"]
            return [Series(row["metric"], [(float(at), float(value)) for at, value in points(row)]) for row in rows]
        except (ValueError, KeyError, TypeError) as error:
            raise Rejected("The metrics store gave no answer that makes sense.", response.text[:500]) from error

    def _call(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        try:
            response = self._client.request(method, path, **arguments)
            response.raise_for_status()
        except httpx.TimeoutException as error:
            raise TimedOut("The metrics store answers too slowly.", str(error)) from error
        except httpx.HTTPStatusError as error:
            raise Rejected("The metrics store refused the request.", error.response.text[:500]) from error
        except httpx.HTTPError as error:
            raise Unreachable("The metrics store does not answer.", str(error)) from error
        return response
