"""
    The stand-in for Eden is like the real one, where there is one: EDEN_PATH
    (see tests/run.py)
"""

import inspect
import json

import pytest

from gluon import current

from mails3.hosts.eden import install_mailer
from mails3.hosts.eden.mail import EdenMail

from .stand_in import SUPER_TABLES, TABLES, Auth, Model, Msg, Settings, StandIn, Task

# What MailS3 and its tests call, by the name under which Eden has it
CALLED = {"msg": Msg, "s3task": Task, "auth": Auth, "deployment_settings": Settings,
          "s3db": Model}

# -----------------------------------------------------------------------------
def describe(current, tables, called):
    """
        Describe an Eden: run in the stand-in, and in the real one

        Args:
            current: gluon's
            tables: names of tables
            called: dict {name in current: names of its methods}

        Returns:
            dict of what there is: fields by table, parameters by method
    """

    import inspect
    from gluon.storage import Storage

    for name in tables:
        # Those of a module which the template does without, too
        current.deployment_settings.modules.setdefault(name.partition("_")[0], Storage())

    def describe_field(field):
        kind = field.type if isinstance(field.type, str) else field.type.type
        default = None if callable(field.default) else field.default
        return {"type": kind,
                "length": field.length if kind == "string" else None,
                "notnull": bool(field.notnull),
                "default": default if isinstance(default, (str, int, bool)) else None,
                }

    description = {}
    for name in tables:
        table = current.s3db.table(name)
        description[name] = None if table is None else \
            {field.name: describe_field(field) for field in table}
    for owner, names in called.items():
        for name in names:
            method = getattr(getattr(current, owner), name, None)
            description["%s.%s" % (owner, name)] = None if method is None else \
                [(parameter.name, repr(parameter.default))
                 for parameter in inspect.signature(method).parameters.values()]
    return description

# =============================================================================
@pytest.fixture(scope="module")
def called():
    """ The names of the methods, by the name of their owner """

    return {owner: [name for name, _ in inspect.getmembers(kind, inspect.isroutine)
                    if not name.startswith("_") and name in vars(kind)]
            for owner, kind in CALLED.items()}

@pytest.fixture(scope="module")
def real(eden, called):
    """ The description of the real one, by its own Python """

    code = "%s\nimport json\nprint(json.dumps(describe(current, %r, %r)))" % \
           (inspect.getsource(describe), TABLES, called)
    with eden.site() as site:
        return json.loads(site.shell(code).splitlines()[-1])

@pytest.fixture
def ours(request_of_web2py, tmp_path, called):
    """ The description of the stand-in """

    before = dict(vars(current))
    eden = StandIn(tmp_path, "sqlite://storage.sqlite")
    eden.create()
    environment = eden.environment()
    yield json.loads(json.dumps(describe(current, TABLES, called)))
    environment["db"].close()
    vars(current).clear()
    vars(current).update(before)

# =============================================================================
class TestTables:
    """ Each table of the stand-in is one of Eden's """

    @pytest.mark.parametrize("name", TABLES)
    def test_fields_of_the_stand_in_are_edens(self, name, ours, real):
        """ Types, lengths and defaults of the stand-in's fields are Eden's """

        if real[name] is None and name.startswith("deploy_"):
            pytest.skip("Sahana Eden has it in some templates only")

        for field, values in ours[name].items():
            assert field in real[name], field
            for key, value in values.items():
                if key != "default" or value is not None:
                    assert real[name][field][key] == value, (field, key)

    def test_super_entities_of_the_stand_in_are_edens(self, real):
        """ The tables with a super key are the instances of that entity, and no other """

        for key, instances in SUPER_TABLES.values():
            for name in instances:
                assert real[name] is None or key in real[name]

    def test_eden_requires_no_further_fields(self, ours, real):
        """ Eden requires no field that the stand-in does not have """

        for name in TABLES:
            for field, values in (real[name] or {}).items():
                assert field in ours[name] or not values["notnull"] or \
                       values["default"] is not None, "%s.%s" % (name, field)

# =============================================================================
class TestMethods:
    """ Each method of the stand-in is one of Eden's """

    def test_signatures_of_the_stand_in_are_edens(self, ours, real):
        """
            Methods have Eden's argument names, order and defaults, of which Sahana Eden lacks
            some at the end
        """

        for name, parameters in ours.items():
            if "." not in name:
                continue
            assert real[name] is not None, name
            if name == "msg.send_email" and real[name] == parameters[:-1]:
                assert parameters[-1][0] == "from_address"
            elif name == "s3db.table":
                assert real[name][:2] == parameters, name
            else:
                assert real[name] == parameters, name

    def test_our_methods_take_edens_arguments(self, real):
        """ Methods that replace Eden's take its arguments by position and by name """

        parameters = inspect.signature(EdenMail.process_outbox).parameters
        assert [name for name in parameters if name != "self"] == \
               [name for name, _ in real["msg.process_outbox"]]

    def test_installed_signatures_are_edens(self, request_of_web2py, tmp_path, real):
        """ MailS3 in the stand-in answers to Eden's arguments """

        before = dict(vars(current))
        eden = StandIn(tmp_path, "sqlite://storage.sqlite")
        eden.create()
        environment = eden.environment()
        install_mailer(environment)

        for name in ("send_email", "send_by_pe_id", "send_email_by_pe_id"):
            signature = inspect.signature(getattr(current.msg, name))
            signature.bind(*[name for name, _ in real["msg.%s" % name] if name != "data"])
        environment["db"].close()
        vars(current).clear()
        vars(current).update(before)

# END =========================================================================
