"""What the folders of a picture say about it: its part, label, mask and group. Names only, no files."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from fanogan_pipeline.errors import InputError

LAYOUTS = ("auto", "flat", "defects", "classes")
FLAT_LABEL = "normal"
DEFECTS_NORMAL_LABEL = "good"
_PARTS = ("train", "test", "ground_truth")
_SHOWN = 6
_ENDING = re.compile(r"[-_. ][^-_. /]*$")  # what may stand behind a picture's name in its mask's


class Placed(NamedTuple):
    """A picture with what its place says, as in the table of an `ImageSource`, and the path of its mask, or ""."""

    path: str
    label: str
    part: str = ""
    group: str = ""  # filled in by whoever knows the grouping
    mask: str = ""


@dataclass
class Arrangement:
    """Pictures in their order, the label that counts as normal (as in an `ImageSource`), and path and reason of what
    does not fit the layout."""

    normal_label: str
    pictures: list[Placed] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)


def detect_layout(paths: list[str], root: str) -> str:
    """Which of "flat", "defects" and "classes" the relative paths form.

    "defects": there is a `train/good` or `test/good`. "classes": two or more folders with pictures directly
    in each and none beside them. "flat": no folders, or a single one at the top that is named good or flat within.

    Raises:
        InputError: it could be more than one of them, or the folders at the top have layouts of their own.
    """
    split_paths = [path.split("/") for path in paths]
    tops = sorted({parts[0] for parts in split_paths if len(parts) > 1})
    is_nested = all(len(parts) > 1 for parts in split_paths)
    if len(tops) == 1 and is_nested and tops[0] not in (*_PARTS, DEFECTS_NORMAL_LABEL):
        below = f"{root.rstrip('/')}/{tops[0]}"
        if (layout := detect_layout(["/".join(parts[1:]) for parts in split_paths], below)) != "flat":
            raise InputError(
                f"{below}: found the layout {layout}, expected this folder as filepath (or set layout: flat)"
            )
        return "flat"
    if any(len(parts) > 2 and parts[0] in _PARTS[:2] and parts[1] == DEFECTS_NORMAL_LABEL for parts in split_paths):
        return "defects"
    inner = sorted({parts[0] for parts in split_paths if len(parts) > 3 and parts[1:3] == ["train", "good"]})
    if inner:
        raise InputError(
            f"{root}: found {_some(inner)}, each with its own train/good, expected one of them as filepath"
        )
    reserved = [top for top in tops if top in _PARTS]
    if reserved:
        found = f"the folder {reserved[0]} but neither train/good nor test/good"
    elif not tops:
        return "flat"
    elif not is_nested:
        found = f"pictures beside the folders {_some(tops)}"
    elif len(tops) == 1:
        return "flat"
    elif any(len(parts) > 2 for parts in split_paths):
        found = f"folders within the folders {_some(tops)}"
    else:
        return "classes"
    raise InputError(
        f"{root}: found {found}, which may mean more than one layout; with this folder as filepath set "
        "layout: flat (all normal), classes (one folder a class) or defects (train/good, test/<defect>)"
    )


def arrange(paths: list[str], layout: str) -> Arrangement:
    """Part, label and mask of each picture in the given layout ("flat", "defects" or "classes")."""
    if layout == "defects":
        return _arrange_defects(paths)
    arrangement = Arrangement(FLAT_LABEL if layout == "flat" else "")
    for path in paths:
        if layout == "flat":
            arrangement.pictures.append(Placed(path, FLAT_LABEL))
        elif "/" in path:
            arrangement.pictures.append(Placed(path, path.split("/", 1)[0]))
        else:
            arrangement.refused.append(
                (path, "found a picture beside the class folders, expected it in one of them; move or remove it")
            )
    return arrangement


def _arrange_defects(paths: list[str]) -> Arrangement:
    arrangement = Arrangement(DEFECTS_NORMAL_LABEL)
    masks: dict[str, str] = {}
    pictures: list[tuple[str, str, str, str]] = []
    for path in paths:
        top, label, name = [*path.split("/", 2), "", ""][:3]
        if name and top in ("train", "test") and label != DEFECTS_NORMAL_LABEL == label.strip().casefold():
            arrangement.refused.append((path, f"expected {top}/{DEFECTS_NORMAL_LABEL}; rename the folder"))
        elif top == "ground_truth" and name:
            _add_mask(masks, path, f"{label}/{_stem(name)}", arrangement.refused)
        elif name and (top == "test" or (top == "train" and label == DEFECTS_NORMAL_LABEL)):
            pictures.append((path, label, top, f"{label}/{_stem(name)}"))
        else:
            arrangement.refused.append(
                (path, "expected only train/good, test/<label> and ground_truth/<label>; move or remove it")
            )
    used: dict[str, str] = {}
    for path, label, part, key in pictures:
        mask = next((masks[k] for k in (f"{key}_mask", key) if part == "test" and k in masks), "")
        if mask in used:
            arrangement.refused.append(
                (path, f"found the same mask {mask} as {used[mask]} has, expected one each; rename the picture")
            )
            continue
        if mask:
            used[mask] = path
        arrangement.pictures.append(Placed(path, label, part, mask=mask))
    keys = {key for _, _, part, key in pictures if part == "test"}
    for key, mask in masks.items():
        if mask in used:
            continue
        if key in keys:
            reason = f"found beside {masks[f'{key}_mask']}, expected one mask for the picture; remove one of them"
        elif (picture := _ENDING.sub("", key)) in keys:
            name = picture.rpartition("/")[2]
            reason = f"found a mask whose name is no picture's, expected {name}_mask.* or {name}.*; rename or remove it"
        else:
            reason = f"found a mask without its picture, expected test/{key.removesuffix('_mask')}.*; add or remove it"
        arrangement.refused.append((mask, reason))
    return arrangement


def _add_mask(masks: dict[str, str], path: str, key: str, refused: list[tuple[str, str]]) -> None:
    if key in masks:
        refused.append((path, f"found beside {masks[key]}, expected one mask for the picture; remove one of them"))
    else:
        masks[key] = path


def _stem(name: str) -> str:
    return name.rpartition(".")[0]


def _some(names: list[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else "")


def grouping(group_by: dict[str, Any] | None) -> Callable[[str], str | None]:
    """From a relative path to its group: "" where nothing is grouped, None where the path has no such key.

    Args:
        group_by: None; {"level": k}, the k-th folder of the path (1 is the outermost); or
            {"pattern": regular expression with one group}, searched in the path.

    Raises:
        InputError: anything else.
    """
    if group_by is None:
        return lambda path: ""
    form = "{level: 1} or {pattern: 'regular expression with one group'}"
    if not isinstance(group_by, dict) or set(group_by) not in ({"level"}, {"pattern"}):
        raise InputError(f"group_by: found {group_by!r}, expected {form}")
    if "level" in group_by:
        level = group_by["level"]
        if isinstance(level, bool) or not isinstance(level, int) or level < 1:
            raise InputError(f"group_by: found level {level!r}, expected a whole number of at least 1")
        return lambda path: (path.split("/")[:-1][level - 1 : level] or (None,))[0]
    try:
        pattern = re.compile(group_by["pattern"])
    except (re.error, TypeError) as error:
        raise InputError(f"group_by: found pattern {group_by['pattern']!r} ({error}), expected {form}") from error
    if pattern.groups != 1:
        raise InputError(
            f"group_by: found {pattern.groups} groups in pattern {group_by['pattern']!r}, expected one pair of brackets"
        )
    return lambda path: (found[1] or None) if (found := pattern.search(path)) else None
