"""`python -m netcenter.tools`: writes the tables of the documentation that are made from the code."""

from __future__ import annotations

from netcenter.tools import pages, postgres_columns

for page in (*pages.write(), postgres_columns.write()):
    print(f"wrote {page}")
