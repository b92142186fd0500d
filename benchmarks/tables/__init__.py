"""Tables and pictures of the documentation, a module for each script, from the lines of its results."""

EMPTY = "No results are kept yet.\n"


def latest(lines, *keys):
    """The last result of each case."""
    return list({tuple(r[key] for key in keys): r for r in lines}.values())


def measured(results):
    """With what, in a sentence."""
    r = results[-1]
    return f"Measured on {r['device']}, {r['cores']} cores, jax {r['jax']}, Python {r['python']}.\n"
