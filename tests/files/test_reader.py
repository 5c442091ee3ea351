"""What reading takes and leaves: memory, files, and time after nobody wants the result any more."""

import subprocess
import sys
import threading
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from processors.files.duck import Duck
from processors.files.faults import FileFault, ReadingStopped
from processors.files.options import ReadOptions
from processors.files.reader import FileReader
from processors.files.result import merged
from tests.files.reading import field, read, rows

WANTED = [field("a"), field("b", "INT64")]

# Run in a process of its own: the peak of this one is that of all tests before.
_PEAK = """
import resource, sys
from pathlib import Path
from processors.files.options import ReadOptions
from processors.files.reader import FileReader
from processors.files.result import merged

reader = FileReader(ReadOptions(), detect=True)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
file = reader.read(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[1] + ".parquet"), [])
reader.finish(file, merged([file]))
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024, file.rows)
"""


def big(folder: Path, columns: int, megabytes: int) -> tuple[Path, int]:
    path = folder / "big"
    row = ",".join(f"some text {column}" for column in range(columns)) + "\n"
    count = (megabytes << 20) // len(row)
    with path.open("w") as file:
        file.write(",".join(f"c{column}" for column in range(columns)) + "\n")
        file.writelines(row.replace("some", f"n{n}") for n in range(count))
    return path, count


@pytest.mark.parametrize(("columns", "megabytes"), [(10, 200), pytest.param(400, 100, marks=pytest.mark.long)])
def test_a_file_takes_the_same_memory_whatever_its_size(columns: int, megabytes: int, tmp_path: Path) -> None:
    path, count = big(tmp_path, columns, megabytes)
    command = [sys.executable, "-c", _PEAK, str(path), "big.csv"]

    told = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])

    taken, found = map(int, told.stdout.split())
    assert found == count
    assert taken < 400


def test_reading_stops_when_it_is_told_to(tmp_path: Path) -> None:
    path, _ = big(tmp_path, 10, 100)
    reader = FileReader(ReadOptions(), detect=True)
    ended: list[BaseException | None] = []

    def work() -> None:
        try:
            reader.read(path, "big.csv", tmp_path / "out.parquet", [])
            ended.append(None)
        except ReadingStopped as stopped:
            ended.append(stopped)

    thread = threading.Thread(target=work)
    thread.start()
    while not list(tmp_path.glob("reading-*/staged.parquet")) and thread.is_alive():
        thread.join(0.001)
    while thread.is_alive():
        reader.interrupt()
        thread.join(0.01)

    assert [type(end) for end in ended] == [ReadingStopped]
    assert [file.name for file in tmp_path.iterdir()] == ["big"]
    with pytest.raises(ReadingStopped):
        reader.read(path, "big.csv", tmp_path / "out.parquet", [])


def test_duckdb_reads_nothing_but_the_file(tmp_path: Path) -> None:
    folder, source, other = tmp_path / "work", tmp_path / "source.csv", tmp_path / "other.csv"
    folder.mkdir()
    for path in (source, other):
        path.write_text("a\n1\n")
    with Duck(folder, source, check=lambda: None) as duck:
        assert duck.rows(f"FROM read_csv('{source}')") == [(1,)]
        for statement in (
            f"FROM read_csv('{other}')",
            f"COPY (SELECT 1) TO '{other}'",
            f"ATTACH '{tmp_path / 'other.db'}'",
            "SET memory_limit = '1TB'",
            "INSTALL httpfs",
        ):
            with pytest.raises(Exception, match=r"Permission|disabled|locked|Cannot"):
                duck.rows(statement)


def test_names_in_sql_are_only_names(tmp_path: Path) -> None:
    header = 'a"b,"it\'s; DROP TABLE x","{t}$"'
    file = read(tmp_path, f"{header}\n1,2,3\n", detect=True)
    assert [of["name"] for of in file.fields] == ["a_b", "it_s__DROP_TABLE_x", "_t__"]
    assert rows(file) == [("1", "2", "3")]
    markers = read(tmp_path, "a,b\nit's,1\n", *WANTED, csv={"null_markers": ["it's", "$", "]"]})
    assert rows(markers) == [(None, 1)]
    hostile = "\"x' || (SELECT 1) || '\""
    assert read(tmp_path, f"a,b\n1,{hostile}\n", *WANTED).bad_count == 1


def test_a_pattern_is_no_path(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="for a pattern"):
        FileReader(ReadOptions(), detect=False).read(tmp_path / "a*.csv", "a.csv", tmp_path / "out.parquet", WANTED)


def test_the_result_replaces_nothing_until_it_is_whole(tmp_path: Path) -> None:
    whole = read(tmp_path, "a,b\nx,1\n", *WANTED)
    with pytest.raises(FileFault):
        read(tmp_path, 'a,b\n"x,1\ny,2\n', *WANTED)
    assert rows(whole) == [("x", 1)]
    assert merged([whole]) == WANTED


def test_the_files_of_a_load_become_one(tmp_path: Path) -> None:
    reader = FileReader(ReadOptions(), detect=True)
    first = read(tmp_path, "id,cost\n1,1.5\n2,2.5\n", name="a.csv", detect=True)
    second = read(tmp_path, "id,region\n3,eu\n", name="b.csv", detect=True)
    fields = merged([first, second])
    files = [reader.finish(file, fields) for file in (first, second)]
    path = reader.joined(files, tmp_path / "all.parquet")
    assert rows(replace(first, path=path)) == [
        (1, Decimal("1.5"), None),
        (2, Decimal("2.5"), None),
        (3, None, "eu"),
    ]
    assert reader.joined(files[:1], tmp_path / "one.parquet") == first.path
