"""The step that waits for a host that is woken for a new workload; its own operation wakes it."""

from __future__ import annotations

from hosts.errors import Refused
from hosts.models import Host, Operation
from hosts.operations.saga import Again, Context, Step

WAKE_WAIT_S = 600.0
UNDER_WAY = (Operation.State.QUEUED, Operation.State.RUNNING)


def _wait(context: Context) -> None:
    host = Host.objects.get(pk=context.parameters["host"])
    last = Operation.objects.filter(kind="host_power_on", host=host).order_by("-created_at").first()
    if last is not None and last.state in UNDER_WAY:
        raise Again("wake", f"It waits for {host.name}, which is being woken.", after_s=3.0)
    if host.power != Host.Power.ON or host.desired_power != Host.Power.ON:
        why = f": {last.message}" if last is not None and last.message else "."
        raise Refused(f"{host.name} did not wake{why}")


# not undone: a host that was woken stays on
WAKE = Step("wake", control=_wait, when=lambda context: bool(context.parameters.get("wakes")), patience_s=WAKE_WAIT_S)
