"""Tables of potential.py, and the published errors beside them."""

from harness.results import latest
from tables import markdown

# Batatia et al. 2022, arXiv:2205.06643 and 2206.07697: RMSE of energies (meV) and forces (meV/Å), trained on 300 K
PUBLISHED = {
    "300 K": {"BOTNet": (0.89, 6.3), "NequIP": (0.81, 5.90), "MACE": (0.9, 5.1)},
    "600 K": {"BOTNet": (6.2, 29.8), "NequIP": (6.04, 27.8), "MACE": (4.6, 22.4)},
}
UNITS = {"energy": "meV", "force": "meV/Å"}
DATA = {"gfn2": "GFN2-xTB (shipped)", "dft": "DFT (published)"}
ROWS = (
    ("energy RMSE / MAE at 300 K (meV)", "{energy_rmse_300 K:.2f} / {energy_mae_300 K:.2f}"),
    ("force RMSE / MAE at 300 K (meV/Å)", "{force_rmse_300 K:.1f} / {force_mae_300 K:.1f}"),
    ("energy RMSE / MAE at 600 K (meV)", "{energy_rmse_600 K:.2f} / {energy_mae_600 K:.2f}"),
    ("force RMSE / MAE at 600 K (meV/Å)", "{force_rmse_600 K:.1f} / {force_mae_600 K:.1f}"),
    ("energy RMSE, dihedral scan (meV)", "{energy_rmse_dihedral:.1f}"),
    ("equivariance: verdict, error", "{verdict}, {equivariance_error:.0e}"),
    ("parameters", "{parameters:,}"),
    ("steps, batch", "{steps:,}, {batch}"),
    ("training (s)", "{seconds:,.0f}"),
    ("one step (ms)", "{milliseconds_a_step:.1f}"),
    ("compile, initialize (s)", "{compile_seconds:.1f}, {initialize_seconds:.1f}"),
    ("device, cores", "{device} ({processor}), {cores}"),
    ("jax, Python, day", "{jax}, {python}, {date}"),
)


COMMITTEE = (
    ("members", "{committee}"),
    *ROWS[:5],
    ("spread of energies times, from validation", "{calibration:.2f}"),
    *(
        (f"{name}: within 1 and 2 deviations", f"{{within_1_sigma_{key}:.0%}}, {{within_2_sigma_{key}:.0%}}")
        for key, name in (("300 K", "300 K"), ("600 K", "600 K"), ("dihedral", "dihedral scan"))
    ),
    ("rank correlation of error and deviation, 300 K", "{rank_correlation_300 K:.2f}"),
    ("at 600 K", "{rank_correlation_600 K:.2f}"),
    ("on the dihedral scan", "{rank_correlation_dihedral:.2f}"),
    ("error over deviation (root mean square), 300 K", "{error_over_sigma_300 K:.2f}"),
    ("at 600 K", "{error_over_sigma_600 K:.2f}"),
    ("on the dihedral scan", "{error_over_sigma_dihedral:.2f}"),
    ("largest error on the scan, deviation there (meV)", "{worst_error:.0f}, {worst_sigma:.0f} at {worst_angle:.0f}°"),
    ("parameters of a member", "{parameters:,}"),
    ("steps of a member, batch", "{steps:,}, {batch}"),
    ("training of all (s)", "{seconds:,.0f}"),
    *ROWS[-2:],
)


def page(lines):
    """The last run for each data set and preset a column; then the runs on DFT data beside the published errors."""
    single, several = runs(lines)
    text = columns(single, ROWS)
    dft = [r for r in (*single, *several) if r["data"] == "dft"]
    if not dft:
        return text
    figures = [(t, quantity) for t in PUBLISHED for quantity in UNITS]
    head = ["RMSE, DFT data", *(f"{quantity} at {t} ({UNITS[quantity]})" for t, quantity in figures)]
    rows = [(f"equijax, {name(r)}", *(f"{r[f'{q}_rmse_{t}']:.1f}" for t, q in figures)) for r in dft]
    for model in PUBLISHED["300 K"]:
        rows.append((f"{model} (published)", *(str(error) for errors in PUBLISHED.values() for error in errors[model])))
    return text + "\n" + markdown(head, rows)


def committees(lines):
    """The last committee of each data set and preset a column."""
    return columns(runs(lines)[1], COMMITTEE)


def runs(lines):
    """The last ones of single models, and of committees."""
    found = latest(lines, "data", "preset", "committee")
    return [r for r in found if "committee" not in r], [r for r in found if "committee" in r]


def name(result):
    """What was run."""
    return result["preset"] + (f", {result['committee']} members" if "committee" in result else "")


def columns(results, rows):
    """A table with a column for each result."""
    if not results:
        return ""
    head = ["", *(f"{DATA[r['data']]}, {name(r)}" for r in results)]
    return markdown(head, [(what, *(cell.format_map(r) for r in results)) for what, cell in rows])
