"""The code of README.md, of the pages in docs/ and of the docstrings runs, and prints what the pages say it does.

The ```python blocks of a page run in their order, in one namespace. A ```text block right after one holds what it
prints, but for spaces and the last digits of numbers; times are not compared. Blocks may import what the scripts of
benchmarks/ share. Files that a page names exist, and so does what it says is in them.
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

import numpy as np
import pytest

import equijax

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
OTHERS = [ROOT / "CONTRIBUTING.md", ROOT / "benchmarks" / "README.md"]
BLOCK = re.compile(r"^```python\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?", re.DOTALL | re.MULTILINE)
NUMBER = re.compile(r"[-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?")


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
            assert same(shown, printed.getvalue()), f"{page.name} shows:\n{shown}\n{printed.getvalue()}"


def same(shown, printed):
    """Equal words, and numbers to 10 %; very small or large ones, roundings and ratios of them, to a factor of 30."""
    shown, printed = (re.sub(r"(?<=\d),(?=\d{3})", "", text) for text in (shown, printed))
    if NUMBER.sub("#", shown).split() != NUMBER.sub("#", printed).split():
        return False
    found = [np.array(NUMBER.findall(text), float) for text in (shown, printed)]
    rounding = np.all([(np.abs(x) < 1e-5) | (np.abs(x) > 1e7) for x in found], axis=0)
    least, largest = np.sort(np.abs(found), axis=0)
    near = np.where(rounding, 30 * least >= largest, np.isclose(*found, rtol=0.1, atol=0))
    return "seconds" in shown or near.all()


@pytest.mark.core
def test_readme_runs():
    run(ROOT / "README.md")


@pytest.mark.parametrize("page", [p for p in PAGES[1:] if blocks(p)], ids=lambda p: p.stem)
def test_page_runs(page):
    run(page)


def test_a_page_that_shows_something_else_fails(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("Text.\n\n```python\nprint('error', 5e-8, -5, 1234)\n```\n\n```text\nerror 2.5e-9 -5 1,234\n```\n")
    run(page)
    for shown, other in (("error 2", "Error 2"), ("2.5e-9", "1e-9"), ("1,234", "1,534"), (" -5", " 5")):
        wrong = tmp_path / "wrong.md"
        wrong.write_text(other.join(page.read_text().rsplit(shown, 1)))
        with pytest.raises(AssertionError, match=r"wrong\.md shows"):
            run(wrong)
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


@pytest.mark.parametrize("part", [m.name for m in pkgutil.iter_modules(equijax.__path__)])
def test_examples_of_docstrings_run(part):
    names = [m.name for m in pkgutil.walk_packages(equijax.__path__, "equijax.") if "generate" not in m.name]
    found = {n: doctest.testmod(importlib.import_module(n)) for n in names if n.split(".")[1] == part}
    assert not [name for name, result in found.items() if result.failed]
    assert part == "_validate" or sum(result.attempted for result in found.values())


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
