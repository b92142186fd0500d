"""Train a potential on a file of structures with energies and forces.

Extended XYZ, ASE databases and all else that ASE reads. The folder gets checkpoints, log.jsonl, options.toml with all
options, report.json with the errors and the verdict on the symmetry, and report.png. The same command goes on with a
run that was interrupted or killed. `potential.load(FOLDER)` reads the result.
"""

import argparse
import os
from pathlib import Path
from typing import Any

from equijax import training
from equijax.models.potential import report
from equijax.models.potential.commands import options as all_options
from equijax.models.potential.fit import fit
from equijax.training import files


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The file, the folder, and all options."""
    parser.add_argument("file", nargs="?", help="structures to train on; that of the options unless given")
    parser.add_argument("--output", required=True, help="folder of the result")
    parser.add_argument("--options", help="TOML file of options, such as options.toml of another run")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    all_options.add_arguments(parser)


def run(args: argparse.Namespace) -> None:
    """Train, or go on, then test and report."""
    folder = Path(args.output)
    chosen = all_options.read(args.options, vars(args))
    if args.file:
        chosen["data"]["train"] = os.path.abspath(args.file)
    if chosen["data"]["train"] is None:
        raise ValueError("FILE: expected a file of structures to train on, or one among the options")
    if training.checkpoint.latest(folder) is None:
        files.replace(folder / "options.toml", all_options.text(chosen))
    trained = fit(
        report.opened(chosen["data"]["train"], chosen["labels"]),
        validate=_validate(chosen),
        directory=folder,
        progress=not args.quiet,
        **arguments(chosen),
    )
    if trained.run.stopped == "interrupted":
        raise SystemExit(f"Stopped at step {trained.run.state.step}; the same command goes on.")
    if trained.run.stopped == "diverged":
        raise ValueError("the loss is not finite; lower --rate, or bound it with --huber 1")
    sets = {"validation": trained.validate} if len(trained.validate) else {}
    if chosen["data"]["test"]:
        sets["test"] = report.opened(chosen["data"]["test"], chosen["labels"])
    found = report.report(trained.model, trained.params, sets, trained.run.history, chosen["training"]["batch_size"])
    report.write(folder, found)
    print(f"\n{report.text(found)}\n\nPotential and report: {folder}")


def arguments(chosen: all_options.Options) -> dict[str, Any]:
    """Options as arguments of `fit`."""
    found = dict(chosen["training"])
    minutes = found.pop("minutes")
    fields = {name: value for name, value in chosen["model"].items() if value != {}}
    if "atomic_energies" in fields:
        fields["atomic_energies"] = {int(z): energy for z, energy in fields["atomic_energies"].items()}
    return found | {"seconds": None if minutes is None else 60 * minutes, "fields": fields}


def _validate(chosen):
    found = chosen["data"]["validate"]
    found = all_options.number(found) if isinstance(found, str) else found
    if isinstance(found, str):
        return report.opened(found, chosen["labels"])
    return () if found == 0 else float(found)
