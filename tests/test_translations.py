"""The Danish of the three apps: complete, compiled, and true to its source. Needs no gettext tools.

The texts are collected here anew out of the code and the templates, because makemessages does not know the names
under which some modules import the functions.
"""

import ast
import gettext
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import django
import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.admin.utils import flatten, flatten_fieldsets
from django.utils import translation
from django.utils.functional import Promise

from scalepoint_integration.errors import CATALOGUE, describe

ROOT = Path(__file__).resolve().parent.parent
APPS = ("crm", "tasks", "scalepoint_integration")
LABELS = ("scalepoint_crm", "scalepoint_tasks", "scalepoint_integration")
# What an argument of each function is; any other is no text.
ARGUMENTS = {
    "gettext": ("msgid",),
    "gettext_lazy": ("msgid",),
    "gettext_noop": ("msgid",),
    "ngettext": ("msgid", "plural"),
    "ngettext_lazy": ("msgid", "plural"),
    "pgettext": ("context", "msgid"),
    "pgettext_lazy": ("context", "msgid"),
    "npgettext": ("context", "msgid", "plural"),
    "npgettext_lazy": ("context", "msgid", "plural"),
}
# Words of models and pages that are the same in Danish.
SAME = {
    "Scalepoint",
    "alias",
    "alias / sub-alias",
    "note",
    "reserve",
    "service",
    "services",
    "status",
    "sub-alias",
    "team",
    "teams",
    "token",
    "type",
    "version",
}
PLACEHOLDER = re.compile(r"%\(\w+\)[sdrf]|%[sdrf]|\{\w*\}")


@dataclass(frozen=True, order=True)
class Text:
    msgid: str = ""
    plural: str = ""
    context: str = ""


@dataclass
class Entry:
    text: Text
    strings: list[str] = field(default_factory=list)
    fuzzy: bool = False


# ---- The texts of the code ----------------------------------------------------------------------------------------
def texts_of_python(source: str) -> Iterator[Text]:
    tree = ast.parse(source)
    names = {
        alias.asname or alias.name: alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "django.utils.translation"
        for alias in node.names
        if alias.name in ARGUMENTS
    }
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        if isinstance(node.func, ast.Attribute):
            owner = node.func.value
            known = isinstance(owner, ast.Name) and owner.id == "translation" and node.func.attr in ARGUMENTS
            kinds = ARGUMENTS[node.func.attr] if known else ()
        else:
            kinds = ARGUMENTS.get(names.get(getattr(node.func, "id", ""), ""), ())
        given = dict(zip(kinds, node.args, strict=False))
        for argument in given.values():
            composed = isinstance(argument, ast.JoinedStr | ast.BinOp)
            assert not composed, f"put together before it is translated: {ast.unparse(node)}"
        # A variable holds a text that is marked elsewhere.
        if given and all(isinstance(argument, ast.Constant) for argument in given.values()):
            yield Text(**{kind: argument.value for kind, argument in given.items()})


QUOTED = r"""(?:"([^"]*)"|'([^']*)')"""
TAG = re.compile(r"{%\s*trans(?:late)?\s+" + QUOTED + r"(?:[^%]*?\bcontext\s+" + QUOTED + r")?")
CALL = re.compile(r"\b_\(\s*" + QUOTED + r"\s*\)")
BLOCK = re.compile(r"{%\s*blocktrans(?:late)?\b(.*?)%}(.*?){%\s*endblocktrans(?:late)?\s*%}", re.DOTALL)
PLURAL = re.compile(r"{%\s*plural\s*%}")
VARIABLE = re.compile(r"{{\s*([\w.]+)[^}]*}}")


def texts_of_template(source: str) -> Iterator[Text]:
    for found in TAG.finditer(source):
        yield Text(found[1] or found[2] or "", context=found[3] or found[4] or "")
    for found in CALL.finditer(source):
        yield Text(found[1] or found[2] or "")
    for options, body in BLOCK.findall(source):
        context = re.search(r"\bcontext\s+" + QUOTED, options)
        parts = [VARIABLE.sub(r"%(\1)s", part.replace("%", "%%")) for part in PLURAL.split(body)]
        if re.search(r"\btrimmed\b", options):
            parts = [" ".join(line.strip() for line in part.strip().splitlines()) for part in parts]
        yield Text(parts[0], "".join(parts[1:]), (context[1] or context[2]) if context else "")


def texts_of_code(app: str) -> set[Text]:
    found: set[Text] = set()
    for path in (ROOT / app).rglob("*.py"):
        if "migrations" not in path.parts:
            found.update(texts_of_python(path.read_text()))
    for path in (ROOT / app).glob("templates/**/*.*"):
        found.update(texts_of_template(path.read_text()))
    return found


# ---- The catalogues -----------------------------------------------------------------------------------------------
def catalogue(app: str, suffix: str) -> Path:
    return ROOT / app / "locale" / "da" / "LC_MESSAGES" / f"django.{suffix}"


def read_po(path: Path) -> list[Entry]:
    """Its entries, the header (without a msgid) first."""
    entries = []
    for block in re.split(r"\n\s*\n", path.read_text().strip()):
        fuzzy, parts, strings, name = False, {"msgid": "", "msgid_plural": "", "msgctxt": ""}, [], ""
        for line in block.splitlines():
            assert not line.startswith("#~"), f"an entry that the code no longer has: {line}"
            if line.startswith("#"):
                fuzzy = fuzzy or (line.startswith("#,") and "fuzzy" in line)
                continue
            keyword, _, rest = line.partition('"')
            name = keyword.strip() or name
            if keyword.startswith("msgstr"):
                strings.append("")
            said = ast.literal_eval('"' + rest)
            if name.startswith("msgstr"):
                strings[-1] += said
            else:
                parts[name] += said
        entries.append(Entry(Text(parts["msgid"], parts["msgid_plural"], parts["msgctxt"]), strings, fuzzy))
    return entries


def translated(app: str) -> list[Entry]:
    return read_po(catalogue(app, "po"))[1:]


def compiled(path: Path) -> dict[Any, str]:
    with path.open("rb") as file:
        return gettext.GNUTranslations(file)._catalog  # type: ignore[attr-defined]


# ---- Complete and compiled ----------------------------------------------------------------------------------------
@pytest.mark.parametrize("app", APPS)
def test_every_text_of_the_code_is_translated_and_no_other(app: str) -> None:
    code, known = texts_of_code(app), {entry.text for entry in translated(app)}
    assert len(code) > 50
    assert sorted(code - known) == [], "without a translation"
    assert sorted(known - code) == [], "no longer in the code"


@pytest.mark.parametrize("app", APPS)
def test_no_translation_is_empty_or_a_guess(app: str) -> None:
    for entry in translated(app):
        assert len(entry.strings) == (2 if entry.text.plural else 1), entry
        assert all(each.strip() for each in entry.strings), entry
        assert not entry.fuzzy, entry


@pytest.mark.parametrize("app", APPS)
def test_each_text_stands_once(app: str) -> None:
    ids = [(entry.text.context, entry.text.msgid) for entry in translated(app)]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("app", APPS)
def test_the_header_is_danish_and_names_nobody(app: str) -> None:
    header = read_po(catalogue(app, "po"))[0]
    assert header.text == Text()
    assert not header.fuzzy
    lines = header.strings[0].splitlines()
    for line in (
        "Language: da",
        "Content-Type: text/plain; charset=UTF-8",
        "Plural-Forms: nplurals=2; plural=(n != 1);",
    ):
        assert line in lines
    assert "@" not in header.strings[0]


@pytest.mark.parametrize("app", APPS)
def test_what_is_compiled_is_what_is_written(app: str) -> None:
    written: dict[Any, str] = {}
    for entry in read_po(catalogue(app, "po")):
        msgid = "\x04".join(filter(None, (entry.text.context, entry.text.msgid)))
        if entry.text.plural:
            written |= {(msgid, form): each for form, each in enumerate(entry.strings)}
        else:
            written[msgid] = entry.strings[0]
    assert compiled(catalogue(app, "mo")) == written


# ---- True to the source -------------------------------------------------------------------------------------------
@pytest.mark.parametrize("app", APPS)
def test_the_same_facts_are_filled_in(app: str) -> None:
    for entry in translated(app):
        source = entry.text.plural or entry.text.msgid
        for each in entry.strings:
            assert sorted(PLACEHOLDER.findall(each)) == sorted(PLACEHOLDER.findall(source)), entry


@pytest.mark.parametrize("app", APPS)
def test_it_ends_and_begins_like_the_source(app: str) -> None:
    """Sentences are put together with their full stops elsewhere, and Django raises the first letter of a label."""
    for entry in translated(app):
        source = entry.text.msgid
        for each in entry.strings:
            assert each == each.strip()
            assert each.endswith((".", "?", ":")) == source.endswith((".", "?", ":")), entry
            if source[0].islower():
                assert each[0].islower(), entry


def test_one_text_has_one_translation() -> None:
    """Django puts all catalogues into one: ours must agree with each other, and may not change the pages of Django."""
    held: dict[Any, str] = {}
    for path in sorted(Path(django.__file__).parent.glob("**/locale/da/LC_MESSAGES/django.mo")):
        held |= compiled(path)
    assert len(held) > 500
    for app in APPS:
        for msgid, said in compiled(catalogue(app, "mo")).items():
            if msgid:
                assert held.setdefault(msgid, said) == said, (app, msgid)


# ---- What the office reads ----------------------------------------------------------------------------------------
def labels() -> Iterator[tuple[str, Any]]:
    """Where it stands, and the text, of all that the admin makes out of the models."""
    for app in LABELS:
        config = apps.get_app_config(app)
        yield app, config.verbose_name
        for model in config.get_models():
            if model.__name__.startswith("Historical"):
                continue  # stands behind the history page, which shows the labels of the model itself
            yield model._meta.label, model._meta.verbose_name
            yield model._meta.label, model._meta.verbose_name_plural
            for each in (*model._meta.fields, *model._meta.many_to_many):
                texts = [each.help_text, *(label for _value, label in each.flatchoices)]
                # A name that Django made out of the attribute is for nobody's eyes, see the next test.
                texts += [each.verbose_name] if isinstance(each.verbose_name, Promise) else []
                yield from ((f"{model._meta.label}.{each.name}", text) for text in texts)
    for page in pages():
        where = type(page).__name__
        yield from ((where, title) for title, _options in page.fieldsets or () if title)
        yield where, getattr(page, "search_help_text", "") or ""
        for name in shown(page):
            yield f"{where}.{name}", getattr(getattr(page, name, None), "short_description", "")


def pages() -> Iterator[Any]:
    """The admin pages of our models, and what is edited on them."""
    for model, page in admin.site._registry.items():
        if model._meta.app_label in LABELS:
            yield page
            yield from (inline(model, admin.site) for inline in page.inlines)


def shown(page: Any) -> set[str]:
    """The names of the fields and methods of which the page shows something."""
    names = set(flatten(page.fields or ()) if not page.fieldsets else flatten_fieldsets(page.fieldsets))
    if not names:
        names = {
            each.name for each in page.opts.get_fields() if each.concrete and each.editable and not each.auto_created
        }
    columns = {*getattr(page, "list_display", ()), *getattr(page, "actions", ())}
    filters = {each for each in getattr(page, "list_filter", ()) if isinstance(each, str)}
    return names | (columns - {"__str__"}) | filters


def test_all_labels_of_the_models_are_danish() -> None:
    same = set()
    for where, text in labels():
        with translation.override("en"):
            english = str(text)
        with translation.override("da"):
            danish = str(text)
        if english and danish == english:
            assert english in SAME, f"{where}: {english!r} is the same in Danish"
            same.add(english)
    assert same == SAME, "on the list without need"


def test_no_page_shows_a_name_that_django_made() -> None:
    found = set()
    for page in pages():
        for name in shown(page):
            own = getattr(page, name, None)
            if own is not None:
                said = own.short_description
            elif name in {each.name for each in page.opts.get_fields()}:
                said = page.opts.get_field(name).verbose_name
            elif name in page.form.base_fields:
                said = page.form.base_fields[name].label
            else:
                said = getattr(getattr(getattr(page.model, name, None), "fget", None), "short_description", None)
            if not isinstance(said, Promise):
                found.add(f"{type(page).__name__}.{name}")
    assert not found


@pytest.mark.parametrize("code", sorted(CATALOGUE))
def test_every_error_is_told_in_danish(code: str) -> None:
    with translation.override("en"):
        english = describe(code)
    with translation.override("da"):
        danish = describe(code)
    assert danish.code == english.code == code
    assert danish.what != english.what
    assert danish.todo != english.todo
    assert bool(danish.who) == bool(english.who)


@pytest.mark.parametrize(
    ("count", "said"), [(0, "0 hændelser prøves"), (1, "1 hændelse prøves"), (2, "2 hændelser prøves")]
)
def test_one_and_several(count: int, said: str) -> None:
    with translation.override("da"):
        told = translation.ngettext("%d event is being retried.", "%d events are being retried.", count) % count
    assert told == f"{said} igen nu."


# ---- The collector itself -----------------------------------------------------------------------------------------
def test_the_collector_finds_what_is_marked() -> None:
    python = (
        "from django.utils.translation import gettext as _, ngettext, pgettext_lazy, gettext_noop as _noop\n"
        "from django.utils import translation\n"
        "_('one' ' text')\nngettext('a', 'b', n)\npgettext_lazy('where', 'c')\n_noop('d')\ntranslation.gettext('e')\n"
        "_(variable)\nother('f')\n"
    )
    expected = {Text("one text"), Text("a", "b"), Text("c", context="where"), Text("d"), Text("e")}
    assert set(texts_of_python(python)) == expected
    template = (
        """{% translate "one" %}{% trans 'two' context "where" %}{{ _("three")|upper }}"""
        "{% blocktranslate trimmed with n=m.n %}\n  {{ n }} at\n  100%\n{% endblocktranslate %}"
        "{% blocktrans count n=2 %}{{ n }} a{% plural %}{{ n }} b{% endblocktrans %}"
    )
    assert set(texts_of_template(template)) == {
        Text("one"),
        Text("two", context="where"),
        Text("three"),
        Text("%(n)s at 100%%"),
        Text("%(n)s a", "%(n)s b"),
    }


def test_the_collector_refuses_what_can_not_be_translated() -> None:
    with pytest.raises(AssertionError, match="put together"):
        list(texts_of_python("from django.utils.translation import gettext as _\n_(f'{n} events')"))
