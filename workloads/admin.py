"""The admin of this floor's models. Workloads are changed on their pages, by services, not here."""

from __future__ import annotations

from django.contrib import admin

from hosts.admin_base import ReadOnlyAdmin
from workloads.models import (
    Backup,
    BackupFolder,
    Console,
    ConsoleLog,
    Container,
    Flavour,
    HostImage,
    Image,
    ImageArrival,
    Measurement,
    Registry,
    Schedule,
    ScheduleRun,
    Sighting,
    Snapshot,
    Template,
    VirtualMachine,
    VmSeed,
    Workload,
)


@admin.register(Workload)
class WorkloadAdmin(ReadOnlyAdmin):
    list_display = ("name", "kind", "host", "desired", "state", "is_pinned", "is_adopted")
    list_filter = ("kind", "state", "is_pinned")
    list_select_related = ("host",)
    search_fields = ("name", "uuid")


@admin.register(VirtualMachine)
class VirtualMachineAdmin(ReadOnlyAdmin):
    list_display = ("name", "host", "state", "cpu_cores", "memory_mib")
    list_select_related = ("host",)
    search_fields = ("name", "uuid")


@admin.register(Snapshot)
class SnapshotAdmin(ReadOnlyAdmin):
    list_display = ("name", "vm", "taken_at", "has_memory", "is_current")
    list_select_related = ("vm",)
    search_fields = ("name", "vm__name")


@admin.register(Backup)
class BackupAdmin(ReadOnlyAdmin):
    list_display = ("vm_name", "taken_at", "kind", "host_name", "folder", "state", "verified_at")
    list_filter = ("kind", "state")
    search_fields = ("vm_name", "vm_uuid")
    list_select_related = ("parent",)


@admin.register(BackupFolder)
class BackupFolderAdmin(ReadOnlyAdmin):
    list_display = ("host", "path")
    list_select_related = ("host",)


@admin.register(Schedule)
class ScheduleAdmin(ReadOnlyAdmin):
    """What a new workload is to be made of may carry passwords: it is not shown."""

    list_display = ("name", "verb", "workload", "cron", "time_zone", "next_due_at", "is_enabled", "owner_name")
    list_select_related = ("workload",)
    exclude = ("wish", "secret_encrypted")


@admin.register(ImageArrival)
class ImageArrivalAdmin(ReadOnlyAdmin):
    list_display = ("name", "format", "size_bytes", "owner_name", "began_at", "touched_at")


@admin.register(Measurement)
class MeasurementAdmin(ReadOnlyAdmin):
    list_display = ("kind", "host", "image_name", "start_s", "used_mib", "disk_mib", "taken_at")
    list_select_related = ("host",)


@admin.register(Template)
class TemplateAdmin(ReadOnlyAdmin):
    """What it makes may carry passwords in its environment: it is not shown."""

    list_display = ("name", "version", "kind", "note", "made_by_name", "created_at")
    exclude = ("wish",)


@admin.register(Flavour)
class FlavourAdmin(ReadOnlyAdmin):
    list_display = ("name", "cpu_cores", "memory_mib", "disk_gib")


@admin.register(ScheduleRun)
class ScheduleRunAdmin(ReadOnlyAdmin):
    list_display = ("schedule", "due_at", "begun_at", "operation", "sentence")
    list_select_related = ("schedule", "operation")


@admin.register(VmSeed)
class VmSeedAdmin(ReadOnlyAdmin):
    """That there is one, and never what is in it."""

    list_display = ("vm",)
    fields = ("vm",)
    list_select_related = ("vm",)


@admin.register(Container)
class ContainerAdmin(ReadOnlyAdmin):
    """The environment often carries passwords: it is not shown."""

    list_display = ("name", "host", "state", "image_reference")
    list_select_related = ("host",)
    search_fields = ("name", "uuid")
    exclude = ("environment",)


@admin.register(Sighting)
class SightingAdmin(ReadOnlyAdmin):
    list_display = ("workload", "host", "state", "reason", "observed_at")
    list_select_related = ("workload", "host")


@admin.register(Image)
class ImageAdmin(ReadOnlyAdmin):
    list_display = ("name", "format", "reference", "size_bytes")


@admin.register(HostImage)
class HostImageAdmin(ReadOnlyAdmin):
    list_display = ("label", "host", "size_bytes")
    list_select_related = ("host",)


@admin.register(Registry)
class RegistryAdmin(ReadOnlyAdmin):
    """Its password is shown nowhere."""

    list_display = ("address", "username", "changed_at")
    fields = ("address", "username", "changed_at")


@admin.register(Console)
class ConsoleAdmin(ReadOnlyAdmin):
    """Tickets and consoles, without the hashes by which they are known."""

    list_display = ("kind", "thing_name", "user", "is_view_only", "used_at", "ended_at", "end_sentence")
    list_filter = ("kind",)
    list_select_related = ("user",)
    search_fields = ("thing_name", "user__username")
    exclude = ("secret_sha256", "session_sha256")


@admin.register(ConsoleLog)
class ConsoleLogAdmin(ReadOnlyAdmin):
    list_display = ("thing_name", "user_name", "began_at", "ended_at", "size_bytes")
    search_fields = ("thing_name", "user_name")
