"""GANs that provably learn: counted modes, and pictures that score better than before."""

import time

import pytest
import torch

from ganlab import runs
from ganlab.data import load
from ganlab.metrics import features


def test_mlp_gan_finds_all_modes_of_the_ring(tmp_path):
    run = runs.train("mlp-ring", tmp_path / "ring", steps=1500, log_every=500, sample_every=0)
    assert run.scores["found"] == 8
    assert run.scores["good"] > 0.5
    assert run.scores["real_found"] == 8


def test_one_mode_less_is_seen():
    """The count itself: a generator that leaves out one mode must lose exactly one."""
    from ganlab.data import toy
    from ganlab.metrics import score

    ring = toy.make("ring8")

    def seven(n, seed):
        x = ring.sample(4 * n, generator=torch.Generator().manual_seed(seed))
        away = (x - ring.centers[0]).norm(dim=1) > 10 * ring.std
        return x[away][:n]

    assert score(seven, ring, points=True)["found"] == 7


def test_dcgan_learns_glyphs(tmp_path, monkeypatch):
    monkeypatch.setattr(features, "STEPS", 120)
    data = load("glyphs", size=16, limit=3000)
    before, after = (
        runs.train("dcgan-glyphs", tmp_path / str(steps), data=data, size=16, steps=steps,
                   precision="fp32", generator={"width": 16}, discriminator={"width": 16},
                   sample_every=0, half_life=1000).scores
        for steps in (1, 250)
    )  # fmt: skip
    assert before["features"] == after["features"]  # the same judge, or the numbers mean nothing
    assert after["frechet"] < 0.25 * before["frechet"]
    assert after["frechet"] > after["floor"]


@pytest.mark.parametrize("tracker", ["tensorboard", "wandb", "mlflow"])
def test_trackers_keep_what_is_logged(tracker, tmp_path, monkeypatch):
    pytest.importorskip({"mlflow": "mlflow", "wandb": "wandb"}.get(tracker, "tensorboard"))
    monkeypatch.setenv("WANDB_SILENT", "true")
    run = runs.train("mlp-ring", tmp_path / "run", steps=20, log_every=10, sample_every=10,
                     trackers=[tracker], evaluate=False)  # fmt: skip
    folder = run.folder / tracker
    expected = [record["d_loss"] for record in run.log]
    if tracker == "tensorboard":
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        events = EventAccumulator(str(folder)).Reload()
        assert [e.value for e in events.Scalars("d_loss")] == pytest.approx(expected)
        assert events.Images("samples")
    elif tracker == "mlflow":
        import mlflow

        client = mlflow.MlflowClient(f"sqlite:///{folder / 'mlflow.db'}")
        ids = [e.experiment_id for e in client.search_experiments()]
        (found,) = client.search_runs(ids)
        history = client.get_metric_history(found.info.run_id, "d_loss")
        assert [m.value for m in history] == pytest.approx(expected)
        assert found.data.params["data"] == "ring8"
    else:
        (stored,) = folder.glob("wandb/offline-run-*/*.wandb")
        for _ in range(150):  # W&B's own process writes the file, and may still be at it
            if b"d_loss" in stored.read_bytes():
                break
            time.sleep(0.2)
        assert b"d_loss" in stored.read_bytes()
