"""`make bench`: what an issue names a goal for, measured against the bare tools in the same run.

python -m tests.benchmarks [NAME ...]      # no name: all
"""

from __future__ import annotations

import os
import sys
import tempfile
from importlib import import_module

# Each is a module beside this one.
NAMES = ("lists", "create", "profiles", "sampler", "ingest", "fanout", "consoles", "many", "evacuate")


def main(asked: list[str]) -> int:
    if unknown := set(asked) - set(NAMES):
        print(f"No such benchmark: {', '.join(unknown)}. There are: {', '.join(NAMES)}.")
        return 2
    with tempfile.TemporaryDirectory(prefix="stowage-bench-") as data_dir:
        os.environ |= {
            "DJANGO_SETTINGS_MODULE": "datacenter.settings",
            "STOWAGE_DATA_DIR": data_dir,
            "SECRET_KEY": "benchmarks-only",
            "CREDENTIALS_KEY": "YmVuY2htYXJrcy1vbmx5LWJlbmNobWFya3Mtb25seSE=",
        }
        import django
        from django.core.management import call_command

        django.setup()
        call_command("migrate", verbosity=0)
        call_command("collectstatic", interactive=False, verbosity=0)
        for name in asked or NAMES:
            import_module(f"tests.benchmarks.{name}").main()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
