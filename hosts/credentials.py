"""Secrets at rest: passwords under Fernet, tokens as hashes."""

from __future__ import annotations

import hashlib
import secrets

from cryptography.fernet import Fernet, InvalidToken
from django.conf import settings

from hosts.errors import Refused


def password_encrypt(password: str) -> bytes:
    return Fernet(settings.CREDENTIALS_KEY).encrypt(password.encode())


def password_decrypt(encrypted: bytes) -> str:
    """The password; raises Refused when it was encrypted under another key."""
    if not encrypted:
        return ""
    try:
        return Fernet(settings.CREDENTIALS_KEY).decrypt(bytes(encrypted)).decode()
    except InvalidToken as error:
        raise Refused(
            "The stored password cannot be read: CREDENTIALS_KEY has changed. Enter the password again."
        ) from error


def token_new() -> str:
    """A fresh token of 256 bits; show it once, keep only `token_hash` of it."""
    return secrets.token_urlsafe(32)


def token_hash(token: str) -> str:
    """A plain SHA-256 is enough: the token has 256 bits of its own."""
    return hashlib.sha256(token.encode()).hexdigest()
