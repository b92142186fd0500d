"""The code of README.md, of the pages in docs/ and of the docstrings runs, and prints what the pages say it does.

The ```python blocks of a page run in their order, in one namespace. A ```text block right after one holds what it
prints; numbers and spaces are not compared, since they depend on the machine and the versions. Blocks may import what
the scripts of benchmarks/ share. Files that a page names exist, and so does what it says is in them.
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
import types
from pathlib import Path

import pytest

import equijax

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
OTHERS = [ROOT / "CONTRIBUTING.md", ROOT / "benchmarks" / "README.md"]
BLOCK = re.compile(r"^```python\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?", re.DOTALL | re.MULTILINE)
NUMBER = re.compile(r"[-+]?\d[\d.]*(e[-+]?\d+)?")


def blocks(page):
    """(source, what it prints or None) of each block, padded so that line numbers of errors are those of the page."""
    text = page.read_text()
    return [("\n" * (text[: m.start()].count("\n") + 1) + m[1], m[2]) for m in BLOCK.finditer(text)]


@pytest.fixture(autouse=True)
def empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(ROOT / "benchmarks")


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
def test_readme_runs():
    run(ROOT / "README.md")


@pytest.mark.parametrize("page", [p for p in PAGES[1:] if blocks(p)], ids=lambda p: p.stem)
def test_page_runs(page):
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


@pytest.mark.core
@pytest.mark.parametrize("page", [*PAGES, *OTHERS], ids=lambda p: str(p.relative_to(ROOT)))
def test_what_a_page_names_exists(page):
    assert not missing(page.read_text(), page.parent)


def test_what_does_not_exist_is_seen():
    text = "`docs/index.md`, `LIE` or `NONE` in `tests/groups/test_group_laws.py`, `equijax/none.py`, `equijax/NAME.py`"
    assert missing(text, ROOT) == ["equijax/none.py", "NONE in tests/groups/test_group_laws.py"]
    assert missing("[a](docs/index.md#here), [b](none.md), [c](https://none.org)", ROOT) == ["none.md"]


def missing(text, folder):
    """Files that a page names or links to and that are not there, and names that are not in the file that is said."""
    named = [name for name in re.findall(r"`((?:equijax|tests|benchmarks|docs)/[\w./-]+)`", text) if "NAME" not in name]
    linked = re.findall(r"\]\(([\w./-]+\.\w+|[\w./-]+/)[)#]", text)
    absent = [name for name in named if not (ROOT / name).exists()]
    absent += [name for name in linked if not (folder / name).exists()]
    for names, path in re.findall(r"((?:`\w+`(?:, | or | and )?)+) in `([\w/]+\.py)`", text):
        source = (ROOT / path).read_text() if path not in absent else ""
        found = [name for name in re.findall(r"`(\w+)`", names) if source]
        absent += [f"{n} in {path}" for n in found if not re.search(rf"^(def |class )?{n}\b", source, re.MULTILINE)]
    return absent


def test_every_public_module_has_a_page():
    """In the reference: folders, what stands beside them, and the modules that folders export."""
    folders = {path.parent.name for path in Path(equijax.__file__).parent.glob("*/__init__.py")} - {"numerics"}
    wanted = {f"equijax.{name}" for name in {*folders, "rotations", "symmetry"}}
    for name in folders:
        folder = importlib.import_module(f"equijax.{name}")
        wanted |= {f"equijax.{name}.{n}" for n in folder.__all__ if isinstance(getattr(folder, n), types.ModuleType)}
    pages = [path.read_text() for path in (ROOT / "docs" / "reference").glob("*.md")]
    shown = [name for page in pages for name in re.findall(r"automodule:: (\S+)\n +:members:", page)]
    assert wanted <= set(shown)
    assert len(shown) == len(set(shown))


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
