"""Whether KVM can really run a guest here, found out by booting a kernel in it.

/dev/kvm may be there and libvirt may list it, and a guest may still hang (design.md section 4): only a kernel
that printed its first line proves anything. Without a kernel to boot, the safe answer is TCG.
"""

from __future__ import annotations

import glob
import hashlib
import os
import selectors
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hosts.errors import Rejected

DEADLINE_S = 15.0
_PROOF = b"Linux version"
_KERNELS = ("/boot/vmlinuz*", "/boot/*/vmlinuz*", "/boot/vmlinux*")


@dataclass(frozen=True)
class Trial:
    """How a trial boot ended; `sentence` is for the host's page."""

    accelerator: str
    sentence: str
    seconds: float


def qemu_find() -> str:
    """QEMU's program for this architecture; raises Rejected when there is none."""
    names = [f"qemu-system-{os.uname().machine}", "qemu-kvm", "/usr/libexec/qemu-kvm"]
    for name in names:
        if found := shutil.which(name):
            return found
    raise Rejected(f"QEMU is not installed on this host: {names[0]} is missing.")


def qemu_version(qemu: str) -> str:
    """The first line of `qemu --version`."""
    run = subprocess.run([qemu, "--version"], capture_output=True, text=True, timeout=10, check=False)
    return run.stdout.partition("\n")[0]


def kernel_find(extra: list[str] | None = None) -> str | None:
    """A Linux kernel that can be read here: those named first, then the host's own, the newest first."""
    own = [path for pattern in _KERNELS for path in glob.glob(pattern)]
    own.sort(key=lambda path: os.stat(path).st_mtime, reverse=True)
    return next((path for path in [*(extra or []), *own] if os.access(path, os.R_OK)), None)


def trial_key(kernel: str | None, qemu_words: str) -> str:
    """What a trial's answer depends on: the kernel file, QEMU's version, and the host's own kernel."""
    stamp = f"{kernel} {os.stat(kernel).st_size} {os.stat(kernel).st_mtime_ns}" if kernel else "no kernel"
    words = f"{stamp} {qemu_words} {os.uname().release} {os.path.exists('/dev/kvm')}"
    return hashlib.sha256(words.encode()).hexdigest()[:16]


def kvm_try(qemu: str, kernel: str | None, is_aborted: Callable[[], bool], deadline_s: float = DEADLINE_S) -> Trial:
    """Boots the kernel in KVM and says which accelerator to use; takes at most the deadline."""
    if not os.path.exists("/dev/kvm"):
        return Trial("tcg", "This host has no /dev/kvm: its VMs are emulated, which is slow.", 0.0)
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return Trial("tcg", "/dev/kvm may not be opened here: VMs are emulated, which is slow.", 0.0)
    if kernel is None:
        sentence = "No kernel was found in /boot to try KVM with: VMs are emulated, which is slow."
        return Trial("tcg", sentence, 0.0)
    began = time.monotonic()
    spoke, error = _boot(qemu, kernel, is_aborted, deadline_s)
    seconds = round(time.monotonic() - began, 2)
    if spoke:
        sentence = f"KVM works: {Path(kernel).name} booted in it within {seconds:.1f} s."
        return Trial("kvm", sentence, seconds)
    why = f"QEMU ended: {error}" if error else f"a kernel printed nothing within {seconds:.0f} s"
    return Trial("tcg", f"KVM is there but cannot run a guest ({why}): VMs are emulated, which is slow.", seconds)


def _boot(qemu: str, kernel: str, is_aborted: Callable[[], bool], deadline_s: float) -> tuple[bool, str]:
    """(the kernel spoke, QEMU's last words when it ended by itself)."""
    command = [qemu, "-nodefaults", "-no-user-config", "-accel", "kvm", "-cpu", "host", "-m", "128"]
    command += ["-display", "none", "-serial", "stdio", "-no-reboot", "-kernel", kernel]
    command += ["-append", "console=ttyS0 earlyprintk=serial panic=-1", "-sandbox", "on"]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        return _listen(process, is_aborted, time.monotonic() + deadline_s)
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def _listen(process: subprocess.Popen[bytes], is_aborted: Callable[[], bool], deadline: float) -> tuple[bool, str]:
    assert process.stdout is not None
    heard = b""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while time.monotonic() < deadline and not is_aborted():
            if not selector.select(0.2):
                continue
            chunk = os.read(process.stdout.fileno(), 65536)
            heard = (heard + chunk)[-65536:]
            if _PROOF in heard:
                return True, ""
            if not chunk:
                return False, heard.decode(errors="replace").strip()[-200:] or "without a word"
    return False, ""
