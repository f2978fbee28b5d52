from .field import SDF as SDF
from .field import Jet as Jet
from .field import evaluate as evaluate
from .frame import Frame as Frame
from .optimize import OnStep as OnStep
from .optimize import Step as Step
from .optimize import Stop as Stop
from .pose import Pose as Pose
