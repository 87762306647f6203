"""Where hosts stand: sites and their racks."""

from __future__ import annotations

from django.core.validators import RegexValidator
from django.db import models

# Names become queue names, host names and file names; source: attacks.md S1, RFC 1123 2.1.
NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$"
name_validator = RegexValidator(
    NAME_PATTERN, "Begin with a letter or digit; use letters, digits, dots, dashes, underscores; at most 63."
)


class Site(models.Model):
    """A location with its own tariff, BMC network and site plane."""

    name = models.CharField(max_length=63, unique=True, validators=[name_validator])
    description = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Rack(models.Model):
    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="racks")
    name = models.CharField(max_length=63, validators=[name_validator])

    class Meta:
        ordering = ["site__name", "name"]
        constraints = [models.UniqueConstraint(fields=["site", "name"], name="rack_name_unique_in_site")]

    def __str__(self) -> str:
        return f"{self.site}/{self.name}"
