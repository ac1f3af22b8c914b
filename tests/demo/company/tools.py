"""The ninety tools of the agents and the six MCP servers, with what each can do."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Tool:
    """`effect` is the gravest thing it can do. `said` is False where the register of tools has no row for it."""

    name: str
    effect: str
    about: str
    external: bool = False
    untrusted: bool = False
    sensitive: bool = False
    said: bool = True


@dataclass(frozen=True, slots=True)
class McpServer:
    """A server that a provider is asked to call. `token` travels in the body of the request: a gap."""

    label: str
    url: str
    approval: str
    auth: str = "oauth"
    token: str = ""
    approved: bool = False
    registered: bool = True


_CODING = """
Bash exec runs a command
Read read reads a file
Edit write changes a file
Write write writes a file
Grep read searches in files
Glob read lists files
WebFetch read reads a page of the web; external untrusted
TodoWrite write keeps a list of what is to do
Task exec starts another agent
shell exec runs a command
apply_patch write changes files
update_plan write keeps a plan
view_image read shows a picture
run_shell_command exec runs a command
read_file read reads a file
write_file write writes a file
replace write changes a file
glob read lists files
search_file_content read searches in files
google_web_search read searches the web; external untrusted
save_memory write keeps a fact
execute_command exec runs a command
write_to_file write writes a file
replace_in_file write changes a file
list_files read lists files
search_files read searches in files
browser_action exec acts in a browser; external untrusted
attempt_completion read says that it is done
apply_diff write changes a file
insert_content write adds to a file
switch_mode read changes the mode
new_task exec starts another agent
run_in_terminal exec runs a command
create_file write makes a file
insert_edit_into_file write changes a file
semantic_search read searches in files
get_errors read lists errors
bash exec runs a command
read read reads a file
edit write changes a file
webfetch read reads a page of the web; external untrusted
builtin_read_file read reads a file
builtin_create_new_file write makes a file
builtin_run_terminal_command exec runs a command
"""
_BUSINESS = """
read_invoice read opens an invoice; sensitive
match_purchase_order read finds the order
book_invoice write books an invoice
flag_for_review write puts it before a person
read_claim read opens a claim; sensitive
score_claim read says how urgent a claim is
route_claim write gives a claim to a team
list_appointments read lists appointments; sensitive
send_sms message sends a text message; external
read_chart read opens a chart; sensitive
write_summary write keeps a summary
read_application read opens an application; untrusted sensitive
rank_applicants write puts applications in order
read_contract read opens a contract; sensitive
compare_clauses read compares clauses
read_ticket read opens a ticket; untrusted
search_orders read finds orders; sensitive
send_email message sends mail; external
issue_refund payment pays money back; external
search_wiki read searches the wiki
fetch_page read reads a page of the web; external untrusted
list_segments read lists groups of readers
schedule_post message plans a post; external
read_crm read opens a customer; sensitive
update_lead write changes a lead
read_payslip read opens a payslip; sensitive
transfer_funds payment transfers money; external
query_metrics read asks for metrics
restart_service destructive restarts a service
page_oncall message calls who is on duty
list_hosts read lists machines
run_playbook exec runs a playbook
reboot_host destructive restarts a machine
search_logs read searches logs; untrusted
execute_sql exec runs SQL
read_stock read says what is in stock
forecast_demand read says what will be needed
order_goods payment orders goods; external
get_traffic read asks for traffic; external untrusted
plan_route read plans a tour
read_document read opens a document
save_translation write keeps a translation
read_report read opens a report
draft_slides write makes slides
suggest_codes read proposes codes for a bill
submit_codes write sends codes to the clearing house; external
"""
_UNSAID = frozenset({"get_errors", "switch_mode", "reboot_host", "run_playbook", "update_lead", "schedule_post"})
"""Tools that nobody entered."""


def _tool(line: str) -> Tool:
    name, effect, rest = line.split(" ", 2)
    about, _, marks = rest.partition(";")
    return Tool(
        name,
        effect,
        about,
        external="external" in marks,
        untrusted="untrusted" in marks,
        sensitive="sensitive" in marks,
        said=name not in _UNSAID,
    )


TOOLS = tuple(_tool(line) for line in (_CODING + _BUSINESS).strip().splitlines() if line)
BY_NAME = {tool.name: tool for tool in TOOLS}

SERVERS = (
    McpServer("wiki", "https://mcp-wiki.nordhaven.example/", "always", approved=True),
    McpServer("crm", "https://mcp-crm.nordhaven.example/", "always", approved=True),
    McpServer("tickets", "https://tickets.example/mcp", "always", "bearer", "t-4711-tickets", approved=True),
    McpServer("drive", "https://drive.example/mcp", "never", approved=True),
    McpServer("social-scheduler", "https://social.example/mcp", "never"),
    McpServer("observability", "http://metrics.nordhaven.example/mcp", "always", "none", registered=False),
)
BY_LABEL = {server.label: server for server in SERVERS}
