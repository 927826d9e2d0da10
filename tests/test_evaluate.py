"""`ganlab evaluate` on folders, zips and runs; which scores may stand side by side."""

import json
import shutil
import zipfile

import pytest
import torch
from PIL import Image

from ganlab import cli
from ganlab.cli import evaluate as cli_evaluate
from ganlab.data import load
from ganlab.errors import DataError
from ganlab.metrics import ModuleFeatures, evaluation, features, fid, scoring

SCORE = {"kind": "frechet", "frechet": 3.0, "features": "classifier:aa", "data": "mnist", "n": 100}


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"features": "classifier:bb"}, "features is classifier:aa and classifier:bb"),
        ({"features": "inception:aa"}, "features is classifier:aa and inception:aa"),
        ({"n": 50}, "n is 100 and 50"),
        ({"data": "cifar10"}, "data is mnist and cifar10"),
    ],
)
def test_scores_of_different_scales_are_not_compared(change, line):
    scoring.compare(SCORE, SCORE | {"frechet": 5.0, "seed": 1, "recipe": "x"})
    with pytest.raises(DataError, match=f"cannot be compared: {line}") as caught:
        scoring.compare(SCORE, SCORE, SCORE | change)
    assert "\n" not in str(caught.value)


def test_resizers_are_compared_where_both_are_known():
    tf = SCORE | {"resizer": "tf"}
    scoring.compare(SCORE, tf)  # scores stored before resizers were
    with pytest.raises(DataError, match="resizer is tf and clean"):
        scoring.compare(tf, SCORE | {"resizer": "clean"})


@pytest.fixture(scope="module")
def glyphs():
    return load("glyphs", size=16, limit=300)


@pytest.fixture(scope="module")
def flat():
    """Features that are the pixels of a picture of 4 px: fast, and the same everywhere."""
    return ModuleFeatures(torch.nn.Sequential(torch.nn.AvgPool2d(4), torch.nn.Flatten()))


def pictures(images, name="made"):
    def draw(n, seed):
        return iter(images[:n].split(37))

    return evaluation.Pictures(name, draw, len(images))


def test_the_floor_has_as_many_pictures_as_the_score(glyphs, flat):
    report = evaluation.evaluate(glyphs, pictures(glyphs.images[:200]), flat)
    assert (report["n"], report["floor_n"], report["notes"]) == (150, 150, [])
    order = torch.randperm(300, generator=torch.Generator().manual_seed(0))
    x = flat.features(glyphs.images[order])
    made = flat.features(glyphs.images[:150])
    assert report["frechet"] == pytest.approx(fid(x[:150], made).value, abs=1e-4)
    assert report["floor"] == pytest.approx(fid(x[:150], x[150:]).value, abs=1e-4)
    assert report["features"] == f"Sequential:{flat.fingerprint}"


def test_more_than_half_of_the_data_leaves_a_smaller_floor_and_says_so(glyphs, flat):
    report = evaluation.evaluate(glyphs, pictures(glyphs.images), flat, ("fid", "kid"), n=1000)
    assert (report["n"], report["floor_n"]) == (300, 150)
    assert report["frechet"] == pytest.approx(0, abs=1e-9)  # all against all
    assert report["floor"] > 0.01
    assert "there are 300" in report["notes"][0]
    assert "floor is that of 150" in report["notes"][1]


def test_rows_of_all_metrics_and_no_kept_features_for_fid_alone(glyphs, flat):
    made = pictures(255 - glyphs.images[:150])
    report = evaluation.evaluate(glyphs, made, flat, "fid,kid,pr,dc,swd")
    rows = report["rows"]
    assert list(rows) == ["fid", "kid", "precision", "recall", "density", "coverage", "swd"]
    for name, row in rows.items():  # a negative is worse than another half of the data, everywhere
        worse = row["value"] > row["floor"]
        assert worse == row["better"].startswith("lower"), name
    seen = evaluation.look(iter([glyphs.images]), 300, flat, ["fid"], "")
    assert seen.features is None
    assert seen.statistics.count == 300
    text = cli_evaluate.table(report)
    assert "Fréchet distance" in text
    assert "real vs real" in text


@pytest.fixture
def folders(tmp_path, monkeypatch, glyphs):
    """Two folders of pictures of one kind, `real` with class folders, and a short classifier."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(features, "STEPS", 10)
    for i, picture in enumerate(glyphs.images[:, 0].numpy()):
        name = f"real/{i % 2}/{i}.png" if i < 200 else f"made/{i}.png"
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(tmp_path / name)
    return tmp_path


def test_two_folders(folders, capsys):
    assert cli.main(["evaluate", "made", "--against", "real", "--metrics", "fid,pr,is"]) == 0
    out = capsys.readouterr().out
    report = json.loads((folders / "evaluation.json").read_text(encoding="utf-8"))
    assert "classifier has learned from 100 of the real pictures" in out
    for key in ("n", "floor_n", "seed", "features", "accuracy", "resizer", "floor", "task"):
        assert report[key] is not None
    assert (report["n"], report["shape"], report["task"]) == (50, [1, 16, 16], "classes")
    assert f"n = {report['n']}" in out
    assert report["features"] in out
    # Pictures of the same kind: the score is of the size of the floor.
    assert report["frechet"] < 3 * report["floor"]
    first = report["frechet"]
    assert (
        cli.main(["evaluate", "made", "--against", "real", "--seed", "1", "--out", "b.json"]) == 0
    )
    again = json.loads((folders / "b.json").read_text(encoding="utf-8"))
    assert again["features"] == report["features"]  # the seed draws pictures, not the judge
    assert again["frechet"] != first


def test_a_zip_of_other_sizes_is_resized_and_the_report_says_so(folders, capsys):
    with zipfile.ZipFile("made.zip", "w") as archive:
        for path in sorted((folders / "made").iterdir()):
            Image.open(path).resize((30, 24)).save("one.png")
            archive.write("one.png", path.name)
    (folders / "one.png").unlink()
    assert cli.main(["evaluate", "made.zip", "--against", "real", "--metrics", "fid"]) == 0
    out = capsys.readouterr().out
    assert "made.zip: 24 px, resized to 16 px (bicubic, antialiased)" in out
    assert "made.zip: cut to the square in the middle" in out
    assert cli.main(["evaluate", "real", "--against", "made", "--metrics", "is"]) == 2
    assert "Inception Score needs classes: made has none" in capsys.readouterr().err


MISTAKES = {
    "nothing there": ("nowhere --against real", "there is no run, folder or zip nowhere"),
    "no reference": ("made", "name the real pictures with --against"),
    "a reference": ("made --against else/where", "zip else/where"),
    "a data set": ("made --against cifar01", "did you mean 'cifar10'"),
    "itself": ("made --against ./made", "against itself"),
    "a metric": ("made --against real --metrics fdi", "did you mean 'fid'"),
    "no metric": ("made --against real --metrics ,", "no metric is named"),
    "features": ("made --against real --features inceptoin", "did you mean 'inception'"),
    "a resizer": ("made --against real --resizer tf", "--resizer goes with"),
    "weights": ("made --against real --weights w.pth", "--weights goes with"),
    "a download": ("made --against real --download-weights", "goes with --features inception"),
    "n": ("made --against real -n 1", "-n must be at least 10, not 1"),
    "one picture": ("one --against real", "one: 1 picture, at least 10 are needed"),
    "few real ones": ("made --against few", "few: 39 pictures, at least 40 are needed"),
    "no picture": ("empty --against real", "no picture in empty"),
    "a text": ("text --against real", "not a zip"),
    "a folder": ("made --against real --out made", "made is a folder: name a file"),
    "small": ("tiny --against real", "8 px are too few for the classifier"),
    "a device": ("made --against real --out dev.json", "dev.json is no regular file"),
    "a run's file": ("made --against real --out run/recipe.json", "what the run itself keeps"),
    "a run's folder": ("made --against real --out run/samples/a.json", "what the run itself keeps"),
    "a file on the way": ("made --against real --out text/a.json", "text/a.json cannot be"),
    "a forbidden place": ("made --against real --out /proc/a.json", "/proc/a.json cannot be"),
    "nobody": ("made --against real --out ~nobody-here/a.json", "there is no such user"),
    "nobody's run": ("~nobody-here/a --against real", "there is no such user"),
    "no classes": ("real --against made --metrics is", "the Inception Score needs classes: made"),
    "no classes either": (
        "made --against real --metrics is --features torchvision:resnet18 --weights random",
        "the Inception Score needs classes, and torchvision:resnet18 has none",
    ),
    "a seed below": ("made --against real --seed -1", "--seed must be at least 0, not -1"),
    "a large seed": (f"made --against real --seed {2**70}", "--seed must be at most 4,294,967,295"),
    "a place": ("made --against real --device foo", "'foo'"),
    "a network": ("made --against real --features torchvision:nothing", "torchvision network"),
    "no weights": (
        "made --against real --features torchvision:resnet18 --weights nowhere.pth",
        "no weights at nowhere.pth",
    ),
    "damaged weights": (
        "made --against real --features torchvision:resnet18 --weights text",
        "text cannot be read as weights",
    ),
}


def test_mistakes_are_one_line_and_exit_2(folders, capsys, monkeypatch):
    monkeypatch.setattr(features, "train", None)  # none of them may get so far
    for name, count in (("one", 1), ("few", 39), ("empty", 0), ("tiny", 60)):
        (folders / name).mkdir()
        for path in sorted((folders / "made").iterdir())[:count]:
            shutil.copy(path, folders / name)
            if name == "tiny":
                Image.open(path).resize((8, 8)).save(folders / name / path.name)
    (folders / "text").write_text("no pictures", encoding="utf-8")
    (folders / "dev.json").symlink_to("/dev/null")
    (folders / "run" / "samples").mkdir(parents=True)
    for name in ("recipe.json", "about.json"):
        (folders / "run" / name).write_text("{}", encoding="utf-8")
    for what, (words, line) in MISTAKES.items():
        assert cli.main(["evaluate", *words.split()]) == 2, what
        err = capsys.readouterr().err
        assert line in err, what
        assert err.count("\n") == 1, what
    assert not (folders / "evaluation.json").exists()


def test_a_run_scores_as_after_training_and_elsewhere_on_request(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(features, "STEPS", 10)
    import ganlab.recipes.building

    monkeypatch.setattr(
        ganlab.recipes.building, "load", lambda *a, **k: load(*a, **(k | {"limit": 200}))
    )
    small = ["batch=16", "samples=4", "precision=fp32", "generator.width=8", "size=16"]
    words = [w for s in [*small, "discriminator.width=8"] for w in ("--set", s)]
    assert cli.main(["train", "dcgan-glyphs", "--steps", "3", "--out", "run", *words]) == 0
    kept = (tmp_path / "run/scores.json").read_text(encoding="utf-8")
    trained = json.loads(kept)
    capsys.readouterr()
    assert cli.main(["evaluate", "run", "--out", "elsewhere.json"]) == 0
    assert (tmp_path / "run/scores.json").read_text(encoding="utf-8") == kept
    report = json.loads((tmp_path / "elsewhere.json").read_text(encoding="utf-8"))
    assert {k: report[k] for k in trained} == pytest.approx(trained)
    scoring.compare(trained, report)
    assert scoring.verdict(report) == scoring.verdict(trained)
    assert cli.main(["evaluate", "run", "--against", "glyphs", "--metrics", "swd", "-n", "20"]) == 0
    assert "written to run/evaluation.json" in capsys.readouterr().out


def test_a_run_on_stacks_keeps_its_mode_count(tmp_path, monkeypatch, capsys):
    from functools import partial

    import ganlab.recipes.building

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(features, "STEPS", 5)
    monkeypatch.setattr(scoring, "count_modes", partial(scoring.count_modes, samples=60))
    stacks = load("stacked-glyphs", size=16, limit=100)
    monkeypatch.setattr(ganlab.recipes.building, "load", lambda *a, **k: stacks)
    words = "train dcgan-glyphs-color --data stacked-glyphs --set size=16 --set batch=8 --steps 1"
    quick = " --set precision=fp32 --set generator.width=8 --set discriminator.width=8"
    assert cli.main((words + quick + " --no-score --out run").split()) == 0
    capsys.readouterr()
    assert cli.main(["evaluate", "run", "-n", "20", "--metrics", "fid"]) == 0
    assert "modes in 60 samples (real: " in capsys.readouterr().out
    report = json.loads((tmp_path / "run/scores.json").read_text(encoding="utf-8"))
    assert (report["task"], report["dims"], report["modes_n"]) == ("digits", 192, 60)
    assert cli.main(["evaluate", "run", "-n", "20", "--metrics", "is"]) == 2
    assert "needs classes" in capsys.readouterr().err


@pytest.fixture
def trained(tmp_path, monkeypatch):
    """A maker of runs of one round: (name, data) -> folder."""
    from ganlab import runs

    monkeypatch.chdir(tmp_path)

    def make(name, data):
        fields = {"size": 16, "batch": 8, "steps": 1, "samples": 4, "precision": "fp32"}
        fields |= {"generator": {"width": 8}, "discriminator": {"width": 8}}
        runs.train("dcgan-glyphs", name, data=data, evaluate=False, device="cpu", **fields)
        return tmp_path / name

    return make


def test_a_run_is_not_scored_against_what_it_has_not_learned_from(
    trained, glyphs, monkeypatch, capsys
):
    import ganlab.recipes.building

    monkeypatch.setattr(features, "train", None)
    trained("mine", glyphs.images[:64])
    trained("fewer", glyphs.select(torch.arange(64)))
    folder = trained("other", glyphs.select(torch.arange(200).flip(0)))
    about = json.loads((folder / "about.json").read_text(encoding="utf-8"))
    own = features.pixels(glyphs.select(torch.arange(200).flip(0)))
    (folder / "about.json").write_text(json.dumps(about | {"pixels": own}), encoding="utf-8")
    small = glyphs.select(torch.arange(200))
    monkeypatch.setattr(ganlab.recipes.building, "load", lambda *a, **k: small)
    for name, line in (
        ("mine", "mine learned from 'own pictures', which was handed over, not from 'glyphs'"),
        (
            "fewer",
            "fewer learned from 64 pictures named 'glyphs', and the set of that name has 200",
        ),
        ("other", "other learned from other pictures than 'glyphs' has here"),
    ):
        assert cli.main(["evaluate", name]) == 2
        err = capsys.readouterr().err
        assert line in err
        assert err.endswith("name the real pictures with --against\n")
        assert err.count("\n") == 1
    monkeypatch.setattr(features, "train", lambda *_: 0.5)
    words = ["--against", "glyphs", "--metrics", "swd", "-n", "20"]
    assert cli.main(["evaluate", "mine", *words]) == 0


def test_pictures_that_are_not_finite_are_not_scored(trained, glyphs, monkeypatch, capsys):
    import ganlab.recipes.building
    from ganlab.models import latent

    folder = trained("run", glyphs)
    nothing = torch.full((20, 1, 16, 16), float("nan"))
    monkeypatch.setattr(latent, "drawn", lambda *a: iter([nothing]))
    monkeypatch.setattr(ganlab.recipes.building, "load", lambda *a, **k: glyphs)
    assert cli.main(["evaluate", "run", "--metrics", "swd", "-n", "20"]) == 2
    assert "a picture of run: values contain NaN or infinity" in capsys.readouterr().err
    assert not (folder / "evaluation.json").exists()


def test_a_score_that_is_not_finite_is_refused(glyphs, flat, monkeypatch):
    bad = {"fid": {"value": float("nan"), "mean_part": 0.0}}
    monkeypatch.setattr(evaluation, "measure", lambda *a, **k: bad)
    with pytest.raises(DataError, match="Fréchet distance of made is nan: nothing is scored"):
        evaluation.evaluate(glyphs, pictures(glyphs.images), flat, ("fid",))


def test_points_are_scored_by_modes_and_take_no_features(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["train", "mlp-ring", "--steps", "2", "--out", "ring", "--no-score"]) == 0
    assert cli.main(["evaluate", "ring", "-n", "100", "--out", "ring.json"]) == 0
    assert json.loads((tmp_path / "ring.json").read_text(encoding="utf-8"))["n"] == 100
    assert cli.main(["evaluate", "ring", "--features", "inception"]) == 2
    assert "--features is for pictures" in capsys.readouterr().err
    assert cli.main(["evaluate", "ring", "-n", str(10**12), "--out", "all.json"]) == 0
    assert json.loads((tmp_path / "all.json").read_text(encoding="utf-8"))["n"] == 2500
    for words, line in (
        (["--seed", "-1"], "--seed must be at least 0"),
        (["--out", "ring/about.json"], "what the run itself keeps"),
    ):
        assert cli.main(["evaluate", "ring", *words]) == 2
        assert line in capsys.readouterr().err
    assert cli.main(["evaluate", "ring", "-n", "0"]) == 2
    assert "-n must be at least 1, not 0" in capsys.readouterr().err


def test_help_teaches(capsys):
    with pytest.raises(SystemExit):
        cli.main(["evaluate", "--help"])
    text = capsys.readouterr().out
    for word in ("examples:", "--against real/", "SHA-256", "torchvision:resnet18", "precision"):
        assert word in text
