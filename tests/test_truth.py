"""The checker of the fault tests finds what is planted: otherwise a green table would say nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

from tests.lab.faults.truth import OFF, ON, Copy, Seen, violations

NUMBER, OTHER = "11111111-1111-1111-1111-111111111111", "22222222-2222-2222-2222-222222222222"


def well() -> Seen:
    """One VM and one container, each where the database says."""
    vm, box = Copy("a", "vm", NUMBER, "mail", ON), Copy("b", "container", OTHER, "box", OFF)
    return Seen(
        real=[vm, box],
        shown=[vm, box],
        files={"a": [f"/pool/{NUMBER}-vda.qcow2"], "b": []},
        processes=Counter([NUMBER]),
    )


def test_a_world_that_is_well_has_no_violation():
    assert violations(well()) == []


PLANTED: dict[str, tuple[Callable[[Seen], object], str]] = {
    "a second running copy": (lambda s: s.real.append(Copy("b", "vm", NUMBER, "mail", ON)), "runs 2 times"),
    "a second QEMU that libvirt forgot": (lambda s: s.processes.update([NUMBER]), "has 2 QEMU processes"),
    "a workload that vanished": (lambda s: s.real.pop(0), "in the database and not on its machine"),
    "a domain that nobody knows": (lambda s: s.shown.pop(0), "on its machine and not in the database"),
    "a state that is not true": (lambda s: s.shown.append(Copy("b", "vm", "", "x", ON)), "not on its machine"),
    "a stopped one shown as running": (
        lambda s: s.shown.__setitem__(1, Copy("b", "container", OTHER, "box", ON)),
        "is off and shown as on",
    ),
    "a disk of nobody": (
        lambda s: s.files["b"].append("/pool/33333333-3333-3333-3333-333333333333-vda.qcow2"),
        "belongs to nobody",
    ),
    "an operation without an end": (lambda s: s.open_operations.append("move VM"), "is open"),
    "an operation that is stuck": (lambda s: s.stuck_operations.append("move VM"), "is stuck"),
    "a lease of an ended operation": (lambda s: s.ended_leases.append("vm 1"), "lease is held"),
    "a machine that does not answer": (lambda s: s.unread.append("c"), "cannot be read"),
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_violation_is_found(name: str):
    plant, sentence = PLANTED[name]
    seen = well()

    plant(seen)

    assert any(sentence in text for text in violations(seen)), violations(seen)


def test_what_is_on_a_dark_machine_is_not_missed():
    seen = well()
    seen.real.pop(1)
    seen.dark.add("b")

    assert violations(seen) == []


def test_a_file_set_aside_in_doubt_is_no_orphan():
    seen = well()
    seen.files["a"].append("/pool/33333333-3333-3333-3333-333333333333-vda.qcow2.stowage-left")

    assert violations(seen) == []
