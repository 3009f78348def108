"""The tree keeps its shape: one-way imports, light imports, file sizes, every public module documented."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = sorted([*ROOT.glob("kerasdl/**/*.py"), *ROOT.glob("recipes/**/*.py")])
HEAVY = ("tensorflow", "keras", "jax", "torch", "sklearn", "scipy", "tensorflow_datasets", "numpy")


def test_imports_point_one_way():
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


@pytest.mark.parametrize("statement", ["import kerasdl", "import recipes.__main__; recipes.__main__.make_app()"])
def test_nothing_heavy_is_imported_until_it_is_used(statement):
    code = f"import sys; {statement}; print(*(set(sys.modules) & set({HEAVY!r})))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_loading_an_export_needs_no_keras_and_no_training_code():
    heavy = {"keras", "kerasdl.training", "kerasdl.models"}
    code = f"import sys; import kerasdl.export; print(*(set(sys.modules) & {heavy}))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_each_file_says_what_belongs_in_it_and_stays_short(path):
    text = path.read_text("utf-8")
    tree = ast.parse(text)
    assert ast.get_docstring(tree), "a module docstring says what belongs in the file"
    assert len(text.splitlines()) <= 350, "past 250 lines a file is usually two things"
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.Assert)], "errors are raised, not asserted"
    names = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert "Lambda" not in names, "a Lambda layer cannot be loaded safely"


def test_tensorflow_is_imported_only_inside_functions():
    for path in SOURCES:
        for node in ast.parse(path.read_text("utf-8")).body:
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not [name for name in names if name.split(".")[0].startswith("tensorflow")], path


def test_every_public_name_exists():
    code = "import kerasdl, kerasdl.export as e; print([getattr(m, name) for m in (kerasdl, e) for name in m.__all__])"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True)


def test_an_unknown_public_name_is_an_attribute_error():
    import kerasdl

    with pytest.raises(AttributeError, match="nosuch"):
        kerasdl.nosuch  # noqa: B018
