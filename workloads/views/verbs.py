"""The buttons that change whether and how a workload runs, and what they do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse

from hosts.buttons import Button
from hosts.doors import action, done_or_said, must_have_typed
from hosts.once import key_of
from hosts.words import verb_said
from workloads import services
from workloads.drivers.volume_spec import names_of, volumes_known
from workloads.models import VirtualMachine, Workload

Reason = Callable[[str], str | None]  # why the verb is not possible now
DANGER = "btn-outline-danger"


def verb_buttons(workload: Workload, reason: Reason) -> list[Button]:
    """What is done most: start or resume what does not run, stop what does."""
    if not reason("resume"):
        first = _button(workload, "resume", "Resume", None, "btn-primary", "play")
    else:
        first = _button(workload, "start", "Start", reason("start"), "btn-primary", "play")
    stop = _button(workload, "stop", "Stop", reason("stop"), "", "stop")
    restart = _button(workload, "restart", "Restart", reason("restart"), "", "restart")
    if workload.state == Workload.State.PAUSED:
        return [first, stop]
    return [stop, restart] if reason("start") and not reason("stop") else [first, stop]


def more_buttons(workload: Workload, own: Any, reason: Reason) -> list[Button]:
    """The other verbs of this kind of workload, those that lose something last; each with its reason, if any."""
    name, is_vm = workload.name, workload.kind == Workload.Kind.VM
    buttons = [_button(workload, "pause", "Pause", reason("pause"), "", "pause")]
    if is_vm:
        reset_ask = f"{name} boots anew at once. What its guest has not written to its disks is lost."
        buttons += [
            _button(workload, "save", "Save to disk", reason("save"), "", "save"),
            _button(workload, "reset", "Reset", reason("reset"), DANGER, "restart", reset_ask),
        ]
        if own.has_seed:
            wipe_ask = f"What {name} was told at its first boot is overwritten, keys and passwords included. Do it once"
            wipe_ask += " the guest has set itself up; it keeps what it has done, and its network."
            label = "Wipe first-boot data"
            buttons.append(_button(workload, "wipe_seed", label, reason("wipe_seed"), "", "key", wipe_ask))
    force_ask = f"{name} is cut off at once, as if its power failed. Unsaved data in it is lost."
    force = "Force off" if is_vm else "Kill"
    what = "its disks" if is_vm and not workload.is_adopted else "its definition"
    delete_ask = f"{name} and {what} are removed from its host. There is no way back."
    volumes = [] if is_vm else names_of(volumes_known(own.volumes))
    if volumes:
        delete_ask += " Its volumes stay there."
    option = f"Remove its volumes too: {', '.join(volumes)}" if volumes else ""
    return [
        *buttons,
        _button(workload, "force_stop", force, reason("force_stop"), DANGER, "power", force_ask, typed=True),
        replace(
            _button(workload, "delete", "Delete", reason("delete"), DANGER, "trash", delete_ask, typed=True),
            option=option,
        ),
    ]


def _button(
    workload: Workload,
    verb: str,
    label: str,
    refused: str | None,
    style: str,
    icon_name: str,
    ask: str = "",
    *,
    typed: bool = False,
) -> Button:
    url = reverse("workload-verb", args=[workload.pk, verb])
    return Button(verb, label, url, refused, style, icon_name, ask, workload.name if typed else "")


@action("operate")
def workload_verb(request: HttpRequest, uuid: UUID, verb: str) -> HttpResponse:
    workload = get_object_or_404(Workload, pk=uuid)

    def act() -> Any:
        if verb in ("delete", "force_stop"):
            must_have_typed(request, workload.name)
        more = {"with_volumes": True} if verb == "delete" and request.POST.get("option") == "1" else {}
        return VERBS[verb](request.user, workload, idempotency_key=key_of(request), **more)

    operation = done_or_said(request, act)
    if operation is not None and verb == "delete":
        return redirect("operation", uuid=operation.pk)
    if operation is not None:
        messages.success(request, f"Begun: {verb_said(operation.kind)}, {workload.name}.")
    return redirect("workload", uuid=workload.pk)


def _force_stop(user: Any, workload: Workload, **key: Any) -> Any:
    return services.workload_stop(user, workload, force=True, **key)


def _wipe_seed(user: Any, workload: Workload, **key: Any) -> Any:
    return services.seed_wipe(user, get_object_or_404(VirtualMachine, pk=workload.pk), **key)


VERBS: dict[str, Callable[..., Any]] = {
    "start": services.workload_start,
    "stop": services.workload_stop,
    "force_stop": _force_stop,
    "restart": services.workload_restart,
    "pause": services.workload_pause,
    "resume": services.workload_resume,
    "reset": services.workload_reset,
    "save": services.workload_save,
    "wipe_seed": _wipe_seed,
    "delete": services.workload_delete,
}
