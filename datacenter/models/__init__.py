from datacenter.models.plan import Plan, PlanAction
from datacenter.models.policy import Policy, Tariff
from datacenter.models.question import Question

__all__ = ["Plan", "PlanAction", "Policy", "Question", "Tariff"]
