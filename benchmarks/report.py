"""Puts the tables and pictures of the documentation into its pages, from the lines in results/.

python benchmarks/report.py          # after a run: write them anew
python benchmarks/report.py --check  # say which pages do not show what the results give, and fail

A page has a line `<!-- results: NAME.FUNCTION -->`, where NAME is a module of tables/ and FUNCTION a function of it,
and a line `<!-- end of results -->`. What stands between is what the function makes of the lines of results/NAME.jsonl.
A picture lies beside the pages on benchmarks and holds a digest of its curves, which says what results it is of.
"""

import argparse
import hashlib
import importlib
import json
import re
from pathlib import Path

from harness.results import read

HERE = Path(__file__).parent
BLOCK = re.compile(r"^<!-- results: (\w+)\.(\w+) -->\n.*?^<!-- end of results -->$", re.MULTILINE | re.DOTALL)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if something would change")
    parser.add_argument("--results", type=Path, default=HERE / "results", help="folder of the results")
    parser.add_argument("--docs", type=Path, default=HERE.parent / "docs", help="folder of the pages")
    args = parser.parse_args()
    texts, shown = pages(args.results, args.docs), pictures(args.results, args.docs)
    for path in (*texts, *shown):
        print(f"{path}: {'does not show what the results give' if args.check else 'written'}")
    if args.check:
        raise SystemExit("python benchmarks/report.py writes them anew" if texts or shown else 0)
    for path, text in texts.items():
        path.write_text(text)
    for path, of in shown.items():
        draw(path, *of)


def pages(results, docs):
    """The pages that do not show what the results give: {path: new text}."""
    old = {path: path.read_text() for path in sorted(docs.rglob("*.md"))}
    new = {path: BLOCK.sub(lambda found: block(results, *found.groups()), text) for path, text in old.items()}
    return {path: text for path, text in new.items() if text != old[path]}


def block(results, name, function):
    """What stands between two comments, and the comments."""
    lines = read(results / f"{name}.jsonl")
    text = getattr(importlib.import_module(f"tables.{name}"), function)(lines) or "No results are kept yet.\n"
    return f"<!-- results: {name}.{function} -->\n\n{text}\n<!-- end of results -->"


def pictures(results, docs):
    """The pictures that do not show what the results give: {path: (module of tables/, curves, their digest)}."""
    changed = {}
    for source in sorted((HERE / "tables").glob("*.py")):
        module = importlib.import_module(f"tables.{source.stem}")
        if not hasattr(module, "curves"):
            continue
        curves = module.curves(read(results / f"{source.stem}.jsonl"))
        path = docs / "benchmarks" / f"{source.stem.replace('_', '-')}.svg"
        digest = hashlib.sha256(json.dumps(curves).encode()).hexdigest()
        if any(curves.values()) and not (path.is_file() and digest in path.read_text()):
            changed[path] = module, curves, digest
    return changed


def draw(path, module, curves, digest):
    """Save a picture: the same bytes for the same curves and version of Matplotlib, text as text."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    with plt.rc_context({"svg.hashsalt": "equijax", "svg.fonttype": "none"}):
        figure, about = module.draw(curves), {"Date": None, "Description": f"sha256 of the curves: {digest}"}
        figure.savefig(path, bbox_inches="tight", metadata=about)
    plt.close(figure)


if __name__ == "__main__":
    main()
