from .page_server import view as view
