"""What primitives of this package share."""

from collections.abc import Sequence

import jax
from jax.extend.core import Primitive


def compile_alone(primitive: Primitive, static: Sequence[str] = ()) -> None:
    """Let calls outside of `jax.jit` compile the primitive by itself; under `jax.disable_jit` too."""
    run = jax.jit(primitive.bind, static_argnames=static)

    def compiled(*arrays, **parameters):
        with jax.disable_jit(False):
            return run(*arrays, **parameters)

    primitive.def_impl(compiled)
