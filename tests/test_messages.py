"""What a user typed, and what the error says: the argument by its name, what was expected, what came, the way out.

All lines run in one process of their own, as users run them: in the tests types are checked before.
"""

import json
import re
import subprocess
import sys
import tempfile
import textwrap

import pytest

NAMES = """
import jax, jax.numpy as jnp, numpy as np, optax, sys, tempfile
import equijax as ej
from equijax import checks, data, frames, graphs, groups, measures, nn, objectives, products, reps, spherical, training
from equijax import views
from equijax.models import potential
from equijax.training import checkpoint

def f(positions):
    return positions - positions.mean(0)

def both(weights, positions, charges):
    return positions, charges

def without(package, line):  # as if it were not installed
    kept = {name: sys.modules.pop(name) for name in list(sys.modules) if name.split(".")[0] == package}
    sys.modules[package] = None
    try:
        line()
    finally:
        del sys.modules[package]
        sys.modules.update(kept)

def fit(optimizer, directory=None, loss=lambda w, batch: jnp.sum(w["w"] * batch), **options):
    training.fit(loss, {"w": jnp.ones(2)}, [jnp.ones(2)], optimizer=optimizer, steps=2, directory=directory,
                 progress=False, **options)

def resume(folder):
    fit(optax.adam(0.1), folder)
    fit(optax.sgd(0.1), folder)

def restore(folder):
    checkpoint.save(folder, 1, None, {"w": np.ones(2)}, training=optax.adam(0.1).init({"w": jnp.ones(2)}))
    checkpoint.restore(folder, training=optax.sgd(0.1).init({"w": jnp.ones(2)}))

def xyz(text):
    with tempfile.NamedTemporaryFile("w", suffix=".xyz") as file:
        file.write(text)
        file.flush()
        data.read_extended_xyz(file.name, forces=None)

key, x, pair = jax.random.key(0), jnp.ones((5, 3)), graphs.Structure([1, 1], [[0, 0, 0], [0, 0, 0.74]], energy=-31.7)
once = pair._replace(positions=np.zeros((2, 3)))
frame = "1\\nProperties=species:S:1:pos:R:3 energy=1\\nH 0 0 0\\n"
E3 = ej.Symmetry(groups.E(3), reps.Position(), reps.Vector())
SO3 = ej.Symmetry(groups.SO(3), reps.Vector(), reps.Vector())
three = ej.Symmetry(groups.E(3), (None, reps.Position(), reps.Scalar()), (reps.Vector(), {"q": None}))
points = (1.0, x, jnp.ones(5))
swapped = reps.Vector(), groups.SO(3)
water = dict(species=(1, 8), atomic_energies=(-13.6, -2041.0))
model = potential.Potential(**water)
"""
RUN = """
import json, sys
names, found = {}, []
exec(sys.argv[1], names)
for line in json.loads(sys.argv[2]):
    try:
        found.append(f"no error: {eval(line, names)}")
    except Exception as error:
        found.append(f"{type(error).__name__}: {error}")
print(json.dumps(found))
"""
KEY = r"TypeError: key: expected a random key such as jax\.random\.key\(0\), got 0 of type int"
COMES_FIRST = "TypeError: symmetry: expected a Symmetry, got .* the function comes first"
GROUP = r"TypeError: group: expected a group such as groups\.SO\(3\), got Vector\(\)"
REP = "expected a representation such as reps.Vector"
LIST = r"expected an array, got a list"
ROWS = r"ValueError: positions: expected shape \(\.\.\., 3\) for Position\(\), got \(5, 4\)"
STRUCTURE = r"TypeError: structures\[1\]: expected graphs\.Structure\(species, positions\), .* got one of dict"

TABLE = [
    # a seed in the place of a key
    ("groups.SO(3).sample(7)", r"key: expected a random key such as jax\.random\.key\(7\), got 7"),
    ("groups.SO(3).nodes(8, 0, method='random')", KEY),
    ("groups.E(3).sample(0)", KEY),
    ("groups.Permutation(3).sample(0)", KEY),
    ("groups.Cyclic(3).sample(jnp.zeros(2))", "key: expected a random key .* got an array of float32"),
    ("ej.check(f, E3, (x,), key=0)", KEY),
    ("ej.equivariance_error(f, E3, (x,), key=0)", KEY),
    ("ej.augment(E3, 0, (x,))", KEY),
    ("ej.group_average(f, SO3)(x, key=0)", KEY),
    ("ej.frame_average(f, E3, frames.pca, samples=2)(x, key=0)", KEY),
    ("objectives.equivariance_penalty(f, E3, (x,), key=0)", KEY),
    ("measures.randomization_test(SO3, (x,), key=0)", KEY),
    ("measures.action_defects(jnp.matmul, groups.SO(3), 3, key=0)", KEY),
    ("potential.initialize(model, 0)", KEY),
    ("fit(optax.adam(0.1), key=0)", KEY),
    ("views.gaussian_field(0, (8, 8))", KEY),
    ("views.action(groups.SO(3), reps.Vector())(0, x)", KEY),
    ("views.random_field(key, x.astype(int))", "image: expected real floating-point numbers, got int32"),
    ("views.random_field(key, jnp.ones((1, 4, 4, 3)))", r"image: .* got \(1, 4, 4, 3\); batches by jax\.vmap"),
    ("views.fourier(jnp.ones(24))", r"x: expected shape \(\.\.\., time, channels\), got \(24,\); x\[:, None\] has one"),
    ("views.action(*swapped)", GROUP),
    ("views.compose([views.action(groups.SO(3), reps.Vector()), 3])", r"TypeError: views\[1\]: expected a function"),
    # views that are no pair, elements and codes that do not fit
    ("objectives.vicreg(x[:1], x[:1])", "ValueError: z1: expected at least 2 samples in a batch, got 1"),
    ("objectives.vicreg(x, x[:3])", r"ValueError: z2: expected the shape of z1, \(5, 3\), .* got \(3, 3\)"),
    ("objectives.nt_xent(x, x, 0)", "ValueError: temperature: expected a positive temperature, got 0"),
    ("objectives.sie(x, x, jnp.add, jnp.eye(3), invariant=1)", "ValueError: elements: expected one group element for"),
    ("nn.BlockAction('2x1o').apply({}, jnp.eye(3), x[0])", "ValueError: z: expected codes of size 6, .* got shape"),
    ("nn.BlockAction('1x1o').apply({}, 2 * jnp.eye(3), x[0])", r"ValueError: g: expected elements of SO\(3\)"),
    # arguments in another order
    ("ej.check(E3, f, (x,))", COMES_FIRST),
    ("checks.layerwise(E3, {}, f, (x,), {})", COMES_FIRST),
    ("ej.equivariance_error(E3, f, (x,), key=key)", COMES_FIRST),
    ("measures.lie_derivative(E3, f, (x,))", COMES_FIRST),
    ("objectives.equivariance_penalty(E3, f, (x,), key=key)", COMES_FIRST),
    ("measures.randomization_test((x,), SO3, key=key)", "symmetry: expected a Symmetry, as randomization_test"),
    ("ej.group_average(E3, f)", COMES_FIRST),
    ("ej.frame_average(E3, f, frames.pca)", COMES_FIRST),
    ("ej.frame_average(f, E3, 'pca')", r"frame: expected a function such as frames\.pca, got 'pca'"),
    ("ej.augment(key, E3, (x,))", r"symmetry: expected a Symmetry, as augment\(symmetry, key, args\)"),
    ("ej.Symmetry(*swapped, None)", GROUP),
    ("nn.EquivariantMLP(*swapped, reps.Scalar(), ()).init(key, x)", GROUP),
    ("nn.EquivariantLinear(*swapped, reps.Scalar()).init(key, x)", GROUP),
    ("nn.EquivariantBilinear(*swapped, reps.Scalar()).init(key, x)", GROUP),
    ("nn.gated(*swapped, x)", GROUP),
    ("reps.intertwiners(*swapped, reps.Scalar())", GROUP),
    ("reps.decompose(*swapped)", GROUP),
    ("reps.irreps(reps.Vector())", GROUP),
    ("reps.irrep(*swapped)", GROUP),
    ("reps.restrict(groups.SO(3), reps.Vector())", f"rep: {REP}"),
    ("reps.induce(groups.Cyclic(2), reps.Scalar(), groups.Cyclic(4))", f"rep: {REP}"),
    ("reps.intertwiners(groups.SO(3), reps.Vector, reps.Scalar())", f"source: {REP}.*did you mean to call it"),
    ("nn.EquivariantMLP(groups.SO(3), reps.Vector(), reps.Scalar(), reps.Vector()).init(key, x)",
     r"TypeError: hidden: expected a tuple of representations, .* got Vector\(\); pass \("),
    ("nn.EquivariantMLP(groups.SO(3), reps.Vector(), reps.Scalar(), (64,)).init(key, x)", rf"hidden\[0\]: {REP}"),
    ("potential.samples([pair], model, 1)", r"model: expected a models\.Potential, before"),
    ("potential.evaluate(potential.predict, {}, [pair])", r"test: expected potential\.samples\(model, .* of type list"),
    ("potential.predict({}, model, graphs.batch([pair], 5.0))", r"model: expected a models\.Potential, before"),
    ("potential.predict(model, graphs.batch([pair], 5.0), {})", "graph: expected a graph as graphs.batch"),
    ("fit(optax.adam)", r"optimizer: expected one of optax, .* did you forget to call it"),
    ("fit('adam')", "optimizer: expected one of optax, .* got 'adam'"),
    ("fit(optax.adam(0.1), loss={})", r"loss: expected a function of \(params, batch\), got {}"),
    # which argument, as the function calls it
    ("ej.check(f, E3, (jnp.ones((5, 4)),))", ROWS),
    ("ej.check(both, three, (1.0, jnp.ones((5, 4)), jnp.ones(5)))", ROWS),
    ("ej.equivariance_error(both, three, (1.0, jnp.ones((5, 4)), jnp.ones(5)), key=key)", ROWS),
    ("ej.frame_average(both, three, frames.pca)(1.0, jnp.ones((5, 4)), jnp.ones(5))", ROWS),
    ("ej.check(jax.jit(f), E3, (x.astype(int),))", "TypeError: positions: expected real floating-point numbers"),
    ("ej.check(nn.Linear(2).apply, ej.Symmetry(groups.O(3), (None, reps.Spherical(2)), None), ({}, x))",
     r"ValueError: x: expected shape \(\.\.\., 9, channels\)"),
    ("ej.augment(three, key, (1.0, jnp.ones((5, 4)), jnp.ones(5)))", r"args\[1\]: expected shape \(\.\.\., 3\)"),
    ("ej.check(f, E3, ({'a': x, 'b': x[:, :2]},))", r"positions\['b'\]: expected shape \(\.\.\., 3\) .* got \(5, 2\)"),
    ("ej.check(f, E3, x)", r"args: expected the tuple of positional arguments, got an array; pass \(x,\)"),
    ("ej.check(lambda w, a, b: (x[:, :2], {'q': b}), three, points)", r"outputs\[0\]: expected shape \(\.\.\., 3\)"),
    ("ej.frame_average(both, ej.Symmetry(groups.E(3), reps.Position(), None), frames.pca)(x, x, x)",
     r"frame_input: .* found 3; .* weights \(Position\(\)\), positions \(Position\(\)\), charges"),
    # lists in the place of arrays
    ("ej.check(f, E3, ([[0.0, 0, 0], [1, 2, 3]],))", f"TypeError: positions: {LIST} of numbers; pass jnp.asarray"),
    ("ej.frame_average(f, E3, frames.pca)([[0.0, 0, 0], [1, 2, 3]])", f"TypeError: positions: {LIST}"),
    ("ej.augment(E3, key, ([[0.0, 0, 0], [1, 2, 3]],))", rf"TypeError: args\[0\]: {LIST}"),
    ("products.gaunt([[1.0]], x)", f"TypeError: x: {LIST}"),
    ("spherical.harmonics([1.0, 0, 0], 2)", f"TypeError: vectors: {LIST}"),
    ("groups.SO(3).exp([0.0, 0, 1])", f"TypeError: a: {LIST}"),
    ("nn.Linear(2).init(key, [[1.0]] * 4)", r"x: expected an array or the pair \(natural, pseudo\), got a list of 4"),
    ("nn.EquivariantLinear(groups.SO(3), *[reps.Vector()] * 2).init(key, [1.0, 0, 0])", f"TypeError: x: {LIST}"),
    # structures that do not fit
    ("ej.check(both, three, points[:2])", r"inputs: expected 3 arguments, as \(None, Position\(\), .*\), got 2"),
    ("ej.check(lambda *a: x, three, points)", r"outputs: expected a tuple of 2, as .*, got an array of shape \(5, 3\)"),
    ("ej.check(lambda *a: (x, {'p': x}), three, points)",
     r"outputs\[1\]: expected a dictionary of 'q', as {'q': None}, got a dictionary of 'p'"),
    # potentials and their data
    ("hash(potential.Potential((1, 8), {1: -13.6}))",
     r"atomic_energies: expected one for each of species \(1, 8\), got {1: -13.6}"),
    ("potential.Potential((1, 8), (-13.6,))", r"atomic_energies: expected one for each of species \(1, 8\), got 1"),
    ("potential.Potential(('H', 'O'), (0.0, 0.0))", "species: expected a tuple of atomic numbers, .* got .'H', 'O'"),
    ("potential.Potential(**water, cutoff='5')", "cutoff: expected a number .* got '5'"),
    ("potential.Potential(**water, scale=-1.0)", "scale: expected a positive number, got -1.0"),
    ("jax.jit(lambda s: potential.Potential(**water, scale=s).scale)(2.0)", "scale: expected a number that is known"),
    ("graphs.batch(pair, 5.0)", r"structures: expected a sequence of structures, got one; pass \[structure\]"),
    ("graphs.batch([pair, {}], 5.0)", STRUCTURE),
    ("potential.samples(model, [pair, {}], 1)", STRUCTURE),
    ("graphs.from_structure([pair], 5.0)", "structure: expected graphs.Structure.* got one of list"),
    ("potential.samples(model, [pair, once], 1)", r"structures\[1\]\.positions: atoms 0 and 1 coincide"),
    ("potential.samples(model, [pair._replace(forces=x)], 1)", r"structures\[0\]\.forces: expected shape \(2, 3\)"),
    ("xyz(frame + frame.replace('H', 'Qq'))", r"\.xyz: frame 1: not readable .* 'Qq'.*; repair the frame"),
    ("xyz(frame + frame.replace('1', '2', 1))", r"\.xyz: frame 1: not readable .* Frame has 1 atoms, expected 2"),
    ("xyz(frame + frame.replace('energy', 'E'))", r"\.xyz, frame 1: no energy named 'energy', only \['E'\]"),
    ("xyz(frame.replace('1', '2', 1).replace(' energy', ' config_type=IsolatedAtom energy') + 'H 0 0 1\\n')",
     r"\.xyz, frame 0: expected one atom where config_type=IsolatedAtom, got 2"),
    # training that goes on, and packages that are not there
    ("resume(folder)", "holds a run of other optimizer; go on with those that it began with, name another folder"),
    ("restore(folder + '/other')",
     r"training: checkpoint 1 .* is of another form: .*'0/mu/w'.*; give the optimizer and the state that it was saved"),
    ("without('orbax', lambda: checkpoint.restore('.'))", r"ImportError: .* Orbax: pip install 'equijax\[train\]'"),
    ("without('ase', lambda: data.read_extended_xyz('.'))", r"ImportError: .* ASE: pip install 'equijax\[molecules\]'"),
    ("without('ase', lambda: ej.interop.ase)", r"ImportError: .* ASE: pip install 'equijax\[molecules\]'"),
    ("without('matplotlib', lambda: ej.check(f, E3, (x,)).plot())", r"ImportError: .*pip install 'equijax\[plot\]'"),
]  # fmt: skip


@pytest.fixture(scope="module")
def said():
    """What each line of the table says."""
    with tempfile.TemporaryDirectory() as folder:
        names = f"folder = {folder!r}\n{textwrap.dedent(NAMES)}"
        command = [sys.executable, "-W", "ignore", "-c", RUN, names, json.dumps([line for line, _ in TABLE])]
        found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    return dict(zip([line for line, _ in TABLE], json.loads(found.stdout.splitlines()[-1]), strict=True))


@pytest.mark.parametrize(("line", "words"), TABLE, ids=[line for line, _ in TABLE])
def test_the_error_says_what_to_do(said, line, words):
    assert re.search(words, said[line], re.DOTALL), said[line]
