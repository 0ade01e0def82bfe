"""Without an optional library the error names the extra to install."""

import importlib
import sys

import pytest


@pytest.mark.parametrize(
    ("module", "library", "extra"),
    [("hugging_face", "transformers", "hugging-face"), ("lightning", "lightning.pytorch", "lightning")],
)
def test_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, module: str, library: str, extra: str) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    monkeypatch.delitem(sys.modules, f"scfx.integrations.{module}", raising=False)
    with pytest.raises(ImportError, match=rf"pip install 'scfx\[{extra}\]'"):
        importlib.import_module(f"scfx.integrations.{module}")
