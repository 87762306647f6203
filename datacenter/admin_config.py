"""Django's admin as an app of ours; not in apps.py, which names one app only."""

from __future__ import annotations

from django.contrib.admin.apps import AdminConfig


class StowageAdminConfig(AdminConfig):
    default_site = "datacenter.admin_site.StowageAdminSite"
