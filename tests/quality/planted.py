"""Documents with planted values: one value in one carrier, and whole texts with several."""

from __future__ import annotations

import random
from collections.abc import Iterator

from tests.quality import carriers, keys, records, sayings, syntaxes
from tests.quality.corpus import Document, Value, draw, finish, mark

KEYED = ("openai project", "aws key id", "github token", "stripe live", "slack bot", "google api", "database url")


def secrets(rounds: int) -> Iterator[Document]:
    """Every kind of secret in so many carriers."""
    for i in range(rounds):
        rng = random.Random(f"planted/secrets/{i}")
        for value in keys.secrets(rng):
            name = rng.choice(_fitting(value))
            text = carriers.SECRET[name](rng, value.label, mark(value.text))
            yield finish(f"secret/{i}/{value.kind}", name, text, (value,))
        for value in keys.secrets(rng):
            if value.kind in KEYED:
                text = carriers.kubernetes(rng, value.label, mark(value.text))
                yield finish(f"coded/{i}/{value.kind}", "kubernetes", text, (value,))


def assigned(rounds: int) -> Iterator[Document]:
    """Passwords, tokens and keys without a form, in every syntax."""
    for i in range(rounds):
        rng = random.Random(f"planted/assigned/{i}")
        values = [v for v in keys.secrets(rng) if v.family in {"generic", "named"}]
        for name in syntaxes.FORMS:
            for value in rng.sample(values, 3):
                text = syntaxes.write(rng, name, value.label, mark(value.text))
                own = Value(
                    f"{value.family} in {name}", f"{value.family} assigned", value.text, value.label, value.classes
                )
                yield finish(f"assigned/{i}/{name}", f"syntax: {name}", text, (own,))


def _fitting(value: Value) -> list[str]:
    names = sorted(carriers.SECRET)
    if "\n" in value.text:
        return [n for n in names if n not in carriers.ONE_LINE]
    if value.kind in {"seed phrase", "azure storage"}:
        return ["chat", "json_file", "yaml", "python"]
    if value.kind == "password":
        return [n for n in names if n != "http"]
    return names


def personal(rounds: int) -> Iterator[Document]:
    """Every kind of personal data in so many carriers."""
    for i in range(rounds):
        rng = random.Random(f"planted/personal/{i}")
        for value in records.values(rng):
            name = rng.choice(sorted(carriers.PERSONAL))
            text = carriers.PERSONAL[name](rng, value.label, mark(value.text))
            yield finish(f"personal/{i}/{value.kind}", name, text, (value,))


def whole(rounds: int) -> Iterator[Document]:
    """Clinical notes, customer tables, mails with signatures, prose with names."""
    for i in range(rounds):
        rng = random.Random(f"planted/whole/{i}")
        for make in (_note, _customers, _signed, _prose):
            carrier, text, values = make(rng)
            yield finish(f"whole/{i}/{carrier}", carrier, text, values)
        for n in range(16):
            text, values = sayings.document(rng) if n % 2 else sayings.secret(rng)
            yield finish(f"said/{i}/{n}", "said" if n % 2 else "told", text, values)


def _some(rng: random.Random, *kinds: str) -> list[Value]:
    by_kind = {v.kind: v for v in records.values(rng)}
    return [by_kind[k] for k in kinds]


def _note(rng: random.Random) -> tuple[str, str, tuple[Value, ...]]:
    name, mrn, birth, phone = _some(rng, "name, own list", "MRN", "birth date", "phone")
    text = (
        f"DISCHARGE SUMMARY\nPatient: {mark(name.text)}\nMRN: {mark(mrn.text)}   DOB: {mark(birth.text)}\n\n"
        f"Known type 2 diabetes and hypertension admitted with chest pain. ECG unremarkable. Metformin 500 mg "
        f"twice daily continued, lisinopril 10 mg started. Follow-up in two weeks.\nContact: Tel. {mark(phone.text)}\n"
    )
    return "clinical note", text, (name, mrn, birth, phone)


def _customers(rng: random.Random) -> tuple[str, str, tuple[Value, ...]]:
    rows, values = [], []
    for n in range(4):
        found = _some(rng, "name, own list", "e-mail", "phone", "US SSN", "card")
        values += found
        rows.append(f"{n + 1}," + ",".join(mark(v.text) for v in found))
    return "customer table", "id,name,email,phone,ssn,card_number\n" + "\n".join(rows), tuple(values)


def _signed(rng: random.Random) -> tuple[str, str, tuple[Value, ...]]:
    to, name, phone, mail, street = _some(rng, "name, own list", "name, own list", "phone", "e-mail", "street")
    name = records.values(rng)[-2]
    text = (
        f"Dear {rng.choice(('Mr', 'Ms', 'Dr'))} {mark(to.text)},\n\nplease find the offer attached. The price holds until Friday.\n\n"
        f"Best regards,\n{mark(name.text)}\nHead of Purchasing\n{mark(street.text)}\nPhone: {mark(phone.text)}\nEmail: {mark(mail.text)}\n"
    )
    return "signed mail", text, (to, name, street, phone, mail)


_SAID = (
    "I spoke with {} yesterday about the budget, and we agreed to wait.", "{} called again; the parcel has not arrived.",
    "Write a recommendation letter for {}, who worked here for three years.", "My name is {} and I would like to change my booking.",
    "Please transfer the meeting notes to {} before Friday.", "The claimant, {}, lives alone and receives a pension.",
)  # fmt: skip


def _prose(rng: random.Random) -> tuple[str, str, tuple[Value, ...]]:
    (name,) = _some(rng, "name, own list")
    value = Value("name in prose", "prose name", name.text, "", ("pii.name",))
    return "prose", rng.choice(_SAID).format(mark(name.text)) + f" Reference {draw(rng, '{digit:6}')}.", (value,)


def documents(rounds: int) -> Iterator[Document]:
    """All of them."""
    yield from secrets(rounds)
    yield from assigned(rounds)
    yield from personal(rounds)
    yield from whole(rounds)
