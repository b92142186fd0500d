"""One step of training, as pure functions: the state, the gradient of any loss, the update of any optimizer."""

import hashlib
import re
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import NamedSharding, PartitionSpec
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree

from equijax.training.trees import stored

Loss = Callable[..., Array | tuple[Array, dict[str, Array]] | tuple[Array, dict[str, Array], PyTree]]


class State(NamedTuple):
    """All that training needs to go on; a pytree of arrays."""

    step: Int[Array, ""]
    params: PyTree[Array]
    average: PyTree[Array] | None
    """Exponential moving average of the parameters, where one is kept."""
    optimizer: optax.OptState
    carry: PyTree[Array] | None
    """What the loss hands on from step to step."""


class Found(NamedTuple):
    """What a loss says of a batch."""

    value: Float[Array, ""]
    terms: dict[str, Array]
    carry: PyTree[Array] | None


def start(
    params: PyTree, optimizer: optax.GradientTransformation, *, average: bool = False, carry: PyTree | None = None
) -> State:
    """The state before the first step, of copies, on the devices of the parameters.

    Args:
        params: Pytree of arrays.
        optimizer: Of optax.
        average: Whether to keep a moving average.
        carry: What the loss is to be given at the first step.

    Raises:
        ValueError: If there are no parameters.

    Examples:
        >>> int(start({"w": jnp.ones(3)}, optax.sgd(0.1)).step)
        0
    """
    if not jax.tree.leaves(params):
        raise ValueError("params: expected a pytree of arrays, got none")
    params = jax.tree.map(jnp.copy, params)
    averaged = jax.tree.map(jnp.copy, params) if average else None
    carry = jax.tree.map(jnp.copy, carry)
    state = State(jnp.zeros((), jnp.int32), params, averaged, optimizer.init(params), carry)
    first = jax.tree.leaves(params)[0]
    if isinstance(first, jax.core.Tracer) or not isinstance(first.sharding, NamedSharding):
        return state
    everywhere = NamedSharding(first.sharding.mesh, PartitionSpec())  # for counts, which begin on one device
    there = everywhere.device_set
    return jax.tree.map(lambda x: x if x.sharding.device_set == there else jax.device_put(x, everywhere), state)


def gradient(loss: Loss) -> Callable[..., tuple[Found, PyTree[Array]]]:
    """The function (params, batch, step, key, carry) -> (what the loss says, gradient), to be jitted.

    It and `update` are two programs rather than one, because they compile faster so, and at the same time.

    Args:
        loss: As for `fit`. It gets `key`, folded with the step, and `carry` where these are not None.

    Raises:
        ValueError: At trace time, if the loss is not one number.
        TypeError: At trace time, if the loss returns anything else.

    Examples:
        >>> found, slope = gradient(lambda w, x: jnp.sum(w * x) ** 2)(jnp.ones(2), jnp.ones(2))
        >>> float(found.value), slope.tolist()
        (4.0, [4.0, 4.0])
    """

    def value_and_gradient(
        params: PyTree,
        batch: PyTree,
        step: Int[Array, ""] | int = 0,
        key: PRNGKeyArray | None = None,
        carry: PyTree | None = None,
    ):
        options = {} if key is None else {"key": jax.random.fold_in(key, step)}
        if carry is not None:
            options["carry"] = carry

        def objective(params):
            found = _read(loss(params, batch, **options), carry is not None)
            return found.value, found

        (_, found), slope = jax.value_and_grad(objective, has_aux=True)(params)
        return found, slope

    return value_and_gradient


def update(optimizer: optax.GradientTransformation, decay: float | None = None) -> Callable[..., State]:
    """The function (state, gradient, progress, value, carry) -> state, to be jitted.

    Args:
        optimizer: Of optax. It is told `progress`, the share of the run that is done, and `value`, the loss, if it
            takes them.
        decay: Of the moving average, which is taken after the step: average ← decay · average + (1 - decay) · params.
            None where none is kept.

    Examples:
        >>> state = start(jnp.zeros(2), optax.sgd(1.0), average=True)
        >>> state = update(optax.sgd(1.0), decay=0.75)(state, jnp.ones(2))
        >>> state.params.tolist(), state.average.tolist()
        ([-1.0, -1.0], [-0.25, -0.25])
    """
    rule = optax.with_extra_args_support(optimizer)

    def step(
        state: State,
        gradient: PyTree,
        progress: Float[Array, ""] | float = 0.0,
        value: Float[Array, ""] | float = 0.0,
        carry: PyTree | None = None,
    ) -> State:
        change, memory = rule.update(gradient, state.optimizer, state.params, progress=progress, value=value)
        params = optax.apply_updates(state.params, change)
        average = state.average if decay is None else optax.incremental_update(params, state.average, 1 - decay)
        return State(state.step + 1, params, average, memory, carry)

    return step


def rule(optimizer: optax.GradientTransformation, params: PyTree) -> dict[str, str]:
    """A name of what an optimizer computes, where its state does not tell it from others, as that of Adam and AdamW.

    It is that of the program of an update, as JAX writes it before it compiles, with rates, schedules, decay and masks;
    it holds for the versions that it is given with.

    Examples:
        >>> one, other = (rule(optax.adam(rate), {"w": jnp.ones(3)}) for rate in (0.1, 0.2))
        >>> one == rule(optax.adam(0.1), {"w": jnp.zeros(3)}), one == other
        (True, False)
    """
    state = jax.eval_shape(optimizer.init, params)
    shapes = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), params)
    change = optax.with_extra_args_support(optimizer).update
    found = jax.make_jaxpr(lambda *a: change(*a[:3], progress=a[3], value=a[4]))(shapes, state, shapes, 0.0, 0.0)
    digest = hashlib.sha256(re.sub(r"0x[0-9a-f]+", "", str(found.jaxpr)).encode())  # without addresses of functions
    for constant in found.consts:
        digest.update(np.asarray(stored(constant, "optimizer")[0]).tobytes())
    return {"update": digest.hexdigest()[:16], "jax": jax.__version__, "optax": optax.__version__}


def _read(found, carries):
    """The result of a loss as `Found`; errors say what was expected."""
    value, terms, carry = found, {}, None
    if isinstance(found, tuple):
        if len(found) != (3 if carries else 2) or not isinstance(found[1], dict):
            raise TypeError(
                "loss: expected (value, {name: number}, carry) with a carry, and without one a value or "
                f"(value, {{name: number}}), got a tuple of {len(found)}"
            )
        value, terms, carry = found if carries else (*found, None)
    elif carries:
        raise TypeError("loss: expected (value, {name: number}, carry), since a carry was given, got no tuple")
    for name, number in {"loss": value, **terms}.items():
        if jnp.shape(number) != ():
            raise ValueError(f"{name}: expected one number for each batch, got shape {jnp.shape(number)}")
    return Found(value, terms, carry)
