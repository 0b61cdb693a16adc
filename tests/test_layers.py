"""train -> agents -> memgym, and never the other way; the gym imports without torch."""

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
FORBIDDEN = {
    "memgym": {"agents", "train", "benchmarks", "tests", "torch", "transformers", "trl", "peft", "accelerate"},
    "agents": {"train", "benchmarks", "tests", "trl"},
    "train": {"benchmarks", "tests"},
}
OPTIONAL = ("torch", "transformers", "trl", "peft", "accelerate", "matplotlib", "datasets", "pandas", "scipy")
SLOW = (*OPTIONAL, "nltk", "yaml")  # the last two are installed with the gym, and imported when they are needed


def imported(tree: ast.AST) -> Iterator[str]:
    """Top-level packages of every import, wherever it stands, by statement or by name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield (node.module or "").partition(".")[0]
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name in ("import_module", "__import__", "find_spec"):
                yield str(node.args[0].value).partition(".")[0]


def files(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


@pytest.mark.parametrize("package", FORBIDDEN)
def test_no_file_imports_from_a_layer_above_it(package):
    assert files(package)
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in files(package)
        for name in imported(ast.parse(path.read_text(encoding="utf-8")))
        if name in FORBIDDEN[package]
    ]
    assert wrong == []


def test_the_check_sees_every_way_to_import():
    source = "import torch.nn as n\ndef f():\n  from trl.x import y\n  import_module('agents.z')\n  __import__('peft')"
    assert sorted(imported(ast.parse(source))) == ["agents", "peft", "torch", "trl"]


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


# Modules of this kind cannot be imported in the process at all.
BLOCK = f"""
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {OPTIONAL!r}:
            raise ModuleNotFoundError(f"no {{name}} here")
sys.meta_path.insert(0, Absent())
"""


def test_the_gym_imports_and_plays_where_no_optional_package_exists():
    code = BLOCK + (
        "import gymnasium, memgym\n"
        "env = gymnasium.make('memgym/Dialogue-v0', dialogue={'chunks': 1, 'questions': 1, 'turns_per_chunk': 4})\n"
        "env.reset(seed=0)\n"
        "print(env.step([memgym.Operation('insert', 'semantic', 'tea')])[2])\n"
    )
    assert run(code) == "True"


@pytest.mark.parametrize("module", ["memgym", "memgym.cli"])
def test_importing_the_gym_pulls_in_no_slow_package(module):
    assert run(f"import sys, {module}; print([name for name in {SLOW!r} if name in sys.modules])") == "[]"


def test_the_wheel_holds_every_package_and_data_file_of_the_gym_and_nothing_else():
    discovery = pytest.importorskip("setuptools")
    settings = PYPROJECT["tool"]["setuptools"]
    found = discovery.find_namespace_packages(str(ROOT), **settings["packages"]["find"])
    packages = {package for package in found if not package.endswith("__pycache__")}
    inside = [path.relative_to(ROOT) for path in (ROOT / "memgym").rglob("*") if path.is_file()]
    data = {str(path.relative_to("memgym")) for path in inside if path.suffix not in (".py", ".pyc")}
    assert packages == {".".join(path.parent.parts) for path in inside if path.suffix == ".py"}
    assert data == set(settings["package-data"]["memgym"])


def test_the_gym_depends_on_little_and_on_nothing_heavy():
    names = {requirement.partition(">")[0] for requirement in PYPROJECT["project"]["dependencies"]}
    assert len(names) < 10
    assert not names & {"torch", "transformers", "trl", "peft", "matplotlib"}
