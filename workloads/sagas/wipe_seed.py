"""Wipe what a VM was told at its first boot: its seed disk stays, with its identity and network and nothing else."""

from __future__ import annotations

from hosts.operations.registry import register
from hosts.operations.saga import Context, EffectCall, Saga, Step
from hosts.publish import publish_change
from workloads.models import VirtualMachine
from workloads.sagas.calls import long_call, uuid_of


def _wipe(context: Context) -> EffectCall:
    return long_call(context, "vm.seed_wipe", timeout_s=60, path=context.parameters["seed_path"])


def _record(context: Context) -> None:
    VirtualMachine.objects.filter(pk=uuid_of(context)).update(has_seed=False)
    publish_change("workload", uuid_of(context), "changed")


WIPE_SEED = register(
    Saga(
        "wipe_seed",
        "wipe first-boot data",
        # Not undone: what was wiped is gone, as was asked for.
        (Step("wipe", effect=_wipe), Step("record", control=_record)),
    )
)
