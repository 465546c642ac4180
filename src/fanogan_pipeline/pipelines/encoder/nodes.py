"""Phase 2: train the encoder on the frozen WGAN, show what it restores."""

from fanogan_pipeline.evenly import evenly
from fanogan_pipeline.lazy import lazily
from fanogan_pipeline.parameters import DataPrepParameters, EncoderParameters, Precision, TrainingParameters
from fanogan_pipeline.pipelines.hints import Checkpoint, DataFrame, Figure, ImageSet, StateStore, TensorBoardLogs

with lazily():
    from fanogan_pipeline import figures, own_code
    from fanogan_pipeline.compute import side_by_side
    from fanogan_pipeline.detection import anomaly_detector, restorer
    from fanogan_pipeline.figures import galleries, origin
    from fanogan_pipeline.networks import models
    from fanogan_pipeline.training import devices, job, state
    from fanogan_pipeline.training import encoder as phase


def train(
    train_set: ImageSet,
    wgan_model: Checkpoint,
    parameters: EncoderParameters,
    training: TrainingParameters,
    data_prep: DataPrepParameters,
    seed: int,
    device: str,
    precision: Precision,
    states: StateStore,
    tensorboard: TensorBoardLogs,
) -> tuple[Checkpoint, DataFrame]:
    """Train the encoder on the normal images; returns the model and its curves."""
    models.expect_split(wgan_model, train_set.split_digest)
    devices.settle_in(training.threads)
    where = devices.choose_device(device)
    wgan = models.load_wgan(wgan_model, where)
    facts = state.facts_of(parameters, data_prep, seed, train_set.split_digest, precision)
    code, needed = own_code.code_digest(*state.CODE), {**facts, "wgan": wgan_model.digest}
    slot = state.StateSlot.of(states, "encoder", needed, where.type, training.log_every, code)
    whole = job.TrainingJob(
        parameters,
        training,
        wgan.spec,
        seed + phase.SEED_OFFSET,
        where.type,
        slot,
        wgan,
        data_prep.augmentation,
        precision,
    )
    whole = side_by_side.train_first(whole, train_set.images)
    with tensorboard.run("encoder") as log:
        trained, history = job.train_encoder(whole, train_set.images, log.scalars)
        log.network("encoder", trained, train_set.images.shape[1:])
    facts |= {"train_images": len(train_set)}
    model = models.encoder_checkpoint(trained, wgan_model, facts)
    history.attrs["encoder_model"] = model.digest
    return model, history


def draw_restoration(
    selection_set: ImageSet,
    wgan_model: Checkpoint,
    encoder_model: Checkpoint,
) -> Figure:
    """Kept-apart normal images, what they are restored to, and the difference."""
    networks = anomaly_detector.load_restorer(wgan_model, encoder_model, devices.choose_device("cpu"))
    some = selection_set.take(evenly(len(selection_set), galleries.IN_A_ROW))
    drawn = figures.restoration(some.images, restorer.restore(some.images, networks, 64), some.labels.tolist())
    return origin.signed(drawn, {"encoder_model": encoder_model.digest})
