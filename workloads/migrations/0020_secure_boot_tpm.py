from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('workloads', '0019_next_size_why'),
    ]

    operations = [
        migrations.AlterField(
            model_name='virtualmachine',
            name='firmware',
            field=models.CharField(choices=[('bios', 'BIOS'), ('uefi', 'UEFI'), ('uefi-secure', 'UEFI with secure boot')], default='bios', max_length=11),
        ),
        migrations.AddField(
            model_name='virtualmachine',
            name='has_tpm',
            field=models.BooleanField(default=False),
        ),
    ]
