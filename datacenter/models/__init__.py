from datacenter.models.plan import Plan, PlanAction
from datacenter.models.policy import Policy, Tariff

__all__ = ["Plan", "PlanAction", "Policy", "Tariff"]
