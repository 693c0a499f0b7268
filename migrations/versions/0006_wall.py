"""what merchants search by, and the wall between them"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"

API_ROLE = "acuse_api"

# Tables with a merchant of their own, and the column that names it.
OWNED = {
    "merchants": "id",
    "payments": "merchant_id",
    "users": "merchant_id",
    "sessions": "merchant_id",
    "api_keys": "merchant_id",
    "idempotency_keys": "merchant_id",
    "endpoints": "merchant_id",
    "notifications": "merchant_id",
    "notification_deliveries": "merchant_id",
    "notification_attempts": "merchant_id",
    "payment_search": "merchant_id",
}

# Tables whose rows belong to the merchant of their payment.
OWNED_THROUGH = ("transitions", "attempts", "payment_references")

GRANTS = {
    "merchants": "select",
    "payments": "select, insert, update (version)",  # a lock takes the right to update something
    "payment_references": "select, insert",
    "transitions": "select",
    "attempts": "select, insert",
    "payment_search": "select, insert",
    "users": "select, update",
    "sessions": "select, update",
    "api_keys": "select, insert, update",
    "idempotency_keys": "select, insert, update",
    "endpoints": "select, insert, update",
    "notifications": "select, insert",
    "notification_deliveries": "select, insert, update",
    "notification_attempts": "select",
}

# Behind row-level security a condition on tokens would not use their index, so here the function is the wall. It is
# told how many are enough: what is in every payment would fill an answer that nobody reads to its end.
FIND_PAYMENTS = """
create function find_payments(wanted integer[], needle text, most integer) returns setof uuid
language sql stable security definer set search_path = {schema}, pg_temp set enable_seqscan = off as $$
    select payment_id from payment_search
    where merchant_id = current_setting('acuse.merchant_id')::uuid and tokens @> wanted
        and position(needle in document) > 0
    limit most
$$;
revoke execute on function find_payments from public;
grant execute on function find_payments to {role};
grant usage on schema {schema} to {role};
"""
OLDEST_POSTGRES = 160000


def upgrade() -> None:
    _refuse_old_postgres()
    op.add_column("payments", sa.Column("description", sa.Text(), nullable=True))
    op.add_column("payments", sa.Column("payer_reference", sa.Text(), nullable=True))
    _create_payment_search()
    _create_search_queue()
    _create_role()
    for table, condition in _conditions().items():
        op.execute(f"alter table {table} enable row level security")
        op.execute(f"create policy merchant on {table} to {API_ROLE} using ({condition})")
    for table, privileges in GRANTS.items():
        op.execute(f"grant {privileges} on {table} to {API_ROLE}")
    schema = op.get_bind().scalar(sa.text("select quote_ident(current_schema())"))
    op.execute(FIND_PAYMENTS.format(schema=schema, role=API_ROLE))


def downgrade() -> None:
    op.execute("drop function find_payments")
    for table in GRANTS:
        op.execute(f"revoke all on {table} from {API_ROLE}")
    for table in _conditions():
        op.execute(f"drop policy merchant on {table}")
        op.execute(f"alter table {table} disable row level security")
    for table in ("search_queue", "payment_search"):
        op.drop_table(table)
    op.drop_column("payments", "payer_reference")
    op.drop_column("payments", "description")


def _refuse_old_postgres() -> None:
    op.execute(
        f"""do $$ begin
            if current_setting('server_version_num')::int < {OLDEST_POSTGRES} then
                raise 'PostgreSQL 16 or newer is needed, and this is %', current_setting('server_version');
            end if;
        end $$"""
    )


def _create_role() -> None:
    """Roles belong to the whole server: another database may have made it, even at this moment."""
    op.execute(
        f"""do $$ begin
            if not exists (select from pg_roles where rolname = '{API_ROLE}') then
                create role {API_ROLE} nologin;
            end if;
        exception when duplicate_object or unique_violation then null;
        when insufficient_privilege then
            raise 'a role is missing: have an administrator run "create role {API_ROLE} nologin; grant {API_ROLE} to %"',
                current_user;
        end $$"""  # nosec B608 # a constant
    )
    op.execute(
        f"""do $$ begin
            if not pg_has_role(current_user, '{API_ROLE}', 'set') then grant {API_ROLE} to current_user; end if;
        exception when insufficient_privilege then
            raise 'a role is out of reach: have an administrator run "grant {API_ROLE} to %"', current_user;
        end $$"""
    )


def _conditions() -> dict[str, str]:
    """Which rows of which table are the merchant's."""
    mine = "(select nullif(current_setting('acuse.merchant_id', true), '')::uuid)"
    by_column = {table: f"{column} = {mine}" for table, column in OWNED.items()}
    by_payment = {
        table: f"exists (select from payments p where p.id = {table}.payment_id and p.merchant_id = {mine})"
        for table in OWNED_THROUGH
    }
    return by_column | by_payment


def _create_payment_search() -> None:
    op.create_table(
        "payment_search",
        sa.Column("payment_id", sa.Uuid(), nullable=False),
        sa.Column("merchant_id", sa.Uuid(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("tokens", postgresql.ARRAY(sa.Integer()), nullable=False),
        sa.ForeignKeyConstraint(
            ["merchant_id", "payment_id"], ["payments.merchant_id", "payments.id"], name="fk_payment_search_payment"
        ),
        sa.PrimaryKeyConstraint("payment_id", name=op.f("pk_payment_search")),
    )
    op.create_index(
        "ix_payment_search_tokens",
        "payment_search",
        ["tokens"],
        postgresql_using="gin",
        postgresql_with={"fastupdate": "off"},  # or somebody's insert would do the work of thousands
    )


def _create_search_queue() -> None:
    op.create_table(
        "search_queue",
        sa.Column("payment_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("payment_id", name=op.f("pk_search_queue")),
    )
