"""What the autopilot may do at each site, and what it decided, with its reasons."""

from __future__ import annotations

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from datacenter.models.plan import Plan
from datacenter.models.policy import Policy
from hosts.models import Site


class Autopilot(models.Model):
    """One row a site; a site without one is left alone."""

    class Mode(models.TextChoices):
        OFF = "off", "off"
        RECOMMEND = "recommend", "recommend"
        APPROVE = "approve", "ask for approval"
        AUTOMATIC = "automatic", "automatic"

    site = models.OneToOneField(Site, on_delete=models.CASCADE, related_name="autopilot")
    packing = models.CharField(max_length=9, choices=Mode, default=Mode.OFF)
    relief = models.CharField(max_length=9, choices=Mode, default=Mode.OFF)
    time_zone = models.CharField(max_length=50, default="UTC")
    windows = models.TextField(blank=True)  # datacenter.hours
    cool_down_minutes = models.PositiveIntegerField(default=30, validators=[MaxValueValidator(7 * 1440)])
    moves_per_hour = models.PositiveIntegerField(default=20, validators=[MinValueValidator(1), MaxValueValidator(1000)])
    pays_back_hours = models.FloatField(default=12, validators=[MinValueValidator(0.1), MaxValueValidator(8760)])
    overloaded_for_s = models.PositiveIntegerField(
        default=120, validators=[MinValueValidator(15), MaxValueValidator(3600)]
    )
    looked_at = models.DateTimeField(null=True, blank=True)  # whoever moves it on looks
    packed_at = models.DateTimeField(null=True, blank=True)  # when freeing hosts was looked into last
    foresaw_at = models.DateTimeField(null=True, blank=True)  # when the coming hours were looked into last
    overloaded_since = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"autopilot of {self.site}"

    def mode_for(self, goal: str) -> str:
        """How far it may go with that goal: where the policy asks for two people, automatic is asking for approval."""
        mode = self.relief if goal == "relieve" else self.packing
        if mode == self.Mode.AUTOMATIC and Policy.objects.filter(site=self.site, two_people=True).exists():
            return self.Mode.APPROVE
        return mode

    @property
    def is_on(self) -> bool:
        return self.packing != self.Mode.OFF or self.relief != self.Mode.OFF


class AutopilotDecision(models.Model):
    """What it did, or why it did not. The same again only moves `last_at` on."""

    class Goal(models.TextChoices):
        ANY = "any", "anything"
        PACK = "pack", "free hosts"
        RELIEVE = "relieve", "relieve hosts"
        SPREAD = "spread", "spread work"

    class Outcome(models.TextChoices):
        NOTHING = "nothing", "nothing to do"
        WAITS = "waits", "waits"
        RECOMMENDED = "recommended", "recommended a plan"
        ASKED = "asked", "asks for approval"
        BEGAN = "began", "began a plan"
        WOKE = "woke", "wakes a host"
        STOPPED = "stopped", "stopped a plan"
        FAILED = "failed", "could not"

    site = models.ForeignKey(Site, on_delete=models.CASCADE, related_name="autopilot_decisions")
    goal = models.CharField(max_length=7, choices=Goal)
    outcome = models.CharField(max_length=11, choices=Outcome)
    sentence = models.TextField()
    plan = models.ForeignKey(Plan, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    first_at = models.DateTimeField()
    last_at = models.DateTimeField()
    times = models.PositiveIntegerField(default=1)

    class Meta:
        ordering = ["-last_at", "-pk"]
        indexes = [models.Index(fields=["site", "-last_at"])]

    def __str__(self) -> str:
        return f"{self.site}: {self.sentence}"
