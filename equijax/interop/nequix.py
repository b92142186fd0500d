"""Published weights of Nequix, universal potentials of 89 elements, as parameters of `models.NequIP`.

A file is one line of JSON, which describes the model, and then the leaves of its tree of parameters, one array after
the other in NumPy's format. Neither the package nequix nor equinox, which wrote them, is needed to read it.
"""

import json
import re
from pathlib import Path
from typing import BinaryIO

import numpy as np
from flax.traverse_util import unflatten_dict
from jaxtyping import Float, PyTree

from equijax.models import NequIP
from equijax.products import separate_paths

# 1/√⟨silu(z)²⟩ over 1,000,001 quantiles of the normal distribution, as e3nn-jax has it: 1.8e-5 above the integral
_GATE_SCALE = 1 / 0.5964586854233044
_MAGIC = b"\x93NUMPY"
_TERM = re.compile(r"(\d+)x(\d+)([eo])")


def load(path: str | Path) -> tuple[NequIP, PyTree[np.ndarray]]:
    """A model of Nequix and its parameters, the numbers of the file as they are.

    The energies of `potential.predict` and `potential.baseline` are together what the package nequix gives, to
    rounding; forces in eV/Å and stresses in eV/Å³ as well.

    Args:
        path: A file such as `nequix-mp-1.nqx`.

    Returns:
        The model, and parameters for `potential.predict`, `interop.ase.PotentialCalculator`, `potential.fit` and all
        else that takes a potential; in float32, as published. For float64 convert them, and the edge vectors.

    Raises:
        FileNotFoundError: If there is no file.
        ValueError: If the file is none of Nequix, is of another architecture, or is cut short or otherwise damaged.

    References:
        Koker et al. 2025, arXiv:2508.16067.

    Examples:
        >>> model, params = load("nequix-mp-1.nqx")  # doctest: +SKIP
        >>> atoms.calc = interop.ase.PotentialCalculator(model, params)  # doctest: +SKIP
    """
    path = Path(path)
    with path.open("rb") as file:
        header = _header(path, file.readline(1 << 20))
        model = _model(path, header)
        wanted = [((len(model.species),), ()), *_leaves(model)]
        found = [_read(path, file, shape, "/".join(keys) or "atom_energies") for shape, keys in wanted]
        if file.read().strip():
            raise ValueError(f"{path}: expected {len(wanted)} arrays, as the header has it, got more; {_DAMAGED}")
    params = unflatten_dict({keys: array for array, (_, keys) in zip(found[1:], wanted[1:], strict=True)})
    return model.clone(atomic_energies=tuple(found[0].tolist())), {"params": params}


_DAMAGED = "the file is damaged or of another model: get it again, or load it with the package that wrote it"


def _header(path, line):
    try:
        header = json.loads(line)
    except ValueError as error:
        raise ValueError(
            f"{path}: expected a line of JSON that describes a model of Nequix first; {_DAMAGED}"
        ) from error
    if not isinstance(header, dict):
        raise ValueError(f"{path}: expected a JSON object first, got {type(header).__name__}; {_DAMAGED}")
    return header


def _model(path, header):
    """The model that a header describes; its E0 are in the leaves."""
    try:
        species = tuple(sorted(map(int, header["atomic_numbers"])))  # the order of the leaves
        order = float(header["radial_polynomial_p"])
        if not order.is_integer():
            raise ValueError(f"radial_polynomial_p: expected an integer, got {order}")
        return NequIP(
            species=species,
            atomic_energies=(0.0,) * len(species),
            cutoff=header["cutoff"],
            channels=_channels(header["hidden_irreps"]),
            lmax=header["lmax"],
            layers=header["n_layers"],
            radial_functions=header["radial_basis_size"],
            radial_features=(header["radial_mlp_size"],) * header["radial_mlp_layers"],
            radial_order=int(order),
            normalize=bool(header["layer_norm"]),
            skip_by_species=bool(header["index_weights"]),
            mean_neighbors=header["avg_n_neighbors"],
            scale=header["scale"],
            shift=header["shift"],
            gate_scale=_GATE_SCALE,
        )
    except KeyError as error:
        raise ValueError(
            f"{path}: expected {error} in the header of a model of Nequix; it is of another family"
        ) from error
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path}: its header describes no model that NequIP can be: {error}") from error


def _channels(irreps: str) -> tuple[int, ...]:
    """Of "128x0e + 64x1o": (128, 64)."""
    terms = [_TERM.fullmatch(term.strip()) for term in str(irreps).split("+")]
    found = [(int(m[1]), int(m[2]), m[3]) for m in terms if m]
    natural = [(l, "eo"[l % 2]) for l in range(len(terms))]
    if [(l, parity) for _, l, parity in found] != natural:
        raise ValueError(
            f"hidden_irreps: expected natural parities and each degree once, as 128x0e + 64x1o, got {irreps}"
        )
    return tuple(channels for channels, _, _ in found)


def _leaves(model):
    """Shapes and names of all parameters, in the order of the file."""
    inputs = (len(model.species),)
    for t in range(model.layers):
        channels = model.channels if t + 1 < model.layers else model.channels[:1]
        wide = (channels[0] + sum(channels[1:]), *channels[1:])
        ways = separate_paths(range(len(inputs)), model.lmax, len(channels) - 1)
        sums = [sum(inputs[a] for a, _, c in ways if c == l) for l in range(len(wide))]
        sizes = (model.radial_functions, *model.radial_features, sum(sums))
        last = len(sizes) - 2
        for k in range(last + 1):
            name = (f"radial_{k}",) if k == last else (f"radial_{k}", "kernel")
            yield (sizes[k], sizes[k + 1]), (f"messages_{t}", *name)
        for l, c in enumerate(inputs):
            yield (c, c), (f"senders_{t}", f"kernel_{l}")
        for l, (c, width) in enumerate(zip(sums, wide, strict=True)):
            if c:
                yield (c, width), (f"mix_{t}", f"kernel_{l}")
        kinds = (len(model.species),) if model.skip_by_species else ()
        for l, (c, width) in enumerate(zip(inputs, wide, strict=False)):
            yield (*kinds, c, width), (f"skip_{t}", f"kernel_{l}")
        if model.normalize:
            for l, width in enumerate(wide):
                yield (width,), (f"normalization_{t}", f"scale_{l}")
        inputs = channels
    yield (inputs[0], 1), ("readout", "kernel_0")


def _read(path: Path, file: BinaryIO, shape: tuple[int, ...], name: str) -> Float[np.ndarray, "..."]:
    """The next array of the file."""
    start = file.tell()
    if not file.read(len(_MAGIC)) == _MAGIC:
        raise ValueError(f"{path}: expected {name}, an array of shape {shape}, at byte {start}, got none; {_DAMAGED}")
    file.seek(start)
    try:
        found = np.load(file, allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise ValueError(f"{path}: {name} at byte {start} cannot be read ({error}); {_DAMAGED}") from error
    if found.shape != shape or found.dtype.kind != "f" or not np.isfinite(found).all():
        raise ValueError(
            f"{path}: expected {name} of shape {shape}, in finite floating-point numbers, got {found.dtype} of shape "
            f"{found.shape}; {_DAMAGED}"
        )
    return found
