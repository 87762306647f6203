"""The three roles as groups (hosts/access.py)."""

from django.conf import settings
from django.db import migrations

ROLES = ("viewer", "operator", "administrator")


def roles_make(apps, schema_editor):
    group = apps.get_model("auth", "Group")
    for name in ROLES:
        group.objects.get_or_create(name=name)


class Migration(migrations.Migration):
    dependencies = [
        ("hosts", "0001_initial"),
        ("auth", "0012_alter_user_first_name_max_length"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    # Not undone: users may have been put into the groups.
    operations = [migrations.RunPython(roles_make, migrations.RunPython.noop)]
