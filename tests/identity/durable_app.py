"""The service that test_storage kills."""

import os
import time

from authguard.identity import Identity, IdentityService
from authguard.identity.limits import Limiter
from authguard.identity.passwords.hashing import PasswordHasher
from identity.support import GENEROUS, Postbox, settings

app = Identity(
    IdentityService(
        settings(os.environ["TEST_DATABASE"]),
        mailer=Postbox(),
        hasher=PasswordHasher.cheap(),
        limiter=Limiter(limits=GENEROUS),
        clock=time.time,
    )
)
