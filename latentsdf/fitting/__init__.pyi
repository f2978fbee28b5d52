from .descent import FitConfig as FitConfig
from .descent import Fitted as Fitted
from .descent import fit as fit
from .direct_solve import solve_scan as solve_scan
from .networks import NETWORKS as NETWORKS
from .networks import NetworkConfig as NetworkConfig
