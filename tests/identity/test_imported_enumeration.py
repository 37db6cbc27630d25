"""Imported hashes reveal no known addresses: logins with unknown addresses cost the same."""

import io

import argon2
import pytest
from sqlalchemy import event

from authguard.identity.errors import InvalidCredentialsError
from authguard.identity.passwords.hashing import PasswordHasher
from authguard.identity.passwords.imported import is_imported, kind_of
from authguard.identity.storage import queries as store
from authguard.identity.usecases.administration.account_files import read_csv
from identity.support import CALLER, PASSWORD, service_at
from identity.test_imported_passwords import HASHES

#: The cost of the hashes of the service.
OWN = "m=8,t=1,p=1"
LIGHT_ARGON2 = argon2.PasswordHasher(memory_cost=16, time_cost=1, parallelism=1).hash(PASSWORD)


def cost_of(password_hash):
    """Return the parameters of a hash by argon2id."""
    return password_hash.split("$")[3]


class NotingHasher(PasswordHasher):
    """A cheap hasher that records the kind of each hash that it computes."""

    def __init__(self):
        super().__init__(memory=8, time=1, concurrency=8)
        self.kinds = []

    def hash(self, password):
        """Hash, and record the kind."""
        self.kinds.append("hash")
        return super().hash(password)

    def verify(self, password_hash, password):
        """Verify, and record the kind."""
        self.kinds.append(kind_of(password_hash) if is_imported(password_hash) else cost_of(password_hash))
        return super().verify(password_hash, password)

    def verify_dummy(self, password):
        """Verify the decoy, and record the kind."""
        self.kinds.append(OWN)
        return super().verify_dummy(password)


@pytest.fixture
def hasher():
    return NotingHasher()


@pytest.fixture
def service(url, hasher):
    with service_at(url, hasher=hasher) as service:
        yield service


def load(service, names, password_hash=HASHES["django"]):
    """Import accounts with a hash."""
    text = "email,password_hash\n" + "".join(f'{name}@example.com,"{password_hash}"\n' for name in names)
    service.account_import.add(read_csv(io.StringIO(text)))


def work_of(service, hasher, name, password="Wrong-Pass123!"):
    """Return the hashes and the statements of a refused login."""
    statements = []

    def note(connection, cursor, statement, parameters, context, executemany):
        statements.append(statement)

    hasher.kinds.clear()
    event.listen(service.database.engine, "before_cursor_execute", note)
    try:
        with pytest.raises(InvalidCredentialsError):
            service.accounts.login(f"{name}@example.com", password, CALLER)
    finally:
        event.remove(service.database.engine, "before_cursor_execute", note)
    return tuple(hasher.kinds), tuple(statements)


@pytest.mark.parametrize(
    "text", [HASHES["django"], HASHES["scrypt"], LIGHT_ARGON2], ids=["pbkdf2", "scrypt", "argon2"]
)
def test_unknown_addresses_cost_what_imported_ones_cost(service, hasher, text):
    """If all accounts are imported, a wrong password takes the work of an unknown address."""
    load(service, ["ann", "bob"], text)
    known = work_of(service, hasher, "ann")
    assert known[0][0].startswith("imported ")
    assert {work_of(service, hasher, f"nobody{number}") for number in range(8)} == {known}


def test_the_password_of_a_neighbour_signs_nobody_in(service, hasher):
    """An unknown address is refused also with the password of the account of its decoy."""
    load(service, ["ann"])
    work_of(service, hasher, "nobody", PASSWORD)


def test_without_imports_all_is_as_before(service, hasher):
    """Without imported accounts, an unknown address costs a hash of this service."""
    service.accounts.create("ann@example.com", PASSWORD)
    assert work_of(service, hasher, "ann") == work_of(service, hasher, "nobody")
    assert work_of(service, hasher, "ann")[0] == (OWN,)


@pytest.mark.slow
def test_unknown_addresses_are_as_mixed_as_accounts(service, hasher):
    """If some accounts are imported, some unknown addresses cost as much, and always the same ones."""
    load(service, [f"old{number}" for number in range(24)])
    for number in range(24):
        service.accounts.create(f"new{number}@example.com", PASSWORD)
    names = [f"nobody{number}" for number in range(48)]
    first = [work_of(service, hasher, name) for name in names]
    assert {kinds for kinds, _ in first} == {(OWN,), ("imported pbkdf2",)}
    assert [work_of(service, hasher, name) for name in names] == first


def test_a_sign_in_ends_the_difference(service, hasher):
    """After the last imported account has signed in, an unknown address costs a hash of this service."""
    load(service, ["ann"])
    assert work_of(service, hasher, "nobody")[0] == ("imported pbkdf2",)
    assert service.accounts.login("ann@example.com", PASSWORD, CALLER)
    assert work_of(service, hasher, "nobody")[0] == work_of(service, hasher, "ann")[0] == (OWN,)


def test_an_account_without_password_costs_as_an_unknown_address(service, hasher):
    """An account without a password costs the hash of an account with one."""
    load(service, ["ann"])
    load(service, ["bob"], "")
    assert work_of(service, hasher, "bob") == work_of(service, hasher, "nobody")
    assert work_of(service, hasher, "bob")[0] == ("imported pbkdf2",)


def test_hashes_of_other_costs_tell_nothing(service, hasher):
    """If the hash of an account has older costs, unknown addresses have the same costs."""
    user = service.accounts.create("ann@example.com", PASSWORD)
    with service.database.write() as connection:
        store.update_user(connection, user.id, password_hash=LIGHT_ARGON2)
    assert work_of(service, hasher, "ann")[0] == (cost_of(LIGHT_ARGON2),) != (OWN,)
    assert work_of(service, hasher, "nobody") == work_of(service, hasher, "ann")
