"""Names of scans that this package had in version 0.1; they live in `latentsdf.scan` now."""

from ..scan.merge import merge_views as merge_views
from ..scan.reliability import learned_weights as learned_weights
