"""Write the mails that notify the owner of an account of events of its API keys.

They contain no text of a key and no secret. The name of a key may have been chosen by another person than the
owner, so it is shown without text that mail programs turn into links, and not at all if the mailbox is not
verified.
"""

from collections.abc import Sequence
from datetime import UTC, datetime

from authguard.identity.mail.mailer import Mail
from authguard.identity.model import User
from authguard.identity.settings import Settings
from authguard.identity.storage.exposure_queries import ExposedKey
from authguard.identity.storage.key_event_queries import EventOfKey, KeyEvent

MAX_SHOWN_NAME = 60  # characters of the name of a key in a mail
#: The number of events and keys that one mail shows; it names only the number of the others.
MAX_SHOWN_EVENTS, MAX_SHOWN_KEYS = 50, 20

#: Verbs for the subject and the text, for one key and for several.
_HAPPENED = {
    "created": ("was created", "were created"),
    "expiring": ("expires soon", "expire soon"),
    "expired": ("has expired", "have expired"),
    "rotated": ("has a new secret", "have a new secret"),
    "disabled": ("was disabled", "were disabled"),
    "enabled": ("was enabled again", "were enabled again"),
    "revoked": ("was revoked", "were revoked"),
}
#: The consequence, and possible actions.
_MEANING = {
    "created": "Everybody who has its text can act for you.",
    "expiring": "Programs that use it are refused from then on. Create another one before that.",
    "expired": "Programs that use it are refused.",
    "rotated": "Give the new secret to the programs that use it, if that has not been done.",
    "disabled": "Programs that use it are refused until it is enabled again.",
    "enabled": "Programs that use it are accepted again.",
    "revoked": "Programs that use it are refused permanently.",
}
_EXPOSED = (
    (
        "A scanner of secrets has found an API key of your account where others can read it. The key was "
        "revoked: it is refused from now on, and so are the tokens that were issued for it."
    ),
    (
        "A scanner of secrets has found API keys of your account where others can read them. The keys were "
        "revoked: they are refused from now on, and so are the tokens that were issued for them."
    ),
)
_EXPOSED_ADVICE = (
    "Create another key for the programs that need one, and keep it out of source code and messages. Look at "
    "what the old one was used for: others may have had it."
)
_ACTORS = {"owner": "from your account", "operator": "by the operator of the service"}
#: Events without an actor.
_OF_TIME = ("expiring", "expired")


def key_mail(events: Sequence[EventOfKey], user: User, settings: Settings) -> Mail:
    """Return the mail about events of one name of the keys of one account.

    Args:
        events: the events with their keys; at least one.
        user: the account.
        settings: where the pages are.
    """
    number, name = len(events), events[0].event.name
    happened = _HAPPENED[name][number > 1]
    subject = f"An API key {happened}" if number == 1 else f"{number} API keys {happened}"
    lines = [_line(each, user) for each in events[:MAX_SHOWN_EVENTS]]
    if number > MAX_SHOWN_EVENTS:
        lines.append(f"And {number - MAX_SHOWN_EVENTS} more.")
    parts = [f"{subject}:", "\n".join(lines), _meaning(name, number), _advice(name, settings)]
    return Mail(user.email, subject, "\n\n".join(parts))


def _line(entry: EventOfKey, user: User) -> str:
    """Return the identification of a key, and the event."""
    key, event = entry.key, entry.event
    title = f"{key.prefix}{key.readable_id}…"
    if user.email_verified and (name := plain_name(key.name)):
        title = f"{name} ({title})"
    if event.name == "revoked":
        details = [_deed(event)]
    elif event.name in _OF_TIME:
        details = [f"on {_moment(key.expires_at)}"]
        details += [] if key.disabled_at is None else ["disabled at the moment"]
    else:
        details = [_deed(event), f"valid until {_moment(key.expires_at)}"]
    return f"- {title}: {', '.join(details)}"


def _deed(event: KeyEvent) -> str:
    """Return the actor and the time."""
    by = f"by the API key {event.actor_key_id}" if event.actor_key_id else _ACTORS[event.actor]
    # The time has seconds, because the mails of one minute may arrive in another order than their events.
    return f"{by}, on {_moment(event.at, '%H:%M:%S')}"


def _meaning(name: str, number: int) -> str:
    text = _MEANING[name]
    if number == 1:
        return text
    for singular, plural in (("its text", "their texts"), ("use it", "use them"), ("it is", "they are")):
        text = text.replace(singular, plural)
    return text.replace("another one", "others")


def _advice(name: str, settings: Settings) -> str:
    keys = settings.page_url("/account/keys")
    if name in _OF_TIME:
        return f"Your API keys: {keys}"
    return (
        f"If it was not you, look at your API keys and revoke those that you do not know: {keys}\n"
        f"Then set a new password: {settings.page_url('/forgot-password')}"
    )


def plain_name(name: str) -> str:
    """Return the name of a key in a form for mails: short, and without text that becomes a link."""
    plain = "".join(char if char.isalnum() or char in " -_" else "_" for char in name[:MAX_SHOWN_NAME])
    return plain + ("…" if len(name) > MAX_SHOWN_NAME else "")


def _moment(seconds: float, clock: str = "%H:%M") -> str:
    date = datetime.fromtimestamp(seconds, UTC)
    return f"{date.day} {date.strftime(f'%B %Y, {clock}')} UTC"


def exposed_mail(keys: Sequence[ExposedKey], user: User, settings: Settings) -> Mail:
    """Return the mail that tells the owner of API keys that they were found in public and revoked.

    It contains no text written by an owner, so that it cannot be used to send messages.

    Args:
        keys: the keys; at least one.
        user: the account.
        settings: with the paths of the pages, if any.
    """
    many = len(keys) > 1
    parts = [_EXPOSED[many], *(_exposed_key(key) for key in keys[:MAX_SHOWN_KEYS])]
    if len(keys) > MAX_SHOWN_KEYS:
        parts.append(f"And {len(keys) - MAX_SHOWN_KEYS} more.")
    parts.append(_EXPOSED_ADVICE)
    if settings.pages:
        parts.append(f"Your keys: {settings.page_url('/account/keys')}")
    subject = "API keys of yours were found in public" if many else "Your API key was found in public"
    return Mail(user.email, subject, "\n\n".join(parts))


def _exposed_key(key: ExposedKey) -> str:
    """Return the lines of a mail that name a key and the place where it was found."""
    made = datetime.fromtimestamp(int(key.created_at), UTC).date().isoformat()
    lines = [f"{key.text}_…", f"Id: {key.key_id}", f"Created: {made}"]
    if key.source != "unknown":
        lines.append(f"Found in: {key.source.replace('_', ' ')}")
    if key.place is not None:
        lines.append(f"Place: {key.place}")
    return "\n".join(lines)
