"""National and personal numbers with checks of our own: published samples pass, their neighbours do not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.detect import national_world, personal

PUBLISHED = {
    "de_id_card": "T220001293",
    "lu_matricule": "1893120105732",
    "hu_tax": "8071592153",
    "ru_snils": "112-233-445 95",
    "ir_melli": "0499370899",
    "uy_ci": "1.234.567-2",
    "es_naf": "281234567840",
    "pl_id_card": "ABA300000",
    "gb_driving": "MORGA657054SM9IJ",
    "nz_nhi": "ZAC5361",
    "kw_civil": "288111300124",
    "ca_health_on": "1234567897",
    "mx_rfc": "GODE561231GR8",
    "kr_rrn": "971013-9019902",
    "cn_resident": "11010519491231002X",
    "vin": "1M8GDM9AXKP042788",
    "npi": "1234567893",
    "dea": "AB1234563",
    "imei": "490154203237518",
    "mrz": "L898902C36UTO7408122F1204159ZE184226B<<<<<10",
    "bitcoin": "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa",
    "card_like": "4222222222222",
}
CHECKS = national_world.CHECKS | personal.CHECKS


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_number_passes_and_its_neighbours_do_not(name: str) -> None:
    """The sample of the standard passes; of those with its last digit changed at least nine tenths do not."""
    check, value = CHECKS[name], PUBLISHED[name]
    assert check(value)
    at = max(i for i, c in enumerate(value) if c.isdigit()) if name not in {"gb_driving", "bitcoin", "mrz"} else None
    if name == "mrz":
        at = 19
    if at is not None:
        changed = [value[:at] + d + value[at + 1 :] for d in "0123456789" if d != value[at]]
        assert sum(map(check, changed)) <= 1


@given(st.text(max_size=40), st.sampled_from(sorted(CHECKS)))
def test_no_text_makes_a_check_raise(text: str, name: str) -> None:
    """Any text is answered with yes or no."""
    assert CHECKS[name](text) in {True, False}


@given(st.from_regex(r"[A-Z0-9./ -]{1,24}", fullmatch=True), st.sampled_from(sorted(CHECKS)))
def test_no_number_makes_a_check_raise(text: str, name: str) -> None:
    """What looks like a number is answered as well, whatever its length."""
    assert CHECKS[name](text) in {True, False}


@pytest.mark.parametrize("day", ["29/02/1980", "3 March 1975", "1990-12-31", "12. März 1980", "19850704"])
def test_days_of_birth(day: str) -> None:
    """Usual ways to write a day, in several languages."""
    assert personal.birth_date(day)


@pytest.mark.parametrize("day", ["45/17/1982", "1980-02-30", "31 Foo 1990", "12/12/2090"])
def test_days_that_are_none(day: str) -> None:
    """Days that no calendar has, and years too far away."""
    assert not personal.birth_date(day)
