"""The package as a user gets it: the symlinked passes, the archives, the names, the versions and the pins."""

import ast
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

import scfx

ROOT = Path(__file__).resolve().parents[1]
BUILD = "import sys, setuptools.build_meta as backend; print(getattr(backend, sys.argv[1])(sys.argv[2]))"


def run(*command: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command], cwd=cwd, env=os.environ | environment, capture_output=True, text=True, check=False
    )


def build(kind: str, tree: Path, out: Path) -> Path:
    """Build an archive of a source tree with the build backend of this environment, so that no network is needed."""
    result = run("-c", BUILD, f"build_{kind}", str(out), cwd=tree)
    assert result.returncode == 0, result.stdout + result.stderr
    return out / result.stdout.split()[-1]


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> tuple[set[str], Path]:
    """The names in the source archive, and a wheel built from nothing but that archive."""
    work = tmp_path_factory.mktemp("packaging")
    tree, out = work / "tree", work / "out"
    out.mkdir()
    ignore = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for folder in ("scfx", "passes"):
        shutil.copytree(ROOT / folder, tree / folder, symlinks=True, ignore=ignore)
    for path in ROOT.iterdir():
        if path.is_file():
            shutil.copy(path, tree)
    sdist = build("sdist", tree, out)
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert run("-m", "tarfile", "-e", str(sdist), str(work), cwd=work).returncode == 0
    return names, build("wheel", work / sdist.name.removesuffix(".tar.gz"), out)


def sources(folder: str) -> set[str]:
    """Every module of a folder of the package, by its path in the package."""
    found = (path.relative_to(ROOT / folder) for path in (ROOT / folder).rglob("*.py"))
    prefix = "scfx/passes" if folder == "passes" else folder
    return {f"{prefix}/{path.as_posix()}" for path in found if not path.as_posix().startswith("passes/")}


def page_parts() -> set[str]:
    """What the page of a channel graph is put together from."""
    return {path.relative_to(ROOT).as_posix() for path in (ROOT / "scfx/reporting/browser").iterdir()}


def test_passes_are_linked_into_the_package() -> None:
    link = ROOT / "scfx" / "passes"
    assert link.is_symlink()
    assert Path(os.readlink(link)) == Path("..", "passes")


def test_passes_refuse_to_be_imported_by_another_name() -> None:
    result = run("-c", "import passes", cwd=ROOT)
    assert result.returncode != 0
    assert re.search(r"ImportError: .*scfx\.passes", result.stderr), result.stderr


def test_archives_hold_every_module(archives: tuple[set[str], Path]) -> None:
    names, wheel = archives
    expected = sources("scfx") | sources("passes") | {"scfx/py.typed"} | page_parts()
    assert len(page_parts()) > 3
    assert any(name.startswith("scfx/passes/") for name in expected)
    assert expected | {"LICENSE", "README.md", "CHANGELOG.md"} <= names
    held = set(zipfile.ZipFile(wheel).namelist())
    assert expected <= held
    # Nothing but the package: no tests, and no second copy of the passes.
    assert {name.split("/")[0] for name in held} == {"scfx", f"scfx-{scfx.__version__}.dist-info"}


def test_wheel_works_by_itself(archives: tuple[set[str], Path], tmp_path: Path) -> None:
    zipfile.ZipFile(archives[1]).extractall(tmp_path)
    code = "import scfx, scfx.passes; print(scfx.__file__, scfx.passes.__file__)"
    result = run("-W", "error", "-c", code, cwd=tmp_path, PYTHONPATH=str(tmp_path))
    assert result.returncode == 0, result.stderr
    assert all(path.startswith(str(tmp_path)) for path in result.stdout.split())


def test_public_names_exist() -> None:
    assert len(set(scfx.__all__)) == len(scfx.__all__)
    missing = [name for name in scfx.__all__ if not hasattr(scfx, name)]
    assert not missing


def test_import_stays_light() -> None:
    """The library needs no torchvision, timm or trainers, and loads drawing and the demo only when asked to."""
    optional = {"torchvision", "timm", "transformers", "pygraphviz", "sklearn", "matplotlib"}
    optional |= {"accelerate", "lightning", "onnx", "onnx_ir", "onnxruntime", "onnxscript", "tensorboard"}
    result = run("-c", "import scfx, sys; print(*sys.modules)", cwd=ROOT)
    assert result.returncode == 0, result.stderr
    assert not optional & set(result.stdout.split())


def test_everything_that_is_imported_is_declared() -> None:
    """The core, which has no extras, rests on no package that only another one brings."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = {"torchvision", "timm", "sklearn", "matplotlib", "pygraphviz", "transformers", "lightning"}
    extras |= {"onnx_ir", "onnxruntime"}
    declared = (
        {Requirement(line).name for line in project["dependencies"]} | extras | sys.stdlib_module_names | {"scfx"}
    )
    trees = (ast.parse(path.read_text()) for path in [*(ROOT / "scfx").rglob("*.py"), *(ROOT / "passes").glob("*.py")])
    imports = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    names = [
        name
        for node in imports
        for name in ([node.module or ""] if isinstance(node, ast.ImportFrom) else [each.name for each in node.names])
    ]
    assert "torch" in {name.partition(".")[0] for name in names}
    assert not {name.partition(".")[0] for name in names} - declared


def test_versions_agree() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    latest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert latest is not None
    assert project["version"] == scfx.__version__ == latest[1]


def test_every_dependency_is_pinned_as_installed() -> None:
    """constraints.txt pins everything `scfx[dev]` brings, and nothing else, at the versions the tests run with."""
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = [Requirement(line) for line in lines if line and not line.startswith("#")]
    assert pins[0].name == "torch"
    pinned = {canonicalize_name(pin.name): pin.specifier for pin in pins}
    needed = closure("scfx", {"dev"}) - {"scfx"}
    if importlib.metadata.version("torch").endswith("+cpu"):  # other builds bring libraries for their device
        assert set(pinned) == needed
    wrong = {name: specifier for name, specifier in pinned.items() if not specifier.contains(installed(name))}
    assert not wrong


def installed(name: str) -> Version:
    return Version(importlib.metadata.version(name))


def closure(name: str, extras: set[str]) -> set[str]:
    """The names of all installed distributions that one requirement leads to, itself included."""
    pending, seen = [(canonicalize_name(name), frozenset(extras))], set()
    while pending:
        item = pending.pop()
        if item in seen:
            continue
        seen.add(item)
        for line in importlib.metadata.requires(item[0]) or []:
            need = Requirement(line)
            if need.marker is None or any(need.marker.evaluate({"extra": extra}) for extra in item[1] | {""}):
                pending.append((canonicalize_name(need.name), frozenset(need.extras)))
    return {name for name, _ in seen}
