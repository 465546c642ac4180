"""What a set of networks is built from."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from pydantic import TypeAdapter, ValidationError

from fanogan_pipeline.errors import InputError


@dataclass(frozen=True)
class NetworkSpec:
    """The shape of generator, critic and encoder.

    Attributes:
        architecture: a name of `networks.ARCHITECTURES`.
        image_size: (H, W), each 16 to 256 pixels.
        channels: 1 (grey) or 3 (RGB).
        latent_dim: dimensions of z.
        width: channels of the first convolution; the stages after it are multiples.
    """

    architecture: str
    image_size: tuple[int, int]
    channels: int
    latent_dim: int
    width: int

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "image_size": list(self.image_size)}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> NetworkSpec:
        """The spec that `to_json` wrote. Raises InputError on anything else."""
        try:
            return TypeAdapter(cls).validate_python(values)
        except ValidationError as error:
            raise InputError(
                f"model header: found network {values!r}, expected architecture, image_size, channels, "
                "latent_dim and width"
            ) from error
