"""A rule that tells some days before a host with another job is due back."""

from django.db import migrations, models


RULE = {"name": "Host is due back", "kind": "event", "event": "host_due", "severity": "info", "threshold": 3.0}


def rule_make(apps, schema_editor):
    apps.get_model("datacenter", "AlertRule").objects.get_or_create(name=RULE["name"], defaults=RULE)


class Migration(migrations.Migration):

    dependencies = [
        ('datacenter', '0026_losses'),
    ]

    operations = [
        migrations.AlterField(
            model_name='alertrule',
            name='event',
            field=models.CharField(blank=True, choices=[('host_lost', 'a host is lost'), ('workload_crashed', 'a VM or container crashed'), ('operation_stuck', 'an operation needs attention'), ('pool_nearly_full', 'a pool is nearly full'), ('full_soon', 'a forecast says full soon'), ('plan_waits', 'a plan of the autopilot waits for approval'), ('workload_expires', 'the time of a VM or container is nearly over'), ('host_due', 'a host with another job is due back'), ('alerting_blind', 'alerting is blind')], max_length=20),
        ),
        migrations.RunPython(rule_make, migrations.RunPython.noop),
    ]
