"""Delete, verify and show accounts, and set their passwords, roles and scopes, for operators."""

from collections.abc import Iterable
from typing import NamedTuple

from sqlalchemy import Connection

from authguard.identity.errors import InvalidFieldsError, NotFoundError
from authguard.identity.keys.generations import end_keys_of
from authguard.identity.model import NO_CALLER, LinkedIdentity, User
from authguard.identity.passwords.imported import kind_of
from authguard.identity.storage import api_key_queries as key_store
from authguard.identity.storage import linking_queries as linking_store
from authguard.identity.storage import queries as store
from authguard.identity.storage import session_queries as session_store
from authguard.identity.storage.marks import require_elsewhere
from authguard.identity.usecases.administration.removal import remove_account
from authguard.identity.usecases.administration.rights import role_problem, scope_problem
from authguard.identity.usecases.context import Base, records
from authguard.identity.usecases.notices import Notices
from authguard.identity.usecases.sessions import Sessions


class AccountView(NamedTuple):
    """Show an account to an operator.

    Attributes:
        user: the account.
        password: how its password is hashed, such as `argon2id` or `imported bcrypt`; empty if it has none.
        identities: the providers that sign in to it.
        sessions: the number of its active sessions.
        api_keys: the number of its API keys that have neither expired nor been revoked.
    """

    user: User
    password: str
    identities: list[LinkedIdentity]
    sessions: int
    api_keys: int


class AccountAdministration:
    """Change accounts by their ids.

    Args:
        base: the common parts of use cases.
        sessions: ends sessions.
        notices: sends mails without links.
    """

    def __init__(self, base: Base, sessions: Sessions, notices: Notices) -> None:
        self._base = base
        self._sessions = sessions
        self._notices = notices

    @records("delete")
    def delete(self, user_id: str) -> None:
        """Delete an account with all of its data; its sessions, tokens and API keys end at once.

        Raises:
            NotFoundError: if the account does not exist.
        """
        now = self._base.clock()
        with self._base.database.write() as connection:
            self._lock(connection, user_id)
            remove_account(connection, self._sessions, user_id, now)
        self._base.succeeded("delete", NO_CALLER, user_id=user_id)

    @records("set_password")
    def set_password(self, user_id: str, password: str) -> None:
        """Set the password of an account; its sessions and mailed links end, and its owner gets a mail.

        The password counts as proven if the address is verified, as for an account that an operator creates.

        Raises:
            NotFoundError: if the account does not exist.
            InvalidFieldsError: if the password is not accepted.
            RevocationWaitsError: if this is stored, and another store does not answer.
        """
        base = self._base
        with base.database.read() as connection:
            user = store.find_user(connection, user_id)
        if user is None:
            raise NotFoundError("no such account")
        if problems := base.password_problems(password, user.email, user.name):
            raise InvalidFieldsError({"password": problems})
        password_hash = base.hasher.hash(password)
        with base.database.write() as connection:
            user = self._lock(connection, user_id)
            store.update_user(
                connection, user_id, password_hash=password_hash, password_proven=user.email_verified
            )
            store.delete_one_time_tokens(connection, user_id)
            self._sessions.end_sessions_of(connection, user_id)
            require_elsewhere(connection)
            self._notices.tell_of_new_password(connection, user_id)
        base.succeeded("set_password", NO_CALLER, user_id=user_id)

    @records("set_roles")
    def set_roles(self, user_id: str, roles: Iterable[str], scopes: Iterable[str] | None = None) -> User:
        """Set the roles of an account, and its scopes; return the changed account.

        If it loses a role or scope, its sessions and the tokens of its API keys end, as by disabling it, so
        that no usable token has the lost role or scope.

        Args:
            user_id: the account.
            roles: at least one; the first is the `role` of its tokens.
            scopes: the `scope` of its tokens; None to leave them as they are.

        Raises:
            NotFoundError: if the account does not exist.
            InvalidFieldsError: for roles or scopes that are not accepted.
            RevocationWaitsError: if this is stored, and another store does not answer.
        """
        new_roles = tuple(dict.fromkeys(roles))
        given = None if scopes is None else tuple(dict.fromkeys(scopes))
        role = "must be one at least" if not new_roles else role_problem(new_roles)
        problems = {"roles": role, "scopes": scope_problem(given or ())}
        if any(problems.values()):
            raise InvalidFieldsError({name: [text] for name, text in problems.items() if text})
        with self._base.database.write() as connection:
            before = self._lock(connection, user_id)
            new_scopes = before.scopes if given is None else given
            if (before.roles, before.scopes) == (new_roles, new_scopes):
                require_elsewhere(connection)
                return before
            store.update_user(connection, user_id, **store.right_values(new_roles, new_scopes))
            if set(before.roles) - set(new_roles) or set(before.scopes) - set(new_scopes):
                self._sessions.end_sessions_of(connection, user_id)
                end_keys_of(connection, user_id, self._base.clock())
                require_elsewhere(connection)
            after = self._lock(connection, user_id)
        self._base.succeeded("set_roles", NO_CALLER, user_id=user_id)
        return after

    @records("verify_email")
    def verify(self, user_id: str) -> None:
        """Mark the address of an account as verified.

        A password that was set before stays unproven, because another person may have registered the address.

        Raises:
            NotFoundError: if the account does not exist.
        """
        with self._base.database.write() as connection:
            self._lock(connection, user_id)
            store.update_user(connection, user_id, email_verified=True)
        self._base.succeeded("verify_email", NO_CALLER, reason="operator", user_id=user_id)

    def show(self, user_id: str) -> AccountView:
        """Return an account, with the numbers of its sessions and keys.

        Raises:
            NotFoundError: if the account does not exist.
        """
        now = self._base.clock()
        with self._base.database.read() as connection:
            user = store.find_user(connection, user_id)
            if user is None:
                raise NotFoundError("no such account")
            password_hash = store.find_password_hash(connection, user_id)
            return AccountView(
                user,
                "" if password_hash is None else kind_of(password_hash),
                linking_store.list_identities(connection, user_id),
                len(session_store.list_sessions(connection, user_id, now)),
                key_store.count_live_keys(connection, user_id, now),
            )

    def _lock(self, connection: Connection, user_id: str) -> User:
        user = store.lock_account(connection, user_id)
        if user is None:
            raise NotFoundError("no such account")
        return user
