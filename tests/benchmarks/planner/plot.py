"""A plot on two logarithmic axes: SVG by hand, PNG by the Chromium that the browser tests use."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, log10
from pathlib import Path

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 900, 560, 90, 150, 60, 70
COLOURS = ("#206bc4", "#d63939", "#2fb344")


@dataclass(frozen=True)
class Series:
    name: str
    values: Sequence[float]


def svg(title: str, x_name: str, xs: Sequence[float], series: Sequence[Series]) -> str:
    """The picture; every value must be over zero."""
    everything = [value for line in series for value in line.values]
    x_range, y_range = _decades(xs), _decades(everything)

    def at(x: float, y: float) -> tuple[float, float]:
        right, up = _part(x, x_range), _part(y, y_range)
        return LEFT + right * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM)

    parts = [f'<text x="{LEFT}" y="32" font-size="18">{title}</text>']
    parts += [f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 20}">{x_name}</text>']
    for exponent in range(y_range[0], y_range[1] + 1):
        (x1, y), (x2, _) = at(10 ** x_range[0], 10**exponent), at(10 ** x_range[1], 10**exponent)
        parts += [f'<line x1="{x1}" y1="{y}" x2="{x2}" y2="{y}" stroke="#ddd"/>']
        parts += [f'<text x="{LEFT - 10}" y="{y + 5}" text-anchor="end">{10.0**exponent:,g}</text>']
    for x in xs:
        place, base = at(x, 10 ** y_range[0])
        parts += [f'<text x="{place}" y="{base + 22}" text-anchor="middle">{x:,g}</text>']
    for colour, line in zip(COLOURS, series, strict=False):
        points = [at(x, y) for x, y in zip(xs, line.values, strict=True)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        parts += [f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>']
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{colour}"/>' for x, y in points]
        parts += [f'<text x="{points[-1][0] + 10}" y="{points[-1][1] + 5}" fill="{colour}">{line.name}</text>']
    frame = f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" font-family="sans-serif" '
    return f'{frame}font-size="14"><rect width="100%" height="100%" fill="white"/>{"".join(parts)}</svg>'


def png(picture: str, path: Path) -> Path:
    """Writes the picture as PNG, or beside it as SVG where there is no Chromium; the file's path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    vector = path.with_suffix(".svg")
    vector.write_text(picture)
    if not (chromium := shutil.which("chromium")):
        return vector
    with tempfile.TemporaryDirectory() as profile:
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--user-data-dir={profile}"]
        options += [f"--window-size={WIDTH},{HEIGHT}", f"--screenshot={path.resolve()}", vector.resolve().as_uri()]
        subprocess.run([chromium, *options], check=True, capture_output=True, timeout=300)
    return path


def _decades(values: Sequence[float]) -> tuple[int, int]:
    return floor(log10(min(values))), ceil(log10(max(values)))


def _part(value: float, decades: tuple[int, int]) -> float:
    return (log10(value) - decades[0]) / max(1, decades[1] - decades[0])
