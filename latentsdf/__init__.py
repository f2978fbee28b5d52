"""latentsdf: one compact latent space of signed distance functions over many 3-D shapes.

    import latentsdf as ls
    ls.prepare("datasets/chairs", "chairs.h5")
    space = ls.train("chairs.h5", path="space.h5")
    space["windsor"].mesh().export("windsor.glb")

Names are loaded when they are first used, so that importing the package costs nothing.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
