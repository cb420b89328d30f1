"""Puts several runs of the benchmarks together: a table to read and a record to keep.

``python benchmarks/table.py results/*.json [--write results.json]``

Each run is a process of its own and gives one ratio for each opponent: the median of its paired
repeats. The table shows the median of the runs' ratios with the least and the greatest of them.
Seconds are the median of the runs' medians, with the shortest and the longest single repeat. Two
numbers stand above each race: the ratio of the fastest other way to the same result, and the share
of the machine's limit that is reached.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from statistics import median

from recsys.archive import beside

OURS = "this book"


def collect(runs: list[dict]) -> dict:
    """Return the record to keep of the runs, each as pytest-benchmark wrote it.

    Raises
    ------
    ValueError
        If the runs are not of one machine, one commit and the same races.
    """
    for name in ("machine_info", "commit_info"):
        if any(part_of(run, name) != part_of(runs[0], name) for run in runs):
            raise ValueError(f"{name}: got several, expected one for all runs")
    names = [[bench["fullname"] for bench in run["benchmarks"] if is_race(bench)] for run in runs]
    if any(found != names[0] for found in names):
        raise ValueError("benchmarks: got different races, expected the same in all runs")
    records = [{b["fullname"]: b["extra_info"] for b in run["benchmarks"]} for run in runs]
    return {
        "date": runs[-1]["datetime"][:10],
        "commit": runs[0]["commit_info"].get("id"),
        "changed_since": runs[0]["commit_info"].get("dirty"),
        "machine": runs[0]["machine_info"],
        "runs": len(runs),
        "races": [one_race(name, [record[name] for record in records]) for name in names[0]],
    }


def part_of(run: dict, name: str) -> object:
    """Return what has to be the same in all runs."""
    return run[name]["id"] if "id" in run[name] else run[name]


def is_race(bench: dict) -> bool:
    """Tell a race from a plain benchmark, which has no opponents."""
    return "peers" in bench["extra_info"]


def one_race(name: str, records: list[dict]) -> dict:
    """Return a race with its records of all runs and with their summary."""
    first = records[0]
    return {
        "test": name.rsplit("/", 1)[-1],
        **{key: first[key] for key in ("work", "unit", "threads", "repeats")},
        **headline(rows := summary(records)),
        "rows": rows,
        "facts": facts(records),
        "records": [kept(record) for record in records],
    }


def headline(rows: list[dict]) -> dict:
    """Return the two numbers: how far ahead of the fastest other way, and the share of the limit.

    Of several limits the one that takes longest counts. ``None`` where a race has no such row.
    """
    peers, limits = ([row for row in rows[1:] if row["kind"] == kind] for kind in ("peer", "limit"))
    fastest = min(peers, key=lambda row: row["ratio"], default=None)
    limit = max(limits, key=lambda row: row["ratio"], default=None)
    return {
        "fastest": None if fastest is None else fastest["who"],
        "ahead": None if fastest is None else fastest["ratio"],
        "limit": None if limit is None else limit["who"],
        "share": None if limit is None else limit["ratio"],
    }


def kept(record: dict) -> dict:
    """Return the numbers of one run; what is the same in all runs stands in the summary."""
    peers = [
        {k: v for k, v in peer.items() if k not in ("kind", "note")} for peer in record["peers"]
    ]
    return {"ours": record["ours"], "peers": peers, "facts": record["facts"]}


def summary(records: list[dict]) -> list[dict]:
    """Return a row for us and one for each opponent."""
    rows = [{"who": OURS, **seconds([record["ours"] for record in records])}]
    for place, peer in enumerate(records[0]["peers"]):
        found = [record["peers"][place] for record in records]
        ratios = [one["ratio"] for one in found]
        rows.append(
            {
                "who": peer["name"],
                **seconds(found),
                "ratio": median(ratios),
                "ratio_low": min(ratios),
                "ratio_high": max(ratios),
                "kind": peer["kind"],
                "note": peer["note"],
            }
        )
    return rows


def seconds(found: list[dict]) -> dict[str, float]:
    """Return the median of the runs' medians, and the shortest and the longest repeat."""
    return {
        "seconds": median(one["seconds"] for one in found),
        "low": min(one["low"] for one in found),
        "high": max(one["high"] for one in found),
    }


def facts(records: list[dict]) -> list[dict]:
    """Return the median of each measured number that is no ratio, with the least and greatest."""
    rows = []
    for name in records[0]["facts"]:
        values = [record["facts"][name] for record in records]
        rows.append(
            {"name": name, "value": median(values), "low": min(values), "high": max(values)}
        )
    return rows


def rounded(value: object) -> object:
    """Return the value with floats cut to five digits, so that the kept file stays small."""
    if isinstance(value, float):
        return float(f"{value:.5g}")
    if isinstance(value, dict):
        return {key: rounded(one) for key, one in value.items()}
    return [rounded(one) for one in value] if isinstance(value, list) else value


def dumped(record: dict) -> str:
    """Return the record as JSON with one race on a line."""
    head = {key: value for key, value in record.items() if key != "races"}
    races = ",\n".join(json.dumps(rounded(race), ensure_ascii=False) for race in record["races"])
    return json.dumps(head, indent=1, ensure_ascii=False)[:-2] + f',\n "races": [\n{races}\n]}}\n'


def text(record: dict) -> str:
    """Return the table."""
    machine = record["machine"]
    lines = [
        f"{record['date']}, commit {str(record['commit'])[:10]}, {record['runs']} runs, "
        f"{machine['cpu']}, {machine['cores']} cores, {', '.join(machine['blas'])}"
    ]
    for race in record["races"]:
        threads = "1 thread" if race["threads"] == 1 else f"{race['threads']} threads"
        lines += ["", f"{race['work']} ({race['unit']}; {threads})"]
        if race["fastest"] is not None:
            lines.append(f"  {race['ahead']:.3g} times as fast as {race['fastest']}")
        if race["limit"] is not None:
            lines.append(f"  {100 * race['share']:.3g} per cent of the limit, {race['limit']}")
        for row in race["rows"]:
            line = f"    {row['who']:<44}{time_of(row['seconds']):>9}"
            line += f" {time_of(row['low']) + '-' + time_of(row['high']):>19}"
            if "ratio" in row:
                line += f" {row['ratio']:>8.3g}x {row['ratio_low']:>7.3g}-{row['ratio_high']:<7.3g}"
                line += f" {row['kind']}" + (f"  [{row['note']}]" if row["note"] else "")
            lines.append(line.rstrip())
        for fact in race["facts"]:
            value, low, high = (f"{fact[key]:.4g}" for key in ("value", "low", "high"))
            lines.append(f"    {fact['name']:<44}{value:>9} {low}-{high}")
    return "\n".join(lines)


def time_of(value: float) -> str:
    """Return a time with three digits and its unit."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value / 1e-9:.3g} ns"


def main() -> None:
    """Print the table and, if asked, write the record."""
    parser = argparse.ArgumentParser(description="Put runs of the benchmarks together.")
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--write", type=Path, help="where to keep the record")
    arguments = parser.parse_args()
    record = collect([json.loads(path.read_text()) for path in sorted(arguments.runs)])
    if arguments.write:
        with beside(arguments.write) as place:
            place.write_text(dumped(record), "utf-8")
    print(text(record))


if __name__ == "__main__":
    main()
