"""The whole story as a new administrator of an office plays it, by what stands on the pages, in Danish: from the first
log-in to the history. Web, workers and beat are processes; the mails are files."""

import csv
import email
import email.policy
import io
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.core.cache import cache
from django.core.management import call_command
from openpyxl import load_workbook
from PIL import Image
from playwright.sync_api import Browser, Download, Locator, Page, expect
from pytest_httpserver import HTTPServer

from crm.models import Customer, SecurityToken
from scalepoint_integration.models import Case, Connection, EventAttempt, ImagePull, InboundEvent, ScalepointMail
from tasks.models import Task, TaskTemplate
from tests.browser.conftest import PASSWORD, make_user, serving
from tests.support.browser_office import people
from tests.support.live import PATH, Site, eventually
from tests.support.world import CONTRACT, assignment, handle, make_world

PUBLIC = "https://sager.kontor.example"
NORD = "Nord Forsikring (eksempel)"
TWINS = "00112299"
IMAGE = "/tag.png"


@pytest.fixture
def office(transactional_db: None, static: Path, tmp_path: Path, httpserver: HTTPServer) -> Iterator[Site]:
    """A site as it is installed: nobody but Mette, and nothing set up."""
    cache.clear()
    call_command("scalepoint_setup_roles", language="da", verbosity=0)
    newcomer()
    origin = httpserver.url_for("").rstrip("/")
    with serving(
        static, tmp_path / "mails", SCALEPOINT_PUBLIC_BASE_URL=PUBLIC, SCALEPOINT_IMAGE_TRUSTED_ORIGINS=origin
    ) as made:
        made.worker("events", "scalepoint", 1)
        made.worker("others", "scalepoint-images,scalepoint-outbound", 1)
        made.beat()
        yield made


def newcomer() -> None:
    group = Group.objects.get(name__endswith="administrator")
    make_user("mette", group, first_name="Mette", last_name="Eksempelsen", email="mette@kontor.example")


@contextmanager
def browsing(browser: Browser, site: Site, **options: Any) -> Iterator[Page]:
    """A browser that nobody is logged in with. No page may answer with an error or fail in its scripts."""
    context = browser.new_context(base_url=f"http://127.0.0.1:{site.port}", locale="da", **options)
    context.set_default_timeout(20_000)
    expect.set_options(timeout=20_000)
    page = context.new_page()
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("response", lambda answer: wrong.append(f"{answer.status} {answer.url}") if answer.status >= 400 else None)
    try:
        yield page
        assert not wrong
    finally:
        context.close()


# ---- What a person does -------------------------------------------------------------------------------------------
def log_in(page: Page) -> None:
    page.goto("/admin/")
    page.get_by_label("Brugernavn").fill("mette")
    page.get_by_label("Adgangskode").fill(PASSWORD)
    press(page, "Log ind")
    expect(page.get_by_role("button", name="Log ud")).to_be_visible()


def press(place: Page | Locator, name: str) -> None:
    place.get_by_role("button", name=name, exact=True).click()


def follow(place: Page | Locator, name: str | re.Pattern[str]) -> None:
    place.get_by_role("link", name=name).first.click()


def go(page: Page, name: str) -> None:
    """To another page of Scalepoint by the links that stand on each."""
    page.get_by_role("navigation", name="Scalepoints sider").get_by_role("link", name=name, exact=True).click()


def heading(page: Page, text: str) -> None:
    expect(page.get_by_role("heading", level=1)).to_contain_text(text)


def told(page: Page, text: str | re.Pattern[str]) -> None:
    """What the page says on top about what was just done."""
    expect(page.locator(".messagelist")).to_contain_text(text)


def set_up_row(page: Page, text: str) -> Locator:
    go(page, "Opsætning")
    return page.get_by_role("listitem").filter(has_text=text)


def counter(page: Page, label: str) -> Locator:
    return page.get_by_role("region", name="Det skal du gøre").get_by_role("link").filter(has_text=label)


def case_row(page: Page, number: str) -> Locator:
    return page.get_by_role("region", name="Sager").get_by_role("row").filter(has_text=number)


def mails(folder: Path) -> list[EmailMessage]:
    """What was sent so far."""
    found = []
    for file in sorted(folder.iterdir()):
        for part in re.split(rb"^-{79}\n", file.read_bytes(), flags=re.MULTILINE):
            if part.strip():
                found.append(email.message_from_bytes(part, policy=email.policy.default))
    return found


def event(number: int, **blocks: Any) -> Any:
    return assignment(number, **{"images": None, **blocks})


def number_of(number: int) -> str:
    return str(event(number)["case"]["number"])


def twins() -> None:
    """Two customers with one telephone number."""
    for name in ("Jens Eksempelsen", "J. Eksempelsen ApS"):
        Customer.objects.create(customer_number=TWINS, name=name, street="Bygaden 4", postal_code="0101")


def picture() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (60, 40), "firebrick").save(file, "PNG")
    return file.getvalue()


# ---- The story ----------------------------------------------------------------------------------------------------
def test_from_the_first_log_in_to_the_history(
    office: Site, chromium: Browser, tmp_path: Path, httpserver: HTTPServer
) -> None:
    with browsing(chromium, office, accept_downloads=True) as page:
        log_in(page)
        make_the_connection(page)
        choose_default_values(page)
        token = add_the_company(page)
        write_to_scalepoint(page, tmp_path / "mails", token)
        send_a_test_case(page)
        switch_on(page)

        def arrives(number: int, **blocks: Any) -> InboundEvent:
            """Scalepoint sends a case, and a worker handles it."""
            known = set(InboundEvent.objects.values_list("pk", flat=True))
            status, _answer = office.post(event(number, **blocks), token)
            assert status == 202
            new = InboundEvent.objects.exclude(pk__in=known)
            eventually(lambda: new.exclude(status="pending").count() == 1, 20, office.tails)
            return new.get()

        a_case_comes(page, tmp_path / "mails", arrives)
        two_customers_fit(page, arrives)
        the_template_is_off(page, arrives)
        an_image_is_missing(page, arrives, httpserver)
        export(page)
        look_at_the_history(page)


Arrives = Callable[..., InboundEvent]


def make_the_connection(page: Page) -> None:
    follow(page, "Opsætning")
    expect(page.get_by_text("Velkommen. Det tager ca. 10 minutter")).to_be_visible()
    page.get_by_label("Kontraktnummer").fill(CONTRACT)
    press(page, "Opret forbindelsen")
    told(page, "Den står på pause, indtil du slår den til.")
    expect(page.get_by_text("Velkommen.")).to_be_visible()
    expect(page.get_by_text("af 10 er klar")).to_be_visible()
    expect(page.get_by_label("Adresse til integrationen")).to_have_value(f"{PUBLIC}{PATH}")
    assert Connection.objects.get().switch == "paused"


def choose_default_values(page: Page) -> None:
    row = set_up_row(page, "Standardværdier er valgt")
    expect(row).to_contain_text("Der er ikke valgt en opgaveskabelon.")
    follow(row, "Ret")
    # There is nothing to choose from in a new house; the page says where it is made.
    follow(page, "Tilføj opgaveskabelon")
    page.get_by_label("Navn").fill("Skade")
    press(page, "Gem")
    follow(page, "Standardværdier")
    follow(page, "Tilføj standardteam")
    page.get_by_label("Navn").fill("Service")
    press(page, "Gem")
    follow(page, "Standardværdier")

    page.get_by_label("Standardteam").select_option("Service")
    page.get_by_label("Ansvarlig").select_option("mette")
    page.get_by_label("Opgaveskabelon").select_option("Skade")
    seen = page.get_by_role("region", name="Sagsnavn")
    expect(seen).to_contain_text("»Scalepoint: 905709«")
    name = page.get_by_label("Skabelon til sagsnavn")
    name.fill("Skade ")
    press(page, "[Sagsnummer]")
    expect(name).to_have_value("Skade [Sagsnummer]")
    expect(seen).to_contain_text("»Skade 905709«")  # while it is being typed
    expect(seen).to_contain_text("Kunde 28112233 Jens Hansen (bliver oprettet)")
    name.fill("Skade [Sagnr]")
    expect(seen).to_contain_text("[Sagsnummer]")  # "did you mean"
    name.fill("Skade [Sagsnummer]")
    page.get_by_role("group", name="Når der ikke er noget telefonnummer").get_by_label("Spørg mig").check()
    page.get_by_role("group", name="Hvem får besked ved fejl").get_by_label("mette").check()
    page.get_by_label("Hvorfor ændrer du det?").fill("Vi begynder med Scalepoint")
    press(page, "Gem")
    told(page, "Standardværdierne er gemt.")
    expect(page.get_by_role("row").filter(has_text="Vi begynder med Scalepoint").first).to_contain_text("mette")
    expect(set_up_row(page, "Standardværdier er valgt")).to_contain_text("Klar")
    expect(set_up_row(page, "Nogen får besked ved fejl")).to_contain_text("Klar")


def add_the_company(page: Page) -> str:
    row = set_up_row(page, "Mindst ét forsikringsselskab er klar")
    expect(row).to_contain_text("Uden mindst ét selskab med token bliver alle sager afvist.")
    follow(row, "Tilføj selskab")
    page.get_by_label("Navn:").fill(NORD)
    page.get_by_role("textbox", name="Alias:", exact=True).fill("nordins")
    page.get_by_role("checkbox", name="Lav en stærk token for mig").check()
    press(page, "Gem")
    shown = page.locator(".messagelist")
    expect(shown).to_contain_text("Kopiér den nu. Den vises ikke igen.")
    found = re.search(rf"{re.escape(NORD)} er (\S+)\. Kopiér", shown.inner_text())
    assert found
    token = found[1]
    assert SecurityToken.objects.get().company.name == NORD
    follow(page, NORD)
    expect(page.get_by_text(f"••••{token[-4:]}").first).to_be_visible()
    assert token not in page.content()
    expect(set_up_row(page, "Mindst ét forsikringsselskab er klar")).to_contain_text(NORD)
    return token


def write_to_scalepoint(page: Page, folder: Path, token: str) -> None:
    follow(set_up_row(page, "Mail er sendt til Scalepoint"), "Skriv mailen")
    page.get_by_label("Jeres firma").fill("Eksempel Byg ApS")
    page.get_by_label("CVR-nummer").fill("12345674")
    page.get_by_label("Kontaktperson").fill("Mette Eksempelsen")
    page.get_by_label("Telefon").fill("00112233")
    press(page, "Gem, og sæt det ind i teksten")
    text = page.get_by_label("Tekst", exact=False)
    expect(text).to_have_value(re.compile("Eksempel Byg ApS, CVR 12345674"))
    # The token does not go by mail, not even where somebody means well.
    wanted = text.input_value()
    page.get_by_label("Til:").fill("kontakt@scalepoint.example")
    text.fill(f"{wanted}\nVores token er {token}.")
    press(page, "Send mail")
    expect(page.get_by_role("alert")).to_be_visible()
    assert not ScalepointMail.objects.exists()
    assert not mails(folder)
    text.fill(f"{wanted}\nVi glæder os.")
    press(page, "Vis eksempel")
    expect(page.get_by_role("heading", name="Sådan ser den ud")).to_be_visible()
    press(page, "Send mail")
    told(page, "Mailen er sendt til kontakt@scalepoint.example.")
    (sent,) = mails(folder)
    assert sent["To"] == "kontakt@scalepoint.example"
    assert f"{PUBLIC}{PATH}" in sent.get_content()
    assert "Vi glæder os." in sent.get_content()
    assert token not in sent.get_content()
    expect(set_up_row(page, "Oplysninger fra Scalepoint er tastet ind")).to_contain_text("Venter på Scalepoint")
    follow(set_up_row(page, "Mail er sendt til Scalepoint"), "Se mail")
    expect(page.get_by_text("Vi glæder os.")).to_be_visible()


def send_a_test_case(page: Page) -> None:
    follow(set_up_row(page, "Testsag er gennemført"), "Send en testsag")
    press(page, "Send testsag")
    result = page.get_by_role("region", name="Resultat")
    steps = result.get_by_role("list").get_by_role("listitem")
    expect(steps).to_have_count(7)
    expect(steps.filter(has_text="Gjort")).to_have_count(7)
    expect(steps.last).to_contain_text("Mail til mette (vist, ikke sendt)")
    follow(result, "Sag TEST-0001")
    expect(page.get_by_text(re.compile(r"⚑\s*TEST"))).to_be_visible()
    go(page, "Overblik")
    expect(page.get_by_text("Der er ikke modtaget nogen sager endnu.")).to_be_visible()
    expect(counter(page, "Nye sager")).to_contain_text("0")
    expect(page.get_by_role("heading", name="Mine sager")).to_contain_text("(0)")


def switch_on(page: Page) -> None:
    expect(set_up_row(page, "Testsag er gennemført")).to_contain_text("Klar")
    press(page, "Slå til")
    # What Scalepoint has not told yet is named, and does not stop anybody.
    expect(page.get_by_role("listitem").filter(has_text="Oplysninger fra Scalepoint er tastet ind")).to_be_visible()
    assert Connection.objects.get().switch == "paused"
    press(page, "Slå til alligevel")
    told(page, "Scalepoint er slået til. Nye sager bliver til opgaver.")
    assert Connection.objects.get().switch == "on"


def a_case_comes(page: Page, folder: Path, arrives: Arrives) -> None:
    assert arrives(2).status == "done"
    go(page, "Overblik")
    expect(page.get_by_role("heading", name="Mine sager")).to_contain_text("(1)")
    expect(page.get_by_role("region", name="Mine sager")).to_contain_text(number_of(2))
    go(page, "Sager")
    row = case_row(page, number_of(2))
    expect(row).to_contain_text("I gang")
    expect(row).to_contain_text("Ulæst")
    follow(row, number_of(2))
    heading(page, number_of(2))
    follow(page, f"Skade {number_of(2)}")
    expect(page.get_by_text(number_of(2)).first).to_be_visible()

    def new_case() -> list[EmailMessage]:
        return [mail for mail in mails(folder) if mail["To"] == "mette@kontor.example"]

    eventually(lambda: len(new_case()) == 1, 20)
    (mail,) = new_case()
    assert number_of(2) in mail["Subject"]
    case = Case.objects.get(number=number_of(2))
    assert f"{PUBLIC}/admin/scalepoint_integration/case/{case.pk}/change/" in mail.get_content()
    assert "Inga" not in mail.get_content()


def two_customers_fit(page: Page, arrives: Arrives) -> None:
    twins()
    failed = arrives(3, policyHolder={"phoneNumber": TWINS, "name": "Jens Eksempelsen"})
    assert (failed.status, failed.error_code) == ("failed", "SP-203")
    page.goto("/admin/")
    follow(page, "Overblik")
    expect(counter(page, "Kræver handling")).to_contain_text("1")
    counter(page, "Kræver handling").click()
    row = case_row(page, number_of(3))
    expect(row).to_contain_text("Kræver handling")
    expect(row).to_contain_text("Flere kunder passer")
    follow(row, number_of(3))
    box = page.get_by_role("region", name="Kræver handling")
    expect(box).to_contain_text("Kan løses af: kontor")
    box.get_by_role("radio", name="Jens Eksempelsen").check()
    press(box, "Brug valgte")
    task = Case.objects.get(number=number_of(3)).services.get().task
    assert task is not None
    assert task.customer == Customer.objects.get(name="Jens Eksempelsen")
    told(page, f"Sagen er oprettet som opgave {task.pk}.")
    expect(box).to_have_count(0)
    go(page, "Overblik")
    expect(counter(page, "Kræver handling")).to_contain_text("0")


def the_template_is_off(page: Page, arrives: Arrives) -> None:
    TaskTemplate.objects.create(name="Besigtigelse")
    TaskTemplate.objects.filter(name="Skade").update(active=False)
    failed = arrives(4)
    assert (failed.status, failed.error_code) == ("failed", "SP-201")
    tasks = Task.objects.count()
    go(page, "Hændelseslog")
    page.get_by_role("navigation", name="Hændelsesloggens dele").get_by_role("link", name="Fejlet").click()
    row = page.get_by_role("row").filter(has_text=number_of(4))
    expect(row).to_contain_text("Skade")
    follow(row, re.compile("Ny sag|kl\\."))
    expect(page.get_by_role("heading", name="Hvad skete der")).to_be_visible()
    what_now = page.locator("section").filter(has=page.get_by_role("heading", name="Hvad gør du nu"))
    expect(what_now).to_contain_text("Opgaveskabelonen »Skade« er slået fra")
    expect(what_now).to_contain_text("Vælg en anden skabelon, og tryk Prøv igen")
    expect(what_now).to_contain_text("Kan løses af: administrator")
    # Retry alone changes nothing, and the page still says why.
    press(page, "Prøv igen")
    told(page, "prøves igen nu")
    eventually(lambda: EventAttempt.objects.filter(event=failed).count() == 2, 20)
    assert Task.objects.count() == tasks
    page.reload()
    follow(what_now, "Standardværdier")
    expect(page.get_by_text("Opgaveskabelonen »Skade« er slået fra").first).to_be_visible()
    page.get_by_label("Opgaveskabelon").select_option("Besigtigelse")
    press(page, "Gem")
    told(page, "Standardværdierne er gemt.")
    go(page, "Hændelseslog")
    row = page.get_by_role("row").filter(has_text=number_of(4))
    row.get_by_role("button", name="Prøv igen").click()
    eventually(lambda: Task.objects.count() == tasks + 1, 20)
    go(page, "Hændelseslog")
    expect(row).to_contain_text("Behandlet")
    expect(row.get_by_role("button")).to_have_count(0)
    assert Case.objects.get(number=number_of(4)).services.get().task is not None


def an_image_is_missing(page: Page, arrives: Arrives, server: HTTPServer) -> None:
    server.expect_oneshot_request(IMAGE).respond_with_data("busy", status=500)
    server.expect_request(IMAGE).respond_with_data("gone", status=404)
    image = {"id": "img-5", "url": server.url_for(IMAGE), "fileName": "tag.png", "fileType": "image/png"}
    assert arrives(5, images=[image]).status == "done"
    pulls = ImagePull.objects.filter(service__case__number=number_of(5))
    eventually(lambda: pulls.filter(status="failed").count() == 1, 20)
    go(page, "Sager")
    follow(case_row(page, number_of(5)), number_of(5))
    box = page.get_by_role("region", name="Kræver handling")
    expect(box).to_contain_text("Sagen er oprettet")
    files = page.get_by_role("region", name="Filer")
    expect(files).to_contain_text("Kunne ikke hentes")
    server.clear()
    server.expect_request(IMAGE).respond_with_data(picture(), content_type="image/png")
    press(box, "Hent igen")
    told(page, "1 billede hentes igen nu.")
    eventually(lambda: pulls.filter(status="done").count() == 1, 20)
    page.reload()
    shown = files.get_by_role("img")
    shown.scroll_into_view_if_needed()
    expect(shown).to_have_js_property("naturalWidth", 60)
    expect(box).to_have_count(0)


def export(page: Page) -> None:
    go(page, "Sager")
    with page.expect_download() as taken:
        page.get_by_text("Eksportér listen").click()
        press(page, "Eksportér som CSV")
    content = content_of(taken.value)
    assert content.startswith(b"\xef\xbb\xbf")
    rows = list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), delimiter=";"))
    numbers = [row[rows[0].index("Sagsnummer")] for row in rows[1:]]
    assert sorted(numbers) == sorted(["TEST-0001", *map(number_of, (2, 3, 4, 5))])
    with page.expect_download() as taken:
        press(page, "Eksportér til Excel")
    sheet = load_workbook(io.BytesIO(content_of(taken.value))).active
    assert sheet is not None
    assert sorted(str(row[1]) for row in list(sheet.values)[1:]) == sorted(numbers)


def content_of(download: Download) -> bytes:
    return Path(download.path()).read_bytes()


def look_at_the_history(page: Page) -> None:
    go(page, "Forsikringsselskaber")
    follow(page, NORD)
    page.get_by_label("Sub-alias:").fill("nordins-bolig")
    press(page, "Gem")
    follow(page, NORD)
    follow(page, "Historik")
    row = page.get_by_role("row").filter(has_text="nordins-bolig")
    expect(row).to_have_count(1)
    expect(row).to_contain_text("mette")
    expect(row).to_contain_text("Sub-alias")


# ---- Otherwise than with a mouse and scripts ----------------------------------------------------------------------
def test_by_keyboard_alone(live: Site, chromium: Browser) -> None:
    case = a_case_that_two_customers_fit()
    case.responsible = None
    case.save()
    with browsing(chromium, live) as page:
        keys = page.keyboard
        page.goto("/admin/")
        expect(page.get_by_label("Brugernavn")).to_be_focused()
        keys.type("mette")
        keys.press("Tab")
        keys.type(PASSWORD)
        keys.press("Enter")
        expect(page.get_by_role("button", name="Log ud")).to_be_visible()
        tab_to(page.get_by_role("main").get_by_role("link", name="Sager", exact=True))
        keys.press("Enter")
        heading(page, "Sager")
        tab_to(page.get_by_role("link", name=str(case), exact=True))
        keys.press("Enter")
        heading(page, str(case))
        tab_to(page.get_by_role("button", name="Tag sagen"))
        keys.press("Enter")
        told(page, "Sagen er din.")
        # A group of choices is one stop: the arrows go on from there.
        tab_to(page.get_by_role("radio", name="Jens Eksempelsen"))
        keys.press("Space")
        keys.press("ArrowDown")
        expect(page.get_by_role("radio", name="J. Eksempelsen ApS")).to_be_checked()
        tab_to(page.get_by_role("button", name="Brug valgte"))
        keys.press("Enter")
        told(page, "Sagen er oprettet som opgave")
    case.refresh_from_db()
    assert str(case.responsible) == "mette"
    assert case.customer == Customer.objects.get(name="J. Eksempelsen ApS")


def test_without_scripts(live: Site, chromium: Browser) -> None:
    case = a_case_that_two_customers_fit()
    with browsing(chromium, live, java_script_enabled=False) as page:
        log_in(page)
        page.get_by_role("main").get_by_role("link", name="Sager", exact=True).click()
        follow(page, str(case))
        box = page.get_by_role("region", name="Kræver handling")
        box.get_by_role("radio", name="Opret ny kunde").check()
        press(box, "Brug valgte")
        told(page, "Sagen er oprettet som opgave")
        go(page, "Test")
        page.get_by_role("radio", name="Brand").check()
        press(page, "Send testsag")
        steps = page.get_by_role("region", name="Resultat").get_by_role("list").get_by_role("listitem")
        expect(steps).to_have_count(7)
        expect(steps.filter(has_text="Gjort")).to_have_count(7)
    case.refresh_from_db()
    assert case.customer is not None
    assert case.customer.name == "Jens Eksempelsen"
    assert Customer.objects.filter(customer_number=TWINS).count() == 3
    assert Case.objects.filter(is_test=True).get().services.get().task is not None


def a_case_that_two_customers_fit() -> Case:
    world = make_world(phone_as_customer_number=True)
    people()
    twins()
    (waits,) = handle(world, event(3, policyHolder={"phoneNumber": TWINS, "name": "Jens Eksempelsen"}))
    assert waits.case is not None
    return waits.case


def tab_to(wanted: Locator) -> None:
    """With the Tab key alone, from wherever the focus is; it must be seen where it stands then."""
    expect(wanted).to_have_count(1)
    for _step in range(150):
        wanted.page.keyboard.press("Tab")
        if wanted.evaluate("each => each === document.activeElement"):
            assert wanted.evaluate("each => each.matches(':focus-visible')")
            return
    pytest.fail(f"The Tab key does not come to {wanted}")
