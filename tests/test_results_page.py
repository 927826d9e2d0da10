"""The page of all results: written from the files, complete, and true to them."""

import json
import statistics

import pytest
import results_page

STORED = [p for p in sorted(results_page.RESULTS.glob("*/*.json")) if p.name != "progress.json"]


def test_the_page_is_what_the_script_writes():
    text = results_page.PAGE.read_text(encoding="utf-8")
    assert text == results_page.page(), "run: python book/tools/results_page.py"


@pytest.mark.parametrize("path", STORED, ids=lambda p: f"{p.parent.name}-{p.stem}")
def test_every_result_is_on_the_page_with_what_made_it(path):
    result = json.loads(path.read_text(encoding="utf-8"))
    text = results_page.page()
    start = text.index(
        "### " + path.parent.name + ("" if path.stem == "results" else f": {path.stem}")
    )
    part = text[start:].split("\n### ")[0].split("\n## ")[0]
    for word in ("Scored", "Recipe", "Seeds", "Cost", "Made", "File"):
        assert f"* {word}:" in part, word
    assert "loor" in part or "models" in result
    for label in result.get("rows", {}):
        assert f"| {label}" in part


def test_a_score_is_mean_and_standard_deviation_over_seeds():
    path = results_page.RESULTS / "dcgan-mnist" / "results.json"
    runs = json.loads(path.read_text(encoding="utf-8"))["runs"]
    values = [run["scores"]["frechet"] for run in runs]
    expected = (
        f"**Fréchet distance {statistics.mean(values):.1f} ± {statistics.stdev(values):.1f}**"
    )
    assert expected in results_page.page()


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([12.4344, 13.6189, 11.5367], "12.5 ± 1.0"),
        ([0.0123], "0.012"),
        ([8.0, 7.0], "7.5 ± 0.7"),
        ([918], "918"),
        ([1.5, None], "1.50 (1 of 2 seeds)"),
        ([None], "none"),
        ([1000.2, 1200.4], "1,100 ± 142"),
    ],
)
def test_numbers_have_the_digits_they_deserve(values, text):
    assert results_page.spread(values) == text


def _store(folder, name, result):
    (folder / name).mkdir()
    (folder / name / "results.json").write_text(json.dumps(result), encoding="utf-8")


def test_an_unknown_form_is_refused(tmp_path):
    _store(tmp_path, "new", {"values": [1, 2]})
    with pytest.raises(ValueError, match=r"new.*does not know"):
        results_page.page(tmp_path)


def test_two_fingerprints_in_one_table_are_refused(tmp_path):
    path = results_page.RESULTS / "dcgan-ablation" / "results.json"
    result = json.loads(path.read_text(encoding="utf-8"))
    next(iter(result["rows"].values()))[0]["scores"]["features"] = "classifier:000000000000"
    _store(tmp_path, "mixed", result)
    with pytest.raises(ValueError, match="cannot be compared: features is classifier"):
        results_page.page(tmp_path)
