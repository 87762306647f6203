"""Freezing, thawing and shutting down through an agent that may be gone, hung, late or lying."""

from __future__ import annotations

from typing import Any

import libvirt
import pytest

from hosts.errors import DriverError
from workloads.drivers.libvirt_agent import ShutDown, frozen, thaw_leftover

XML = """<domain><name>web</name><uuid>x</uuid><devices><channel type='unix'>
<target type='virtio' name='org.qemu.guest_agent.0' state='{}'/></channel></devices></domain>"""


def failure(code: int) -> libvirt.libvirtError:
    error = libvirt.libvirtError("it failed")
    error.err = (code, libvirt.VIR_FROM_QEMU, "it failed", 2, None, None, None, 0, 0)
    return error


UNRESPONSIVE = failure(libvirt.VIR_ERR_AGENT_UNRESPONSIVE)


class Domain:
    """A domain whose agent answers as told; `told` is what was asked of it."""

    def __init__(self, state: str = "connected", **answers: Any) -> None:
        self.state_word = state
        self.answers = answers
        self.told: list[str] = []
        self.is_frozen = False
        self.is_awake = False  # although it says that its thaw failed

    def XMLDesc(self, flags: int) -> str:
        return XML.format(self.state_word)

    def state(self) -> tuple[int, int]:
        return 1, 1

    def isActive(self) -> bool:
        return True

    def name(self) -> str:
        return "web"

    def agentSetResponseTimeout(self, seconds: int, flags: int) -> int:
        return 0

    def guestInfo(self, kinds: int, flags: int) -> dict[str, Any]:
        if self.is_frozen and not self.is_awake:
            raise failure(libvirt.VIR_ERR_INTERNAL_ERROR)
        return self._answer("ping", {})

    def fsFreeze(self, mounts: Any, flags: int) -> int:
        self.is_frozen = True  # also where the answer is lost
        return self._answer("freeze", 1)

    def fsThaw(self, mounts: Any, flags: int) -> int:
        count = self._answer("thaw", 1)
        self.is_frozen = False
        return count

    def shutdownFlags(self, flags: int) -> int:
        return self._answer("button" if flags == libvirt.VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN else "agent", 0)

    def _answer(self, what: str, default: Any) -> Any:
        self.told.append(what)
        answers = self.answers.get(what, default)
        answer = answers.pop(0) if isinstance(answers, list) and answers else answers
        if isinstance(answer, Exception):
            raise answer
        return default if answer == [] else answer


def test_file_systems_stand_still_within_the_block_alone():
    domain = Domain()

    with frozen(domain) as freeze:
        assert domain.is_frozen

    assert freeze.why_not == "" and not domain.is_frozen


def test_they_go_on_whatever_happens_within():
    domain = Domain()

    with pytest.raises(KeyboardInterrupt), frozen(domain):
        raise KeyboardInterrupt

    assert not domain.is_frozen


@pytest.mark.parametrize("state", ["disconnected", ""])
def test_without_an_agent_nothing_is_asked(state: str):
    domain = Domain(state)

    with frozen(domain) as freeze:
        pass

    assert freeze.why_not == "The guest has no agent that could be asked." and domain.told == []


def test_an_agent_that_says_nothing_is_not_told_to_freeze():
    domain = Domain(ping=UNRESPONSIVE)

    with frozen(domain) as freeze:
        pass

    assert freeze.why_not == "The guest's agent does not answer." and domain.told == ["ping"]


def test_a_freeze_whose_answer_is_lost_is_thawed_until_it_is_heard():
    domain, pauses = Domain(freeze=UNRESPONSIVE, thaw=[UNRESPONSIVE, UNRESPONSIVE]), []

    with frozen(domain, sleep=pauses.append) as freeze:
        assert domain.is_frozen

    assert freeze.why_not == "The guest's agent could not freeze its file systems."
    assert not domain.is_frozen and len(pauses) == 2


def test_one_that_does_not_let_go_is_told_of():
    clock = iter(range(0, 10_000, 20))
    domain = Domain(thaw=UNRESPONSIVE)

    with (
        pytest.raises(DriverError, match="fsfreeze --unfreeze"),
        frozen(domain, clock=lambda: next(clock), sleep=lambda _: None),
    ):
        pass


def test_one_whose_own_hook_fails_is_let_go_all_the_same():
    domain = Domain(thaw=failure(libvirt.VIR_ERR_INTERNAL_ERROR))
    domain.is_awake = True

    with frozen(domain, sleep=lambda _: pytest.fail("it is awake")) as freeze:
        pass

    assert freeze.why_not == "" and domain.told.count("thaw") == 1


def test_one_that_refuses_to_thaw_and_stands_still_is_told_of():
    clock = iter(range(0, 10_000, 20))
    domain = Domain(thaw=failure(libvirt.VIR_ERR_INTERNAL_ERROR))

    with pytest.raises(DriverError), frozen(domain, clock=lambda: next(clock), sleep=lambda _: None):
        pass


def test_an_agent_that_froze_nothing_says_so():
    with frozen(Domain(freeze=0)) as freeze:
        pass

    assert freeze.why_not == "The guest's agent found no file system that it could freeze."


def test_what_is_left_of_a_step_that_was_cut_short_goes_on():
    domain = Domain()
    domain.is_frozen = True

    thaw_leftover(domain)

    assert not domain.is_frozen
    awake = Domain()
    thaw_leftover(awake)
    assert "thaw" not in awake.told
    thaw_leftover(Domain(ping=UNRESPONSIVE, thaw=UNRESPONSIVE))  # is no reason to fail


def test_the_agent_is_asked_first_and_the_button_is_pressed_after_half_of_the_time():
    domain = Domain()
    wish = ShutDown(domain)
    wish.look(0.1)
    assert wish.by == "agent" and "button" not in domain.told
    wish.look(0.5)
    wish.look(0.9)

    assert wish.by == "ACPI" and domain.told.count("button") == 1


def test_without_an_agent_the_button_is_pressed_at_once():
    domain = Domain("disconnected")
    wish = ShutDown(domain)
    wish.look(0.0)

    assert wish.by == "ACPI" and domain.told == ["button"]
