"""Pictures of a compression, one call each: `widths` of layers, `bits` of channels, the `history` of a training.

Each returns a matplotlib Figure, and writes it to a file if it is given a path. They need `pip install 'scfx[draw]'`.
"""

from scfx.plot.courses import history
from scfx.plot.depths import bits
from scfx.plot.layers import widths

__all__ = ["bits", "history", "widths"]
