"""Enrols a lab's hosts through the same services that a person uses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser
from django.core.management.base import BaseCommand, CommandError, CommandParser

from datacenter.models import Policy, Tariff
from hosts import services
from hosts.credentials import password_decrypt
from hosts.errors import StowageError
from hosts.models import Bmc, Host, Rack, Site
from workloads.models import Image
from workloads.services import image_register, image_remove

WAIT_S = 300.0
FORMATS = {
    "qcow2": Image.Format.QCOW2,
    "raw": Image.Format.RAW,
    "docker-archive": Image.Format.ENGINE_ARCHIVE,
    "root-tar": Image.Format.ROOT_ARCHIVE,
}


class Command(BaseCommand):
    help = "Enrols the hosts of a lab and prints fresh tokens for its planes as JSON. Safe to run again."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("lab_file", help="lab.json, as the lab's supervisor writes it")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            lab = json.loads(Path(options["lab_file"]).read_text())
        except (OSError, ValueError) as error:
            raise CommandError(f"{options['lab_file']} cannot be read as JSON: {error}") from error
        user = self._administrator()
        try:
            tokens = self._enrol(user, lab)
        except StowageError as error:
            raise CommandError(error.message) from error
        self.stdout.write(json.dumps(tokens))

    @staticmethod
    def _administrator() -> AbstractBaseUser:
        user = get_user_model()._default_manager.filter(is_superuser=True, is_active=True).first()
        if user is None:
            raise CommandError("There is no administrator yet. Run first_login before.")
        return user

    def _enrol(self, user: AbstractBaseUser, lab: dict[str, Any]) -> dict[str, dict[str, str]]:
        site = Site.objects.filter(name=lab["site"]).first() or services.site_create(
            user, name=lab["site"], description="A data center on one machine, to try things out."
        )
        Policy.objects.get_or_create(site=site)
        Tariff.objects.get_or_create(site=site)
        for image in (lab.get("images") or {}).values():
            self._image(user, image)
        hosts = {row["name"]: self._host(user, site, row, lab) for row in lab["hosts"]}
        return {"hosts": hosts, "sites": {site.name: services.plane_token_issue(user, of=site)}}

    @staticmethod
    def _image(user: AbstractBaseUser, row: dict[str, Any]) -> None:
        """Registers the image; one rebuilt since takes the place of its forerunner."""
        known = Image.objects.filter(name=row["name"]).first()
        if known and known.sha256 == row["sha256"]:
            return
        if known:
            image_remove(user, known)
        image_register(
            user,
            path=row["path"],
            name=row["name"],
            format=FORMATS[row["format"]],
            reference=row.get("reference", ""),
        )

    def _host(self, user: AbstractBaseUser, site: Site, row: dict[str, Any], lab: dict[str, Any]) -> str:
        """The host's fresh token; a host that is in the inventory already is only given its present addresses."""
        bmc = row.get("bmc") or {}
        bmc_fields = {
            "bmc_url": bmc.get("url", ""),
            "bmc_system": bmc.get("system", ""),
            "bmc_username": bmc.get("username", ""),
            "bmc_password": bmc.get("password", ""),
        }
        host = Host.objects.filter(name=row["name"]).first()
        if host is None:
            rack = Rack.objects.filter(site=site, name=row["rack"]).first() or services.rack_create(
                user, site=site, name=row["rack"]
            )
            return services.host_enrol(
                user,
                name=row["name"],
                rack=rack,
                management_address=row["address"],
                bridge=lab.get("guest_bridge") or "stw0",
                idle_watts=row["power_idle_watts"],
                peak_watts=row["power_peak_watts"],
                wait_s=WAIT_S,
                **bmc_fields,
            ).token
        # The subnet and the BMC's port may be others than at the last start.
        Host.objects.filter(pk=host.pk).update(management_address=row["address"])
        if host.lifecycle == Host.Lifecycle.FAILED:
            return services.host_retry_enrolment(user, host, wait_s=WAIT_S, **bmc_fields).token
        known = Bmc.objects.filter(host=host).first()
        if bmc and (known is None or known.url != bmc["url"] or self._is_other_password(known, bmc)):
            services.host_edit(user, host, **bmc_fields)
        return services.plane_token_issue(user, of=host)

    @staticmethod
    def _is_other_password(known: Bmc, bmc: dict[str, Any]) -> bool:
        return password_decrypt(bytes(known.password_encrypted)) != bmc["password"]
