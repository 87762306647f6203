"""The rules that a fresh installation begins with. They go to no channel: they show on the pages until somebody adds one."""

from django.db import migrations

RULES = (
    {"name": "Host lost", "kind": "event", "event": "host_lost", "severity": "critical"},
    {"name": "VM or container crashed", "kind": "event", "event": "workload_crashed", "severity": "critical"},
    {"name": "Operation needs attention", "kind": "event", "event": "operation_stuck", "severity": "warning"},
    {
        "name": "Pool nearly full",
        "kind": "event",
        "event": "pool_nearly_full",
        "threshold": 85.0,
        "for_s": 300,
        "severity": "warning",
    },
    {
        "name": "Full within a week",
        "kind": "event",
        "event": "full_soon",
        "threshold": 7.0,
        "for_s": 1800,
        "severity": "warning",
    },
    {
        "name": "Host memory nearly used up",
        "kind": "metric",
        "metric": "stowage_host_memory_used_ratio",
        "threshold": 95.0,
        "for_s": 600,
        "severity": "critical",
    },
    {
        "name": "Host CPU at its limit",
        "kind": "metric",
        "metric": "stowage_host_cpu_used_ratio",
        "threshold": 95.0,
        "for_s": 900,
        "severity": "warning",
    },
    {"name": "Alerting is blind", "kind": "event", "event": "alerting_blind", "for_s": 60, "severity": "critical"},
)


def rules_make(apps, schema_editor):
    rule = apps.get_model("datacenter", "AlertRule")
    for values in RULES:
        rule.objects.get_or_create(name=values["name"], defaults=values)


class Migration(migrations.Migration):
    dependencies = [("datacenter", "0008_alerts")]

    # Not undone: a rule may have been edited since.
    operations = [migrations.RunPython(rules_make, migrations.RunPython.noop)]
