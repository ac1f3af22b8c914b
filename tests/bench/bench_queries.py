"""The usual questions over ten million rows, made inside the engine: seconds, memory, bytes a row on disk.

Two threads, as on the two cores of the reference machine; the limit of each question is 1 s and 512 MiB (the engine
enforces the memory). Rows spread over four weeks; every second one is the outcome of the decision before it.

    python -m tests.bench.bench_queries [--rows N] [--keep DIRECTORY]
"""

# ruff: noqa: E501 - SQL is easier to read in long lines

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from sluice.posture import inventory
from sluice.ship.clickhouse import Embedded, StoreError

MEMORY_BYTES = 512 * 1024**2
STEP_ROWS = 500_000

FILL = """
INSERT INTO events (record_type, decision_id, schema_version, node_id, epoch, seq, retention_class, ts_received, ts_identity_done, ts_scan_done, ts_decided, ts_forwarded, ts_first_byte, ts_end,
  subject_id, subject_kind, identity_method, identity_assurance, src_ip, src_port, user_agent, key_fp, key_hint, key_kind, provider_id, provider_status, product, target_row, host, sni, dst_port, http_version, tls_version_client, method, path_template, operation, model_requested, model_served, tokens_in, tokens_out, tools_declared, body_bytes, decoded_bytes, content_type, dialect, stream, parts, body_hmac, hmac_key_id, data_classes, matches, max_severity, inspection_status, scanned_bytes, uninspected_bytes, scan_us, decode_us, parse_us, decide_us, engine_versions, detector_pack_version, rulebook_digest, policy_id, policy_version, policy_sha256, rule_id, rules_evaluated, policy_mode, policy_age_s, decision, reason_code, client_status, forwarded, upstream_status, resp_bytes, latency_added_us, latency_upstream_ms, chain_id, prev_hash)
WITH number%2=0 AS d, intDiv(number,2) AS x, cityHash64(x) AS h, {moment} AS t, ['openai','anthropic','google','azure-openai','mistral','cohere','deepseek','xai'][1+ (h%100>50) * (h%8)] AS prov, (h%20=0) AS hit
  SELECT if(d,'decision','outcome'), toUUID(concat('01900000-', leftPad(hex(bitAnd(x,65535)),4,'0'), '-7000-8000-', lower(leftPad(hex(h%281474976710656),12,'0')))), 1, 'node-1', 1, number, 'standard', t, if(d,t+toIntervalMicrosecond(5),NULL), if(d,t+toIntervalMicrosecond(300+h%300),NULL), if(d,t+toIntervalMicrosecond(700+h%300),NULL), if(d,NULL,t+toIntervalMicrosecond(1500+h%300)), if(d,NULL,t+toIntervalMicrosecond(400000+h%300000)), if(d,NULL,t+toIntervalMicrosecond(1400000+h%3000000)),
  if(d,lower(hex(sipHash64(h%5000))),NULL), if(d,'user',NULL), if(d,'header_trusted',NULL), if(d,'asserted',NULL), if(d,concat('10.1.',toString(h%20),'.',toString(h%250)),NULL), if(d,1024+h%60000,NULL), if(d,['OpenAI/Python 3.54.0','anthropic-sdk 1.2','curl/8'][1+h%3],NULL), if(d,lower(hex(MD5(toString(h%3000)))),NULL), if(d,'sk-...9a',NULL), if(d,'openai.project',NULL), prov, if(d,'sanctioned',NULL), 'api', concat('api.',prov,'.com'), if(d,concat('api.',prov,'.com'),NULL), if(d,concat('api.',prov,'.com'),NULL), 443, 'HTTP/1.1', if(d,'TLSv1.3',NULL), if(d,'POST',NULL), if(d,'/v1/chat/completions',NULL), if(d,'chat',NULL), if(d,['gpt-5-mini','gpt-5','claude-5','gemini-3'][1+h%4],NULL), if(d,NULL,['gpt-5-mini-2026','gpt-5-2026','claude-5','gemini-3'][1+h%4]), if(d,NULL,h%8000), if(d,NULL,h%2000), if(d and h%3=0,['read_file','run_shell'],[]), if(d,500+h%20000,NULL), if(d,500+h%20000,NULL), if(d,'application/json',NULL), if(d,'openai',NULL), if(d,1,NULL), if(d,[('system','text',900),('user','text',toInt64(h%3000))],[]), if(d,lower(hex(MD5(toString(h)))),NULL), if(d,'k1',NULL), if(d and hit,['contact.email'],[]),
  if(d and hit,[('contact.email',1,'contact.email','low',1,NULL,0.9,0,lower(hex(MD5(toString(h%9999)))),NULL,'user','new',false,NULL,false)],[]), if(d and hit,'low',NULL), if(d,'full',NULL), if(d,500+h%20000,NULL), if(d,0,NULL), if(d,100+h%500,NULL), if(d,20,NULL), if(d,60+h%100,NULL), if(d,10+h%20,NULL), if(d,'hyperscan 5.4.2',NULL), if(d,'0123456789abcdef',NULL), if(d,repeat('ab',32),NULL), if(d,'default',NULL), if(d,'1',NULL), if(d,repeat('cd',32),NULL), if(d,['observe-the-rest','no-secrets'][1+(h%50=0)],NULL), if(d,6,NULL), if(d,'enforce',NULL), if(d,h%36000,NULL), if(d,if(h%50=0,'block','allow'),NULL), if(d,if(h%50=0,'CLASS_BLOCKED','POLICY_RULE'),NULL), if(d,NULL,if(h%50=0,400,200)), if(d,NULL,h%50!=0), if(d,NULL,if(h%50=0,NULL,if(h%97=0,529,200))), if(d,NULL,h%30000), if(d,NULL,800+h%2000), if(d,NULL,400+h%3000), 'node-1-w0', lower(hex(SHA256(toString(number))))
  FROM numbers({first},{rows}) SETTINGS max_block_size=1048576, min_insert_block_size_rows=1048576
"""

QUESTIONS = {
    "last ten": "SELECT ts, provider_id, decision, rule_id, data_classes FROM exchanges ORDER BY ts DESC LIMIT 10",
    "last hundred, every column": "SELECT * FROM exchanges ORDER BY ts DESC LIMIT 100",
    "last hundred of the newest": "SELECT * FROM exchanges_newest ORDER BY ts DESC LIMIT 100",
    "actions by provider": "SELECT provider_id, decision, count() FROM exchanges GROUP BY 1, 2 ORDER BY 3 DESC",
    "tokens by subject": "SELECT subject_id, count() AS n, sum(tokens_in), sum(tokens_out) FROM exchanges GROUP BY 1 ORDER BY n DESC LIMIT 20",
    "latency by hour": "SELECT toStartOfHour(ts) AS h, count(), quantile(0.99)(latency_added_us) FROM exchanges GROUP BY h ORDER BY h",
    "models asked and served": "SELECT model_requested, model_served, count() FROM exchanges GROUP BY 1, 2",
    "one exchange by id": "SELECT * FROM exchanges WHERE decision_id = (SELECT decision_id FROM events LIMIT 1)",
    "blocked in the last day": "SELECT ts, subject_id, host, reason_code FROM exchanges WHERE decision = 'block' AND ts > (SELECT max(ts) FROM events) - INTERVAL 1 DAY ORDER BY ts DESC LIMIT 100",
    "provider errors": "SELECT provider_id, countIf(upstream_status >= 500) / count() FROM exchanges GROUP BY 1",
    "keys of many people": "SELECT key_fp, uniq(subject_id) AS u FROM exchanges WHERE key_fp IS NOT NULL GROUP BY 1 ORDER BY u DESC LIMIT 10",
    "findings by class": "SELECT data_class, severity, count() FROM findings_seen GROUP BY 1, 2",
    "requests by minute": "SELECT minute, sum(requests) FROM per_minute GROUP BY 1 ORDER BY 1",
    "key use": "SELECT * FROM key_use ORDER BY requests DESC LIMIT 10",
    "tool use": "SELECT tool, how, count() FROM tool_use GROUP BY 1, 2",
    "reconciliation": "SELECT * FROM streams",
    **{
        f"inventory of {kind.kind}s": f"SELECT * FROM {kind.view} ORDER BY {kind.order} LIMIT 1000"
        for kind in inventory.KINDS.values()
    },
    "flow of data": "SELECT * FROM flow_graph ORDER BY requests DESC LIMIT 1000",
}


def fill(store: Embedded, rows: int) -> None:
    """Put synthetic traffic into `events`; the views fill everything else."""
    span = 86_400 * 28 * 1_000_000 // max(1, rows // 2)
    moment = f"toDateTime64('2026-01-01 00:00:00', 6, 'UTC') + toIntervalMicrosecond(intDiv(number, 2) * {span})"
    for first in range(0, rows, STEP_ROWS):
        store.command(FILL.format(moment=moment, first=first, rows=min(STEP_ROWS, rows - first)))


def measure(store: Embedded, sql: str) -> float:
    """Seconds of the better of two runs. Raises `StoreError` when it needs more memory than it may."""
    best = float("inf")
    for _ in range(2):
        began = time.perf_counter()
        store.command(f"SELECT * FROM ({sql}) SETTINGS max_threads = 2, max_memory_usage = {MEMORY_BYTES}")
        best = min(best, time.perf_counter() - began)
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--keep", type=Path, help="directory of the engine, used again when it is there")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        directory = options.keep or Path(name) / "engine"
        there = directory.exists()
        store = Embedded(directory, "sluice")
        try:
            store.migrate()
            if not there:
                fill(store, options.rows)
            sizes = (
                "SELECT table, sum(rows) AS n, sum(bytes_on_disk) AS b FROM system.parts "
                "WHERE active AND database = 'sluice' GROUP BY table ORDER BY b DESC FORMAT TSV"
            )
            for line in store.command(sizes).decode().splitlines():
                table, rows, size = line.split("\t")
                print(
                    f"{table:16s} {int(rows):9d} rows {int(size) / 1e6:8.1f} MB {int(size) / int(rows):6.1f} bytes a row"
                )
            for title, sql in QUESTIONS.items():
                try:
                    print(f"{measure(store, sql):7.3f} s  {title}")
                except StoreError as e:
                    print(f" failed    {title}: {str(e)[:100]}")
        finally:
            store.close()


if __name__ == "__main__":
    main()
