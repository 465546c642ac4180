"""The types that nodes name, without what defining them costs: at run time all of them are `Any`.

Kedro resolves the type hints of every node before it lists or runs anything, so a hint must not load
torch, pandas or matplotlib. Type checkers see the real ones.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame

    from fanogan_pipeline.datasets.tensorboard import TensorBoardLogs
    from fanogan_pipeline.detection.restorer import Restorer
    from fanogan_pipeline.images import ImageSet, ImageSource
    from fanogan_pipeline.networks import Checkpoint
    from fanogan_pipeline.preprocessing.geometry import Geometry
    from fanogan_pipeline.training.state import StateStore
else:
    Checkpoint = DataFrame = Figure = Geometry = ImageSet = ImageSource = Any
    Restorer = StateStore = TensorBoardLogs = Any
