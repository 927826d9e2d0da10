"""Exported generators draw what torch draws: every family, in parts, truncated."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from ganlab import cli, runs
from ganlab.deploy import export
from ganlab.errors import GanlabError
from ganlab.models import dcgan, mlp, modern, progan, resnet, stylegan, stylegan2
from ganlab.runs import published

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

NARROW = {"channel_base": 32, "channel_max": 8, "latent": 6}
STYLE = NARROW | {"style": 5, "layers": 2}
FAMILIES = {
    "mlp": lambda: mlp.Generator(6, (1, 8, 8), 16),
    "dcgan": lambda: dcgan.Generator(16, 3, 6, 4),
    "resnet": lambda: resnet.Generator(32, 3, 6, 4),
    "modern": lambda: modern.Generator(16, 1, 6, 8, 1),
    "progan": lambda: progan.Generator(8, 3, **NARROW),
    "stylegan": lambda: stylegan.Generator(8, 3, **STYLE),
    "stylegan2": lambda: stylegan2.Generator(8, 3, **STYLE, form="grouped"),
}


def lively(generator: torch.nn.Module) -> torch.nn.Module:
    """With noise, biases, running means and an average of w that are not what they start as."""
    source = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for p in generator.parameters():
            p += 0.1 * torch.randn(p.shape, generator=source)
        for name, b in generator.named_buffers():
            if name.endswith(("running_mean", "average")):
                b += 0.3 * torch.randn(b.shape, generator=source)
    return generator.eval().requires_grad_(False)


def run(path: Path, **given: torch.Tensor) -> torch.Tensor:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return torch.from_numpy(session.run(None, {k: v.numpy() for k, v in given.items()})[0])


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_draws_what_torch_draws_in_any_batch(family, tmp_path):
    torch.manual_seed(0)
    g = lively(FAMILIES[family]())
    made = export.to_onnx(g, tmp_path / "deep" / "g.onnx", about={"name": family})
    assert made.difference <= export.TOLERANCE
    assert [p.name for p in made.path.parent.iterdir()] == ["g.onnx"]  # weights inside, no rest
    for n in (1, 2, 7):
        z = g.sample_latent(n, torch.Generator().manual_seed(n))
        expected, found = g(z), run(made.path, z=z)
        assert found.shape == expected.shape
        assert (found - expected).abs().max() <= export.TOLERANCE
        assert expected.std() > 1e-3
    model = onnx.load(made.path)
    onnx.checker.check_model(model)
    assert {p.key: p.value for p in model.metadata_props}["name"] == family
    assert str(Path(export.__file__).parent).encode() not in made.path.read_bytes()
    assert made.outputs == {"image": f"(batch{''.join(f', {k}' for k in expected.shape[1:])})"}


@pytest.fixture(scope="module")
def style() -> torch.nn.Module:
    torch.manual_seed(0)
    return lively(stylegan2.Generator(8, 3, **STYLE, classes=3))


def test_mapping_with_truncation_as_an_input_and_synthesis_make_the_whole(style, tmp_path):
    mapping = export.to_onnx(style, tmp_path / "m.onnx", "mapping", psi=None)
    synthesis = export.to_onnx(style, tmp_path / "s.onnx", "synthesis")
    assert mapping.inputs == {"z": "(batch, 6)", "labels": "(batch,)", "psi": "()"}
    assert synthesis.inputs == {"ws": f"(batch, {style.layers_used}, 5)"}
    z = style.sample_latent(4, torch.Generator().manual_seed(0))
    labels = torch.tensor([0, 1, 2, 1])
    for psi in (1.0, 0.6, 0.0):
        ws = run(mapping.path, z=z, labels=labels, psi=torch.tensor(psi))
        expected = style(z, labels, psi=psi)
        assert (run(synthesis.path, ws=ws) - expected).abs().max() <= export.TOLERANCE
    assert torch.equal(ws[0], ws[1])  # psi 0: the mean picture
    # styles of two latent vectors, mixed between the two files
    ws = run(mapping.path, z=z, labels=labels, psi=torch.tensor(1.0))
    mixed = style.mixed(ws[:2], ws[2:], 2)
    expected = style.synthesis(mixed, "fixed")
    assert (run(synthesis.path, ws=mixed) - expected).abs().max() <= export.TOLERANCE


def test_psi_can_be_built_in_and_weights_take_half_the_room(tmp_path):
    torch.manual_seed(0)
    g = lively(stylegan2.Generator(8, 1, channel_base=256, channel_max=32, latent=32, style=32))
    made = export.to_onnx(g, tmp_path / "g.onnx", psi=0.5, half=True)
    numbers = sum(p.numel() for p in g.parameters())
    assert 2 * numbers < made.bytes < 3 * numbers
    z = g.sample_latent(3, torch.Generator().manual_seed(0))
    expected, found = g(z, psi=0.5), run(made.path, z=z)
    assert 0 < (found - expected).abs().max() < 0.01 * expected.abs().max()


def test_a_file_that_does_not_agree_is_not_left(monkeypatch, tmp_path):
    monkeypatch.setattr(export, "compare", lambda *a: 2e-4)
    with pytest.raises(GanlabError, match=r"differs from torch by 2.0e-04, more than 1e-04"):
        export.to_onnx(FAMILIES["mlp"](), tmp_path / "g.onnx")
    assert list(tmp_path.iterdir()) == []


def test_the_comparison_sees_a_difference(tmp_path):
    g = lively(FAMILIES["mlp"]())
    path = export.to_onnx(g, tmp_path / "g.onnx").path
    made = export.inputs(g)
    assert export.compare(g, path, made) <= export.TOLERANCE
    g.layers[0].bias += 1
    assert export.compare(g, path, made) > 1e-2


def test_options_that_do_not_fit_are_refused(style, tmp_path):
    g = FAMILIES["mlp"]()
    with pytest.raises(GanlabError, match="style-based generators only"):
        export.to_onnx(g, tmp_path / "g.onnx", "mapping")
    with pytest.raises(GanlabError, match="did you mean 'mapping'"):
        export.to_onnx(style, tmp_path / "g.onnx", "maping")
    with pytest.raises(GanlabError, match="psi belongs to the mapping"):
        export.to_onnx(style, tmp_path / "g.onnx", "synthesis", 0.5)


# ---- the command ----


@pytest.fixture(scope="module")
def ring(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "ring"
    runs.train("mlp-ring", folder, steps=1, evaluate=False, device="cpu")
    return folder


def test_a_run_is_exported_beside_it(ring, capsys):
    assert cli.main(["export", str(ring), "--seed", "3"]) == 0
    out = capsys.readouterr()
    assert f"written to {ring / 'generator.onnx'}" in out.out
    assert "difference" in out.out
    assert "ms a sample with onnxruntime" in out.out
    assert out.err == ""
    z = runs.Run(ring).generator().sample_latent(5, torch.Generator().manual_seed(0))
    found = run(ring / "generator.onnx", z=z)
    assert (found - runs.Run(ring).generator()(z)).abs().max() <= export.TOLERANCE


def test_a_stored_result_is_exported_as_weights(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    name = "mlp-mnist"
    assert cli.main(["export", name, "--to", "safetensors", "--half"]) == 0
    assert "weights in 16 bits" in capsys.readouterr().out
    from safetensors.torch import load_file

    g = published.load(name)
    state = load_file(tmp_path / f"{name}.safetensors")
    assert state.keys() == g.state_dict().keys()
    assert state["layers.0.weight"].dtype == torch.float16


MISTAKES = {
    "a run": (["export", "nowhere"], "unknown run or stored result 'nowhere'"),
    "a name": (["export", "dcgan-mnits"], "did you mean 'dcgan-mnist'"),
    "a format": (["export", "dcgan-mnist", "--to", "onx"], "did you mean 'onnx'"),
    "psi": (["export", "dcgan-mnist", "--psi", "1.5"], "a number from 0 to 1, or the word 'input'"),
    "no style": (["export", "dcgan-mnist", "--psi", "0.5"], "style-based generators only"),
    "a part": (["export", "dcgan-mnist", "--part", "mapping"], "style-based generators only"),
    "a folder": (["export", "dcgan-mnist", "--out", "."], "is a folder: name a file"),
    "weights": (["export", "dcgan-mnist", "--to", "safetensors", "--psi", "1"], "go with --to"),
    "a place": (["export", "mlp-mnist", "--to", "safetensors", "--out", "/proc/x"], "cannot"),
    "a device": (["export", "mlp-mnist", "--out", "/dev/null"], "is no regular file"),
    "nobody": (["export", "mlp-mnist", "--out", "~nobody-here/g.onnx"], "no such user"),
    "an old opset": (["export", "mlp-mnist", "--opset", "16"], "--opset must be at least 17"),
    "a new opset": (["export", "mlp-mnist", "--opset", "22"], "--opset must be at most 21"),
    "no opset": (["export", "mlp-mnist", "--to", "safetensors", "--opset", "18"], "goes with"),
    "a network": (["export", "mlp-mnist", "--network", "encoder"], "unknown network 'encoder'"),
    "a seed": (["export", "mlp-mnist", "--seed", "-1"], "--seed must be at least 0"),
}  # fmt: skip


@pytest.mark.parametrize("what", MISTAKES)
def test_a_mistake_is_one_line_and_exit_2(what, capsys):
    words, expected = MISTAKES[what]
    assert cli.main(words) == 2
    err = capsys.readouterr().err
    assert expected in err
    assert err.count("\n") == 1


def test_weights_do_not_replace_those_of_the_run(ring, capsys):
    assert cli.main(["export", str(ring), "--to", "safetensors"]) == 2
    assert "name a file with --out" in capsys.readouterr().err


KEPT = (
    *("generator.safetensors", "recipe.json", "about.json", "scores.json", "log.jsonl"),
    *("checkpoints/x.onnx", "samples/x.safetensors", "new.safetensors", "new.json"),
)


@pytest.mark.parametrize("form", ["onnx", "safetensors"])
def test_nothing_that_a_run_keeps_is_replaced(ring, form, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(export, "to_onnx", None)  # refused before any work
    monkeypatch.setattr(export, "to_safetensors", None)
    before = {path: path.read_bytes() for path in ring.rglob("*") if path.is_file()}
    (tmp_path / "link").symlink_to(ring)
    for name in KEPT:
        for folder in (ring, tmp_path / "link", ring / "samples" / ".."):
            words = ["export", "mlp-mnist", "--to", form, "--out", str(folder / name)]
            assert cli.main(words) == 2, name
            err = capsys.readouterr().err
            assert "lies among what the run itself keeps: name a file with --out\n" in err
    assert {path: path.read_bytes() for path in ring.rglob("*") if path.is_file()} == before
    (tmp_path / "photograph.png").write_bytes(b"dear")
    words = ["export", "mlp-mnist", "--to", form, "--out", str(tmp_path / "photograph.png")]
    assert cli.main(words) == 2
    assert f"is there and no .{form} file" in capsys.readouterr().err


def test_weights_that_are_not_finite_are_not_written(tmp_path):
    for value in (float("nan"), float("inf")):
        g = lively(FAMILIES["mlp"]())
        g.layers[0].bias[0] = value
        for make in (export.to_onnx, export.to_safetensors):
            with pytest.raises(GanlabError, match=r"layers\.0\.bias contain NaN or infinity"):
                make(g, tmp_path / "g")
    g = lively(FAMILIES["mlp"]())
    g.layers[0].weight.fill_(1e6)  # finite, but no number of 16 bits
    with pytest.raises(GanlabError, match=r"16 bits cannot hold the weights layers\.0\.weight"):
        export.to_safetensors(g, tmp_path / "g", half=True)
    assert list(tmp_path.iterdir()) == []


def test_a_difference_that_is_not_a_number_is_no_agreement(monkeypatch, tmp_path):
    class Broken:
        def run(self, names, given):
            return [torch.full((len(given["z"]), 1, 8, 8), float("nan")).numpy()]

    monkeypatch.setattr(export.onnx_files, "session", lambda path: Broken())
    with pytest.raises(GanlabError, match="differs from torch by nan"):
        export.to_onnx(FAMILIES["mlp"](), tmp_path / "g.onnx")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("opset", [18, 21])  # 17 needs a newer PyTorch than the oldest
def test_the_opset_is_that_which_was_asked_for(opset, tmp_path):
    g = lively(FAMILIES["dcgan"]())
    made = export.to_onnx(g, tmp_path / "g.onnx", opset=opset)
    versions = {o.domain: o.version for o in onnx.load(made.path).opset_import}
    assert versions[""] == opset


def test_an_opset_that_a_network_does_not_fit_into_is_refused(tmp_path):
    """The exporter only warns, and writes another."""
    model = onnx.ModelProto(opset_import=[onnx.helper.make_opsetid("", 18)])
    with pytest.raises(GanlabError, match="cannot be written in opset 17: it needs 18"):
        export.onnx_files.check_opset(model, 17)


@pytest.fixture(scope="module")
def solo(tmp_path_factory) -> Path:
    """A run of each game of one player."""
    from ganlab.data import load

    folder = tmp_path_factory.mktemp("solo")
    few = load("glyphs", size=16, limit=64)
    small = dict(size=16, steps=1, batch=8, options={"width": 8}, evaluate=False, device="cpu")
    for name in ("vae-glyphs", "classifier-glyphs"):
        runs.train(name, folder / name, data=few, **small)
    return folder


def test_other_networks_of_a_run_are_exported(solo, capsys):
    forms = {
        ("vae-glyphs", None): ("generator", "z", "image"),
        ("vae-glyphs", "encoder"): ("encoder", "image", "code"),
        ("classifier-glyphs", None): ("classifier", "image", "logits"),
    }
    for (name, network), (kept, taken, given) in forms.items():
        words = [] if network is None else ["--network", network]
        assert cli.main(["export", str(solo / name), *words]) == 0
        assert taken in capsys.readouterr().out
        path = solo / name / f"{kept}.onnx"
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        assert [x.name for x in session.get_inputs()] == [taken]
        assert [x.name for x in session.get_outputs()] == [given]
        network = runs.Run(solo / name).product(kept)
        x = torch.rand(3, 1, 16, 16) if taken == "image" else network.sample_latent(3)
        with torch.no_grad():
            assert (run(path, **{taken: x}) - network(x)).abs().max() <= export.TOLERANCE
        out = str(solo / f"{kept}.safetensors")
        where = ["--to", "safetensors", "--out", out]
        assert cli.main(["export", str(solo / name), *words, *where]) == 0
        assert "difference  0.0e+00" in capsys.readouterr().out
    assert cli.main(["export", str(solo / "vae-glyphs"), "--network", "encodr"]) == 2
    assert "did you mean 'encoder'" in capsys.readouterr().err
    with pytest.raises(GanlabError, match="say the shape of its pictures"):
        export.to_onnx(network, solo / "x.onnx")


def test_missing_packages_are_named_before_anything_is_read(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert cli.main(["export", "nowhere"]) == 2
    assert "pip install onnxscript onnxruntime\n" in capsys.readouterr().err


def test_help_teaches(capsys):
    with pytest.raises(SystemExit):
        cli.main(["export", "--help"])
    text = capsys.readouterr().out
    for word in ("examples:", "--psi input", "onnxruntime.InferenceSession", "pip install onnx"):
        assert word in text
