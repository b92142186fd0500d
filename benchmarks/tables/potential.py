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


def page(lines):
    """The last run for each data set and preset a column; then the runs on DFT data beside the published errors."""
    results = latest(lines, "data", "preset")
    if not results:
        return ""
    head = ["", *(f"{DATA[r['data']]}, {r['preset']}" for r in results)]
    text = markdown(head, [(name, *(cell.format_map(r) for r in results)) for name, cell in ROWS])
    dft = [r for r in results if r["data"] == "dft"]
    if not dft:
        return text
    columns = [(t, quantity) for t in PUBLISHED for quantity in UNITS]
    head = ["RMSE, DFT data", *(f"{quantity} at {t} ({UNITS[quantity]})" for t, quantity in columns)]
    rows = [(f"equijax, {r['preset']}", *(f"{r[f'{q}_rmse_{t}']:.1f}" for t, q in columns)) for r in dft]
    for name in PUBLISHED["300 K"]:
        rows.append((f"{name} (published)", *(str(error) for errors in PUBLISHED.values() for error in errors[name])))
    return text + "\n" + markdown(head, rows)
