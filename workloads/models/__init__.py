from workloads.models.image import Image
from workloads.models.workload import Container, Sighting, VirtualMachine, Workload

__all__ = ["Container", "Image", "Sighting", "VirtualMachine", "Workload"]
