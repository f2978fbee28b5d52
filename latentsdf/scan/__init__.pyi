from .merge import join_views as join_views
from .merge import merge_views as merge_views
from .scan import Scan as Scan
from .virtual import virtual_scan as virtual_scan
