"""Measure time and memory of reading a list of 200,000 people from CSV and from workbooks, each in its own process.

    python -m benchmarks.files [rows]

The list has eight columns, as an HR export does, and one filter. The figures are those of the whole process, until the
entries are there that a sync gets. Seconds are those of the processor, as other work on the machine does not count.
"""

import csv
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import xlsxwriter

READ, WRITE = "--read", "--write"
HEADER = ("Personnel number", "Email", "First name", "Last name", "Department", "Site", "Status", "Start date")


def rows(count: int) -> Iterator[tuple[str, ...]]:
    for at in range(count):
        status = "Left" if at % 20 == 0 else "Active"
        where = (f"Department {at % 37}", f"Site {at % 11}")
        name = (f"First{at % 997}", f"Last{at % 4_999}")
        yield (f"E{at:07}", f"first.last{at}@example.com", *name, *where, status, f"20{at % 26:02}-03-{at % 28 + 1:02}")


def write(folder: Path, count: int) -> list[Path]:
    """Write the lists: CSV, .xlsx with texts in the cells, .xlsx with shared texts as Excel writes it."""
    files = [folder / "people.csv", folder / "people.xlsx", folder / "shared.xlsx"]
    with files[0].open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(HEADER)
        writer.writerows(rows(count))
    for file, lean in ((files[1], True), (files[2], False)):
        book = xlsxwriter.Workbook(str(file), {"constant_memory": lean})
        sheet = book.add_worksheet("People")
        sheet.write_row(0, 0, HEADER)
        for at, row in enumerate(rows(count), start=1):
            sheet.write_row(at, 0, row)
        book.close()
    return files


def read(file: str) -> None:
    """Read one list; print the seconds and the peak of this process."""
    from thrive_async.cli._option_types import Input
    from thrive_async.cli._people import people_of

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.process_time()
    reading = Input(where=("Status=Active",))
    sheets = reading.read_all([file])
    alone = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    read_in = time.process_time() - start
    _sheets, people = people_of(sheets, "Personnel number", reading)
    seconds = time.process_time() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    size = Path(file).stat().st_size / 1e6
    print(
        f"{Path(file).name} ({size:.0f} MB): read in {read_in:.1f} s, peak {alone / 1024:.0f} MB; "
        f"{len(people[0].desired):,} entries in {seconds:.1f} s, peak {peak / 1024:.0f} MB, "
        f"of which {before / 1024:.0f} MB before"
    )


def main() -> None:
    if READ in sys.argv:
        read(sys.argv[2])
        return
    count = int(sys.argv[-1]) if len(sys.argv) > 1 else 200_000
    if WRITE in sys.argv:
        write(Path(sys.argv[2]), count)
        return
    program = (sys.executable, "-m", "benchmarks.files")
    with tempfile.TemporaryDirectory() as folder:
        # In a process of its own, too: a child begins with the peak of its parent.
        subprocess.run([*program, WRITE, folder, str(count)], check=True)
        for file in sorted(Path(folder).iterdir()):
            subprocess.run([*program, READ, str(file)], check=True)


if __name__ == "__main__":
    main()
