"""One of the processes that train together: started by the training node, or on another machine by torchrun.

    torchrun ... -m fanogan_pipeline.compute.worker FOLDER

The training node says the whole command.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from pathlib import Path

import joblib
import torch.distributed as dist

from fanogan_pipeline import own_code
from fanogan_pipeline.compute import job_files
from fanogan_pipeline.compute.executors import log_as_the_command
from fanogan_pipeline.compute.files import work_file
from fanogan_pipeline.errors import PlainError
from fanogan_pipeline.training import devices
from fanogan_pipeline.training.distributed import Group
from fanogan_pipeline.training.job import phase_of
from fanogan_pipeline.training.loop import run_phase
from fanogan_pipeline.training.state import CODE

OUTCOME = "outcome.json"


def work(folder: str) -> None:
    """Train the job in the folder to its end, as the rank that the launcher's variables give.

    What a restart cannot mend (an error with words, an interrupt) is written down as the outcome
    instead of being raised; a launcher that starts the processes again finds it and ends.
    """
    place = Path(folder)
    if (place / OUTCOME).exists():
        return
    log_as_the_command()
    logging.basicConfig(
        format="%(asctime)s %(message)s", level=logging.INFO if os.environ["RANK"] == "0" else logging.ERROR
    )
    try:
        _train(place)
    except PlainError as error:
        _write_outcome(place, type(error).__name__, str(error))
        raise SystemExit(1) from None  # the others may wait for this one: the launcher has to end them
    except KeyboardInterrupt:
        _write_outcome(place, "KeyboardInterrupt", "")
        raise SystemExit(1) from None
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()


def _train(folder: Path) -> None:
    job, images = job_files.read(folder)
    assert job.slot is not None
    own_code.expect_code(job.slot.facts["code"], *CODE)
    local_rank, local_size = int(os.environ["LOCAL_RANK"]), int(os.environ["LOCAL_WORLD_SIZE"])
    device = devices.of_process(job.device, local_rank)
    devices.settle_in(job.training.threads or max(1, joblib.cpu_count() // local_size))
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    group = Group(dist.get_rank(), dist.get_world_size())
    run_phase(phase_of(job, images, device, group), job.parameters.steps, job.training, job.slot)


def _write_outcome(folder: Path, kind: str, message: str) -> None:
    with work_file(folder / OUTCOME) as draft:
        draft.write_text(json.dumps({"kind": kind, "message": message}))


if __name__ == "__main__":
    work(sys.argv[1])
