"""Bytes to the numbers that networks speak, and back."""

from __future__ import annotations

import torch
from torch import Tensor


def to_pixels(images: Tensor, pixel_range: tuple[float, float]) -> Tensor:
    """uint8 [N, C, H, W] 0..255 -> float32 from low to high. By 255, never by a batch's own extremes."""
    low, high = pixel_range
    pixels = images.to(torch.float32, memory_format=torch.channels_last)
    return pixels.mul_((high - low) / 255).add_(low)


def to_bytes(pixels: Tensor, pixel_range: tuple[float, float]) -> Tensor:
    """float [N, C, H, W] from low to high -> uint8 0..255, rounded; what lies beyond is clipped."""
    low, high = pixel_range
    return ((pixels.float() - low) * (255 / (high - low))).round_().clamp_(0, 255).to(torch.uint8)
