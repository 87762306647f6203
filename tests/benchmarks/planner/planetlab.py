"""Line 5: the CloudSim consolidation experiment on PlanetLab traces (shared/data/planetlab)."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np

from datacenter.planner.tides import Follower, Tide

from .clusters import DATA
from .measure import measured
from .report import row

DAYS = ("20110303", "20110306", "20110309", "20110322", "20110325", "20110403")
PUBLISHED = {"20110303": (150.09, 23_050), "20110306": (112.75, 16_811)}  # LR-RS: least energy, least moves
G5_MIPS = 2 * 2_660.0
G5_WATTS = np.array([93.7, 97, 101, 105, 110, 116, 121, 125, 129, 133, 135])
STEP_S = 300.0


@dataclass(frozen=True)
class Replay:
    kwh: float
    migrations: int
    slatah: float
    pdm: float


def replay(day: str, tide: Tide) -> Replay:
    """One day, in CloudSim's timeline: a step's demand shows at its start, and is acted on then.

    Until the slowest migration of the step is over, hosts carry what they carried before it: an overload lasts
    at least that long, and energy is counted with both placements for their share of the step.
    """
    percent = np.load(DATA / "planetlab" / f"{day}.npz")["cpu_pct"].astype(float)
    count, steps = percent.shape
    block = np.minimum(np.arange(count) * 4 // count, 3)
    nominal = np.array([2500.0, 2000.0, 1000.0, 500.0])[block]
    memory_mb = np.array([870.0, 1740.0, 1740.0, 613.0])[block]
    demand = percent / 100 * nominal[:, None]
    seconds = memory_mb * 8 / 500  # at half of 1 Gbit/s
    follower = Follower(tide, G5_MIPS, demand[:, 0], nominal)
    host = follower.host.copy()
    kwh, migrations = 0.0, 0
    active, full, lost = np.zeros(800), np.zeros(800), np.zeros(count)
    for step in range(steps):
        new = follower.observe(demand[:, step]).copy()
        moved = new != host
        migrations += int(moved.sum())
        lost[moved] += 0.1 * demand[moved, step] * seconds[moved]
        moving_s = float(seconds[moved].max(initial=0.0))
        for placement, lasts_s in ((host, moving_s), (new, STEP_S - moving_s)):
            load = np.bincount(placement, demand[:, step], 800) / G5_MIPS
            on = np.bincount(placement, minlength=800) > 0
            active += on * lasts_s
            full += (on & (load >= 1.0)) * lasts_s
            watts = np.interp(np.minimum(load, 1.0) * 10, np.arange(11), G5_WATTS)
            kwh += float(watts[on].sum()) * lasts_s / 3.6e6
        host = new
    used = active > 0
    asked = np.maximum(demand.sum(axis=1) * STEP_S, 1e-9)
    return Replay(kwh, migrations, float((full[used] / active[used]).mean()), float((lost / asked).mean()))


def run(large: bool = False) -> bool:
    """Prints a line per day, with thresholds tuned on 20110303 alone."""
    bounds = json.loads((DATA / "planetlab" / "bounds.json").read_text())
    good = True
    for day in DAYS:
        result = measured(lambda day=day: replay(day, Tide()))
        answer = result.answer
        kwh, moves = PUBLISHED.get(day, (float("inf"), 0))
        peer = f"LR-RS {kwh} kWh, {moves} moves" if moves else "no peer measured"
        good &= row(
            "planetlab",
            f"{day} SLATAH {answer.slatah:.2%} PDM {answer.pdm:.4%}",
            f"{bounds[day]['lb_kwh_100']:.1f} kWh",
            f"{answer.kwh:.1f} kWh, {answer.migrations} moves",
            peer,
            f"ESV {answer.kwh * answer.slatah * answer.pdm * 1e4:.4f}",
            result,
            0,
            answer.kwh < kwh and answer.slatah <= 0.01 and (not moves or answer.migrations <= moves / 10),
        )
    return good
