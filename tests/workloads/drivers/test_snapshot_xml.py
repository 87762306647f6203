from __future__ import annotations

from xml.etree import ElementTree

import pytest

from hosts.errors import Rejected
from workloads.drivers.snapshot_xml import build, parse

AS_LIBVIRT_SAYS = """
<domainsnapshot><name>second</name><state>running</state><parent><name>first</name></parent>
<creationTime>1764200000</creationTime><memory snapshot='internal'/><description>virsh</description></domainsnapshot>
"""


def test_a_snapshot_names_its_operation_and_leaves_no_disk_out():
    root = ElementTree.fromstring(build("before", "op-1"))

    assert [(child.tag, child.text) for child in root] == [("name", "before"), ("description", "op-1")]


def test_hostile_text_adds_no_element():
    root = ElementTree.fromstring(build("</name><memory snapshot='external' file='/etc/shadow'/>", "op-1"))

    assert [child.tag for child in root] == ["name", "description"]


def test_what_libvirt_says_is_read():
    read = parse(AS_LIBVIRT_SAYS, is_current=True)

    assert (read.name, read.parent, read.taken_at_s, read.operation) == ("second", "first", 1764200000, "virsh")
    assert read.has_memory and read.is_current


def test_a_snapshot_of_a_vm_that_was_off_has_no_memory():
    assert not parse(AS_LIBVIRT_SAYS.replace("internal", "no"), is_current=False).has_memory


@pytest.mark.parametrize(
    "text", ["", "<domainsnapshot>", "<domainsnapshot><creationTime>x</creationTime></domainsnapshot>"]
)
def test_what_is_no_snapshot_is_rejected(text: str):
    with pytest.raises(Rejected, match="could not be read"):
        parse(text, is_current=False)
