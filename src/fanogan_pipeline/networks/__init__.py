"""Generator, critic and encoder, built from a spec; no files, no Kedro."""

from fanogan_pipeline.networks.build import (
    ARCHITECTURES,
    build_critic,
    build_encoder,
    build_generator,
    pixel_range,
    seeded,
)
from fanogan_pipeline.networks.checkpoint import Checkpoint
from fanogan_pipeline.networks.critic import Critic
from fanogan_pipeline.networks.encoder import Encoder
from fanogan_pipeline.networks.folding import folded
from fanogan_pipeline.networks.spec import NetworkSpec
from fanogan_pipeline.networks.wgan import Wgan
