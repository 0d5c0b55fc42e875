# -*- coding: utf-8 -*-
"""Takes the results that an Assaygate box pushes into SENAITE's analyses.

One importer for ASTM and HL7: it reads nothing but the `assaygate` object of a
message. README.md beside this file says how to install and try it.

Two adapters lead to the same import (see configure.zcml):

- PushConsumer, named `assaygate.import`: its answer says whether the results
  are in SENAITE. Name it as `consumer:` in Assaygate's configuration.
- Importer, for SENAITE's own consumer `senaite.core.lis2a.import`, which
  answers with success whatever became of the message.

No value, name or comment of a patient is ever logged: logs name the message,
the sample's id, the test and the reason.
"""

import json
import re

import transaction
from bika.lims import api
from bika.lims.api import security
from bika.lims.workflow import doActionFor
from DateTime import DateTime
from senaite.core import logger
from senaite.core.catalog import SAMPLE_CATALOG
from senaite.core.catalog import SENAITE_CATALOG
from senaite.core.catalog import SETUP_CATALOG
from senaite.core.interfaces import IASTMImporter
from senaite.core.interfaces import ISenaiteCore
from senaite.core.permissions import FieldEditAnalysisResult
from senaite.jsonapi.interfaces import IPushConsumer
from zope.annotation.interfaces import IAnnotations
from zope.component import adapter
from zope.interface import implementer
from zope.interface import Interface

# --------------------------------------------------------------------------
# What a laboratory sets. Restart SENAITE after a change.

# Submit final results. False: set them and leave submitting to the analyst.
SUBMIT = True

# Import test messages (kind `test`) as if they were results. Only in a SENAITE
# that no patient depends on.
TAKE_TESTS = False

# By the instrument's name in Assaygate's configuration; "*" holds for all, and
# an instrument's own entry wins over it. All keys are optional:
#   keywords       test -> keyword of the analysis service; "KEYWORD:INTERIM"
#                  for an interim field; None for a test that is never wanted.
#                  A test that is not named here is looked for as it is.
#   units          unit of the instrument -> that unit in SENAITE's spelling
#   decimal_comma  True where "1,234" means 1.234
#   title          title of the instrument in SENAITE, where it is another
INSTRUMENTS = {
    "*": {
        "keywords": {},
        "units": {},
    },
    # "xn-550": {
    #     "keywords": {"NEUT%": "NEUT_P", "NEUT#": "NEUT_A", "RDW-SD": None},
    #     "units": {"10*3/uL": "10^3/uL"},
    #     "title": "Sysmex XN-550",
    # },
}

# --------------------------------------------------------------------------

# Where a sample remembers what was imported to it.
MEMORY = "assaygate.imported"

OPEN_STATES = ("unassigned", "assigned")
SUBMITTED_STATES = ("to_be_verified", "verified", "published")

# Status of a result, LIS02-A2 R.9 and HL7 table 0085. Others are preliminary.
FINAL = {"astm": ("", "F", "C", "R", "V"), "hl7": ("", "F", "C")}
NO_RESULT = {"astm": ("X", "I", "N"), "hl7": ("X", "I", "N", "O", "D", "W")}

NUMBER = r"[+-]?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?"
NUMERIC = re.compile(r"^" + NUMBER + r"$")
LIMIT = re.compile(r"^([<>])\s*(" + NUMBER + r")$")
# HL7 data type SN: comparator^number.
STRUCTURED = re.compile(r"^([<>]=?|=|)\^(" + NUMBER + r")$")
COMMA = re.compile(r"^([<>]?\s*[+-]?[0-9]+),([0-9]+)$")
STAMP = re.compile(
    r"^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)?(?:\.\d+)?([+-]\d{4})?$")


class Refused(Exception):
    """A result, or a whole message, that a person has to look at."""


class Skipped(Exception):
    """A result that is rightly not imported."""


class Forbidden(Exception):
    """The user of the push may not set results."""


def native(text):
    """Text of the JSON as SENAITE wants it: UTF-8 bytes on Python 2."""
    if text is None or isinstance(text, str):
        return text or ""
    return text.encode("utf-8") if isinstance(text, type(u"")) else str(text)


def fold(text):
    """Text for comparing without regard to case, also beyond ASCII."""
    text = text.decode("utf-8") if isinstance(text, bytes) else text
    return text.strip().lower()


class Message(object):
    """The `assaygate` object of one envelope."""

    def __init__(self, data):
        own = data.get("assaygate") if isinstance(data, dict) else None
        if not isinstance(own, dict) or not own.get("id"):
            raise Refused("not a message of Assaygate: it has no id")
        self.id = native(own["id"])
        self.duplicate_of = native(own.get("duplicate_of"))
        self.protocol = native(own.get("protocol"))
        self.instrument = native(own.get("instrument"))
        self.sample_id = native(own.get("sample_id"))
        self.kind = native(own.get("kind"))
        self.problem = bool(own.get("problem"))
        self.results = [
            Result(self, position, item)
            for position, item in enumerate(own.get("results") or [])]

    def setting(self, name, default=None):
        """What INSTRUMENTS says for this instrument."""
        everywhere = INSTRUMENTS.get("*", {})
        here = INSTRUMENTS.get(self.instrument, {})
        if isinstance(default, dict):
            return dict(everywhere.get(name, {}), **here.get(name, {}))
        return here.get(name, everywhere.get(name, default))


class Result(object):
    """One entry of `assaygate.results`."""

    def __init__(self, message, position, item):
        self.test = native(item.get("test"))
        self.text = native(item.get("value")).strip()
        self.units = native(item.get("units")).strip()
        self.flags = native(item.get("flags")).strip()
        self.observed_at = native(item.get("observed_at"))
        self.comments = [native(c) for c in item.get("comments") or []]
        self.kind = native(item.get("kind")) or message.kind
        if message.kind == "test" or self.kind == "test":
            self.kind = "result" if TAKE_TESTS else "test"
        self.key = "%d %s" % (position, self.test)
        protocol = "hl7" if message.protocol == "hl7" else "astm"
        status = native(item.get("status")).strip()
        self.final = status in FINAL[protocol]
        self.missing = status in NO_RESULT[protocol] or not self.text
        keywords = message.setting("keywords", {})
        target = keywords.get(self.test, self.test)
        self.unwanted = target is None
        self.keyword, _, self.interim = native(target).partition(":")


class Report(object):
    """What became of a message, in words that may be logged."""

    def __init__(self, message_id):
        self.message_id = message_id
        self.lines = []
        self.refused = []
        self.placed = 0

    def say(self, text):
        self.lines.append(text)
        logger.info("assaygate %s: %s", self.message_id, text)

    def refuse(self, text):
        self.refused.append(text)
        self.lines.append("NOT IMPORTED: " + text)
        logger.warning("assaygate %s: NOT IMPORTED: %s", self.message_id, text)


class Memory(object):
    """What a sample knows of earlier deliveries.

    `done`: message id -> keys of the results that were settled.
    `ours`: UID of an analysis -> operand and result that this importer set.
    """

    def __init__(self, sample):
        self.annotations = IAnnotations(sample)
        kept = self.annotations.get(MEMORY) or {}
        self.done = dict(kept.get("done", {}))
        self.ours = dict(kept.get("ours", {}))

    def knows(self, key, *ids):
        return any(key in self.done.get(i, ()) for i in ids if i)

    def settle(self, message_id, key):
        self.done[message_id] = self.done.get(message_id, ()) + (key,)

    def save(self):
        # A new object each time: a dict that is changed in place is not saved.
        self.annotations[MEMORY] = {"done": self.done, "ours": self.ours}


def import_envelope(data):
    """Imports one envelope and returns its Report.

    What can be imported stays imported also where another result was refused;
    delivering the message again then only does the rest. An unexpected error
    takes everything back: SENAITE's API turns it into an answer and would
    commit what was half done.
    """
    savepoint = transaction.savepoint(optimistic=True)
    try:
        return _import(data)
    except Exception:
        try:
            savepoint.rollback()
        except Exception:
            transaction.doom()
        raise


def _import(data):
    try:
        message = Message(data)
    except Refused as reason:
        report = Report("without id")
        report.refuse(str(reason))
        return report
    report = Report(message.id)
    if message.problem:
        report.say("the gateway could not understand all of this message")
    instrument = find_instrument(message)
    kinds = {}
    for result in message.results:
        kinds.setdefault(result.kind, []).append(result)
        place = "test %s: kind %s " % (result.test, result.kind)
        if result.kind in ("test", "calibration", "image"):
            report.say(place + "is not for a sample, held back")
        elif result.kind not in ("result", "qc"):
            report.refuse(place + "is not known here")
    if "result" in kinds:
        import_sample(message, kinds["result"], instrument, report)
    if "qc" in kinds:
        import_controls(message, kinds["qc"], report)
    write_import_log(instrument, report)
    return report


# Samples of patients


def import_sample(message, results, instrument, report):
    sample = find_by_id(message.sample_id, "AnalysisRequest", SAMPLE_CATALOG)
    if sample is None:
        wanted = message.sample_id or "(the message names none)"
        return report.refuse("there is no sample %s" % wanted)
    memory = Memory(sample)
    for result in results:
        place = "sample %s, test %s: " % (api.get_id(sample), result.test)
        if memory.knows(result.key, message.id, message.duplicate_of):
            report.placed += 1
            report.say(place + "was imported before, nothing changed")
            continue
        try:
            outcome = place_result(message, sample, result, instrument, memory)
        except Skipped as reason:
            report.say(place + str(reason))
            continue
        except Refused as reason:
            report.refuse(place + str(reason))
            continue
        memory.settle(message.id, result.key)
        report.placed += 1
        report.say(place + outcome)
    memory.save()
    sample.reindexObject()
    if report.placed or report.refused:
        return
    if not all(r.unwanted or r.missing for r in results):
        report.refuse("sample %s has none of these analyses"
                      % api.get_id(sample))


def place_result(message, sample, result, instrument, memory):
    """Sets one result of a patient's sample and says how far it came."""
    if result.unwanted:
        raise Skipped("not wanted, says the importer's setting")
    if result.missing:
        raise Skipped("the instrument gives no result")
    analysis, open_ = find_analysis(sample, result)
    target = Target(message, analysis, result)
    if not open_:
        if target.reached():
            return "the same result is there already"
        raise Refused("analysis %s is submitted with another result; retract "
                      "or retest it, then deliver the message again"
                      % result.keyword)
    if not security.check_permission(FieldEditAnalysisResult, analysis):
        raise Forbidden("this user may not set results: give it the role "
                        "Analyst or LabManager")
    uid = api.get_uid(analysis)
    if not target.reached():
        if not target.may_replace(memory.ours.get(uid)):
            raise Refused("somebody entered another result in analysis %s"
                          % result.keyword)
        target.set()
        add_details(analysis, result, instrument)
    memory.ours[uid] = target.held()
    analysis.reindexObject()
    return finish(analysis, result)


def find_by_id(wanted, portal_type, catalog):
    """The one object of this id, as sent or without blanks around it."""
    for candidate in (wanted, wanted.strip()):
        if not candidate.strip():
            continue
        found = search(portal_type, catalog, getId=candidate)
        # The catalogue is not trusted with this.
        found = [o for o in found if api.get_id(o) == candidate]
        if len(found) == 1:
            return found[0]
    return None


def search(portal_type, catalog, **query):
    query["portal_type"] = portal_type
    return [api.get_object(brain) for brain in api.search(query, catalog)]


def find_analysis(sample, result):
    """The analysis of this sample that awaits the result, and True; or the
    one that has a result already, and False."""
    own = [a for a in sample.getAnalyses(full_objects=True)
           if a.getKeyword() == result.keyword
           and a.getRequestID() == api.get_id(sample)]
    if not own:
        raise Skipped("no analysis %s on this sample" % result.keyword)
    states = [(a, api.get_review_status(a)) for a in own]
    waiting = [a for a, state in states if state in OPEN_STATES]
    if len(waiting) == 1:
        return waiting[0], True
    if waiting:
        raise Refused("%d analyses %s await a result"
                      % (len(waiting), result.keyword))
    submitted = [a for a, state in states if state in SUBMITTED_STATES]
    if submitted:
        return submitted[-1], False
    if any(state == "registered" for _, state in states):
        raise Refused("the sample is not received yet")
    raise Skipped("analysis %s is no longer wanted (%s)"
                  % (result.keyword, states[-1][1]))


def other_unit(message, analysis, result):
    """The unit that the analysis has to be given; None where it fits.

    A number in another unit is another result.
    """
    mine = message.setting("units", {}).get(result.units, result.units)
    theirs = native(analysis.getUnit()).strip()
    choices = [native(c.get("value")).strip()
               for c in analysis.getUnitChoices() or []]
    if not mine or not theirs or mine == theirs:
        return None
    if mine in choices:
        return mine
    raise Refused("the instrument's unit is %s, that of analysis %s is %s"
                  % (mine, result.keyword, theirs))


class Target(object):
    """What an analysis is to hold for a result, and how it gets there."""

    def __init__(self, message, analysis, result):
        self.analysis = analysis
        self.interim = result.interim
        self.keyword = result.keyword
        self.unit = other_unit(message, analysis, result)
        if self.interim:
            keywords = [i.get("keyword") for i in analysis.getInterimFields()]
            if self.interim not in keywords:
                raise Refused("analysis %s has no interim field %s"
                              % (self.keyword, self.interim))
            self.argument, self.goal = result.text, ("", result.text)
            return
        if analysis.getCalculation():
            raise Skipped("SENAITE calculates analysis %s" % self.keyword)
        comma = message.setting("decimal_comma", False)
        self.argument, self.goal = self.plan(result.text, comma)

    def plan(self, text, comma):
        """The argument of setResult, and the operand and result it makes."""
        options = self.analysis.getResultOptions()
        if options:
            choice = self.choose(options, text)
            if "multi" in (self.analysis.getResultType() or ""):
                return [choice], ("", json.dumps([choice]))
            return choice, ("", choice)
        if self.analysis.getStringResult():
            return text, ("", text)
        structured = STRUCTURED.match(text)
        if structured:
            text = "".join(structured.groups()).lstrip("=")
        if COMMA.match(text):
            if not comma:
                raise Refused("a comma in a number; if it is a decimal comma, "
                              "set decimal_comma for this instrument")
            text = text.replace(",", ".")
        if NUMERIC.match(text):
            return text, ("", text)
        limit = LIMIT.match(text)
        if not limit:
            raise Refused("the value is not a number, and analysis %s takes "
                          "only numbers" % self.keyword)
        # Without this SENAITE drops the operand, or puts its own limit in the
        # place of the instrument's.
        if not self.analysis.getAllowManualDetectionLimit():
            raise Refused("a value beyond a detection limit: allow manual "
                          "detection limits in analysis service %s"
                          % self.keyword)
        return text, limit.groups()

    def choose(self, options, text):
        """The value of the one option that the instrument's text names."""
        pairs = [(native(o.get("ResultValue")).strip(),
                  native(o.get("ResultText")).strip()) for o in options]
        for same in (lambda a: a == text, lambda a: fold(a) == fold(text)):
            found = set(pair[0] for pair in pairs if any(map(same, pair)))
            if len(found) == 1:
                return found.pop()
        raise Refused("analysis %s has no option for this value"
                      % self.keyword)

    def held(self):
        """Operand and result that the analysis holds now."""
        if self.interim:
            return "", native(self.analysis.getInterimValue(self.interim))
        return (native(self.analysis.getDetectionLimitOperand()),
                native(self.analysis.getResult()))

    def reached(self):
        return not self.unit and self.held() == self.goal

    def may_replace(self, ours):
        """True where there is nothing, our own, or the service's default."""
        held = self.held()
        # Interim fields come with default values.
        if self.interim or not held[1] or ours and held == tuple(ours):
            return True
        service = self.analysis.getAnalysisService()
        default = getattr(service, "getDefaultResult", lambda: None)()
        return held == ("", native(default))

    def set(self):
        """Sets the result and reads it back; takes it back if it differs."""
        savepoint = transaction.savepoint(optimistic=True)
        if self.unit:
            self.analysis.setUnit(self.unit)
        if self.interim:
            self.analysis.setInterimValue(self.interim, self.argument)
            self.analysis.calculateResult(override=True)
        else:
            if self.analysis.getDetectionLimitOperand() and not self.goal[0]:
                self.analysis.setDetectionLimitOperand("")
            self.analysis.setResult(self.argument)
        if self.held() != self.goal:
            savepoint.rollback()
            raise Refused("SENAITE made another value of it in analysis %s"
                          % self.keyword)


def add_details(analysis, result, instrument):
    """Time, instrument, comments and flags of a result that was just set."""
    when = moment(result.observed_at)
    analysis.setResultCaptureDate(when or DateTime())
    if instrument and analysis.isInstrumentAllowed(instrument):
        analysis.setInstrument(instrument)
    remarks = [c.strip() for c in result.comments if c.strip()]
    if result.flags not in ("", "N"):
        remarks.insert(0, "Flags of the instrument: " + result.flags)
    before = native(analysis.getRemarks()).strip()
    new = [r for r in remarks if r not in before.splitlines()]
    if new:
        analysis.setRemarks("\n".join(([before] if before else []) + new))


def moment(text):
    """When the result was observed, or None where that is not plain."""
    parts = STAMP.match(text)
    if parts:
        year, month, day, hour, minute, second, zone = parts.groups()
        text = "%s/%s/%s %s:%s:%s" % (
            year, month, day, hour, minute, second or "00")
        if zone:
            text += " GMT" + zone
    elif "T" not in text:
        return None
    try:
        when = DateTime(text)
    except Exception:   # DateTime has a dozen kinds of errors
        return None
    return None if when.isFuture() else when


def finish(analysis, result):
    """Submits a final result and what SENAITE calculates from it."""
    if not result.final:
        return "set, not submitted: the instrument calls it preliminary"
    if not SUBMIT:
        return "set, to be submitted by the analyst"
    submitted, _ = doActionFor(analysis, "submit")
    for dependent in analysis.getDependents():
        if api.get_review_status(dependent) not in OPEN_STATES:
            continue
        if dependent.calculateResult(override=True):
            dependent.reindexObject()
            doActionFor(dependent, "submit")
    if not submitted:
        return "set, but SENAITE does not let it be submitted yet"
    return "set and submitted"


# Controls


def import_controls(message, results, report):
    """Hands QC to the reference analyses on worksheets that await it.

    Two equal runs of a control are two results: only the same message again
    changes nothing here, `duplicate_of` says nothing.
    """
    reference = find_by_id(
        message.sample_id, "ReferenceSample", SENAITE_CATALOG)
    if reference is None:
        report.say("QC held back: there is no reference sample of its id")
        return
    memory = Memory(reference)
    for result in results:
        place = "control %s, test %s: " % (api.get_id(reference), result.test)
        if memory.knows(result.key, message.id):
            report.say(place + "was imported before, nothing changed")
            continue
        waiting = [a for a in reference.getReferenceAnalyses()
                   if a.getKeyword() == result.keyword
                   and api.get_review_status(a) in OPEN_STATES
                   and not a.getResult()]
        try:
            if result.unwanted or result.missing:
                raise Skipped("not wanted, or no result")
            if len(waiting) != 1:
                raise Skipped("QC held back: %d reference analyses await it"
                              % len(waiting))
            analysis = waiting[0]
            if not security.check_permission(
                    FieldEditAnalysisResult, analysis):
                raise Forbidden("this user may not set results of controls")
            Target(message, analysis, result).set()
            add_details(analysis, result, None)
            analysis.reindexObject()
        except (Skipped, Refused) as reason:
            report.say(place + str(reason))
            continue
        memory.settle(message.id, result.key)
        submitted = SUBMIT and result.final and \
            doActionFor(analysis, "submit")[0]
        report.say(place + ("set and submitted" if submitted else "set"))
    memory.save()


# The instrument and its log


def find_instrument(message):
    """SENAITE's instrument of that name in Assaygate's configuration."""
    title = message.setting("title") or message.instrument
    if not title:
        return None
    found = search("Instrument", SETUP_CATALOG, title=title)
    found = [i for i in found if native(i.Title()) == title]
    return found[0] if len(found) == 1 else None


def write_import_log(instrument, report):
    """Leaves the report in the instrument's list of imports."""
    if instrument is None or not report.lines:
        return
    savepoint = transaction.savepoint(optimistic=True)
    try:
        log = api.create(instrument, "AutoImportLog")
        log.setInstrument(instrument)
        log.setInterface("Assaygate")
        log.setImportFile(report.message_id)
        log.setLogTime(DateTime())
        log.setResults("\n".join(report.lines))
    except Exception as reason:     # a result is worth more than its log
        savepoint.rollback()
        logger.warning("assaygate %s: no import log: %s",
                       report.message_id, type(reason).__name__)


# The two ways in


@adapter(Interface)
@implementer(IPushConsumer)
class PushConsumer(object):
    """Push consumer `assaygate.import`, whose answer can be relied on.

    200 and success: everything that was wanted is in SENAITE. 422: something
    was not imported; the box parks the message for a person. 403: this user
    may not set results; the box holds everything back until it may. 500: an
    unexpected error; nothing of the message was imported.
    """

    def __init__(self, data):
        self.data = data

    def process(self):
        messages = self.data.get("messages")
        if not messages:
            raise ValueError("no messages in this push")
        if not isinstance(messages, (list, tuple)):
            messages = [messages]
        response = api.get_request().response
        for message in messages:
            try:
                refused = import_envelope(parse(message)).refused
            except Forbidden as reason:
                logger.error("assaygate: %s", reason)
                response.setStatus(403)
                return False
            if refused:
                response.setStatus(422)
                return False
        return True


def parse(message):
    """The JSON of a message; None, which no import takes, where it is none."""
    try:
        return json.loads(message)
    except ValueError:
        return None


@adapter(dict, Interface, ISenaiteCore)
@implementer(IASTMImporter)
class Importer(object):
    """Importer for `senaite.core.lis2a.import`.

    Without a name it takes every message for whose sender no importer is
    registered: being for `dict` it goes before the one of senaite.core.
    """

    def __init__(self, data, message, request):
        self.data = data

    def import_data(self):
        """None when all is in SENAITE, else the reason, which that consumer
        logs."""
        report = import_envelope(self.data)
        return "; ".join(report.refused) or None
