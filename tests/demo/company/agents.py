"""The thirty agents: eleven that engineers run on their machines, nineteen that the organisation has built."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tests.demo.company.catalogue import BY_ID, RESPONSES, Product
from tests.demo.company.tools import BY_LABEL, BY_NAME, McpServer, Tool


@dataclass(frozen=True, slots=True)
class Agent:
    """`client` is the name that its headers give it; `subject` who it asks as, empty for those that people run.

    `gate`: a person approves before a tool with side effects runs. `stops` is the rule that stops what it offers.
    """

    id: str
    client: str
    headers: Mapping[str, str]
    product: Product
    model: str
    tools: tuple[Tool, ...]
    purpose: str
    department: str
    subject: str = ""
    hosted: tuple[str, ...] = ()
    servers: tuple[McpServer, ...] = ()
    gate: bool = True
    registered: bool = True

    @property
    def acts(self) -> tuple[Tool, ...]:
        """The tools that change something."""
        return tuple(t for t in self.tools if t.effect != "read")


def _tools(names: str) -> tuple[Tool, ...]:
    return tuple(BY_NAME[name] for name in names.split())


def _coding(id: str, headers: dict[str, str], product: str, tools: str, *, client: str = "", gate: bool = True,
            registered: bool = True) -> Agent:  # fmt: skip
    to = BY_ID[product]
    purpose = "Helps engineers to write and change code"
    return Agent(id, client or id, headers, to, to.models[0], _tools(tools), purpose, "Engineering", gate=gate,
                 registered=registered)  # fmt: skip


def _agent_name(name: str) -> dict[str, str]:
    return {"user-agent": name}


CODING = (
    _coding("claude-code", _agent_name("claude-cli/2.1.197 (external, cli)"), "anthropic",
            "Bash Read Edit Write Grep Glob WebFetch TodoWrite Task"),
    _coding("codex-cli", _agent_name("codex_cli_rs/0.169.0"), "openai", "shell apply_patch update_plan view_image"),
    _coding("gemini-cli", _agent_name("GeminiCLI/0.61.0"), "google",
            "run_shell_command read_file write_file replace glob search_file_content google_web_search save_memory"),
    _coding("github-copilot-chat", _agent_name("GitHubCopilotChat/0.40.1"), "copilot",
            "run_in_terminal create_file insert_edit_into_file semantic_search get_errors"),
    _coding("cline", _agent_name("Cline/3.40.0"), "openrouter",
            "execute_command read_file write_to_file replace_in_file list_files search_files browser_action "
            "attempt_completion", gate=False),
    _coding("roo-code", _agent_name("RooCode/3.31.2"), "openai",
            "execute_command read_file list_files apply_diff insert_content switch_mode new_task", gate=False),
    _coding("opencode", _agent_name("opencode/1.2.0"), "groq", "bash read edit webfetch", gate=False),
    _coding("continue", _agent_name("Continue/1.3.9"), "mistral",
            "builtin_read_file builtin_create_new_file builtin_run_terminal_command"),
    _coding("aider", {"user-agent": "litellm/1.80.0", "x-title": "aider"}, "openai", ""),
    _coding("kilo-code", {"user-agent": "node", "x-title": "Kilo Code"}, "openrouter",
            "execute_command read_file apply_diff", registered=False),
    _coding("qwen-code", _agent_name("QwenCode/0.9.1"), "together", "run_shell_command read_file write_file",
            registered=False),
)  # fmt: skip

_PYTHON = {
    "openai": ("openai-python", "AsyncOpenAI/Python 3.54.0"),
    "responses": ("openai-python", "AsyncOpenAI/Python 3.54.0"),
    "anthropic": ("anthropic-python", "AsyncAnthropic/Python 2.12.0"),
    "google": ("google-genai-python", "google-genai-sdk/3.4.0 gl-python/3.13.1"),
}


def _own(id: str, department: str, product: Product, tools: str, purpose: str, *, hosted: str = "", servers: str = "",
         gate: bool = True, registered: bool = True) -> Agent:  # fmt: skip
    client, user_agent = _PYTHON[product.wire]
    return Agent(
        id, client, {"user-agent": user_agent}, product, product.models[0], _tools(tools), purpose, department,
        subject=f"service:{id}", hosted=tuple(hosted.split()), servers=tuple(BY_LABEL[s] for s in servers.split()),
        gate=gate, registered=registered,
    )  # fmt: skip


OWN = (
    _own("invoice-bot", "Finance", BY_ID["openai"], "read_invoice match_purchase_order book_invoice flag_for_review",
         "Reads invoices and drafts bookings"),
    _own("claims-triage", "Clinical Services", BY_ID["anthropic"], "read_claim score_claim route_claim",
         "Gives claims to the team that decides them"),
    _own("appointment-reminder", "Clinical Services", BY_ID["openai"], "list_appointments send_sms",
         "Reminds members of appointments"),
    _own("discharge-summariser", "Clinical Services", BY_ID["anthropic"], "read_chart write_summary",
         "Drafts summaries for a doctor to sign"),
    _own("cv-screener", "People", BY_ID["azure"], "read_application rank_applicants",
         "Puts applications in order for a recruiter", gate=False),
    _own("contract-reviewer", "Legal", BY_ID["anthropic"], "read_contract compare_clauses", "Compares clauses"),
    _own("support-desk", "Support", RESPONSES, "read_ticket search_orders send_email issue_refund",
         "Answers members", servers="tickets", gate=False),
    _own("knowledge-search", "Support", RESPONSES, "search_wiki fetch_page", "Finds answers in the wiki",
         hosted="web_search file_search", servers="wiki"),
    _own("campaign-writer", "Marketing", RESPONSES, "list_segments schedule_post", "Writes and plans posts",
         hosted="image_generation", servers="social-scheduler", gate=False),
    _own("lead-scorer", "Sales", RESPONSES, "read_crm update_lead", "Puts leads in order", servers="crm",
         registered=False),
    _own("payroll-helper", "People", BY_ID["azure"], "read_payslip transfer_funds", "Answers questions on payslips",
         gate=False),
    _own("incident-commander", "IT Operations", BY_ID["openai"], "query_metrics restart_service page_oncall",
         "Leads through an incident"),
    _own("patch-pilot", "IT Operations", BY_ID["openai"], "list_hosts run_playbook reboot_host",
         "Patches machines at night", gate=False, registered=False),
    _own("log-analyst", "Security", RESPONSES, "search_logs execute_sql", "Looks for what is unusual",
         hosted="code_interpreter", servers="observability"),
    _own("stock-planner", "Logistics", BY_ID["google"], "read_stock forecast_demand order_goods", "Plans the stock"),
    _own("route-planner", "Logistics", BY_ID["google"], "get_traffic plan_route", "Plans tours"),
    _own("translation-desk", "Marketing", RESPONSES, "read_document save_translation", "Translates leaflets",
         servers="drive"),
    _own("board-briefer", "Finance", BY_ID["bedrock"], "read_report draft_slides", "Prepares papers for the board"),
    _own("chart-coder", "Clinical Services", BY_ID["anthropic"], "read_chart suggest_codes submit_codes",
         "Proposes codes for bills"),
)  # fmt: skip
AGENTS = (*CODING, *OWN)
