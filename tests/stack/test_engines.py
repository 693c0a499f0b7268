"""The embedded engines on this machine's kernel: real servers, real crashes, real permissions."""

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from redis import Redis

from embedded import RunningEngine, remove_data, start_postgres, start_redis
from engines import cluster
from engines.launch import AS_CALLER, can_use, launch, named_id
from engines.place import OTHER_ID, EngineError
from tests.stack.processes import is_alive, wait_for

ROOT = Path(__file__).resolve().parents[2]
NAMELESS_ID = 64_950
needs_root = pytest.mark.skipif(
    os.geteuid() != 0, reason="only root has to step down, and only root can become another user"
)


def ask(engine: RunningEngine, question: str, **connection: Any) -> Any:
    with closing(psycopg2.connect(engine.url, **connection)) as link, link, link.cursor() as cursor:
        cursor.execute(question)
        return cursor.fetchone()[0] if cursor.description else None


def modes(folder: Path) -> list[tuple[Path, int, int]]:
    """Permissions and owner of the folder and of all that lead to it."""
    return [(path, path.stat().st_mode, path.stat().st_uid) for path in (folder, *folder.parents)]


@pytest.fixture(scope="module")
def deep_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With a space, and longer than the 107 bytes of a Unix socket's address."""
    folder = tmp_path_factory.mktemp("a b") / ("long " + "x" * 120)
    folder.mkdir(mode=0o755)
    return folder


@pytest.fixture(scope="module")
def postgres(deep_folder: Path) -> Iterator[RunningEngine]:
    with start_postgres(deep_folder / "postgres") as running:
        yield running
    remove_data(deep_folder / "postgres")


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """For one Postgres of the test's own."""
    yield tmp_path / "postgres"
    remove_data(tmp_path / "postgres")


def home_of(folder: Path) -> Path:
    """Where the data is: in the folder, or apart where root has no user namespaces."""
    note = folder / "location"
    return Path(note.read_text()) if note.exists() else folder


def test_postgres_serves_from_a_deep_folder_with_a_space(postgres: RunningEngine, deep_folder: Path) -> None:
    assert ask(postgres, "select current_database() || ' ' || current_user") == "acuse acuse"
    assert ask(postgres, "show server_version").split()[0] == postgres.version
    assert postgres.folder == home_of(deep_folder / "postgres") / "data"
    assert len(os.fsencode(deep_folder)) > 107


@pytest.mark.parametrize(
    ("setting", "value"),
    [("fsync", "on"), ("synchronous_commit", "on"), ("full_page_writes", "on"), ("timezone", "UTC")],
)
def test_postgres_keeps_what_it_commits(postgres: RunningEngine, setting: str, value: str) -> None:
    assert ask(postgres, f"show {setting}") == value


def test_postgres_has_a_private_unix_socket_with_a_short_address(postgres: RunningEngine) -> None:
    sockets = postgres.socket_folder
    assert sockets is not None
    assert stat.S_IMODE(sockets.stat().st_mode) == 0o700
    assert len(os.fsencode(sockets)) < 60
    assert ask(postgres, "select inet_server_addr() is null", host=str(sockets)) is True


def test_postgres_wants_its_password(postgres: RunningEngine) -> None:
    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        psycopg2.connect(postgres.url, password="wrong-" + "x" * 30)


def test_secrets_of_the_engines_are_private(postgres: RunningEngine, deep_folder: Path) -> None:
    assert stat.S_IMODE((deep_folder / "postgres").stat().st_mode) == 0o700
    assert stat.S_IMODE((deep_folder / "postgres" / "password").stat().st_mode) == 0o600
    password = (deep_folder / "postgres" / "password").read_text()
    assert password in postgres.url
    assert password not in repr(postgres)
    assert password.encode() not in Path(f"/proc/{postgres.process.pid}/cmdline").read_bytes()


def test_the_log_does_not_hold_the_statements_that_fail(postgres: RunningEngine) -> None:
    ask(postgres, "create table if not exists single (name text unique)")
    ask(postgres, "insert into single values ('Juana Payload')")
    with pytest.raises(psycopg2.errors.UniqueViolation):
        ask(postgres, "insert into single values ('Juana Payload')")
    log = postgres.log.read_text()
    assert "unique constraint" in log
    assert "Juana" not in log


def test_starting_loosens_no_permission(folder: Path, tmp_path: Path) -> None:
    before = modes(tmp_path)
    with start_postgres(folder):
        assert modes(tmp_path) == before
    assert modes(tmp_path) == before


def test_a_killed_postgres_starts_again_on_its_port_with_its_data(folder: Path) -> None:
    with start_postgres(folder) as first:
        ask(first, "create table kept as select 42 as answer")
        with closing(psycopg2.connect(first.url)) as link, link.cursor() as busy:
            busy.execute("select pg_backend_pid()")
            backend = busy.fetchone()[0]
            os.kill(backend, signal.SIGSTOP)  # an orphan that cannot notice the crash holds the shared memory
            first.kill()
            assert (first.folder / "postmaster.pid").exists()
            with start_postgres(folder, port=first.port) as second:
                assert not is_alive(backend)
                assert second.url == first.url
                assert second.process.pid != first.process.pid
                assert ask(second, "select answer from kept") == 42


def test_a_stale_postmaster_file_with_a_reused_number_does_not_block(folder: Path) -> None:
    with start_postgres(folder) as first:
        first.kill()
    with subprocess.Popen(["sleep", "60"]) as stranger:
        pid_file = first.folder / "postmaster.pid"
        lines = pid_file.read_text().splitlines()
        pid_file.write_text("\n".join([str(stranger.pid), *lines[1:]]) + "\n")
        with start_postgres(folder) as second:
            assert ask(second, "select 1") == 1
        assert stranger.poll() is None
        stranger.kill()


def test_data_of_another_major_version_is_refused_plainly(folder: Path) -> None:
    with start_postgres(folder) as first:
        pass
    (first.folder / "PG_VERSION").write_text("15\n")
    with pytest.raises(EngineError, match=r"made by PostgreSQL 15 and the embedded one is 18\.\d+: choose another"):
        start_postgres(folder)


def test_an_interrupted_first_start_leaves_nothing_that_looks_finished(folder: Path) -> None:
    with start_postgres(folder) as first:
        ask(first, "create table half_done ()")
    draft = first.folder.rename(first.folder.with_name("data.new"))
    with start_postgres(folder) as second:
        assert ask(second, "select count(*) from pg_tables where tablename = 'half_done'") == 0
    assert not draft.exists()


def test_a_taken_port_is_said(postgres: RunningEngine, folder: Path) -> None:
    with pytest.raises(EngineError, match=r"Postgres ended while starting; its log .*postgres\.log ends with"):
        start_postgres(folder, port=postgres.port)


def test_redis_is_private_and_comes_back_empty_on_its_port(tmp_path: Path) -> None:
    folder = tmp_path / "a b"
    with start_redis(folder) as first:
        with Redis.from_url(first.url) as client:
            client.set("bell", "rung")
            assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
            assert client.config_get("bind") == {"bind": "127.0.0.1"}
        assert (folder / "password").read_text().encode() not in Path(f"/proc/{first.process.pid}/cmdline").read_bytes()
        first.kill()
        with start_redis(folder, port=first.port) as second, Redis.from_url(second.url) as client:
            assert second.url == first.url
            assert client.get("bell") is None


def test_engines_end_with_a_parent_that_is_killed(folder: Path, tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from embedded import start_postgres, start_redis\n"
        "a, b = start_postgres(Path(sys.argv[1], 'postgres')), start_redis(Path(sys.argv[1], 'redis'))\n"
        "print(a.process.pid, b.process.pid, flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code, tmp_path], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    with parent, parent.stdout as output:  # type: ignore[union-attr]
        pids = [int(word) for word in output.readline().split()]
        assert len(pids) == 2
        assert all(is_alive(pid) for pid in pids)
        parent.kill()
    assert wait_for(lambda: not any(is_alive(pid) for pid in pids), 10.0)
    left = Path((folder / "sockets").read_text())
    with start_postgres(folder) as second:  # clears up after the first
        assert second.socket_folder != left
        assert not left.exists()


@needs_root
def test_root_steps_down_into_a_namespace_where_the_kernel_has_them(postgres: RunningEngine) -> None:
    if postgres.folder.stat().st_uid != 0:
        pytest.skip("this kernel refuses user namespaces to root, or the files are out of their reach")
    inner = Path(f"/proc/{postgres.process.pid}/uid_map").read_text().split()
    assert inner == [str(named_id()), "0", "1"]
    assert postgres.folder.stat().st_uid == 0


@needs_root
def test_without_namespaces_root_runs_postgres_apart_under_an_id_of_its_own(folder: Path, tmp_path: Path) -> None:
    before = modes(tmp_path)
    with start_postgres(folder, identity=OTHER_ID) as first:
        home = first.folder.parent
        owner = home.stat().st_uid
        assert owner not in (0, named_id())
        assert Path(f"/proc/{first.process.pid}").stat().st_uid == owner
        assert stat.S_IMODE(home.stat().st_mode) == 0o700
        assert modes(tmp_path) == before
        ask(first, "create table kept as select 42 as answer")
        first.kill()
        with start_postgres(folder, port=first.port) as second:  # the note in the folder leads back to it
            assert second.folder == first.folder
            assert ask(second, "select answer from kept") == 42
    remove_data(folder)
    assert not home.exists()


@needs_root
@pytest.mark.parametrize("user", [named_id(), NAMELESS_ID], ids=["with a name", "without a name"])
def test_an_ordinary_user_starts_both_engines(tmp_path_factory: pytest.TempPathFactory, user: int) -> None:
    if not can_use(str(user), [ROOT, Path(sys.prefix), Path(sys.executable)]):
        pytest.skip(f"user id {user} may not read {ROOT} or {sys.prefix}")
    code = (
        "import os, sys; sys.dont_write_bytecode = True; sys.path.insert(0, sys.argv[1])\n"
        "from pathlib import Path; from embedded import start_postgres, start_redis\n"
        "with start_postgres(Path('a b', 'p')) as a, start_redis(Path('a b', 'r')) as b:\n"
        "    print(os.getuid(), a.name, b.name, a.folder.stat().st_uid)"
    )
    folder = Path(f"/var/tmp/acuse-test-{os.getpid()}-{user}")
    folder.mkdir(mode=0o700)
    os.chown(folder, user, user)
    try:
        argv = [sys.executable, "-c", code, str(ROOT)]
        child = launch(argv, identity=str(user), env={"PATH": "/usr/bin:/bin"}, cwd=folder, output=subprocess.PIPE)
        assert child.communicate(timeout=60)[0].decode().split("\n")[0] == f"{user} Postgres Redis {user}"
    finally:
        subprocess.run(["rm", "-r", folder], check=True)


@needs_root
def test_a_folder_of_another_user_is_refused_plainly(tmp_path: Path) -> None:
    os.chown(tmp_path, NAMELESS_ID, NAMELESS_ID)
    with pytest.raises(EngineError, match=f"belongs to user id {NAMELESS_ID}: run as that user"):
        start_postgres(tmp_path)


def test_a_program_that_cannot_start_says_why() -> None:
    child = launch(["/no/such/program"], identity=AS_CALLER, env={}, output=subprocess.PIPE)
    assert child.communicate(timeout=10)[0].startswith(b"cannot start /no/such/program: [Errno 2]")
    assert child.returncode == 1


def test_the_title_of_backends_tells_whose_they_are(postgres: RunningEngine) -> None:
    assert ask(postgres, "show cluster_name") == cluster.cluster_name(postgres.folder)
