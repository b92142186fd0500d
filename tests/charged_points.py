"""Points with charges, and a field of forces between them whose symmetry parameters break: for tests of measures."""

import jax
import jax.numpy as jnp
import numpy as np

from equijax import reps
from equijax.groups import E
from equijax.symmetry import Symmetry

KEY = jax.random.key(0)
POINTS = jnp.asarray(np.random.default_rng(0).normal(size=(5, 3)), jnp.float32)
CHARGES = jnp.asarray(np.random.default_rng(1).normal(size=(5, 1)), jnp.float32)
FIELD = Symmetry(E(3), inputs=(None, reps.Position(), reps.Scalar()), outputs=reps.Vector())


def field(params, x, q):
    """Forces between charges at softened distances; equivariant but for what `params` break."""
    d = x[:, None] - x[None]
    forces = params["strength"] * jnp.sum(q[:, None] * q * d / (1 + jnp.sum(d**2, -1, keepdims=True)), axis=1)
    return forces.at[2, 1].multiply(1 + params["bend"]) + params["pull"] * x


PARAMS = {"strength": np.float32(2.0), "bend": np.float32(0), "pull": np.float32(0), "label": 3}
