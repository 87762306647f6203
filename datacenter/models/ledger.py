"""The savings ledger: when a plan kept which host off, and what that saved on each day.

Kept in rows of their own, so that the ledger outlives the metrics, the plan, the host and a change of the tariff.
"""

from __future__ import annotations

from django.db import models

from datacenter.models.plan import Plan, PlanAction
from hosts.models import Host, Site


class OffInterval(models.Model):
    """A host off because of a plan, from `began_at` to `ended_at` (empty: it still is)."""

    site = models.ForeignKey(Site, on_delete=models.CASCADE, related_name="off_intervals")
    action = models.OneToOneField(PlanAction, null=True, on_delete=models.SET_NULL, related_name="off_interval")
    plan = models.ForeignKey(Plan, null=True, on_delete=models.SET_NULL, related_name="off_intervals")
    host = models.ForeignKey(Host, null=True, on_delete=models.SET_NULL, related_name="off_intervals")
    host_name = models.CharField(max_length=63)
    began_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    idle_watts = models.FloatField()  # what it would draw if it were on with nothing to do
    is_measured = models.BooleanField(default=False)  # by its BMC; else by its power model
    predicted_watts = models.FloatField()  # its part of what the plan said
    rack_units = models.PositiveSmallIntegerField()
    cores = models.FloatField()

    class Meta:
        ordering = ["-began_at", "-pk"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(ended_at=None) | models.Q(ended_at__gte=models.F("began_at")),
                name="off_interval_ends_after_it_began",
            )
        ]

    def __str__(self) -> str:
        return f"{self.host_name} off from {self.began_at:%Y-%m-%d %H:%M}"


class SavedDay(models.Model):
    """What an interval saved on one day (UTC), at the tariff of the time when the day was closed. Never changed."""

    interval = models.ForeignKey(OffInterval, on_delete=models.CASCADE, related_name="days")
    day = models.DateField(db_index=True)
    seconds = models.FloatField()
    watts = models.FloatField()  # at the server, less what it draws while it is off
    is_measured = models.BooleanField()
    kwh = models.FloatField()  # with the PUE, as all that follows
    predicted_kwh = models.FloatField()
    money = models.FloatField()
    currency = models.CharField(max_length=3)
    co2_kg = models.FloatField()

    class Meta:
        ordering = ["day", "pk"]
        constraints = [models.UniqueConstraint(fields=["interval", "day"], name="saved_day_once")]

    def __str__(self) -> str:
        return f"{self.interval.host_name} {self.day}: {self.kwh:.2f} kWh"
