"""Recordings of real tests and trainings, and why one may be impossible."""

from pathlib import Path

import av
import pytest
from commands import BACKEND, run

SMALL = ["numEnvs=2", "train.network.units=[8]", "train.ppo.horizon_length=4", "train.ppo.mini_epochs=1"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which BoxGrasping has been trained and recorded."""
    folder = tmp_path_factory.mktemp("trained")
    done = run([*SMALL, "task=BoxGrasping", "sim.backend=mock", "maxIter=2", "videoRecord=true"], folder)
    assert done.returncode == 0, done.stderr
    return folder


def pictures(path: Path) -> list[av.VideoFrame]:
    """The pictures of a video."""
    with av.open(str(path)) as container:
        return list(container.decode(video=0))


@pytest.mark.parametrize("backend", sorted({"mock", BACKEND}))
def test_a_test_is_recorded(backend: str, trained: Path) -> None:
    """With all of its steps, of which every second has a picture, and its best and worst episode."""
    words = [f"sim.backend={backend}", "numEnvs=2", "testGamesNum=2", "task.episodeLength=6"]
    done = run(["config=test_record", *words], trained)
    assert done.returncode == 0, done.stderr
    videos = trained / "runs" / "latest_test" / "videos"
    assert f"Finishing the videos in {videos.resolve()}" in done.stdout
    assert sorted(path.name for path in videos.iterdir()) == ["0001.mp4", "best.mp4", "worst.mp4"]
    (first, *others) = pictures(videos / "0001.mp4")
    assert len(others) in (2, 3)
    assert (first.width, first.height) == (960, 396)
    seen = {len(set(first.to_ndarray(format="rgb24")[60:, :480][..., channel].flatten())) for channel in range(3)}
    assert min(seen) > 50, "There is hardly anything in the picture."


def test_a_training_is_recorded(trained: Path) -> None:
    """Eight steps in two iterations."""
    videos = trained / "runs" / "latest_train" / "videos"
    assert len(pictures(videos / "0001.mp4")) == 5


def test_without_opengl_it_is_said_what_to_install(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In one line, before there is a run."""
    before = sorted((trained / "runs_all").iterdir())
    monkeypatch.setenv("MUJOCO_GL", "disable")
    done = run(["config=test_record", "sim.backend=mock"], trained)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: env.videoRecord=true: No OpenGL library was found. Install Mesa's EGL (Debian: ")
    assert sorted((trained / "runs_all").iterdir()) == before
