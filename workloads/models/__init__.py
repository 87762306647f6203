from workloads.models.console import Console, ConsoleLog
from workloads.models.image import Image
from workloads.models.seed import VmSeed
from workloads.models.workload import Container, Sighting, VirtualMachine, Workload

__all__ = ["Console", "ConsoleLog", "Container", "Image", "Sighting", "VirtualMachine", "VmSeed", "Workload"]
