"""Check that a potential is equivariant: turned, mirrored, moved and renumbered atoms, in two precisions."""

import argparse

from equijax.models.potential import report
from equijax.models.potential.commands import options as all_options
from equijax.models.potential.predict import load


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The folder, and a file."""
    parser.add_argument("folder", help="that a training has written")
    parser.add_argument("file", nargs="?", help="structures to look at it; those it was trained on unless given")


def run(args: argparse.Namespace) -> None:
    """Print the report of `check`; status 1 unless the verdict is exact."""
    model, params = load(args.folder)
    chosen = all_options.of_run(args.folder, {})
    file = args.file or chosen["data"]["train"]
    if file is None:
        raise ValueError(f"FILE: expected structures, of which {args.folder} names none")
    structures = report.opened(file, chosen["labels"])
    found = report.symmetry(model, params, [structures])
    print(found)
    if found is None or found.verdict != "exact":
        raise SystemExit(1)
