"""What primitives of this package share: compiled alone, lowered on divided programs, varying over devices alike."""

from collections.abc import Sequence

import jax
import numpy as np
from jax.extend.core import Primitive
from jax.interpreters import mlir
from jaxtyping import Array


def compile_alone(primitive: Primitive, static: Sequence[str] = ()) -> None:
    """Let calls outside of `jax.jit` compile the primitive by itself; under `jax.disable_jit` too."""
    run = jax.jit(primitive.bind, static_argnames=static)

    def compiled(*arrays, **parameters):
        with jax.disable_jit(False):
            return run(*arrays, **parameters)

    primitive.def_impl(compiled)


def is_divided(ctx: mlir.LoweringRuleContext) -> bool:
    """Whether the compiler divides the program that is being lowered among devices by itself."""
    return getattr(ctx.module_context.axis_context, "num_devices", 1) > 1


def divided() -> Array:
    """`is_divided` of the program that this stands in, as a boolean in that program, constant once it is lowered."""
    return _divided.bind()


def varying_axes(a: Array) -> frozenset[str]:
    """The axes of a mesh, inside of `jax.shard_map`, along which an array differs from device to device."""
    return jax.typeof(a).manual_axis_type.varying


def vary_alike(*arrays: Array) -> list[Array]:
    """The arrays, each as one that differs along all axes of the mesh along which any of them does."""
    axes = frozenset().union(*map(varying_axes, arrays))
    return [jax.lax.pcast(a, tuple(axes - varying_axes(a)), to="varying") for a in arrays]


_divided = Primitive("divided")
_divided.def_impl(lambda: np.False_)
_divided.def_abstract_eval(lambda: jax.core.ShapedArray((), np.bool_))
mlir.register_lowering(_divided, lambda ctx: [mlir.ir_constant(np.bool_(is_divided(ctx)))])
