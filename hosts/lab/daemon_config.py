"""The configuration files of a lab host's libvirtd, dockerd and name lookup, as text."""

from __future__ import annotations

import json


def libvirtd_conf(host_uuid: str, migration_address: str) -> str:
    """libvirtd.conf.

    TCP without authentication is right here and nowhere else: the address is on the lab's migration network,
    which only lab hosts are connected to, and each of them has root on this machine anyway. A real host uses
    TLS or ssh. `host_uuid` must differ between hosts or libvirt refuses to migrate.
    """
    return f"""\
host_uuid = "{host_uuid}"
listen_tls = 0
listen_tcp = 1
listen_addr = "{migration_address}"
auth_tcp = "none"
auth_unix_ro = "none"
auth_unix_rw = "none"
unix_sock_ro_perms = "0700"
unix_sock_rw_perms = "0700"
keepalive_interval = 3
keepalive_count = 3
log_outputs = "2:file:/var/log/libvirt/libvirtd.log"
"""


def qemu_conf(migration_address: str) -> str:
    """qemu.conf. Files stay root's, and a shared one must not change hands when a VM leaves."""
    return f"""\
user = "root"
group = "root"
swtpm_user = "root"
swtpm_group = "root"
dynamic_ownership = 0
remember_owner = 0
security_driver = "none"
namespaces = [ ]
cgroup_controllers = [ ]
migration_address = "{migration_address}"
migration_host = "{migration_address}"
keepalive_interval = 2
keepalive_count = 3
"""


def containerd_toml() -> str:
    """containerd's configuration, with the folders that a dockerd which starts its own would give it.

    It is a daemon of its own because dockerd gives up after 15 s on one that it started (moby 20.10,
    libcontainerd/supervisor), and waits 60 s for one that somebody else starts. Off is what Docker does not
    use and what costs time at each boot: Kubernetes' interface and the file systems that are not here.
    """
    return """\
version = 2
root = "/var/lib/docker/containerd/daemon"
state = "/run/docker/containerd/daemon"
disabled_plugins = [
  "io.containerd.grpc.v1.cri",
  "io.containerd.snapshotter.v1.aufs",
  "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.zfs",
]
[grpc]
address = "/run/docker/containerd/containerd.sock"
"""


def docker_daemon_json(cgroup_parent: str | None, plain_registries: str | None = None) -> str:
    """daemon.json. Containers outlive a restart of dockerd; its published ports go through docker-proxy.

    No iptables: a lab host has no way out, and FORWARD DROP would cut its VMs off their own bridge.
    `plain_registries`: the network whose registries may speak plain HTTP, the lab's own and none beyond. A real host
    has no such entry: its registries have a certificate, or stand on its own 127.0.0.0/8.
    """
    settings = {
        "hosts": ["unix:///run/docker.sock"],
        "data-root": "/var/lib/docker",
        "exec-root": "/run/docker",
        "containerd": "/run/docker/containerd/containerd.sock",
        "pidfile": "/run/docker.pid",
        "exec-opts": ["native.cgroupdriver=cgroupfs"],
        "live-restore": True,
        "iptables": False,
        "ip6tables": False,
        "log-opts": {"max-size": "5m", "max-file": "2"},
    }
    if plain_registries:
        settings["insecure-registries"] = [plain_registries]
    if cgroup_parent:
        settings["cgroup-parent"] = cgroup_parent
    return json.dumps(settings, indent=1)


def hosts_file(own_name: str, migration_addresses: dict[str, str]) -> str:
    """/etc/hosts. A host's name is its address on the migration network, where the others reach its libvirt."""
    lines = ["127.0.0.1 localhost", "::1 localhost"]
    lines += [f"{address} {name}" for name, address in sorted(migration_addresses.items())]
    return f"# {own_name}, a lab host of Stowage\n" + "\n".join(lines) + "\n"


def with_libvirt_user(passwd_or_group: str, is_group: bool) -> str:
    """A copy of /etc/passwd or /etc/group in which libvirt finds its user.

    libvirtd looks for `libvirt-qemu` before it reads that qemu.conf wants root, and does not start without
    it. Debian makes that user in a package whose services a lab must not start.
    """
    lines = passwd_or_group.splitlines()
    if not any(line.startswith("libvirt-qemu:") for line in lines):
        entry = "libvirt-qemu:x:64055:" if is_group else "libvirt-qemu:x:64055:64055::/nonexistent:/usr/sbin/nologin"
        lines.append(entry)
    return "\n".join(lines) + "\n"
