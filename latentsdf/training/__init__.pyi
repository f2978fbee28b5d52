from .config import Stage as Stage
from .config import TrainConfig as TrainConfig
from .config import named_config as named_config
from .loop import TrainEvent as TrainEvent
from .loop import train as train
