"""The rules of the house: which folder may import which, how long a module may be, what has to be documented.

Each rule is a function from the root of a package to what breaks it. It finds nothing in the package, and finds the
one fault of a small package that breaks it.
"""

import ast
import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import equijax

ROOT = Path(equijax.__file__).parent
README, TESTS = ROOT.parent / "README.md", ROOT.parent / "tests"
ORDER = (  # a folder imports those before it
    *("_validate", "numerics", "groups", "spherical", "graphs", "rotations", "reps", "lie", "products", "nn"),
    *("symmetry", "training", "frames", "measures", "views", "objectives", "checks", "data", "models", "interop"),
)
LONGEST = 400  # lines of a module


def modules(root: Path) -> dict[str, Path]:
    """The modules below a root by their names, `equijax.groups.base`; a package has that of its folder."""
    names = {path.relative_to(root.parent).with_suffix(""): path for path in sorted(root.rglob("*.py"))}
    return {".".join(name.parts).removesuffix(".__init__"): path for name, path in names.items()}


def imports(root: Path, tree: ast.AST) -> Iterator[tuple[int, str]]:
    """The lines and the full names of what is imported from the package: modules, and names in modules."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        yield from ((node.lineno, name) for name in found if name.split(".")[0] == root.name)


def folder(name: str) -> str:
    """The part of the house that a module or name is in: groups for equijax.groups.base."""
    return [*name.split("."), ""][1]


def imports_that_point_down(root: Path) -> list[str]:
    level = {name: k for k, name in enumerate(ORDER)}
    return [
        f"{module}:{line} imports {name}"
        for module, path in modules(root).items()
        if module != root.name  # the package itself, which imports on use
        for line, name in imports(root, ast.parse(path.read_text()))
        if level.get(folder(name), len(level)) > level.get(folder(module), -1)
    ]


def circles(root: Path) -> list[str]:
    """Modules that import themselves by way of others; a package is what its `__init__` imports."""
    known = modules(root)
    edges = {
        module: {
            target
            for _, name in imports(root, ast.parse(path.read_text()))
            for target in (name if name in known else name.rpartition(".")[0],)
            # a package that is asked for one of its modules need not be ready itself
            if target in known and target not in (module, root.name)
        }
        for module, path in known.items()
        if module != root.name
    }
    while True:  # take off what imports nothing that is left
        ready = [module for module, targets in edges.items() if not targets & edges.keys()]
        if not ready:
            return sorted(edges)
        for module in ready:
            del edges[module]


def private_names_across_folders(root: Path) -> list[str]:
    found = []
    for module, path in modules(root).items():
        tree = ast.parse(path.read_text())
        aliases = {}  # what other folders' modules are called here
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == root.name:
                names = {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
                aliases |= {local: name for local, name in names.items() if folder(name) != folder(module)}
        for line, name in imports(root, tree):
            inside = name.split(".")[2:]
            if folder(name) != folder(module) and any(part.startswith("_") for part in inside):
                found.append(f"{module}:{line} imports {name}")
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in aliases:
                of_module = aliases[node.value.id] in modules(root)
                if of_module and node.attr.startswith("_") and not node.attr.startswith("__"):
                    found.append(f"{module}:{node.lineno} uses {aliases[node.value.id]}.{node.attr}")
    return found


def flax_below_the_layers(root: Path) -> list[str]:
    """Mathematics is pure functions of arrays: parameters exist in `nn` and `models` only."""
    return [
        f"{module} imports flax"
        for module, path in modules(root).items()
        if folder(module) not in ("nn", "models", "interop")
        and re.search(r"^\s*(import|from) flax\b", path.read_text(), re.MULTILINE)
    ]


def long_modules(root: Path) -> list[str]:
    lengths = {module: len(path.read_text().splitlines()) for module, path in modules(root).items()}
    return [f"{module} has {n} lines" for module, n in lengths.items() if n > LONGEST]


def undocumented(root: Path) -> list[str]:
    """Public names of packages without a docstring of their own, and modules without one."""
    found = [module for module, path in modules(root).items() if not ast.get_docstring(ast.parse(path.read_text()))]
    return found + [
        f"{package}.{name}"
        for package, name, value in public(root)
        if (inspect.isclass(value) or inspect.isroutine(value)) and not has_docstring(value)
    ]


def untried(root: Path) -> list[str]:
    """Public functions without an example that runs, whose names are in no test."""
    words = {word for path in TESTS.rglob("*.py") for word in re.findall(r"\w+", path.read_text())}
    return [
        f"{package}.{name}"
        for package, name, value in public(root)
        if folder(package) != "numerics"
        and inspect.isroutine(value)
        and name not in words
        and ">>>" not in (value.__doc__ or "")
    ]


def public(root: Path) -> Iterator[tuple[str, str, object]]:
    """What packages export: the package, the name and what it stands for."""
    for path in sorted(root.rglob("__init__.py")):
        package = ".".join(path.parent.relative_to(root.parent).parts)
        module = importlib.import_module(package)
        yield from ((package, name, getattr(module, name)) for name in getattr(module, "__all__", ()))


def has_docstring(value: object) -> bool:
    """Whether it has one that nobody made for it, as dataclasses and tuples with names get one."""
    text = (value.__dict__.get("__doc__") if inspect.isclass(value) else value.__doc__) or ""
    return bool(text.strip()) and not text.startswith((f"{getattr(value, '__name__', '')}(", "Alias for"))


def folders_that_readme_leaves_out(root: Path, readme: Path) -> list[str]:
    table = set(re.findall(r"`(\w+)`", "\n".join(line for line in readme.read_text().splitlines() if line[:1] == "|")))
    return [path.parent.name for path in sorted(root.glob("*/__init__.py")) if path.parent.name not in table]


RULES = (
    imports_that_point_down,
    circles,
    private_names_across_folders,
    flax_below_the_layers,
    long_modules,
    undocumented,
    untried,
)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_house_keeps_the_rule(rule):
    assert rule(ROOT) == []


def test_every_folder_has_its_place_in_the_order_and_in_the_readme():
    stages = {path.stem for path in ROOT.iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()}
    assert stages - {"__init__"} <= set(ORDER)
    assert folders_that_readme_leaves_out(ROOT, README) == []


BROKEN = [  # rule, files of a package that breaks it, what is found
    (imports_that_point_down, {"groups/a.py": "from {} import nn", "nn/__init__.py": ""}, "groups.a:2 imports {}.nn"),
    (
        imports_that_point_down,
        {"groups/a.py": "def f():\n    from {}.nn import b", "nn/b.py": ""},
        "groups.a:3 imports {}.nn.b",
    ),
    (circles, {"groups/a.py": "from {}.groups import b", "groups/b.py": "from {}.groups.a import f"}, "groups.a"),
    (
        private_names_across_folders,
        {"nn/a.py": "from {}.groups.b import _f", "groups/b.py": "_f = 1"},
        "nn.a:2 imports {}.groups.b._f",
    ),
    (
        private_names_across_folders,
        {"nn/a.py": "from {}.groups import _b", "groups/_b.py": ""},
        "nn.a:2 imports {}.groups._b",
    ),
    (
        private_names_across_folders,
        {"nn/a.py": "from {}.groups import b\nb._f", "groups/b.py": "_f = 1"},
        "nn.a:3 uses {}.groups.b._f",
    ),
    (flax_below_the_layers, {"groups/a.py": "import flax.linen"}, "groups.a imports flax"),
    (long_modules, {"groups/a.py": "\n" * (LONGEST - 1)}, f"groups.a has {LONGEST + 1} lines"),
    (undocumented, {"groups/b.py": "def f(): ...", "groups/__init__.py": "from {}.groups.b import f\n__all__ = ['f']"},
     "groups.f"),
    (undocumented, {"groups/b.py": "import dataclasses\n@dataclasses.dataclass\nclass A:\n    n: int",
                    "groups/__init__.py": "from {}.groups.b import A\n__all__ = ['A']"}, "groups.A"),
    (untried, {"groups/b.py": "def f{}(): ...", "groups/__init__.py": "from .b import f{0}\n__all__ = ['f{0}']"},
     "groups.f{0}"),
]  # fmt: skip


@pytest.mark.parametrize("case", range(len(BROKEN)))
def test_a_house_that_breaks_a_rule_is_found_out(case, tmp_path, monkeypatch):
    rule, files, fault = BROKEN[case]
    package = f"house_{case}"
    for name, text in ({"__init__.py": "", "groups/__init__.py": "", "nn/__init__.py": ""} | files).items():
        path = tmp_path / package / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f'"""A part of a house."""\n{text.format(package)}\n')
    monkeypatch.syspath_prepend(tmp_path)
    assert rule(tmp_path / package)[0] == f"{package}.{fault.format(package)}"


def test_a_folder_that_the_readme_leaves_out_is_found(tmp_path):
    (tmp_path / "README.md").write_text("| `groups` | what a symmetry is |\n`nn` has layers\n")
    for name in ("groups", "nn"):
        (tmp_path / "house" / name).mkdir(parents=True)
        (tmp_path / "house" / name / "__init__.py").write_text("")
    assert folders_that_readme_leaves_out(tmp_path / "house", tmp_path / "README.md") == ["nn"]
