"""`python -m sluice.cli`, where the installed script is not on the path."""

from sluice.cli import main

main()
