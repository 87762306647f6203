"""Give a workload another name, here and on its host.

The inventory has the new name first: nobody else can be given it while the host is asked.
"""

from __future__ import annotations

from hosts.operations.registry import register
from hosts.operations.saga import Context, EffectCall, Saga, Step
from workloads.sagas.calls import kind_of, record, short_call


def _rename(context: Context) -> EffectCall:
    return short_call(context, f"{kind_of(context)}.rename", name=context.parameters["name"])


def _rename_back(context: Context) -> EffectCall:
    return short_call(context, f"{kind_of(context)}.rename", name=context.parameters["was"])


def _take_name(context: Context) -> None:
    record(context, name=context.parameters["name"])


def _give_name_back(context: Context) -> None:
    record(context, name=context.parameters["was"])


RENAME_WORKLOAD = register(
    Saga(
        "rename_workload",
        "rename",
        (
            Step("take_name", control=_take_name, undo=_give_name_back),
            Step("rename", effect=_rename, undo_effect=_rename_back),
        ),
    )
)
