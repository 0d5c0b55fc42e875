# -*- coding: utf-8 -*-
"""Small stand-ins for what assaygate_importer.py touches of SENAITE and Plone.

They behave as SENAITE 2.6.0 was seen to behave, in what the importer relies
on; in_senaite_test.py asks the real one the same questions. `install` puts
them in the place of the modules that the importer imports.
"""

import json
import re
import sys
import types

WORLD = []      # every object of the running test, for savepoints and searches
PUSHED = []     # status codes that the consumer set


class Thing(object):
    """A content object: an id, a UID, a type, a state, annotations."""

    portal_type = ""

    def __init__(self, id, **attributes):
        self.id = id
        self.uid = "uid-%d" % len(WORLD)
        self.state = ""
        self.annotations = {}
        self.reindexed = 0
        self.__dict__.update(attributes)
        WORLD.append(self)

    def reindexObject(self):
        self.reindexed += 1


class Sample(Thing):
    portal_type = "AnalysisRequest"

    def __init__(self, id, **attributes):
        self.analyses = []
        self.partitions = []
        Thing.__init__(self, id, **attributes)

    def getAnalyses(self, full_objects=False):
        assert full_objects
        found = list(self.analyses)
        for partition in self.partitions:
            found += partition.getAnalyses(full_objects=True)
        return found


class ReferenceSample(Sample):
    portal_type = "ReferenceSample"

    def getReferenceAnalyses(self):
        return list(self.analyses)


class Instrument(Thing):
    portal_type = "Instrument"

    def __init__(self, id, title):
        self.title = title
        self.logs = []
        Thing.__init__(self, id)

    def Title(self):
        return self.title


class ImportLog(Thing):
    def setInstrument(self, value):
        self.instrument = value

    def setInterface(self, value):
        self.interface = value

    def setImportFile(self, value):
        self.file = value

    def setLogTime(self, value):
        self.time = value

    def setResults(self, value):
        self.results = value


class Service(object):
    def __init__(self, default):
        self.default = default

    def getDefaultResult(self):
        return self.default


class Analysis(Thing):
    portal_type = "Analysis"

    def __init__(self, sample, keyword, **attributes):
        self.sample = sample
        self.keyword = keyword
        self.result = self.operand = self.unit = self.remarks = ""
        self.result_type = "numeric"
        self.options = []
        self.unit_choices = []
        self.interims = {}
        self.calculation = None     # a function of the interims
        self.dependents = []
        self.manual_limits = self.limit_selector = False
        self.lower_limit = "0"
        self.default = None
        self.instrument = self.captured = None
        self.allowed_instruments = []
        self.permitted = True
        attributes.setdefault("state", "unassigned")
        Thing.__init__(self, "%s-%s" % (sample.id, keyword), **attributes)
        sample.analyses.append(self)

    def getKeyword(self):
        return self.keyword

    def getRequestID(self):
        return self.sample.id

    def getResult(self):
        return self.result

    def getResultType(self):
        return self.result_type

    def getStringResult(self):
        return self.result_type in ("string", "text")

    def getResultOptions(self):
        return self.options

    def getDetectionLimitOperand(self):
        return self.operand

    def getAllowManualDetectionLimit(self):
        return self.manual_limits

    def getUnit(self):
        return self.unit

    def setUnit(self, value):
        self.unit = value

    def getUnitChoices(self):
        return [{"value": u} for u in self.unit_choices]

    def getCalculation(self):
        return self.calculation

    def getAnalysisService(self):
        return Service(self.default)

    def getDependents(self):
        return self.dependents

    def getInterimFields(self):
        return [{"keyword": k, "value": v} for k, v in self.interims.items()]

    def getInterimValue(self, keyword):
        return self.interims.get(keyword)

    def setInterimValue(self, keyword, value):
        self.interims = dict(self.interims, **{keyword: str(value)})

    def calculateResult(self, override=False):
        if not self.calculation or self.result and not override:
            return False
        value = self.calculation(self.interims)
        if value is None:
            return False
        self.result = str(value)
        return True

    def setDetectionLimitOperand(self, value):
        if not (self.manual_limits or self.limit_selector):
            return
        if value and not self.manual_limits:
            self.result = self.lower_limit
        self.operand = value

    def setResult(self, value):
        if isinstance(value, list):
            value = json.dumps(value)
        value = str(value).strip()
        if not self.getStringResult() and value[:1] in ("<", ">"):
            operand, value = value[0], value[1:].strip()
            if self.manual_limits or self.limit_selector:
                self.setDetectionLimitOperand(operand)
                if not self.manual_limits:
                    value = self.lower_limit
            # else the operand is gone, and nobody is told
        elif not self.limit_selector:
            self.setDetectionLimitOperand("")
        self.result = value

    def setResultCaptureDate(self, value):
        self.captured = value

    def isInstrumentAllowed(self, instrument):
        return instrument in self.allowed_instruments

    def setInstrument(self, value):
        self.instrument = value

    def getRemarks(self):
        return self.remarks

    def setRemarks(self, value):
        self.remarks = value


class Savepoint(object):
    def __init__(self):
        self.kept = [
            (thing, dict((k, v.copy() if isinstance(v, dict) else
                          list(v) if isinstance(v, list) else v)
                         for k, v in thing.__dict__.items()))
            for thing in WORLD]

    def rollback(self):
        WORLD[:] = [thing for thing, _ in self.kept]
        for thing, attributes in self.kept:
            thing.__dict__.clear()
            thing.__dict__.update(attributes)


class DateTime(object):
    """As much of DateTime as is needed: it keeps the text it was made of."""

    FORM = re.compile(
        r"^\d{4}/\d\d/\d\d \d\d:\d\d:\d\d( GMT[+-]\d{4})?$"
        r"|^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(Z|[+-]\d\d:\d\d)$")

    def __init__(self, text=None):
        if text is not None and not self.FORM.match(text):
            raise SyntaxError(text)
        self.text = text or "now"

    def isFuture(self):
        return self.text >= "2100"


class Log(object):
    """senaite.core's logger; keeps what was said."""

    def __init__(self):
        self.lines = []

    def add(self, text, *values):
        self.lines.append(text % values)

    info = warning = error = add


LOG = Log()


def search(query, catalog):
    """Finds too much, as a catalogue may: it disregards case."""
    title = query.get("title")
    return [thing for thing in WORLD
            if thing.portal_type == query["portal_type"]
            and (thing.id.lower() == query.get("getId", "").lower() or
                 title is not None and thing.Title() == title)]


def create(container, portal_type):
    assert portal_type == "AutoImportLog"
    log = ImportLog("log-%d" % len(container.logs))
    container.logs = container.logs + [log]
    return log


def do_action(thing, action):
    """Submits, where the workflow would let it."""
    assert action == "submit"
    if thing.state not in ("unassigned", "assigned") or not thing.result or \
            not all(thing.interims.values()):
        return False, "not allowed"
    thing.state = "to_be_verified"
    return True, ""


class Response(object):
    def setStatus(self, status):
        PUSHED.append(status)


class Request(object):
    response = Response()


def decorator(*_):
    return lambda it: it


def install():
    """Makes the importer's imports find these."""
    def module(name, **content):
        made = types.ModuleType(name)
        made.__path__ = []
        made.__dict__.update(content)
        sys.modules[name] = made
        parent, _, last = name.rpartition(".")
        if parent:
            setattr(sys.modules[parent], last, made)

    module("transaction", savepoint=lambda optimistic=False: Savepoint(),
           doom=lambda: None)
    module("DateTime", DateTime=DateTime)
    module("bika")
    module("bika.lims")
    module("bika.lims.api", search=search, create=create,
           get_object=lambda thing: thing, get_id=lambda thing: thing.id,
           get_uid=lambda thing: thing.uid,
           get_review_status=lambda thing: thing.state, get_request=Request)
    module("bika.lims.api.security",
           check_permission=lambda permission, thing: thing.permitted)
    module("bika.lims.workflow", doActionFor=do_action)
    module("senaite")
    module("senaite.core", logger=LOG)
    module("senaite.core.catalog", SAMPLE_CATALOG="samples",
           SENAITE_CATALOG="senaite", SETUP_CATALOG="setup")
    module("senaite.core.interfaces", IASTMImporter=None, ISenaiteCore=None)
    module("senaite.core.permissions", FieldEditAnalysisResult="edit result")
    module("senaite.jsonapi")
    module("senaite.jsonapi.interfaces", IPushConsumer=None)
    module("zope")
    module("zope.annotation")
    module("zope.annotation.interfaces",
           IAnnotations=lambda thing: thing.annotations)
    module("zope.component", adapter=decorator)
    module("zope.interface", implementer=decorator, Interface=None)
