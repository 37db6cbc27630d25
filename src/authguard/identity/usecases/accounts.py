"""Register accounts, sign in to them, change their passwords, and disable them."""

from dataclasses import replace
from logging import getLogger
from uuid import uuid4

from authguard._core.encoding import sha256_hex
from authguard._core.model import Principal
from authguard.errors import VerificationUnavailableError
from authguard.identity.errors import (
    EmailNotVerifiedError,
    EmailTakenError,
    InvalidCredentialsError,
    InvalidFieldsError,
    NotFoundError,
)
from authguard.identity.keys.generations import end_keys_of
from authguard.identity.mail.addresses import canonical_key, email_key, lookup_address, parse_email
from authguard.identity.model import MAX_NAME, NO_CALLER, Caller, Tokens, User
from authguard.identity.person_names import is_name, trim_name
from authguard.identity.storage import queries as store
from authguard.identity.storage import revocation_queries as revocation_store
from authguard.identity.storage.marks import require_elsewhere
from authguard.identity.usecases.administration.rights import role_problem
from authguard.identity.usecases.context import Base, records
from authguard.identity.usecases.decoys import Decoys
from authguard.identity.usecases.links import VERIFY, Links
from authguard.identity.usecases.notices import Notices
from authguard.identity.usecases.session_claims import session_id_or_empty
from authguard.identity.usecases.sessions import Sessions

logger = getLogger("authguard")

#: Seconds for which a second press of the button that changes a password gets the same answer.
REPEAT_SECONDS = 60
_NO_PASSWORD = "is not right, as the account has no password: set one by a link of forgot-password"
_CHANGED = "new-password"  # the purpose of the mark of a session that has changed the password


class Accounts:
    """Register and authenticate accounts with passwords. `SocialSignIn` does so with providers.

    Args:
        base: the common parts of use cases.
        sessions: creates and ends sessions.
        links: sends links in mails.
        notices: sends mails without links.
    """

    def __init__(self, base: Base, sessions: Sessions, links: Links, notices: Notices) -> None:
        self._base = base
        self._sessions = sessions
        self._links = links
        self._notices = notices
        self._decoys = Decoys(base.settings.secret)

    @records("register")
    def register(self, email: str, password: str, name: str, caller: Caller) -> Tokens | None:
        """Create an account, and sign its owner in.

        Returns:
            None if the owner must verify the address first, or the answer must not disclose whether it was
            known (`Settings.enumeration_safe`).

        Raises:
            InvalidFieldsError: for an address, password or name that is not accepted.
            EmailTakenError: if an account has this address.
            RateLimitedError: if the same address has tried too often.
        """
        base = self._base
        base.limited("register", caller, base.limiter.hit, "register_address", address=caller.address)
        user = self._new_user(email, password, name)
        password_hash = base.hasher.hash(password)
        with base.database.write() as connection:
            is_known = not store.insert_user(connection, user, email_key(user.email), password_hash)
            session = None
            if not is_known and not self._is_waiting(user):
                session = self._sessions.create_session(connection, user, caller)
            if base.settings.enumeration_safe:
                revocation_store.write_decoy(connection, base.clock())
            if not is_known:
                self._links.send_verification(connection, user)
            elif base.settings.enumeration_safe:
                self._notices.tell_of_registration(connection, user.email)
        if is_known:
            error = base.failed("register", caller, EmailTakenError("there is an account"))
            if not base.settings.enumeration_safe:
                raise error
            return None
        base.succeeded("register", caller, user_id=user.id)
        return None if session is None else self._sessions.issue_tokens(user, session)

    def _is_waiting(self, user: User) -> bool:
        return self._base.settings.enumeration_safe or self._base.must_verify(user)

    def _new_user(self, email: str, password: str, name: str, role: str | None = None) -> User:
        address = parse_email(email)
        problems: dict[str, list[str]] = {}
        if address is None:
            problems["email"] = ["is not an e-mail address"]
        if missing := self._base.password_problems(password, email, trim_name(name)):
            problems["password"] = missing
        if not is_name(name):
            problems["name"] = [f"has at most {MAX_NAME} characters, and no control characters"]
        if role is not None and (problem := role_problem([role])):
            problems["role"] = [problem]
        if problems or address is None:
            raise InvalidFieldsError(problems)
        return User(
            id=str(uuid4()),
            email=address,
            email_verified=False,
            name=trim_name(name),
            role=role or self._base.settings.default_role,
            disabled=False,
            created_at=self._base.clock(),
        )

    def count_sign_in(self, email: str, caller: Caller) -> float:
        """Count an attempt to sign in, before the password is checked.

        Returns:
            Seconds by which to delay the answer.

        Raises:
            RateLimitedError: if the same network address has tried too often.
        """
        base = self._base
        return base.limited("login", caller, base.limiter.count_login, email, caller.address)

    @records("login")
    def login(self, email: str, password: str, caller: Caller, *, client_id: str | None = None) -> Tokens:
        """Sign in with a password.

        Raises:
            InvalidCredentialsError: for an unknown address, a wrong password or a disabled account; the
                answer and its time are the same.
            EmailNotVerifiedError: if the password is right, but the address must be verified first; with
                `Settings.enumeration_safe`, this is an InvalidCredentialsError, too.
        """
        base = self._base
        user, password_hash = self._check_password(lookup_address(email), password, caller)
        upgraded = base.hasher.hash(password) if base.hasher.needs_rehash(password_hash) else None
        # The transaction is not flushed, which is faster: if a power cut loses the session, its owner signs
        # in again.
        with base.database.write(flush=False) as connection:
            # The account must not have been changed or disabled during the check. The current roles are used.
            locked = store.lock_holder(connection, user.id, password_hash)
            if locked is None:
                raise base.failed("login", caller, InvalidCredentialsError(), user_id=user.id)
            user = locked
            if upgraded is not None:
                store.replace_password(connection, user.id, password_hash, upgraded)
            session = self._sessions.create_session(connection, user, caller, client_id=client_id)
        self._forget_tries(email, caller)
        base.succeeded("login", caller, user_id=user.id, session_id=session.id)
        return self._sessions.issue_tokens(user, session)

    def _forget_tries(self, email: str, caller: Caller) -> None:
        """Reset the count of wrong passwords after the right one; it stays if the store of limits is down."""
        try:
            self._base.limiter.clear_login(email, caller.address)
        except VerificationUnavailableError as error:  # the session is stored, and its owner gets its tokens
            logger.warning("the tries of a sign-in are not forgotten: %s", error.reason)

    def _check_password(self, address: str | None, password: str, caller: Caller) -> tuple[User, str]:
        base = self._base
        row = decoy = None
        if address is not None:
            with base.database.read() as connection:
                row = store.find_user_by_address(connection, address)
                decoy = store.find_hash_near(connection, self._decoys.place_of(address))
        user, password_hash = row or (None, None)
        if user is None or password_hash is None:
            self._verify_nothing(password, decoy)
            raise base.failed("login", caller, InvalidCredentialsError(), reason="unknown")
        if not base.is_password(password_hash, password):
            raise base.failed("login", caller, InvalidCredentialsError(), user_id=user.id)
        if user.disabled:
            raise base.failed("login", caller, InvalidCredentialsError(), reason="disabled", user_id=user.id)
        if self._base.must_verify(user):
            # The answer is that of a wrong password, because the person who registered knows the password of
            # a new account.
            safe = base.settings.enumeration_safe
            error = InvalidCredentialsError() if safe else EmailNotVerifiedError()
            raise base.failed("login", caller, error, reason=EmailNotVerifiedError.code, user_id=user.id)
        return user, password_hash

    def _verify_nothing(self, password: str, decoy: str | None) -> None:
        """Take as long as for a wrong password: see `Decoys`."""
        hasher = self._base.hasher
        if decoy is not None and hasher.needs_rehash(decoy):
            hasher.verify(decoy, password)  # the answer belongs to another account, and is ignored
        else:
            hasher.verify_dummy(password)

    @records("change_password")
    def change_password(self, principal: Principal, current: str, new: str, caller: Caller) -> None:
        """Change the caller's password; all of the caller's other sessions end.

        The same change by the same session within `REPEAT_SECONDS` gets the same answer, and changes nothing.

        Raises:
            InvalidFieldsError: if the current password is wrong, or the new one is not accepted.
            RateLimitedError: if it was tried too often.
        """
        base = self._base
        key, address = principal.subject, caller.address
        base.limited("change_password", caller, base.limiter.hit, "login", key, address=address)
        with base.database.read() as connection:
            old_hash = store.find_password_hash(connection, principal.subject)
            user = store.find_user(connection, principal.subject)
        if user is None or old_hash is None or not base.is_password(old_hash, current):
            self._repeat_change(principal, new, caller)
            return
        if missing := base.password_problems(new, user.email, user.name):
            raise InvalidFieldsError({"new_password": missing})
        if not self._replace_password(principal, old_hash, base.hasher.hash(new)):
            self._repeat_change(principal, new, caller)
            return
        base.succeeded("change_password", caller, user_id=principal.subject)

    def _replace_password(self, principal: Principal, old_hash: str, new_hash: str) -> bool:
        """Replace the password, and end all other sessions; return False if it was changed meanwhile."""
        session_id = session_id_or_empty(principal)
        until = self._base.clock() + REPEAT_SECONDS
        with self._base.database.write() as connection:
            if not store.replace_password(connection, principal.subject, old_hash, new_hash):
                return False
            # The link of the first mail proves the mailbox, which a new password does not change.
            store.delete_one_time_tokens(connection, principal.subject, kept=[VERIFY])
            if session_id:
                mark = _mark_of(session_id)
                store.upsert_one_time_token(connection, principal.subject, _CHANGED, mark, until)
            self._sessions.end_sessions_of(connection, principal.subject, except_id=session_id)
            self._notices.tell_of_new_password(connection, principal.subject)
        return True

    def _repeat_change(self, principal: Principal, new: str, caller: Caller) -> None:
        """Accept a change again that the same session has made a moment ago; users press a button twice.

        At any other time the new password is not compared, because each request would be two guesses.

        Raises:
            InvalidFieldsError: for any other change.
        """
        base, user_id, mark = self._base, principal.subject, _mark_of(session_id_or_empty(principal))
        with base.database.read() as connection:
            is_repeat = store.find_one_time_token(connection, _CHANGED, mark, base.clock()) == user_id
            password_hash = store.find_password_hash(connection, user_id)
        if not is_repeat or password_hash is None or not base.is_password(password_hash, new):
            message = _NO_PASSWORD if password_hash is None else "is not right"
            error = InvalidFieldsError({"current_password": [message]})
            raise base.failed("change_password", caller, error, user_id=user_id)

    @records("create")
    def create(
        self, email: str, password: str, name: str = "", role: str | None = None, *, verified: bool = True
    ) -> User:
        """Create an account, for operators of the service; no mail is sent.

        Args:
            email: its address.
            password: its password.
            name: the name of its owner.
            role: its role; None for `Settings.default_role`.
            verified: whether the address is known to belong to its owner; if so, the password counts as
                proven.

        Raises:
            InvalidFieldsError: for an address, password or name that is not accepted.
            EmailTakenError: if an account has this address.
        """
        user = replace(self._new_user(email, password, name, role), email_verified=verified)
        password_hash = self._base.hasher.hash(password)
        with self._base.database.write() as connection:
            key = email_key(user.email)
            if not store.insert_user(connection, user, key, password_hash, password_proven=verified):
                raise EmailTakenError("there is an account")
        self._base.succeeded("create", NO_CALLER, user_id=user.id)
        return user

    @records("issue_tokens")
    def issue_tokens(self, user_id: str, caller: Caller = NO_CALLER) -> Tokens:
        """Begin a session without a password, for operators of the service.

        It counts as a sign-in: the `auth_time` of its tokens is now.

        Raises:
            NotFoundError: if the account does not exist.
            InvalidCredentialsError: if it is disabled.
        """
        base = self._base
        with base.database.write() as connection:
            user = store.lock_account(connection, user_id)
            if user is None:
                raise base.failed("issue_tokens", caller, NotFoundError("no such account"))
            if user.disabled:
                error = InvalidCredentialsError()
                raise base.failed("issue_tokens", caller, error, reason="disabled", user_id=user.id)
            session = self._sessions.create_session(connection, user, caller)
        base.succeeded("issue_tokens", caller, user_id=user.id, session_id=session.id)
        return self._sessions.issue_tokens(user, session)

    def find(self, email: str) -> User | None:
        """Find the account with this address."""
        address = parse_email(email)
        if address is None:
            return None
        with self._base.database.read() as connection:
            row = store.find_user_by_address(connection, address)
        return None if row is None else row.user

    def find_by_id(self, user_id: str) -> User | None:
        """Find the account with this id."""
        with self._base.database.read() as connection:
            return store.find_user(connection, user_id)

    def list(self, limit: int = 100, after: str = "") -> list[User]:
        """List accounts in the order of their addresses.

        Args:
            limit: the greatest number of accounts.
            after: the address to begin after.
        """
        with self._base.database.read() as connection:
            return store.list_users(connection, limit, canonical_key(after))

    def disable(self, user_id: str, *, disabled: bool = True) -> None:
        """Disable an account, which ends its sessions, or enable it.

        Raises:
            NotFoundError: if the account does not exist.
            RevocationWaitsError: if this is stored, and another store does not answer.
        """
        flow = "disable" if disabled else "enable"
        with self._base.database.write() as connection:
            # The account is locked first, so that a transaction that stores a mailed link ends before, or
            # sees the change.
            if store.lock_account(connection, user_id) is None:
                raise self._base.failed(flow, NO_CALLER, NotFoundError("no such account"))
            store.update_user(connection, user_id, disabled=disabled)
            if disabled:
                self._sessions.end_sessions_of(connection, user_id)
                require_elsewhere(connection)
                store.delete_one_time_tokens(connection, user_id)
                end_keys_of(connection, user_id, self._base.clock())
        self._base.succeeded(flow, NO_CALLER, user_id=user_id)


def _mark_of(session_id: str) -> str:
    """Return the digest of the mark of a session that has changed the password."""
    return sha256_hex(f"{_CHANGED} {session_id}")
