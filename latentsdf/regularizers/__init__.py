"""What a field must satisfy beside the data: terms by name, presets by paper, and the objective that takes them."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
