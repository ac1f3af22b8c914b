"""What holds for every test: the settings of whoever runs the tests are not those of the tests."""

from __future__ import annotations

import os

for _name in [name for name in os.environ if name == "SLUICE_CONFIG" or (name.startswith("SLUICE_") and "__" in name)]:
    del os.environ[_name]
