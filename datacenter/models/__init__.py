from datacenter.models.alert import Alert, AlertRule, Silence
from datacenter.models.autopilot import Autopilot, AutopilotDecision
from datacenter.models.ledger import OffInterval, SavedDay
from datacenter.models.loss import LossOutlook
from datacenter.models.maintenance import MaintenanceMember, MaintenanceRun
from datacenter.models.notice import AlertNotice, NotificationChannel
from datacenter.models.plan import Plan, PlanAction
from datacenter.models.policy import Policy, Tariff
from datacenter.models.profile import DemandProfile
from datacenter.models.question import Question
from datacenter.models.recovery import RecoveredWorkload, Recovery
from datacenter.models.token import ApiToken

__all__ = [
    "Alert",
    "AlertNotice",
    "AlertRule",
    "ApiToken",
    "Autopilot",
    "AutopilotDecision",
    "DemandProfile",
    "LossOutlook",
    "MaintenanceMember",
    "MaintenanceRun",
    "NotificationChannel",
    "OffInterval",
    "Plan",
    "PlanAction",
    "Policy",
    "Question",
    "RecoveredWorkload",
    "Recovery",
    "SavedDay",
    "Silence",
    "Tariff",
]
