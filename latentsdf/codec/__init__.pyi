from .range_coder import RangeDecoder as RangeDecoder
from .range_coder import RangeEncoder as RangeEncoder
