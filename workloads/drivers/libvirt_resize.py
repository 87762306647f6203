"""Giving a domain another size: its definition always, and what runs as far as it was started with room for that.

Virtual CPUs are plugged in and out; memory is lent and taken back by the balloon, within the most that it was started
with. A guest may refuse both, so what it really has is looked at afterwards (decision 0047).
Source: libvirt virDomainSetVcpusFlags, virDomainSetMemoryFlags, virDomainMemoryStats.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import libvirt

from hosts.drivers.domain_facts import NAMESPACE, DomainFacts, parse
from hosts.errors import Refused
from workloads.drivers import domain_xml
from workloads.drivers.base import Resized

LIVE, CONFIG = libvirt.VIR_DOMAIN_AFFECT_LIVE, libvirt.VIR_DOMAIN_AFFECT_CONFIG
GUEST_PATIENCE_S = 10.0  # an emulated guest lets go of a CPU after libvirt's own five seconds
GUEST_POLL_S = 0.25
BALLOON_SLACK_KIB = 4 * 1024
AGENT_TIMEOUT_S = 5


def resize(
    domain: libvirt.virDomain,
    vcpus: int,
    memory_mib: int,
    clock: Callable[[], float],
    sleep: Callable[[float], None],
) -> Resized:
    """Sets both in the definition, then in the running VM; what does not come about there is told as a sentence."""
    if not domain.isPersistent():
        raise Refused(f"The VM {domain.name()} is not defined on its host, so it has no next start.")
    _define(domain, vcpus, memory_mib)
    if not domain.isActive():
        return Resized(vcpus, memory_mib)
    vcpus_why = _vcpus_live(domain, vcpus, clock, sleep)
    memory_why = _memory_live(domain, memory_mib, clock, sleep)
    now = parse(domain.XMLDesc(0))
    return Resized(now.vcpus, now.memory_mib, vcpus_why, memory_why)


def metadata_write(domain: libvirt.virDomain, facts: DomainFacts, flag: int) -> None:
    """Our element in the running domain or in its definition."""
    xml = domain_xml.metadata_xml(facts.generation or 0, facts.operation, facts.labels, facts.memory_granted_mib)
    domain.setMetadata(libvirt.VIR_DOMAIN_METADATA_ELEMENT, xml, domain_xml.PREFIX, NAMESPACE, flag)


def _define(domain: libvirt.virDomain, vcpus: int, memory_mib: int) -> None:
    facts = parse(domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE))
    if facts.managed:
        vcpus_most, memory_most_mib = domain_xml.most(vcpus, memory_mib)
    else:  # what somebody else made is given room only where it had some
        vcpus_most = max(vcpus, facts.vcpus_most) if facts.vcpus_most > facts.vcpus else vcpus
        memory_most_mib = memory_mib
    # The most first: libvirt lowers what is over it, and refuses what would be over it.
    domain.setVcpusFlags(vcpus_most, CONFIG | libvirt.VIR_DOMAIN_VCPU_MAXIMUM)
    domain.setVcpusFlags(vcpus, CONFIG)
    domain.setMemoryFlags(memory_most_mib * 1024, CONFIG | libvirt.VIR_DOMAIN_MEM_MAXIMUM)
    domain.setMemoryFlags(memory_mib * 1024, CONFIG)
    if facts.managed:
        metadata_write(domain, facts.granted(memory_mib), CONFIG)


def _vcpus_live(
    domain: libvirt.virDomain, wanted: int, clock: Callable[[], float], sleep: Callable[[float], None]
) -> str:
    """Empty when the running VM has that many virtual CPUs now, else the sentence why not."""
    facts = parse(domain.XMLDesc(0))
    if facts.vcpus == wanted:
        return ""
    if wanted > facts.vcpus_most:
        return f"It was started with room for {facts.vcpus_most} virtual CPUs."
    with suppress(libvirt.libvirtError):  # what came of it is looked at
        domain.setVcpusFlags(wanted, LIVE)
    ends_at = clock() + GUEST_PATIENCE_S
    while (now := parse(domain.XMLDesc(0)).vcpus) != wanted and clock() < ends_at:
        sleep(GUEST_POLL_S)
    if now != wanted:
        return (
            f"Its guest was asked and has not let go of them; {now} are plugged in."
            if wanted < now
            else "They were not plugged in."
        )
    if wanted > facts.vcpus:
        _switch_on(domain, wanted, clock, sleep)
    return ""


def _switch_on(
    domain: libvirt.virDomain, wanted: int, clock: Callable[[], float], sleep: Callable[[float], None]
) -> None:
    """Linux leaves plugged CPUs off unless somebody inside switches them on; its agent does, where there is one."""
    ends_at = clock() + GUEST_PATIENCE_S
    with suppress(libvirt.libvirtError):  # raised where there is no agent
        domain.agentSetResponseTimeout(AGENT_TIMEOUT_S)
        while domain.vcpusFlags(LIVE | libvirt.VIR_DOMAIN_VCPU_GUEST) < wanted and clock() < ends_at:
            with suppress(libvirt.libvirtError):  # the guest has not seen them yet: it takes its time
                domain.setVcpusFlags(wanted, LIVE | libvirt.VIR_DOMAIN_VCPU_GUEST)
            sleep(GUEST_POLL_S)


def _memory_live(
    domain: libvirt.virDomain, wanted_mib: int, clock: Callable[[], float], sleep: Callable[[float], None]
) -> str:
    """Empty when the guest's balloon is where it should be, else the sentence why not; all is as before then."""
    facts = parse(domain.XMLDesc(0))
    if facts.memory_mib == wanted_mib:
        return ""
    if not facts.managed:
        return "It was not made by Stowage, so its memory is left as it is while it runs."
    if wanted_mib > facts.memory_most_mib:
        return f"It was started with room for {facts.memory_most_mib} MiB."
    if wanted_mib > facts.memory_mib:  # counted before it is lent
        metadata_write(domain, facts.granted(wanted_mib), LIVE)
    try:
        domain.setMemoryFlags(wanted_mib * 1024, LIVE)
        ends_at = clock() + GUEST_PATIENCE_S
        while not (is_there := _is_balloon_at(domain, wanted_mib)) and clock() < ends_at:
            sleep(GUEST_POLL_S)
    except libvirt.libvirtError:
        is_there = False
    if is_there:
        metadata_write(domain, facts.granted(wanted_mib), LIVE)
        return ""
    with suppress(libvirt.libvirtError):
        domain.setMemoryFlags(facts.memory_mib * 1024, LIVE)
    metadata_write(domain, facts, LIVE)
    return f"Its guest did not follow within {GUEST_PATIENCE_S:.0f} s; it may lack a balloon driver."


def _is_balloon_at(domain: libvirt.virDomain, wanted_mib: int) -> bool:
    return abs(int(domain.memoryStats().get("actual", 0)) - wanted_mib * 1024) <= BALLOON_SLACK_KIB
