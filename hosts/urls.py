"""Addresses of hosts, operations and the audit log."""

from __future__ import annotations

from django.urls import path, register_converter

from hosts.views import hosts, jobs, operations, shell


class HostVerb:
    """The verbs of a host's buttons, and nothing else."""

    regex = "|".join(hosts.BUTTONS)

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return value


register_converter(HostVerb, "host_verb")

urlpatterns = [
    path("hosts/", hosts.host_list, name="hosts"),
    path("hosts/enrol/", hosts.host_enrol, name="host-enrol"),
    path("hosts/rack/", hosts.rack_new, name="rack-new"),
    path("hosts/<uuid:uuid>/", hosts.host_page, name="host"),
    path("hosts/<uuid:uuid>/<host_verb:verb>/", hosts.host_verb, name="host-verb"),
    path("hosts/<uuid:uuid>/retry/", hosts.host_retry, name="host-retry"),
    path("hosts/<uuid:uuid>/bmc/", hosts.host_bmc, name="host-bmc"),
    path("hosts/<uuid:uuid>/shell/", shell.host_shell, name="host-shell"),
    path("hosts/<uuid:uuid>/power-model/", hosts.host_power_model, name="host-power-model"),
    path("hosts/<uuid:uuid>/lift-quarantine/", hosts.host_quarantine_lift, name="host-quarantine-lift"),
    path("hosts/<uuid:uuid>/remove/", hosts.host_remove, name="host-remove"),
    path("hosts/<uuid:uuid>/job/", jobs.host_job_give, name="host-job"),
    path("hosts/<uuid:uuid>/job/end/", jobs.host_job_end, name="host-job-end"),
    path("hosts/<uuid:uuid>/decommission/", jobs.host_decommission, name="host-decommission"),
    path("hosts/decommissioned/", jobs.decommissioned, name="decommissioned"),
    path("operations/", operations.operation_list, name="operations"),
    path("operations/count/", operations.operation_count, name="operation-count"),
    path("operations/<uuid:uuid>/", operations.operation_page, name="operation"),
    path("operations/<uuid:uuid>/cancel/", operations.operation_cancel, name="operation-cancel"),
    path("operations/<uuid:uuid>/retry/", operations.operation_retry, name="operation-retry"),
    path("operations/<uuid:uuid>/close/", operations.operation_close, name="operation-close"),
    path("audit/", operations.audit_list, name="audit"),
]
