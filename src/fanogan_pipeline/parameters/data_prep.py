"""Which images are normal, how they are split and brought to one size."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from fanogan_pipeline.parameters.group import ClassNames, Fraction, Group, Pair


class TilingParameters(Group):
    """`params:data_prep.tiling`: large pictures cut into overlapping tiles of `image_size`."""

    stride: Pair[Annotated[int, Field(ge=1, le=256)], Annotated[int, Field(ge=1, le=256)]]
    picture_size: Annotated[int, Field(ge=16, le=4096)] | None = None
    max_train_tiles: Annotated[int, Field(ge=1)] | None = None


class AugmentationParameters(Group):
    """`params:data_prep.augmentation`: random changes to training images, and only to them."""

    flip_horizontal: bool = False
    flip_vertical: bool = False
    shift: Annotated[int, Field(ge=0, le=64)] = 0
    brightness: Annotated[float, Field(ge=0.0, le=0.5)] = 0.0
    contrast: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0


class DataPrepParameters(Group):
    """`params:data_prep`: which images are normal, how they are split and brought to one size."""

    protocol: Literal["official", "reference"]
    normal_classes: ClassNames
    image_size: Pair[Annotated[int, Field(ge=16, le=256)], Annotated[int, Field(ge=16, le=256)]]
    channels: Literal[1, 3]
    fit: Literal["resize", "pad"]
    local_contrast: Annotated[float, Field(ge=1.0, le=1024.0)] | None
    tiling: TilingParameters | None
    augmentation: AugmentationParameters | None
    selection_fraction: Fraction
    calibration_fraction: Fraction
    test_fraction: Fraction
    reference_count: Annotated[int, Field(ge=10)]
    max_train: Annotated[int, Field(ge=2)] | None
    max_test: Annotated[int, Field(ge=1)] | None
    duplicates: Literal["refuse", "drop"]
    workers: Annotated[int, Field(ge=1, le=256)]

    @field_validator("channels", mode="before")
    @classmethod
    def _one_or_three(cls, value: Any) -> Any:
        if type(value) is not int:  # a Literal takes True and 1.0 for 1
            raise ValueError(f"expected 1 or 3, found {value!r}")
        return value

    @model_validator(mode="after")
    def _strides(self) -> DataPrepParameters:
        if self.tiling and any(step > side for step, side in zip(self.tiling.stride, self.image_size, strict=True)):
            raise ValueError(
                f"tiling.stride is {list(self.tiling.stride)}, expected at most image_size {list(self.image_size)}: "
                "tiles must cover the picture"
            )
        return self

    @model_validator(mode="after")
    def _fractions(self) -> DataPrepParameters:
        total = self.selection_fraction + self.calibration_fraction
        if total >= 1.0:
            raise ValueError(
                f"selection_fraction + calibration_fraction = {total:g}, expected less than 1: "
                "nothing is left to train on"
            )
        return self
