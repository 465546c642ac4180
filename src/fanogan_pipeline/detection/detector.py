"""The detector: everything that turns residuals into verdicts, and the digests of what it belongs to."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from fanogan_pipeline.detection.scoring import Calibration, ScoreRule, p_values
from fanogan_pipeline.errors import InputError
from fanogan_pipeline.images import ImageSet
from fanogan_pipeline.networks.models import AGAIN, expect_same

MEND = "kedro run --pipelines scoring"
REPORT_AGAIN = "kedro run --pipelines reporting"
# What a figure may show, and what makes all else of the one that was made last.
SHOWN = {
    "detector": REPORT_AGAIN,
    "encoder_model": "kedro run --pipelines scoring,reporting",
    "wgan_model": "kedro run --pipelines encoder,scoring,reporting",
}


@dataclass(frozen=True)
class Detector:
    """A score rule with its calibration.

    Attributes:
        rule: residual terms -> score.
        calibration: thresholds and what they promise.
        calibration_scores: sorted ascending, for p-values.
        settings: all of `params:scoring`.
        belongs_to: digests of `wgan_model`, `encoder_model`, `residual_statistics` and `split`.
        geometry: how pictures are prepared, as JSON text of `preprocessing.geometry.Geometry`.
        pixel_threshold: a pixel is marked where its residual map is above it; at the promised rate a normal
            picture has any such pixel.
    """

    rule: ScoreRule
    calibration: Calibration
    calibration_scores: tuple[float, ...]
    settings: dict[str, Any]
    belongs_to: dict[str, str]
    geometry: str
    pixel_threshold: float

    def judge(self, terms: pd.DataFrame) -> pd.DataFrame:
        """Residual terms with `score`, `p_value` and `is_flagged` added, a row per image."""
        scores = self.rule.score(terms)
        return terms.assign(
            score=scores,
            p_value=p_values(scores, np.asarray(self.calibration_scores)),
            is_flagged=scores > self.calibration.threshold,
        )

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of its JSON form."""
        return hashlib.sha256(json.dumps(self.to_json(), sort_keys=True).encode()).hexdigest()

    def to_json(self) -> dict[str, Any]:
        calibration = self.calibration
        return {
            "rule": self.rule.to_json(),
            "threshold": calibration.threshold,
            "promised_false_alarm_rate": calibration.promised_false_alarm_rate,
            "three_sigma_threshold": calibration.three_sigma_threshold,
            "settings": self.settings,
            "belongs_to": self.belongs_to,
            "geometry": json.loads(self.geometry or "{}"),
            "pixel_threshold": self.pixel_threshold,
            "calibration_scores": list(self.calibration_scores),
            **({} if calibration.n_groups is None else {"calibration_groups": calibration.n_groups}),
        }

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Detector:
        """The detector that `to_json` wrote. Raises InputError on anything else."""
        try:
            scores = tuple(float(score) for score in values["calibration_scores"])
            calibration = Calibration(
                float(values["threshold"]),
                float(values["promised_false_alarm_rate"]),
                float(values["three_sigma_threshold"]),
                len(scores),
                int(values["calibration_groups"]) if "calibration_groups" in values else None,
            )
            rule = ScoreRule(**values["rule"])
            geometry = json.dumps(values["geometry"], sort_keys=True) if values["geometry"] else ""
            settings, belongs_to = dict(values["settings"]), dict(values["belongs_to"])
            if settings.get("image_distance") == "absolute" and "image_residual" in rule.weight:
                raise ValueError("settings.image_distance 'absolute', a sum over pixels where it is a mean now")
            return cls(rule, calibration, scores, settings, belongs_to, geometry, float(values["pixel_threshold"]))
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"detector: found {type(error).__name__} {error}, expected the JSON that the scoring pipeline writes; "
                "run 'kedro run --pipelines scoring'"
            ) from error


def expect_judged(name: str, table: pd.DataFrame, detector: Detector, mend: str = MEND) -> None:
    """Refuse a table whose images another detector has judged (MismatchError)."""
    judged = digest_of(name, table, "detector", mend)
    expect_same(f"{name} was judged by the detector", judged, detector.digest, mend)


def expect_measured(name: str, facts: Mapping[str, Any], digest: str, mend: str = MEND) -> None:
    """Refuse what was measured with another detector (MismatchError), by the digest among its facts."""
    found = str(facts.get("detector", "unknown"))
    expect_same(f"{name} was measured with the detector", found, digest, mend)


def expect_shown(name: str, belongs_to: Mapping[str, str], detector: Detector) -> None:
    """Refuse a figure of another detector or other models than its (MismatchError), by what digests it tells."""
    used = {**detector.belongs_to, "detector": detector.digest}
    for kind, mend in SHOWN.items():
        if kind in belongs_to and kind in used:
            expect_same(f"{name} shows the {kind}", belongs_to[kind], used[kind], mend, found_in="detector")


def expect_scores_of(name: str, table: pd.DataFrame, image_set: ImageSet) -> None:
    """Refuse a score table of another split than the data's (MismatchError)."""
    expect_same(f"{name} was made on a split", digest_of(name, table, "split"), image_set.split_digest, AGAIN)


def expect_same_detector(one: pd.DataFrame, other: pd.DataFrame) -> None:
    """Refuse two score tables that different detectors have judged (MismatchError)."""
    judged, found = digest_of("test_scores", one, "detector"), digest_of("calibration_scores", other, "detector")
    expect_same("test_scores was judged by the detector", judged, found, MEND, found_in="calibration_scores")


def digest_of(name: str, table: pd.DataFrame, kind: str, mend: str = MEND) -> str:
    """The digest among a table's attributes. Raises InputError where it came back without them."""
    if kind not in table.attrs:
        raise InputError(
            f"{name}: found no digest of its {kind}, expected one in the table's attributes; give it a dataset in the "
            f"catalog that keeps DataFrame.attrs, as fanogan_pipeline.datasets.ParquetDataset does, and run '{mend}'"
        )
    return str(table.attrs[kind])
