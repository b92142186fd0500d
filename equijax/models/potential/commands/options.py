"""All options of a training run, in a TOML file and on the command line."""

import argparse
import json
import tomllib
from pathlib import Path
from typing import Any, TypeAlias

Options: TypeAlias = dict[str, dict[str, Any]]  # by section

DEFAULTS: Options = {  # None where the program decides
    "data": {"train": None, "validate": 0.1, "test": None},
    "labels": {
        "energy": "auto", "forces": "auto", "stress": "auto", "energy_unit": "eV", "force_unit": "eV/Å",
        "stress_unit": "eV/Å³", "weights": {},
    },
    "model": {
        "cutoff": 5.0, "channels": 32, "lmax": 2, "hidden_lmax": 2, "layers": 2, "order": 3, "radial_features": 64,
        "probes": 16, "exact_alone": False, "atomic_energies": {},
    },
    "training": {
        "start": None, "steps": None, "minutes": None, "batch_size": 5, "seed": 0, "energy_weight": 1.0,
        "force_weight": 1.0, "stress_weight": None, "huber": None, "max_force": None, "optimizer": "muon", "rate": None,
        "decay": 0.99, "patience": None, "every": 0.05, "workers": 0,
    },
}  # fmt: skip
KINDS = {  # of options that are None at first
    "train": str, "test": str, "start": str, "steps": int, "minutes": float, "stress_weight": float, "huber": float,
    "max_force": float, "rate": float, "patience": int,
}  # fmt: skip
LOOSE = ("validate", "every")  # a share, or a file or steps
HELP = {
    "validate": "share of the structures to hold out, or a file",
    "test": "file of structures to test in the end",
    "energy": "name of the energy in the file; none to train without",
    "forces": "name of the forces",
    "stress": "name of the stress or the virial",
    "cutoff": "radius of a neighborhood in Å",
    "channels": "channels of all features",
    "start": "folder of a trained potential to go on from",
    "minutes": "length of the run in time",
    "steps": "length of the run; 6000 unless given, or minutes",
    "huber": "where the loss turns from squares to absolute errors, in units of the typical force",
    "max_force": "in eV/Å; structures with larger ones are left out",
    "patience": "end after so many records without a better validation",
    "workers": "processes that read a large file ahead",
    "every": "share of the run, or steps, from record to record",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """A flag for every option but tables, `--cutoff 5`; one that is not given keeps what the TOML file says."""
    for section, options in DEFAULTS.items():
        group = parser.add_argument_group(section)
        for name, value in options.items():
            if isinstance(value, dict) or name == "train":
                continue
            flag = "--" + name.replace("_", "-")
            kind = KINDS.get(name, type(value))
            text = HELP.get(name, "") + ("" if value is None else f" ({value})")
            if kind is bool:
                group.add_argument(flag, action="store_true", default=None, dest=name, help=text)
            else:
                group.add_argument(flag, type=number if name in LOOSE else kind, dest=name, help=text, metavar="X")


def number(text: str) -> float | int | str:
    """A number, an integer where it is written as one; what is none stays a name.

    Examples:
        >>> number("100"), number("0.05"), number("held.xyz")
        (100, 0.05, 'held.xyz')
    """
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def read(path: str | Path | None, given: dict[str, Any]) -> Options:
    """All options: those that are given, else those of a file, else the defaults.

    Raises:
        ValueError: If the file is no TOML, or has an option that there is not, or of another kind.
    """
    found: dict[str, Any] = {}
    if path is not None:
        try:
            found = tomllib.loads(Path(path).read_text(encoding="utf-8"))
        except tomllib.TOMLDecodeError as error:
            raise ValueError(f"{path}: expected options in TOML: {error}") from error
    for section, options in found.items():
        known = DEFAULTS.get(section, {})
        if not isinstance(options, dict) or (other := sorted(set(options) - set(known))):
            named = f"{section}.{other[0]}" if isinstance(options, dict) else section
            raise ValueError(
                f"{path}: there is no option {named}; expected some of {', '.join(known) or ', '.join(DEFAULTS)}"
            )
        for name, value in options.items():
            expected: Any = KINDS.get(name, type(known[name]))
            fits = (int, float, str) if name in LOOSE else (int, float) if expected is float else expected
            if not isinstance(value, fits) or isinstance(value, bool) != (expected is bool):
                raise ValueError(f"{path}: {section}.{name}: expected {expected.__name__}, got {value!r}")
            if expected is float and isinstance(value, int) and name not in LOOSE:
                options[name] = float(value)
    merged = {section: options | found.get(section, {}) for section, options in DEFAULTS.items()}
    for options in merged.values():
        options |= {name: given[name] for name in options if given.get(name) is not None}
    return merged


def of_run(folder: str | Path, given: dict[str, Any]) -> Options:
    """`read` of what a training kept in its folder; the defaults where it was none of the command line."""
    kept = Path(folder) / "options.toml"
    return read(kept if kept.is_file() else None, given)


def text(options: Options) -> str:
    """Options as TOML, those that the program decides left out.

    Examples:
        >>> print(text({"model": {"cutoff": 5.0, "start": None}, "labels": {"energy": "E", "weights": {"bulk": 2.0}}}))
        [model]
        cutoff = 5.0
        <BLANKLINE>
        [labels]
        energy = "E"
        weights = {"bulk" = 2.0}
        <BLANKLINE>
    """
    parts = []
    for section, values in options.items():
        lines = [f"{name} = {_value(value)}" for name, value in values.items() if value is not None and value != {}]
        parts.append("\n".join([f"[{section}]", *lines]) + "\n")
    return "\n".join(parts)


def _value(value):
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(str(k))} = {_value(v)}" for k, v in value.items()) + "}"
    return json.dumps(value, ensure_ascii=False)
