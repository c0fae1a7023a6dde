"""What is hidden, and what must stay readable: the office works with telephone numbers and case numbers."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from crm import masks

ROOT = Path(__file__).resolve().parents[2]
APPS = ("crm", "tasks", "scalepoint_integration")
CPR, ACCOUNT, REMOVED = "••••••-••••", "••••", "•••"


@pytest.mark.parametrize(
    "number",
    [
        "010203-1234",
        "0102031234",
        "010203 1234",
        "311299-0000",
        "010203\u20111234",  # non-breaking hyphen
        "010203\u20101234",
        "010203\u20131234",
        "010203\u20141234",
        "010203\u22121234",
        "010203\u00ad1234",
        "010203\u00a01234",
        "010203\u202f1234",
        "010203\uff0d1234",
        "010203 - 1234",
        "010203- 1234",
        "010203  1234",
        "01.02.03-1234",
        "01/02/1903-1234",
        "01021903-1234",
    ],
)
def test_a_cpr_number_is_hidden_however_it_is_written(number: str) -> None:
    assert masks.hide(number) == CPR
    assert masks.hide(f"Jens ({number}), Byvej 4") == f"Jens ({CPR}), Byvej 4"
    assert masks.hide(f"CPR{number}/tlf. 28112233") == f"CPR{CPR}/tlf. 28112233"
    assert masks.hide(f"{number}, {number}") == f"{CPR}, {CPR}"


@pytest.mark.parametrize(
    "text",
    [
        "28112233",
        "28 11 22 33",
        "2811 2233",
        "+45 28112233",
        "+4528112233",
        "+45 28 11 22 33",
        "004528112233",
        "0045 28 11 22 33",
        "28112233 28112244",
        "28112233/28112244",
        "+49 1512345678",
        "0049 1512345678",
        "+46701234567",
        "20310506-99",
        "20310506-07; 900464-1234",
        "20310506-1234",
        "2031-05-06 12:30",
        "06.05.31 1430",
        "06.05.2031 1430",
        "2031-05-06T12:30:00+00:00",
        "010203-12345",
        "1010203-1234",
        "011303-1234",  # no such month
        "321203-1234",  # no such day
        "000103-1234",
        "5000 Odense C",
        "1234.50",
        "DK12345678",
        "F-2031-17",
        "Skade 101112, 5000 Odense",
        "1234567890123",
        "b.7b0c1f5e-8d2a-4c11-9f00-0123456789ab",
        "TEST4711",
        "",
    ],
)
def test_what_the_office_works_with_stays_readable(text: str) -> None:
    assert masks.hide(text) == text
    assert masks.hide(f"Ring {text}, tak") == f"Ring {text}, tak"


@pytest.mark.parametrize(
    "account",
    [
        "DK50 0040 0440 1162 43",
        "DK5000400440116243",
        "DK50 0040 0440 1162 44",  # a typing error hides no less
        "dk5000400440116243",
        "Dk50 0040 0440 1162 43",
        "GB29 NWBK 6016 1331 9268 19",
        "gb29 nwbk 6016 1331 9268 19",
        "SE45 5000 0000 0583 9825 7466",
        "1234-0005678901",
        "1234 0005678901",
        "1234-0102031234",
        "4111 1111 1111 1111",
        "4111111111111111",
        "5500-0055-5555-5559",
    ],
)
def test_an_account_is_hidden_however_it_is_written(account: str) -> None:
    assert masks.hide(f"konto {account}, tak") == f"konto {ACCOUNT}, tak"
    assert not re.search(r"\d", masks.hide(f"konto {account} hest og hus"))


@pytest.mark.parametrize("text", ["4111 1111 1111 1112", "5000 28112233", "AB12 hest", "12345678-0005678901"])
def test_what_is_no_account_stays_readable(text: str) -> None:
    assert masks.hide(text) == text


@pytest.mark.parametrize(
    ("name", "mask"),
    [
        *((name, CPR) for name in ("cpr", "CPRNumber", "personalIdentityNumber", "nationalId", "ssn")),
        *((name, ACCOUNT) for name in ("accountNumber", "IBAN", "paymentNumber", "payment_number", "instruction_id")),
        *((name, ACCOUNT) for name in ("regNo", "regNumber", "credit_account", "nemKonto", "cardNumber")),
        *((name, "") for name in ("name", "description", "branch", "phoneNumber", "number", "region", "registered")),
    ],
)
def test_a_field_is_hidden_by_its_name(name: str, mask: str) -> None:
    assert masks.of_field(name) == mask


def test_a_number_of_a_person_is_known_with_any_dash() -> None:
    assert masks.of_identity("010170\u20110000") == masks.of_identity("010170\u20130000") == CPR


def test_secrets_are_taken_out_of_what_could_not_be_read() -> None:
    broken = b'{"securityToken": "hush-1", "Client_Secret":"hush\\"-2", "token": "b.7", "note": "plain hush-3'
    told = masks.redact_body(broken, ["plain hush-3", ""]).decode()
    assert "hush" not in told and '"token": "b.7"' in told and told.count(REMOVED) == 3
    form = masks.redact_body(b"a=1&password=hush&securityToken=hush&b=2", []).decode()
    assert form == f"a=1&password={REMOVED}&securityToken={REMOVED}&b=2"
    part = b'--x\r\nContent-Disposition: form-data; name="apiKey"\r\n\r\nhush\r\n--x--'
    assert b"hush" not in masks.redact_body(part, []) and part[:50] in masks.redact_body(part, [])
    assert masks.redact("a hush b hush", ["hush", ""]) == f"a {REMOVED} b {REMOVED}"


def test_it_stands_below_everything() -> None:
    tree = ast.parse((ROOT / "crm" / "masks.py").read_text())
    names = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    names |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert names == {"re", "collections.abc"}


# ---- Nobody else says what is hidden ------------------------------------------------------------------------------
_ABOUT_WHAT_IS_HIDDEN = re.compile(
    r"cpr|iban|identity|account|security.*token|password|secret|api.*key|d\{6\}.*d\{4\}", re.IGNORECASE
)
_BULLET = chr(0x2022)


def faults(source: str) -> Iterator[str]:
    """Each bullet in a text that is no docstring, and each pattern that finds persons, accounts or secrets."""
    tree = ast.parse(source)
    bodies = [node.body for node in ast.walk(tree) if hasattr(node, "body") and isinstance(node.body, list)]
    documented = {id(body[0].value) for body in bodies if body and isinstance(body[0], ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and id(node) not in documented and _BULLET in _text(node):
            yield f"line {node.lineno}: a bullet"
        if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("re."):
            patterns = "".join(_text(each) for each in ast.walk(node) if isinstance(each, ast.Constant))
            if _ABOUT_WHAT_IS_HIDDEN.search(patterns):
                yield f"line {node.lineno}: {patterns}"


def _text(node: ast.Constant) -> str:
    value = node.value
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value if isinstance(value, str) else ""


@pytest.mark.parametrize("app", APPS)
def test_no_other_module_says_what_is_hidden_or_how(app: str) -> None:
    for path in (ROOT / app).rglob("*.py"):
        if path != ROOT / "crm" / "masks.py" and "migrations" not in path.parts:
            assert not list(faults(path.read_text())), path


def test_the_guard_sees_them() -> None:
    assert len(list(faults((ROOT / "crm" / "masks.py").read_text()))) >= 5
    for source in ('x = "••"', 'x = f"••{y}"', 'import re\nx = re.compile(r"\\d{6}-?\\d{4}")', 're.sub("iban", "", y)'):
        assert list(faults(source)), source
