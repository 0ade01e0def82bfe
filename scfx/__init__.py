"""scfx: any PyTorch network compresses itself while it trains, without ever changing what it computes."""

from scfx import distributed, plot
from scfx.compress import CompressedModule, channel_graph, compress
from scfx.errors import (
    CaptureError,
    CheckpointError,
    ExportError,
    InputError,
    ModelError,
    OptimizerError,
    PlanError,
    ScfxError,
    UnknownNameError,
)
from scfx.exporting.onnx import export_onnx
from scfx.files.files import load, save
from scfx.graph.channels import Axis, ChannelGraph, Member
from scfx.saving.checkpoint import load_checkpoint, save_checkpoint
from scfx.target import SizeTarget
from scfx.training.forgetting import Guards
from scfx.training.size import CostKind

__version__ = "0.1.0"

__all__ = [
    "Axis",
    "CaptureError",
    "ChannelGraph",
    "CheckpointError",
    "CompressedModule",
    "CostKind",
    "ExportError",
    "Guards",
    "InputError",
    "Member",
    "ModelError",
    "OptimizerError",
    "PlanError",
    "ScfxError",
    "SizeTarget",
    "UnknownNameError",
    "channel_graph",
    "compress",
    "distributed",
    "export_onnx",
    "load",
    "load_checkpoint",
    "plot",
    "save",
    "save_checkpoint",
]
