"""Use cases of accounts: register, sign in, change the password, disable."""

from dataclasses import dataclass, field, replace
from uuid import uuid4

from sqlalchemy import Connection

from authguard._core.model import Principal
from authguard.errors import RefusedError
from authguard.identity.errors import (
    EmailNotVerifiedError,
    EmailTakenError,
    InvalidCredentialsError,
    InvalidFieldsError,
    LinkRefusedError,
    NotFoundError,
)
from authguard.identity.mail.addresses import email_key, is_same_address, lookup_address, parse_email
from authguard.identity.model import Caller, SocialIdentity, Tokens, User
from authguard.identity.storage import linking_queries as linking_store
from authguard.identity.storage import queries as store
from authguard.identity.usecases.context import Base
from authguard.identity.usecases.links import Links
from authguard.identity.usecases.proofs import AddressProofs, EndedSignIns
from authguard.identity.usecases.sessions import Sessions

MAX_NAME = 200
MAX_SUBJECT = 255  # OpenID Connect Core section 2
_NOBODY = Caller()


@dataclass(frozen=True, slots=True)
class _NewLink:
    """A link that was made or verified.

    Attributes:
        ended: what has ended for it.
        made_account: whether the account was made with it.
    """

    ended: EndedSignIns = field(default_factory=EndedSignIns)
    made_account: bool = False


class Accounts:
    """Accounts with passwords, and social accounts that are linked to them.

    Args:
        base: what the service is made of.
        sessions: begins and ends sessions.
        links: sends the mails.
        proofs: ends an unproven password when a provider proves the address.
    """

    def __init__(self, base: Base, sessions: Sessions, links: Links, proofs: AddressProofs) -> None:
        self._base = base
        self._sessions = sessions
        self._links = links
        self._proofs = proofs

    def register(self, email: str, password: str, name: str, caller: Caller) -> Tokens | None:
        """Make an account and sign its owner in.

        Returns:
            None if the owner has to prove something first: the address must be verified, or the answer
            must not tell whether it was known (`Settings.enumeration_safe`).

        Raises:
            InvalidFieldsError: for an address, password or name that is not accepted.
            EmailTakenError: if there is an account with this address.
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
                store.write_decoy(connection, base.clock())
        if is_known:
            error = base.failed("register", caller, EmailTakenError("there is an account"))
            if not base.settings.enumeration_safe:
                raise error
            self._links.tell_of_registration(user.email)
            return None
        base.succeeded("register", caller, user_id=user.id)
        self._links.send_verification(user)
        return None if session is None else self._sessions.issue_tokens(user, session)

    def _is_waiting(self, user: User) -> bool:
        return self._base.settings.enumeration_safe or self._must_verify(user)

    def _must_verify(self, user: User) -> bool:
        settings = self._base.settings
        return (settings.enumeration_safe or settings.require_verified_email) and not user.email_verified

    def _new_user(self, email: str, password: str, name: str, role: str | None = None) -> User:
        address = parse_email(email)
        problems: dict[str, list[str]] = {}
        if address is None:
            problems["email"] = ["is not an e-mail address"]
        if missing := self._base.password_problems(password, email, name):
            problems["password"] = missing
        if len(name) > MAX_NAME or not all(character.isprintable() for character in name):
            problems["name"] = [f"has at most {MAX_NAME} characters, and no control characters"]
        if problems or address is None:
            raise InvalidFieldsError(problems)
        return User(
            id=str(uuid4()),
            email=address,
            email_verified=False,
            name=name.strip(),
            role=role or self._base.settings.default_role,
            disabled=False,
            created_at=self._base.clock(),
        )

    def count_sign_in(self, email: str, caller: Caller) -> float:
        """Count a try to sign in, before the password is looked at.

        Returns:
            Seconds for which to keep the answer back.

        Raises:
            RateLimitedError: if the same network address has tried too often.
        """
        base = self._base
        return base.limited("login", caller, base.limiter.count_login, email, caller.address)

    def login(self, email: str, password: str, caller: Caller, *, client_id: str | None = None) -> Tokens:
        """Sign in with a password.

        Raises:
            InvalidCredentialsError: for an unknown address, a wrong password, a disabled account: one
                answer, after the same time.
            EmailNotVerifiedError: if the password is right, and the address has to be verified; with
                `Settings.enumeration_safe` that is an InvalidCredentialsError, too.
        """
        base = self._base
        user, password_hash = self._check_password(lookup_address(email), password, caller)
        upgraded = base.hasher.hash(password) if base.hasher.needs_rehash(password_hash) else None
        # Not flushed, which is faster: if a power cut takes the session back, its owner signs in again.
        with base.database.write(flush=False) as connection:
            # Unless it was changed or disabled while it was being checked.
            if not store.holds_password(connection, user.id, password_hash):
                raise base.failed("login", caller, InvalidCredentialsError(), user_id=user.id)
            if upgraded is not None:
                store.replace_password(connection, user.id, password_hash, upgraded)
            session = self._sessions.create_session(connection, user, caller, client_id=client_id)
        base.limiter.clear_login(email, caller.address)
        base.succeeded("login", caller, user_id=user.id, session_id=session.id)
        return self._sessions.issue_tokens(user, session)

    def _check_password(self, address: str | None, password: str, caller: Caller) -> tuple[User, str]:
        base = self._base
        row = None
        if address is not None:
            with base.database.read() as connection:
                row = store.find_user_by_address(connection, address)
        user, password_hash = row or (None, None)
        if user is None or password_hash is None:
            base.hasher.verify_dummy(password)
            raise base.failed("login", caller, InvalidCredentialsError(), reason="unknown")
        if not base.hasher.verify(password_hash, password):
            raise base.failed("login", caller, InvalidCredentialsError(), user_id=user.id)
        if user.disabled:
            raise base.failed("login", caller, InvalidCredentialsError(), reason="disabled", user_id=user.id)
        if self._must_verify(user):
            # The answer of a wrong password: the one who has registered knows the password of a new account.
            safe = base.settings.enumeration_safe
            error = InvalidCredentialsError() if safe else EmailNotVerifiedError()
            raise base.failed("login", caller, error, reason=EmailNotVerifiedError.code, user_id=user.id)
        return user, password_hash

    def change_password(self, principal: Principal, current: str, new: str, caller: Caller) -> None:
        """Change the caller's password; all of the caller's other sessions end.

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
        if user is None or old_hash is None or not base.hasher.verify(old_hash, current):
            error = InvalidFieldsError({"current_password": ["is not right"]})
            raise base.failed("change_password", caller, error, user_id=principal.subject)
        if missing := base.password_problems(new, user.email, user.name):
            raise InvalidFieldsError({"new_password": missing})
        new_hash = base.hasher.hash(new)
        session = principal.claims.get("sid")
        with base.database.write() as connection:
            if not store.replace_password(connection, principal.subject, old_hash, new_hash):
                error = InvalidFieldsError({"current_password": ["is not right"]})
                raise base.failed("change_password", caller, error, user_id=principal.subject)
            store.delete_one_time_tokens(connection, principal.subject)
            self._sessions.end_sessions_of(connection, principal.subject, except_id=session)
        base.succeeded("change_password", caller, user_id=principal.subject)
        self._links.tell_of_new_password(principal.subject)

    def sign_in_with(self, identity: SocialIdentity, caller: Caller = _NOBODY) -> Tokens:
        """Sign in with a social account; makes an account for one that is new.

        A social account is linked to an account of the same address only if its provider has verified
        that address. A password of the account that its owner has not proven ends then, and so do links
        to providers that have not verified the address, and all sessions (`AddressProofs.prove_by_provider`).

        Raises:
            LinkRefusedError: if it must not be linked, or tells no address.
            EmailNotVerifiedError: if the address has to be verified; a mail is on its way. With
                `Settings.enumeration_safe`, also instead of LinkRefusedError for an address that is known.
            InvalidCredentialsError: if the account is disabled.
        """
        base = self._base
        session = None
        with base.database.write() as connection:
            user, linked = self._user_of(connection, identity, caller)
            if user is not None and user.disabled:
                raise base.failed(
                    "social", caller, InvalidCredentialsError(), reason="disabled", user_id=user.id
                )
            if user is not None and not self._must_verify(user):
                session = self._sessions.create_session(
                    connection, user, caller, authenticated_at=identity.auth_time
                )
            if self._must_hide(identity) and linked is None:
                store.write_decoy(connection, base.clock())
        if user is None:
            raise self._refuse_link(identity, caller)
        if linked is not None:
            self._report_link(user, identity, linked, caller)
        if session is None:
            if linked is None:  # else the report has sent it
                self._links.send_verification(user)
            raise base.failed("social", caller, EmailNotVerifiedError(), user_id=user.id)
        base.succeeded("social", caller, user_id=user.id, session_id=session.id)
        return self._sessions.issue_tokens(user, session)

    def _must_hide(self, identity: SocialIdentity) -> bool:
        """Return whether signing in must not tell by its time whether the address is known.

        A new address leaves two rows the first time, and none later. A known one leaves none. A decoy makes
        up for them, so that each takes as many statements, and flushes the disk.
        """
        return self._base.settings.enumeration_safe and not identity.email_verified

    def _user_of(
        self, connection: Connection, identity: SocialIdentity, caller: Caller
    ) -> tuple[User | None, _NewLink | None]:
        """Find or make the account of a social identity.

        Returns:
            The account, None if it must not be linked; and the link, None if there is no new one.
        """
        linked_user = linking_store.find_linked_user(connection, identity)
        if linked_user is None:
            return self._link(connection, identity, caller)
        user, is_verified = linked_user
        address = parse_email(identity.email or "")
        vouches = identity.email_verified and address is not None and is_same_address(user.email, address)
        if not vouches or (is_verified and user.email_verified):
            if self._must_hide(identity):
                # Changes nothing. A second decoy would lock another row, which could end in a deadlock.
                store.insert_link(connection, identity, user.id, self._base.clock())
            return user, None
        linking_store.verify_identity(connection, identity)
        ended = self._proofs.prove_by_provider(connection, user.id)
        return replace(user, email_verified=True), _NewLink(ended)

    def _link(
        self, connection: Connection, identity: SocialIdentity, caller: Caller
    ) -> tuple[User | None, _NewLink | None]:
        base = self._base
        address = parse_email(identity.email or "")
        if address is None or max(len(identity.provider), len(identity.subject)) > MAX_SUBJECT:
            raise base.failed("social", caller, LinkRefusedError("no address"), reason="no_address")
        now = base.clock()
        user = User(
            id=str(uuid4()),
            email=address,
            email_verified=identity.email_verified,
            name="".join(c for c in identity.name if c.isprintable())[:MAX_NAME],
            role=base.settings.default_role,
            disabled=False,
            created_at=now,
            picture=identity.picture,
        )
        linked = _NewLink(made_account=True)
        if not store.insert_user(connection, user, email_key(address), None):
            row = store.find_user_by_address(connection, address) if identity.email_verified else None
            if row is None:
                return None, None
            user = replace(row.user, email_verified=True)
            linked = _NewLink(self._proofs.prove_by_provider(connection, user.id))
        is_new = store.insert_link(connection, identity, user.id, now)
        return user, linked if is_new else None

    def _report_link(self, user: User, identity: SocialIdentity, linked: _NewLink, caller: Caller) -> None:
        """Leave events of a link to an account that was there before, and tell the owner of the address."""
        if not linked.made_account:
            self._base.succeeded("link", caller, user_id=user.id)
            self._proofs.record(linked.ended, caller, user.id)
        if user.email_verified:
            self._links.tell_of_identity(user, identity.provider, linked.ended)
        else:
            self._links.send_verification(user, identity.provider)

    def _refuse_link(self, identity: SocialIdentity, caller: Caller) -> RefusedError:
        """Refuse to link an unverified address; with `enumeration_safe`, by the answer for a new one."""
        error: RefusedError = LinkRefusedError("an unverified address")
        if self._base.settings.enumeration_safe:
            self._links.tell_of_registration(identity.email or "")
            error = EmailNotVerifiedError()
        return self._base.failed("social", caller, error, reason=LinkRefusedError.code)

    def create(
        self, email: str, password: str, name: str = "", role: str | None = None, *, verified: bool = True
    ) -> User:
        """Make an account, for operators of the service; no mail is sent.

        Args:
            email: its address.
            password: its password.
            name: what to call its owner.
            role: its role; None for `Settings.default_role`.
            verified: whether the address is known to be its owner's; the password counts as proven then.

        Raises:
            InvalidFieldsError: for an address, password or name that is not accepted.
            EmailTakenError: if there is an account with this address.
        """
        user = replace(self._new_user(email, password, name, role), email_verified=verified)
        password_hash = self._base.hasher.hash(password)
        with self._base.database.write() as connection:
            key = email_key(user.email)
            if not store.insert_user(connection, user, key, password_hash, password_proven=verified):
                raise EmailTakenError("there is an account")
        self._base.succeeded("create", _NOBODY, user_id=user.id)
        return user

    def issue_tokens(self, user_id: str, caller: Caller = _NOBODY) -> Tokens:
        """Begin a session without a password, for operators of the service.

        It counts as a sign-in: the `auth_time` of its tokens is now.

        Raises:
            NotFoundError: if there is no such account.
            InvalidCredentialsError: if it is disabled.
        """
        base = self._base
        with base.database.write() as connection:
            user = store.find_user(connection, user_id)
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

    def list(self, limit: int = 100, after: str = "") -> list[User]:
        """List accounts in the order of their addresses.

        Args:
            limit: how many.
            after: the address to begin after.
        """
        with self._base.database.read() as connection:
            return store.list_users(connection, limit, email_key(after))

    def disable(self, user_id: str, *, disabled: bool = True) -> None:
        """Switch an account off, which ends its sessions, or on again.

        Raises:
            NotFoundError: if there is no such account.
        """
        with self._base.database.write() as connection:
            if not store.update_user(connection, user_id, disabled=disabled):
                raise NotFoundError("no such account")
            if disabled:
                self._sessions.end_sessions_of(connection, user_id)
                store.delete_one_time_tokens(connection, user_id)
        self._base.succeeded("disable" if disabled else "enable", _NOBODY, user_id=user_id)
