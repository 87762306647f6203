"""What libvirt's domain capabilities say of firmware and TPMs."""

from __future__ import annotations

from hosts.drivers.libvirt_host import GuestOffers, guest_offers_read

TOLD = """<domainCapabilities><os supported='yes'><enum name='firmware'><value>efi</value></enum>
<loader supported='yes'><enum name='secure'>{secure}<value>no</value></enum></loader></os>
<devices><tpm supported='yes'><enum name='model'><value>tpm-tis</value><value>tpm-crb</value></enum>
<enum name='backendModel'><value>passthrough</value>{emulator}</enum></tpm></devices></domainCapabilities>"""


def test_secure_boot_and_an_emulated_tpm_are_told():
    xml = TOLD.format(secure="<value>yes</value>", emulator="<value>emulator</value>")

    assert guest_offers_read(xml) == GuestOffers(("efi", "efi-secure"), ("tpm-crb",))


def test_a_tpm_of_the_machine_itself_is_none_for_vms():
    assert guest_offers_read(TOLD.format(secure="", emulator="")) == GuestOffers(("efi",), ())
