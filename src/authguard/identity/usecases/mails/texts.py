"""Write the subjects and texts of the mails to owners of accounts."""

from collections.abc import Sequence

from authguard.identity.settings import Settings

_UNLINKED = (
    "A provider that has not verified this address was linked to the account before you had proven it. "
    "It was unlinked, and all sessions were ended."
)


def registration(settings: Settings) -> tuple[str, str]:
    """Return subject and text for the owner of an address that was registered again."""
    return _account_already(settings, "register with this e-mail address")


def similar_registration(settings: Settings) -> tuple[str, str]:
    """Return subject and text for the owner of an address that only looks like that of an account."""
    return "Please register with another address", (
        "Somebody, probably you, wanted to register with this e-mail address. It is too similar to that of "
        f"another account, so no account can have it: register with another address at "
        f"{settings.page_url('/register')}. If it was not you, do nothing."
    )


def refused_link(settings: Settings, title: str) -> tuple[str, str]:
    """Return subject and text for the owner of an address that a provider has sent without verifying it.

    Args:
        settings: where the pages are.
        title: of the provider.
    """
    return _account_already(settings, f"sign in with {title}, which has not verified this e-mail address")


def _account_already(settings: Settings, wish: str) -> tuple[str, str]:
    return "You have an account already", (
        f"Somebody, probably you, wanted to {wish}. There is an account with it already: sign in at "
        f"{settings.page_url('/login')}, or set a new password at {settings.page_url('/forgot-password')}, "
        "which proves that the address is yours."
    )


def new_password(settings: Settings, titles: Sequence[str]) -> tuple[str, str]:
    """Return subject and text for the owner of an account whose password was changed.

    Args:
        settings: where the pages are.
        titles: the providers that also sign in to the account.
    """
    text = (
        "The password of your account was changed. If it was not you, set a new one at once: "
        f"{settings.page_url('/forgot-password')}"
    )
    if titles:
        account = settings.page_url("/account")
        text += f"\n\nSigning in with {' and '.join(titles)} leads to your account, too: {account}"
    return "Your password was changed", text


def linked(settings: Settings, title: str, ended: Sequence[str]) -> tuple[str, str]:
    """Return subject and text for the owner of an account to which a provider was linked.

    Args:
        settings: where the pages are.
        title: of the provider.
        ended: the ways to sign in that have ended because of it: `password`, `identities`.
    """
    reset = settings.page_url("/forgot-password")
    parts = [f"Signing in with {title} leads to your account from now on."]
    if "password" in ended:
        parts.append(
            "The password that the account had was set before you had proven this address. It was "
            f"removed, and all sessions were ended. To have a password, set a new one: {reset}"
        )
    if "identities" in ended:
        parts.append(_UNLINKED)
    parts.append(f"If it was not you, set a new password at {reset}, and unlink {title} in your account.")
    return f"{title} was linked to your account", "\n\n".join(parts)


def unlinked(settings: Settings, title: str) -> tuple[str, str]:
    """Return subject and text for the owner of an account from which a provider was unlinked."""
    return f"{title} was unlinked from your account", (
        f"{title} was unlinked from your account. If it was not you, set a new password at once: "
        f"{settings.page_url('/forgot-password')}"
    )


def identities_ended(settings: Settings) -> tuple[str, str]:
    """Return subject and text for the owner of an account whose links to providers were ended."""
    reset = settings.page_url("/forgot-password")
    text = f"{_UNLINKED}\n\nIf you want to sign in with a password, set one: {reset}"
    return "A provider was unlinked from your account", text


def verification(settings: Settings, link: str, title: str | None) -> tuple[str, str]:
    """Return subject and text for the owner of an address that must be verified.

    Args:
        settings: where the pages are.
        link: with the one-time token.
        title: of the provider with which the account was created, if any.
    """
    begun = f"An account was made by signing in with {title}.\n\n" if title else ""
    decline = "If you did not register, someone else used your address: do not verify it."
    if settings.pages:
        decline = (
            "If you did not register, someone else used your address: follow the link, and press "
            '"I did not register" there. That closes the account.'
        )
    text = (
        f"{begun}Please verify your e-mail address by following this link:\n\n{link}\n\n"
        f"{_until(settings)}\n\n{decline}"
    )
    return "Verify your e-mail address", text


def reset(settings: Settings, link: str) -> tuple[str, str]:
    """Return subject and text for the owner of an account who has requested a new password.

    Args:
        settings: with the lifetime of the link.
        link: with the one-time token.
    """
    return "Set a new password", (
        f"Somebody, probably you, wants to set a new password. This link lets you do it:\n\n{link}\n\n"
        f"{_until(settings)} If it was not you, do nothing: your password stays as it is."
    )


def _until(settings: Settings) -> str:
    return f"The link is good once, and for {settings.link_lifetime // 60} minutes."
