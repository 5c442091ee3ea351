"""What SQLite's driver does on its own: writes that wait for each other have one commit."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import closing, suppress
from pathlib import Path

import pytest

from server.store.port import StoreBusy
from server.store.sql.database import Transaction
from server.store.sqlite import database as module
from server.store.sqlite.database import SqliteDatabase
from server.store.sqlite.writer import Queue


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[SqliteDatabase]:
    opened = SqliteDatabase(tmp_path / "db.sqlite3")
    await opened.write(lambda tx: tx.execute("CREATE TABLE names (name TEXT PRIMARY KEY, why TEXT CHECK (why != ''))"))
    yield opened
    await opened.close()


def add(name: str) -> Callable[[Transaction], str]:
    def work(tx: Transaction) -> str:
        tx.execute("INSERT INTO names VALUES (?, 'x')", (name,))
        return name

    return work


async def names(database: SqliteDatabase) -> list[str]:
    return await database.read(lambda tx: [row["name"] for row in tx.execute("SELECT name FROM names ORDER BY name")])


class Gate:
    """A write that others wait behind."""

    def __init__(self, database: SqliteDatabase) -> None:
        self._begun, self._open = threading.Event(), threading.Event()
        self.task = asyncio.create_task(database.write(self._stand, is_long=True))

    def _stand(self, tx: Transaction) -> None:
        self._begun.set()
        self._open.wait(30)

    async def stands(self) -> None:
        await asyncio.to_thread(self._begun.wait, 30)

    async def lift(self) -> None:
        self._open.set()
        await self.task


async def waiting(*works: Callable[[Transaction], object], database: SqliteDatabase) -> list[asyncio.Task[object]]:
    """Writes that are asked for while another one goes on."""
    tasks = [asyncio.create_task(database.write(work)) for work in works]
    # They get in line in the first step that they make.
    await asyncio.sleep(0)
    return tasks


async def test_one_of_several_that_fails_undoes_no_other(database: SqliteDatabase) -> None:
    def fail(tx: Transaction) -> None:
        tx.execute("INSERT INTO names VALUES ('half', 'x')")
        raise LookupError("no")

    gate = Gate(database)
    await gate.stands()
    works = [add("a"), fail, lambda tx: tx.execute("INSERT INTO names VALUES ('bad', '')"), add("b")]
    tasks = await waiting(*works, database=database)
    await gate.lift()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert (outcomes[0], outcomes[3]) == ("a", "b")
    assert isinstance(outcomes[1], LookupError)
    assert isinstance(outcomes[2], StoreBusy)
    assert await names(database) == ["a", "b"]


async def test_those_that_wait_have_one_commit(database: SqliteDatabase, tmp_path: Path) -> None:
    other = sqlite3.connect(tmp_path / "db.sqlite3", check_same_thread=False)
    seen = list[int]()

    def look(tx: Transaction) -> None:
        """What others see while the last of them is done."""
        seen.append(other.execute("SELECT COUNT(*) FROM names").fetchone()[0])

    gate = Gate(database)
    await gate.stands()
    tasks = await waiting(add("a"), add("b"), look, database=database)
    await gate.lift()
    await asyncio.gather(*tasks)
    assert seen == [0]
    look(None)  # type: ignore[arg-type]
    assert seen == [0, 2]
    other.close()


async def test_what_nobody_waits_for_any_more_is_not_begun(database: SqliteDatabase) -> None:
    gate = Gate(database)
    await gate.stands()
    first, second = await waiting(add("a"), add("b"), database=database)
    first.cancel()
    await asyncio.wait([first])
    await gate.lift()
    assert await second == "b"
    assert await names(database) == ["b"]


async def test_many_that_nobody_waits_for_hide_none_that_somebody_does(database: SqliteDatabase) -> None:
    gate = Gate(database)
    await gate.stands()
    unwanted = await waiting(*(add(f"{number:03}") for number in range(100)), database=database)
    (wanted,) = await waiting(add("wanted"), database=database)
    for one in unwanted:
        one.cancel()
    await asyncio.wait(unwanted)
    await gate.lift()
    assert await wanted == "wanted"
    assert await names(database) == ["wanted"]


async def test_all_are_told_when_there_is_no_connection(database: SqliteDatabase, tmp_path: Path) -> None:
    there = database._path
    assert database._writer._connection is not None
    database._writer._connection.close()
    database._writer._connection = None
    database._path = tmp_path / "nowhere" / "db.sqlite3"
    writes = [database.write(add(name), is_long=name == "b") for name in "abc"]
    outcomes = await asyncio.gather(*writes, return_exceptions=True)
    assert all(isinstance(outcome, StoreBusy) for outcome in outcomes)
    database._path = there
    assert await database.write(add("d")) == "d"
    assert await names(database) == ["d"]


async def test_what_is_long_keeps_its_place(database: SqliteDatabase) -> None:
    """And is done in a thread, where nobody waits for it who does not write."""
    loop, threads = threading.get_ident(), dict[str, int]()

    def noting(name: str) -> Callable[[Transaction], str]:
        def work(tx: Transaction) -> str:
            threads[name] = threading.get_ident()
            return add(name)(tx)

        return work

    writes = [database.write(noting(name), is_long=name in "bd") for name in "abcde"]
    assert await asyncio.gather(*writes) == list("abcde")
    assert list(threads) == list("abcde")
    assert [threads[name] == loop for name in "abcde"] == [True, False, True, False, True]


async def test_another_process_s_write_is_waited_for(database: SqliteDatabase, tmp_path: Path) -> None:
    other = sqlite3.connect(tmp_path / "db.sqlite3", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    writing = asyncio.create_task(database.write(add("a")))
    # Reads go on meanwhile, and so does everything else.
    assert await names(database) == []
    assert not writing.done()
    other.execute("INSERT INTO names VALUES ('theirs', 'x')")
    other.execute("COMMIT")
    other.close()
    assert await writing == "a"
    assert await names(database) == ["a", "theirs"]


async def test_all_are_told_when_the_transaction_is_no_more(database: SqliteDatabase) -> None:
    """Here somebody inside the transaction ends it, as SQLite does by itself on a full disk."""
    gate = Gate(database)
    await gate.stands()
    tasks = await waiting(add("a"), lambda tx: tx.execute("ROLLBACK"), add("b"), database=database)
    await gate.lift()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(outcome, StoreBusy) for outcome in outcomes[:2])
    # What had not begun has a transaction of its own.
    assert outcomes[2] == "b"
    assert await names(database) == ["b"]


async def test_more_than_fit_into_one_commit_are_all_done(database: SqliteDatabase) -> None:
    gate = Gate(database)
    await gate.stands()
    tasks = await waiting(*(add(f"{number:03}") for number in range(200)), database=database)
    await gate.lift()
    assert await asyncio.gather(*tasks) == await names(database)


async def test_a_process_that_has_much_to_write_lets_others_write(database: SqliteDatabase, tmp_path: Path) -> None:
    other = SqliteDatabase(tmp_path / "db.sqlite3")
    is_done = asyncio.Event()

    async def keep_writing(number: int) -> None:
        while not is_done.is_set():
            await database.write(lambda tx: tx.execute("UPDATE names SET why = ?", (str(number),)))

    await database.write(add("a"))
    many = [asyncio.create_task(keep_writing(number)) for number in range(1, 100)]
    for number in range(30):
        assert await other.write(add(f"other {number}")) == f"other {number}"
    is_done.set()
    await asyncio.gather(*many)
    await other.close()


def test_who_writes_sees_who_waits(tmp_path: Path) -> None:
    writes, waits = Queue(tmp_path / "queue"), Queue(tmp_path / "queue")
    assert not writes.has_others()
    waits.join()
    assert writes.has_others()
    waits.leave()
    assert not writes.has_others()
    waits.join()
    # As when its process ends.
    waits.close()
    assert not writes.has_others()
    assert (tmp_path / "queue").stat().st_mode & 0o077 == 0
    writes.close()


async def test_others_hear_of_a_commit_at_once(
    database: SqliteDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They need not look for it."""
    for seconds in ("_LOOK_SECONDS", "_LOOK_WITH_BELL_SECONDS"):
        monkeypatch.setattr(module, seconds, 3_600)
    other = SqliteDatabase(tmp_path / "db.sqlite3")
    seen = await other.wait_for_change(other.version, 0.01)
    await database.write(add("a"))
    assert await other.wait_for_change(seen, 10) != seen
    await other.close()


async def test_a_commit_that_nothing_tells_of_is_noticed(database: SqliteDatabase, tmp_path: Path) -> None:
    seen = await database.wait_for_change(database.version, 0.01)
    with closing(sqlite3.connect(tmp_path / "db.sqlite3")) as other:
        other.execute("INSERT INTO names VALUES ('a', 'x')")
        other.commit()
    assert await database.wait_for_change(seen, 10) != seen


async def test_commits_are_noticed_where_none_can_be_told_of(
    database: SqliteDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where the system has no more watches to give."""
    monkeypatch.setattr(module, "_LOOK_WITH_BELL_SECONDS", 3_600)
    (tmp_path / "db.sqlite3-queue").unlink()
    seen = await database.wait_for_change(database.version, 0.01)
    with closing(sqlite3.connect(tmp_path / "db.sqlite3")) as other:
        other.execute("INSERT INTO names VALUES ('a', 'x')")
        other.commit()
    assert await database.wait_for_change(seen, 10) != seen


async def test_ones_own_commit_is_one_change(database: SqliteDatabase) -> None:
    """Whoever waits would otherwise read everything twice."""
    seen = await database.wait_for_change(database.version, 0.01)
    await database.write(add("a"))
    assert await database.wait_for_change(seen, 0) == seen + 1
    assert await database.wait_for_change(seen + 1, 0.5) == seen + 1


async def test_whoever_finds_the_bell_dead_looks_more_often(
    database: SqliteDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its file was replaced: what rings is another one."""
    seen = await database.wait_for_change(database.version, 0.01)
    queue = tmp_path / "db.sqlite3-queue"
    queue.unlink()
    queue.touch()
    other = SqliteDatabase(tmp_path / "db.sqlite3")
    await other.write(add("a"))
    seen = await database.wait_for_change(seen, 10)
    monkeypatch.setattr(module, "_LOOK_WITH_BELL_SECONDS", 3_600)
    for name in "bcd":
        await other.write(add(name))
        seen, before = await database.wait_for_change(seen, 10), seen
        assert seen != before
    await other.close()


async def test_a_commit_before_the_first_wait_is_noticed_at_once(
    database: SqliteDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seconds in ("_LOOK_SECONDS", "_LOOK_WITH_BELL_SECONDS"):
        monkeypatch.setattr(module, seconds, 3_600)
    seen = database.version
    with closing(sqlite3.connect(tmp_path / "db.sqlite3")) as other:
        other.execute("INSERT INTO names VALUES ('a', 'x')")
        other.commit()
    assert await database.wait_for_change(seen, 10) != seen


@pytest.mark.parametrize("is_long", [False, True])
async def test_what_a_short_write_may_bring_back_is_in_memory(database: SqliteDatabase, *, is_long: bool) -> None:
    """SQLite by itself writes it to a file from 64 KiB on; that of a long one can be of any size."""
    texts = [(f"{number:04}", "x" * 500) for number in range(1_000)]
    await database.write(lambda tx: tx.executemany("INSERT INTO names VALUES (?, ?)", texts))

    def change(tx: Transaction) -> bool:
        tx.execute("UPDATE names SET why = 'y' || why")
        return any("etilqs" in file for file in open_files())

    assert await database.write(change, is_long=is_long) is is_long


def open_files() -> list[str]:
    found = []
    for descriptor in Path("/proc/self/fd").iterdir():
        # Some are closed meanwhile.
        with suppress(OSError):
            found.append(str(descriptor.readlink()))
    return found
