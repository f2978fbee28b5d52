"""Deviations of the numbers of compact search records: eighths of the exponent of `codec.row_streams.ColumnModel`.

Printed by `benchmarks/record_models.py` from generated shapes; they are part of the file format.
"""

WHOLE_LIMIT = 15
VIEW_LIMIT = 13
WHOLE_EIGHTHS = (40,) * 128
VIEW_EIGHTHS = (40,) * 48
