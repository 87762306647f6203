from hosts.models.audit import AuditRecord
from hosts.models.host import Host
from hosts.models.job import Decommission, HostJob
from hosts.models.operation import Entry, Lease, Operation
from hosts.models.place import Rack, Site
from hosts.models.plane import Plane
from hosts.models.pool import Pool, PoolFile, PoolMount
from hosts.models.power import Bmc, BmcAddress, BmcProposal
from hosts.models.wake import Wake

__all__ = [
    "AuditRecord",
    "Bmc",
    "BmcAddress",
    "BmcProposal",
    "Decommission",
    "Entry",
    "Host",
    "HostJob",
    "Lease",
    "Operation",
    "Plane",
    "Pool",
    "PoolFile",
    "PoolMount",
    "Rack",
    "Site",
    "Wake",
]
