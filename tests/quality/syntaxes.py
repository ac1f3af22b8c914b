"""Fifty ways in which languages and tools write that a name has a value.

`{U}` is the name in capitals, `{s}` in snake case, `{c}` in camel case, `{k}` with hyphens, `{v}` the value between marks.
"""

from __future__ import annotations

import random
import re

FORMS = {
    "go": 'const {c} = "{v}"', "go short": '{c} := "{v}"', "go struct": 'cfg := Config{{{c}: "{v}", Timeout: 30}}',
    "csharp": 'private const string {c} = "{v}";', "csharp object": 'var o = new Options {{ {c} = "{v}" }};',
    "ruby": "{s} = '{v}'", "ruby hash": "{{ :{s} => '{v}' }}", "ruby symbol": "client = Client.new({s}: '{v}')",
    "php define": "define('{U}', '{v}');", "php array": "'{s}' => '{v}',", "php variable": "${s} = '{v}';",
    "perl": 'my ${s} = "{v}";', "kotlin": 'val {c}: String = "{v}"', "swift": 'let {c} = "{v}"', "rust": 'let {s}: &str = "{v}";',
    "lua": 'local {s} = "{v}"', "scala": 'val {c} = "{v}"', "c define": '#define {U} "{v}"', "cpp": 'std::string {c} = "{v}";',
    "r": 'Sys.setenv({U} = "{v}")', "powershell": '${c} = "{v}"', "powershell env": '$env:{U} = "{v}"', "batch": "set {U}={v}",
    "fish": "set -x {U} {v}", "export quoted": 'export {U}="{v}"', "inline env": "{U}={v} ./run.sh", "docker -e": "docker run -e {U}={v} app",
    "compose list": "environment:\n  - {U}={v}", "compose map": "environment:\n  {U}: {v}", "systemd": 'Environment="{U}={v}"',
    "k8s env": "- name: {U}\n  value: {v}", "k8s env quoted": '- name: {U}\n  value: "{v}"', "helm set": "helm upgrade app . --set {c}={v}",
    "tfvars": '{s} = "{v}"', "tf default": 'variable "{s}" {{\n  default = "{v}"\n}}', "toml": "[auth]\n{s} = '{v}'", "properties": "app.{k}={v}",
    "properties dots": "spring.datasource.{c}={v}", "xml attribute": '<add key="{c}" value="{v}" />', "xml property": '<property name="{c}" value="{v}"/>',
    "maven": "<{c}>{v}</{c}>", "python dict": 'config = {{"{s}": "{v}"}}', "python keyword": "client = Client({s}='{v}')",
    "python typed": '{s}: str = "{v}"', "python default": 'os.getenv("{U}", "{v}")', "python f": 'headers = {{"{k}": "{v}"}}',
    "js let": "let {c} = '{v}'", "js object": "{{ {c}: '{v}' }}", "js fallback": "const {c} = process.env.{U} || '{v}';", "ts": "private readonly {c}: string = '{v}';",
    "query": "https://api.acme.net/v1/items?{s}={v}&page=2", "header": "-H '{k}: {v}'", "flag": "tool --{k} {v} --verbose", "flag equals": "tool --{k}={v}",
    "markdown table": "| {s} | {v} |", "markdown bold": "**{c}:** {v}", "markdown code": "`{s}`: `{v}`", "json escaped": '{{\\"{s}\\": \\"{v}\\"}}',
    "notebook": '"source": ["{s} = \'{v}\'\\n"]', "html input": '<input type="hidden" name="{s}" value="{v}">', "sql set": "UPDATE settings SET {s} = '{v}' WHERE id = 1;",
    "ansible": "- name: configure\n  vars:\n    {s}: '{v}'", "yaml plain": "{c}: {v}", "comment": "# {s}: {v}", "github actions": "env:\n  {U}: {v}",
}  # fmt: skip


def write(rng: random.Random, name: str, label: str, value: str) -> str:
    """One assignment of a value, with a little text around it."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", label)
    snake = re.sub(r"\W+", "_", words).lower()
    head, *rest = snake.split("_")
    camel = head + "".join(w.capitalize() for w in rest)
    made = FORMS[name].format(U=snake.upper(), s=snake, c=camel, k=snake.replace("_", "-"), v=value)
    before = rng.choice(("Why does this fail?\n\n", "Please review:\n", "", "// settings\n", "The file says\n\n```\n"))
    return before + made + rng.choice(("\n", "\n```\n", "\n\nThanks", ""))
