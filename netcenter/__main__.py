"""`python -m netcenter`."""

from netcenter.cli import main

main()
