"""Whether, how much, where and at what cost: all measures of a symmetry in one table and one picture."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from equijax.checks.elements import random_key
from equijax.checks.equivariance import check
from equijax.checks.layers import Layers, layerwise
from equijax.checks.reports import Report
from equijax.measures import LieError, LossShare, consistency, lie_error, loss_share, orbit
from equijax.measures.batches import batch_of
from equijax.measures.plots import figure
from equijax.reps import Rep
from equijax.symmetry import Symmetry


@dataclasses.dataclass(frozen=True, eq=False)
class Summary:
    """What `report` found; `print` it or `.plot()` it.

    Attributes:
        check: Verdict and errors by part, of the first sample.
        variance: Variance along orbits over that over samples, of all outputs together (`measures.orbit`).
        dead: How many numbers of the output are constant.
        lie: Lie derivatives (`measures.lie_error`) by part, empty without a connected part or a derivative.
        share: The loss that is due to broken symmetry (`measures.loss_share`), None without a loss.
        consistency: How often the largest score stays the largest, None unless the output is a vector of invariants.
        layers: Errors layer by layer, None without layers.
        notes: What could not be measured, and why.
    """

    check: Report
    variance: float
    dead: int
    lie: dict[str, LieError]
    share: LossShare | None
    consistency: float | None
    layers: Layers | None
    notes: tuple[str, ...] = ()

    @property
    def verdict(self) -> str:
        """That of `check`."""
        return self.check.verdict

    @property
    def by_part(self) -> dict[str, float]:
        """The errors of `check`."""
        return self.check.by_part

    @property
    def parts_of_one(self) -> dict[str, float]:
        """What is zero for an exact symmetry and at most about one."""
        found = {"variance along orbits": self.variance}
        if self.share is not None:
            found["share of the loss"] = float(self.share.share)
        if self.consistency is not None:
            found["decisions that change"] = 1 - self.consistency
        return found

    def plot(self) -> Any:
        """Errors by part, errors by layer where there are layers, and shares; returns the Matplotlib figure.

        Raises:
            ImportError: If Matplotlib is not installed.
        """
        picture = figure()
        panels = picture.subplots(1, 2 + (self.layers is not None), squeeze=False)[0]
        picture.set_size_inches(4.5 * len(panels), 3.5)
        self.check.plot(panels[0])
        if self.layers is not None:
            self.layers.plot(panels[1])
        shares = self.parts_of_one
        panels[-1].barh(list(shares), list(shares.values()), height=0.5)
        if self.share is not None:
            panels[-1].plot([float(x) for x in self.share.interval], ["share of the loss"] * 2, "k|-")
        panels[-1].invert_yaxis()
        panels[-1].set(xlabel="of one", title="how much")
        return picture

    def __str__(self) -> str:
        rows = [("variance along orbits", f"{self.variance:.2g} of that over samples")]
        rows += [("dead outputs", str(self.dead))] if self.dead else []
        for part, found in self.lie.items():
            sizes = ", ".join(f"{float(x):.2g}" for x in found.absolute)
            rows.append((f"Lie derivative, {part}", f"{sizes} per {found.unit}"))
        if self.share is not None:
            low, high = (f"{100 * float(x):.2g}" for x in self.share.interval)
            rows.append(("share of the loss", f"{100 * float(self.share.share):.2g} % ({low} to {high} %)"))
        if self.consistency is not None:
            rows.append(("decisions that stay", f"{100 * self.consistency:.1f} %"))
        width = max(len(name) for name, _ in rows)
        text = [str(self.check), "", *(f"{name.ljust(width)}  {value}" for name, value in rows)]
        text += ["", str(self.layers)] if self.layers is not None else []
        return "\n".join(text + [f"note: {note}" for note in self.notes])


def report(
    f: Callable[..., PyTree] | Mapping[str, Callable[[Array], Array]],
    symmetry: Symmetry,
    inputs: PyTree,
    *,
    loss: Callable[[PyTree, PyTree], Float[Array, ""]] | None = None,
    targets: PyTree = None,
    outputs: Mapping[str, Rep | None] | None = None,
    key: Any = None,
    samples: int = 8,
) -> Summary:
    """Verdict, error by part and by layer, variance along orbits, Lie derivatives, share of the loss, consistency.

    `check` says whether, of one sample; this says how much, where, and what it costs, of a batch. On the host; each
    number is a pure function in `measures`.

    Args:
        f: Function of one sample; or its layers by name, in their order, functions of one array each.
        symmetry: How the group acts on its arguments and its output.
        inputs: Its arguments, one array or a tuple, with the batch as the first axis of each array.
        loss, targets: As for `measures.loss_share`.
        outputs: How the outputs of layers transform, by name; layers that are not named are not compared.
        key: Random key; fixed if None.
        samples: Elements of each measure.

    Raises:
        TypeError: If called under a jax transform, or with a loss and no targets.
        TypeError, ValueError: As the measures.

    Examples:
        >>> from equijax import groups, reps, Symmetry
        >>> x = jax.random.normal(jax.random.key(0), (20, 2))
        >>> found = report(lambda x: jnp.sum(x**2) + 0.1 * x[0], Symmetry(groups.SO(2), reps.Vector(), None), x)
        >>> found.verdict, found.variance < 0.1
        ('broken', True)
    """
    if (loss is None) != (targets is None):
        raise TypeError("targets: expected together with loss=, as for measures.loss_share")
    layers, network = (f, _composed(tuple(f.values()))) if isinstance(f, Mapping) else (None, f)
    args, _ = batch_of(network, symmetry, inputs, least=2)
    first, key, notes = jax.tree.map(lambda x: x[0], args), random_key(key), []
    options = {"key": key, "samples": samples}
    verdict = check(network, symmetry, first, **options)
    found = jax.jit(lambda *args: orbit(network, symmetry, args, **options))(*args)
    over_orbits, over_samples = (sum(jnp.sum(x) for x in jax.tree.leaves(part)) for part in (found[0], found[1]))
    variance = 1.0 if over_samples == 0 == over_orbits else float(over_orbits / over_samples)
    lie = {}
    try:
        lie = jax.jit(lambda *args: lie_error(network, symmetry, args))(*args)
    except ValueError as error:
        notes.append(str(error).removeprefix("symmetry: "))
    shared = None
    if loss is not None:
        shared = jax.jit(lambda *args: loss_share(network, symmetry, loss, args, targets, **options))(*args)
    scores = jax.tree.leaves(jax.eval_shape(network, *first))
    decides = symmetry.outputs is None and len(scores) == 1 and scores[0].ndim == 1 and scores[0].shape[0] > 1
    kept = jax.jit(lambda *args: consistency(network, symmetry, args, **options))(*args) if decides else None
    by_layer = None
    if layers is not None:
        tapped = functools.partial(_tapped, tuple(layers.items()))
        by_layer = layerwise(tapped, None, symmetry, first, outputs or {}, **options)
    return Summary(
        verdict, variance, int(found.dead), lie, shared, None if kept is None else float(kept), by_layer, tuple(notes)
    )


def _composed(layers):
    """The network of its layers."""
    return lambda x: functools.reduce(lambda y, layer: layer(y), layers, x)


def _tapped(layers, variables, x):
    """Its output, and those of all layers by name."""
    found = {}
    for name, layer in layers:
        found[name] = x = layer(x)
    return x, found
