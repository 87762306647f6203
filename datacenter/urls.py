"""Every address of the dashboard."""

from __future__ import annotations

from django.contrib import admin
from django.contrib.auth import views as auth_views
from django.urls import include, path

from datacenter.api import api_urls
from datacenter.views import history, metrics, overview, plans, policies, questions, tokens
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
