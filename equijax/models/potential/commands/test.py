"""Test a potential on a file of structures: errors of energies, forces and stresses, and a picture."""

import argparse
from pathlib import Path

from equijax.models.potential import report
from equijax.models.potential.commands import options as all_options
from equijax.models.potential.predict import load


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The folder, the file, and the names of labels."""
    parser.add_argument("folder", help="that a training has written")
    parser.add_argument("file", help="structures with labels")
    parser.add_argument("--output", help="folder of the report; none is written unless given")
    for name in ("energy", "forces", "stress", "energy_unit", "force_unit", "stress_unit"):
        parser.add_argument("--" + name.replace("_", "-"), help="as for train; what the training had unless given")


def run(args: argparse.Namespace) -> None:
    """Print the errors, and write the report where that is asked for."""
    model, params = load(args.folder)
    labels = all_options.of_run(args.folder, vars(args))["labels"]
    found = report.report(model, params, {Path(args.file).stem: report.opened(args.file, labels)})
    if args.output:
        report.write(Path(args.output), found)
    print(report.text(found))
