"""Trained networks to checkpoints and back; what does not belong together is refused."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

import torch
from torch import Tensor, nn

from fanogan_pipeline.errors import InputError, MismatchError, one_line
from fanogan_pipeline.networks import (
    Checkpoint,
    Encoder,
    NetworkSpec,
    Wgan,
    build_critic,
    build_encoder,
    build_generator,
)
from fanogan_pipeline.networks.layout import Network, placed

AGAIN = "kedro run --only-missing-outputs"  # makes all that is of other pictures than the data sets


def wgan_checkpoint(wgan: Wgan, facts: dict[str, Any]) -> Checkpoint:
    """Generator and critic with the facts of their training: `parameters`, `seed`, `split_digest`, `geometry`, ..."""
    tensors = _named("generator", wgan.generator) | _named("critic", wgan.critic)
    return Checkpoint(tensors, {"kind": "wgan", "network": wgan.spec.to_json(), "prior": wgan.prior, **facts})


def encoder_checkpoint(encoder: nn.Module, wgan_model: Checkpoint, facts: dict[str, Any]) -> Checkpoint:
    """The encoder with the digest of the WGAN it was trained on and the facts of its training."""
    header = {"kind": "encoder", "network": wgan_model.header["network"], "wgan_digest": wgan_model.digest, **facts}
    return Checkpoint(_named("encoder", encoder), header)


def load_wgan(model: Checkpoint, device: torch.device) -> Wgan:
    """The networks of a `wgan_model`, frozen, in evaluation mode, on the device.

    Raises:
        InputError: a checkpoint of another kind, or tensors that do not fit its header.
    """
    _expect_kind(model, "wgan")
    spec = NetworkSpec.from_json(model.header.get("network", {}))
    generator = _filled(build_generator(spec), model, "generator", device)
    critic = _filled(build_critic(spec), model, "critic", device)
    return Wgan(spec, str(model.header["prior"]), generator, critic)


def load_encoder(model: Checkpoint, wgan_model: Checkpoint, device: torch.device) -> Encoder:
    """The encoder of an `encoder_model`, checked to be the given WGAN's.

    Raises:
        MismatchError: it was trained on another WGAN.
        InputError: as for `load_wgan`.
    """
    _expect_kind(model, "encoder")
    expect_same(
        "encoder_model was trained on the wgan_model",
        str(model.header.get("wgan_digest")),
        wgan_model.digest,
        "kedro run --pipelines encoder",
        model.origin,
        wgan_model.origin,
    )
    spec = NetworkSpec.from_json(model.header.get("network", {}))
    head = str(model.header.get("parameters", {}).get("head", "linear"))
    return _filled(build_encoder(spec, head), model, "encoder", device)


def expect_same(what: str, recorded: str, found: str, mend: str, recorded_by: str = "", found_in: str = "") -> None:
    """Refuse a set of files that do not belong together.

    Args:
        what: the claim, as the start of a sentence.
        recorded, found: digests that should be the same.
        mend: the command that makes a set that fits.
        recorded_by, found_in: where they stand: the path of a version, or any name; "" where unknown.

    Raises:
        MismatchError: the digests differ.
    """
    if recorded != found:
        raise MismatchError(
            f"{what} of digest {recorded[:12]}{_place(recorded_by)}, but the one loaded has digest {found[:12]}"
            f"{_place(found_in)}; run '{mend}' to make one that fits, or choose versions that belong together with "
            "--load-versions"
        )


def expect_member(owner: str, belongs_to: dict[str, str], name: str, member: Checkpoint, mend: str) -> None:
    """Refuse a model that is not the one whose digest its `owner` names (MismatchError)."""
    recorded = str(belongs_to.get(name))
    expect_same(f"{owner} was made with the {name}", recorded, member.digest, mend, found_in=member.origin)


def expect_split(model: Checkpoint, split_digest: str) -> None:
    """Refuse a model and data of different splits (MismatchError)."""
    what, recorded = f"{model.header.get('kind')}_model was trained on a split", str(model.header.get("split_digest"))
    expect_same(what, recorded, split_digest, AGAIN, model.origin, "the data sets")


def expect_one_split(split_digests: dict[str, str]) -> None:
    """Refuse data sets, name -> `split_digest`, of different splits (MismatchError)."""
    (name, first), *others = split_digests.items()
    for other, digest in others:
        expect_same(f"{name} is of a split", first, digest, "kedro run --pipelines data_prep", found_in=other)


def _place(origin: str) -> str:
    """ " (version V, path)" of a version's path, " (name)" of anything else."""
    if not origin:
        return ""
    path = PurePosixPath(origin)
    is_version = len(path.parts) > 2 and path.parent.parent.name == path.name
    return f" (version {path.parent.name}, {origin})" if is_version else f" ({origin})"


def _named(prefix: str, module: nn.Module) -> dict[str, Tensor]:
    return {f"{prefix}.{name}": tensor.detach().cpu().contiguous() for name, tensor in module.state_dict().items()}


def _filled(module: Network, model: Checkpoint, prefix: str, device: torch.device) -> Network:
    tensors = {
        name.removeprefix(f"{prefix}."): tensor
        for name, tensor in model.tensors.items()
        if name.startswith(f"{prefix}.")
    }
    try:
        module.load_state_dict(tensors)
    except RuntimeError as error:
        raise InputError(
            f"{model.origin or prefix}: tensors do not fit the network its header names, expected those that this "
            f"version of the project stores; train again with 'kedro run --pipelines {model.header['kind']}' "
            f"({one_line(error, 120)})"
        ) from error
    return placed(module, device).eval().requires_grad_(False)


def _expect_kind(model: Checkpoint, kind: str) -> None:
    found = model.header.get("kind")
    if found != kind:
        raise InputError(f"{model.origin or kind + '_model'}: found a model of kind {found!r}, expected {kind!r}")
