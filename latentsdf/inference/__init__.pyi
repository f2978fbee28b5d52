from .code_fitting import EncodeConfig as EncodeConfig
from .encoding import encode as encode
from .encoding import encode_all as encode_all
from .evaluation import evaluate as evaluate
from .rate_search import Target as Target
