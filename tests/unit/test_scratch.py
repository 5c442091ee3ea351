"""Folders of workers for files: whose worker lives is left alone, what others left is removed."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

from server.scratch import Scratch


def test_workers_that_start_at_once_leave_each_others_folders(tmp_path: Path) -> None:
    number = 8
    with ThreadPoolExecutor(number) as threads:
        for repetition in range(20):
            root, together = tmp_path / str(repetition), Barrier(number)

            def start(root: Path = root, together: Barrier = together) -> Scratch:
                together.wait()
                return Scratch(root)

            started = [future.result() for future in [threads.submit(start) for _ in range(number)]]
            assert all((made.folder / "lock").exists() for made in started)
            for made in started:
                made.close()
            assert list(root.iterdir()) == []


def test_what_a_lost_worker_left_is_removed(tmp_path: Path) -> None:
    left = tmp_path / "lost" / "room"
    left.mkdir(parents=True)
    (left / "rows.parquet").write_bytes(b"rows")
    alive = Scratch(tmp_path)
    (alive.room()() / "rows.parquet").write_bytes(b"rows")
    next_one = Scratch(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {alive.folder.name, next_one.folder.name}
    assert len(list(alive.folder.rglob("rows.parquet"))) == 1
    alive.close()
    next_one.close()
