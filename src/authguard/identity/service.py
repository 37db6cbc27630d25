"""Compose the use cases: the identity service without HTTP. Start reading here.

accounts register, sign in, change the password, disable social_sign_in sign in with providers, in the folder
`social` administration delete, verify and show accounts, set passwords and roles; `account_import` creates
many purge delete expired rows sessions create, refresh, list, end; `session_pages` shows them in pages links
one-time tokens in mails: verify an address, reset a password address_changes another address for one's
account, in the folder `own_account` deletion delete one's own account linking list and unlink the providers
of an account clients OAuth clients, and tokens for them readiness database, tables, signing keys, stores and
outbox, for probes api_keys create, list, revoke, rotate, switch and count API keys leak_reports revoke API
keys that were found in public, in the folder `scanning` key_notices note which API keys expire mails the
waiting mails, until they are sent
"""

import logging
import os
import sys
import time
from collections.abc import Callable
from functools import partial

from authguard._core.options import check_clock, check_object, check_plain_methods, named_options
from authguard.errors import ConfigurationError, VerificationUnavailableError
from authguard.identity.audit import Audit, Event, Hook, check_hook
from authguard.identity.brand import parse_brand
from authguard.identity.keys.texts import KeyTexts
from authguard.identity.keys.verify import SQLAPIKeys
from authguard.identity.limits import DEFAULT_LIMITS, Limiter
from authguard.identity.limits.processes import warn_of_processes
from authguard.identity.mail.mailer import ConsoleMailer, Mailer, SMTPMailer
from authguard.identity.mail.outbox import PAUSE_SECONDS, Outbox
from authguard.identity.model import NO_CALLER, Caller, SocialIdentity, Tokens
from authguard.identity.passwords.breaches import BreachedPasswords, BreachedService
from authguard.identity.passwords.configured import breaches_from, policy_from
from authguard.identity.passwords.hashing import PasswordHasher, PasswordPolicy
from authguard.identity.scanning.reports import LeakReports
from authguard.identity.scanning.scanner_keys import ScannerKeys
from authguard.identity.setting_checks import missing_mailer
from authguard.identity.settings import Settings
from authguard.identity.storage.database import Database
from authguard.identity.storage.elsewhere.writer import POLL_SECONDS as MARKS_SECONDS
from authguard.identity.storage.elsewhere.writer import MarksElsewhere
from authguard.identity.storage.revocations import (
    RevocationStore,
    Spread,
    SQLRevocations,
    open_store,
    shared_revocations_of,
)
from authguard.identity.storage.usage_roll_up import set_kept
from authguard.identity.tiers import open_key_quotas
from authguard.identity.tokens.issue import AccessTokens, RefreshTokens
from authguard.identity.tokens.signing import SigningKeys
from authguard.identity.tokens.verify import OwnTokens, TokensForGuards
from authguard.identity.usecases.accounts import Accounts
from authguard.identity.usecases.administration.accounts import AccountAdministration
from authguard.identity.usecases.administration.imports import AccountImport
from authguard.identity.usecases.administration.purge import PURGE_POLL_SECONDS, Purge
from authguard.identity.usecases.api_keys import APIKeys
from authguard.identity.usecases.context import Base
from authguard.identity.usecases.key_life.events import KeyEvents
from authguard.identity.usecases.key_life.mails import KeyMails
from authguard.identity.usecases.key_life.notices import KeyNotices
from authguard.identity.usecases.linking import Linking
from authguard.identity.usecases.links import Links
from authguard.identity.usecases.mails.background import BackgroundThread
from authguard.identity.usecases.mails.queue import POLL_SECONDS, MailQueue
from authguard.identity.usecases.notices import Notices
from authguard.identity.usecases.oauth.clients import Clients, TokenVerifiers
from authguard.identity.usecases.own_account.address_changes import AddressChanges
from authguard.identity.usecases.own_account.deletion import AccountDeletion
from authguard.identity.usecases.own_account.owner_proofs import OwnerProofs
from authguard.identity.usecases.proofs import AddressProofs
from authguard.identity.usecases.readiness import Readiness, StoreChecks
from authguard.identity.usecases.session_pages import SessionPages
from authguard.identity.usecases.sessions import Sessions
from authguard.identity.usecases.social.sign_in import SocialSignIn
from authguard.stores import RedisQuotas
from authguard.stores.revocations import SharedRevocations

logger = logging.getLogger("authguard")

# Times the default. A swapped default has 81 times the rate or more, except for `secret_address`.
_HIGH_RATE = 50


@named_options
class IdentityService:
    """Build the use cases of the identity service; its methods are thread-safe.

    Args:
        settings: the settings.
        mailer: sends mails; None for the one that the settings name.
        policy: the rules for passwords; None for `Settings.password_policy`.
        breaches: recognises breached passwords: `BreachedFile(path)`, `BreachedWords(path)` or
            `BreachedService()`; None for `Settings.breached_passwords`.
        hasher: hashes passwords.
        limiter: counts attempts; None for one at `Settings.limits_url`, with `Settings.limits`.
        audit_hook: called with each `Event`.
        clock: seconds since the epoch.
        store: receives logouts in addition to the database, for guards that follow it, such as a
            `RedisStore`; after an outage it gets all of them. It is never closed. None for the one at
            `Settings.revocations_url`.

    Raises:
        ConfigurationError: if an option has the wrong type, or settings contradict each other.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        mailer: Mailer | None = None,
        policy: PasswordPolicy | None = None,
        breaches: BreachedPasswords | None = None,
        hasher: PasswordHasher | None = None,
        limiter: Limiter | None = None,
        audit_hook: Hook | None = None,
        clock: Callable[[], float] = time.time,
        store: RevocationStore | None = None,
    ) -> None:
        check_object(settings, "settings", Settings, "settings=Settings(secret=…, issuer=…)", or_none=False)
        _check_parts(mailer, policy, breaches, hasher, limiter)
        check_hook(audit_hook)
        check_clock(clock)
        self.settings = settings
        self.clock = clock
        self.database = Database(settings.database, connections=settings.worker_threads + 2)
        self._own_store = open_store(settings.revocations_url) if store is None else None
        elsewhere = shared_revocations_of(self._own_store if store is None else store)
        self._elsewhere = None if elsewhere is None else MarksElsewhere(self.database, elsewhere)
        self.database.after_marks = Spread(self.database, self._elsewhere)
        if self._elsewhere is not None:
            self.database.after_repeat = self._elsewhere.write_due
        self.keys = SigningKeys(settings, self.database)
        self.revocations = SQLRevocations(self.database, clock=clock)
        self.audit = Audit(audit_hook)
        self.outbox = _outbox(settings, mailer)
        #: The waiting mails of all processes.
        self.mails = MailQueue(self.database, self.outbox, self.audit, clock)
        self.limiter = limiter or _limiter_from(settings)
        #: The store of counts for the limits of API key tiers; None for the memory of this process.
        self.key_quotas = open_key_quotas(settings.limits_url)
        place = "" if breaches else settings.breached_passwords
        self._own_breaches = breaches_from(place, fail_open=settings.breached_passwords_fail_open)
        self._base = base = Base(
            settings=settings,
            database=self.database,
            access_tokens=AccessTokens(settings, self.keys),
            refresh_tokens=RefreshTokens(settings),
            hasher=hasher or PasswordHasher(),
            policy=policy or policy_from(settings.password_policy),
            breaches=breaches or self._own_breaches,
            limiter=self.limiter,
            mails=self.mails,
            audit=self.audit,
            clock=clock,
        )
        stores = _store_checks(self.limiter, elsewhere, self.key_quotas)
        self.readiness = Readiness(self.database, self.keys, self.outbox, stores, clock)
        self._add_use_cases(base)

    def _add_use_cases(self, base: Base) -> None:
        self.policy = base.policy
        self.own_tokens = TokensForGuards(self.settings, self.keys)
        #: Verifies tokens only for ending them, where a token may have expired, or begin in the future.
        self.tokens_to_end = OwnTokens(self.settings, self.keys, at_any_time=True)
        self.sessions = Sessions(base)
        self.session_pages = SessionPages(base)
        notices, proofs = Notices(base), AddressProofs(base, self.sessions)
        self.links = Links(base, self.sessions, notices, proofs)
        self.linking = Linking(base, self.sessions, notices)
        self.accounts = Accounts(base, self.sessions, self.links, notices)
        #: Use cases for operators of the service, who use the commands.
        self.administration = AccountAdministration(base, self.sessions, notices)
        owner_proofs = OwnerProofs(base)
        self.address_changes = AddressChanges(base, self.sessions, proofs, owner_proofs)
        self.deletion = AccountDeletion(base, self.sessions, owner_proofs)
        self.account_import = AccountImport(base)
        self.purge = Purge(base)
        self.social_sign_in = SocialSignIn(base, self.sessions, self.links, notices, proofs)
        settings = self.settings
        #: Verifies keys for guards of the service itself: each request queries its key, so that changes apply
        #: at once.
        self.api_key_verifier = self._verify_keys(count=True)
        #: The same, for requests that manage keys.
        self.key_manager_verifier = (
            self.api_key_verifier if settings.count_key_management else self._verify_keys(count=False)
        )
        texts = KeyTexts(settings)
        #: None if it is switched off.
        self.leak_reports: LeakReports | None = None
        if settings.secret_scanning:
            url, token = settings.secret_scanning_keys_url, settings.secret_scanning_token
            scanner_keys = ScannerKeys(url, token, clock=self.clock)
            self.leak_reports = LeakReports(base, scanner_keys, texts)
        KeyMails(base)
        key_events = KeyEvents(base)
        self.api_keys = APIKeys(base, texts, self.api_key_verifier, key_events)
        self.key_notices = KeyNotices(base, key_events)
        self._add_threads()
        verifiers = TokenVerifiers(self.own_tokens, self.tokens_to_end)
        self.clients = Clients(base, self.sessions, self.revocations, verifiers, self.api_keys)

    def _add_threads(self) -> None:
        settings = self.settings
        #: Started by the application that serves, not by commands.
        self.key_notices_thread = BackgroundThread(
            self.key_notices.step, settings.api_key_notice_interval, name="key notices"
        )
        self._purge_thread = BackgroundThread(
            self.purge.step,
            min(settings.purge_interval, PURGE_POLL_SECONDS),
            name="old rows",
            is_at_once=False,
        )
        self._mails_thread = BackgroundThread(self.mails.step, POLL_SECONDS, name="waiting mails")
        self._threads = [self.key_notices_thread, self._mails_thread, self._purge_thread]
        if self._elsewhere is not None:
            step, name = self._elsewhere.step, "revocations for another store"
            self._threads.append(BackgroundThread(step, MARKS_SECONDS, name=name))

    def _verify_keys(self, *, count: bool) -> SQLAPIKeys:
        settings = self.settings
        verifier = SQLAPIKeys(
            self.database,
            prefixes=settings.key_prefixes,
            check_secret=settings.api_key_check_secret,
            scopes=settings.api_key_scopes,
            admin_roles=settings.admin_roles,
            cache_ttl=0,
            issuer=settings.issuer,
            count=count,
        )
        verifier.known_tiers = tuple(settings.api_key_tiers)
        return verifier

    def sign_in_with(self, identity: SocialIdentity, caller: Caller = NO_CALLER) -> Tokens:
        """Sign in with a social account; see `SocialSignIn.sign_in_with`."""
        return self.social_sign_in.sign_in_with(identity, caller)

    def admit_to_provider(self, caller: Caller) -> None:
        """Count a browser that is about to be redirected to a provider.

        Raises:
            RateLimitedError: if too many came from the same address.
        """
        base = self._base
        base.limited("authorize", caller, base.limiter.hit, "authorize_address", address=caller.address)

    def rotate_keys(self) -> None:
        """Create a new signing key, for operators of the service; see `SigningKeys.rotate`.

        Raises:
            ConfigurationError: for HS256, where the secret is the key.
        """
        now = self.clock()
        self.keys.rotate(now)
        self.audit.record(Event("rotate_keys", True, now))

    def delete_keys(self) -> int:
        """Delete all signing keys, for operators of the service, and return their number.

        Tokens that they signed are refused: here within a minute, by guards when they fetch the key set
        again. Sessions end only with another secret.
        """
        now = self.clock()
        deleted = self.keys.delete(now)
        self.audit.record(Event("delete_keys", True, now))
        return deleted

    def keep_usage(self) -> None:
        """Store how long the usage of keys is kept; the processes that count requests delete older usage.

        Raises:
            StoreUnavailableError: if it was not stored.
        """
        settings = self.settings
        kept = {
            "minute": settings.usage_minutes_kept,
            "hour": settings.usage_hours_kept,
            "day": settings.usage_days_kept,
        }
        set_kept(self.database, kept)

    def start(self) -> None:
        """Start the background tasks in the process that serves; commands do not."""
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Send waiting mails, for a few seconds, and close all connections.

        Unsent mails stay in the database, for the next process.
        """
        for thread in self._threads:
            thread.close()
        self.outbox.close()
        if self.leak_reports is not None:
            self.leak_reports.close()
        self.api_key_verifier.close()
        if self.key_quotas is not None:
            self.key_quotas.close()
        self.revocations.close()
        if isinstance(self._own_breaches, BreachedService):
            self._own_breaches.close()
        if self._own_store is not None:
            self._own_store.close()
        self.database.close()


def _check_parts(mailer: object, policy: object, breaches: object, hasher: object, limiter: object) -> None:
    check_plain_methods(mailer, "mailer", "send", "mailer=SMTPMailer(…)")
    check_object(policy, "policy", PasswordPolicy, "policy=PasswordPolicy()")
    check_plain_methods(policy, "policy", "check", "policy=PasswordPolicy()")
    check_plain_methods(breaches, "breaches", "is_breached", "breaches=BreachedService()")
    check_plain_methods(
        hasher, "hasher", "hash, verify, verify_dummy, needs_rehash", "hasher=PasswordHasher()"
    )
    check_plain_methods(limiter, "limiter", "hit, count_login, count_mail, may_send", "limiter=Limiter()")


def _limiter_from(settings: Settings) -> Limiter:
    """Return the limiter of the settings, and warn of swapped numbers and of limits that are not shared."""
    warn_of_processes(settings.limits_url, sys.argv, os.environ)
    for name, limit in settings.limits.items():
        default = DEFAULT_LIMITS[name]
        if limit.count * default.seconds > _HIGH_RATE * default.count * limit.seconds:
            logger.warning(
                "the limit %s allows %d in %d seconds: the form is COUNT/SECONDS, such as %d/%d",
                name,
                limit.count,
                limit.seconds,
                default.count,
                default.seconds,
            )
    return Limiter(settings.limits_url, limits=settings.limits)


def _store_checks(
    limiter: Limiter, revocations: SharedRevocations | None, quotas: RedisQuotas | None
) -> StoreChecks:
    """Return the checks of the stores besides the database; a limiter of another class has none."""
    checks: dict[str, Callable[[], None]] = {}
    if isinstance(limiter, Limiter):
        checks["limits"] = limiter.check_store
    if revocations is not None:
        checks["revocations"] = partial(_check_revocations, revocations)
    if quotas is not None:
        checks["quotas"] = partial(_check_quotas, quotas)
    return checks


def _check_revocations(revocations: SharedRevocations) -> None:
    try:
        revocations.check_writes()
    except VerificationUnavailableError as error:
        raise VerificationUnavailableError(f"{error.reason} (revocations_url)") from error


def _check_quotas(quotas: RedisQuotas) -> None:
    """Raise an error if the last call failed; the check of the limits asks the same store."""
    health = quotas.health()
    if health.reason:
        raise VerificationUnavailableError(f"{health.name}: {health.reason} (limits_url)")


def _outbox(settings: Settings, mailer: Mailer | None) -> Outbox:
    """Return the outbox, whose mails contain the name and links of the product."""
    return Outbox(
        mailer or mailer_from(settings),
        pause=PAUSE_SECONDS,
        product_name=settings.product_name,
        links=parse_brand(settings.brand).links,
    )


def mailer_from(settings: Settings) -> Mailer:
    """Return the mailer of the settings.

    Raises:
        ConfigurationError: if they name no mailer, or an invalid one.
    """
    if settings.smtp_url is not None:
        try:
            return SMTPMailer(
                settings.smtp_url,
                sender=settings.mail_from or "",
                sender_name=settings.product_name,
                allow_plain_text=settings.smtp_allow_plain_text,
            )
        except ConfigurationError as error:  # the error's text would name the options of the class
            setting = "mail_from" if str(error).startswith("sender") else "smtp_url"
            raise ConfigurationError(f"{setting}: {error}") from None
    if settings.dev:
        return ConsoleMailer()
    raise ConfigurationError(missing_mailer(has_sender=bool(settings.mail_from)))
