"""Every address of the dashboard."""

from __future__ import annotations

from django.contrib import admin
from django.contrib.auth import views as auth_views
from django.urls import include, path

from datacenter.api import api_urls
from datacenter.views import (
    alert_rules,
    alerts,
    history,
    metrics,
    overview,
    plans,
    policies,
    questions,
    recoveries,
    tokens,
)
from datacenter.views.login import LoginView, PasswordView

urlpatterns = [
    path("", overview.overview, name="overview"),
    path("plans/", plans.plan_list, name="plans"),
    path("plans/request/", plans.plan_request, name="plan-request"),
    path("plans/<uuid:uuid>/", plans.plan_page, name="plan"),
    path("plans/<uuid:uuid>/approve/", plans.plan_approve, name="plan-approve"),
    path("plans/<uuid:uuid>/reject/", plans.plan_reject, name="plan-reject"),
    path("plans/<uuid:uuid>/settle/", plans.plan_settle, name="plan-settle"),
    path("plans/<uuid:uuid>/stop/", plans.plan_stop, name="plan-stop"),
    path("sites/<int:site_id>/policy/", policies.policy_page, name="policy"),
    path("sites/<int:site_id>/policy/save/", policies.policy_save, name="policy-save"),
    path("sites/<int:site_id>/history/", history.site_history, name="site-history"),
    path("hosts/<uuid:uuid>/history/", history.host_history, name="host-history"),
    path("workloads/<uuid:uuid>/history/", history.workload_history, name="workload-history"),
    path("questions/", questions.question_list, name="questions"),
    path("questions/ask/<slug:kind>/", questions.question_ask, name="question-ask"),
    path("questions/<uuid:uuid>/", questions.question_page, name="question"),
    path("hosts/<uuid:uuid>/drain/", plans.host_drain, name="host-drain"),
    path("recoveries/", recoveries.recovery_list, name="recoveries"),
    path("recoveries/<uuid:uuid>/begin/", recoveries.recovery_begin, name="recovery-begin"),
    path("recoveries/<uuid:uuid>/declare-dead/", recoveries.recovery_declare_dead, name="recovery-declare-dead"),
    path("alerts/", alerts.alert_list, name="alerts"),
    path("alerts/count/", alerts.alert_count, name="alert-count"),
    path("alerts/<uuid:uuid>/", alerts.alert_page, name="alert"),
    path("alerts/<uuid:uuid>/acknowledge/", alerts.alert_acknowledge, name="alert-acknowledge"),
    path("alerts/<uuid:uuid>/silence/", alerts.alert_silence, name="alert-silence"),
    path("alert-rules/", alert_rules.rule_list, name="alert-rules"),
    path("alert-rules/new/", alert_rules.rule_new, name="alert-rule-new"),
    path("alert-rules/<uuid:uuid>/", alert_rules.rule_edit, name="alert-rule-edit"),
    path("alert-rules/<uuid:uuid>/enable/", alert_rules.rule_enable, name="alert-rule-enable"),
    path("alert-rules/<uuid:uuid>/remove/", alert_rules.rule_delete, name="alert-rule-delete"),
    path("silences/", alerts.silence_list, name="silences"),
    path("silences/new/", alerts.silence_new, name="silence-new"),
    path("silences/<uuid:uuid>/end/", alerts.silence_end, name="silence-end"),
    path("channels/", alert_rules.channel_list, name="channels"),
    path("channels/new/", alert_rules.channel_new, name="channel-new"),
    path("channels/<uuid:uuid>/", alert_rules.channel_edit, name="channel-edit"),
    path("channels/<uuid:uuid>/test/", alert_rules.channel_test, name="channel-test"),
    path("channels/<uuid:uuid>/remove/", alert_rules.channel_delete, name="channel-delete"),
    path("tokens/", tokens.token_list, name="tokens"),
    path("tokens/new/", tokens.token_new, name="token-new"),
    path("tokens/<uuid:uuid>/revoke/", tokens.token_revoke, name="token-revoke"),
    path("metrics", metrics.exposition, name="metrics"),
    path("prometheus/api/v1/<path:resource>", metrics.prometheus, name="prometheus"),
    path("", include("hosts.urls")),
    path("", include("workloads.urls")),
    path("plane/v1/", include("hosts.plane_urls")),
    path("plane/v1/", include("workloads.plane_urls")),
    path("api/", api_urls()),
    path("login/", LoginView.as_view(), name="login"),
    path("logout/", auth_views.LogoutView.as_view(), name="logout"),
    path("password/", PasswordView.as_view(), name="password"),
    path("admin/", admin.site.urls),
]
