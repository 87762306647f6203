"""Signatures by which the control plane knows whose message it reads. Pure; both planes use it.

The key is the hash of a plane's token: the plane has the token, the control plane keeps its hash alone. Whoever can
write to the broker, another host's plane included, can therefore not speak for this one (attacks.md S36, S40).
"""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any


def signing_key(token: str) -> str:
    """The key of a plane with that token; the same text that the control plane keeps of it."""
    return hashlib.sha256(token.encode()).hexdigest()


def canonical(data: Any) -> bytes:
    """The data as bytes that are the same before and after a journey as JSON."""
    return json.dumps(data, sort_keys=True, separators=(",", ":")).encode()


def signature_of(key: str, message: bytes) -> str:
    """HMAC-SHA256 (RFC 2104), in hexadecimal digits."""
    return hmac.new(key.encode(), message, hashlib.sha256).hexdigest()


def is_signed(key: str, message: bytes, signature: str) -> bool:
    """Whether the signature is the message's; the comparison tells nothing by its time."""
    return hmac.compare_digest(signature_of(key, message).encode(), signature.encode(errors="replace"))
