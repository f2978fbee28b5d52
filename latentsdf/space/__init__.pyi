from .index import Index as Index
from .index import Match as Match
from .space import LatentSpace as LatentSpace
from .space import Shape as Shape
from .store import load as load
from .store import save as save
from .viewer import view as view
