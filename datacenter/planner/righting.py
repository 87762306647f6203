"""What is wrong already, put right: broken rules first, then hosts over their limits."""

from __future__ import annotations

from .cost import hosts_staying_on
from .mending import mended
from .problem import Ints, Problem
from .relief import relieved


def put_right(problem: Problem, assignment: Ints) -> Ints:
    """The assignment with broken rules mended and overloaded hosts relieved, as far as that is possible."""
    stays = hosts_staying_on(problem, assignment)
    return relieved(problem, mended(problem, assignment, stays), stays)
