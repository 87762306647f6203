from __future__ import annotations

import pytest

from hosts.audit import audit_write

pytestmark = pytest.mark.django_db


def test_the_log_names_a_containers_variables_and_not_what_they_hold():
    parameters = {"spec": {"name": "web", "environment": {"PASSWORD": "swordfish", "LANG": "C"}}, "hosts": [1, 2]}

    record = audit_write(None, "create_container", "container", "1", "web", parameters=parameters)

    record.refresh_from_db()
    told = record.detail["parameters"]
    assert told == {"spec": {"name": "web", "environment": ["LANG", "PASSWORD"]}, "hosts": [1, 2]}
    assert parameters["spec"]["environment"]["PASSWORD"] == "swordfish"
