"""Declare every configuration key with type, default, meaning, unit and range; a task's are in ``dexhand.tasks``.

The YAML files in ``cfg/`` only override these defaults. ``--help`` and validation use these fields, so a key that is
not declared does not exist.
"""

from dataclasses import dataclass

from dexhand.core.option import option
from dexhand.tasks import BaseTaskConfig, TaskConfig

BACKENDS = ("auto", "mujoco", "mujoco_warp", "isaacgym", "mock")
ALGORITHMS = ("rl_games", "mock")
SINKS = ("console", "tensorboard")


# --- sim --------------------------------------------------------------------------------------------------------------


@dataclass
class MujocoConfig:
    """MuJoCo's solver settings; see its ``option`` element."""

    substeps: int = option(2, "MuJoCo steps per sim.dt", low=1)
    iterations: int = option(20, "solver iterations at most", low=1)
    ls_iterations: int = option(20, "line search iterations at most", low=1)
    tolerance: float = option(1e-8, "solver stops below this improvement", low=0)
    threads: int = option(0, "threads that step environments; 0 = one per processor core", low=0)


@dataclass
class MujocoWarpConfig:
    """Settings of MuJoCo Warp in addition to ``sim.mujoco``, whose solver settings it shares."""

    nconmax: int = option(64, "contacts per environment for which memory is reserved", low=1)
    njmax: int = option(256, "constraint rows per environment for which memory is reserved", low=1)
    deterministic: bool = option(True, "the same bits in every run; false is faster on a GPU")


@dataclass
class PhysxConfig:
    """PhysX's solver settings, for Isaac Gym only, with Isaac Gym's names."""

    substeps: int = option(4, "PhysX substeps per sim.dt", low=1)
    solver_type: int = option(1, "0 = PGS, 1 = TGS", choices=(0, 1))
    num_position_iterations: int = option(16, "position iterations", low=1)
    num_velocity_iterations: int = option(0, "velocity iterations", low=0)
    contact_offset: float = option(0.001, "contacts are generated below this distance", unit="m", low=0)
    rest_offset: float = option(0.0005, "bodies rest at this distance", unit="m", low=0)
    bounce_threshold_velocity: float = option(0.15, "slower impacts do not bounce", unit="m/s", low=0)
    max_depenetration_velocity: float = option(0.2, "fastest separation of overlapping bodies", unit="m/s", low=0)
    default_buffer_size_multiplier: float = option(4.0, "contact buffer size factor", above=0)
    gpu_contact_pairs_per_env: int = option(512, "contact pairs reserved per environment", low=1)
    num_threads: int = option(4, "CPU threads", low=0)


@dataclass
class IsaacGymConfig:
    """Isaac Gym's own settings beside those of PhysX."""

    graphicsDevice: int | None = option(
        None, "GPU that draws pictures and the viewer; null = the one that computes, -1 = none", low=-1
    )


@dataclass
class SimConfig:
    """The physics."""

    backend: str = option(
        "auto",
        "simulator; auto = the best one that this machine has; or file.py:Name, called with scene, num_envs, "
        "control_dt and device",
        choices=BACKENDS,
        names="code",
    )
    dt: float = option(0.005, "simulated time per physics call", unit="s", above=0, high=0.1)
    substeps: int | None = option(
        None, "solver steps per physics call; null = the value of the physics preset for the simulator", low=1
    )
    mujoco: MujocoConfig = option(MujocoConfig, "MuJoCo's own settings")
    mujoco_warp: MujocoWarpConfig = option(MujocoWarpConfig, "MuJoCo Warp's own settings")
    physx: PhysxConfig = option(PhysxConfig, "PhysX's own settings (Isaac Gym)")
    isaacgym: IsaacGymConfig = option(IsaacGymConfig, "Isaac Gym's own settings")


# --- env --------------------------------------------------------------------------------------------------------------


@dataclass
class GainsConfig:
    """A joint servo; null = the hand's own value."""

    stiffness: float | None = option(None, "position gain", unit="N/m or N m/rad", low=0)
    damping: float | None = option(None, "velocity gain", unit="N s/m or N m s/rad", low=0)
    forceLimit: float | None = option(None, "largest force", unit="N or N m", above=0)
    armature: float | None = option(None, "inertia of the drive at the joint", unit="kg or kg m^2", low=0)


@dataclass
class ActuatorsConfig:
    """Joint servos by group."""

    baseTranslation: GainsConfig = option(GainsConfig, "the base's three slides")
    baseRotation: GainsConfig = option(GainsConfig, "the base's three hinges")
    fingers: GainsConfig = option(GainsConfig, "the finger joints")


@dataclass
class EnvConfig:
    """The environments, their hand and its servos."""

    numEnvs: int | None = option(
        None,
        "parallel environments; null = the task's for training (a hand's: 1024), 4 for testing, 64 for comparing",
        low=1,
        high=1_000_000,
    )
    factory: str | None = option(
        None,
        "your own environments instead of a task's: package.module:Name or file.py:Name, called with num_envs, "
        "device and seed",
        names="code",
    )
    device: str = option("auto", "where tensors live: auto, cpu, cuda or cuda:<index>")
    viewer: bool | None = option(
        None,
        "watch in a window while it runs; null = in tests at a terminal with a display, unless videoStream is given",
    )
    videoStream: bool | None = option(
        None,
        "watch in a browser while it runs; null = in tests at a terminal without a display, unless env.viewer is given",
    )
    videoStreamPort: int = option(
        58080, "port of the page in the browser; if it is taken, the next free one", low=1, high=65535
    )
    videoStreamBindAll: bool = option(False, "let other machines watch, too; they need a token, which is printed")
    videoStreamSpeed: float = option(
        0.0,
        "simulated seconds per second of a test that is watched; 0 = as fast as it goes, and 1 with a window",
        low=0,
    )
    videoRecord: bool = option(False, "record videos into the run folder (needs EGL or OSMesa)")
    videoMaxDuration: float = option(300.0, "length of a video; then the next one begins", unit="s", above=0)
    replayDuration: float = option(
        10.0, "length of replay.html, the page that shows the beginning of a test; 0 = none", unit="s", low=0, high=600
    )
    replayMegabytes: float = option(5.0, "largest replay.html; a longer one ends earlier", unit="MB", above=0)
    controlDecimation: int = option(2, "physics calls per control step", low=1)
    hand: str = option(
        "dexhand021_right", "the hand: the name of a built-in one, or a folder with a spec.yaml", names="files"
    )
    handAsset: str | None = option(
        None,
        "MJCF that replaces the hand's own, with the same joint and body names; null = the hand's own",
        names="files",
    )
    initialHandPos: list[float] = option([0.0, 0.0, 0.5], "position of the hand's fixed root, x y z", unit="m")
    actuators: ActuatorsConfig = option(ActuatorsConfig, "joint servos")


# --- train ------------------------------------------------------------------------------------------------------------


MOST_LAYERS = 64
"""Of a network."""


@dataclass
class NetworkConfig:
    """The actor-critic network."""

    units: list[int] = option([512, 256, 128], "sizes of the hidden layers")
    activation: str = option("elu", "between the layers", choices=("elu", "relu", "tanh", "selu", "swish", "gelu"))
    separate_critic: bool = option(False, "the critic has layers of its own")
    sigma_init: float = option(0.0, "log standard deviation of the actions at the start")


@dataclass
class PpoConfig:
    """PPO as rl_games computes it; names are rl_games's."""

    horizon_length: int = option(16, "control steps per environment and iteration", low=1)
    minibatch_size: int = option(0, "samples per gradient step; 0 = a quarter of the rollout", low=0)
    mini_epochs: int = option(4, "passes over a rollout", low=1)
    learning_rate: float = option(3e-4, "step size of Adam at the start", above=0)
    lr_schedule: str = option("adaptive", "how the learning rate moves", choices=("adaptive", "linear", "constant"))
    schedule_type: str = option(
        "standard", "adaptive schedule looks after each minibatch (legacy) or pass", choices=("legacy", "standard")
    )
    kl_threshold: float = option(0.008, "KL divergence the adaptive schedule aims at", above=0)
    gamma: float = option(0.99, "discount per control step", low=0, high=1)
    tau: float = option(0.95, "lambda of the advantage estimate (GAE)", low=0, high=1)
    e_clip: float = option(0.2, "clip range of the probability ratio", above=0)
    clip_value: bool = option(True, "clip the value loss too")
    critic_coef: float = option(4.0, "weight of the value loss", low=0)
    entropy_coef: float = option(0.0, "weight of the entropy bonus", low=0)
    bounds_loss_coef: float = option(1e-4, "weight of the loss on mean actions beyond 1.1", low=0)
    grad_norm: float = option(1.0, "gradients are clipped to this norm", above=0)
    truncate_grads: bool = option(True, "clip gradients")
    normalize_input: bool = option(True, "normalise observations by running statistics")
    normalize_value: bool = option(True, "normalise returns by running statistics")
    normalize_advantage: bool = option(True, "normalise advantages in each rollout")
    value_bootstrap: bool = option(True, "a timeout is worth the value of its last state")
    reward_scale: float = option(1.0, "rewards are multiplied by this before learning", above=0)


@dataclass
class HardExamplesConfig:
    """Keep the worst episodes of a training, by return and by the mean PPO loss of their samples."""

    enabled: bool = option(False, "keep the worst episodes, with their reward terms, endings and pictures")
    keep: int = option(20, "episodes kept in each of the two rankings", low=1, high=10_000)
    since: str = option(
        "report",
        "report = each report shows the worst since the previous one; start = the worst of the whole training",
        choices=("report", "start"),
    )
    reportInterval: int = option(100, "iterations between two reports to the run folder and the sinks", low=1)
    pictures: bool = option(True, "draw the end of each of them")
    pictureWidth: int = option(320, "width of a picture", unit="pixels", low=16, high=4096)
    pictureHeight: int = option(240, "height of a picture", unit="pixels", low=16, high=4096)


@dataclass
class WandbConfig:
    """The project, owner and name of a run on Weights & Biases."""

    enabled: bool = option(
        False, "send metrics, hard examples, videos and replays to Weights & Biases (needs dexhand[wandb])"
    )
    project: str = option("dexhand", "project there")
    entity: str | None = option(None, "user or team there; null = the account's own")
    name: str | None = option(None, "name of the run there; null = that of the run folder")


@dataclass
class TrainConfig:
    """Training, testing, and their files and log."""

    seed: int = option(42, "seed of everything random; -1 = draw one and record it", low=-1, high=2**32 - 1)
    torchDeterministic: bool = option(False, "torch uses deterministic algorithms only")
    maxIterations: int = option(10000, "training stops after this many iterations in all", low=1)
    targetScore: float | None = option(None, "training stops when the mean return reaches this")
    test: bool = option(False, "play a checkpoint instead of training")
    testGamesNum: int = option(100, "episodes to play in a test; 0 = until Ctrl-C or SIGTERM", low=0)
    reloadInterval: float = option(
        30.0, "a test looks for a newer checkpoint at this interval; 0 = never", unit="s", low=0
    )
    reloadOn: str = option(
        "interval",
        "event = a test also looks as soon as the file system reports a change",
        choices=("interval", "event"),
    )
    checkpoint: str | None = option(
        None, "start from: latest, latest_train, latest_test, a run folder, a .pth file or part of a run's name"
    )
    against: str | None = option(
        None, "a test compares checkpoint, A, with this one, B, on the same starts; named like checkpoint"
    )
    testEvery: bool = option(False, "a test ranks all numbered checkpoints of a run, on the same starts")
    resume: str = option(
        "exact",
        "what a training takes over from its checkpoint: everything, or the network's weights alone (fine-tuning)",
        choices=("exact", "weights"),
    )
    trustCheckpoint: bool = option(
        False,
        "run code that only a run names or that may be in a checkpoint; only the command line or your files set it",
    )
    keepCheckpoints: int | None = option(
        None, "numbered checkpoints that are kept, beside best and latest; null = all", low=1
    )
    saveFrequency: int = option(100, "iterations between numbered checkpoints", low=1)
    saveInterval: float = option(30.0, "longest time between checkpoints", unit="s", low=0)
    torchThreads: int = option(1, "torch's CPU threads; more than 1 slows down small networks", low=1)
    experimentName: str | None = option(
        None, "start of the names of the run's folder and links; null = the task's name"
    )
    runsDir: str = option("runs", "folder of links to the newest runs; the runs themselves are in <runsDir>_all")
    maxTrainRuns: int = option(10, "newest trainings shown in runsDir; none is ever deleted", low=0)
    maxTestRuns: int = option(10, "newest test runs shown in runsDir", low=0)
    maxRecentRuns: int | None = option(None, "newest runs of both kinds shown; null = no limit of its own", low=0)
    useCleanWorkspace: bool = option(True, "false = runs are in runsDir itself, and none is hidden")
    logLevel: str = option(
        "info", "lowest level of messages that are logged", choices=("debug", "info", "warning", "error")
    )
    logInterval: int | None = option(
        None, "finished episodes between two lines of a training's progress; null = a line every 5 s", low=1
    )
    sinks: list[str] = option(
        list(SINKS),
        "where metrics go; or file.py:Name, called with the run folder",
        choices=SINKS,
        names="code",
    )
    algorithm: str = option(
        "rl_games",
        "what learns; or file.py:Name, called with env and config",
        choices=ALGORITHMS,
        names="code",
    )
    network: NetworkConfig = option(NetworkConfig, "the network")
    ppo: PpoConfig = option(PpoConfig, "the learner")
    hardExamples: HardExamplesConfig = option(HardExamplesConfig, "the worst episodes")
    wandb: WandbConfig = option(WandbConfig, "Weights & Biases")


@dataclass
class Config:
    """The whole configuration."""

    sim: SimConfig = option(SimConfig, "the physics")
    env: EnvConfig = option(EnvConfig, "the environments")
    task: TaskConfig = option(BaseTaskConfig, "the task")
    train: TrainConfig = option(TrainConfig, "training and testing")

    @property
    def subject(self) -> str:
        """A name for what is trained: the task, or the class or function that makes the environments."""
        return self.task.subject if self.env.factory is None else self.env.factory.rpartition(":")[2].strip("_")
