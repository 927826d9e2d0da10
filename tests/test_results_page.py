"""The page of all results: written from the files, complete, and true to them."""

import json
import statistics

import pytest
import results_page
import results_words

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
    assert results_words.spread(values) == text


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


def test_every_result_names_a_chapter_that_reads_it():
    for path in STORED:
        name = path.parent.name
        chapter = results_page.BOOK / f"{results_words.CHAPTERS[name]}.ipynb"
        assert name in chapter.read_text(encoding="utf-8"), name


@pytest.mark.parametrize(
    ("rows", "better", "worse", "rest"),
    [
        ({"a": [10, 11, 12], "b": [5, 5.5, 6], "c": [20, 21, 22]}, "b", "c", 0),
        ({"a": [10, 11, 12], "b": [9, 11, 13]}, "none", "none", 1),
        ({"a": [10, 10, 10], "b": [9, 9, 9]}, "b", "none", 0),
    ],
)
def test_a_verdict_is_arithmetic_on_the_stored_scores(rows, better, worse, rest):
    words = results_words.verdict(rows)
    assert f"better: {better}. Worse: {worse}. Not told apart: {rest}" in words
    turned = results_words.verdict(
        {k: [-v for v in values] for k, values in rows.items()}, larger=True
    )
    assert turned == words


def test_one_seed_gives_no_verdict():
    assert "cannot be told from chance" in results_words.verdict({"a": [1.0], "b": [2.0]})


def test_rates_and_penalties_are_those_of_the_row():
    assert results_words.rates({"g_lr": 1e-3, "d_lr": 2e-4}) == "1e-3, 2e-4"
    assert results_words.rates({"g_lr": 5e-4, "d_lr": 5e-4}) == "5e-4"
    assert (
        results_words.penalties({"penalties": {"r1": {"weight": 0.1, "every": 16}}})
        == "r1 0.1 every 16"
    )
    assert results_words.penalties({"penalties": {"gp": 10.0}, "clip": 0.01}) == "gp 10, clip 0.01"


def test_results_made_from_changed_code_are_marked():
    text = results_page.page()
    assert text.count("-dirty` (from changed code") == text.count("-dirty`") - 1  # the head's own
