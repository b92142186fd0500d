"""What the results of tensor_products.py say: the line of a case, what was to be reached, tables, a picture."""

import math
import statistics

from harness.results import Target, latest
from tables import markdown, reached

OURS = "equijax"
AUTO = {"products": "gaunt, auto", "growth": "gaunt, auto", "convolution": "convolution, auto"}
NOTES = {
    "gaunt": "the same map",
    "rank one": "the same map, between weights for each degree and channel of x, y and z",
    "paths": "one weight a path and channel: richer, the same map with fixed weights",
    "all": "all paths to degree 2L kept apart, no weights",
    "fused": "6j factors in the place of 3j, weights for each degree of x, y and z",
}

KINDS = {"gaunt": "same map", "paths": "path weights", "all": "all paths", "fused": "fused"}


def weights(kind, l):
    """Weights for each channel."""
    return {"rank one": 3 * (l + 1), "paths": even_paths(l), "fused": 8 * (l + 1)}.get(kind, 0)


def irreps(kind, l):
    """Irreps in the result for each channel."""
    return sum(2 * min(a, b) + 1 for a in range(l + 1) for b in range(l + 1)) if kind == "all" else l + 1


def even_paths(l):
    """Paths of even sum with all degrees up to l."""
    degrees = range(l + 1)
    return sum(abs(a - b) <= c <= a + b and (a + b + c) % 2 == 0 for a in degrees for b in degrees for c in degrees)


def line(r):
    """One line for a person."""
    if r["table"] == "run":
        packages = ", ".join(f"{name} {version or 'missing'}" for name, version in r["packages"].items())
        return f"{r['device']}, {r['cores']} cores, jax {r['jax']}; {packages}"
    head = f"{r['table'][:6]:6} L {r['degree']:2} {r['rows']:>4} x {r['channels']:<3} {r['mode']:8} "
    head += f"{r['package']:>18} {r['case']:26}"
    if "seconds" not in r:
        return f"{head} left out: {r['reason']}"
    error = "" if r["error"] is None else f", error {r['error']:.0e}"
    return (
        f"{head} {1e3 * r['seconds']:9.3f} ms, {r['fraction']:4.0%} of {r['bound'][:6]}, "
        f"{r['operations']:9.0f} flop, {1e3 * r['gigabytes']:7.1f} MB, "
        f"compiled in {r['trace_seconds'] + r['compile_seconds']:5.2f} s{error}"
    )


# ------------------------------------------------------------------------------------------------- what to reach


def targets(records):
    """What was to be reached, and the worst figure measured."""
    sizes = {}
    for r in records:
        if "seconds" in r:
            key = r["table"], r["degree"], r["rows"], r["channels"], r["mode"]
            sizes.setdefault(key, {})[r["package"], r["case"]] = r
    auto = {key: cases[OURS, AUTO[key[0]]] for key, cases in sizes.items() if (OURS, AUTO[key[0]]) in cases}

    def at(table, degrees, modes=("forward", "gradient"), rows=(1024, 256, 128)):
        return [k for k in auto if k[0] == table and k[1] in degrees and k[2] in rows and k[4] in modes]

    def best(keys, *maps, of="seconds", over=auto):
        """The best peer of these maps over one of ours, size by size."""
        pairs = ((over[k], [r for r in sizes[k].values() if r["package"] != OURS and r["map"] in maps]) for k in keys)
        return [min(r[of] for r in peers) / max(mine[of], 1e-9) for mine, peers in pairs if peers]

    def over_fastest(k):
        ours = [r["seconds"] for (package, _), r in sizes[k].items() if package == OURS and r["map"] == "gaunt"]
        return auto[k]["seconds"] / min(ours)

    def slope(method, mode):
        points = [
            (math.log(k[1]), math.log(cases[OURS, f"gaunt, {method}"]["seconds"]))
            for k, cases in sizes.items()
            if k[0] == "growth" and k[1] >= 16 and k[4] == mode and (OURS, f"gaunt, {method}") in cases
        ]
        return [statistics.linear_regression(*zip(*points, strict=True)).slope] if len(points) > 1 else []

    middle, high = at("products", range(2, 9)), at("products", range(8, 13), ("forward",))
    operations = [auto[k]["operations"] / separable_operations(k[1]) for k in high]
    large = [auto[k]["fraction"] for k in at("products", range(3, 13), rows=(256,))]
    rows = [
        ("auto over the fastest of our methods, at every size", [over_fastest(k) for k in auto], 1.1, "at most"),
        ("s2grid of e3nn-jax over auto, L = 2 to 8", best(middle, "gaunt"), 3, "at least"),
        ("FusedTensor of e3x over auto, L = 2 to 8", best(middle, "fused"), 3, "at least"),
    ]
    for l, limit in ((1, 1), (2, 2), (4, 8), (6, 15)):
        values = best(at("products", (l,), ("gradient",)), "paths")
        rows.append((f"best path-weighted product over auto, L = {l}, with gradient", values, limit, "at least"))
    paths = {key: cases[OURS, "clebsch_gordan"] for key, cases in sizes.items() if (OURS, "clebsch_gordan") in cases}
    weighted = best([k for k in at("products", range(1, 7)) if k in paths], "paths", over=paths)
    rows.append(
        (
            "best path-weighted product of the peers over clebsch_gordan, the same map, L = 1 to 6",
            weighted,
            1,
            "at least",
        )
    )
    memory = best(at("products", (6,), ("gradient",)), "paths", of="gigabytes")
    kept = best(at("products", (4,), ("forward",), (1024,)), "all")
    messages = best(at("convolution", range(1, 7)), "gaunt", "paths", "fused")
    rows += [
        ("the least temporary memory of those over that of auto, L = 6, with gradient", memory, 20, "at least"),
        ("tensor_product with all paths over auto, L = 4, forward, 1024 x 16", kept, 50, "at least"),
        ("the fastest convolution of the peers over auto, L = 1 to 6", messages, 1, "at least"),
        ("fraction of the bound, L from 3, 256 x 128", large, 0.5, "at least"),
        ("operations of auto over the plain separable route, L from 8, forward", operations, 1, "at most"),
    ]
    for mode, limit in (("forward", 1), ("gradient", 3)):
        programs = [auto[k] for k in at("products", range(1, 13), (mode,))]
        seconds = [r["trace_seconds"] + r["compile_seconds"] for r in programs]
        rows.append((f"seconds to trace and compile auto, L to 12, {mode}", seconds, limit, "at most"))
    for method in ("separable", "fft"):
        for mode in ("forward", "gradient"):
            rows.append((f"slope of {method}, L = 16 to 64, {mode}", slope(method, mode), 3.3, "at most"))
    worst = {"at least": min, "at most": max}
    return [Target(what, worst[sense](values, default=None), limit, sense) for what, values, limit, sense in rows]


def separable_operations(l):
    """For each row and channel of an L x L -> L product by one angle after the other, nothing saved by symmetry."""
    thetas, phis, orders = 3 * l // 2 + 1, 3 * l + 1, 2 * l + 1
    return thetas * phis * (1 + 6 * orders) + 3 * thetas * orders * (orders + 1)


# -------------------------------------------------------------------------------------------- for the documentation


def kept(lines):
    """The last record of each case of full runs, and of each run its description."""
    runs = {r["run"]: r for r in lines if r["table"] == "run"}
    full = [r for r in lines if r["table"] != "run" and not runs[r["run"]]["small"]]
    cases = latest(full, "table", "degree", "rows", "channels", "mode", "package", "case")
    return [runs[name] for name in sorted({r["run"] for r in cases})], cases


def page(lines):
    """All tables."""
    runs, records = kept(lines)
    if not records:
        return ""
    blocks = [f"Measured with {line(run)}, {run['run']}.\n" for run in runs]
    blocks += ["## Targets\n", reached(targets(records))]
    if curves(lines):
        blocks += ["## Products\n", "![Time against the degree, each package at its best](tensor-products.svg)\n"]
    groups = {}
    for r in records:
        groups.setdefault((r["table"], r["rows"], r["channels"], r["mode"]), []).append(r)
    for (name, rows, channels, mode), group in groups.items():
        title = {"products": "Products", "growth": "Growth", "convolution": "Convolution"}[name]
        blocks += [f"### {title}, {rows} x {channels}, {mode}, milliseconds\n", by_degree(group)]
        for degree in (4,):
            chosen = [r for r in group if r["degree"] == degree and "seconds" in r]
            if chosen:
                blocks += [f"At L = {degree}:\n", in_detail(chosen)]
    reasons = {}
    for r in records:
        if "reason" in r:
            reasons.setdefault((r["package"], r["case"], r["table"], r["rows"], r["mode"]), (r["degree"], r["reason"]))
    left = [(f"{p} {c}", f"{t}, {n} rows, {m}", str(l), why) for (p, c, t, n, m), (l, why) in reasons.items()]
    if left:
        blocks += ["### Left out\n", markdown(["case", "table", "from L", "because"], left)]
    return "\n".join(blocks)


def by_degree(records):
    """A case a row, a degree a column."""
    degrees = sorted({r["degree"] for r in records})
    times = {}
    for r in records:
        times.setdefault((r["package"], r["case"]), {})[r["degree"]] = r.get("seconds")
    rows = [
        (f"{package} {case}", *(f"{1e3 * t[l]:.3g}" if t.get(l) else "–" for l in degrees))
        for (package, case), t in times.items()
    ]
    return markdown(["", *(f"L = {l}" for l in degrees)], rows)


def in_detail(records):
    """A case a row with all that is known of it."""
    head = ["", "map", "weights", "ms", "ns an irrep", "operations", "of the bound", "MB", "compile (s)", "error"]
    rows = []
    for r in records:
        each = 1e9 * r["seconds"] / (r["rows"] * r["channels"] * irreps(r["map"], r["degree"]))
        rows.append(
            (
                f"{r['package']} {r['case']}",
                NOTES[r["map"]],
                str(weights(r["map"], r["degree"])),
                f"{1e3 * r['seconds']:.3g}",
                f"{each:.3g}",
                f"{r['operations']:,.0f}",
                f"{r['fraction']:.0%} ({r['bound']})",
                f"{1e3 * r['gigabytes']:.3g}",
                f"{r['trace_seconds'] + r['compile_seconds']:.2f}",
                "" if r["error"] is None else f"{r['error']:.0e}",
            )
        )
    return markdown(head, rows)


def curves(lines):
    """Milliseconds by degree of our auto and path-weighted product, and of each package at its best for a map.

    {(rows x channels, mode): {package and map: {degree: milliseconds}}}, the largest number of rows first.
    """
    records = [r for r in kept(lines)[1] if r["table"] == "products" and "seconds" in r]
    found = {}
    for r in sorted(records, key=lambda r: (-r["rows"], r["mode"])):
        if r["package"] != OURS or r["case"] in (AUTO["products"], "clebsch_gordan"):
            panel = found.setdefault(f"{r['rows']} x {r['channels']}, {r['mode']}", {})
            points = panel.setdefault(f"{r['package']}, {KINDS[r['map']]}", {})
            points[r["degree"]] = min(points.get(r["degree"], math.inf), 1e3 * r["seconds"])
    return found


def draw(curves):
    """Time against the degree, log-log, a size and mode a panel."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, len(curves), figsize=(4 * len(curves), 4), sharey=True, squeeze=False)
    measured = {degree for panel in curves.values() for points in panel.values() for degree in points}
    for axis, (title, panel) in zip(axes[0], curves.items(), strict=True):
        for name, points in panel.items():
            style, width = ("o-", 2) if name.startswith(OURS) else (".--", 1)
            axis.loglog(*zip(*sorted(points.items()), strict=True), style, lw=width, label=name)
        axis.set_title(title)
        degrees = [l for l in (1, 2, 3, 4, 6, 8, 12) if l in measured]
        axis.set_xticks(degrees, map(str, degrees), minor=False)
        axis.set_xticks([], minor=True)
        axis.set_xlabel("degree L")
    axes[0, 0].set_ylabel("milliseconds")
    figure.tight_layout()
    axes[0, -1].legend(loc="upper left", bbox_to_anchor=(1.02, 1), fontsize=8)
    return figure
