"""What people and programs may do to sites, racks, hosts and operations.

Each function checks the user's rights, then the input, then the state, and raises from `hosts.errors` with a
sentence that says what to do. What touches a machine becomes an operation, which is returned at once.
"""

from hosts.services.bmc import host_bmc_edit
from hosts.services.doors import refuse_unless
from hosts.services.enrolment import Enrolment, host_enrol, host_remove, host_retry_enrolment
from hosts.services.hosts import host_edit, host_maintain, host_power_off, host_power_on
from hosts.services.jobs import host_decommission, host_job_end, host_job_give, is_genuine
from hosts.services.operations import operation_cancel, operation_close, operation_retry
from hosts.services.places import rack_create, site_create
from hosts.services.planes import plane_of_token, plane_token_issue
from hosts.services.wakes import drill_start, host_quarantine_lift, host_wake_drill

__all__ = [
    "Enrolment",
    "drill_start",
    "host_bmc_edit",
    "host_decommission",
    "host_edit",
    "host_enrol",
    "host_job_end",
    "host_job_give",
    "host_maintain",
    "host_power_off",
    "host_power_on",
    "host_quarantine_lift",
    "host_remove",
    "host_retry_enrolment",
    "host_wake_drill",
    "is_genuine",
    "operation_cancel",
    "operation_close",
    "operation_retry",
    "plane_of_token",
    "plane_token_issue",
    "rack_create",
    "refuse_unless",
    "site_create",
]
