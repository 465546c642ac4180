"""Batch norm that is done with learning, made part of the layer before it."""

from __future__ import annotations

import copy
from itertools import pairwise

import torch
from torch import nn
from torch.nn.utils import fusion

from fanogan_pipeline.networks.layout import Network

NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)
LINEAR_MAPS = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)


def folded(network: Network) -> Network:
    """A copy in evaluation mode, the same to rounding, with one pass over the activations less for each batch norm
    that follows a convolution or a linear layer of a `Sequential`; others stay as they are.

    A batch norm in evaluation mode is a scale and a shift a channel, which weights and bias of a linear map take in.

    Args:
        network: generator, critic or encoder, frozen from now on.
    """
    network = copy.deepcopy(network).eval()
    for layers in [module for module in network.modules() if isinstance(module, nn.Sequential)]:
        for place, (layer, norm) in enumerate(pairwise(layers)):
            if isinstance(norm, NORMS) and isinstance(layer, LINEAR_MAPS):
                layers[place], layers[place + 1] = _together(layer, norm), nn.Identity()
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def _together(layer: nn.Conv2d | nn.ConvTranspose2d | nn.Linear, norm: nn.BatchNorm1d | nn.BatchNorm2d) -> nn.Module:
    if isinstance(layer, nn.Linear):
        return fusion.fuse_linear_bn_eval(layer, norm)
    return fusion.fuse_conv_bn_eval(layer, norm, transpose=isinstance(layer, nn.ConvTranspose2d))
