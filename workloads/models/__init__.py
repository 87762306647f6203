from workloads.models.arrival import ImageArrival
from workloads.models.backup import Backup, BackupFolder
from workloads.models.console import Console, ConsoleLog
from workloads.models.host_image import HostImage, Registry
from workloads.models.image import Image
from workloads.models.measurement import Measurement
from workloads.models.schedule import Schedule, ScheduleRun
from workloads.models.seed import VmSeed
from workloads.models.snapshot import Snapshot
from workloads.models.template import Flavour, Template
from workloads.models.workload import Container, Sighting, VirtualMachine, Workload

__all__ = [
    "Backup",
    "BackupFolder",
    "Console",
    "ConsoleLog",
    "Container",
    "Flavour",
    "HostImage",
    "Image",
    "ImageArrival",
    "Measurement",
    "Registry",
    "Schedule",
    "ScheduleRun",
    "Sighting",
    "Snapshot",
    "Template",
    "VirtualMachine",
    "VmSeed",
    "Workload",
]
