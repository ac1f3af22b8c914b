"""Other open scanners over the same texts, in an environment of their own: see `bench_detect`.

Run by that environment's interpreter, which knows nothing of Sluice: texts come as JSON on standard input, seconds of
CPU go as JSON to standard output. detect-secrets with its default plugins, line by line as its own scan does; of
Presidio the pattern recognisers with their default context, without a language model.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from collections.abc import Callable
from typing import Any


def detect_secrets() -> Callable[[str], int]:
    """A scan with every default plugin and filter."""
    scan = importlib.import_module("detect_secrets.core.scan")
    settings = importlib.import_module("detect_secrets.settings")

    def run(text: str) -> int:
        with settings.default_settings():
            return sum(1 for line in text.splitlines() for _ in scan.scan_line(line))

    return run


def presidio() -> Callable[[str], int]:
    """Every predefined recogniser that is nothing but patterns and can be made without arguments."""
    module = importlib.import_module("presidio_analyzer.predefined_recognizers")
    base = importlib.import_module("presidio_analyzer").PatternRecognizer
    recognisers: list[Any] = []
    for name in sorted(vars(module)):
        kind = getattr(module, name)
        if isinstance(kind, type) and issubclass(kind, base) and kind is not base:
            try:
                recognisers.append(kind())
            except TypeError:
                continue  # wants arguments
    print(f"Presidio: {len(recognisers)} pattern recognisers", file=sys.stderr)

    def run(text: str) -> int:
        return sum(len(r.analyze(text, r.supported_entities, None) or ()) for r in recognisers)

    return run


def main() -> None:
    texts: dict[str, str] = json.load(sys.stdin)
    out: dict[str, dict[str, float]] = {}
    for name, make in (("detect-secrets", detect_secrets), ("Presidio", presidio)):
        run = make()
        run("warm up: card 4111 1111 1111 1111")
        out[name] = {}
        for kind, text in texts.items():
            start = time.process_time()
            run(text)
            out[name][kind] = time.process_time() - start
    json.dump(out, sys.stdout)


if __name__ == "__main__":
    main()
