"""Sign in with a social account, and link it to an account."""

from contextlib import suppress
from dataclasses import dataclass, field, replace
from uuid import uuid4

from sqlalchemy import Connection

from authguard._core.options import MAX_LEEWAY
from authguard.errors import RefusedError, VerificationUnavailableError
from authguard.identity.audit import Event
from authguard.identity.errors import (
    DisabledAccountError,
    EmailNotVerifiedError,
    LinkRefusedError,
    NoAddressError,
    SimilarAddressError,
    SocialSignInError,
    StoreUnavailableError,
)
from authguard.identity.mail.addresses import email_key, is_same_address, parse_email
from authguard.identity.model import NO_CALLER, Caller, Session, SocialIdentity, Tokens, User
from authguard.identity.person_names import usable_name
from authguard.identity.social_reasons import SocialReason
from authguard.identity.storage import linking_queries as linking_store
from authguard.identity.storage import queries as store
from authguard.identity.storage import revocation_queries as revocation_store
from authguard.identity.usecases.context import Base
from authguard.identity.usecases.links import Links
from authguard.identity.usecases.notices import Notices
from authguard.identity.usecases.proofs import AddressProofs, EndedSignIns
from authguard.identity.usecases.sessions import Sessions
from authguard.identity.usecases.social.failures import SocialFailures

MAX_SUBJECT = 255  # OpenID Connect Core section 2
#: Seconds for signing in at the provider.
ATTEMPT_SECONDS = 600
#: Attempts to link an identity while other requests change the account or the link at the same time.
MAX_ATTEMPTS = 5


class _ChangedError(Exception):
    """End a transaction because another one has changed the account or the link that it was about to use."""


@dataclass(frozen=True, slots=True)
class _NewLink:
    """Hold a link that was created or verified.

    Attributes:
        ended: the ways to sign in that have ended because of it.
        made_account: whether the account was created with it.
    """

    ended: EndedSignIns = field(default_factory=EndedSignIns)
    made_account: bool = False


@dataclass(frozen=True, slots=True)
class _Stored:
    """Hold the result of the transaction of a sign-in.

    Attributes:
        user: the account; None if it must not be linked.
        linked: the new link; None without a new one.
        session: the new session; None if the address must be verified first.
    """

    user: User | None
    linked: _NewLink | None
    session: Session | None


class SocialSignIn:
    """Sign in with social accounts.

    Args:
        base: the common parts of use cases.
        sessions: creates sessions.
        links: sends links in mails.
        notices: sends mails without links.
        proofs: ends an unproven password when a provider proves the address.
    """

    def __init__(
        self, base: Base, sessions: Sessions, links: Links, notices: Notices, proofs: AddressProofs
    ) -> None:
        self._base = base
        self._sessions = sessions
        self._links = links
        self._notices = notices
        self._proofs = proofs
        #: Also records sign-ins that fail before the provider has named an identity.
        self.failures = SocialFailures(base)

    def count_first(self, identity: SocialIdentity, caller: Caller) -> None:
        """Count a sign-in that would create or link an account, or only send the mail for its address.

        With `Settings.enumeration_safe`, these are counted alike, so that the limit does not disclose which
        addresses are known.

        Raises:
            RateLimitedError: if too many came from the same network address.
        """
        base = self._base
        if not _is_usable(identity):
            return  # `sign_in_with` refuses it
        with base.database.read() as connection:
            user = linking_store.find_owner(connection, identity)
        if user is None or base.must_verify(user):
            base.limiter.hit("register_address", address=caller.address)

    def sign_in_with(
        self, identity: SocialIdentity, caller: Caller = NO_CALLER, *, state: str | None = None
    ) -> Tokens:
        """Sign in with a social account; create an account for a new one.

        A social account is linked to an account of the same address only if its provider has verified that
        address. This ends an unproven password of the account, links to providers that have not verified the
        address, and all sessions (`AddressProofs.prove_by_provider`).

        Args:
            identity: as its provider describes it.
            caller: the origin of the request.
            state: the state of the attempt of a browser, which can be used once; None without one.

        Raises:
            SocialSignInError: if the state was used before.
            LinkRefusedError: if it must not be linked.
            SimilarAddressError: if its address only looks like that of an account.
            NoAddressError: if no account exists yet, and the provider sends no address for one.
            EmailNotVerifiedError: if the address must be verified; a mail will be sent. With
                `Settings.enumeration_safe`, also for a known address that the provider has not verified.
            DisabledAccountError: if the account is disabled.
        """
        try:
            return self._sign_in(identity, caller, state)
        except VerificationUnavailableError as error:
            self.failures.record(identity.provider, caller, error)
            raise

    def _sign_in(self, identity: SocialIdentity, caller: Caller, state: str | None) -> Tokens:
        if not _is_usable(identity):
            raise self._failed(identity, caller, NoAddressError(), SocialReason.BAD_IDENTITY)
        stored = self._store(identity, caller, state)
        user, linked, session = stored.user, stored.linked, stored.session
        if user is None:
            raise self._refuse_link(identity, caller)
        if linked is not None:
            self._report_link(user, identity, linked, caller)
        if session is None:
            refusal = EmailNotVerifiedError(user_id=user.id)
            raise self._failed(identity, caller, refusal, SocialReason.EMAIL_NOT_VERIFIED, user)
        self._succeeded(identity, caller, user.id, session.id)
        return self._sessions.issue_tokens(user, session)

    def _store(self, identity: SocialIdentity, caller: Caller, state: str | None) -> _Stored:
        """Find, link or create the account, and create the session; begin again if others changed it.

        Raises:
            StoreUnavailableError: if others changed it during each attempt.
        """
        for _ in range(MAX_ATTEMPTS):
            with suppress(_ChangedError), self._base.database.write() as connection:
                if state is not None:
                    self._use_state(connection, identity, caller, state)
                return self._store_in(connection, identity, caller)
        raise StoreUnavailableError("the account or its link changes too quickly", retry_after=1)

    def _use_state(
        self, connection: Connection, identity: SocialIdentity, caller: Caller, state: str
    ) -> None:
        # The clocks of two machines may differ.
        until = self._base.clock() + ATTEMPT_SECONDS + MAX_LEEWAY
        if not revocation_store.use_state(connection, state, until):
            error = SocialSignInError("a state that was used before", SocialReason.REPEATED)
            raise self._failed(identity, caller, error)

    def _store_in(self, connection: Connection, identity: SocialIdentity, caller: Caller) -> _Stored:
        user, linked = self._user_of(connection, identity, caller)
        session = None
        if user is not None and user.disabled:
            raise self._failed(identity, caller, DisabledAccountError(), SocialReason.DISABLED, user)
        if user is not None and not self._base.must_verify(user):
            session = self._sessions.create_session(
                connection, user, caller, authenticated_at=identity.auth_time
            )
        if self._must_hide(identity) and linked is None:
            revocation_store.write_decoy(connection, self._base.clock())
        self._send_mail(connection, user, identity, linked, is_waiting=session is None)
        return _Stored(user, linked, session)

    def _succeeded(self, identity: SocialIdentity, caller: Caller, user_id: str, session_id: str) -> None:
        event = Event(
            "social",
            True,
            self._base.clock(),
            user_id=user_id,
            session_id=session_id,
            address=caller.address,
            provider=identity.provider,
        )
        self._base.audit.record(event)

    def _failed(
        self,
        identity: SocialIdentity,
        caller: Caller,
        error: RefusedError,
        why: SocialReason | None = None,
        user: User | None = None,
    ) -> RefusedError:
        """Record that a sign-in failed, and return the error to raise."""
        user_id = None if user is None else user.id
        self.failures.record(identity.provider, caller, error, why, user_id=user_id)
        return error

    def _must_hide(self, identity: SocialIdentity) -> bool:
        """Return whether the time of the sign-in must not disclose whether the address is known.

        A new address adds two rows the first time, and none later. A known address adds none. Decoys replace
        the missing rows, so that all cases need the same statements, and flush the disk.
        """
        return self._base.settings.enumeration_safe and not identity.email_verified

    def _user_of(
        self, connection: Connection, identity: SocialIdentity, caller: Caller
    ) -> tuple[User | None, _NewLink | None]:
        """Find or create the account of a social identity.

        Returns:
            The account, locked or new, or None if it must not be linked; and the new link, or None without
            a new one.
        """
        linked_user = linking_store.find_linked_user(connection, identity)
        if linked_user is None:
            return self._link(connection, identity, caller)
        user, is_verified = linked_user
        address = parse_email(identity.email or "")
        vouches = identity.email_verified and address is not None and is_same_address(user.email, address)
        if not vouches or (is_verified and user.email_verified):
            if self._must_hide(identity):
                # These statements change nothing. A second decoy would lock another row, which could cause a
                # deadlock.
                linking_store.find_owner(connection, identity)
                linking_store.insert_link(connection, identity, user.id, self._base.clock())
            return user, None
        linking_store.verify_identity(connection, identity)
        ended = self._proofs.prove_by_provider(connection, user.id)
        return replace(user, email_verified=True), _NewLink(ended)

    def _link(
        self, connection: Connection, identity: SocialIdentity, caller: Caller
    ) -> tuple[User | None, _NewLink | None]:
        base = self._base
        if not identity.email:
            raise self._failed(identity, caller, NoAddressError(), SocialReason.NO_ADDRESS)
        address = parse_email(identity.email)
        if address is None:
            raise self._failed(identity, caller, NoAddressError(), SocialReason.BAD_IDENTITY)
        now = base.clock()
        user = User(
            id=str(uuid4()),
            email=address,
            email_verified=identity.email_verified,
            name=usable_name(identity.name),
            role=base.settings.default_role,
            disabled=False,
            created_at=now,
            picture=identity.picture,
        )
        linked = _NewLink(made_account=True)
        is_new = store.insert_user(connection, user, email_key(address), None)
        # While this transaction waited for the address, another sign-in with the identity may have linked it.
        # A new address is looked up, too, so that all addresses need the same statements.
        if linking_store.find_owner(connection, identity) is not None:
            raise _ChangedError
        if not is_new:
            known = self._lock_known(connection, address) if identity.email_verified else None
            if known is None:
                return None, None
            linked = _NewLink(self._proofs.prove_by_provider(connection, known.id))
            user = replace(known, email_verified=True)
        if not linking_store.insert_link(connection, identity, user.id, now):
            raise _ChangedError  # the identity has been linked meanwhile, perhaps to another account
        return user, linked

    def _lock_known(self, connection: Connection, address: str) -> User | None:
        """Lock the account with an address, and return its current row; None for a merely similar address.

        While this transaction waits for the account, another one may disable it, or change its roles.

        Raises:
            _ChangedError: if no account has the address any more.
        """
        user = store.lock_account_at(connection, address)
        if user is None:
            raise _ChangedError
        return user if is_same_address(user.email, address) else None

    def _report_link(self, user: User, identity: SocialIdentity, linked: _NewLink, caller: Caller) -> None:
        """Record events of a link to an existing account."""
        if not linked.made_account:
            self._base.succeeded("link", caller, user_id=user.id)
            self._proofs.record(linked.ended, caller, user.id)

    def _send_mail(
        self,
        connection: Connection,
        user: User | None,
        identity: SocialIdentity,
        linked: _NewLink | None,
        *,
        is_waiting: bool,
    ) -> None:
        """Notify the owner of the address of the link, or of the next step."""
        if user is None:
            if not identity.email_verified:  # the answer explains a similar address to its proved owner
                self._notices.tell_of_refused_link(connection, identity.email or "", identity.provider)
        elif linked is not None and user.email_verified:
            self._notices.tell_of_identity(connection, user, identity.provider, linked.ended)
        elif linked is not None:
            self._links.send_verification(connection, user, identity.provider)
        elif is_waiting:
            self._links.send_verification(connection, user)

    def _refuse_link(self, identity: SocialIdentity, caller: Caller) -> RefusedError:
        """Refuse to link an unverified address, or one that only looks like the address of an account.

        With `enumeration_safe`, an unverified address gets the answer for a new one, and its owner a mail
        that explains how to sign in.
        """
        error: RefusedError = LinkRefusedError("an unverified address")
        if identity.email_verified:
            error = SimilarAddressError("an address that looks like that of an account")
        elif self._base.settings.enumeration_safe:
            error = EmailNotVerifiedError()
        return self._failed(identity, caller, error, SocialReason.LINK_REFUSED)


def _is_usable(identity: SocialIdentity) -> bool:
    """Return whether the database can store the name of the provider and the subject."""
    return max(len(identity.provider), len(identity.subject)) <= MAX_SUBJECT and "\0" not in identity.subject
