"""What in a source text would load code from a file, hand words to a shell or speak to the network."""

from __future__ import annotations

import ast
from collections.abc import Iterator

MODULES = {
    *("pickle", "_pickle", "cloudpickle", "dill", "marshal", "shelve", "runpy", "code"),
    *("socket", "urllib", "urllib3", "http", "requests", "httpx", "aiohttp", "ftplib", "telnetlib", "smtplib"),
}
NAMES = {
    *("eval", "exec", "compile", "os.system", "os.popen"),
    *("joblib.load", "joblib.dump", "joblib.Memory", "joblib.numpy_pickle", "joblib.numpy_pickle.load"),
    *("torch.load", "torch.save", "torch.hub", "torch.jit.load", "torch.package"),
    *("yaml.load", "yaml.load_all", "yaml.full_load", "yaml.unsafe_load", "yaml.unsafe_load_all"),
}
METHODS = {"read_pickle", "to_pickle"}  # of whatever object
KEYWORDS = {"allow_pickle", "shell"}  # with anything but a plain False
IMPORTERS = {"importlib.import_module", "import_module", "__import__"}


def forbidden(source: str) -> list[str]:
    """Each such thing with its line; nothing but the syntax counts, so words about it do not."""
    tree = ast.parse(source)
    bound = {name: whole for name, whole, _ in _imports(tree)}
    found = {(line, whole) for _, whole, line in _imports(tree) if _loads(whole) or _is_module(whole)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name | ast.Attribute) and _loads(name := _name(node, bound)):
            found.add((node.lineno, name))
        elif isinstance(node, ast.Call):
            found |= {(node.lineno, word.arg) for word in node.keywords if word.arg in KEYWORDS and not _is_false(word)}
            if _name(node.func, bound) in IMPORTERS and node.args and isinstance(node.args[0], ast.Constant):
                found |= {(node.lineno, whole)} if _is_module(whole := str(node.args[0].value)) else set()
    return [f"line {line}: {name}" for line, name in sorted(found)]


def _is_module(whole: str) -> bool:
    return whole.split(".")[0] in MODULES


def _loads(whole: str) -> bool:
    return whole in NAMES or whole.rsplit(".", 1)[-1] in METHODS


def _imports(tree: ast.AST) -> Iterator[tuple[str, str, int]]:
    """What each import binds, what that is in full, and its line: c, a.b, 3 for `from a import b as c`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for found in node.names:
                yield found.asname or found.name, found.name, node.lineno
        elif isinstance(node, ast.ImportFrom) and not node.level:
            for found in node.names:
                yield found.asname or found.name, f"{node.module}.{found.name}", node.lineno


def _name(node: ast.AST, bound: dict[str, str]) -> str:
    """`a.b.c` of what `t.c` stands for after `import a.b as t`; "" of what is no such chain, its last part after it."""
    if isinstance(node, ast.Name):
        return bound.get(node.id, node.id)
    if isinstance(node, ast.Attribute):
        return f"{_name(node.value, bound)}.{node.attr}"
    return ""


def _is_false(word: ast.keyword) -> bool:
    return isinstance(word.value, ast.Constant) and word.value.value is False
