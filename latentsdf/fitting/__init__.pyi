from .descent import FitConfig as FitConfig
from .descent import fit as fit
from .direct_solve import solve_scan as solve_scan
from .fitted_field import FitMethod as FitMethod
from .fitted_field import Fitted as Fitted
from .networks import NETWORKS as NETWORKS
from .networks import NetworkConfig as NetworkConfig
