"""The results of a confirm stage in words: for a terminal, and as Markdown."""

from runback.statistics.interval import Interval
from runback.statistics.paired_seeds import Standing
from runback.sweeping.confirm.confirm_results import Confirmed
from runback.sweeping.confirm.finalists import Finalist
from runback.sweeping.reporting.markdown import table_row
from runback.system.text.escape import for_markdown
from runback.system.text.formatting import short_names, short_value

NAMED = 5
"""Trials that are named in a row."""


def verdict(result: Confirmed) -> str:
    """Say which finalists are better than which, as far as that is known, in a sentence or two."""
    if not result.standings:
        return "No finalist has a value on every fresh seed."
    best, *others = result.standings
    if not others:
        return _alone(result.finalist(best.trial), len(result.plan.finalists))
    if all(len(set(one.values)) == 1 for one in result.standings):
        return (
            f"Fresh seeds ({result.plan.seed_key}) made no difference: there is no noise to judge by; none "
            "is called better."
        )
    behind = [one.trial for one in others if one.is_behind]
    level = [one.trial for one in others if not one.is_behind]
    if not behind:
        return f"{_trials([best.trial, *level])} differ by less than noise: none of them is better."
    better = f"Trial {best.trial} is better than {_trials(behind).lower()}, beyond noise"
    return (
        f"{better}; from {_trials(level).lower()} it differs by less than noise." if level else f"{better}."
    )


def terminal_lines(result: Confirmed) -> list[str]:
    """Return what a person reads on a terminal when the stage has ended."""
    n = len(result.plan.seeds)
    lines = [f"confirmed on {n} fresh seeds, mean and 95 % interval:"]
    for one in result.standings:
        lines.append(
            f"  {_interval(one.mean)}  trial {one.trial:>3}  in the search {one.search:.4f}, "
            f"{_optimism(one.optimism)}{_chance(one, ', best with probability ')}"
        )
    lines += [f"  no mean: {_missing(result, one)}" for one in result.incomplete]
    return [*lines, *_twin_sentences(result), verdict(result)]


def confirm_section(result: Confirmed, registered: str | None = None) -> str:
    """Return the results as a section of Markdown, without its end of line.

    `registered` says what the registry has of it.
    """
    n, m = len(result.plan.seeds), len(result.standings)
    seeds = ", ".join(map(str, result.plan.seeds))
    lines = [
        "## Confirmed on fresh seeds",
        "",
        f"**{for_markdown(verdict(result))}**",
        "",
        f"The search's best trials were trained again on {n} fresh seeds, the same for all: {seeds}. A value "
        "in the search is one of many and the best of them; the optimism is by how much it looked too good.",
        "",
        table_row(
            ["trial", "mean", "95 % interval", "in the search", "optimism", "the best one's lead", "P(best)"]
        ),
        "|--:|--:|---|--:|--:|---|--:|",
        *(_row(one) for one in result.standings),
        "",
        *(f"{sentence}\n" for sentence in _twin_sentences(result)),
        *(f"No mean: {_missing(result, one)}.\n" for one in result.incomplete),
    ]
    if m > 1:
        lines += [f"{_method(m * (m - 1) // 2)}\n"]
    if registered:
        lines += [f"{for_markdown(registered)}\n"]
    lines += [table_row(["trial", "params"]), "|--:|---|", *(_params(one) for one in result.plan.finalists)]
    return "\n".join(lines)


def _alone(finalist: Finalist, finalists: int) -> str:
    if finalist.twins:
        twins = _trials([finalist.trial, *finalist.twins])
        return f"{twins} differ only in their seed: they are one configuration, and none of them is better."
    if finalists > 1:
        return f"Only trial {finalist.trial} has a value on every fresh seed."
    return f"Trial {finalist.trial} was the only one to confirm."


def _twin_sentences(result: Confirmed) -> list[str]:
    """Say which trials were not confirmed because they are finalists already, where `verdict` does not."""
    if len(result.standings) == 1 and result.finalist(result.standings[0].trial).twins:
        return []
    twins = [one for one in result.plan.finalists if one.twins]
    return [f"{_trials([one.trial, *one.twins])} differ only in their seed: one finalist." for one in twins]


def _method(pairs: int) -> str:
    corrected = f", corrected for {pairs} pairs (Bonferroni)" if pairs > 1 else ""
    return (
        f"Leads are means of differences on the same seed with their paired t interval, 95 %{corrected}; one "
        "that leaves 0 out is beyond noise. P(best), the probability of the best mean, is the posterior's of "
        "a normal model: seeds shift all finalists alike, noise is of one size for all. All of it is about "
        "chance in training, on this sweep's validation data, and not about other data."
    )


def _row(one: Standing) -> str:
    lead = "the best" if one.lead is None else _lead(one.lead)
    cells = [f"{one.mean.mean:.4f}", f"{one.mean.low:.4f} to {one.mean.high:.4f}", f"{one.search:.4f}"]
    cells += [f"{one.optimism:+.4f}", lead, _chance(one) or "unknown"]
    return table_row([str(one.trial), *cells])


def _lead(lead: Interval) -> str:
    if lead.low != lead.low:
        same = "none" if abs(lead.mean) < 1e-12 else f"{lead.mean:.4f}"
        return f"{same}, the same on every seed: no noise to judge it by"
    return f"{lead.mean:.4f} ({lead.low:.4f} to {lead.high:.4f}){'' if lead.is_beyond_noise else ', noise'}"


def _params(one: Finalist) -> str:
    names = short_names(one.params)
    return table_row(
        [
            str(one.trial),
            for_markdown(" ".join(f"{names[k]}={short_value(v)}" for k, v in one.params.items())),
        ]
    )


def _missing(result: Confirmed, one: Finalist) -> str:
    return (
        f"trial {one.trial} has a value on {len(result.values(one.trial))} of {len(result.plan.seeds)} seeds"
    )


def _interval(one: Interval) -> str:
    return f"{one.mean:.4f} [{one.low:.4f}, {one.high:.4f}]"


def _optimism(optimism: float) -> str:
    return f"{abs(optimism):.4f} too {'good' if optimism >= 0 else 'bad'}"


def _chance(one: Standing, before: str = "") -> str:
    return "" if one.probability_best is None else f"{before}{100 * one.probability_best:.0f} %"


def _trials(numbers: list[int]) -> str:
    return f"{'Trial' if len(numbers) == 1 else 'Trials'} {_list(numbers)}"


def _list(numbers: list[int]) -> str:
    """Return `3`, `3 and 5`, or `3, 5 and 7`; of many the first ones."""
    texts = [str(number) for number in numbers]
    if len(texts) > NAMED:
        texts = [*texts[:NAMED], f"{len(texts) - NAMED} more"]
    return " and ".join(texts) if len(texts) < 3 else f"{', '.join(texts[:-1])} and {texts[-1]}"
