"""The blocks of docs/training.md run as they stand, each section in a folder of its own."""

import os
import re
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist

from tests.processes import together
from tests.test_readme import python_blocks

GUIDE = Path(__file__).resolve().parents[1] / "docs/training.md"

ALONE = ["Your own loop", "Hugging Face's Trainer", "Lightning"]


def run(section: str) -> dict[str, Any]:
    """Runs the blocks of one section, and returns the names that they leave."""
    text = GUIDE.read_text()
    start = text.index(f"\n## {section}\n")
    end = text.find("\n## ", start + 1)
    blocks = python_blocks(text[start : end if end > 0 else None])
    assert blocks
    names: dict[str, Any] = {"__name__": "guide"}
    for line, block in blocks:
        exec(compile("\n" * (text.count("\n", 0, start) + line) + block, GUIDE.name, "exec"), names)
    return names


@pytest.mark.parametrize("section", ALONE)
def test_sections_run(section: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "'pin_memory' argument is set as true but no accelerator", UserWarning)
        if section == "Lightning":  # its advice, and its use of what torch has renamed
            from lightning.fabric.utilities.warnings import PossibleUserWarning

            warnings.filterwarnings("ignore", category=PossibleUserWarning)
            warnings.filterwarnings("ignore", r"`isinstance\(treespec, LeafSpec\)` is deprecated", FutureWarning)
        names = run(section)
    net = names["trainer"].lightning_module.net if section == "Lightning" else names["net"]
    assert net._training.step > 0


def in_a_process() -> dict[str, Any]:
    """What torchrun starts has no group yet: its surroundings say where a store is, by which they find each other."""
    port = torch.zeros((), dtype=torch.int64)
    if dist.get_rank() == 0:
        store = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)  # type: ignore[attr-defined]
        port.fill_(store.port)
    dist.broadcast(port, 0)
    dist.destroy_process_group()
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(int(port)), "TORCHELASTIC_USE_AGENT_STORE": "True"}
    net = run("Several processes")["net"]
    return {name: tensor.tolist() for name, tensor in net.state_dict().items()}


def test_several_processes_run_the_script() -> None:
    one, two = together(in_a_process)
    assert one == two


def test_every_section_runs() -> None:
    sections = re.findall(r"^## (.*)$", GUIDE.read_text(), re.MULTILINE)
    assert sections == [*ALONE, "Several processes"]
