"""A client for LF ("aleph"), a decentralized, replicated key/value store.

```python
from lfclient import Client, Owner

with Client("http://127.0.0.1:9980") as client:
    me = Owner.generate()
    client.set("bad horse#1", b"neigh", owner=me)
    for (best, *others) in client.query("bad horse#"):
        print(best.names[0], best.value)
```

`AsyncClient` is the same for asyncio. Keys, names and masking keys stay here: a node is asked for key ranges, and what
it answers is checked and unmasked here.
"""

from .aio import AsyncClient, AsyncWatch
from .api import NodeStatus, OwnerStatus
from .client import Client, Watch
from .errors import LfError
from .find import Explained, ExplainedSet, Found, FoundSelector, Order
from .genesis import Genesis, GenesisParameters
from .owner import Owner, OwnerType, passphrase_masking_key
from .pulse import Pulse
from .record import Record
from .selector import Selector, format_selector, parse_selector, selector_key_range
from .work import WorkProgress
from .write import WorkBy, Written

__all__ = [
    "AsyncClient",
    "AsyncWatch",
    "Client",
    "Explained",
    "ExplainedSet",
    "Found",
    "FoundSelector",
    "Genesis",
    "GenesisParameters",
    "LfError",
    "NodeStatus",
    "Order",
    "Owner",
    "OwnerStatus",
    "OwnerType",
    "Pulse",
    "Record",
    "Selector",
    "Watch",
    "WorkBy",
    "WorkProgress",
    "Written",
    "format_selector",
    "parse_selector",
    "passphrase_masking_key",
    "selector_key_range",
]
