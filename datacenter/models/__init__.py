from datacenter.models.plan import Plan, PlanAction
from datacenter.models.policy import Policy, Tariff
from datacenter.models.question import Question
from datacenter.models.token import ApiToken

__all__ = ["ApiToken", "Plan", "PlanAction", "Policy", "Question", "Tariff"]
