"""The fixtures of this directory's tests."""

from tests.clients.fixtures import appliance, upstream, watch

__all__ = ["appliance", "upstream", "watch"]
