from .range_coder import RangeDecoder as RangeDecoder
from .range_coder import RangeEncoder as RangeEncoder
from .residual import Coefficients as Coefficients
from .residual import Residual as Residual
