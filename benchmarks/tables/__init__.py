"""Tables and pictures of the documentation: a module for each script, each from the lines of its results.

A function of a module takes the lines of results/NAME.jsonl and gives Markdown, or nothing where no result is kept. A
page in docs/ shows it between two comments that name the module and the function; `report.py` puts it there. A module
with a picture has two more functions: `curves` gives what is drawn, as plain numbers, and `draw` the figure.
"""


def markdown(head, rows):
    """A table with numbers on the right."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def spread(values, digits):
    """The mean, and half the range where there are several; nothing of nothing."""
    values = list(values)
    if not values:
        return ""
    half = f" ± {(max(values) - min(values)) / 2:.{digits}f}" if len(values) > 1 else ""
    return f"{sum(values) / len(values):.{digits}f}{half}"


def reached(targets):
    """What was to be reached, a `harness.results.Target` a row."""
    rows = [(t.what, f"{t.sense} {t.limit}", "" if t.figure is None else f"{t.figure:.3g}", t.met()) for t in targets]
    return markdown(["the worst over all sizes", "target", "measured", ""], rows)


def measured(result):
    """With what, in a sentence."""
    r = result
    return f"Measured on {r['device']}, {r['cores']} cores, jax {r['jax']}, Python {r['python']}.\n"
