"""The closed registry of validators that packs may name: pure judgements of one candidate.

A pack names a validator, never code: `luhn`, `entropy:3.2`, `stdnum:de.idnr`. Each returns a `Verdict`; the first that
does not pass ends the candidate. Nothing here may raise on any text (the engine treats it as a failed scan) or put a
value into an exception.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable
from functools import cache
from typing import Any

import phonenumbers
from stdnum.exceptions import ValidationError

from sluice.detect import identifier_checks, national, national_world, people, personal, secret_checks, secrets
from sluice.detect.verdicts import EXAMPLE, FAIL, PASS, Candidate, Validator, Verdict

CHECKSUMS = frozenset(
    {"luhn", "iban", "github_crc32", "stdnum", "be_nn", "se_personnummer", "no_fodselsnummer", "za_id", "au_medicare"}
    | {"at_svnr", "hk_hkid", "sg_nric", "tw_id", "jp_my_number", "de_rvnr", "ca_sin", "aba", "jwt"}
    | {
        "jwt_unsigned",
        "github_jwt",
        "pem",
        "pem_encrypted",
        "pgp",
        "putty",
        "age",
        "wireguard",
        "grafana",
        "discord",
        "signed_url",
    }
    | {"seed_phrase", "wif", "extended_key", "ripple_seed", "stellar_seed", "bech32"}
    | (set(national_world.CHECKS) - national_world.STRUCTURE)
    | (set(personal.CHECKS) - personal.SCREENS)
)
"""Validators whose pass is hard to come by: confidence is higher with one."""

SCREENS = (
    frozenset(
        {
            "not_counter",
            "not_listed",
            "not_part",
            "street_name",
            "has_digit",
            "not_otherwise",
            "unspoken",
            "person_name",
            "labelled_name",
            "announced_name",
            "known_name",
            "column_name",
        }
    )
    | personal.SCREENS
)
"""Validators that only sort out: what passes them has proved nothing, and is not `validated` by them."""

STDNUM = frozenset(
    """
    ar.cuit au.tfn bg.egn br.cnpj br.cpf ch.ssn cl.rut cn.ric co.nit cz.rc de.idnr do.cedula ec.ci ee.ik es.dni
    es.nie es.cif fi.hetu fr.nir fr.nif gb.nhs gr.amka hr.oib ie.pps il.idnr in_.aadhaar is_.kennitala
    it.codicefiscale lt.asmens lv.pvn mx.curp mx.rfc my.nric nl.bsn nz.ird pe.cui pk.cnic pl.pesel pl.nip pt.nif
    ro.cnp ru.inn si.emso sk.rc th.pin tr.tckimlik ua.rntrc us.rtn uy.rut ve.rif za.tin id.nik us.atin al.nipt
    ar.dni at.tin au.abn au.acn by.unp co.nit cr.cpf cu.ni cy.vat gb.utr gr.vat id.npwp in_.epic in_.vid ke.pin
    md.idno mu.nid pe.ruc nl.identiteitskaartnummer pt.cc py.ruc tr.vkn de.stnr ca.bc_phn ar.cbu az.voen bg.pnf
    ca.bn ch.uid cn.uscc cz.dic dk.cvr ec.ruc eu.vat fi.ytunnus fr.siren fr.siret gb.upn gb.vat gh.tin gt.nit
    hu.anum in_.gstin jp.cn lei me.pib mk.edb mz.nuit no.orgnr pl.regon ro.cui rs.pib ru.ogrn se.orgnr sg.uen tw.ubn
    ua.edrpou vn.mst
    """.split()  # noqa: SIM905 - names read better as names
)
"""Modules of python-stdnum that a pack may ask for. None of them asks for today's date."""


def _simple(check: Callable[[str], bool]) -> Validator:
    return lambda c: PASS if check(c.value) else FAIL


def _stdnum(name: str) -> Validator:
    module: Any = importlib.import_module(f"stdnum.{name}")

    def validator(c: Candidate) -> Verdict:
        try:
            module.validate(c.value)
        except (ValidationError, ValueError, IndexError, KeyError):
            return FAIL
        compact = re.sub(r"[^0-9A-Za-z]", "", c.value)
        if compact in "1234567890123456789":
            return EXAMPLE
        return FAIL if len(set(compact)) < 3 else PASS  # 000000000 and 111111111 pass many a checksum

    return validator


_PLAIN: dict[str, Validator] = {
    **identifier_checks.CHECKS,
    **secret_checks.CHECKS,
    "us_ssn": _simple(national.us_ssn),
    "us_itin": _simple(national.us_itin),
    "gb_nino": _simple(national.gb_nino),
    "ca_sin": _simple(national.ca_sin),
    "be_nn": _simple(national.be_nn),
    "se_personnummer": _simple(national.se_personnummer),
    "no_fodselsnummer": _simple(national.no_fodselsnummer),
    "dk_cpr": _simple(national.dk_cpr),
    "za_id": _simple(national.za_id),
    "in_pan": _simple(national.in_pan),
    "au_medicare": _simple(national.au_medicare),
    "at_svnr": _simple(national.at_svnr),
    "hk_hkid": _simple(national.hk_hkid),
    "sg_nric": _simple(national.sg_nric),
    "tw_id": _simple(national.tw_id),
    "jp_my_number": _simple(national.jp_my_number),
    "de_rvnr": _simple(national.de_rvnr),
    "has_digit": _simple(lambda value: any(c.isdigit() for c in value)),
    "bech32": _simple(secrets.bech32),
    "curve_key": _simple(secrets.curve_key),
    "unspoken": _simple(secrets.unspoken),
    **{name: _simple(check) for name, check in (national_world.CHECKS | personal.CHECKS).items()},
    "labelled_name": _simple(people.labelled_name),
    "announced_name": _simple(people.announced_name),
    "known_name": _simple(people.known_name),
    "person_name": lambda c: PASS if people.full_name(c.value, c.text[c.end : c.end + 24]) else FAIL,
}


@cache
def find(name: str) -> Validator:
    """The validator of that name. Raises KeyError with what is wrong with the name."""
    if name in _PLAIN:
        return _PLAIN[name]
    kind, colon, argument = name.partition(":")
    if kind == "entropy" and re.fullmatch(r"\d(\.\d+)?", argument):
        return secret_checks.entropy(argument)
    if kind == "phone" and (not colon or argument == "any" or re.fullmatch(r"[A-Z]{2}", argument)):
        return identifier_checks.phone(argument)
    if kind == "stdnum" and argument in STDNUM:
        return _stdnum(argument)
    raise KeyError(f"unknown validator `{name}`; known: {', '.join(names())}")


def names() -> list[str]:
    """Every validator that a pack may name, as it would be written."""
    return sorted([*_PLAIN, "entropy:BITS", "phone", "phone:any", "phone:REGION", *(f"stdnum:{m}" for m in STDNUM)])


def warm() -> None:
    """Load what the libraries load late, so that no request pays for it."""
    phonenumbers.PhoneMetadata.load_all()
    for gazetteer in people.GAZETTEERS:
        people.names(gazetteer)
