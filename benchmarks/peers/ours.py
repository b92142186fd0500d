"""The products and convolutions of equijax, every method by name."""

from equijax import products, spherical
from equijax.products import planner
from equijax.products.convolution import CONVOLUTIONS
from peers.operands import Call, Entry


def by_method(f, name, methods, arguments):
    """An entry for each method, "auto" first."""

    def entry(method):
        call = lambda s: Call(lambda *a: f(*a, method=method), arguments(s))  # noqa: E731
        return Entry("equijax", f"{name}, {method}", "gaunt", call)

    return [entry(method) for method in ("auto", *methods)]


def gaunt_by_degree(s):
    degree = spherical.degree_of_coefficient(s.degree)

    def f(x, y, w):
        u, v, w = w[:, degree]
        return products.gaunt(x * u, y * v) * w

    return Call(f, (s.x, s.y, s.degrees))


def path_product(s):
    return Call(products.clebsch_gordan, (s.x, s.y, s.paths))


def path_convolution(s):
    def f(x, r, w):
        return products.clebsch_gordan(x, spherical.harmonics(r, s.degree)[..., None], w)

    return Call(f, (s.x, s.direction, s.radial_paths))


PRODUCTS = [
    *by_method(products.gaunt, "gaunt", planner.METHODS, lambda s: (s.x, s.y)),
    Entry("equijax", "gaunt, weights by degree", "rank one", gaunt_by_degree),
    Entry("equijax", "clebsch_gordan", "paths", path_product),
]
CONVOLUTION = [
    *by_method(products.convolution, "convolution", CONVOLUTIONS, lambda s: (s.x, s.direction, s.radial)),
    Entry("equijax", "clebsch_gordan", "paths", path_convolution),
]
