from .reconstruction import ReconstructConfig as ReconstructConfig
from .reconstruction import Reconstruction as Reconstruction
from .reconstruction import reconstruct as reconstruct
from .refinement import RefineConfig as RefineConfig
from .scan_fitting import ScanFitConfig as ScanFitConfig
from .shape_overfitting import overfit as overfit
