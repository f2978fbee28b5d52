from .losses import draw_losses as draw_losses
from .rate import draw_rate as draw_rate
from .sheet import draw_sheet as draw_sheet
from .slice import draw_slice as draw_slice
