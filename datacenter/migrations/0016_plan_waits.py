"""A rule for plans of the autopilot that wait for approval; like the first ones it goes to no channel."""

from django.db import migrations

RULE = {"name": "Plan waits for approval", "kind": "event", "event": "plan_waits", "severity": "info"}


def rule_make(apps, schema_editor):
    apps.get_model("datacenter", "AlertRule").objects.get_or_create(name=RULE["name"], defaults=RULE)


class Migration(migrations.Migration):
    dependencies = [("datacenter", "0015_autopilot")]

    operations = [migrations.RunPython(rule_make, migrations.RunPython.noop)]
