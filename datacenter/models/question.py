"""Questions to the planner that change nothing, and what it answered."""

from __future__ import annotations

import uuid

from django.db import models

from hosts.models import Site


class Question(models.Model):
    """`parameters` are the ids and numbers that were asked about; `title` is the question as a person reads it."""

    class Kind(models.TextChoices):
        FIT = "fit", "how many more like this fit"
        LOSE = "lose", "what may be lost"
        RETIRE = "retire", "what could be retired"
        SIZES = "sizes", "which sizes are wrong"
        WHAT_IF = "what_if", "what if"
        BACKTEST = "backtest", "what a policy would have done"

    class State(models.TextChoices):
        ASKED = "asked", "being answered"
        ANSWERED = "answered", "answered"
        FAILED = "failed", "not answered"

    uuid = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    site = models.ForeignKey(Site, on_delete=models.CASCADE, related_name="questions")
    kind = models.CharField(max_length=8, choices=Kind)
    parameters = models.JSONField(default=dict)
    title = models.CharField(max_length=500)
    state = models.CharField(max_length=8, choices=State, default=State.ASKED, db_index=True)
    sentence = models.TextField(blank=True)  # the answer, or why there is none
    lines = models.JSONField(default=list)  # [{"label", "text"}], what the answer rests on
    asked_by_name = models.CharField(max_length=150)
    created_at = models.DateTimeField(auto_now_add=True)
    answered_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return self.title
