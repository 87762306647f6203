"""What the guest does when it has booted: it runs a lab with one host and looks at it piece by piece.

Prints one line per finding, `ok` or `FAILED` and a sentence, and `end` last. Standard library only.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

# The second disk (tests/v2/guest.py) and where the lab may write.
CHECKOUT = Path(__file__).resolve().parents[2]
CACHE = Path("/mnt/carried/cache")
LAB = Path("/var/lib/stowage-lab")
_LAB_LIMIT_S = 1200.0
_STOP_LIMIT_S = 300.0
_COMMAND_LIMIT_S = 900.0
HOST = "lab-a1"
# A VM without a system, paused: that QEMU starts under this libvirt, cgroup tree and AppArmor is what counts.
_DOMAIN = """<domain type='qemu'><name>proof</name><memory unit='MiB'>64</memory><vcpu>1</vcpu>
<os><type arch='x86_64' machine='q35'>hvm</type></os><devices><emulator>/usr/bin/qemu-system-x86_64</emulator>
</devices></domain>"""


class Findings:
    """Writes each finding at once: a guest that hangs has told how far it came."""

    def __init__(self, output: TextIO) -> None:
        self._output = output

    def check(self, sentence: str, holds: Callable[[], bool | str]) -> bool:
        """Writes whether the sentence holds. `holds` gives True, or what is there instead."""
        try:
            found = holds()
        except (OSError, ValueError, KeyError, subprocess.SubprocessError) as error:
            found = str(error)
        self.say(f"ok {sentence}" if found is True else f"FAILED {sentence}: {found}")
        return found is True

    def say(self, line: str) -> None:
        print(" ".join(line.split()), file=self._output, flush=True)


def main(arguments: list[str]) -> int:
    """Exit status 0; the findings are the result."""
    with open(arguments[0], "w") as output:
        findings = Findings(output)
        machine_check(findings)
        with lab_running(findings) as came_up:
            if came_up:
                host_check(findings)
        findings.check("the stopped lab leaves no link, mount, control group or daemon", nothing_is_left)
        findings.say("end")
    return 0


def machine_check(findings: Findings) -> None:
    """Whether this is the machine that is meant, and whether the lab finds all it needs."""
    findings.check("systemd runs this machine", lambda: Path("/run/systemd/system").is_dir())
    findings.check("cgroup v2 is mounted", lambda: said("stat", "-fc", "%T", "/sys/fs/cgroup") == "cgroup2fs")
    findings.check("AppArmor is on", lambda: Path("/sys/module/apparmor/parameters/enabled").read_text()[0] == "Y")
    findings.check("no libvirt or Docker of the machine's own runs", no_daemon_runs)
    findings.check("the lab misses nothing", nothing_missing)


def host_check(findings: Findings) -> None:
    """Whether libvirt and Docker of the lab host work, not only answer."""
    findings.check("libvirt answers in the lab host", lambda: "QEMU" in inside("virsh", "version"))
    findings.check("a VM is started", vm_starts)
    findings.check("Docker answers in the lab host, on cgroup v2", docker_knows_cgroup_2)
    findings.check("a container runs within its memory limit", container_is_limited)
    findings.check("what the lab host uses is read from its own control group", use_is_read)


def vm_starts() -> bool | str:
    inside("sh", "-c", f'echo "{_DOMAIN}" > /run/vm.xml')
    inside("virsh", "create", "--paused", "/run/vm.xml")
    state = inside("virsh", "domstate", "proof")
    return state == "paused" or state


def docker_knows_cgroup_2() -> bool | str:
    version = inside("docker", "info", "--format", "{{.CgroupVersion}}")
    return version == "2" or f"version {version}"


def wait_until(holds: Callable[[], bool], process: subprocess.Popen[bytes], limit_s: float) -> bool:
    """Whether it came to hold while the process ran."""
    until = time.monotonic() + limit_s
    while time.monotonic() < until and process.poll() is None:
        if holds():
            return True
        time.sleep(1)
    return False


def container_is_limited() -> bool | str:
    limits = ("--memory=32m", "--pids-limit=64", "--cpus=0.5")
    limit = inside("docker", "run", "--rm", *limits, image_loaded(), "cat", "/sys/fs/cgroup/memory.max")
    return limit == str(32 * 1024**2) or limit


def image_loaded() -> str:
    """The lab's container image, known to the lab host's Docker."""
    archive = next(CACHE.glob("lab-*/tiny.docker.tar"))
    return inside("docker", "load", "--quiet", "--input", str(archive)).split()[-1]


def use_is_read() -> bool | str:
    """The host plane's own reading, which inside the lab host must see the group's memory, not the machine's."""
    reading = (
        "from pathlib import Path; from hosts.plane.cgroup import cgroup_find;"
        " print(cgroup_find('/', Path('/proc/self/mountinfo').read_text()).memory_usage.read_text())"
    )
    seen = int(inside(sys.executable, "-c", reading))
    (group,) = Path("/sys/fs/cgroup").glob(f"stowage-*/{HOST}/memory.current")
    # Both change from moment to moment; the machine as a whole has no such file at all.
    return abs(seen - int(group.read_text())) < 64 * 1024**2 or f"{seen} is not the group's use"


@contextmanager
def lab_running(findings: Findings) -> Iterator[bool]:
    """A lab with one host, stopped at the end; gives whether it became ready."""
    command = [sys.executable, "-m", "hosts.lab", "--data-dir", str(LAB), "--hosts", "1", "--cache-dir", str(CACHE)]
    log = Path("/run/lab.log")
    with log.open("w") as opened:
        lab = subprocess.Popen([*command, "--no-planes", "--no-seed"], cwd=CHECKOUT, stdout=opened, stderr=opened)
    try:
        yield findings.check(
            "a lab with one host comes up",
            lambda: wait_until(is_ready, lab, _LAB_LIMIT_S) or log.read_text()[-2000:] + host_log_ends(),
        )
    finally:
        lab.terminate()
        findings.check("the lab stops when it is asked to", lambda: lab.wait(_STOP_LIMIT_S) == 0 or log.read_text())


def host_log_ends() -> str:
    """The last words of the lab host's daemons."""
    logs = sorted((LAB / f"hosts/{HOST}/log").glob("*.log"))
    return " ".join(f"[{log.name}] {log.read_text(errors='replace')[-1000:]}" for log in logs)


def is_ready() -> bool:
    try:
        return bool(json.loads((LAB / "lab.json").read_text())["ready"])
    except (OSError, ValueError):
        return False


def no_daemon_runs() -> bool | str:
    running = {name for name in processes() if name in {"libvirtd", "virtlogd", "dockerd", "containerd"}}
    return not running or f"running: {', '.join(sorted(running))}"


def processes() -> Iterator[str]:
    """Names of all processes."""
    for path in Path("/proc").glob("[0-9]*/comm"):
        with suppress(OSError):  # it ended meanwhile
            yield path.read_text().strip()


def nothing_missing() -> bool | str:
    from hosts.lab.prerequisites import missing

    return not missing() or " ".join(missing())


def nothing_is_left() -> bool | str:
    links = [line.split()[0] for line in said("ip", "-br", "link").splitlines() if line.startswith("stwlab")]
    mounted = Path("/proc/mounts").read_text().splitlines()
    mounts = [line for line in mounted if str(LAB) in line]
    groups = [str(path) for path in Path("/sys/fs/cgroup").glob("stowage-*")]
    left = [*links, *mounts, *groups, *([] if no_daemon_runs() is True else [str(no_daemon_runs())])]
    return not left or " ".join(left)


def inside(*words: str) -> str:
    """What a command printed inside the lab host. Raises OSError with what it said when it fails."""
    return said(sys.executable, "-m", "hosts.lab", "--data-dir", str(LAB), "--enter", HOST, "--", *words)


def said(*words: str) -> str:
    done = subprocess.run(words, cwd=CHECKOUT, capture_output=True, text=True, timeout=_COMMAND_LIMIT_S, check=False)
    if done.returncode != 0:
        raise OSError(f"{' '.join(words[-4:])}: {done.stdout[-500:]} {done.stderr[-1500:]}")
    return done.stdout.strip()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
