"""Users, second factors and keys, without HTTP."""

import statistics
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pyotp
import pytest
from argon2 import PasswordHasher
from sqlalchemy import Engine

from ingress.account_terms import (
    AlreadyProtected,
    CodeNeeded,
    InvalidEmail,
    InvalidReset,
    NotConfigured,
    NotProtected,
    SignedIn,
    TooManyTries,
    WrongCode,
    WrongCredentials,
    WrongPassword,
    clean_email,
    count_try,
)
from ingress.accounts import (
    change_password,
    issue_reset,
    log_in,
    log_out,
    log_out_everywhere,
    reset_password,
)
from ingress.keys import InvalidKey, WantedKey, create_key
from ingress.passwords import Passwords, TooBusy, UnfitPassword
from ingress.second_factor import begin_totp, confirm_totp, remove_totp
from ingress.tokens import digest_token
from tests.ingress.front_desk import ADDRESS, EMAIL, NOON, PASSWORD, FrontDesk, open_database

HOUR, STEP = timedelta(hours=1), timedelta(seconds=30)
NEW_PASSWORD = "otro caballo distinto"


@pytest.fixture(scope="module")
def shared(make_database: Callable[[], str]) -> Iterator[Engine]:
    engine = open_database(make_database())
    yield engine
    engine.dispose()


@pytest.fixture
def desk(shared: Engine) -> Iterator[FrontDesk]:
    desk = FrontDesk(shared)
    desk.add_user()
    yield desk
    desk.clear()


def protect(desk: FrontDesk) -> pyotp.TOTP:
    """Give the user a second factor; the present code is used."""
    who = desk.enter()
    totp = pyotp.TOTP(begin_totp(desk, who, PASSWORD, ADDRESS).secret)
    confirm_totp(desk, who, totp.at(desk.now))
    return totp


def test_a_log_in_gives_a_token_of_an_hour(desk: FrontDesk) -> None:
    opened = desk.log_in()
    assert opened.token.startswith("at_") and len(opened.token) == 46
    assert opened.expires_at == NOON + HOUR
    assert desk.find(opened.token)
    assert opened.token not in repr(opened)
    desk.now += HOUR
    assert desk.find(opened.token) is None


@pytest.mark.parametrize("email", [" ANA@Example.com ", "Ana@example.com"])
def test_addresses_are_read_without_regard_to_case(desk: FrontDesk, email: str) -> None:
    assert desk.log_in(email=email)


@pytest.mark.parametrize(
    ("email", "password"),
    [
        (EMAIL, "wrong password"),
        (EMAIL, ""),
        (EMAIL, "\ud800" * 12),
        (EMAIL, "\0"),
        (EMAIL, PASSWORD + "x" * 200),
        ("nobody@example.com", PASSWORD),
        ("no address", PASSWORD),
        ("ana@example.com\0", PASSWORD),
        ("\udfff@example.com", PASSWORD),
        ("", PASSWORD),
        ("%@%.%", PASSWORD),
    ],
)
def test_whatever_is_wrong_is_refused_in_the_same_words(desk: FrontDesk, email: str, password: str) -> None:
    with pytest.raises(WrongCredentials, match=r"^e-mail address or password are wrong$"):
        desk.log_in(email=email, password=password)


def test_a_disabled_user_is_nobody_at_once(desk: FrontDesk) -> None:
    token = desk.log_in().token
    with desk.open_front_work() as work:
        user = work.access.users.find(EMAIL)
        assert work.access.users.disable(user.merchant_id, user.id, NOON)
        work.commit()
    assert desk.find(token) is None
    with pytest.raises(WrongCredentials):
        desk.log_in()


def test_an_accent_is_the_same_however_it_is_typed(desk: FrontDesk) -> None:
    assert desk.log_in(password=PASSWORD.replace("í", "i\u0301"))


def test_the_sixth_log_in_of_a_minute_is_refused_before_the_password_is_looked_at(desk: FrontDesk) -> None:
    for n in range(5):
        with pytest.raises(WrongCredentials):
            log_in(desk, EMAIL, "wrong password", None, f"198.51.100.{n}")
    desk.passwords = None  # looking at it would fail
    with pytest.raises(TooManyTries) as refused:
        log_in(desk, EMAIL.upper(), PASSWORD, None, "198.51.100.9")
    assert 50 < refused.value.seconds <= 60


@pytest.mark.parametrize(
    "addresses",
    [
        ["192.0.2.1"] * 6,
        ["192.0.2.1", "::ffff:192.0.2.1"] * 3,
        [f"2001:db8:0:1::{n}" for n in range(6)],
        [""] * 6,
    ],
)
def test_an_address_has_five_tries_whatever_it_calls_itself(desk: FrontDesk, addresses: list[str]) -> None:
    for n, address in enumerate(addresses[:5]):
        count_try(desk, f"user{n}@example.com", address)
    with pytest.raises(TooManyTries):
        count_try(desk, "another@example.com", addresses[5])
    count_try(desk, "another@example.com", "2001:db8:0:2::1")


@pytest.mark.wall_clock
def test_a_long_password_is_refused_before_hashing(desk: FrontDesk) -> None:
    desk.passwords = Passwords(PasswordHasher(time_cost=50, memory_cost=65536, parallelism=1))  # it would take seconds
    began = time.monotonic()
    assert not desk.passwords.verify(None, "x" * 129)
    for unfit in ("x" * 129, "x" * 10_000_000, "x" * 11, " " * 20, "\ud800" * 20):
        with pytest.raises(UnfitPassword):
            desk.passwords.hash(unfit)
    with pytest.raises(WrongCredentials):
        log_in(desk, EMAIL, "x" * 129, None, ADDRESS)
    assert time.monotonic() - began < 1


def test_the_default_hash_is_what_rfc_9106_recommends_and_better_parameters_replace_older_ones(desk: FrontDesk) -> None:
    cheap = desk.passwords
    desk.passwords = Passwords()
    assert desk.log_in(), "the old hash still fits"
    with desk.open_front_work() as work:
        stored = work.access.users.find(EMAIL).password_hash
    assert stored.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert desk.passwords.verify(stored, PASSWORD) and desk.passwords.improve(stored, PASSWORD) is None
    assert cheap.improve(stored, PASSWORD), "other parameters than today's"


def test_an_unknown_user_takes_as_long_as_a_wrong_password() -> None:
    passwords = Passwords(PasswordHasher(time_cost=2, memory_cost=16384, parallelism=1))
    stored = passwords.hash(PASSWORD)

    def measure(known: str | None) -> float:
        began = time.perf_counter()
        assert not passwords.verify(known, "wrong password")
        return time.perf_counter() - began

    pairs = [(measure(stored), measure(None)) for _ in range(20)]
    known, unknown = (statistics.median(column) for column in zip(*pairs, strict=True))
    print(f"wrong password {known * 1000:.1f} ms, unknown user {unknown * 1000:.1f} ms")
    assert 0.5 < known / unknown < 2


def test_few_passwords_are_looked_at_at_once_and_nobody_waits_for_ever() -> None:
    passwords = Passwords(
        PasswordHasher(time_cost=20, memory_cost=32768, parallelism=1), most_at_once=1, wait_seconds=0.05
    )
    started = threading.Event()

    def occupy() -> None:
        started.set()
        passwords.verify(None, PASSWORD)

    with ThreadPoolExecutor(1) as pool:
        busy = pool.submit(occupy)
        started.wait()
        time.sleep(0.02)
        with pytest.raises(TooBusy):
            passwords.verify(None, PASSWORD)
        busy.result()
    assert passwords.verify(None, PASSWORD) is False


def test_logging_out_ends_one_session_and_everywhere_all(desk: FrontDesk) -> None:
    tokens = [desk.log_in().token for _ in range(3)]
    log_out(desk, desk.find(tokens[0]))
    assert [bool(desk.find(token)) for token in tokens] == [False, True, True]
    log_out_everywhere(desk, desk.find(tokens[1]))
    assert [bool(desk.find(token)) for token in tokens] == [False, False, False]


def test_a_new_password_ends_the_other_sessions(desk: FrontDesk) -> None:
    other, mine = desk.log_in().token, desk.log_in().token
    desk.forget_tries()
    with pytest.raises(WrongPassword):
        change_password(desk, desk.find(mine), "wrong password", NEW_PASSWORD, ADDRESS)
    with pytest.raises(UnfitPassword):
        change_password(desk, desk.find(mine), PASSWORD, "short", ADDRESS)
    change_password(desk, desk.find(mine), PASSWORD, NEW_PASSWORD, ADDRESS)
    assert desk.find(mine) and not desk.find(other)
    with pytest.raises(WrongCredentials):
        desk.log_in()
    assert desk.log_in(password=NEW_PASSWORD)


def test_a_stolen_token_is_no_way_to_guess_the_password(desk: FrontDesk) -> None:
    who = desk.enter()
    desk.forget_tries()
    for n in range(5):
        with pytest.raises(WrongPassword):
            change_password(desk, who, f"wrong password {n}", NEW_PASSWORD, f"198.51.100.{n}")
    with pytest.raises(TooManyTries):
        change_password(desk, who, PASSWORD, NEW_PASSWORD, "198.51.100.9")


def test_a_log_in_with_the_old_password_cannot_outlive_its_change(desk: FrontDesk) -> None:
    """The password is verified, then changed, and only then the session is opened."""
    who = desk.enter()
    desk.forget_tries()
    inner = desk.passwords

    class Slow(Passwords):
        def improve(self, stored: str, password: str) -> str | None:
            desk.passwords = inner
            change_password(desk, who, PASSWORD, NEW_PASSWORD, "198.51.100.9")
            return None

    desk.passwords = Slow(inner._hasher)
    with pytest.raises(WrongCredentials):
        log_in(desk, EMAIL, PASSWORD, None, ADDRESS)


def test_a_reset_token_works_once_under_ten_tries_at_once(desk: FrontDesk) -> None:
    token = desk.log_in().token
    with desk.open_front_work() as work:
        reset = issue_reset(work, EMAIL, NOON)
        work.commit()

    def try_one(n: int) -> bool:
        try:
            reset_password(desk, reset, f"{NEW_PASSWORD} {n}", f"198.51.100.{n}")
        except InvalidReset:
            return False
        return True

    with ThreadPoolExecutor(10) as pool:
        won = [n for n, success in enumerate(pool.map(try_one, range(10))) if success]
    assert len(won) == 1
    assert desk.find(token) is None, "all sessions are over"
    assert desk.log_in(password=f"{NEW_PASSWORD} {won[0]}")


def test_a_reset_token_is_over_after_an_hour_or_when_another_is_made(desk: FrontDesk) -> None:
    with desk.open_front_work() as work:
        first, second = issue_reset(work, EMAIL, NOON), issue_reset(work, EMAIL, NOON)
        work.commit()
    for token in (first, "rt_unknown", "", "\ud800"):
        desk.forget_tries()
        with pytest.raises(InvalidReset):
            reset_password(desk, token, NEW_PASSWORD, ADDRESS)
    desk.now += HOUR
    with pytest.raises(InvalidReset):
        reset_password(desk, second, NEW_PASSWORD, ADDRESS)


def test_reset_tokens_are_counted_as_log_ins(desk: FrontDesk) -> None:
    for _ in range(5):
        with pytest.raises(InvalidReset):
            reset_password(desk, "rt_guess", NEW_PASSWORD, ADDRESS)
    with pytest.raises(TooManyTries):
        reset_password(desk, "rt_guess", NEW_PASSWORD, ADDRESS)


def test_a_second_factor_is_asked_for_only_after_the_right_password(desk: FrontDesk) -> None:
    totp = protect(desk)
    with pytest.raises(WrongCredentials):
        desk.log_in(password="wrong password")
    with pytest.raises(CodeNeeded):
        desk.log_in()
    desk.now += 2 * STEP
    for wrong in (
        "000000" if totp.at(desk.now) != "000000" else "111111",
        "",
        "12345",
        "١٢٣٤٥٦",
        "abcdef",
        "\ud800" * 6,
    ):
        with pytest.raises(CodeNeeded):
            desk.log_in(code=wrong)
    assert desk.log_in(code=totp.at(desk.now))


def test_a_step_is_never_used_twice_nor_one_before_it(desk: FrontDesk) -> None:
    totp = protect(desk)
    with pytest.raises(CodeNeeded, match="used before"):
        desk.log_in(code=totp.at(desk.now))
    assert desk.log_in(code=totp.at(desk.now + STEP)), "a clock that is ahead"
    for step in (-1, 0, 1):
        with pytest.raises(CodeNeeded):
            desk.log_in(code=totp.at(desk.now + step * STEP))
    desk.now += 3 * STEP
    assert desk.log_in(code=totp.at(desk.now - STEP)), "a clock that is behind"
    with pytest.raises(CodeNeeded):
        desk.log_in(code=totp.at(desk.now - 2 * STEP))


def test_one_code_opens_one_session_under_tries_at_once(desk: FrontDesk) -> None:
    totp = protect(desk)
    desk.now += 2 * STEP
    code = totp.at(desk.now)
    desk.forget_tries()

    def try_one(n: int) -> bool:
        try:
            log_in(desk, EMAIL, PASSWORD, code, f"198.51.100.{n}")
        except CodeNeeded:
            return False
        return True

    with ThreadPoolExecutor(5) as pool:
        assert sum(pool.map(try_one, range(5))) == 1


def test_a_second_factor_counts_from_its_confirmation_and_is_removed_with_password_and_code(desk: FrontDesk) -> None:
    who = desk.enter()
    first = begin_totp(desk, who, PASSWORD, ADDRESS)
    assert first.uri.startswith("otpauth://totp/Acuse:ana%40example.com?secret=") and first.secret not in repr(first)
    totp = pyotp.TOTP(begin_totp(desk, who, PASSWORD, ADDRESS).secret)
    assert desk.log_in(), "it is not confirmed yet"
    with pytest.raises(WrongCode):
        confirm_totp(desk, who, pyotp.TOTP(first.secret).at(desk.now))
    confirm_totp(desk, who, totp.at(desk.now))
    for again in (lambda: begin_totp(desk, who, PASSWORD, ADDRESS), lambda: confirm_totp(desk, who, totp.at(desk.now))):
        with pytest.raises(AlreadyProtected):
            again()
    desk.forget_tries()
    for password, code, fault in (
        ("wrong password", totp.at(desk.now + STEP), WrongPassword),
        (PASSWORD, totp.at(desk.now), WrongCode),
        (PASSWORD, "", WrongCode),
    ):
        with pytest.raises(fault):
            remove_totp(desk, who, password, code, ADDRESS)
    remove_totp(desk, who, PASSWORD, totp.at(desk.now + STEP), ADDRESS)
    assert desk.log_in()
    with pytest.raises(NotProtected):
        remove_totp(desk, who, PASSWORD, "", ADDRESS)
    with pytest.raises(NotProtected):
        confirm_totp(desk, who, totp.at(desk.now))


def test_without_keys_to_seal_with_there_is_no_second_factor(desk: FrontDesk) -> None:
    who, desk.sealer = desk.enter(), None
    with pytest.raises(NotConfigured):
        begin_totp(desk, who, PASSWORD, ADDRESS)


def make_key(desk: FrontDesk, who: SignedIn, is_operator: bool = False, **wanted: object):
    with desk.open_work(who.merchant_id) as work:
        made = create_key(
            work, who.merchant_id, WantedKey(**{"name": "shop", "scopes": ("read",)} | wanted), NOON, is_operator
        )
        work.commit()
    return made


def test_a_key_is_256_random_bits_behind_a_prefix_that_may_be_shown(desk: FrontDesk) -> None:
    made = make_key(desk, desk.enter(), scopes=("refund", "read"), expires_at=NOON + HOUR)
    mark, prefix, rest = made.text.split("_", 2)
    assert (mark, len(prefix), len(rest)) == ("ak", 8, 43)
    assert made.stored.prefix == f"ak_{prefix}" and made.text not in repr(made)
    with desk.open_front_work() as work:
        found = work.access.api_keys.find(digest_token(made.text), NOON)
        assert work.access.api_keys.find(digest_token(made.text + "x"), NOON) is None
    assert (found.scopes, found.requests_per_minute, found.expires_at) == (["read", "refund"], 20, NOON + HOUR)


@pytest.mark.parametrize(
    "wanted",
    [
        {"name": ""},
        {"name": "x" * 65},
        {"name": "a\nb"},
        {"scopes": ()},
        {"scopes": ("read", "admin")},
        {"expires_at": NOON},
        {"requests_per_minute": 21},
    ],
)
def test_a_key_that_cannot_be_is_refused(desk: FrontDesk, wanted: dict[str, object]) -> None:
    with pytest.raises(InvalidKey):
        make_key(desk, desk.enter(), **wanted)


def test_a_merchant_gets_as_many_requests_as_an_operator_gave_it(desk: FrontDesk) -> None:
    who = desk.enter()
    make_key(desk, who, is_operator=True, requests_per_minute=600)
    assert make_key(desk, who).stored.requests_per_minute == 600, "as the key that it follows"
    assert make_key(desk, who, name="other").stored.requests_per_minute == 20
    assert make_key(desk, who, name="other", requests_per_minute=600)
    with pytest.raises(InvalidKey):
        make_key(desk, who, name="third", requests_per_minute=601)


def test_the_database_has_no_secret_that_anybody_could_use(desk: FrontDesk) -> None:
    totp_secret = protect(desk).secret
    desk.now += 2 * STEP
    opened = desk.log_in(code=pyotp.TOTP(totp_secret).at(desk.now))
    made = make_key(desk, desk.find(opened.token))
    with desk.open_front_work() as work:
        reset = issue_reset(work, EMAIL, NOON)
        work.commit()
    dump = desk.dump()
    assert made.stored.prefix in dump and EMAIL in dump and "$argon2id$" in dump, "the dump has what there is"
    for secret in (made.text, opened.token, reset, totp_secret, PASSWORD):
        for written in (secret, secret[-20:], secret.encode().hex()):
            assert written not in dump


@pytest.mark.parametrize(
    "text", ["", "@", "a@b", "a@@b.mx", "a b@c.mx", "ñ@c.mx", "a@c.mx\n.", "a" * 250 + "@c.mx", "a@."]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(InvalidEmail):
        clean_email(text)
