from .range_coder import RangeDecoder as RangeDecoder
from .range_coder import RangeEncoder as RangeEncoder
from .rate_distortion import RateDescent as RateDescent
from .rate_distortion import RatePoint as RatePoint
from .rate_distortion import RateSamples as RateSamples
from .residual import Coefficients as Coefficients
from .residual import Residual as Residual
