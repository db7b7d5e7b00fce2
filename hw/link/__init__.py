"""The board's end of ``implicore.link``: a serial line in place of the accelerator's ports.

``frames`` converts between bytes and frames. ``request_parser`` checks requests, ``request_queue``
stores them and ``executor`` executes them. ``voxel_unpacker`` splits beats, ``voxel_sender`` sends
voxels, and ``immediate`` sends the responses that need no execution. ``arbiter`` shares the
transmitter among the three sources, and ``host_link`` connects all parts.
"""

from .host_link import HostLink, link_ports

__all__ = ["HostLink", "link_ports"]
