"""A data center on one machine: hosts that are sets of Linux namespaces, each with its own libvirtd, dockerd,
host plane and BMC, joined by a switch. For trying Stowage out and for its tests; a real host is enrolled in the
same way, by the same code.

    sudo python -m hosts.lab --data-dir .stowage/lab --hosts 4      brings it up and stays in the foreground
    sudo python -m hosts.lab --data-dir .stowage/lab --clean        stops it and removes what is left of it

Ctrl-C takes down all of it and nothing else. The disks of the hosts stay in the data directory: remove the
directory for a new lab. Everything made outside of it carries a short hash of its path, so that two labs
never clash. A killed lab takes its hosts along: they hang on a pipe that only the supervisor holds.

By hand, as if at a host's console:

    sudo python -m hosts.lab --data-dir .stowage/lab --enter lab-a1
    sudo python -m hosts.lab --data-dir .stowage/lab --enter lab-a1 -- virsh list
    sudo python -m hosts.lab --data-dir .stowage/lab --enter lab-a1 -- docker ps

and over Redfish, with the address, system and password that lab.json gives:

    curl -u admin:PASSWORD URL/redfish/v1/Systems/SYSTEM

lab.json in the data directory describes the lab; `"ready": true` there means that every host answers. Logs are in
hosts/NAME/log and in log. A host that was switched off over its BMC stays off when the lab starts again.
"""
