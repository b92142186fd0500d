"""The table of precision.py."""

from tables import markdown

NAMES = {"bfloat16": "default of TPUs", "TF32": "default of GPUs", "three passes": "high", "highest": "highest"}


def page(lines):
    """Errors of equivariance, a layer a row."""
    found = {(r["case"], r["dtype"], r["precision"]): r["error"] for r in lines}
    if not found:
        return ""
    columns = list(dict.fromkeys(key[1:] for key in found))
    head = ["", *(f"{dtype}, {NAMES[mode]}" for dtype, mode in columns)]
    cell = lambda value: "-" if value is None else f"{value:.0e}"  # noqa: E731
    rows = [
        (case, *(cell(found.get((case, *column))) for column in columns))
        for case in dict.fromkeys(case for case, *_ in found)
    ]
    return markdown(head, rows)
