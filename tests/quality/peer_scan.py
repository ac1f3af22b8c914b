"""Runs one peer over texts, in the peers' environment: a JSON list of [start, end, what] for each, then CPU seconds.

Imports nothing of the project: `python peer_scan.py detect-secrets|presidio FILE`, a JSON string on each line.
"""

import importlib
import json
import sys
import tempfile
import time
from pathlib import Path


def detect_secrets(texts):
    """A file for each text, with the default plugins and filters, as `detect-secrets scan` does."""
    settings = importlib.import_module("detect_secrets.settings")
    scan = importlib.import_module("detect_secrets.core.scan")
    with settings.default_settings(), tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "prompt.txt"
        for text in texts:
            file.write_text(text, "utf-8")
            starts = [0]
            for line in text.splitlines(keepends=True):
                starts.append(starts[-1] + len(line))
            out = []
            for secret in scan.scan_file(str(file)):
                at = starts[secret.line_number - 1]
                place = text.find(secret.secret_value, at) if secret.secret_value else -1
                length = len(secret.secret_value) if place >= 0 else starts[secret.line_number] - at
                place = place if place >= 0 else at
                out.append([place, place + length, secret.type])
            yield out


def presidio(texts):
    """Every pattern recogniser of the registry, for English, with context words as its analyzer applies them."""
    analyzer = importlib.import_module("presidio_analyzer")
    recognisers = importlib.import_module("presidio_analyzer.predefined_recognizers")
    nlp = importlib.import_module("presidio_analyzer.nlp_engine")
    domains = importlib.import_module("tldextract")
    domains.extract = domains.TLDExtract(suffix_list_urls=())  # its own list: nothing is fetched, no time lost trying
    registry = analyzer.RecognizerRegistry(supported_languages=["en"])
    made = 0
    for name in dir(recognisers):
        each = getattr(recognisers, name)
        if isinstance(each, type) and issubclass(
            each, (analyzer.PatternRecognizer, recognisers.PhoneRecognizer, recognisers.IbanRecognizer)
        ):
            try:
                registry.add_recognizer(each(supported_language="en"))
                made += 1
            except TypeError:
                continue
    print(f"presidio: {made} recognisers", file=sys.stderr)

    class Blank(nlp.NlpEngine):
        """No language model: nothing but the text."""

        def load(self):
            return None

        def is_loaded(self):
            return True

        def process_text(self, text, language):
            return nlp.NlpArtifacts(
                entities=[], tokens=[], tokens_indices=[], lemmas=[], nlp_engine=self, language=language
            )

        def process_batch(self, texts, language, **_):
            return ((t, self.process_text(t, language)) for t in texts)

        def is_stopword(self, word, language):
            return False

        def is_punct(self, word, language):
            return False

        def get_supported_entities(self):
            return []

        def get_supported_languages(self):
            return ["en"]

    engine = analyzer.AnalyzerEngine(registry=registry, nlp_engine=Blank(), supported_languages=["en"])
    for text in texts:
        yield [[r.start, r.end, r.entity_type] for r in engine.analyze(text, language="en", score_threshold=0.4)]


def main():
    """Print what the named tool finds."""
    tool, file = sys.argv[1:]
    texts = [json.loads(line) for line in Path(file).read_text("utf-8").splitlines()]
    start = time.process_time()
    results = [json.dumps(r) for r in {"detect-secrets": detect_secrets, "presidio": presidio}[tool](texts)]
    seconds = time.process_time() - start
    print("\n".join(results))
    print(seconds)


if __name__ == "__main__":
    main()
