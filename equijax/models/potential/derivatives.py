"""Second derivatives of the energy: Hessians, force constants, elastic constants; exact, not by differences.

In float64 where jax has it enabled and the parameters are, else in float32, whose errors are seen in soft modes.
"""

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

from equijax import _validate, graphs
from equijax.models.potential.energy_model import EnergyModel
from equijax.models.potential.predict import baseline

VOIGT = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))


def hessian_product(
    model: EnergyModel, params: PyTree, structure: graphs.Structure, direction: Float[Array | np.ndarray, "n 3"]
) -> Float[Array, "n 3"]:
    """H v, with H = ∂²E/∂x∂x in eV/Å², for one direction: at the cost of a few predictions.

    Raises:
        ValueError: If the direction is not one of the atoms, or those of `hessian`.

    Examples:
        >>> from equijax.models.potential import Potential
        >>> model = Potential(species=(1,), atomic_energies=(-13.6,), channels=2, layers=1, lmax=1, hidden_lmax=0)
        >>> pair = graphs.Structure([1, 1], [[0, 0, 0], [0, 0, 0.8]])
        >>> f = lambda params: hessian_product(model, params, pair, np.eye(2, 3))
        >>> from equijax.models import potential
        >>> jax.eval_shape(f, potential.initialize(model, jax.random.key(0))).shape
        (2, 3)
    """
    graph = _graph(model, structure)
    direction = jnp.asarray(direction, float)
    if direction.shape != (len(graph.species), 3):
        raise ValueError(f"direction: expected shape {(len(graph.species), 3)}, got {direction.shape}")
    return _products(model, params, graph, direction[None], 1)[0]


def hessian(
    model: EnergyModel,
    params: PyTree,
    structure: graphs.Structure,
    *,
    atoms: Sequence[int] | np.ndarray | None = None,
    block: int = 16,
) -> Float[Array, "m 3 n 3"]:
    """H = ∂²E/∂x∂x in eV/Å²; of a periodic structure all images of an atom move with it.

    Args:
        model: A `models.Potential`, or another model of energies.
        params: Its parameters.
        structure: Of n atoms.
        atoms: Rows for these m atoms only; all unless given.
        block: Rows that are computed at a time: memory is that of as many predictions.

    Raises:
        ValueError: If the structure is empty, has coincident atoms or species that the model does not know, `block` is
            below 1, or `atoms` are not among its own.

    Examples:
        >>> from equijax.models import potential
        >>> from equijax.models.potential import Potential
        >>> model = Potential(species=(1,), atomic_energies=(-13.6,), channels=2, layers=1, lmax=1, hidden_lmax=0)
        >>> pair = graphs.Structure([1, 1], [[0, 0, 0], [0, 0, 0.8]])
        >>> H = hessian(model, potential.initialize(model, jax.random.key(0)), pair)
        >>> H.shape, bool(jnp.abs(jnp.sum(H, axis=2)).max() < 1e-4)  # nothing happens if all atoms move
        ((2, 3, 2, 3), True)
    """
    graph = _graph(model, structure)
    n = len(graph.species)
    rows = np.arange(n) if atoms is None else np.asarray(atoms)
    if rows.ndim != 1 or not np.issubdtype(rows.dtype, np.integer) or not ((rows >= 0) & (rows < n)).all():
        raise ValueError(f"atoms: expected indices from 0 to {n - 1}, got {atoms}")
    directions = np.eye(3 * n)[(3 * rows[:, None] + np.arange(3)).ravel()].reshape(-1, n, 3)
    block = _validate.integer("block", block, 1)
    return _products(model, params, graph, jnp.asarray(directions, float), block).reshape(-1, 3, n, 3)


def elastic_constants(
    model: EnergyModel, params: PyTree, structure: graphs.Structure, *, relaxed: bool = True, block: int = 16
) -> Float[np.ndarray, "6 6"]:
    """C = 1/V (∂²E/∂e∂e - ∂²E/∂e∂x (∂²E/∂x∂x)⁺ ∂²E/∂x∂e) in eV/Å³, for strains e in Voigt's order xx yy zz yz xz xy.

    A shear e is 2 ε_yz = 2 ε_zy. The second term is what atoms gain that move along (⁺ is the inverse on all but
    translations); without it they move with the cell. The structure should be relaxed, cell and atoms: a crystal under
    stress has several elastic constants, of which these are the derivatives of the energy.
    One GPa is 0.00624151 eV/Å³.

    Args:
        model: A `models.Potential`, or another model of energies.
        params: Its parameters.
        structure: A crystal.
        relaxed: Whether atoms move along.
        block: As for `hessian`.

    Raises:
        ValueError: If the structure is not periodic along three axes, or those of `hessian`.

    Examples:
        >>> from equijax.models import potential
        >>> from equijax.models.potential import Potential
        >>> model = Potential(species=(29,), atomic_energies=(0.0,), cutoff=3.0, channels=2, layers=1, lmax=1)
        >>> copper = graphs.Structure([29], np.zeros((1, 3)), 1.8 * (np.ones((3, 3)) - np.eye(3)), (True,) * 3)
        >>> elastic_constants(model, potential.initialize(model, jax.random.key(0)), copper).shape
        (6, 6)
    """
    graph = _graph(model, structure)
    if not graph.pbc.all():
        raise ValueError(f"structure: expected three periodic axes, got pbc {graph.pbc[0].tolist()}")
    second, mixed = (np.asarray(a, np.float64) for a in _strained(model, params, graph))  # (6, 6) and (6, n, 3)
    if relaxed:
        n = len(graph.species)
        H = np.asarray(hessian(model, params, structure, block=block), np.float64).reshape(3 * n, 3 * n)
        moves = mixed.reshape(6, 3 * n)
        second = second - moves @ np.linalg.pinv((H + H.T) / 2, rcond=1e-6, hermitian=True) @ moves.T
    return (second + second.T) / 2 / abs(np.linalg.det(graph.cells[0]))


def _graph(model, structure):
    structure = graphs.checked(structure)
    baseline(model, structure.species)  # which names a species that the model does not know
    return graphs.from_structure(structure, model.cutoff)


def _energy(model, params, graph, displacements, strain):
    """Of displaced atoms in a strained cell, with the edges as they were."""
    moved = displacements[graph.senders] - displacements[graph.receivers]
    vectors = jnp.asarray(graph.vectors, displacements.dtype) + moved
    vectors = vectors + jnp.matmul(vectors, strain.T, precision="highest")
    return jnp.sum(model.apply(params, vectors, graph))


@functools.partial(jax.jit, static_argnames=("model", "block"))
def _products(model, params, graph, directions, block):
    """H v of each direction (k, n, 3), `block` at a time."""
    nothing, none = jnp.zeros_like(directions[0]), jnp.zeros((3, 3), directions.dtype)
    slope = jax.grad(lambda x: _energy(model, params, graph, x, none))
    return jax.lax.map(lambda v: jax.jvp(slope, (nothing,), (v,))[1], directions, batch_size=block)


@functools.partial(jax.jit, static_argnames="model")
def _strained(model, params, graph):
    """∂²E/∂e∂e (6, 6) and ∂²E/∂e∂x (6, n, 3)."""
    basis = np.zeros((6, 3, 3))
    for k, (i, j) in enumerate(VOIGT):
        basis[k, i, j] = basis[k, j, i] = 1.0 if i == j else 0.5
    basis = jnp.asarray(basis, float)

    def slope(e, x):
        strain = jnp.einsum("k,kij->ij", e, basis, precision="highest")
        return _energy(model, params, graph, x, strain)

    zero, nothing = jnp.zeros(6, basis.dtype), jnp.zeros((len(graph.species), 3), basis.dtype)
    slopes = jax.grad(slope, argnums=(0, 1))
    directions = jnp.eye(6, dtype=basis.dtype)
    return jax.lax.map(lambda e: jax.jvp(lambda e: slopes(e, nothing), (zero,), (e,))[1], directions)
