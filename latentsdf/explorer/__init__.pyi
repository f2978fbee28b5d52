from .page_server import ViewConfig as ViewConfig
from .page_server import view as view
from .static_page import export_page as export_page
