from .dataset import Dataset as Dataset
from .preparation import PrepareConfig as PrepareConfig
from .preparation import prepare as prepare
from .sampling import SamplingConfig as SamplingConfig
from .synthetic import write_families as write_families
