"""Work cut into shards; a shard's table may be kept as one parquet part, so that none is ever done twice."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, as_completed
from pathlib import Path

import pandas as pd

from fanogan_pipeline import own_code
from fanogan_pipeline.compute.files import work_file
from fanogan_pipeline.errors import one_line

logger = logging.getLogger(__name__)

Compute = Callable[[slice], pd.DataFrame]


def cut(count: int, size: int) -> list[slice]:
    """`count` rows in shards of `size`, the last one smaller; a single empty one where there are none."""
    return [slice(start, min(start + size, count)) for start in range(0, max(count, 1), size)]


def table(shards: Sequence[slice], compute: Compute, executor: Executor | None) -> pd.DataFrame:
    """The shards' tables one below the other, in their order; without an executor computed one after the other."""
    return pd.concat((executor.map if executor else map)(compute, shards), ignore_index=True)


def table_of_parts(
    shards: Sequence[slice],
    compute: Compute,
    folder: Path,
    executor: Executor,
    tell: Callable[[int, int, int], None] = lambda part, done, missing: None,
    names: Sequence[str] | None = None,
) -> pd.DataFrame:
    """The same by way of a part for each shard in a folder that all workers see; parts that are there whole stay.

    Args:
        shards: rows of each.
        compute: rows -> their table; travels to the workers.
        folder: of this work and no other.
        executor: where shards are computed, in any order, several at once.
        tell: called with the number of each part that comes in, how many have, and how many were missing.
        names: of the parts; without, their numbers.

    Raises:
        InputError: a part cannot be written; a worker has other code than this process.
        whatever `compute` raises. The parts finished before stay.
    """
    names = names or [f"{number:06}" for number in range(len(shards))]
    parts = [folder / f"part-{name}.parquet" for name in names]
    found = [_kept(part) for part in parts]
    missing = [number for number, part in enumerate(found) if part is None]
    if kept := len(parts) - len(missing):
        logger.info("%s: going on, %d of %d parts are there", folder, kept, len(parts))
    code = own_code.code_digest()
    futures = {executor.submit(write_part, compute, shards[k], str(parts[k]), code): k for k in missing}
    try:
        for done, future in enumerate(as_completed(futures), 1):
            future.result()
            number = futures[future]
            found[number] = pd.read_parquet(parts[number])
            tell(number, done, len(missing))
    finally:
        for future in futures:
            future.cancel()
    return pd.concat(found, ignore_index=True)


def _kept(part: Path) -> pd.DataFrame | None:
    """A part that is there; None without one, and in place of one that is damaged, which goes."""
    try:
        return pd.read_parquet(part)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:  # pyarrow's are of both kinds
        logger.warning("%s: cannot be read (%s); it is computed again", part, one_line(error))
        part.unlink(missing_ok=True)
        return None


def write_part(compute: Compute, shard: slice, part: str, code: str) -> None:
    """Compute a shard and put its part in place in one step; nothing to do where it is there already.

    Raises:
        InputError: this worker's code is not `code`, under whose digest the part is filed.
    """
    own_code.expect_code(code)
    if not Path(part).exists():
        found = compute(shard)
        with work_file(Path(part)) as draft:
            found.to_parquet(draft, index=False)
