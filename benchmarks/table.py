"""docs/results.md and its figures, from the versioned tables of the benchmark pipeline.

    python -m benchmarks.table [ENVIRONMENT ...]

Each environment (default: base and fashion) must have run `kedro run --env ENVIRONMENT --pipelines benchmark`.
"""

from __future__ import annotations

import argparse
import json
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project

from fanogan_pipeline.benchmark.auroc import holm
from fanogan_pipeline.benchmark.tables import OURS
from fanogan_pipeline.datasets import FigureDataset
from fanogan_pipeline.detection.scoring import MIXES
from fanogan_pipeline.errors import InputError
from fanogan_pipeline.figures.benchmark import benchmark_aurocs, method_name

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs/results.md"
README = ROOT / "README.md"
MARKS = ("<!-- results: written by `make results` -->", "<!-- end of results -->")
PERCENT = 100
WIDTH = 118  # of a line of prose
SURE = 0.05  # p-value below which a comparison counts as won or lost

# Environment -> name of its data, and the classes whose test labels were read while score and training were designed.
# Both are of ten classes named by digits, and have so many official test images.
DATA = {"base": ("MNIST", ("1", "2", "8")), "fashion": ("Fashion-MNIST", ("0", "6"))}
TESTED = 10_000


@dataclass(frozen=True)
class Results:
    """The tables of one environment, and the manifest of the run that made them."""

    environment: str
    name: str
    design: tuple[str, ...]
    table: pd.DataFrame
    summary: pd.DataFrame
    comparisons: pd.DataFrame
    manifest: dict[str, Any]

    @classmethod
    def load(cls, environment: str) -> Results:
        """From the newest complete version of each table.

        Raises:
            InputError: they are of a run of another environment, of other pictures, or without f-AnoGAN.
        """
        with KedroSession.create(ROOT, env=environment) as session:
            catalog = session.load_context().catalog
            tables = [catalog.load(f"benchmark_{name}") for name in ("table", "summary", "comparisons")]
            version = catalog["benchmark_table"].resolve_load_version()
            manifest = json.loads(Path(catalog["run_manifest"]._get_versioned_path(version)).read_text())
        if (made_in := manifest["environment"]) not in {"base": ("base", "local")}.get(environment, (environment,)):
            raise InputError(
                f"benchmark_table: the newest, {version}, was made with --env {made_in}, expected {environment}; first "
                f"{command(environment)}"
            )
        name, design = DATA.get(environment, (environment, ()))
        texts = {"normal_class": str, "method": str}
        found = [table.astype({key: kind for key, kind in texts.items() if key in table}) for table in tables]
        table = found[0]
        if OURS not in set(table["method"]):
            raise InputError(
                f"benchmark_table: found no {OURS}, which the page sets the others against; first "
                f"{command(environment)} with it among benchmark.methods"
            )
        if (
            design
            and not (table["normal_class"].str.isdigit() & (table["n_normal"] + table["n_anomalous"] == TESTED)).all()
        ):
            raise InputError(
                f"benchmark_table: found other pictures or fewer test images than the {TESTED:,} of {name}; first "
                f"{command(environment)} with raw_images and data_prep as in conf/{environment}"
            )
        return cls(environment, name, design, *found, manifest)

    @property
    def whole(self) -> pd.DataFrame:
        """The rows of whole methods, not of parts of one."""
        return self.table[~self.table["method"].str.contains(":")]


def markdown(table: pd.DataFrame) -> str:
    """A table of texts, its first column to the left and the others to the right."""
    rows = [list(table.columns), ["---", *["---:"] * (table.shape[1] - 1)], *table.astype(str).to_numpy().tolist()]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def listed(names: Sequence[str]) -> str:
    """a, b and c."""
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else "".join(names)


def words(method: str) -> str:
    """A method as a reader would write it, ours in bold."""
    return f"**{method_name(method)}**" if method == OURS else method_name(method)


def by_class(results: Results) -> str:
    """AUROC of every whole method and class."""
    wide = results.whole.pivot_table("auroc", "method", "normal_class")
    wide["mean"] = wide.mean(axis=1)
    kept = [name for name in wide if name not in (*results.design, "mean")]
    if results.design:
        wide[f"without {listed(results.design)}"] = wide[kept].mean(axis=1)
    wide = wide.sort_values("mean", ascending=False)
    best = wide.max()
    text = pd.DataFrame({name: [_bold(value, best[name]) for value in wide[name]] for name in wide}, index=wide.index)
    return markdown(text.rename(index=words).rename_axis("AUROC").reset_index())


def _bold(value: float, best: float) -> str:
    return f"**{value:.4f}**" if value == best else f"{value:.4f}"


def quality(results: Results) -> str:
    """Everything else of whole methods, means over classes and seeds."""
    rows = results.summary[~results.summary["method"].str.contains(":")]
    return markdown(
        pd.DataFrame(
            {
                "method": rows["method"].map(words),
                "AUROC": rows["auroc"].map("{:.4f}".format),
                "± test": rows["test_spread"].map("{:.4f}".format),
                "± seeds": rows["seed_spread"].map(lambda value: "" if pd.isna(value) else f"{value:.4f}"),
                "AP": rows["average_precision"].map("{:.4f}".format),
                "recall at 1 %": rows["recall_at_1"].map(_share),
                "at 5 %": rows["recall_at_5"].map(_share),
                "promised": rows["promised_1"].map(_share),
                "false alarms": rows["false_alarms_1"].map(_share),
                "recall there": rows["recall_1"].map(_share),
                "fit, s": rows["fit_seconds"].map("{:.0f}".format),
                "score, s": rows["score_seconds"].map("{:.1f}".format),
                "f-AnoGAN ahead by": [
                    "" if row.method == OURS else _difference(row) for row in rows.itertuples(index=False)
                ],
            }
        )
    )


def _share(value: float) -> str:
    return f"{PERCENT * value:.1f} %"


def _difference(row: Any) -> str:
    told = f"{row.difference:+.4f} ({row.difference_low:+.4f} to {row.difference_high:+.4f}), p {_p(row.p_holm)}"
    spread = row.difference_seed_spread
    return told if pd.isna(spread) else f"{told}; ± {spread:.4f} over seeds"


def _p(value: float) -> str:
    return "< 0.0001" if value < 1e-4 else f"{value:.4f}"


def parts(results: Results) -> str:
    """What f-AnoGAN's score would be worth made of one thing alone."""
    rows = results.summary[results.summary["method"].str.startswith(f"{OURS}:")]
    names = rows["method"].str.removeprefix(f"{OURS}: ").str.replace("_", " ")
    return markdown(pd.DataFrame({"score of": names, "mean AUROC": rows["auroc"].map("{:.4f}".format)}))


def choices(results: Results) -> pd.DataFrame:
    """What the rule chose for each class, and what the best of its candidates would have been."""
    table, rows = results.table, []
    candidates = [f"{OURS}: {mix}" for mix in MIXES]
    for (name, seed), cell in table.groupby(["normal_class", "seed"]):
        auroc = cell.set_index("method")["auroc"]
        best = auroc[[mix for mix in candidates if mix in auroc]].idxmax()  # a stored cell may lack a newer mix
        choice = cell.loc[cell["method"] == OURS, "detail"].item()
        rows.append((name, seed, choice, auroc[OURS], best.removeprefix(f"{OURS}: "), auroc[best]))
    return pd.DataFrame(rows, columns=["normal class", "seed", "chosen", "AUROC", "best in hindsight", "its AUROC"])


def chosen(results: Results) -> str:
    """`choices` as a table."""
    return markdown(choices(results).map(lambda value: f"{value:.4f}" if isinstance(value, float) else value))


def told_of_choices(results: Results) -> str:
    """How well the rule chose on one data set, in a sentence."""
    made = choices(results)
    lost = made["its AUROC"] - made["AUROC"]
    worst = made.loc[lost.idxmax()]
    mixes = [
        f"{mix.replace('_', ' ')} on {count}"
        for mix, count in made["chosen"].value_counts().items()  # most frequent first
    ]
    told = (
        f"on {results.name} the rule took {listed(mixes)} of {len(made)} trainings, the best mix on {(lost <= 0).sum()}"
    )
    return f"{told}, and lost at most {lost.max():.4f} (class {worst['normal class']})"


def beaten(results: Results) -> str:
    """On how many classes each other method is worse or better at every seed, after Holm's correction over them all."""
    others = results.comparisons[~results.comparisons["method"].str.startswith(OURS)]
    is_sure = holm(others["p_value"].to_numpy()) < SURE
    pairs = ["normal_class", "method"]
    told = others.assign(is_better=is_sure & (others["difference"] > 0), is_worse=is_sure & (others["difference"] < 0))
    always = told.groupby(pairs, sort=False)[["is_better", "is_worse"]].all()
    lost = always.index[always["is_worse"]]
    mean = others.groupby(pairs)["difference"].mean()
    where = [f"{words(method)} on {name} ({-mean[name, method]:.4f} ahead)" for name, method in lost]
    seeds = others["seed"].nunique()
    return (
        f"Of {len(always)} pairs of a class and another method f-AnoGAN wins {always['is_better'].sum()} and loses "
        f"{len(lost)}{' at every seed' if seeds > 1 else ''} (DeLong, p < {SURE} after Holm's correction over all "
        f"{len(others)} comparisons){': it loses to ' + listed(where) if where else ''}."
    )


def promise(results: Results) -> str:
    """Which methods flag more of the normal test images than was promised, by more than chance explains."""
    rows = results.summary[~results.summary["method"].str.contains(":")]
    error = chance_error(results.table)
    over = rows.loc[rows["false_alarms_1"] - rows["promised_1"] > 2 * error, "method"]
    return (
        f"More false alarms than promised by over two of chance's standard errors ({PERCENT * error:.2f} points each): "
        f"{listed([method_name(name) for name in over]) or 'none'}."
    )


def chance_error(table: pd.DataFrame) -> float:
    """Standard error of the mean of `false_alarms_1` over all cells, where the promise holds.

    A cell's count is beta-binomial; of its variance the beta law's part is drawn anew by each seed's calibration
    images, while the binomial part is of test images that the seeds share.
    """
    cells = table.drop_duplicates(["normal_class", "seed"]).groupby("normal_class")
    means = cells[["promised_1", "n_calibration", "n_normal"]].mean()
    rate, n = means["promised_1"], means["n_calibration"]
    variances = rate * (1 - rate) / (n + 2) * (1 / cells.size() + (n + 1) / means["n_normal"])
    return float(variances.sum() ** 0.5 / len(variances))


def command(environment: str) -> str:
    """What makes an environment's tables."""
    return f"kedro run {'' if environment == 'base' else f'--env {environment} '}--pipelines benchmark"


def made_by(manifest: dict[str, Any], environment: str) -> str:
    """The command of the tables' run, what it was told besides, its day, code and torch."""
    stated = {"params": manifest["run"]["params"]} if manifest["run"].get("params") else {}
    told = f" --config told.yml` with `run: {json.dumps(stated)}` in told.yml" if stated else "`"
    git = manifest["git"] or {}
    commit = f"{git.get('commit', 'unknown')[:10]}{'' if git.get('is_clean', True) else ' with changes'}"
    torch = manifest["packages"].get("torch")
    return f"`{command(environment)}{told} on {manifest['started'][:10]}, commit {commit}, torch {torch}"


def timed_on(manifest: dict[str, Any]) -> str:
    """What the seconds of a run's table are of; manifests that name no device are of before a GPU had computed one."""
    device = manifest.get("device", "cpu")
    return "one CPU thread" if device == "cpu" else f"one process on the {device}"


def beginning(all_results: list[Results]) -> str:
    """How the tables were made and how to read them."""
    machines = listed(list(dict.fromkeys(timed_on(found.manifest) for found in all_results)))
    has_control = any("f_anogan_untrained" in set(found.table["method"]) for found in all_results)
    return HEAD.format(timed_on=machines, control=CONTROL if has_control else "")


def section(results: Results) -> str:
    """All of one data set."""
    m, table = results.manifest, results.table
    image = f"images/benchmark_{results.environment}.png"
    FigureDataset(filepath=str(ROOT / "docs" / image)).save(benchmark_aurocs(table))
    ours = table[table["method"] == OURS]
    fanogan = ours["fit_seconds"].sum() + ours["score_seconds"].sum()
    named = f"{m['processor']}, " if "processor" in m else ""  # which no manifest told once
    computer = f"{timed_on(m)} a seed ({named}{m['cores']} cores)"
    read = listed(results.design)
    seeds = listed([str(seed) for seed in sorted(table["seed"].unique())])
    means = listed([f"{mean:.4f}" for mean in ours.groupby("seed")["auroc"].mean()])
    design = f"Score and training were tuned on the labels of {read}, hence the last column."
    return f"""## {results.name}

{made_by(m, results.environment)}: {len(ours)} cells.
f-AnoGAN's own share of the work is {fanogan / 60 / table["seed"].nunique():.0f} minutes of {computer}.
f-AnoGAN's mean AUROC over classes: {means} (seed {seeds}).

![AUROC by class]({image})

{by_class(results)}

{design if results.design else ""}

{quality(results)}

{beaten(results)} {promise(results)}

What the rule chose (it sees normal images only), beside what would have been best:

{chosen(results)}

f-AnoGAN's score made of one thing alone:

{parts(results)}
"""


def filled(text: str) -> str:
    """A paragraph in lines; a name broken at its hyphen would be shown with a blank in it."""
    return textwrap.fill(text, WIDTH, break_on_hyphens=False)


def opening(all_results: list[Results]) -> str:
    """Whose means the README's table holds, on which labels the defaults were designed, and the means without those."""
    counts = listed([f"{found.whole['normal_class'].nunique()} of {found.name}" for found in all_results])
    told = f"Mean AUROC over classes ({counts}), each normal in turn, official test images, one default setting."
    if tuned := [found for found in all_results if found.design]:
        classes = listed([f"{found.name}'s {listed(found.design)}" for found in tuned])
        others = [found.whole[~found.whole["normal_class"].isin(found.design)] for found in tuned]
        means = listed([f"{rows.loc[rows['method'] == OURS, 'auroc'].mean():.4f}" for rows in others])
        told += f" The defaults were designed on test labels of {classes}; without these classes f-AnoGAN has {means}."
    return filled(told)


def head(all_results: list[Results]) -> str:
    """Mean AUROC of every whole method on every data set, for the README."""
    means = {found.name: found.whole.groupby("method")["auroc"].mean() for found in all_results}
    ours = pd.DataFrame(means)
    ours = ours.loc[ours.mean(axis=1).sort_values(ascending=False).index]
    text = ours.map(lambda value: "" if pd.isna(value) else f"{value:.4f}").rename(index=words)
    rule = "; ".join(told_of_choices(found) for found in all_results)
    table = markdown(text.rename_axis("method").reset_index())
    ours = filled(f"What the score is made of, chosen without a test label: {rule}.")
    return f"{opening(all_results)}\n\n{table}\n\n{ours}"


def with_head(readme: str, text: str) -> str:
    """The README with the text between its marks.

    Raises:
        ValueError: it has no marks.
    """
    before, rest = readme.split(MARKS[0])
    _, after = rest.split(MARKS[1])
    return f"{before}{MARKS[0]}\n\n{text}\n\n{MARKS[1]}{after}"


HEAD = """# Results

Made by `make results` from the tables of `kedro run --pipelines benchmark` and `kedro run --env fashion --pipelines
benchmark`; nothing here is typed in. MNIST is in `data/01_raw/mnist`; Fashion-MNIST is read from where Debian's package
dataset-fashion-mnist puts it, or from where `conf/fashion/catalog.yml` says.

Each class is normal in turn: trained on its official training images less a tenth for selection and a tenth for
calibration, tested on all official test images. One default setting for all classes and data sets. No test label
takes part in any choice: the score is settled by anomalies made up from the selection set's normal images, thresholds
by the calibration set. The method itself is another matter: tables of all classes were made and seen between its
versions, and the classes whose labels it was tuned on directly are named, with a second mean that leaves them out.
Each table is of the commit that it names; later ones may score a little otherwise.

How to read the tables: *± test* is the standard deviation of the mean AUROC over bootstrap samples of the test images,
*± seeds* that over seeds, each with its own split and trainings (empty with one). *Recall at 1 %* is read off the test
images' ROC curve. *Promised* is the false-alarm rate that the calibration images guarantee at the threshold for new
images of the same origin, *false alarms* what it was on the test images, *recall there* the recall at the same
threshold; MNIST's test images are by other writers than its training images, which the promise does not cover.
Chance's standard error is that of the mean of *false alarms* where the promise holds: each seed draws calibration
images anew, and all judge the same test images. Seconds are of {timed_on}, a class and a seed. *f-AnoGAN ahead
by*: the difference of the means with its interval (`benchmark.confidence`) and p-value, paired on the test images,
with Holm's correction over the rows of the table. Both are of the networks trained here and of other test images; what
other trainings would give is in the standard deviation *over seeds*.
*izi*, *ziz* and *uncorrupted* are f-AnoGAN with an encoder trained otherwise on the same WGAN. *3 nearest, relative* is
nearest neighbours on raw pixels with f-AnoGAN's poses and liveliness: training images slightly turned and moved as
well, and the distance over what an image as lively has anyway (`neighbour_ratio` in [method.md](method.md)). It shows
how much these two alone bring. f-AnoGAN's main components, which need no network either, are left out.
{control}"""
CONTROL = "*untrained* is f-AnoGAN after one update of each network: it lacks what training brings.\n"

TAIL = """## When to pick another method

- **A few dozen images, or seconds to spend.** PCA and nearest neighbours fit in a second and come close where classes
  are compact; with few images a WGAN learns little. Nearest neighbours set off against liveliness come closest of all.
- **Defects that are subtle changes inside a varied class.** What is well restored looks normal: the generator's blur
  hides fine detail. The choice then falls on the distance from neighbours, and the heat map says little of why. Methods
  on networks pretrained on photographs are ahead there, when such networks may be used.
- **Faint defects on natural surfaces.** Wood, bark or gravel vary more from place to place than a stain or a scratch
  changes them; [method.md](method.md) has sixteen photographed surfaces, measured, and most are hard.
- **Large pictures without a GPU.** Tiling keeps training cheap, not scoring: a picture costs as many passes as tiles.
- **Where the reason must be seen**, f-AnoGAN shows what the picture should have looked like; distance methods do not.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("environments", nargs="*", default=list(DATA))
    asked = parser.parse_args()
    bootstrap_project(ROOT)
    try:
        found = [Results.load(environment) for environment in asked.environments]
    except InputError as error:
        parser.exit(1, f"{error}\n")
    PAGE.write_text("\n".join([beginning(found), *map(section, found), TAIL]))
    README.write_text(with_head(README.read_text(), head(found)))
    print(f"{PAGE.relative_to(ROOT)} and the README's head of it: {', '.join(asked.environments)}")


if __name__ == "__main__":
    main()
