"""Addresses of workloads and images."""

from __future__ import annotations

from django.urls import path, register_converter

from workloads.views import (
    backups,
    bulk,
    cdroms,
    choosing,
    consoles,
    container_images,
    copies,
    creation,
    devices,
    images,
    renewal,
    schedules,
    snapshots,
    storage,
    templates,
    verbs,
    workloads,
)


class WorkloadVerb:
    """The verbs of a workload's buttons, and nothing else."""

    regex = "|".join(verbs.VERBS)

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return value


class WatchedConsole(WorkloadVerb):
    """The consoles that somebody may look at who may not type."""

    regex = "|".join(consoles.WATCHED)


class OperatedConsole(WorkloadVerb):
    """The consoles for operators alone."""

    regex = "|".join(consoles.OPERATED)


register_converter(WorkloadVerb, "workload_verb")
register_converter(WatchedConsole, "watched_console")
register_converter(OperatedConsole, "operated_console")

urlpatterns = [
    path("workloads/", workloads.workload_list, name="workloads"),
    path("workloads/choose/", choosing.choose, name="workload-choose"),
    path("workloads/measure/", choosing.measure, name="workload-measure"),
    path("workloads/bulk/", bulk.workloads_bulk, name="workloads-bulk"),
    path("workloads/new/vm/", creation.vm_new, name="vm-new"),
    path("workloads/new/container/", creation.container_new, name="container-new"),
    path("workloads/<uuid:uuid>/", workloads.workload_page, name="workload"),
    path("workloads/<uuid:uuid>/<workload_verb:verb>/", verbs.workload_verb, name="workload-verb"),
    path("workloads/<uuid:uuid>/move/", workloads.workload_move, name="workload-move"),
    path("workloads/<uuid:uuid>/resize/", workloads.workload_resize, name="workload-resize"),
    path("workloads/<uuid:uuid>/rename/", renewal.workload_rename, name="workload-rename"),
    path("workloads/<uuid:uuid>/recreate/", renewal.container_recreate, name="container-recreate"),
    path("workloads/<uuid:uuid>/grow-disk/", workloads.disk_grow, name="workload-grow-disk"),
    path("workloads/<uuid:uuid>/cdrom/", cdroms.cdrom_change, name="workload-cdrom"),
    path("workloads/<uuid:uuid>/clone/", copies.vm_clone, name="vm-clone"),
    path("workloads/<uuid:uuid>/save-image/", copies.vm_save_image, name="vm-save-image"),
    path("workloads/<uuid:uuid>/backups/", backups.vm_back_up, name="vm-back-up"),
    path("workloads/<uuid:uuid>/disks/", devices.disk_add, name="disk-add"),
    path("workloads/<uuid:uuid>/disks/<slug:target>/detach/", devices.disk_detach, name="disk-detach"),
    path("workloads/<uuid:uuid>/nics/", devices.nic_add, name="nic-add"),
    path("workloads/<uuid:uuid>/nics/detach/", devices.nic_detach, name="nic-detach"),
    path("workloads/<uuid:uuid>/snapshots/", snapshots.snapshot_take, name="snapshot-take"),
    path("workloads/<uuid:uuid>/snapshots/<int:number>/revert/", snapshots.snapshot_revert, name="snapshot-revert"),
    path("workloads/<uuid:uuid>/snapshots/<int:number>/delete/", snapshots.snapshot_delete, name="snapshot-delete"),
    path("workloads/<uuid:uuid>/pin/", workloads.workload_pin, name="workload-pin"),
    path("workloads/<uuid:uuid>/expiry/", workloads.workload_expire, name="workload-expiry"),
    path("workloads/<uuid:uuid>/keep-apart/", workloads.workload_keep_apart, name="workload-keep-apart"),
    path("workloads/<uuid:uuid>/console/<watched_console:kind>/", consoles.workload_console, name="workload-console"),
    path("workloads/<uuid:uuid>/console/<operated_console:kind>/", consoles.workload_program, name="workload-program"),
    path("consoles/<uuid:uuid>/end/", consoles.console_end, name="console-end"),
    path("console-logs/<uuid:uuid>/remove/", consoles.console_log_remove, name="console-log-remove"),
    path("backups/", backups.backup_list, name="backups"),
    path("backups/<uuid:uuid>/restore/", backups.backup_restore, name="backup-restore"),
    path("backups/<uuid:uuid>/verify/", backups.backup_verify, name="backup-verify"),
    path("backups/<uuid:uuid>/delete/", backups.backup_delete, name="backup-delete"),
    path("hosts/<uuid:uuid>/find-backups/", backups.backups_find, name="backups-find"),
    path("hosts/<uuid:uuid>/backup-folder/", backups.backup_folder_set, name="backup-folder"),
    path("schedules/", schedules.schedule_list, name="schedules"),
    path("schedules/new/", schedules.schedule_new, name="schedule-new"),
    path("schedules/<uuid:uuid>/", schedules.schedule_page, name="schedule"),
    path("schedules/<uuid:uuid>/enable/", schedules.schedule_enable, name="schedule-enable"),
    path("schedules/<uuid:uuid>/delete/", schedules.schedule_delete, name="schedule-delete"),
    path("container-images/", container_images.image_list, name="container-images"),
    path("container-images/pull/", container_images.image_pull, name="container-image-pull"),
    path("container-images/<uuid:uuid>/remove/", container_images.image_remove, name="container-image-remove"),
    path("templates/", templates.template_list, name="templates"),
    path("templates/<uuid:uuid>/remove/", templates.template_remove, name="template-remove"),
    path("flavours/new/", templates.flavour_add, name="flavour-add"),
    path("flavours/<uuid:uuid>/remove/", templates.flavour_remove, name="flavour-remove"),
    path("registries/new/", container_images.registry_new, name="registry-new"),
    path("registries/<uuid:uuid>/", container_images.registry_edit, name="registry-edit"),
    path("registries/<uuid:uuid>/remove/", container_images.registry_remove, name="registry-remove"),
    path("storage/", storage.storage, name="storage"),
    path("storage/files/<uuid:uuid>/remove/", storage.pool_file_remove, name="pool-file-remove"),
    path("images/", images.image_list, name="images"),
    path("images/new/", images.image_new, name="image-new"),
    path("images/fetch/", images.image_fetch, name="image-fetch"),
    path("image-uploads/<uuid:uuid>/give-up/", images.image_give_up, name="image-give-up"),
    path("images/<uuid:uuid>/remove/", images.image_remove, name="image-remove"),
]
