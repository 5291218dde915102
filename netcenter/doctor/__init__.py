"""`doctor`: what Netcenter needs, looked at one by one; each finding is one line that names the cause and the way out."""

from netcenter.doctor.examine import examine
from netcenter.doctor.finding import Finding

__all__ = ["Finding", "examine"]
