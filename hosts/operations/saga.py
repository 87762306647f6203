"""What a saga is: a table of steps, each with what it does and how it is undone.

A step is either a *control* step (a function on the database, run inside the very transaction that writes its
`done` entry) or an *effect* step (a function that says which effect a plane shall run). Both are "ensure" verbs:
done twice equals done once. An undo must be harmless when the step did nothing, for after a lost reply nobody
knows. Source of the form: steno and omicron's sagas; design.md section 2.6.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hosts.errors import StowageError
from hosts.models import Operation

Output = dict[str, Any]


@dataclass(frozen=True)
class EffectCall:
    """An effect to be run by the plane that listens to `queue`.

    `deadline_s`: it must begin within that time or not at all. `timeout_s`: how long it may run.
    `secret` names what the plane may fetch for this step ({"kind": "bmc", "host": uuid}); it never travels itself.
    """

    queue: str
    effect: str
    arguments: dict[str, Any] = field(default_factory=dict)
    subject: tuple[str, str] | None = None
    timeout_s: float = 30.0
    deadline_s: float = 60.0
    secret: dict[str, str] | None = None


@dataclass(frozen=True)
class Context:
    """What a step may know: the operation, what earlier steps gave, the generations it holds, and its failure."""

    operation: Operation
    outputs: dict[str, Output]
    generations: dict[tuple[str, str], int]
    error: StowageError | None = None

    @property
    def parameters(self) -> dict[str, Any]:
        return self.operation.parameters

    def output(self, step: str) -> Output:
        """What the step gave; empty when it was skipped, or never answered."""
        return self.outputs.get(step, {})

    def generation(self, kind: str, thing_id: object) -> int:
        """The generation under which this operation holds the thing; 0 where it holds none."""
        return self.generations.get((kind, str(thing_id)), 0)


class Again(Exception):
    """Raised by a control step whose answers are not final yet: the steps from `from_step` on are done anew.

    Within the control step's `patience_s`; after that the sentence is its failure.
    """

    def __init__(self, from_step: str, sentence: str, after_s: float = 2.0) -> None:
        super().__init__(sentence)
        self.from_step = from_step
        self.sentence = sentence
        self.after_s = after_s


Control = Callable[[Context], Output | None]
Effect = Callable[[Context], EffectCall]
UndoEffect = Callable[[Context], EffectCall | None]


@dataclass(frozen=True)
class Step:
    """One line of a saga's table.

    - `control` or `effect`: what it does; `undo` or `undo_effect`: how it is taken back (None: nothing to take back,
      and a comment beside it says why).
    - `when`: skipped unless true of the outputs so far.
    - `attempts`: how often a transient failure is tried in all; `patience_s`: go on trying for at least that long.
    - `failure_is_output`: a failure is an answer ({"error": ...}); the steps after it find out what is true.
    - `stuck_on_failure`: nobody knows what is true when it fails, so nothing is undone and a person is asked.
    - `point_of_no_return`: once it is done the operation only goes forward; a later failure is `stuck`.
    - `cancel_waits`: a wish to cancel waits until after this step, for until then nobody knows what to undo.
    """

    name: str
    control: Control | None = None
    effect: Effect | None = None
    undo: Control | None = None
    undo_effect: UndoEffect | None = None
    when: Callable[[Context], bool] | None = None
    attempts: int = 3
    patience_s: float = 0.0
    failure_is_output: bool = False
    stuck_on_failure: bool = False
    point_of_no_return: bool = False
    cancel_waits: bool = False

    def __post_init__(self) -> None:
        if (self.control is None) == (self.effect is None):
            raise ValueError(f"step {self.name} needs either a control or an effect")
        if self.undo is not None and self.undo_effect is not None:
            raise ValueError(f"step {self.name} has two undos")

    @property
    def has_undo(self) -> bool:
        return self.undo is not None or self.undo_effect is not None


@dataclass(frozen=True)
class Saga:
    """A named table of steps. `title` is what an operator reads ("move VM").

    `on_undone` runs in the transaction that ends an operation as failed or cancelled, once all its steps are
    undone: it takes back what the service wrote when it started the operation.
    """

    name: str
    title: str
    steps: tuple[Step, ...]
    on_undone: Control | None = None

    def __post_init__(self) -> None:
        names = [step.name for step in self.steps]
        if len(set(names)) != len(names):
            raise ValueError(f"saga {self.name} has two steps of one name")

    def step(self, name: str) -> Step:
        return next(step for step in self.steps if step.name == name)
