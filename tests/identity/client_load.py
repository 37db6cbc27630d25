"""Simulate users who use the service continuously, and remember its answers."""

import threading
from collections.abc import Callable
from typing import Self

from identity.service_process import Answer, Connection
from identity.support import PASSWORD


class Person:
    """Register, sign in, refresh, change passwords and log out, over one connection, in one thread.

    Each acknowledged change is recorded, and must last forever; a change without an answer may have happened
    or not.

    Args:
        name: the beginning of the addresses.
        port: of the service.
        after_outage: called after a 503, before the next request.
    """

    def __init__(self, name: str, port: int, after_outage: Callable[[], object] = lambda: None) -> None:
        self.name = name
        self.connection = Connection(port)
        #: The passwords that an account may have; one, unless a change of it was not answered.
        self.passwords: dict[str, set[str]] = {}
        #: The newest refresh token of each active session.
        self.refresh_tokens: dict[str, str] = {}
        #: Access tokens of sessions that were ended.
        self.ended: list[str] = []
        self._after_outage = after_outage
        self._number = 0

    @property
    def statuses(self) -> set[int]:
        """Return the statuses of all answers."""
        return {answer.status for answer in self.connection.answers}

    def live(self) -> None:
        """Use one account from its registration to a logout."""
        self._number += 1
        email = f"{self.name}-{self._number}@example.com"
        if self._post("auth/register", {"email": email, "password": PASSWORD}).status != 201:
            return
        self.passwords[email] = {PASSWORD}
        signed_in = self._post("auth/login", {"email": email, "password": PASSWORD})
        if signed_in.status != 200:
            return
        token = signed_in.body["access_token"]
        self.refresh_tokens[email] = signed_in.body["refresh_token"]
        self._refresh(email)
        self._check(self.connection.get("/v1/users/me", token))
        new = f"New{PASSWORD}{self._number}"
        body = {"current_password": PASSWORD, "new_password": new}
        changed = self._post("auth/change-password", body, token)
        self.passwords[email] = {new} if changed.status == 200 else {PASSWORD, new}
        self._refresh(email)
        if self._number % 3 == 0:
            self.refresh_tokens.pop(email, None)  # the session may have ended or not
            if self._post("auth/logout", None, token).status == 200:
                self.ended.append(token)

    def _refresh(self, email: str) -> None:
        """Get the next refresh token; the old one stays valid if the answer was an outage."""
        answer = self._post("auth/refresh", {"refresh_token": self.refresh_tokens[email]})
        if answer.status == 200:
            self.refresh_tokens[email] = answer.body["refresh_token"]

    def _post(self, path: str, body: dict[str, str] | None, token: str | None = None) -> Answer:
        return self._check(self.connection.post(path, body, token))

    def _check(self, answer: Answer) -> Answer:
        assert answer.status in (200, 201, 503), (answer.status, answer.body)
        if answer.status == 503:
            self.connection.close()  # servers close connections that are idle for some seconds
            self._after_outage()
        return answer

    def check_kept(self, newest: int) -> int:
        """Check that all acknowledged changes are still stored; return their number.

        Args:
            newest: the number of accounts to check, the newest ones.
        """
        for email, token in list(self.refresh_tokens.items())[-newest:]:
            answer = self.connection.post("auth/refresh", {"refresh_token": token})
            assert answer.status == 200, (email, answer.status, answer.body)
        for email, passwords in list(self.passwords.items())[-newest:]:
            bodies = [{"email": email, "password": password} for password in passwords]
            results = [self.connection.post("auth/login", body).status for body in bodies]
            assert results.count(200) == 1, (email, results)
        for token in self.ended[-newest:]:
            assert self.connection.get("/v1/users/me", token).status == 401
        self.connection.close()
        return len(self.passwords) + len(self.refresh_tokens) + len(self.ended)


class Crowd:
    """Run users who all use the service at the same time, until they are stopped.

    Args:
        people: the users; each has a thread.
    """

    def __init__(self, people: list[Person]) -> None:
        self.people = people
        self.errors: list[BaseException] = []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(person,)) for person in people]

    def _run(self, person: Person) -> None:
        try:
            while not self._stop.is_set():
                person.live()
        except BaseException as error:
            self.errors.append(error)

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        for person in self.people:
            person.connection.close()

    def answers(self) -> int:
        """Return the number of answers to the user with the fewest answers."""
        assert not self.errors, self.errors
        return min(len(person.connection.answers) for person in self.people)
