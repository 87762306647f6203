"""Addresses of channels, from the fields of a form to the URL that Apprise takes. Pure.

Source: https://appriseit.com/services/, "email", "json", "ntfy".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import SplitResult, parse_qsl, quote, urlencode, urlsplit

from hosts.errors import Invalid

PORTS = {"starttls": 587, "ssl": 465, "insecure": 25}
_MAIL = re.compile(r"[^\s@,<>\"'%]{1,100}@[A-Za-z0-9.-]{1,150}")
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}[A-Za-z0-9])?|\[[0-9A-Fa-f:.]{2,45}\]")
_TOPIC = re.compile(r"[A-Za-z0-9_-]{1,64}")
RECIPIENTS_MOST = 20


@dataclass(frozen=True)
class Address:
    """`url` is secret; `shown` may be seen; `host` is where the connection goes."""

    url: str
    shown: str
    host: str


def address_of(kind: str, fields: Mapping[str, str]) -> Address:
    """The address of a channel of that kind. Raises Invalid with the field that is wrong."""
    return {"mail": _mail, "webhook": _webhook, "slack": _slack, "ntfy": _ntfy}[kind](fields)


def _mail(fields: Mapping[str, str]) -> Address:
    host, port = _host(fields["server"], "server"), fields.get("port") or ""
    security = fields.get("security") or "starttls"
    if security not in PORTS:
        raise Invalid("Choose how the connection is secured.", field="security")
    number = int(port) if port.isdigit() and 0 < int(port) < 65536 else PORTS[security]
    sender = _mail_address(fields["sender"], "sender")
    recipients = [_mail_address(part, "recipients") for part in re.split(r"[\s,;]+", fields["recipients"]) if part]
    if not 1 <= len(recipients) <= RECIPIENTS_MOST:
        raise Invalid(f"Give 1 to {RECIPIENTS_MOST} recipients, with commas between them.", field="recipients")
    login = _login(fields.get("username", ""), fields.get("password", ""))
    query = {"from": sender, "to": ",".join(recipients), "mode": security, "smtp": host, "format": "text"}
    scheme = "mailto" if security == "insecure" else "mailtos"
    url = f"{scheme}://{login}{host}:{number}/?{urlencode(query, quote_via=quote)}"
    return Address(url, f"{', '.join(recipients)} by {host}:{number}"[:200], host)


def _webhook(fields: Mapping[str, str]) -> Address:
    base, shown, host = _json_base(fields["url"], "url")
    token = fields.get("token", "")
    if any(not 32 < ord(character) < 127 for character in token):
        raise Invalid("A token is of letters, digits and signs, without blanks.", field="token")
    header = f"&{urlencode({'+Authorization': f'Bearer {token}'}, quote_via=quote)}" if token else ""
    return Address(f"{base}&redirect=no{header}", shown, host)


def _slack(fields: Mapping[str, str]) -> Address:
    """Slack, Mattermost, Rocket.Chat and others take {"text": ...}: Apprise's JSON with its fields mapped."""
    base, shown, host = _json_base(fields["url"], "url")
    mapped = {":message": "text", ":title": "", ":version": "", ":type": "", ":attachments": ""}
    return Address(f"{base}&redirect=no&{urlencode(mapped)}", shown, host)


def _ntfy(fields: Mapping[str, str]) -> Address:
    parts = _web_address(fields.get("url") or "https://ntfy.sh", "url")
    if parts.path.strip("/") or parts.query:
        raise Invalid("Give the address of the ntfy server without a path, such as https://ntfy.sh.", field="url")
    topic = fields["topic"].strip()
    if not _TOPIC.fullmatch(topic):
        raise Invalid("A topic is of at most 64 letters, digits, dashes and underscores.", field="topic")
    scheme = "ntfys" if parts.scheme == "https" else "ntfy"
    token = fields.get("token", "")
    login = f"{quote(token, safe='')}@" if token else ""
    query = {"mode": "private", "auth": "token" if token else "basic", "redirect": "no", "image": "no"}
    url = f"{scheme}://{login}{parts.netloc}/{topic}?{urlencode(query, quote_via=quote)}"
    return Address(url, f"{parts.scheme}://{parts.netloc}", parts.hostname or "")


def _json_base(url: str, field: str) -> tuple[str, str, str]:
    """The JSON address with its query begun, what of it may be shown, and its host."""
    parts = _web_address(url, field)
    scheme = "jsons" if parts.scheme == "https" else "json"
    query = [(f"-{name}", value) for name, value in parse_qsl(parts.query, keep_blank_values=True)]
    base = f"{scheme}://{parts.netloc}{parts.path or '/'}?{urlencode([('method', 'POST'), *query], quote_via=quote)}"
    return base, f"{parts.scheme}://{parts.netloc}/…"[:200], parts.hostname or ""


def _web_address(url: str, field: str) -> SplitResult:
    """The parts of an address over http or https that names a machine, and nobody's name and password."""
    url = url.strip()
    try:
        parts = urlsplit(url)
        is_right = bool(parts.hostname) and parts.port != 0 and parts.scheme in ("http", "https")
    except ValueError:  # brackets that are not closed, a port above 65,535
        is_right = False
    if not is_right or len(url) > 1000 or any(not 32 < ord(character) < 127 for character in url):
        raise Invalid("Give an address such as https://hooks.example.org/services/abc.", field=field)
    if "@" in parts.netloc or parts.fragment:
        raise Invalid("Give the address without a user, a password and without #.", field=field)
    _host(f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or "", field)
    return parts


def _host(text: str, field: str) -> str:
    text = text.strip()
    if not _HOST.fullmatch(text):
        raise Invalid("Give the name or the address of a server.", field=field)
    return text


def _mail_address(text: str, field: str) -> str:
    text = text.strip()
    if not _MAIL.fullmatch(text):
        raise Invalid(f"{text[:80] or 'Nothing'} is no mail address.", field=field)
    return text


def _login(username: str, password: str) -> str:
    if not username:
        return ""
    return f"{quote(username, safe='')}:{quote(password, safe='')}@"
