"""How a caller looks on while a plan is made, and ends the search with the best found so far.

The planner itself has no clock: whoever watches says when it is over.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from .bounds import host_bound
from .cost import hosts_staying_on
from .problem import Ints, Problem


@dataclass
class Watch:
    """`tell` is given each better answer: hosts on, and the proven minimum. `is_over` is asked between two searches."""

    tell: Callable[[int, int], None] | None = None
    is_over: Callable[[], bool] = lambda: False
    _fewest: int | None = field(default=None, init=False)

    def found(self, problem: Problem, assignment: Ints) -> None:
        """Notes an answer that has been found."""
        if self.tell is None:
            return
        on = int(hosts_staying_on(problem, assignment).sum())
        if self._fewest is None or on < self._fewest:
            self._fewest = on
            self.tell(on, host_bound(problem).hosts)
