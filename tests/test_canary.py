"""The installed jax must compute right numbers before anything else is worth testing."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest


@pytest.mark.core
@pytest.mark.gpu
def test_jitted_small_matrix_products_agree_with_numpy():
    """The pattern of jax issue 39103: jax 0.10.2 gets thousands of rows wrong on CPU."""
    rng = np.random.default_rng(0)
    R = rng.normal(size=(3, 3)).astype(np.float32)
    x = rng.normal(size=(40_000, 3)).astype(np.float32)
    f = lambda R, x: jax.vmap(lambda v: jnp.sum(jnp.matmul(R, v, precision="highest") ** 2))(x)  # noqa: E731
    want = np.sum((x.astype(np.float64) @ R.T.astype(np.float64)) ** 2, axis=1)
    as_users_do: dict = {"xla_backend_optimization_level": 3}  # conftest.py sets others
    if jax.__version_info__ < (0, 11):
        as_users_do["xla_cpu_use_fusion_emitters"] = True
    for name, got in (("jitted", jax.jit(f, compiler_options=as_users_do)(R, x)), ("not jitted", f(R, x))):
        wrong = int(np.sum(np.abs(np.asarray(got) - want) > 1e-4 * (1 + want)))
        assert wrong == 0, (
            f"jax {jax.__version__}, {name}: {wrong} of {len(x)} rows are wrong (jax issue 39103). "
            "jax 0.10.2 is known to be bad on CPU: install another version (pip install 'jax!=0.10.2')."
        )
