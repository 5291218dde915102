"""`python -m netcenter`: the command line."""

from netcenter.cli import main

main()
