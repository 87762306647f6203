"""What people and programs may do to workloads and images.

Each function checks the user's rights, then the input, then the state, and raises from `hosts.errors` with a
sentence that says what to do. What touches a machine becomes an operation, which is returned at once.
"""

from workloads.services.apart import workload_keep_apart
from workloads.services.arrivals import arrival_begin, arrival_finish, arrival_give_up, arrival_write, image_fetch
from workloads.services.backups import (
    backup_delete,
    backup_folder_set,
    backup_restore,
    backup_verify,
    backups_find,
    vm_back_up,
)
from workloads.services.bulk import workloads_bulk
from workloads.services.capacity import host_choose, refuse_without_room
from workloads.services.cdroms import iso_eject, iso_insert
from workloads.services.cloning import vm_clone
from workloads.services.consoles import console_end, ticket_issue
from workloads.services.container_images import container_image_pull, container_image_remove
from workloads.services.containers import container_create
from workloads.services.devices import disk_add, disk_detach, nic_add, nic_detach
from workloads.services.expiry import workload_expire
from workloads.services.images import image_open, image_register, image_remove, image_upload, vm_save_image
from workloads.services.life import (
    gone,
    moved_meanwhile,
    workload_delete,
    workload_move,
    workload_pin,
)
from workloads.services.measuring import choice_measure
from workloads.services.power import (
    workload_pause,
    workload_reset,
    workload_restart,
    workload_resume,
    workload_save,
    workload_start,
    workload_stop,
)
from workloads.services.registries import registry_add, registry_edit, registry_remove
from workloads.services.renewal import container_recreate, workload_rename
from workloads.services.schedules import (
    schedule_create,
    schedule_delete,
    schedule_enable,
    schedule_ring,
    schedules_sweep,
)
from workloads.services.sizes import disk_grow, workload_resize
from workloads.services.snapshots import snapshot_delete, snapshot_revert, snapshot_take, why_no_snapshot
from workloads.services.storage import pool_file_remove
from workloads.services.templates import flavour_add, flavour_remove, template_remove, template_save, template_use
from workloads.services.vms import seed_wipe, vm_create

__all__ = [
    "arrival_begin",
    "arrival_finish",
    "arrival_give_up",
    "arrival_write",
    "backup_delete",
    "backup_folder_set",
    "backup_restore",
    "backup_verify",
    "backups_find",
    "choice_measure",
    "console_end",
    "container_create",
    "container_image_pull",
    "container_image_remove",
    "container_recreate",
    "disk_add",
    "disk_detach",
    "disk_grow",
    "flavour_add",
    "flavour_remove",
    "gone",
    "host_choose",
    "image_fetch",
    "image_open",
    "image_register",
    "image_remove",
    "image_upload",
    "iso_eject",
    "iso_insert",
    "moved_meanwhile",
    "nic_add",
    "nic_detach",
    "pool_file_remove",
    "refuse_without_room",
    "registry_add",
    "registry_edit",
    "registry_remove",
    "schedule_create",
    "schedule_delete",
    "schedule_enable",
    "schedule_ring",
    "schedules_sweep",
    "seed_wipe",
    "snapshot_delete",
    "snapshot_revert",
    "snapshot_take",
    "template_remove",
    "template_save",
    "template_use",
    "ticket_issue",
    "vm_back_up",
    "vm_clone",
    "vm_create",
    "vm_save_image",
    "why_no_snapshot",
    "workload_delete",
    "workload_expire",
    "workload_keep_apart",
    "workload_move",
    "workload_pause",
    "workload_pin",
    "workload_rename",
    "workload_reset",
    "workload_resize",
    "workload_restart",
    "workload_resume",
    "workload_save",
    "workload_start",
    "workload_stop",
    "workloads_bulk",
]
