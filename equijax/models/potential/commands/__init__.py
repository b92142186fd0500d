"""The command line of potentials: `python -m equijax.models.potential train FILE --output FOLDER`, and `--help`.

Each subcommand is a module with `add_arguments(parser)` and `run(args)`; its docstring is its help.
"""

import argparse
import sys
import warnings
from collections.abc import Sequence

from equijax.models.potential.commands import check, export, run, test, train

COMMANDS = {"train": train, "test": test, "check": check, "run": run, "export": export}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a subcommand; errors of users' making are said in a line, and end it with status 2.

    Args:
        arguments: Those of the process unless given.
    """
    parser = argparse.ArgumentParser(
        prog="python -m equijax.models.potential",
        description="Interatomic potentials from files of structures: train, test, check, run and export them.",
    )
    subparsers = parser.add_subparsers(dest="command", required=True)
    for name, module in COMMANDS.items():
        text = (module.__doc__ or "").strip()
        one = subparsers.add_parser(name, help=text.splitlines()[0], description=text)
        one.add_argument("--platform", choices=("cpu", "gpu", "tpu"), help="jax's choice unless given")
        module.add_arguments(one)
    args = parser.parse_args(arguments)
    if args.platform:
        import jax

        jax.config.update("jax_platforms", {"gpu": "cuda"}.get(args.platform, args.platform))
    before, warnings.formatwarning = warnings.formatwarning, lambda message, *_, **__: f"note: {message}\n"
    try:
        COMMANDS[args.command].run(args)
    except (ValueError, TypeError, ImportError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    finally:
        warnings.formatwarning = before
