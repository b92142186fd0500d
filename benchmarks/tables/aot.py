"""Tables of aot.py: what is known of accelerators without one."""

from harness.traffic import COLLECTIVES
from tables import markdown


def programs(lines):
    """A line a program: traffic over the least for each chip and dtype; the rest for the first chip, in float32."""
    latest = {(r["case"], r["mode"], r["topology"], r["dtype"]): r for r in lines if r.get("set", "many") != "many"}
    if not latest:
        return ""
    columns = sorted({key[2:] for key in latest}, key=lambda key: (key[0], key[1] != "float32"))
    chips = list(dict.fromkeys(topology for topology, _ in columns))
    head = ["program", "", *(f"traffic, {topology.split(':')[0]}, {dtype}" for topology, dtype in columns)]
    head += ["MB moved", "temporary MB", "Gflop", "compile s", "constant kB", "CUDA"]
    rows = []
    for case, mode in dict.fromkeys(key[:2] for key in latest):
        found = [latest.get((case, mode, *column)) for column in columns]
        first = next(r for r in found if r)
        # the others fit in fast memory, or hold more than they are given
        large = first["set"] in ("products", "layers", "selection")
        inside = first.get("kernels") and first["operations"] < 1e9  # XLA does not count those of fused kernels
        rows.append((
            case, mode, *(_ratio(r, large) for r in found),
            *(_number(first, name, unit) for name, unit in (("traffic", 1e6), ("temporary_bytes", 1e6))),
            "in the fused kernel" if inside else _number(first, "operations", 1e9),
            *(_number(first, name, unit) for name, unit in (("compile_seconds", 1), ("constant_bytes", 1e3))),
            "yes" if first["cuda"] else "no",
        ))  # fmt: skip
    versions = ", ".join(f"{name} {first[name]}" for name in ("jax", "libtpu") if name in first)
    chips = ", ".join(chip.split(":")[0] for chip in chips)
    half = [r for r in latest.values() if r["dtype"] == "bfloat16" and "wide_bytes" in r]
    copies = [_name(r) for r in half if r["wide_copies"]]
    large = [f"{_name(r)}: {r['wide_bytes'] / 1e6:.0f}" for r in half if r["wide_bytes"] > 1e6]
    note = (
        f"Compiled for {chips} with {versions}. The other columns are of the first chip in float32. Of {len(half)} "
        f"programs in bfloat16, {_list(copies)} hold an array of float32 in main memory as large as an argument or a "
        f"result, and larger in bytes, and {_list(large)} one of another size of more than 1 MB (MB of the largest).\n"
    )
    return markdown(head, rows) + "\n" + note


def collectives(lines):
    """What the devices of a slice say to each other, a program a line."""
    found = {r["case"]: r for r in lines if "collectives" in r}
    if not found:
        return ""
    kinds = [k for k in COLLECTIVES if any(k in r["collectives"] for r in found.values())]
    rows = [
        (
            case,
            *(str(r["collectives"].get(k, 0)) for k in kinds),
            f"{r['temporary_bytes'] / 1e6:.1f}",
            f"{r['compile_seconds']:.0f}",
        )
        for case, r in found.items()
    ]
    last = list(found.values())[-1]
    head = ["", *kinds, "temporary MB of a device", "compile s"]
    return (
        markdown(head, rows)
        + f"\nCompiled for {last['topology']}, {last['devices']} chips, with libtpu {last['libtpu']}.\n"
    )


def bounds(lines):
    """Least milliseconds of the Gaunt product by memory and by arithmetic, of fused kernels and of plain XLA."""
    found = {r["degree"]: r for r in lines if r.get("table") == "bounds"}
    if not found:
        return ""
    head = [
        "L",
        "memory, fused kernel",
        "terms",
        "grid, highest",
        "grid, default",
        "memory, plain XLA",
        "chosen at highest, default",
    ]
    names = ("memory", "terms", "grid_highest", "grid_default", "plain_memory")
    rows = [
        (
            str(l),
            *("-" if r[name] is None else f"{1e3 * r[name]:.2f}" for name in names),
            f"{r['highest']}, {r['default']}",
        )
        for l, r in sorted(found.items())
    ]
    first = next(iter(found.values()))
    size = f"{first['rows']:,} rows x {first['channels']} channels, float32"
    return (
        markdown(head, rows)
        + f"\nMilliseconds on a v5e that the traffic or the operations of a product take at least, {size}.\n"
    )


def _ratio(record, large):
    if record is None or not {"error", "traffic"} & set(record):
        return "-"  # without libtpu programs are lowered for CUDA only
    if "error" in record:
        return "fails"
    return f"{record['traffic'] / record['least']:.2f}" if large else "compiles"


def _number(record, name, unit):
    return f"{record[name] / unit:.3g}" if name in record else "-"


def _name(record):
    return f"{record['case']}, {record['mode']}, {record['topology'].split(':')[0]}"


def _list(names):
    """How many there are, and which."""
    return f"{len(names)} ({'; '.join(names)})" if names else "none"
