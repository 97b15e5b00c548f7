"""
    The layout of the package: what may import what, and how large a part may be

    DESIGN.md has the order of the folders. A file, class or function that is
    larger than usual says why in its docstring, in a sentence that begins with
    "Longer than" ("Longer than 300 lines: ...").
"""

import ast
import re

from pathlib import PurePosixPath

import pytest

from support.web2py import CLONE

PACKAGE = CLONE / "modules" / "mails3"
FILES = sorted(str(path.relative_to(PACKAGE)) for path in PACKAGE.rglob("*.py"))
files = pytest.mark.parametrize("name", FILES)

# From the bottom to the top: a file imports from its own place and from below
PLACES = (("states", "phases", "throttling", "replies", "policy", "setting_forms",
           "setting_values", "settings", "settings_file", "clock"),
          ("message",), ("oauth",), ("smtp",), ("queue",), ("delivery",), ("admin",), ("service",),
          ("app_mail", "app_tasks", "handle", "mail", "testing"), ("hosts",),
          ("__init__", "__main__", "commands", "installation", "manifest"))

# Who may import it
GLUON = ("message/composition.py", "message/call.py", "mail.py", "admin/page.py",
         "admin/page_access.py", "hosts/")
SMTPLIB = ("smtp/",)

# Who may have one of these words in its code
ENGINES = re.compile(r"\b(dbengine|sqlite\w*|postgres\w*|mysql|mariadb)\b", re.I)
ENGINES_IN = ("queue/database.py",)
EDEN = re.compile(r"\b(s3db|s3msg|s3)\b")
EDEN_IN = ("hosts/eden/",)

MAX_FILE_LINES, MAX_CLASS_LINES, MAX_METHODS, MAX_FUNCTION_LINES = 300, 250, 20, 50

# -----------------------------------------------------------------------------
def tree(name):
    """ The syntax tree of a file """

    return ast.parse((PACKAGE / name).read_text(encoding="utf-8"))

# -----------------------------------------------------------------------------
def rank(module):
    """ How high a module stands in PLACES; by its first name in the package """

    first = module.split(".")[0]
    found = [first in place for place in PLACES]
    assert any(found), "PLACES does not have %s" % first
    return found.index(True)

# -----------------------------------------------------------------------------
def imports(name):
    """
        All imports of a file, also those within functions

        Returns:
            list of (line number, module, whether it is one of the package)
    """

    folder = PurePosixPath(name).parent.parts
    found = []
    for node in ast.walk(tree(name)):
        if isinstance(node, ast.Import):
            found.extend(absolute(node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.append(absolute(node.lineno, node.module))
        elif isinstance(node, ast.ImportFrom):
            base = list(folder[:len(folder) - node.level + 1])
            base += node.module.split(".") if node.module else []
            modules = [base] if base else [[alias.name] for alias in node.names]
            found.extend((node.lineno, ".".join(module), True) for module in modules)
    return found

# -----------------------------------------------------------------------------
def absolute(line, module):
    """ An import that is not relative, like imports() returns it """

    own = "mails3."
    return (line, module[len(own):], True) if module.startswith(own) else (line, module, False)

# -----------------------------------------------------------------------------
def outside(name, allowed):
    """ Whether a file is none of the allowed files and folders """

    return not any(name == place or place.endswith("/") and name.startswith(place)
                   for place in allowed)

# -----------------------------------------------------------------------------
def words(name, pattern):
    """ The lines of a file whose code (no comment, no docstring) has such a word """

    def docstrings(node):
        for each in ast.walk(node):
            if isinstance(each, (ast.Module, ast.ClassDef, ast.FunctionDef)) and \
               ast.get_docstring(each) is not None:
                yield each.body[0].value

    root = tree(name)
    told = set(docstrings(root))
    found = []
    for node in ast.walk(root):
        text = node.value if isinstance(node, ast.Constant) and node not in told else \
            node.id if isinstance(node, ast.Name) else \
            node.attr if isinstance(node, ast.Attribute) else None
        if isinstance(text, str) and pattern.search(text):
            found.append("line %d: %s" % (node.lineno, pattern.search(text).group()))
    return found

# -----------------------------------------------------------------------------
def lines(node):
    """ How many lines a class or function has, its docstring not counted """

    first = node.body[0]
    has_docstring = ast.get_docstring(node) is not None
    docstring = first.end_lineno - first.lineno + 1 if has_docstring else 0
    return node.end_lineno - node.lineno + 1 - docstring

# -----------------------------------------------------------------------------
def too_large(name):
    """ The parts of a file that are too large and do not say why """

    root = tree(name)
    size = len((PACKAGE / name).read_text(encoding="utf-8").splitlines())
    found = [(root, "file of %d lines" % size)] if size > MAX_FILE_LINES else []
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    for node in ast.walk(root):
        if isinstance(node, ast.ClassDef):
            methods = sum(isinstance(each, functions) for each in node.body)
            size = node.end_lineno - node.lineno + 1
            if size > MAX_CLASS_LINES or methods > MAX_METHODS:
                found.append((node, "class %s: %d lines, %d methods" % (node.name, size, methods)))
        elif isinstance(node, functions) and lines(node) > MAX_FUNCTION_LINES:
            found.append((node, "function %s: %d lines" % (node.name, lines(node))))
    return [what for node, what in found if "Longer than" not in (ast.get_docstring(node) or "")]

# =============================================================================
class TestImports:
    """ Imports go one way, from the bottom of the package to its top """

    @files
    def test_a_file_imports_only_from_below(self, name):
        """ No file imports a module of the package that stands above it """

        own = rank(name.removesuffix(".py").replace("/", "."))

        above = ["line %d: %s" % (line, module) for line, module, is_ours in imports(name)
                 if is_ours and rank(module) > own]

        assert above == []

    @files
    def test_only_the_smtp_folder_imports_smtplib(self, name):
        """ No file outside of smtp/ imports smtplib """

        found = [line for line, module, _ in imports(name) if module.split(".")[0] == "smtplib"]

        assert not (found and outside(name, SMTPLIB)), found

    @files
    def test_few_files_import_gluon(self, name):
        """ No file imports gluon but those that deal with web2py """

        found = [line for line, module, _ in imports(name) if module.split(".")[0] == "gluon"]

        assert not (found and outside(name, GLUON)), found

# =============================================================================
class TestNames:
    """ What is particular to a database or to Eden is in one place """

    @files
    def test_one_file_knows_database_engines(self, name):
        """ No code outside of queue/database.py names a database engine """

        found = words(name, ENGINES)

        assert not (found and outside(name, ENGINES_IN)), found

    @files
    def test_one_folder_knows_eden(self, name):
        """ No code outside of hosts/eden/ names a module of Eden """

        found = words(name, EDEN)

        assert not (found and outside(name, EDEN_IN)), found

# =============================================================================
class TestSize:
    """ A newcomer reads each part in one go """

    @files
    def test_a_large_part_says_why(self, name):
        """ No file, class or function is larger than usual without a reason in its docstring """

        assert too_large(name) == []

# END =========================================================================
