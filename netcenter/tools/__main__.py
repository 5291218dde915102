"""`python -m netcenter.tools`: writes the tables of the documentation that are made from the code."""

from __future__ import annotations

from netcenter.tools.pages import write

for page in write():
    print(f"wrote {page}")
