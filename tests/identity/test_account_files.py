"""Files of accounts: which lines the import accepts, and that memory does not grow with the file."""

import io
import itertools
import tracemalloc

import pytest

from authguard.identity.usecases.administration.account_files import (
    RecordError,
    open_accounts,
    read_csv,
    read_json_lines,
)
from identity.test_imported_passwords import COSTLY

HEAD = "email,password_hash,name,roles,scopes,verified,disabled\n"
pytestmark = pytest.mark.one_database


def problems(service, text, read=read_csv):
    """Return the problems of a text, as pairs of a line and a reason."""
    return [tuple(each) for each in service.account_import.check(read(io.StringIO(text, newline="")))]


BAD = {
    "no-address,,,,,,": "email must be an e-mail address",
    ",,,,,,": None,
    "a@example.com,secret-text,,,,,": "password_hash must be a hash by argon2id, bcrypt",
    "a@example.com,,\x07,,,,": "name must have at most 200 characters",
    f"a@example.com,,,{'r' * 65},,,": "roles must have 1 to 64 characters",
    'a@example.com,,,"USER,EDITOR",,,': "roles must have semicolons between them, got commas: write A;B",
    'a@example.com,,,,"read,write:all",,': "scopes must have semicolons between them",
    "a@example.com,,,,a b,,": "scopes must have 1 to 64 printable",
    "a@example.com,,,,,maybe,": "verified must be true or false",
    "a@example.com,,,,": "must have 7 fields, got 5",
    'a@example.com,"x': "must be CSV",
    "ANN@example.com,,,,,,": "email must be there once, and is that of line 2",
    **{f'a@example.com,"{text}",,,,,': "password_hash must have" for text in COSTLY},
}


@pytest.mark.parametrize(("row", "why"), BAD.items(), ids=range(len(BAD)))
def test_a_bad_line_is_named(service, row, why):
    """A line that is not accepted is named by its number, and the error does not repeat its content."""
    result = problems(service, f"{HEAD}ann@example.com,,,,,,\n{row}\nbob@example.com,,,,,,\n")
    if why is None:  # a row of empty fields, as spreadsheets write them
        assert result == []
        return
    ((line, text),) = result
    assert line == 3 and text.startswith(why)
    assert "secret-text" not in text and "$" not in text


BAD_JSON = {
    "[]": "must be an object in JSON",
    "{": "must be an object in JSON",
    "[" * 20_000: "must be an object in JSON",
    '{"email": "a@example.com", "emial": 1}': "must have no members but email, id, password_hash, name, "
    "roles, scopes, verified, disabled, got 'emial': rename or delete it",
    '{"email": "a@example.com", "email": "b@example.com"}': "must have each member once",
    '{"email": 1}': "email must be text",
    '{"email": "a@example.com", "roles": "A"}': "roles must be a list of texts",
    '{"email": "a@example.com", "verified": "yes"}': "verified must be true or false",
    '{"email": "a@example.com", "name": "\\ud800"}': "name must be UTF-8",
    '{"name": "' + "x" * 70_000 + '"}': "must have less than 65536 characters",
}


@pytest.mark.parametrize(("line", "why"), BAD_JSON.items(), ids=range(len(BAD_JSON)))
def test_a_bad_line_of_json_is_refused(service, line, why):
    """A line of JSON that is no object with the known members is named by its number."""
    ((number, text),) = problems(service, '{"email": "ann@example.com"}\n' + line + "\n", read_json_lines)
    assert number == 2 and text.startswith(why)


@pytest.mark.parametrize(
    ("head", "why"),
    [
        ("", "the first line must name the columns"),
        ("ann@example.com,x", "the first line must name the columns"),
        ("email,passwort", "the columns must be of email.*, got 'passwort': rename or delete it"),
        (
            "email,user name,,2025-01-01",
            "got 'user name', one at place 3, one at place 4: rename or delete them",
        ),
        (f"email{',x' * 7}", "got 'x', 'x', 'x', 'x', 'x' and 2 more: rename"),
        ("email,name,name", "each column must be there once"),
        ("\udcff\udcfee\0m\0a\0i\0l\0", "the first line must name the columns"),
    ],
)
def test_columns_are_checked(service, head, why):
    """A first line without the address, or with unknown columns, is refused."""
    with pytest.raises(RecordError, match=why):
        problems(service, head)


def test_text_that_is_not_utf8_is_named_by_its_line(service, tmp_path):
    """A name in Latin-1 is refused with its line, and lines are counted also within quotes."""
    path = tmp_path / "accounts.csv"
    path.write_bytes(b'email,name\nann@example.com,"two\nlines"\nbob@example.com,M\xfcller\n')
    with open_accounts(path) as file:
        (two_lines, latin) = service.account_import.check(read_csv(file))
    assert (two_lines.line, latin) == (2, (4, "name must be UTF-8"))


def test_many_problems_are_cut_short(service):
    """Of many bad lines the first twenty are named, and the rest of the file is not read."""
    lines = itertools.chain([HEAD], itertools.repeat("x,,,,,,\n"))
    assert len(service.account_import.check(read_csv(lines))) == 20


@pytest.mark.slow
def test_memory_does_not_grow_with_the_file(service):
    """Memory does not grow with the number of lines that are checked, because they are read one by one."""

    def peak(count):
        lines = itertools.chain([HEAD], (f"p{number}@example.com,,,,,,\n" for number in range(count)))
        tracemalloc.start()
        try:
            assert service.account_import.check(read_csv(lines)) == []
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(100)  # the first check creates objects that later checks use again
    assert peak(3_000) < peak(300) + 200_000


@pytest.mark.parametrize(
    ("text", "flag"),
    [("", False), ("0", False), ("no", False), ("FALSE", False), ("1", True), ("yes", True), ("True ", True)],
)
def test_the_words_for_true_and_false(text, flag):
    """The words for true and false are accepted in upper and lower case, and with spaces around them."""
    (line,) = read_csv(io.StringIO(f"email,verified\na@example.com,{text}\n", newline=""))
    assert line.record.verified is flag


@pytest.mark.parametrize("role", ["CN=Admins,OU=Groups", "Sales, EMEA", "USER;EDITOR", "USER"])
def test_names_of_groups_with_commas_are_roles(service, role):
    """A role with a comma is accepted if it is no list of words, such as the name of a group."""
    assert problems(service, f'{HEAD}ann@example.com,,,"{role}",,,\n') == []
