"""Whole sentences with values in them, as people write to assistants and services, in twelve languages.

`{name}` and the like are values; what stands around them is all the context there is.
"""

from __future__ import annotations

import random
import re

from tests.quality import keys, records
from tests.quality.corpus import Value, draw, mark

_KINDS = {
    "name": "name, own list", "mail": "e-mail", "phone": "phone", "card": "card", "iban": "IBAN", "birth": "birth date",
    "street": "street", "ssn": "US SSN", "nhs": "GB NHS", "nino": "GB NINO", "taxid": "DE tax id", "svnr": "AT SVNR",
    "nir": "FR NIR", "cf": "IT codice fiscale", "dni": "ES DNI", "cpf": "BR CPF", "bsn": "NL BSN", "pesel": "PL PESEL",
    "pnr": "SE personnummer", "curp": "MX CURP", "aadhaar": "IN Aadhaar", "pan": "IN PAN", "sin": "CA SIN", "tfn": "AU TFN",
    "ahv": "CH AHV", "mrn": "MRN", "vin": "VIN", "ip": "IPv4", "mac": "MAC", "passport": "passport", "account": "bank account",
    "routing": "US routing", "licence": "US licence", "mbi": "US MBI", "npi": "NPI",
}  # fmt: skip

SAID = (
    "Hi, this is {name}, I'd like to move my appointment. You can reach me at {phone} or {mail}.",
    "Please charge the remaining 240 dollars to {card}, the card expires next spring.",
    "I forgot my online banking login. My social is {ssn} and I was born on {birth}.",
    "The insured, {name}, SSN {ssn}, fell on the stairs on Monday and reported it to HR.",
    "Wire it to account {account}, routing {routing}, in the name of {name}.",
    "Can you fill in the form? DOB {birth}, passport no. {passport}, phone {phone}.",
    "Patient {name} (MRN {mrn}) was seen today for chest pain; call {phone} with the results.",
    "Medicare ID {mbi}, ordering provider NPI {npi}.",
    "My NHS number is {nhs} and my NI number is {nino}, I need a letter for my employer.",
    "The car with VIN {vin} was towed; the driver's license of the owner is {licence}.",
    "Someone logged in from {ip} with device {mac}, was that you?",
    "ship to {name}, {street} - leave it with the neighbours if nobody answers {phone}",
    "email {mail} and tell them the refund goes back to card {card}",
    "Meine Steuer-ID lautet {taxid}, geboren am {birth}. Bitte senden Sie die Bescheinigung an {mail}.",
    "Überweisen Sie den Betrag bitte auf {iban}, Kontoinhaber {name}.",
    "Die Versicherungsnummer meiner Mutter (SVNR) ist {svnr}.",
    "Meine AHV-Nummer: {ahv}, Telefon {phone}.",
    "Mon numéro de sécurité sociale est le {nir}, je suis né le {birth}.",
    "Voici mon RIB : {iban}. Vous pouvez m'appeler au {phone}.",
    "Il mio codice fiscale è {cf} e abito in {street}.",
    "Mi DNI es {dni} y mi correo es {mail}.",
    "Mi CURP es {curp}, ¿me puede confirmar la cita?",
    "Meu CPF é {cpf}, preciso da segunda via do boleto.",
    "Mijn BSN is {bsn} en mijn rekening is {iban}.",
    "Mój PESEL to {pesel}, proszę o kontakt: {phone}.",
    "Mitt personnummer är {pnr} och jag nås på {mail}.",
    "My Aadhaar is {aadhaar} and PAN is {pan}, please link them.",
    "SIN: {sin}. I moved to Toronto last month, what do I need to file?",
    "My TFN is {tfn}; the super fund wants it by Friday.",
    "Customer {name} called from {phone} about invoice 4471 and wants the copy sent to {mail}.",
    "Add a row: {name}, {mail}, {birth}, {iban}",
    "Employee record: {name} | born {birth} | SSN {ssn} | salary 74,000",
)
TOLD = (
    "the root password is {password} and ssh is on port 2222",
    "I can't log in with password {password}, it says invalid",
    "login: admin / password: {password}",
    "user=svc_backup;password={password};",
    'Please store this: username jdoe, password "{password}"',
    "I set the db password to {password} yesterday, does the dump still work?",
    "mysql -u root -p{plain} orders < dump.sql",
    "here's the wifi pw: {password}",
    "Passwort: {password}",
    "el usuario es admin y la contraseña es {strong}",
    "le mot de passe est {strong}",
    "export TOKEN={token} && ./deploy.sh",
    "curl -H 'Authorization: Bearer {token}' https://api.acme.net/v1/me",
    "client secret is {token}",
    "my api key is {token} and I still get a 403",
    "we use the token {token} in staging",
)


def document(rng: random.Random) -> tuple[str, tuple[Value, ...]]:
    """One to three sentences, and the values in their order."""
    by_kind = {v.kind: v for v in records.values(rng)}
    text = " ".join(rng.sample(SAID, rng.randint(1, 3)))
    values = []

    def put(match: re.Match[str]) -> str:
        value = by_kind[_KINDS[match[1]]]
        values.append(Value(f"said: {value.kind}", "said", value.text, "", value.classes))
        return mark(value.text)

    return re.sub(r"\{(\w+)\}", put, text), tuple(values)


def secret(rng: random.Random) -> tuple[str, tuple[Value, ...]]:
    """A password or token told in a sentence."""
    text = rng.choice(TOLD)
    made = {
        "password": keys.chosen_password(rng), "token": draw(rng, rng.choice(("{alnum:32}", "{hex:40}", "{url:43}"))),
        "strong": draw(rng, "{upper:1}{lower:6}{digit:3}") + "!", "plain": draw(rng, "{alpha:5}{digit:3}{alpha:3}"),
    }  # fmt: skip
    (kind,) = re.findall(r"\{(\w+)\}", text)
    value = Value(f"told: {text[:24]}", "told", made[kind], "", ("secret.",))
    return text.replace(f"{{{kind}}}", mark(made[kind])), (value,)
