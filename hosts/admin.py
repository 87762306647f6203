"""The admin of this floor's models, and of users. Machines are changed on their pages, by services, not here."""

from __future__ import annotations

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group, User

from hosts.admin_base import AuditedAdmin, ReadOnlyAdmin
from hosts.models import (
    AuditRecord,
    Bmc,
    BmcProposal,
    Decommission,
    Entry,
    Host,
    HostJob,
    Lease,
    Operation,
    Plane,
    Pool,
    PoolFile,
    PoolMount,
    Rack,
    Site,
    Wake,
)

admin.site.unregister(User)
admin.site.unregister(Group)


@admin.register(User)
class PeopleAdmin(AuditedAdmin, UserAdmin):
    """Users and their roles; a role is a group."""

    list_display = ("username", "roles", "is_active", "last_login")
    list_filter = ("groups", "is_active")
    fieldsets = (
        (None, {"fields": ("username", "password")}),
        ("Person", {"fields": ("first_name", "last_name", "email")}),
        ("Role", {"fields": ("is_active", "groups")}),
    )
    readonly_fields = ("last_login",)

    @admin.display
    def roles(self, user: User) -> str:
        return ", ".join(group.name for group in user.groups.all()) or (
            "administrator" if user.is_superuser else "none"
        )


@admin.register(Group)
class RoleAdmin(ReadOnlyAdmin, GroupAdmin):
    """The three roles; what they may is decided by hosts.access, not by Django's permissions."""

    fields = ("name",)


@admin.register(Site)
class SiteAdmin(AuditedAdmin):
    list_display = ("name", "description")


@admin.register(Rack)
class RackAdmin(AuditedAdmin):
    list_display = ("name", "site")
    list_filter = ("site",)


@admin.register(Host)
class HostAdmin(ReadOnlyAdmin):
    list_display = ("name", "rack", "lifecycle", "power", "is_in_maintenance", "last_seen_at")
    list_filter = ("lifecycle", "power", "rack__site")
    search_fields = ("name", "management_address", "machine_id")


@admin.register(Bmc)
class BmcAdmin(ReadOnlyAdmin):
    """The password stays where it is: encrypted, in no form and no list."""

    list_display = ("host", "url", "system", "username")
    fields = ("host", "url", "system", "username")


@admin.register(BmcProposal)
class BmcProposalAdmin(ReadOnlyAdmin):
    list_display = ("operation", "url", "system", "username")
    fields = ("operation", "url", "system", "username")
    list_select_related = ("operation",)


@admin.register(Plane)
class PlaneAdmin(ReadOnlyAdmin):
    list_display = ("name", "kind", "created_at", "last_used_at")
    fields = ("kind", "name", "created_at", "last_used_at")


@admin.register(Pool)
class PoolAdmin(ReadOnlyAdmin):
    list_display = ("name", "pool_id")


@admin.register(PoolMount)
class PoolMountAdmin(ReadOnlyAdmin):
    list_display = ("pool", "host", "path", "capacity_gib", "free_gib")


@admin.register(PoolFile)
class PoolFileAdmin(ReadOnlyAdmin):
    list_display = ("name", "pool", "size_bytes", "used_bytes", "changed_at")
    list_select_related = ("pool",)


@admin.register(Operation)
class OperationAdmin(ReadOnlyAdmin):
    list_display = ("kind", "subject_name", "state", "requested_by_name", "created_at")
    list_filter = ("state", "kind")
    search_fields = ("subject_name", "uuid")


@admin.register(Entry)
class EntryAdmin(ReadOnlyAdmin):
    list_display = ("operation", "number", "kind", "step", "attempt", "created_at")
    list_filter = ("kind",)
    list_select_related = ("operation",)


@admin.register(Lease)
class LeaseAdmin(ReadOnlyAdmin):
    list_display = ("thing_kind", "thing_id", "operation", "generation")
    list_select_related = ("operation",)


@admin.register(Wake)
class WakeAdmin(ReadOnlyAdmin):
    list_display = ("host", "began_at", "origin", "passed", "seconds")
    list_filter = ("passed", "origin")
    list_select_related = ("host",)


@admin.register(AuditRecord)
class AuditRecordAdmin(ReadOnlyAdmin):
    list_display = ("at", "user_name", "verb", "thing_kind", "thing_name")
    list_filter = ("verb", "thing_kind")
    search_fields = ("thing_name", "user_name")


@admin.register(HostJob)
class HostJobAdmin(ReadOnlyAdmin):
    list_display = ("host", "kind", "note", "until", "given_by_name")
    list_select_related = ("host",)


@admin.register(Decommission)
class DecommissionAdmin(ReadOnlyAdmin):
    list_display = ("host_name", "at")
