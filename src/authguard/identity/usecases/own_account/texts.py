"""Write the subjects and texts of the mails about the address and the deletion of an account."""

from authguard.identity.settings import Settings


def new_address(settings: Settings, link: str) -> tuple[str, str]:
    """Return subject and text for the new address of an account, which must be confirmed.

    Args:
        settings: with the lifetime of the link.
        link: with the one-time token.
    """
    return "Confirm your new e-mail address", (
        "Somebody, probably you, wants this to be the e-mail address of an account. Follow this link to "
        f"confirm it:\n\n{link}\n\nThe link is good once, and for {settings.link_lifetime // 60} minutes. It "
        "asks for the password of the account unless you are signed in. If it was not you, do nothing: "
        "the account keeps the address that it has."
    )


def address_taken(settings: Settings) -> tuple[str, str]:
    """Return subject and text for the owner of an address that was requested for another account."""
    return "You have an account already", (
        "Somebody, probably you, wanted to give this e-mail address to another account. There is an account "
        f"with it already: sign in at {settings.page_url('/login')}. To give the address to the other "
        "account, delete this one or change its address first. If it was not you, do nothing."
    )


def address_wish(settings: Settings) -> tuple[str, str]:
    """Return subject and text for the owner of an account for which another address was requested."""
    return "Your e-mail address is about to change", (
        "Somebody, probably you, asked for another e-mail address for your account. It changes when the "
        "link is followed that was sent to the new address.\n\nIf it was not you, set a new password at "
        f"once, which stops it and ends all sessions: {settings.page_url('/forgot-password')}"
    )


def address_changed(settings: Settings) -> tuple[str, str]:
    """Return subject and text for the previous address of an account."""
    return "Your e-mail address was changed", (
        f"Your account at {settings.issuer} has another e-mail address now, and this one does not belong to "
        "it any more. If it was not you, ask the operator of the service for help: nothing that you can do "
        "by this address changes the account."
    )
