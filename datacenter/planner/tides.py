"""Following demand through the day with few moves: pack by mean and spread of each load, act late, act little.

A host holds what its workloads need on average plus a share of their common spread: independent peaks seldom
meet, so the spread of a sum grows with its root (source: Meng et al., "Efficient resource provisioning in
compute clouds via VM multiplexing", ICAC 2010). Between the level at which a host is relieved and the level to
which hosts are filled lies a band in which nothing moves; that hysteresis is what keeps moves rare.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .problem import Floats, Ints


@dataclass(frozen=True, slots=True)
class Tide:
    """How to follow. Levels are shares of a host's CPU."""

    memory: float = 0.25  # weight of the newest observation in mean and spread
    spread: float = 0.55  # standard deviations of the sum held free
    fill_to: float = 0.90  # packing stops here
    relieve_at: float = 0.99  # present demand above which a host is relieved
    drain_every: int = 3  # steps between two attempts to empty a host
    drains: int = 1  # hosts emptied at most in one attempt


class Follower:
    """Keeps workloads on few equal hosts; `observe` takes one step of demand and answers with the hosts from now on."""

    def __init__(self, tide: Tide, capacity: float, first: Floats, nominal: Floats) -> None:
        self.tide, self.capacity = tide, capacity
        self.mean, self.variance = first.copy(), (0.12 * nominal) ** 2
        self.host = np.full(len(first), -1, dtype=np.int64)
        self.demand = first
        self.step = 0
        for item in np.argsort(-first, kind="stable"):
            self.host[item] = self._best(int(item), avoid=-1, may_open=True)

    def observe(self, demand: Floats) -> Ints:
        """Where everything should be from now on, seen from the demand up to this step."""
        change = demand - self.mean
        self.mean += self.tide.memory * change
        self.variance = (1 - self.tide.memory) * (self.variance + self.tide.memory * change**2)
        self.step += 1
        self.demand = demand
        self._relieve(demand)
        if self.step % self.tide.drain_every == 0:
            self._drain()
        return self.host

    def _best(self, item: int, avoid: int, may_open: bool) -> int:
        """The fullest host that stays below the filling level with the item; a new one if allowed; else -1."""
        placed = self.host >= 0
        count = int(self.host.max()) + 2 if placed.any() else 1
        mean = np.bincount(self.host[placed], self.mean[placed], count)
        variance = np.bincount(self.host[placed], self.variance[placed], count)
        busy = np.bincount(self.host[placed], minlength=count) > 0
        now = np.bincount(self.host[placed], self.demand[placed], count) + self.demand[item]
        with_item = mean + self.mean[item] + self.tide.spread * np.sqrt(variance + self.variance[item])
        fits = busy & (np.maximum(with_item, now) <= self.tide.fill_to * self.capacity)
        if avoid >= 0:
            fits[avoid] = False
        if fits.any():
            return int(np.where(fits, with_item, -1.0).argmax())
        return int((~busy).argmax()) if may_open else -1

    def _relieve(self, demand: Floats) -> None:
        now = np.bincount(self.host, demand) / self.capacity
        for host in np.flatnonzero(now > self.tide.relieve_at):
            while True:
                inside = np.flatnonzero(self.host == host)
                excess = demand[inside].sum() - self.tide.relieve_at * self.capacity
                if len(inside) < 2 or excess <= 0:
                    break
                cures = inside[demand[inside] >= excess]
                choice = cures[demand[cures].argmin()] if len(cures) else inside[demand[inside].argmax()]
                self.host[choice] = self._best(int(choice), int(host), may_open=True)

    def _drain(self) -> None:
        for _ in range(self.tide.drains):
            counts = np.bincount(self.host)
            mean = np.bincount(self.host, self.mean)
            busy = np.flatnonzero(counts)
            host = int(busy[np.lexsort((counts[busy], mean[busy]))[0]])
            before = self.host.copy()
            for item in np.flatnonzero(self.host == host)[::-1]:
                target = self._best(int(item), host, may_open=False)
                if target < 0:
                    self.host = before
                    return
                self.host[item] = target
