"""From overrides to a checked configuration."""

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dexhand.config.compose import Composed, compose, compose_with_warnings, to_yaml
from dexhand.config.errors import ConfigError
from dexhand.config.keys import all_keys
from dexhand.config.overrides import read_overrides
from dexhand.config.sources import names_of
from dexhand.tasks import TASK_CONFIGS, BaseTaskConfig


def refused(overrides: list[str], **kwargs: str) -> str:
    """The one line with which ``overrides`` are refused."""
    with pytest.raises(ConfigError) as error:
        compose(overrides, **kwargs)
    line = str(error.value)
    assert "\n" not in line
    return line


class TestChoices:
    @pytest.mark.parametrize("name", names_of(""))
    def test_every_whole_configuration_composes(self, name: str) -> None:
        """None of the shipped ones is broken, once what this version does not have is left out."""
        compose(["headless=true", "videoRecord=false", "videoStream=false"], config=name)

    @pytest.mark.parametrize("name", names_of("physics"))
    def test_every_physics_preset_composes(self, name: str) -> None:
        """Each says how MuJoCo steps."""
        assert compose([f"physics={name}"]).sim.mujoco.substeps >= 1

    def test_every_task_has_a_schema_and_a_file(self) -> None:
        """The two lists of tasks agree."""
        assert names_of("task") == sorted(TASK_CONFIGS)

    def test_the_task_section_has_its_own_type(self) -> None:
        """A task is read into the class that the schema names for it."""
        assert isinstance(compose(["task=BaseTask"]).task, BaseTaskConfig)

    def test_the_command_line_wins_over_presets(self) -> None:
        """Whatever a group file says."""
        config = compose(["physics=fast", "sim.mujoco.substeps=7", "task=BaseTask", "sim.dt=0.01"])
        assert (config.sim.mujoco.substeps, config.sim.dt) == (7, 0.01)

    @pytest.mark.parametrize("spelling", ["physics=fast", "+physics=fast", "+defaults=[config,/physics/fast]"])
    def test_a_preset_can_be_chosen_in_each_documented_way(self, spelling: str) -> None:
        """``+defaults=[...]`` selects, too."""
        assert compose([spelling]).sim.physx.substeps == 2

    def test_the_manufacturers_gains_are_a_preset(self) -> None:
        """Null leaves what the hand's file says."""
        assert compose(["actuators=manufacturer"]).env.actuators.fingers.stiffness is None
        assert compose().env.actuators.fingers.stiffness == 50.0

    def test_a_folder_of_the_users_own_offers_more_choices(self, tmp_path: Path) -> None:
        """``--config-dir`` adds to the groups."""
        (tmp_path / "train").mkdir()
        (tmp_path / "train" / "MinePPO.yaml").write_text("# @package train\nppo:\n  gamma: 0.5\n")
        assert compose(["train=MinePPO"], config_dir=str(tmp_path)).train.ppo.gamma == 0.5
        assert "MinePPO" in refused(["train=MinePO"], config_dir=str(tmp_path))

    def test_a_folder_may_have_any_name(self, tmp_path: Path) -> None:
        """Quotes, commas and spaces are no syntax here."""
        folder = tmp_path / "it's a, b=c"
        (folder / "train").mkdir(parents=True)
        (folder / "train" / "MinePPO.yaml").write_text("# @package train\nppo:\n  gamma: 0.5\n")
        assert compose(["train=MinePPO"], config_dir=str(folder)).train.ppo.gamma == 0.5

    @pytest.mark.parametrize("folder", ["/home/jürgen/runs", "/data/実験/runs", os.fsdecode(b"/data/\xff/runs")])
    def test_a_path_may_have_any_letters(self, folder: str) -> None:
        """Without quotes, which Hydra's grammar demands around letters other than ASCII."""
        assert compose([f"train.runsDir={folder}"]).train.runsDir == folder

    def test_a_whole_configuration_of_the_users_own(self, tmp_path: Path) -> None:
        """It can build on ours, and is listed with them."""
        (tmp_path / "mine.yaml").write_text("defaults:\n  - config\n  - _self_\nenv:\n  numEnvs: 12\n")
        assert compose(config="mine", config_dir=str(tmp_path)).env.numEnvs == 12
        assert "Did you mean 'mine'?" in refused([], config="min", config_dir=str(tmp_path))

    def test_a_file_that_would_be_ignored_is_refused(self, tmp_path: Path) -> None:
        """Hydra would silently prefer ours."""
        (tmp_path / "train").mkdir()
        (tmp_path / "train" / "BaseTaskPPO.yaml").write_text("# @package train\nppo:\n  gamma: 0.5\n")
        assert "train=BaseTaskPPO is a built-in choice" in refused([], config_dir=str(tmp_path))


class TestSearchPath:
    """``hydra.searchpath``: further places with files to choose from."""

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        """A folder with a learner."""
        (tmp_path / "conf" / "train").mkdir(parents=True)
        (tmp_path / "conf" / "train" / "MinePPO.yaml").write_text("# @package train\nppo:\n  gamma: 0.5\n")
        return tmp_path / "conf"

    @pytest.mark.parametrize("place", ["file://{}", "'file://{}'"])
    def test_a_folder_on_the_command_line(self, place: str, folder: Path) -> None:
        """Quoted or not."""
        assert compose([f"hydra.searchpath=[{place.format(folder)}]", "train=MinePPO"]).train.ppo.gamma == 0.5

    def test_a_package(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """One that can be imported."""
        (folder / "__init__.py").touch()
        monkeypatch.syspath_prepend(folder.parent)
        assert compose(["hydra.searchpath=[pkg://conf]", "train=MinePPO"]).train.ppo.gamma == 0.5

    def test_in_a_file_of_the_users_own(self, folder: Path, tmp_path: Path) -> None:
        """Where Hydra's users write it; the command line adds to it."""
        path = tmp_path / "mine.yaml"
        path.write_text(
            f"hydra:\n  searchpath: [file://{folder}]\ndefaults:\n  - config\n  - override train: MinePPO\n  - _self_\n"
        )
        assert compose(config=str(path)).train.ppo.gamma == 0.5
        assert compose([f"hydra.searchpath=[file://{tmp_path}]"], config=str(path)).train.ppo.gamma == 0.5

    def test_a_folder_that_is_not_there(self) -> None:
        """Hydra would only warn."""
        assert "there is no folder /nowhere" in refused(["hydra.searchpath=[file:///nowhere]"])
        assert "expected a list" in refused(["hydra.searchpath=/nowhere"])

    def test_groups_of_the_users_own(self, folder: Path) -> None:
        """A folder with another name is chosen from with a plus, as in Hydra."""
        (folder / "boxes").mkdir()
        (folder / "boxes" / "heavy.yaml").write_text("# @package task\nbox:\n  mass: 0.5\n")
        config = compose(["task=BoxGrasping", "+boxes=heavy"], config_dir=str(folder))
        assert config.task.box.mass == 0.5  # type: ignore[attr-defined]
        assert "boxes=light is unknown. Known: heavy" in refused(["+boxes=light"], config_dir=str(folder))


class TestOldSpellingsInFiles:
    def compose(self, text: str, tmp_path: Path, *overrides: str) -> Composed:
        """What a file that builds on ours makes."""
        path = tmp_path / "mine.yaml"
        path.write_text(f"defaults: [config, _self_]\n{text}")
        return compose_with_warnings(read_overrides(overrides), str(path))

    def test_they_work_with_a_warning(self, tmp_path: Path) -> None:
        """As on the command line: sections, keys, short forms and camelCase."""
        text = (
            "training:\n  max_iterations: 7\nnumEnvs: 8\nenv:\n  headless: true\ntask:\n  rewardWeights: {alive: 3}\n"
        )
        composed = self.compose(text, tmp_path)
        config = composed.config
        assert (config.train.maxIterations, config.env.numEnvs, config.env.viewer) == (7, 8, False)
        assert config.task.reward_weights.alive == 3.0
        assert "training.max_iterations is an old spelling of train.maxIterations" in composed.warnings
        assert "task.rewardWeights.alive is an old spelling of task.reward_weights.alive" in composed.warnings

    def test_the_command_line_wins(self, tmp_path: Path) -> None:
        """Whichever spelling it has."""
        for word in ("train.seed=2", "training.seed=2", "seed=2"):
            assert self.compose("training:\n  seed: 1\n", tmp_path, word).config.train.seed == 2

    def test_a_mistake_in_one_names_the_file(self, tmp_path: Path) -> None:
        """And the key as it is called now."""
        with pytest.raises(ConfigError, match=r"mine\.yaml: train\.maxIterations=many: expected a whole number >= 1"):
            self.compose("training:\n  max_iterations: many\n", tmp_path)
        with pytest.raises(ConfigError, match=r"train\.maxIteration\. Did you mean 'train\.maxIterations'"):
            self.compose("training:\n  maxIteration: 3\n", tmp_path)


class TestMappings:
    def test_an_old_section_takes_a_mapping(self) -> None:
        """Its keys are those of the section's current name."""
        assert compose(["task.reward={alive:7}"]).task.reward_weights.alive == 7

    def test_an_empty_section_in_a_file_keeps_the_defaults(self, tmp_path: Path) -> None:
        """Like a section that is left out."""
        path = tmp_path / "mine.yaml"
        path.write_text("defaults: [config, _self_]\ntrain:\n  ppo: {}\n")
        assert compose(config=str(path)).train.ppo == compose().train.ppo


def test_a_missing_feature_may_be_off_in_quotes() -> None:
    """A string that means false is false."""
    assert compose(["videoRecord='false'"]) == compose()


class TestFilledIn:
    def test_the_number_of_environments_depends_on_the_mode(self) -> None:
        """Many for training, a few for testing."""
        assert compose().env.numEnvs == 1024
        assert compose(["test=true"]).env.numEnvs == 4
        assert compose(["test=true", "numEnvs=9"]).env.numEnvs == 9

    @settings(max_examples=4, deadline=None)
    @given(num_envs=st.integers(2, 3000), horizon=st.integers(1, 64))
    def test_the_automatic_minibatch_divides_the_rollout(self, num_envs: int, horizon: int) -> None:
        """Whatever the sizes."""
        ppo = compose([f"numEnvs={num_envs}", f"train.ppo.horizon_length={horizon}"]).train.ppo
        assert (num_envs * horizon) % ppo.minibatch_size == 0

    def test_a_rollout_has_two_samples_at_least(self) -> None:
        """One has no deviation; a test, and other learners, may have one."""
        one = ["numEnvs=1", "train.ppo.horizon_length=1"]
        assert "a rollout of one sample" in refused(one)
        compose([*one, "test=true"])
        compose([*one, "train.algorithm=mock"])

    def test_a_seed_of_minus_one_is_drawn(self) -> None:
        """And differs from time to time."""
        assert compose(["seed=-1"]).train.seed != compose(["seed=-1"]).train.seed

    def test_what_is_written_down_reads_back_equal(self, tmp_path: Path) -> None:
        """A saved configuration is complete."""
        config = compose(["physics=accurate", "numEnvs=8", "seed=-1", "task.reward_weights.alive=0.25"])
        saved = tmp_path / "config.yaml"
        saved.write_text(to_yaml(config))
        assert compose(config=str(saved)) == config
        assert compose(["numEnvs=16", "train.ppo.minibatch_size=0"], config=str(saved)).env.numEnvs == 16

    def test_a_weight_without_effect_causes_a_warning(self) -> None:
        """BaseTask has the term for the sake of the documents, and nothing that could go up."""
        words = ["task.reward_weights.object_height=2"]
        assert compose_with_warnings(read_overrides(words)).warnings == (
            "task.reward_weights.object_height=2.0 has no effect: task=BaseTask has no object",
        )
        assert compose_with_warnings(read_overrides([*words, "task=BoxGrasping"])).warnings == ()

    def test_composing_twice_gives_independent_configurations(self) -> None:
        """No state is shared between two."""
        first = compose()
        first.task.policy_observation_keys.append("episode_time")
        assert "episode_time" not in compose().task.policy_observation_keys


class TestRefusals:
    @pytest.mark.parametrize(
        ("override", "parts"),
        [
            ("env.numEnvs=abc", ["env.numEnvs=abc", "whole number"]),
            ("env.numEnvs=2.5", ["env.numEnvs=2.5", "whole number"]),
            ("env.numEnvs=0", ["env.numEnvs=0", "from 1 to 1000000"]),
            ("env.numEnv=1", ["env.numEnv", "Did you mean 'env.numEnvs'?"]),
            ("numEnv=1", ["numEnv", "Did you mean 'numEnvs'?"]),
            ("train.test=maybe", ["train.test=maybe", "true or false"]),
            ("sim.dt=0", ["sim.dt=0", "> 0"]),
            ("sim.dt=nan", ["sim.dt=nan"]),
            ("sim.dt=null", ["sim.dt=null", "a number"]),
            (
                "sim.backend=mujco",
                ["sim.backend=mujco", "auto, mujoco, mujoco_warp, isaacgym, mock", "Did you mean 'mujoco'?"],
            ),
            ("task=BaseTsk", ["task=BaseTsk", "Known: Ant, BaseTask", "Did you mean 'BaseTask'?"]),
            ("physics=slow", ["physics=slow", "accurate, default, fast"]),
            ("task.policy_observation_keys=[hand_poze]", ["hand_poze", "Did you mean 'hand_pose'?"]),
            ("task.policy_observation_keys=[]", ["task.policy_observation_keys", "at least one"]),
            ("task.reward_weights.aliv=1", ["Did you mean 'task.reward_weights.alive'?"]),
            ("env.device=gpu", ["env.device=gpu", "cuda:<index>"]),
            ("env.handAsset=/nowhere.xml", ["env.handAsset=/nowhere.xml", "no such file"]),
            ("env.initialHandPos=[1,2]", ["env.initialHandPos", "three numbers"]),
            ("env.initialHandPos=[a,2,3]", ["env.initialHandPos=[a,2,3]", "numbers"]),
            ("train.network.units=[]", ["train.network.units", "1 to 64 layers"]),
            ("train.ppo.minibatch_size=7", ["minibatch_size=7", "32768", "divisor"]),
            ("numEnvs=1000000000", ["numEnvs=1000000000", "from 1 to 1000000"]),
            ("lr=1e-3", ["lr=1e-3", "It is called train.ppo.learning_rate here"]),
            ("sim=1", ["sim is a section", "sim.backend=..."]),
            ("foo", ["'foo'", "key=value"]),
            ("a==b", ["a==b", "key=value"]),
            ("experiment=mine", ["experiment=mine", "there is no key experiment."]),
            ("gamma=0.9", ["Write train.ppo.gamma"]),
            ("train.ppo.gamma=0,9", ["gives several values", "Give one (0.9 with a point)"]),
            ("=3", ["=3", "key=value"]),
            ("~env.numEnvs", ["cannot be removed"]),
            ("env.numEnvs=???", ["env.numEnvs=???", "whole number"]),
            ("env.numEnvs=1,2", ["env.numEnvs=1,2", "Give one", "env.numEnvs=[1,2]", "--multirun"]),
            ("env.numEnvs=${nothing}", ["env.numEnvs=${nothing}", "not found"]),
            ("env.numEnvs=${sim.dt}", ["env.numEnvs=${sim.dt}", "a whole number"]),
            ("train.seed=4294967296", ["train.seed=4294967296", "4294967295"]),
            ("train.ppo.learning_rate=inf", ["train.ppo.learning_rate=inf", "finite", "> 0"]),
            ("env.initialHandPos=[nan,0,0]", ["env.initialHandPos=[nan", "finite", "numbers"]),
            ("task=null", ["task=null", "Known: Ant, BaseTask"]),
            ("task={name:X}", ["task={name:X}", "Known: Ant, BaseTask", "task.episodeLength=..."]),
            ("physics=null", ["physics=null", "accurate, default, fast"]),
            ("task.name=BoxGrasping", ["task.name=BoxGrasping", "task=BoxGrasping"]),
            ("+defaults=x", ["+defaults=x", "/physics/fast"]),
            ("hydra.run.dir=x", ["hydra.run.dir=x", "hydra.searchpath", "train.runsDir"]),
            ("seed={}", ["seed={}", "whole number"]),
            ("task.reward={}", ["task.reward={}", "there is no key"]),
            ("train.network.units=[8,[8]]", ["train.network.units=[8,[8]]", "a list of whole numbers"]),
            ("train.network.units=[{a:1}]", ["train.network.units=", "a list of whole numbers"]),
            ("train.sinks=[[console]]", ["train.sinks=[[console]]", "a list of names"]),
            ("task.policy_observation_keys=[[hand_pose]]", ["task.policy_observation_keys=", "a list of names"]),
            ("env.initialHandPos=[[0],0,1]", ["env.initialHandPos=", "a list of numbers"]),
            ("env.hand=", ["env.hand= is unknown", "dexhand021_right"]),
            (f"env.hand={'a' * 300}", ["is unknown", "dexhand021_right"]),
            (f"env.handAsset={'a' * 300}", ["env.handAsset=a", "no such file"]),
            ("task.reward_weights.grasp_duration=2", ["grasp_duration=2", "task=BoxGrasping"]),
        ],
    )
    def test_the_line_names_key_value_and_what_is_allowed(self, override: str, parts: list[str]) -> None:
        """One line that can be acted on."""
        line = refused([override])
        assert all(part in line for part in parts), line

    def test_a_policy_must_control_something(self) -> None:
        """Both switches off is an error."""
        assert "nothing to do" in refused(
            ["task.policy_controls_hand_base=false", "task.policy_controls_fingers=false"]
        )

    def test_an_unknown_whole_configuration_lists_the_known(self) -> None:
        """And suggests the nearest."""
        assert "Did you mean 'train_headless'?" in refused([], config="train_headles")

    def test_a_damaged_saved_configuration_is_explained(self, tmp_path: Path) -> None:
        """A file is checked like a command line."""
        saved = tmp_path / "config.yaml"
        saved.write_text(to_yaml(compose()).replace("numEnvs: 1024", "numEnvs: many"))
        assert "env.numEnvs" in refused([], config=str(saved))

    @pytest.mark.parametrize(
        ("text", "parts"),
        [
            (b"ppo: [", ["MinePPO.yaml, line ", "YAML"]),
            (b"ppo: \xff", ["cannot be read", "0xff"]),
            (b"ppo: \x01", ["cannot be read"]),
            (b"ppo:\n  gamma: abc", ["train/MinePPO", "train.ppo.gamma=abc", "from 0 to 1"]),
            (b"ppo:\n  gama: 0.5", ["train/MinePPO", "train.ppo.gama", "Did you mean 'train.ppo.gamma'?"]),
            (b"ppo: null", ["train/MinePPO", "train.ppo is a section"]),
            (b"ppo:\n  gamma: ${env.device}", ["train/MinePPO", "train.ppo.gamma=${env.device} (auto)", "from 0 to 1"]),
        ],
    )
    def test_a_fault_in_the_users_own_file_is_found(self, text: bytes, parts: list[str], tmp_path: Path) -> None:
        """The line names the file and what is wrong there."""
        (tmp_path / "train").mkdir()
        (tmp_path / "train" / "MinePPO.yaml").write_bytes(b"# @package train\n" + text)
        line = refused(["train=MinePPO"], config_dir=str(tmp_path))
        assert all(part in line for part in parts), line

    @pytest.mark.parametrize(
        ("text", "parts"),
        [
            ("", ["mine.yaml", "lacks", "defaults"]),
            ("env:\n  numEnvs: 3\n", ["mine.yaml", "lacks sim, task, train"]),
            ("defaults: [config, _self_]\nenv: null\n", ["mine.yaml: env=null: env is a section"]),
            ("defaults: [config, nowhere]\n", ["mine.yaml", "nowhere"]),
            ("defaults: [{override physics: fast}, _self_]\n", ["mine.yaml", "Could not override 'physics'"]),
            ("defaults: [config, _self_]\nsimulator:\n  dt: 1\n", ["mine.yaml", "there is no key simulator."]),
        ],
    )
    def test_an_incomplete_whole_configuration_is_explained(self, text: str, parts: list[str], tmp_path: Path) -> None:
        """The line says what it lacks."""
        path = tmp_path / "mine.yaml"
        path.write_text(text)
        line = refused([], config=str(path))
        assert all(part in line for part in parts), line

    def test_a_configuration_that_builds_on_itself_is_explained(self, tmp_path: Path) -> None:
        """A file called config cannot build on ours of that name."""
        (tmp_path / "config.yaml").write_text("defaults:\n  - config\n  - _self_\n")
        assert "names itself" in refused([], config_dir=str(tmp_path))

    def test_a_saved_configuration_offers_no_groups(self, tmp_path: Path) -> None:
        """It is complete; a preset on top of it is refused with the preset and the file."""
        saved = tmp_path / "config.yaml"
        saved.write_text(to_yaml(compose()))
        line = refused(["physics=fast"], config=str(saved))
        assert "physics=fast" in line
        assert str(saved) in line

    @settings(max_examples=10, deadline=None)
    @given(name=st.sampled_from(sorted(all_keys())), letter=st.sampled_from("qxz"))
    def test_a_mistyped_key_never_passes(self, name: str, letter: str) -> None:
        """Whatever the key."""
        assert "there is no key" in refused([f"{name}{letter}=1"])
