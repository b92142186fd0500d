"""The code of README.md, of the pages in docs/ and of the docstrings runs, and prints what the pages say it does.

The ```python blocks of a page run in their order, in one namespace. A ```text block right after one holds what it
prints; numbers and spaces are not compared, since they depend on the machine and the versions.
"""

import ast
import contextlib
import doctest
import importlib
import importlib.metadata
import io
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import equijax

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```python\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?", re.DOTALL | re.MULTILINE)
NUMBER = re.compile(r"[-+]?\d[\d.]*(e[-+]?\d+)?")


def blocks(page):
    """(source, what it prints or None) of each block, padded so that line numbers of errors are those of the page."""
    text = page.read_text()
    return [("\n" * (text[: m.start()].count("\n") + 1) + m[1], m[2]) for m in BLOCK.finditer(text)]


def run(page):
    namespace = {"__name__": page.stem}
    for source, shown in blocks(page):
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            exec(compile(source, str(page), "exec"), namespace)
        if shown is not None:
            assert words(printed.getvalue()) == words(shown), f"{page.name} shows:\n{shown}\n{printed.getvalue()}"


def words(text):
    return NUMBER.sub("#", text).split()


@pytest.mark.core
def test_readme_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run(ROOT / "README.md")


@pytest.mark.parametrize("page", [p for p in PAGES[1:] if blocks(p)], ids=lambda p: p.stem)
def test_page_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run(page)


def test_a_page_that_shows_something_else_fails(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("Text.\n\n```python\nprint('error', 1e-7)\n```\n\n```text\nerror 2.5e-9\n```\n")
    run(page)
    page.write_text(page.read_text().replace("error 2", "Error 2"))
    with pytest.raises(AssertionError, match=r"page\.md shows"):
        run(page)
    page.write_text("Text.\n\n```python\nassert 1 == 2\n```\n")
    with pytest.raises(AssertionError):
        run(page)


def test_examples_of_docstrings_run():
    names = [m.name for m in pkgutil.walk_packages(equijax.__path__, "equijax.") if "generate" not in m.name]
    tried = 0
    for name in names:
        found = doctest.testmod(importlib.import_module(name))
        assert found.failed == 0, name
        tried += found.attempted
    assert tried > 5


def test_the_package_is_imported_part_by_part():
    script = (
        "import sys, equijax as ej\nassert 'jax' not in sys.modules\nprint(ej.__version__, ej.interop.ase.__name__)\n"
        "ej.chekc"
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert found.stdout.split() == [importlib.metadata.version("equijax"), "equijax.interop.ase"]
    assert "module 'equijax' has no attribute 'chekc'; its parts are checks" in found.stderr


def test_type_checkers_see_every_name():
    tree = ast.parse(Path(equijax.__file__).read_text())
    guarded = next(node for node in tree.body if isinstance(node, ast.If))
    assert sorted(name.name for node in guarded.body for name in node.names) == sorted(equijax.__all__)
