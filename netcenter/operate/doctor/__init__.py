"""`doctor`: looks at everything that Netcenter needs; each finding is one line that names the cause and the remedy."""

from netcenter.operate.doctor.examine import examine
from netcenter.operate.doctor.finding import Finding

__all__ = ["Finding", "examine"]
