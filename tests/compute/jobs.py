"""Small trainings on real digits, and what the processes of a test run."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
import torch.distributed as dist
import yaml
from tests.project import ROOT

from fanogan_pipeline import own_code
from fanogan_pipeline.compute import worker
from fanogan_pipeline.datasets.idx_format import read_idx
from fanogan_pipeline.datasets.state_store import StateStore
from fanogan_pipeline.networks import NetworkSpec, Wgan, build_critic, build_generator
from fanogan_pipeline.networks.pixels import to_pixels
from fanogan_pipeline.parameters import AugmentationParameters, EncoderParameters, TrainingParameters, WganParameters
from fanogan_pipeline.training import data, encoder, interrupt, wgan
from fanogan_pipeline.training.distributed import Group
from fanogan_pipeline.training.job import TrainingJob
from fanogan_pipeline.training.loop import run_phase
from fanogan_pipeline.training.state import CODE, StateSlot

STEPS = 50
CASES = {"wgan": STEPS, "wgan_coupled": 3, "encoder": 20}  # how many steps each
DYING_STEP, RESUMED_STEP = 27, 25
CPU = torch.device("cpu")
AUGMENTATION = AugmentationParameters(flip_horizontal=True, flip_vertical=False, shift=1, brightness=0.1, contrast=0.1)


def digits() -> np.ndarray:
    """uint8 [60, 1, 16, 16]: the middles of real digits; 60 is no multiple of the batch."""
    whole = read_idx(str(ROOT / "data/01_raw/mnist/t10k-images-idx3-ubyte.gz"), 3)
    return np.ascontiguousarray(whole[:60, None, 6:22, 6:22])


def spec(architecture: str) -> NetworkSpec:
    return NetworkSpec(architecture, (16, 16), 1, 4, 4)


def parameters(name: str, **changes: object) -> dict:
    return {**yaml.safe_load((ROOT / f"conf/base/parameters_{name}.yml").read_text())[name], **changes}


def wgan_parameters(**changes: object) -> WganParameters:
    small = {"steps": STEPS, "batch_size": 8, "penalty_images": 4, "critic_steps": 2, "ema_half_life": 50.0}
    return WganParameters(**parameters("wgan", width=4, latent_dim=4, **small, **changes))


def training(**changes: object) -> TrainingParameters:
    shared = yaml.safe_load((ROOT / "conf/base/parameters.yml").read_text())["training"]
    quick = {
        "threads": 1,
        "log_every": 5,
        "save_every_seconds": 1e9,
        "save_every_steps": 5,
        "restarts": 1,
        "on_failure": "warn",
    }
    return TrainingParameters(**{**shared, **quick, **changes})


@contextmanager
def exactly() -> Iterator[None]:
    """Compute in float64: what differs by more than a float64's rounding differs for another reason.

    In float32 Adam blows the rounding of gradients that are zero, such as those before a batch norm, up to full steps.
    """
    torch.set_default_dtype(torch.float64)
    data.to_pixels = lambda *arguments: to_pixels(*arguments).double()
    try:
        yield
    finally:
        data.to_pixels = to_pixels
        torch.set_default_dtype(torch.float32)


def frozen_wgan() -> Wgan:
    """What an encoder can be trained on."""
    torch.manual_seed(5)
    shape = spec("convolutional")
    return Wgan(
        shape, "normal", build_generator(shape).requires_grad_(False), build_critic(shape).requires_grad_(False)
    )


def phase(case: str, group: Group) -> wgan.WganPhase | encoder.EncoderPhase:
    """A phase of the case; "coupled": the critic's batch norm makes a score depend on the whole batch."""
    images = torch.from_numpy(digits())
    if case != "encoder":
        coupled = {"architecture": "reference", "objective": "wgan_plain"}  # no penalty through batch norm
        settings = wgan_parameters(**(coupled if case == "wgan_coupled" else {}))
        return wgan.WganPhase(images, spec(settings.architecture), settings, 0, CPU, AUGMENTATION, group)
    frozen = frozen_wgan()
    for module in (frozen.generator, frozen.critic):
        module.double()
    settings = EncoderParameters(**parameters("encoder", steps=STEPS, batch_size=8, latent_weight=0.1))
    return encoder.EncoderPhase(images, frozen, settings, 0, CPU, AUGMENTATION, group)


def train_case(case: str, group: Group) -> dict[str, torch.Tensor]:
    """The weights and statistics of all its networks at the end, and its curves."""
    with exactly():
        trained = phase(case, group)
        for module in trained.modules.values():
            module.double()
        curves = run_phase(trained, CASES[case], training())
    tensors = {f"{n}.{key}": t for n, module in trained.modules.items() for key, t in module.state_dict().items()}
    return {**tensors, "curves": torch.from_numpy(curves.to_numpy(np.float64))}


def train_cases(folder: str) -> None:
    """What a rank of a test runs: every case; the last rank writes its end down, rank 0 is seen elsewhere."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    group = Group(dist.get_rank(), dist.get_world_size())
    for case in CASES:
        tensors = train_case(case, group)
        if group.rank == group.size - 1:
            safetensors.torch.save_file(
                {name: tensor.contiguous() for name, tensor in tensors.items()}, f"{folder}/{case}-{group.size}"
            )
    dist.destroy_process_group()


def job(states: Path, **changes: object) -> TrainingJob:
    """Phase 1 as the training node would describe it."""
    settings = wgan_parameters()
    facts = {"parameters": settings.model_dump(mode="json"), "code": own_code.code_digest(*CODE)}
    slot = StateSlot(StateStore(states), "wgan", facts)
    return TrainingJob(settings, training(**changes), spec("convolutional"), 0, "cpu", slot)


def work_with(act: object) -> None:
    """Have every step of phase 1 in this process begin with `act(step, rank, attempt)`."""
    step = wgan.WganPhase.step

    def acting(self: wgan.WganPhase, number: int) -> dict[str, torch.Tensor]:
        act(number, self.group.rank, int(os.environ["TORCHELASTIC_RESTART_COUNT"]))
        return step(self, number)

    wgan.WganPhase.step = acting


def work_and_die_once(folder: str) -> None:
    """A rank whose first life ends by SIGKILL in the middle; says where the second one begins."""
    begun = Path(folder).parent / "begun"

    def act(step: int, rank: int, attempt: int) -> None:
        if rank == 1 and attempt == 0 and step == DYING_STEP:
            os.kill(os.getpid(), signal.SIGKILL)
        if rank == 1 and attempt == 1 and not begun.exists():
            begun.write_text(str(step))

    work_with(act)
    worker.work(folder)


def work_and_interrupt(folder: str) -> None:
    """Ranks that interrupt the process that waits for them, as Ctrl-C would."""

    def act(step: int, rank: int, attempt: int) -> None:
        if rank == 1 and step == DYING_STEP:
            os.kill(int((Path(folder).parent / "launcher").read_text()), signal.SIGINT)

    work_with(act)
    worker.work(folder)


def work_slowly_and_interrupt(folder: str) -> None:
    """The same where every step takes as long as processes go without asking one another."""
    interrupt.ASK_SECONDS = 0.0
    work_and_interrupt(folder)


def work_never(folder: str) -> None:
    """A rank that cannot start; the other waits for it."""
    if os.environ["RANK"] == "1":
        raise RuntimeError("no such\nlibrary")
    worker.work(folder)
