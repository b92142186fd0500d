"""The tables and pictures in docs/ are those of the results in benchmarks/results/, line by line."""

import json
import re
import shutil
import sys
import types
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
RESULTS, DOCS = ROOT / "benchmarks" / "results", ROOT / "docs"
sys.path.insert(0, str(ROOT / "benchmarks"))

import report  # noqa: E402
from harness import Target, append, completed, holds, latest, read  # noqa: E402


def test_pages_and_pictures_show_what_the_results_give():
    wrong = [*report.pages(RESULTS, DOCS), *report.pictures(RESULTS, DOCS)]
    assert not wrong, "python benchmarks/report.py writes them anew"


def test_every_file_of_results_is_shown():
    shown = {name for page in DOCS.rglob("*.md") for name, _ in report.BLOCK.findall(page.read_text())}
    assert shown >= {path.stem for path in RESULTS.glob("*.jsonl")}


def test_a_changed_number_in_a_page_is_seen(tmp_path):
    page = tmp_path / "rotations.md"
    page.write_text((DOCS / "benchmarks" / "rotations.md").read_text())
    assert report.pages(RESULTS, tmp_path) == {}
    page.write_text(re.sub(r"\| \d\.(\d\d) \|", r"| 9.\1 |", page.read_text(), count=1))
    assert list(report.pages(RESULTS, tmp_path)) == [page]


def test_a_changed_line_of_results_is_seen(tmp_path):
    results = tmp_path / "results"
    shutil.copytree(RESULTS, results)
    path = results / "lie_convergence.jsonl"
    lines = read(path)
    lines[-1]["error"] *= 2
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert [p.name for p in report.pages(results, DOCS)] == ["lie-convergence.md"]
    assert [p.name for p in report.pictures(results, DOCS)] == ["lie-convergence.svg"]


def test_check_fails_and_writes_nothing(tmp_path, monkeypatch, capsys):
    page = tmp_path / "page.md"
    page.write_text(text := "<!-- results: rotations.page -->\n<!-- end of results -->\n")
    monkeypatch.setattr(report, "pictures", lambda results, docs: {})
    arguments = ["report.py", "--results", str(tmp_path), "--docs", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", [*arguments, "--check"])
    with pytest.raises(SystemExit, match="writes them anew"):
        report.main()
    assert page.read_text() == text
    assert f"{page}: does not show" in capsys.readouterr().out
    monkeypatch.setattr(sys, "argv", arguments)
    report.main()
    assert "\n\nNo results are kept yet.\n\n" in page.read_text()


def test_the_last_result_of_a_case_counts():
    results = [{"case": "a", "n": 1}, {"case": "b", "n": 2}, {"case": "a", "n": 3}]
    assert latest(results, "case") == [{"case": "a", "n": 3}, {"case": "b", "n": 2}]
    assert [Target("", *t).met() for t in ((None, 1), (1, 1), (2, 1), (2, 1, "at least"), (1, 2, "at least"))] == [
        "not measured", "met", "missed", "met", "missed",
    ]  # fmt: skip


def test_a_case_that_a_file_holds_is_known(tmp_path):
    path = tmp_path / "results.jsonl"
    assert not holds(path, case="a")
    append(path, {"case": "a", "seed": 0, "error": 1.0})
    assert holds(path, case="a", seed=0)
    assert not holds(path, case="a", seed=1)
    assert not holds(path, case="a", seconds=None)  # what a line does not have is not None


def test_ctrl_c_ends_a_script_and_not_a_run_of_it():
    """`training.fit` returns after Ctrl-C: no result is kept of half a run."""
    run = lambda stopped: types.SimpleNamespace(stopped=stopped, state=types.SimpleNamespace(step=7))  # noqa: E731
    assert completed(run("steps")).state.step == 7
    with pytest.raises(SystemExit, match="Stopped at step 7"):
        completed(run("interrupted"))


def test_targets_on_a_gpu_are_named_before_they_are_measured():
    from tables import on_gpu

    row = {"small": False, "table": "products", "name": "gaunt", "mode": "forward", "degree": 1, "fraction": 0.8}
    row |= {"bound": "memory", "seconds": 1e-5, "compile_seconds": 1.0, "device": "a card", "jax": "", "python": ""}
    empty, one = on_gpu.page([]), on_gpu.page([row | on_gpu.PLAIN])
    assert empty.count("not measured") == 10
    assert one.count("not measured") == 9
    assert "| 0.8 | met |" in one
    assert "| 10.0 | 80% of memory |" in one
    assert on_gpu.page([row | on_gpu.PLAIN | {"small": True}]) == empty
