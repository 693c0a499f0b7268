"""The code of other releases than this one: the one before the newest migration, and one to come that has a further one."""

import re
import shutil
import subprocess
import tarfile
from io import BytesIO
from pathlib import Path

from migrations.head import HEAD
from tests.system.stack import ROOT

NEXT = f"{int(HEAD) + 1:04}"
LEFT_OUT = shutil.ignore_patterns(".*", "__pycache__", "bench", "docs", "*.egg-info", "psps/samples")
VERSIONS = "migrations/versions"
MIGRATION = '''"""what a next release might add: a column that is filled by and by, a constraint and an index, while work goes on"""

from alembic import op

revision = "{revision}"
down_revision = "{before}"

FILL = """update payments set note = 'none' where id in
(select id from payments where note is null order by id limit 50 for no key update)"""


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute("set lock_timeout = '500ms'")
        op.execute("alter table payments add column if not exists note text")
        op.execute(f"do $$ begin {{FILL}}; perform pg_sleep({seconds}); end $$")  # one long transaction
        for _ in range(10):
            op.execute(FILL)
            op.execute("select pg_sleep(0.1)")
        op.execute("alter table payments drop constraint if exists ck_payments_note")
        op.execute("alter table payments add constraint ck_payments_note check (note <> '') not valid")
        op.execute("alter table payments validate constraint ck_payments_note")
        op.execute("set lock_timeout = 0")
        op.execute("drop index concurrently if exists ix_payments_note")
        op.execute("create index concurrently ix_payments_note on payments (note)")


def downgrade() -> None:
    op.execute("alter table payments drop column note")
'''


class NoHistory(Exception):
    """The former release is not to be had. The message says why."""


def unpack_former_release(folder: Path) -> str:
    """Put the code as it was before the newest migration into `folder`; the revision that it needs. Raises NoHistory."""
    if not shutil.which("git") or not (ROOT / ".git").exists():
        raise NoHistory("there is no git, or this is no clone")
    added = _git("log", "-1", "--diff-filter=A", "--format=%H", "--", VERSIONS).decode().strip()
    if not added or (f"{added}^" and _fails("rev-parse", "--verify", "--quiet", f"{added}^")):
        raise NoHistory("the history does not reach behind the newest migration: it is a shallow clone")
    with tarfile.open(fileobj=BytesIO(_git("archive", "--format=tar", f"{added}^"))) as archive:
        archive.extractall(folder, filter="data")
    told = re.search(r'^HEAD = "(\d+)"$', (folder / "migrations/head.py").read_text(), re.MULTILINE)
    if told is None:
        raise NoHistory("the former release does not say which revision it needs")
    return told[1]


def make_next_release(folder: Path, seconds: float) -> None:
    """This code with one more migration, whose longest transaction lasts for so many seconds."""
    shutil.copytree(ROOT, folder, ignore=LEFT_OUT, dirs_exist_ok=True)
    (folder / "migrations/head.py").write_text(f'"""The newest revision."""\n\nHEAD = "{NEXT}"\n')
    migration = MIGRATION.format(revision=NEXT, before=HEAD, seconds=seconds)
    (folder / VERSIONS / f"{NEXT}_note.py").write_text(migration)


def _git(*arguments: str) -> bytes:
    return subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True).stdout


def _fails(*arguments: str) -> bool:
    return subprocess.run(["git", *arguments], cwd=ROOT, check=False, capture_output=True).returncode != 0
