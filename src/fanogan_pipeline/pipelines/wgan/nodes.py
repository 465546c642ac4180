"""Phase 1: train the WGAN, show what it has learnt."""

from fanogan_pipeline.lazy import lazily
from fanogan_pipeline.parameters import (
    DataPrepParameters,
    Precision,
    ReportingParameters,
    TrainingParameters,
    WganParameters,
)
from fanogan_pipeline.pipelines.hints import Checkpoint, DataFrame, Figure, ImageSet, StateStore, TensorBoardLogs

with lazily():
    from fanogan_pipeline import figures, own_code
    from fanogan_pipeline.compute import side_by_side
    from fanogan_pipeline.figures import origin
    from fanogan_pipeline.networks import models
    from fanogan_pipeline.training import devices, job, sampling, state, wgan


def train(
    train_set: ImageSet,
    parameters: WganParameters,
    training: TrainingParameters,
    data_prep: DataPrepParameters,
    seed: int,
    device: str,
    precision: Precision,
    states: StateStore,
    tensorboard: TensorBoardLogs,
) -> tuple[Checkpoint, DataFrame]:
    """Train generator and critic on the normal images; returns the model and its curves."""
    devices.settle_in(training.threads)
    where, images = devices.choose_device(device), train_set.images
    spec = wgan.network_spec(images.shape, parameters)
    facts = state.facts_of(parameters, data_prep, seed, train_set.split_digest, precision)
    code = own_code.code_digest(*state.CODE)
    slot = state.StateSlot.of(states, "wgan", facts, where.type, training.log_every, code)
    whole = job.TrainingJob(parameters, training, spec, seed, where.type, slot, None, data_prep.augmentation, precision)
    whole = side_by_side.train_first(whole, images)
    with tensorboard.run("wgan") as log:
        trained, history = job.train_wgan(whole, images, log.scalars)
        log.network("generator", trained.generator, (spec.latent_dim,))
        log.network("critic", trained.critic, images.shape[1:])
        log.images(parameters.steps, "generated_samples", sampling.samples(trained, 64, seed))
    facts |= {"geometry": train_set.geometry, "train_images": len(train_set)}
    model = models.wgan_checkpoint(trained, facts)
    history.attrs["wgan_model"] = model.digest
    return model, history


def draw_samples(wgan_model: Checkpoint, parameters: ReportingParameters, seed: int) -> Figure:
    """A sheet of generated images."""
    trained = models.load_wgan(wgan_model, devices.choose_device("cpu"))
    images = sampling.samples(trained, parameters.gallery_images, seed)
    return origin.signed(figures.generated_samples(images, trained.spec.latent_dim), {"wgan_model": wgan_model.digest})


def draw_walk(wgan_model: Checkpoint, parameters: ReportingParameters, seed: int) -> Figure:
    """A plane through the latent space."""
    trained = models.load_wgan(wgan_model, devices.choose_device("cpu"))
    images, extent = sampling.walk(trained, parameters.walk_steps, seed)
    return origin.signed(figures.latent_walk(images, extent), {"wgan_model": wgan_model.digest})
