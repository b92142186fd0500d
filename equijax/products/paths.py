"""The Clebsch-Gordan product: one weight for every way in which two degrees couple to a third."""

import jax.numpy as jnp
from jax.lax import PrecisionLike
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from equijax import _validate
from equijax.products import execution, planner
from equijax.products.form import Multilinear, Out, columns, rest
from equijax.products.operands import fit, operands
from equijax.products.routes import couplings, matrices
from equijax.products.weighted import W, Weighted, X, Y, Z


def clebsch_gordan(
    x: ArrayLike,
    y: ArrayLike,
    weights: ArrayLike | None = None,
    *,
    lmax: int | None = None,
    odd: bool = False,
    precision: PrecisionLike = "highest",
) -> Float[Array, "*batch coefficients channels"]:
    """The Clebsch-Gordan product with a weight w for every path and channel.

        z_c = Σ_{a, b} w_abc √(2c + 1) C_abc (x_a ⊗ y_b) ,   C of e3nn, of Frobenius norm 1.

    Without weights this is `e3nn_jax.tensor_product` (component normalization), summed over the paths that end in the
    same irrep. By default the paths of even a + b + c, which take natural tensors (parity (-1)^l) to natural ones;
    with `odd` those of odd sum, which give a pseudo-tensor and are therefore never mixed with the former: for SO(3)
    alone, add the two. The even (odd) paths are those of `gaunt` (`bracket`), which has fixed weights and is cheaper.

    Args:
        x: Features, (..., (l1 + 1)², channels).
        y: Features, (..., (l2 + 1)², channels); leading axes are broadcast, one channel serves all.
        weights: One a path, (paths,), or one a path and channel, (..., paths, channels), the paths in the order of
            `paths(l1, l2, lmax, odd=odd)`. All 1 if None.
        lmax: Largest degree kept, at most l1 + l2; max(l1, l2) if None.
        odd: Take the paths of odd sum instead of those of even sum.
        precision: Of the matrix products.

    Returns:
        Features (..., (lmax + 1)², channels) in the common dtype of the arguments. Half precisions are computed in
        float32. The backward pass keeps x, y and the weights only.

    Raises:
        TypeError: If an argument is not of real floating-point numbers.
        ValueError: If a coefficient axis is not a square, the number of weights is not that of the paths, channels or
            leading axes do not fit, lmax is negative or exceeds l1 + l2, or there is no such precision.

    Examples:
        >>> import jax.numpy as jnp
        >>> from equijax import products
        >>> x, n = jnp.ones((5, 4, 2)), len(products.paths(1, 1))
        >>> products.clebsch_gordan(x, x, jnp.ones((n, 2))).shape
        (5, 4, 2)
    """
    x, y, sizes = operands(x, y, lmax, precision)
    l1, l2, lmax = sizes
    n = len(Weighted(sizes, odd).paths)
    # Weights (..., paths, channels or 1)
    weights = jnp.ones(n, jnp.result_type(x, y)) if weights is None else _validate.floating("weights", weights)
    if weights.ndim == 1:
        weights = weights[:, None]
    if weights.ndim < 2 or weights.shape[-2] != n:
        raise ValueError(
            f"weights: expected shape ({n},) or (..., {n}, channels), one weight a path of "
            f"products.paths({l1}, {l2}, {lmax}, odd={odd}), got {weights.shape}"
        )
    fit("weights", weights, x, "x")
    fit("weights", weights, y, "y")
    decision = planner.paths(sizes, (x.shape, y.shape, weights.shape))
    form = Weighted(sizes, odd, precision, decision.methods)
    return execution.run(_product, x, y, weights, chunks=decision.chunks, form=form)


def _product(x, y, weights, *, form):
    lead = jnp.broadcast_shapes(*map(rest, (x, y, weights)))
    shape = (*lead[:-1], (form.degrees[Z] + 1) ** 2, lead[-1])
    return _contraction(form, {X: x, Y: y, W: weights}, Out(Z, shape, x.dtype))


def _contract(form, known, outs):
    def by(method):
        route = couplings.contract_paths if method == "terms" else matrices.contract
        return lambda *arrays: route(form, dict(zip(known, arrays, strict=True)), outs)

    return planner.settle(form.methods, columns(known), by, *known.values())


_contraction = Multilinear("product_of_paths", _contract)
