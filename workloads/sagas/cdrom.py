"""Put an ISO into a VM's CD-ROM drive, or take it out, also while the VM runs."""

from __future__ import annotations

import re
from uuid import UUID

from hosts.operations.registry import register
from hosts.operations.saga import Context, EffectCall, Saga, Step
from hosts.publish import publish_change
from workloads.models import Image, VirtualMachine
from workloads.sagas.calls import long_call, uuid_of

FETCH_TIMEOUT_S = 2700.0
_NUMBER = re.compile(r"/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})-[0-9a-f]{16}\.iso")


def iso_of(path: str) -> Image | None:
    """The ISO of the library that lies at that path of a host; None for another file, or one that was removed."""
    found = _NUMBER.search(path)
    return Image.objects.filter(pk=UUID(found[1]), format=Image.Format.ISO).first() if found else None


def _insert(context: Context) -> EffectCall:
    return long_call(context, "vm.iso_insert", timeout_s=FETCH_TIMEOUT_S, iso=context.parameters["iso"])


def _eject(context: Context) -> EffectCall:
    return long_call(context, "vm.cdrom_put", timeout_s=60, path="")


def _put_back(context: Context) -> EffectCall:
    was = context.parameters["was"]  # a file that is none of ours is not put back
    path = was if was is None or _NUMBER.search(was) else ""
    return long_call(context, "vm.cdrom_put", timeout_s=60, path=path)


def _record_inserted(context: Context) -> None:
    _record(context, context.output("insert")["path"])


def _record_empty(context: Context) -> None:
    _record(context, "")


def _record(context: Context, path: str) -> None:
    VirtualMachine.objects.filter(pk=uuid_of(context)).update(has_cdrom=True, cdrom_path=path)
    publish_change("workload", uuid_of(context), "changed")


INSERT_ISO = register(
    Saga(
        "insert_iso",
        "insert an ISO",
        (Step("insert", effect=_insert, undo_effect=_put_back), Step("record", control=_record_inserted)),
    )
)

EJECT_ISO = register(
    Saga(
        "eject_iso",
        "eject an ISO",
        (Step("eject", effect=_eject, undo_effect=_put_back), Step("record", control=_record_empty)),
    )
)
