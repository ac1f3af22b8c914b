"""Which tools a provider runs or defines itself, and which tools can do something: two closed lists.

A request declares two sorts of tools: functions by names of the client's choosing, and kinds that the provider knows
(`{"type": "web_search"}`). The second sort is `hosted`, under one name for all vendors and versions; of a kind that is
not listed here the record says `other`. `dangerous` are those, hosted or named by a coding agent, that can run code,
write files, act in a browser or send something away.
Sources: OpenAI, Anthropic and Google API references of November 2026; the tool lists of the agents in tests/agents.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from sluice.dialects.words import listed

_VERSION = re.compile(r"_(?:20\d{6}|preview)(?:_.*)?$")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_KINDS = {
    "bash": "bash",
    "shell": "shell",
    "local_shell": "shell",
    "computer": "computer_use",
    "computer_use": "computer_use",
    "text_editor": "text_editor",
    "apply_patch": "apply_patch",
    "code_interpreter": "code_interpreter",
    "code_execution": "code_interpreter",
    "file_search": "file_search",
    "retrieval": "file_search",
    "web_search": "web_search",
    "web": "web_search",
    "google_search": "web_search",
    "google_search_retrieval": "web_search",
    "enterprise_web_search": "web_search",
    "web_fetch": "web_fetch",
    "url_context": "web_fetch",
    "google_maps": "maps",
    "image_generation": "image_generation",
    "memory": "memory",
    "mcp": "mcp",
    "mcp_toolset": "mcp",
    "tool_search": "tool_search",
    "tool_search_tool_regex": "tool_search",
    "tool_search_tool_bm25": "tool_search",
}
HOSTED = frozenset(_KINDS.values()) | {"other"}
"""Every value that `hosted_tools` of a record can hold."""
_ACTING = frozenset({"bash", "shell", "computer_use", "text_editor", "apply_patch", "code_interpreter", "mcp"})
_AGENT_TOOLS = listed(
    """
    bash shell local_shell exec exec_command unified_exec run_command run_shell_command run_in_terminal run_terminal_cmd
    execute_command execute terminal powershell write write_stdin write_file write_to_file create_file edit edit_file
    multiedit multi_edit notebookedit notebook_edit replace replace_in_file apply_diff apply_patch insert_content
    insert_edit_into_file search_and_replace search_replace str_replace str_replace_editor
    str_replace_based_edit_tool delete_file move_file rename_file computer browser_action execute_python run_python
    python python_repl execute_code run_code execute_sql run_query send_email send_mail send_message http_request
    """
)
"""Names under which agents declare such tools, in lower case with underscores."""
_LONGEST = 40


def hosted(kind: str) -> str:
    """The one name for a vendor's tool kind: `web_search_20250305`, `googleSearch` -> `web_search`."""
    if len(kind) > _LONGEST:
        return "other"
    name = _VERSION.sub("", _CAMEL.sub("_", kind).lower())
    return _KINDS.get(name, "other")


def dangerous(declared: Iterable[str], kinds: Iterable[str]) -> tuple[str, ...]:
    """Those of the declared tools and hosted kinds that act, each once. Only names of this page come out."""
    found = dict.fromkeys(kind for kind in kinds if kind in _ACTING)
    for name in declared:
        if len(name) <= _LONGEST:
            plain = name.lower().replace("-", "_")
            if plain in _AGENT_TOOLS:
                found[plain] = None
            elif plain.startswith("mcp:"):
                found["mcp"] = None
    return tuple(found)


def patterns(acting: str) -> tuple[str, ...]:
    """What of `dangerous` came out under a name, as patterns of the policy that fit the names that requests declare."""
    if acting in _ACTING:
        kinds = [kind for kind, name in _KINDS.items() if name == acting]
        return (*(f"{kind.replace('_', '*')}*" for kind in kinds), *(("mcp:*",) if acting == "mcp" else ()))
    return (acting.replace("_", "?") if acting in _AGENT_TOOLS else acting,)
