"""The admin of this floor's models: policies and tariffs to change, plans and the schedule to look at."""

from __future__ import annotations

from django.contrib import admin
from django_celery_beat import models as beat

from datacenter.models import (
    Alert,
    AlertNotice,
    AlertRule,
    ApiToken,
    Autopilot,
    AutopilotDecision,
    DemandProfile,
    LossOutlook,
    MaintenanceMember,
    MaintenanceRun,
    NotificationChannel,
    OffInterval,
    Plan,
    PlanAction,
    Policy,
    Question,
    RecoveredWorkload,
    Recovery,
    SavedDay,
    Silence,
    Tariff,
)
from hosts.admin_base import AuditedAdmin, ReadOnlyAdmin


@admin.register(Policy)
class PolicyAdmin(AuditedAdmin):
    list_display = ("site", "cpu_headroom_percent", "memory_headroom_percent", "cpu_overcommit")


@admin.register(Tariff)
class TariffAdmin(AuditedAdmin):
    list_display = ("site", "price_per_kwh", "currency", "carbon_g_per_kwh", "pue")


@admin.register(OffInterval)
class OffIntervalAdmin(ReadOnlyAdmin):
    list_display = ("host_name", "site", "began_at", "ended_at", "idle_watts", "is_measured")
    list_select_related = ("site",)


@admin.register(SavedDay)
class SavedDayAdmin(ReadOnlyAdmin):
    list_display = ("day", "interval", "kwh", "predicted_kwh", "money", "currency", "is_measured")
    list_select_related = ("interval",)


@admin.register(Plan)
class PlanAdmin(ReadOnlyAdmin):
    list_display = ("site", "state", "hosts_on_before", "hosts_on_after", "requested_by_name", "created_at")
    list_filter = ("state", "site")
    list_select_related = ("site",)


@admin.register(PlanAction)
class PlanActionAdmin(ReadOnlyAdmin):
    list_display = ("plan", "number", "kind", "workload_name", "state")
    list_filter = ("state",)
    list_select_related = ("plan__site",)


@admin.register(Question)
class QuestionAdmin(ReadOnlyAdmin):
    list_display = ("title", "site", "state", "asked_by_name", "created_at")
    list_filter = ("state", "kind", "site")
    list_select_related = ("site",)


@admin.register(ApiToken)
class ApiTokenAdmin(ReadOnlyAdmin):
    exclude = ("secret_sha256",)
    list_display = ("name", "scope", "owner", "expires_at", "last_used_at", "revoked_at")
    list_select_related = ("owner",)


@admin.register(AlertRule)
class AlertRuleAdmin(ReadOnlyAdmin):
    """To look at: rules are edited on their page, which ends the alerts of what is no longer watched."""

    list_display = ("name", "severity", "is_enabled", "evaluated_at")
    list_filter = ("is_enabled", "severity")


@admin.register(Alert)
class AlertAdmin(ReadOnlyAdmin):
    list_display = ("rule_name", "thing_name", "state", "severity", "since", "resolved_at")
    list_filter = ("state", "severity", "site")


@admin.register(Silence)
class SilenceAdmin(ReadOnlyAdmin):
    list_display = ("reason", "by_name", "created_at", "until")


@admin.register(NotificationChannel)
class NotificationChannelAdmin(ReadOnlyAdmin):
    """The address stays where it is: encrypted, in no form and no list."""

    list_display = ("name", "kind", "shown", "is_enabled", "last_sent_at")
    fields = ("name", "kind", "shown", "is_enabled", "last_sent_at", "failure")


@admin.register(AlertNotice)
class AlertNoticeAdmin(ReadOnlyAdmin):
    list_display = ("alert", "channel", "event", "state", "attempts", "created_at", "sent_at")
    list_filter = ("state", "event", "channel")
    list_select_related = ("alert", "channel")


@admin.register(Autopilot)
class AutopilotAdmin(ReadOnlyAdmin):
    list_display = ("site", "packing", "relief", "time_zone")


@admin.register(AutopilotDecision)
class AutopilotDecisionAdmin(ReadOnlyAdmin):
    list_display = ("site", "goal", "outcome", "sentence", "first_at", "last_at")
    list_filter = ("outcome",)
    list_select_related = ("site",)


@admin.register(LossOutlook)
class LossOutlookAdmin(ReadOnlyAdmin):
    list_display = ("site", "survivable", "looked_at", "took_s")
    list_select_related = ("site",)


@admin.register(Recovery)
class RecoveryAdmin(ReadOnlyAdmin):
    list_display = ("host", "state", "lost_since", "fenced_at", "finished_at")
    list_filter = ("state",)
    list_select_related = ("host",)


@admin.register(RecoveredWorkload)
class RecoveredWorkloadAdmin(ReadOnlyAdmin):
    list_display = ("name", "recovery", "state", "target")
    list_filter = ("state",)
    list_select_related = ("recovery__host", "target")


@admin.register(MaintenanceRun)
class MaintenanceRunAdmin(ReadOnlyAdmin):
    list_display = ("about", "hook", "state", "user_name", "created_at", "finished_at")
    list_filter = ("state",)


@admin.register(MaintenanceMember)
class MaintenanceMemberAdmin(ReadOnlyAdmin):
    list_display = ("host_name", "run", "number", "state", "finished_at")
    list_filter = ("state",)
    list_select_related = ("run",)


@admin.register(DemandProfile)
class DemandProfileAdmin(ReadOnlyAdmin):
    exclude = ("hours",)
    list_display = ("workload", "resource", "refreshed_until")
    list_filter = ("resource",)
    list_select_related = ("workload",)


# The schedule is the program's: whoever could write it could have any task run with any argument.
for _model in (
    beat.PeriodicTask,
    beat.IntervalSchedule,
    beat.CrontabSchedule,
    beat.SolarSchedule,
    beat.ClockedSchedule,
):
    if admin.site.is_registered(_model):
        admin.site.unregister(_model)
    admin.site.register(_model, ReadOnlyAdmin)
