"""A file of tensors and one text, with a format, a version and a checksum over everything: safetensors, no pickle."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from scfx.errors import CheckpointError
from scfx.saving.packing import digest
from scfx.whole import whole

#: What can go wrong when something is read that nobody has written like this.
DAMAGE = (SafetensorError, OSError, ValueError, KeyError, TypeError, RecursionError)


@dataclass(frozen=True)
class Container:
    """One kind of file.

    Attributes:
        format: Its name in the file.
        version: The version that is written, and the only one that is read.
        what: Its name in messages.
        advice: What to do about a damaged one.
        most: How many bytes its header, which holds the text, may have.
    """

    format: str
    version: str
    what: str
    advice: str
    most: int = 100_000_000

    def write(self, path: str | os.PathLike[str], tensors: Mapping[str, Tensor], text: str) -> None:
        """Writes a file that appears at once and whole, or not at all.

        Args:
            path: The file; it is replaced if it exists.
            tensors: By name, in CPU memory, contiguous, no two in the same memory.
            text: Whatever else belongs to the file.
        """
        metadata = {
            "format": self.format,
            "version": self.version,
            "content": text,
            "checksum": digest(tensors, text),
        }
        with whole(Path(path)) as draft:
            save_file(dict(tensors), draft, metadata)

    def read(self, path: Path) -> tuple[dict[str, Tensor], str]:
        """Returns the tensors, in CPU memory, and the text of a file, after its checksum has been found right.

        Raises:
            CheckpointError: It is damaged, or of another format or version.
            FileNotFoundError: There is no such file.
        """
        try:
            self._check_header(path)
            with safe_open(path, framework="pt") as file:
                metadata = file.metadata() or {}
                if metadata.get("format") != self.format:
                    raise CheckpointError(f"{path} is no {self.what}")
                if metadata.get("version") != self.version:
                    raise CheckpointError(
                        f"{path} has version {metadata.get('version')!r} of the format, and this scfx knows "
                        f"{self.version!r}: load it with the scfx that wrote it"
                    )
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
                text = metadata["content"]
                if digest(tensors, text) != metadata["checksum"]:
                    raise CheckpointError(f"{path} is damaged: its checksum is another; {self.advice}")
        except FileNotFoundError:
            raise
        except DAMAGE as error:
            raise self.damaged(path, error) from error
        return tensors, text

    def damaged(self, path: Path, error: BaseException) -> CheckpointError:
        """The error to raise for a file in which something is wrong."""
        return CheckpointError(f"{path} is damaged: {error}; {self.advice}")

    def _check_header(self, path: Path) -> None:
        """Refuses a header that is too long before anything reads it: its first 8 bytes say how long it is."""
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
        if length > self.most:
            raise ValueError(f"its header claims {length:,} bytes, and no more than {self.most:,} are read")
