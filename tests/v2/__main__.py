"""Builds the guest, boots it, prints what it found; exit status 0 when everything held.

python -m tests.v2 [--accelerator kvm]
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.v2.guest import Guest, guest_made

_LIMIT_S = 5400.0
# Fewer than these means that the guest did not come to its end.
_FINDINGS = 13


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="tests.v2", description=__doc__)
    parser.add_argument("--accelerator", choices=("tcg", "kvm"), default="tcg")
    asked = parser.parse_args(arguments)
    if os.geteuid() != 0:
        os.execvp("sudo", ["sudo", "--preserve-env=STOWAGE_CACHE_DIR", sys.executable, "-m", "tests.v2", *arguments])
    cache_dir = Path(os.environ.get("STOWAGE_CACHE_DIR") or "/var/cache/stowage")
    # As an exception, so that an end from outside tidies up like any other.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with guest_made(cache_dir, lambda text: print(text, flush=True)) as guest:
        lines = boot(guest, asked.accelerator)
    failed = [line for line in lines if line.startswith("FAILED")]
    if "end" not in lines:
        failed.append("the guest did not come to its end")
    good = sum(line.startswith("ok") for line in lines)
    if not failed and good < _FINDINGS:
        failed.append(f"only {good} findings of {_FINDINGS}")
    print(f"== {good} held, {len(failed)} failed" + "".join(f"\n   {line}" for line in failed))
    return 1 if failed else 0


def boot(guest: Guest, accelerator: str) -> list[str]:
    """The lines that the guest wrote, printed as they came. Blocks until it is off, an hour and a half at most."""
    print(f"booting the guest ({accelerator}); its console goes to {console_log()}", flush=True)
    began = time.monotonic()
    lines: list[str] = []
    with tempfile.TemporaryDirectory(prefix="stowage-v2-") as folder:
        findings = Path(folder, "findings")
        findings.touch()
        machine = subprocess.Popen(qemu_command(guest, accelerator, findings), stdin=subprocess.DEVNULL)
        try:
            while machine.poll() is None and time.monotonic() - began < _LIMIT_S:
                time.sleep(1)
                lines = told(findings, lines, began)
        finally:
            machine.terminate()
            machine.wait(30)
        return told(findings, lines, began)


def told(findings: Path, known: list[str], began: float) -> list[str]:
    """All whole lines of the file so far; prints those that are not known yet."""
    lines = [
        line.strip() for line in findings.read_text(errors="replace").splitlines(keepends=True) if line[-1] == "\n"
    ]
    for line in lines[len(known) :]:
        print(f"{time.monotonic() - began:6.0f} s  {line}", flush=True)
    return lines


def qemu_command(guest: Guest, accelerator: str, findings: Path) -> list[str]:
    """The guest with two processors and 4 GiB; both disks are forgotten at its end (-snapshot)."""
    return [
        *("setpriv", "--pdeathsig", "KILL"),  # not even a killed test leaves it running
        "qemu-system-x86_64",
        *("-machine", f"q35,accel={accelerator}"),
        *("-cpu", "host" if accelerator == "kvm" else "max"),
        *("-smp", "2", "-m", "4096", "-display", "none", "-no-reboot", "-snapshot", "-nic", "none"),
        *("-kernel", str(guest.kernel), "-initrd", str(guest.initrd)),
        *(
            "-append",
            "root=LABEL=root rw console=ttyS0 systemd.unified_cgroup_hierarchy=1 apparmor=1 security=apparmor"
            " mitigations=off",  # an emulated processor leaks nothing, and emulating its defences takes time
        ),
        *("-drive", f"file={guest.root},format=raw,if=virtio", "-drive", f"file={guest.carried},format=raw,if=virtio"),
        *("-serial", f"file:{console_log()}", "-serial", f"file:{findings}"),
    ]


def console_log() -> Path:
    return Path(tempfile.gettempdir()) / "stowage-v2-console.log"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
