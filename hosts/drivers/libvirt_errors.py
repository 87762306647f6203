"""Libvirt's errors turned into ours, by code and never by message text."""

from __future__ import annotations

import libvirt

from hosts.errors import DriverError, Refused, Rejected, StowageError, TimedOut, Unreachable, Vanished

# Errors of the transport, whatever their code: "client socket is closed" is an internal error of RPC.
_TRANSPORT = {libvirt.VIR_FROM_RPC, libvirt.VIR_FROM_REMOTE}

_BY_CODE: dict[int, tuple[type[StowageError], str]] = {
    libvirt.VIR_ERR_NO_CONNECT: (Unreachable, "The hypervisor cannot be reached. Is libvirtd running?"),
    libvirt.VIR_ERR_INVALID_CONN: (Unreachable, "The connection to the hypervisor is gone."),
    libvirt.VIR_ERR_RPC: (Unreachable, "The connection to the hypervisor broke off."),
    libvirt.VIR_ERR_NO_DOMAIN: (Vanished, "The VM is no longer on this host."),
    libvirt.VIR_ERR_INVALID_DOMAIN: (Vanished, "The VM is no longer on this host."),
    libvirt.VIR_ERR_OPERATION_INVALID: (Refused, "The VM is not in a state that allows this now."),
    libvirt.VIR_ERR_OPERATION_TIMEOUT: (TimedOut, "The hypervisor is busy with another job of this VM."),
    libvirt.VIR_ERR_OPERATION_ABORTED: (Refused, "The job was cancelled."),
    libvirt.VIR_ERR_AUTH_FAILED: (Rejected, "The hypervisor does not accept our credentials."),
    libvirt.VIR_ERR_AUTH_CANCELLED: (Rejected, "The hypervisor wants credentials that we do not have."),
    libvirt.VIR_ERR_AUTH_UNAVAILABLE: (
        Rejected,
        "The hypervisor wants a way of logging in that we do not have.",
    ),
    libvirt.VIR_ERR_ACCESS_DENIED: (Rejected, "The hypervisor does not allow us to do this."),
    libvirt.VIR_ERR_OPERATION_DENIED: (Rejected, "The hypervisor does not allow us to do this."),
    libvirt.VIR_ERR_DOM_EXIST: (Refused, "The host already has a VM of this name. Choose another name."),
    libvirt.VIR_ERR_XML_ERROR: (Rejected, "The hypervisor does not understand the VM's definition."),
    libvirt.VIR_ERR_XML_DETAIL: (Rejected, "The hypervisor does not understand the VM's definition."),
    libvirt.VIR_ERR_XML_INVALID_SCHEMA: (Rejected, "The hypervisor does not understand the VM's definition."),
    libvirt.VIR_ERR_CONFIG_UNSUPPORTED: (
        Rejected,
        "The hypervisor cannot offer what the VM asks for.",
    ),
    libvirt.VIR_ERR_NO_SUPPORT: (Rejected, "The hypervisor does not know how to do this."),
    libvirt.VIR_ERR_OPERATION_UNSUPPORTED: (Rejected, "The hypervisor does not know how to do this."),
    libvirt.VIR_ERR_ARGUMENT_UNSUPPORTED: (Rejected, "The hypervisor does not know how to do this."),
    libvirt.VIR_ERR_CPU_INCOMPATIBLE: (Refused, "The other host's CPU cannot run this VM."),
    libvirt.VIR_ERR_MIGRATE_UNSAFE: (
        Refused,
        "The move is not safe: a disk is neither shared nor copied.",
    ),
    libvirt.VIR_ERR_NO_MEMORY: (Rejected, "The host has too little memory for this."),
    libvirt.VIR_ERR_AGENT_UNRESPONSIVE: (TimedOut, "The guest's agent does not answer."),
}


def foreign_error(error: libvirt.libvirtError, doing: str) -> StowageError:
    """Our error for libvirt's; `doing` says what was tried ("start the VM web-1")."""
    code, domain = error.get_error_code(), error.get_error_domain()
    detail = f"{doing}: libvirt error {code} of {domain}: {error.get_error_message()}"
    if code in _BY_CODE:
        kind, sentence = _BY_CODE[code]
        return kind(sentence, detail)
    if domain in _TRANSPORT:
        return Unreachable("The connection to the hypervisor broke off.", detail)
    return DriverError(f"The hypervisor could not {doing}.", detail)


def is_code(error: libvirt.libvirtError, *codes: int) -> bool:
    """Whether the error has one of the codes."""
    return error.get_error_code() in codes
