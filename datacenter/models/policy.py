"""How a site may be consolidated, and what its energy costs."""

from __future__ import annotations

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from hosts.models import Site

percent = [MinValueValidator(0), MaxValueValidator(90)]


class Policy(models.Model):
    """How full hosts may get, what must survive, and what a plan may cost; one row a site.

    An empty limit is none.
    """

    class Objective(models.TextChoices):
        HOSTS = "hosts", "fewest hosts on"
        WATTS = "watts", "fewest watts"
        MONEY = "money", "least money for energy"

    class DemandBy(models.TextChoices):
        ALLOCATION = "allocation", "what workloads were promised"
        P95 = "p95", "p95 of what they used"
        PROFILES = "profiles", "what they use in each hour of the week"

    class RecoverLost(models.TextChoices):
        OFF = "off", "never"
        ASK = "ask", "when a person says so"
        AUTOMATIC = "automatic", "by itself"

    class WakeProof(models.TextChoices):
        NEVER = "never", "no plan"
        AUTOMATIC = "automatic", "plans that no person approved"
        ALWAYS = "always", "every plan"

    site = models.OneToOneField(Site, on_delete=models.CASCADE, related_name="policy")
    demand_by = models.CharField(max_length=10, choices=DemandBy.choices, default=DemandBy.P95)
    overload_risk_percent = models.FloatField(default=1, validators=[MinValueValidator(0), MaxValueValidator(50)])
    cpu_headroom_percent = models.FloatField(default=20, validators=percent)
    memory_headroom_percent = models.FloatField(default=15, validators=percent)
    disk_headroom_percent = models.FloatField(default=10, validators=percent)
    cpu_overcommit = models.FloatField(default=4, validators=[MinValueValidator(1), MaxValueValidator(64)])
    moves_in_per_host = models.PositiveSmallIntegerField(default=2, validators=[MinValueValidator(1)])
    moves_out_per_host = models.PositiveSmallIntegerField(default=2, validators=[MinValueValidator(1)])
    objective = models.CharField(max_length=10, choices=Objective.choices, default=Objective.HOSTS)
    spare_hosts = models.PositiveSmallIntegerField(default=0, validators=[MaxValueValidator(100)])
    survive_failures = models.PositiveSmallIntegerField(default=0, validators=[MaxValueValidator(3)])
    survive_rack = models.BooleanField(default=False)
    max_moves = models.PositiveIntegerField(null=True, blank=True, validators=[MinValueValidator(1)])
    max_moved_gib = models.FloatField(null=True, blank=True, validators=[MinValueValidator(0.1)])
    max_minutes = models.FloatField(null=True, blank=True, validators=[MinValueValidator(1)])
    break_even_hours = models.FloatField(null=True, blank=True, validators=[MinValueValidator(0.1)])
    recover_lost_hosts = models.CharField(max_length=9, choices=RecoverLost.choices, default=RecoverLost.ASK)
    lost_after_s = models.PositiveIntegerField(default=60, validators=[MinValueValidator(15), MaxValueValidator(3600)])
    two_people = models.BooleanField(default=False)  # who asked for a plan does not approve it
    require_wake_proof = models.CharField(max_length=9, choices=WakeProof.choices, default=WakeProof.AUTOMATIC)
    wake_proof_days = models.PositiveSmallIntegerField(
        default=30, validators=[MinValueValidator(1), MaxValueValidator(180)]
    )
    drill_every_days = models.PositiveSmallIntegerField(
        null=True, blank=True, validators=[MinValueValidator(1), MaxValueValidator(180)]
    )
    history_hours = models.PositiveIntegerField(default=168, validators=[MinValueValidator(1)])

    class Meta:
        verbose_name_plural = "policies"

    @property
    def percentile(self) -> str:
        """Which figure of an hour keeps the risk: the planner's own steps (planner/demand.py, hours_known)."""
        steps = ((50.0, "median"), (5.0, "p95"), (1.0, "p99"))
        return next((name for risk, name in steps if self.overload_risk_percent >= risk), "peak")

    def __str__(self) -> str:
        return f"policy of {self.site}"


class Tariff(models.Model):
    """What a kilowatt-hour costs at a site, in money and in CO2."""

    site = models.OneToOneField(Site, on_delete=models.CASCADE, related_name="tariff")
    currency = models.CharField(max_length=3, default="EUR")
    price_per_kwh = models.DecimalField(
        max_digits=8, decimal_places=4, default="0.25", validators=[MinValueValidator(0)]
    )
    carbon_g_per_kwh = models.FloatField(default=300, validators=[MinValueValidator(0)])
    # power usage effectiveness: what the building draws for each watt of IT
    pue = models.FloatField(default=1.5, validators=[MinValueValidator(1), MaxValueValidator(5)])

    def __str__(self) -> str:
        return f"tariff of {self.site}"
