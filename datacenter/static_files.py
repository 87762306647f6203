"""Storage of collected static files: our own get a content hash, browser packages keep their names.

A plain manifest storage fails on third-party style sheets that name source maps and fonts which their
packages don't ship; their addresses carry the version already (datacenter/npm.py).
"""

from __future__ import annotations

from django.contrib.staticfiles.storage import ManifestStaticFilesStorage


class OwnFilesHashedStorage(ManifestStaticFilesStorage):
    manifest_strict = False
    support_js_module_import_aggregation = True

    def post_process(self, paths, dry_run=False, **options):  # type: ignore[no-untyped-def]
        own = {name: place for name, place in paths.items() if not name.startswith(("npm/", "admin/"))}
        yield from super().post_process(own, dry_run=dry_run, **options)

    def stored_name(self, name: str) -> str:
        if name.startswith(("npm/", "admin/")):
            return name
        return super().stored_name(name)
