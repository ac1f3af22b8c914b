"""What people ask: everyday texts of each department, and texts that carry something, with the truth about both.

A slot in braces is filled from the seed. `classes` of a `Carried` are the data classes that are in it, as whoever wrote
the text knows; `stops` is the rule of the site's policy that must stop it, empty where it may pass.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random

from tests.demo.company import values

PLAIN: Mapping[str, tuple[str, ...]] = {
    "Engineering": (
        "Our claims service answers slowly since release {n}. The trace shows {n} calls to the pricing module for each "
        "request. Which three things would you look at first, and how would you prove each of them?",
        "Explain the difference between optimistic and pessimistic locking to somebody who joined last week. Use our "
        "booking of appointments as the example, and keep it under {n} words.",
        "We want to move the nightly export from cron to a queue. Write down the steps of a migration that can be "
        "rolled back on any day of {month}.",
        "Review this plan: feature flag first, then dual writes for {n} days, then a backfill in batches, then the "
        "old column is dropped. What breaks if the backfill stops half way?",
        "Suggest names for a module that decides which clinic is nearest. It must not sound like a map.",
    ),
    "Data": (
        "I have {n} weekly observations of waiting times with two holidays in them. Which seasonal model is least "
        "likely to fool me, and which plot shows that it does?",
        "Turn this question into a query plan in words: how many members renewed in {month} and had changed their "
        "tariff in the year before?",
        "What is the danger of training on records that were labelled by the model before? Give an example from "
        "insurance and a test that finds it.",
    ),
    "IT Operations": (
        "Write a change request for replacing {n} switches in the Utrecht building at a weekend in {month}. Risks, "
        "rollback, who is told and when.",
        "Users report that the calendar is one hour off after the update. List what to check in order of likelihood.",
        "Draft a notice for the intranet: printers on floor {n} are moved next week, scanning stays as it is.",
    ),
    "Security": (
        "Summarise in five sentences what a passkey protects against and what it does not. The readers are nurses.",
        "We had {n} reports of suspicious mail last month. Propose a table for the board that shows effort and result.",
        "Write the outline of a tabletop exercise: a supplier of ours tells us on a Friday that it was broken into.",
    ),
    "Finance": (
        "Explain to a department head why her accrual for {month} was reversed and booked again. Two paragraphs.",
        "Which questions will the auditor ask about a provision that changed by {n} percent within a quarter?",
        "Draft a reminder to suppliers that invoices without an order number are sent back from {month} on.",
    ),
    "Legal": (
        "Compare a limitation of liability by amount with one by kind of damage, for a contract on cleaning services.",
        "Put this clause into plain English: the parties shall use reasonable endeavours to procure that the premises "
        "are vacated at the end of the term.",
        "Give me a checklist for a contract with a translation agency: {n} points at most.",
    ),
    "People": (
        "Write an advertisement for a planner in Leipzig, full time from {month} on. No superlatives, no sports words.",
        "Suggest {n} questions for a first interview that say something about how a person handles a mistake.",
        "Draft an invitation to the summer party at the canal. Friendly, three sentences, and a line on food.",
    ),
    "Marketing": (
        "Write three headlines for a page on preventive check-ups. They must be true, and none may promise a result.",
        "Turn this into a post of {n} words: our clinics open on Saturdays from {month} on.",
        "What would a sceptical reader object to in the sentence: we are always there for you?",
    ),
    "Sales": (
        "Prepare a meeting with a company of {n} employees that insures its drivers with somebody else. What do we "
        "ask first?",
        "Write a polite answer to a customer who wants another discount after {month}. We stay with the offer.",
        "Make an agenda for the review of a framework contract, {n} minutes, with the open points first.",
    ),
    "Support": (
        "A member cannot find the form for a change of address in the app. Write a reply with the steps in order.",
        "Shorten this answer to {n} words and keep the tone: we are sorry that the line was busy, and we call back.",
        "Which of our standard replies fits when a parcel with documents came back as undeliverable?",
    ),
    "Clinical Services": (
        "Explain in plain words what happens at a hearing test, for a leaflet. No more than {n} sentences.",
        "Draft a sign for the waiting room: vaccination hours in {month} are in the morning.",
        "Make a plan for handing over the telephone duty between two teams of {n} people.",
    ),
    "Logistics": (
        "We deliver to {n} clinics from two depots. Describe in words how a tour is planned when one road is closed.",
        "Write a message to drivers: the ramp in Leipzig is closed on two days in {month}, use the yard.",
        "What does a safety stock of {n} days mean for vaccines that must stay cold?",
    ),
}

ON_TRIAL = frozenset({"special.religion"})
"""Found by detectors that are on trial as shipped: in the matches of a record, and in no account of its classes."""
SECRETS, CARDS, IDENTITY = "secrets", "payment-cards", "government-ids"


@dataclass(frozen=True, slots=True)
class Carried:
    """A text with something in it, and who comes to write such a text. `plant`: the values that it carries."""

    id: str
    text: str
    classes: frozenset[str]
    departments: tuple[str, ...]
    plant: Callable[[Random], Mapping[str, str]]
    stops: str = ""
    often: int = 1
    """How often it is written, among what its department carries."""


def _one(name: str, make: Callable[[Random], str]) -> Callable[[Random], Mapping[str, str]]:
    return lambda rng: {name: make(rng)}


def _nothing(_: Random) -> Mapping[str, str]:
    return {}


def _cloud(rng: Random) -> Mapping[str, str]:
    return {"key": values.cloud_key(rng), "secret": values.cloud_secret(rng)}


def _member(rng: Random) -> str:
    first = rng.choice(("anna", "bruno", "clara", "hugo", "ines", "marco", "petra", "sofia"))
    return values.email(f"{first}.{rng.choice(('fernvale', 'marshgate', 'larkholm', 'wrenmore'))}{rng.randrange(90)}")


CARRIED = (
    Carried(
        "letter",
        "Answer this member, please. He writes from {mail} that his card for the clinic did not arrive. We send a new "
        "one this week.",
        frozenset({"contact.email"}),
        ("Support", "Sales", "Marketing", "People", "Logistics"),
        _one("mail", _member),
        often=10,
    ),
    Carried(
        "refund",
        "Write a note to the bank: the refund has to go to {iban} and not to the old account. Keep it formal.",
        frozenset({"financial.iban"}),
        ("Finance", "Support"),
        _one("iban", values.iban),
        often=6,
    ),
    Carried(
        "chart",
        "Summarise for the handover. Patient MRN: {mrn}, diagnosed with type 2 diabetes, metformin 500 mg twice daily, "
        "next check in {month}.",
        frozenset({"health.record-number", "health.condition", "health.medication", "health.clinical", "phi.record"}),
        ("Clinical Services",),
        _one("mrn", values.record_number),
        often=10,
    ),
    Carried(
        "code",
        "Why does this print too much?\n\ndef tours(depots, clinics):\n    for depot in depots:\n        for clinic in "
        "clinics:\n            if clinic.depot == depot.number:\n                print(clinic)\n    return None\n",
        frozenset({"source_code.python"}),
        ("Engineering", "Data", "IT Operations"),
        _nothing,
        often=12,
    ),
    Carried(
        "board-paper",
        "STRICTLY CONFIDENTIAL. Make the second paragraph shorter: the board looks at two clinics that are for sale, "
        "and decides in {month}.",
        frozenset({"marking.confidential"}),
        ("Legal", "Finance"),
        _nothing,
        often=4,
    ),
    Carried(
        "belief",
        "A colleague asked for {n} days off. She is a practising Muslim and fasts in that time. Draft a kind answer.",
        frozenset({"special.religion"}),
        ("People",),
        _nothing,
    ),
    Carried(
        "card",
        "The customer says that he was charged twice. His card {card}, expires 09/29. What do I answer?",
        frozenset({"financial.card", "financial.card-detail"}),
        ("Support", "Finance", "Sales"),
        _one("card", values.card),
        CARDS,
        often=3,
    ),
    Carried(
        "letter-of-employment",
        "Draft a letter to our new planner in Boston, SSN {ssn}, on her contract from {month} on.",
        frozenset({"government.ssn"}),
        ("People", "Finance"),
        _one("ssn", values.ssn),
        IDENTITY,
    ),
    Carried(
        "deployment-log",
        "Why does my deployment fail?\n[default]\naws_access_key_id = {key}\naws_secret_access_key = {secret}\n"
        "ERROR denied after {n} s",
        frozenset({"secret.cloud-key"}),
        ("Engineering", "IT Operations", "Data"),
        _cloud,
        SECRETS,
        often=2,
    ),
    Carried(
        "clone",
        "The build cannot clone: git clone https://{token}@github.com/nordhaven/tours fails with 403. What is wrong?",
        frozenset({"secret.code-key"}),
        ("Engineering", "IT Operations"),
        _one("token", values.code_token),
        SECRETS,
    ),
    Carried(
        "own-key",
        "My script says that OPENAI_API_KEY={key} is not valid. Do I have to write it in another way?",
        frozenset({"secret.ai-key"}),
        ("Data", "Engineering", "Marketing"),
        _one("key", values.ai_key),
        SECRETS,
    ),
)
"""What is carried now and then. A department may have several."""

_MONTHS = ("March", "April", "June", "September", "October", "November")


def plain(department: str, rng: Random) -> str:
    """An everyday text of a department."""
    return _filled(rng.choice(PLAIN[department]), {}, rng)


def carried(what: Carried, rng: Random) -> tuple[str, tuple[str, ...]]:
    """The text with values of the seed in it, and the values."""
    found = what.plant(rng)
    return _filled(what.text, found, rng), tuple(found.values())


def _filled(text: str, found: Mapping[str, str], rng: Random) -> str:
    return text.format_map({"n": str(rng.randrange(3, 39)), "month": rng.choice(_MONTHS), **found})
