"""`make test-v2`: the lab on the other kind of machine, with systemd, AppArmor and cgroup v2.

A Debian guest is built (once, cached), booted under QEMU, and made to run a lab with one host. The guest
carries this checkout's code on a second disk and proves itself by `proof`, whose lines come out of a serial port.
"""
