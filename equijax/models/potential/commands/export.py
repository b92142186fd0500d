"""Write a potential as one file of programs that run with jax alone."""

import argparse

from equijax.models.potential.export import export
from equijax.models.potential.predict import load


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The folder, the file, sizes and precision."""
    parser.add_argument("folder", help="that a training has written")
    parser.add_argument("file", help="what to write")
    parser.add_argument("--sizes", nargs="+", metavar="ATOMS,EDGES", help="as 100,4000; a ladder of three unless given")
    parser.add_argument("--precision", choices=("float32", "float64"), default="float32")
    parser.add_argument("--platforms", nargs="+", help="such as cpu cuda tpu; that of jax unless given")


def run(args: argparse.Namespace) -> None:
    """Write it, and say how large it is."""
    model, params = load(args.folder)
    sizes = None if args.sizes is None else [_pair(text) for text in args.sizes]
    path = export(model, params, args.file, sizes, precision=args.precision, platforms=args.platforms)
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB")


def _pair(text):
    try:
        atoms, edges = map(int, text.split(","))
    except ValueError:
        raise ValueError(f"--sizes: expected pairs as 100,4000, got {text}") from None
    return atoms, edges
