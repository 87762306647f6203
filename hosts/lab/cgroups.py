"""A control group for each lab host, on cgroup v1 and on v2.

What a lab host uses is read there, because /proc inside it shows the whole machine. And whatever a crashed
lab left running is found there: every process in our groups is ours.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

MOUNT = Path("/sys/fs/cgroup")
V2_CONTROLLERS = ("cpu", "memory", "pids", "io", "cpuset")
V1_NEEDED = ("cpu", "cpuacct", "memory", "devices", "pids")


@dataclass(frozen=True)
class Hierarchies:
    """The machine's cgroup trees: one on v2, one for each set of controllers on v1.

    `beside` is the v2 tree of a v1 machine: runc makes groups there too, so it is cleaned, and not used.
    """

    version: int
    roots: tuple[Path, ...]
    controllers: frozenset[str]
    beside: tuple[Path, ...] = ()


def hierarchies(mountinfo: str | None = None) -> Hierarchies:
    """What is mounted, from the text of /proc/self/mountinfo. A v1 machine may mount a v2 tree beside: v1 counts."""
    v1: dict[Path, set[str]] = {}
    v2: list[Path] = []
    for line in (Path("/proc/self/mountinfo").read_text() if mountinfo is None else mountinfo).splitlines():
        before, _, after = line.partition(" - ")
        mount_point = Path(before.split()[4])
        kind, _, options = [*after.split(), "", "", ""][:3]
        if kind == "cgroup":
            v1[mount_point] = set(options.split(",")) - {"rw", "ro"}
        elif kind == "cgroup2":
            v2.append(mount_point)
    if v1:
        names = {name for controllers in v1.values() for name in controllers}
        return Hierarchies(1, tuple(v1), frozenset(names), tuple(v2))
    roots = tuple(v2[:1])
    listed = (roots[0] / "cgroup.controllers") if roots else None
    return Hierarchies(2, roots, frozenset(listed.read_text().split() if listed and listed.exists() else ()))


def group_make(name: str) -> list[Path]:
    """The folders of group `name` ("stowage-ab12/lab-a1"), made where they were missing, one in each tree."""
    trees = hierarchies()
    folders = []
    for root in trees.roots:
        folder = root
        for part in name.split("/"):
            if trees.version == 2:
                _enable_controllers(folder)
            folder = folder / part
            folder.mkdir(exist_ok=True)
            _inherit_cpuset(folder)
        folders.append(folder)
    return folders


def join_command(folders: list[Path]) -> list[str]:
    """The beginning of a command line that joins the groups before it becomes the rest of it.

    Nothing of what runs behind it is ever outside of the groups.
    """
    script = 'while [ "$1" != -- ]; do echo $$ > "$1" || exit 97; shift; done; shift; exec "$@"'
    return ["sh", "-c", script, "sh", *(str(folder / "cgroup.procs") for folder in folders), "--"]


def group_divide(name: str, pids: list[int]) -> None:
    """On v2, moves `pids` into a leaf below the group, so that its other children may have controllers.

    Source: the kernel's cgroup-v2.rst, "No Internal Process Constraint".
    """
    trees = hierarchies()
    if trees.version == 1:
        return
    folder = trees.roots[0] / name
    leaf = folder / "init"
    leaf.mkdir(exist_ok=True)
    for pid in pids:
        (leaf / "cgroup.procs").write_text(str(pid))
    _enable_controllers(folder)


def group_path_inside(name: str) -> str:
    """The group's path below each tree as seen in the lab host: on v2 a namespace makes it the root."""
    return "/" if hierarchies().version == 2 else f"/{name}"


def group_pids(name: str) -> set[int]:
    """Every process in the group or below it, in any tree."""
    pids: set[int] = set()
    for root in _all_roots():
        for procs in (root / name).rglob("cgroup.procs"):
            with contextlib.suppress(OSError):
                pids |= {int(pid) for pid in procs.read_text().split()}
    return pids - {0, os.getpid()}


def group_remove(name: str, timeout_s: float = 5.0) -> bool:
    """Kills what runs in the group and removes it; True when nothing of it is left."""
    deadline = time.monotonic() + timeout_s
    while True:
        for pid in group_pids(name):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if _rmdir_all(name):
            return True
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)


def _all_roots() -> tuple[Path, ...]:
    trees = hierarchies()
    return trees.roots + trees.beside


def _rmdir_all(name: str) -> bool:
    gone = True
    for root in _all_roots():
        top = root / name
        if not top.exists():
            continue
        for folder, _, _ in os.walk(top, topdown=False):
            with contextlib.suppress(OSError):  # busy until its last process has been reaped
                os.rmdir(folder)
        gone = gone and not top.exists()
    return gone


def _enable_controllers(folder: Path) -> None:
    available = (folder / "cgroup.controllers").read_text().split()
    for controller in V2_CONTROLLERS:
        if controller in available:
            with contextlib.suppress(OSError):  # one that cannot be had must not cost the others
                (folder / "cgroup.subtree_control").write_text(f"+{controller}")


def _inherit_cpuset(folder: Path) -> None:
    """A v1 cpuset starts empty, and nothing can run in it until it is filled."""
    for name in ("cpuset.cpus", "cpuset.mems"):
        file = folder / name
        if file.exists() and not file.read_text().strip() and os.access(file, os.W_OK):
            with contextlib.suppress(OSError):
                file.write_text((folder.parent / name).read_text())
