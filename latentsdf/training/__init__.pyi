from .config import TrainConfig as TrainConfig
from .loop import TrainEvent as TrainEvent
from .loop import train as train
from .presets import named_config as named_config
from .stages import Stage as Stage
