"""
    The documents: what they name exists
"""

import re

import pytest

from support.web2py import CLONE

from mails3.commands import parser
from mails3.queue.schema import COMPANIONS

README = CLONE / "README.md"
DOCUMENTS = [README, CLONE / "CHANGELOG.md", *sorted((CLONE / "private" / "docs").glob("*.md"))]
OPERATING = CLONE / "private" / "docs" / "operating.md"

# -----------------------------------------------------------------------------
def anchors(text):
    """ The anchors that a code host gives to the headings of a document """

    headings = re.findall(r"(?m)^#+ (.+)$", re.sub(r"(?ms)^```.*?^```", "", text))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}

def files(folder):
    """ The text of all Python files in a folder of the clone """

    return "\n".join(path.read_text(encoding="utf-8")
                     for path in sorted((CLONE / folder).rglob("*.py")))

# =============================================================================
class TestDocuments:
    """ A reader who follows them gets somewhere """

    @pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
    def test_every_link_leads_somewhere(self, document):
        """ A link within the project names a file that exists, and a heading in it """

        text = document.read_text(encoding="utf-8")
        for target in re.findall(r"\]\(([^)]+)\)", text):
            if "://" in target:
                continue
            name, _, anchor = target.partition("#")
            path = document.parent / name if name else document
            assert path.is_file(), target
            if anchor:
                assert anchor in anchors(path.read_text(encoding="utf-8")), target

    @pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
    def test_every_command_exists(self, document):
        """ A command in a document has a verb that the command line knows, or a file """

        text = document.read_text(encoding="utf-8")
        for verb in set(re.findall(r"modules/mails3 ([a-z]+)", text)):
            with pytest.raises(SystemExit) as end:
                parser().parse_args([verb, "--help"])
            assert end.value.code == 0, verb
        for script in re.findall(r"python3 (tests/[\w/]+\.py)", text):
            assert (CLONE / script).is_file(), script

    def test_the_readme_is_read_in_three_minutes(self):
        """ At most 120 lines, the first code within 40 """

        lines = README.read_text(encoding="utf-8").splitlines()

        assert len(lines) <= 120
        assert any(line.startswith(("```", "    ")) for line in lines[:40])

    def test_nothing_of_ours_has_to_stay_in_the_database(self):
        """ The SQL by which our tables leave Eden's database names each of them """

        text = (CLONE / "private" / "docs" / "installing-in-eden.md").read_text(encoding="utf-8")

        assert set(re.findall(r"(?m)^DROP TABLE (\w+);$", text)) == set(COMPANIONS)

    def test_what_status_says_is_in_the_table_of_symptoms(self):
        """ Each title in the table is one that the software has, in the same words """

        table = OPERATING.read_text(encoding="utf-8").partition("| `status` says |")[2]
        titles = re.findall(r"(?m)^\| ([^|]+) \|", table.partition("\n\n")[0])
        software = re.sub(r'"\s+"', "", files("modules")).lower()

        assert len(titles) > 5
        for title in titles:
            for part in title.lower().replace("... 10 ", "").split("; "):
                assert part in software, part

# END =========================================================================
