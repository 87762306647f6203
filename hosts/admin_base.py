"""What every model's admin shares: rights through may(), changes in the audit log."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from hosts.access import may
from hosts.audit import audit_write


class ReadOnlyAdmin(admin.ModelAdmin):
    """To look at, by administrators; nothing is added, changed or deleted here."""

    list_per_page = 50
    show_full_result_count = False

    def has_module_permission(self, request: HttpRequest) -> bool:
        return may(request.user, "administer")

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return may(request.user, "administer", obj)

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


class AuditedAdmin(ReadOnlyAdmin):
    """To change, by administrators; every change leaves a record that names the fields, never their values."""

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return may(request.user, "administer")

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return may(request.user, "administer", obj)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return may(request.user, "administer", obj)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        verb = "admin_change" if change else "admin_add"
        audit_write(request.user, verb, obj._meta.model_name, obj.pk, str(obj)[:200], fields=list(form.changed_data))

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        audit_write(request.user, "admin_delete", obj._meta.model_name, obj.pk, str(obj)[:200])
        super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        for obj in queryset:
            audit_write(request.user, "admin_delete", obj._meta.model_name, obj.pk, str(obj)[:200])
        super().delete_queryset(request, queryset)
