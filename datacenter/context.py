"""What every page shows around its content."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest


def shell(request: HttpRequest) -> dict[str, Any]:
    """Context of base.html. Asks the database for nothing when nobody is logged in."""
    return {}
