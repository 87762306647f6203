from __future__ import annotations

import pytest

from datacenter.origin import is_own


@pytest.fixture(autouse=True)
def known_hosts(settings) -> None:
    settings.ALLOWED_HOSTS = ["dc.example", "[::1]"]
    settings.CSRF_TRUSTED_ORIGINS = ["https://front.example"]


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("http://dc.example", "dc.example"),
        ("https://dc.example", "dc.example"),
        ("https://dc.example", "dc.example:443"),
        ("http://dc.example:8400", "dc.example:8400"),
        ("http://[::1]:8400", "[::1]:8400"),
        ("https://front.example", "dc.example"),
    ],
)
def test_a_page_of_ours_may_open_a_socket(origin: str, host: str) -> None:
    assert is_own(origin, host)


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("", "dc.example"),
        ("null", "dc.example"),
        ("http://dc.example:81", "dc.example"),
        ("http://evil.example", "dc.example"),
        ("http://evil.example", "evil.example"),  # a host that is not ours, asked for by that name
        ("http://dc.example.evil.example", "dc.example"),
        ("http://dc.example", ""),
        ("http://dc.example:port", "dc.example"),
        ("http://front.example", "dc.example"),
    ],
)
def test_a_page_of_anybody_else_may_not(origin: str, host: str) -> None:
    assert not is_own(origin, host)
