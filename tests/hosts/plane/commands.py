"""Commands as the control plane sends them, for the plane's tests."""

from __future__ import annotations

from typing import Any

NOW = 1_700_000_000.0


def command(effect: str = "test.do", **changes: Any) -> dict[str, Any]:
    """A command that is in time at NOW, for the subject "vm-1"."""
    return {
        "operation": "11111111-1111-4111-8111-111111111111",
        "step": "first",
        "direction": "do",
        "attempt": 1,
        "generation": 1,
        "effect": effect,
        "subject": {"kind": "vm", "uuid": "vm-1"},
        "arguments": {},
        "deadline_at": NOW + 30,
        "timeout_s": 20.0,
        "sent_at": NOW,
    } | changes
