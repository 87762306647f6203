"""hosts.lab.daemon_config: the settings on which migration and safety stand."""

from __future__ import annotations

import json
import tomllib

from hosts.lab import daemon_config


def test_libvirt_listens_on_the_migration_network_alone() -> None:
    text = daemon_config.libvirtd_conf("11111111-1111-4111-8111-111111111111", "10.78.0.11")

    assert 'listen_addr = "10.78.0.11"' in text
    assert "listen_tls = 0" in text
    assert 'host_uuid = "11111111-1111-4111-8111-111111111111"' in text


def test_docker_listens_on_a_unix_socket_alone_and_keeps_containers_over_a_restart() -> None:
    settings = json.loads(daemon_config.docker_daemon_json("/stowage-ab/lab-a1"))

    assert settings["hosts"] == ["unix:///run/docker.sock"]
    assert settings["live-restore"] is True
    assert settings["cgroup-parent"] == "/stowage-ab/lab-a1"


def test_only_registries_of_the_labs_own_network_may_speak_plain_http() -> None:
    assert json.loads(daemon_config.docker_daemon_json(None, "10.78.0.0/24"))["insecure-registries"] == ["10.78.0.0/24"]
    assert "insecure-registries" not in json.loads(daemon_config.docker_daemon_json(None))


def test_docker_uses_the_containerd_that_the_lab_host_starts() -> None:
    docker = json.loads(daemon_config.docker_daemon_json(None))
    containerd = tomllib.loads(daemon_config.containerd_toml())

    assert docker["containerd"] == containerd["grpc"]["address"]


def test_on_cgroup_v2_docker_stays_at_the_root_of_its_namespace() -> None:
    assert "cgroup-parent" not in json.loads(daemon_config.docker_daemon_json(None))


def test_every_host_is_found_by_name_on_the_migration_network() -> None:
    text = daemon_config.hosts_file("lab-a1", {"lab-a1": "10.78.0.11", "lab-b1": "10.78.0.12"})

    assert "10.78.0.12 lab-b1\n" in text and "127.0.0.1 localhost\n" in text


def test_libvirts_user_is_added_once() -> None:
    once = daemon_config.with_libvirt_user("root:x:0:0::/root:/bin/sh\n", is_group=False)

    assert once.count("libvirt-qemu:") == 1
    assert daemon_config.with_libvirt_user(once, is_group=False) == once
