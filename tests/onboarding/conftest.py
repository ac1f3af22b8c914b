"""One appliance for all tests of this directory: pages, PAC file, probe and the steps of every platform."""

from tests.clients.fixtures import appliance, upstream

__all__ = ["appliance", "upstream"]
