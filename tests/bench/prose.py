"""Request bodies for benchmarks: ordinary English prose, no findings, the same text for the same size and seed."""

from __future__ import annotations

import json
import random

_WORDS = """
the of and to in a is that for it as was with be by on not he his but at are this have from or had an they which one
you were all her she there would their we him been has when who will no more if out so up said what its about than
into them can only other time new some could these two may first then do any like my now over such our man me even
most made after also did many off before must well back through years where much your way down should because long
each just state people those too mr how little good world make very year still see own work men day get here old
service request report customer invoice project team meeting server module function return value error change review
""".split()  # noqa: SIM905 - prose reads better than a list of it


def prose(size: int, seed: int = 1) -> str:
    """About `size` characters of sentences."""
    rng = random.Random(seed)
    out: list[str] = []
    length = 0
    while length < size:
        sentence = " ".join(rng.choice(_WORDS) for _ in range(rng.randint(6, 18))).capitalize() + ". "
        out.append(sentence)
        length += len(sentence)
    return "".join(out)[:size]


def chat(size: int, seed: int = 1) -> bytes:
    """An OpenAI chat request of about `size` bytes: a system turn, some history, a user turn."""
    text = prose(size, seed)
    quarter = len(text) // 4
    messages = [
        {"role": "system", "content": "You are a helpful assistant."},
        {"role": "user", "content": text[:quarter]},
        {"role": "assistant", "content": text[quarter : 2 * quarter]},
        {"role": "user", "content": text[2 * quarter :]},
    ]
    body = {"model": "gpt-5.5", "stream": False, "temperature": 0.2, "messages": messages}
    return json.dumps(body, ensure_ascii=False).encode()
