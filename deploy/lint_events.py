"""Checks events and Sigma rules with the libraries of their own projects. Run by `deploy/lint.sh`."""

from __future__ import annotations

import json
import sys
from pathlib import Path


def ocsf() -> int:
    """Events on stdin, one a line, against the schema of their class, version and profiles."""
    from jsonschema import Draft202012Validator  # type: ignore[import-not-found]
    from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema  # type: ignore[import-not-found]

    faults = events = 0
    for line in sys.stdin:
        event = json.loads(line)
        events += 1
        schema = OcsfJsonSchemaEmbedded(get_ocsf_schema(version=event["metadata"]["version"]))
        name = schema.lookup_class_name_from_uid(class_uid=event["class_uid"])
        wanted = schema.get_class_schema(class_name=name, profiles=event["metadata"]["profiles"])
        for error in Draft202012Validator(wanted).iter_errors(event):
            faults += 1
            print(f"{name}: {list(error.path)}: {error.message[:200]}")
    return 1 if faults or not events else 0


def sigma() -> int:
    """Every rule of deploy/sigma."""
    from sigma.collection import SigmaCollection  # type: ignore[import-not-found]

    files = sorted((Path(__file__).parent / "sigma").glob("*.yml"))
    faults = [e for file in files for r in SigmaCollection.from_yaml(file.read_text("utf-8")).rules for e in r.errors]
    for fault in faults:
        print(fault)
    return 1 if faults or not files else 0


if __name__ == "__main__":
    sys.exit({"ocsf": ocsf, "sigma": sigma}[sys.argv[1]]())
