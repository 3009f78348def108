"""The README keeps its word: its commands are those that CI runs, what it names exists."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from recipes import image_classification
from recipes.__main__ import RECIPES

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")


def test_ci_runs_the_two_set_up_commands():
    ci = " ".join((ROOT / ".ci" / "run").read_text("utf-8").split())
    shell = re.findall(r"```sh\n(.+?)\n```", README, flags=re.DOTALL)
    install, test = shell[:2]
    assert test in ci
    for part in install.split(" && "):
        assert part.removeprefix("python -m pip") in ci


def test_links_and_pictures_lead_to_files():
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / target).is_file(), target


def test_the_table_lists_every_recipe_and_architecture():
    for name in RECIPES:
        assert f"| `{name}` |" in README
    for name in image_classification.ARCHITECTURES:
        assert f"`{name}`" in README


def test_the_python_example_is_python_and_uses_real_names():
    import kerasdl

    code = re.search(r"```python\n(.+?)\n```", README, flags=re.DOTALL)[1]
    attributes = {node.attr for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Attribute)}
    known = {*dir(kerasdl.Result), *dir(kerasdl), *dir(kerasdl.export), *dir(image_classification)}
    known |= {"metrics", "diagnosis", "model", "config"}  # set by Result's constructor
    assert attributes <= known
