"""The board's end of ``implicore.link``: a serial line in place of the accelerator's ports.

Bytes become frames (``frames``), requests are checked (``request_parser``) and stored
(``request_queue``) until they are executed (``executor``). Voxels (``voxel_sender``) and immediate
responses (``immediate``) share the way back (``arbiter``). ``host_link`` connects all of them.
"""

from .host_link import LINK_PORTS, HostLink

__all__ = ["LINK_PORTS", "HostLink"]
