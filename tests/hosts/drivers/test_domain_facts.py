"""Reading domains that others made."""

from __future__ import annotations

from hosts.drivers.domain_facts import parse

FOREIGN = """<domain type='kvm' id='3'>
  <name>legacy box</name><uuid>11111111-2222-3333-4444-555555555555</uuid>
  <memory unit='KiB'>1048577</memory><vcpu current='1'>2</vcpu>
  <os><type arch='x86_64' machine='pc-q35-7.2'>hvm</type><kernel>/boot/vmlinuz</kernel>
    <loader>/usr/OVMF.fd</loader></os>
  <devices>
    <disk type='file' device='disk'><driver name='qemu' type='qcow2' cache='writeback'/>
      <source file='/srv/a.qcow2'/><backingStore type='file'><source file='/srv/base.qcow2'/></backingStore>
      <target dev='vda' bus='virtio'/></disk>
    <disk type='file' device='cdrom'><target dev='sda' bus='sata'/><readonly/></disk>
    <disk type='block' device='disk'><source dev='/dev/sdb'/><target dev='vdb'/></disk>
    <interface type='bridge'><source bridge='br1'/></interface>
    <interface type='bridge'><source bridge='br0'/></interface>
    <interface type='network'><source network='default' bridge='virbr0'/></interface>
    <serial type='unix'><source mode='bind' path='/run/odd/serial.sock'/><log file='/var/log/x.log'/></serial>
    <graphics type='vnc'><listen type='socket' socket='/var/lib/libvirt/qemu/domain-3/vnc.sock'/></graphics>
    <hostdev mode='subsystem' type='pci'/>
    <filesystem type='mount'/>
  </devices>
</domain>"""


def test_a_foreign_domain_is_read_with_all_that_ties_it_to_its_host() -> None:
    facts = parse(FOREIGN)

    assert (facts.name, facts.vcpus, facts.memory_mib, facts.accelerator) == ("legacy box", 1, 1025, "kvm")
    assert facts.machine == "pc-q35-7.2"
    assert [(d.target, d.path, d.cache, d.has_backing_file) for d in facts.disks] == [
        ("vda", "/srv/a.qcow2", "writeback", True),
        ("sda", None, None, False),
        ("vdb", None, None, False),
    ]
    assert facts.bridges == ("br0", "br1", "virbr0")
    assert facts.socket_folders == ("/run/odd",)
    assert facts.boot_files == ("/boot/vmlinuz", "/usr/OVMF.fd")
    assert (facts.serial_log, facts.serial_socket) == ("/var/log/x.log", "/run/odd/serial.sock")
    assert facts.vnc_socket == "/var/lib/libvirt/qemu/domain-3/vnc.sock"
    assert not facts.managed and facts.generation is None
    assert len(facts.obstacles) == 4


def test_a_domain_with_next_to_nothing_is_read_too() -> None:
    facts = parse("<domain><name>a</name></domain>")

    assert (facts.name, facts.vcpus, facts.memory_mib, facts.disks, facts.obstacles) == ("a", 1, 0, (), ())


def test_labels_without_a_stamp_do_not_make_a_domain_ours() -> None:
    facts = parse(
        "<domain><name>a</name><metadata><s:workload xmlns:s='https://stowage.invalid/1'>"
        "<s:label key='pinned' value='true'/></s:workload></metadata></domain>"
    )

    assert facts.labels == {"pinned": "true"}
    assert not facts.managed
