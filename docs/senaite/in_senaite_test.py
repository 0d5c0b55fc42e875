# -*- coding: utf-8 -*-
"""Asks a real SENAITE what test_assaygate_importer.py asks its stand-ins.

For a SENAITE's own Python, with these files in a package `assaygate_senaite`
and zope.testrunner installed:

    zope-testrunner --path DIR -s assaygate_senaite \
        --tests-pattern '^in_senaite_test$'

It works in a database of its own, in memory. Pushes go over HTTP on loopback.
"""

import json

import requests
import transaction
from bika.lims import api
from bika.lims.utils.analysisrequest import create_analysisrequest
from bika.lims.workflow import doActionFor
from DateTime import DateTime
from plone.app.testing import FunctionalTesting
from plone.app.testing import setRoles
from plone.app.testing import TEST_USER_ID
from plone.app.testing import TEST_USER_NAME
from plone.app.testing import TEST_USER_PASSWORD
from plone.testing import zope
from senaite.core.tests.base import BaseTestCase
from senaite.core.tests.layers import BaseLayer

from assaygate_senaite import assaygate_importer as importer


class Fixture(BaseLayer):
    def setUpZope(self, app, configuration):
        super(Fixture, self).setUpZope(app, configuration)
        import assaygate_senaite
        import plone.jsonapi.core
        import senaite.jsonapi
        for package in (plone.jsonapi.core, senaite.jsonapi,
                        assaygate_senaite):
            self.loadZCML(package=package)


LAYER = FunctionalTesting(
    bases=(Fixture(), zope.WSGI_SERVER_FIXTURE), name="Assaygate:InSenaite")

OPTIONS = [{"ResultValue": "0", "ResultText": "Negative"},
           {"ResultValue": "1", "ResultText": "Positive"}]


class InSenaite(BaseTestCase):
    layer = LAYER

    def setUp(self):
        super(InSenaite, self).setUp()
        setRoles(self.portal, TEST_USER_ID, ["LabManager", "Manager"])
        setup, old = self.portal.setup, self.portal.bika_setup
        self.customer = api.create(
            self.portal.clients, "Client", Name="Ward", ClientID="W")
        self.contact = api.create(
            self.customer, "Contact", Firstname="A", Lastname="B")
        self.blood = api.create(
            setup.sampletypes, "SampleType", title="Blood", Prefix="B")
        manager = api.create(
            old.bika_labcontacts, "LabContact", Firstname="A", Lastname="B")
        department = api.create(
            setup.departments, "Department", title="Lab", Manager=manager)
        self.category = api.create(
            setup.analysiscategories, "AnalysisCategory", title="All",
            Department=department)
        self.services = {}

    def service(self, keyword, **fields):
        made = api.create(
            self.portal.bika_setup.bika_analysisservices, "AnalysisService",
            title=keyword, Keyword=keyword, Category=self.category.UID())
        for name, value in fields.items():
            getattr(made, "set" + name)(value)
        self.services[keyword] = made
        return made

    def sample(self, *keywords, **options):
        made = create_analysisrequest(
            self.customer, self.request,
            {"Client": self.customer.UID(), "Contact": self.contact.UID(),
             "DateSampled": DateTime().strftime("%Y-%m-%d"),
             "SampleType": self.blood.UID()},
            [self.services[k].UID() for k in keywords])
        if options.get("receive", True):
            self.assertTrue(doActionFor(made, "receive")[0])
        return made

    def analyses(self, sample, keyword):
        return [a for a in sample.getAnalyses(full_objects=True)
                if a.getKeyword() == keyword]

    def holds(self, analysis, operand, result, state="to_be_verified"):
        self.assertEqual(
            (analysis.getDetectionLimitOperand() or "", analysis.getResult(),
             api.get_review_status(analysis)), (operand, result, state))

    def envelope(self, sample, *results, **own):
        box = {"id": "m1", "protocol": "astm", "instrument": "sim",
               "kind": "result", "sample_id": sample, "results": []}
        if not isinstance(sample, str):
            box["sample_id"] = api.get_id(sample)
        for result in results:
            if isinstance(result, tuple):
                result = {"test": result[0], "value": result[1]}
            box["results"].append(dict(
                {"status": "F", "kind": "result",
                 "observed_at": "20250311115830"}, **result))
        box.update(own)
        return {"H": [{"sender": {"name": "SIM"}}], "assaygate": box}

    def send(self, *args, **own):
        return importer.import_envelope(
            json.loads(json.dumps(self.envelope(*args, **own))))

    def taken(self, *args, **own):
        self.assertEqual(self.send(*args, **own).refused, [])

    def refused(self, why, *args, **own):
        refused = self.send(*args, **own).refused
        self.assertEqual(len(refused), 1, refused)
        self.assertIn(why, refused[0])

    def test_result_with_all_details(self):
        self.service("GLU", Unit="mmol/L")
        instrument = api.create(
            self.portal.bika_setup.bika_instruments, "Instrument",
            title="sim")
        self.services["GLU"].setInstrumentEntryOfResults(True)
        self.services["GLU"].setInstruments([instrument.UID()])
        sample = self.sample("GLU")
        self.taken(sample, {
            "test": "GLU", "value": "5.40", "units": "mmol/L", "flags": "H",
            "comments": [u"h\xe4molytic"]})
        (analysis,) = self.analyses(sample, "GLU")
        self.holds(analysis, "", "5.40")
        self.assertEqual(
            analysis.getResultCaptureDate().strftime("%Y-%m-%d %H:%M:%S"),
            "2025-03-11 11:58:30")
        self.assertEqual(analysis.getRemarks(), importer.native(
            u"Flags of the instrument: H\nh\xe4molytic"))
        self.assertEqual(analysis.getInstrument(), instrument)
        (log,) = instrument.objectValues("AutoImportLog")
        self.assertIn("test GLU: set and submitted", log.getResults())
        self.assertEqual(api.get_review_status(sample), "to_be_verified")

    def test_twice_and_after_a_retraction(self):
        self.service("GLU")
        sample = self.sample("GLU")
        self.taken(sample, ("GLU", "5"))
        (first,) = self.analyses(sample, "GLU")
        history = len(api.get_review_history(first))
        self.taken(sample, ("GLU", "5"))
        self.taken(sample, ("GLU", "5"), id="m2", duplicate_of="m1")
        self.holds(first, "", "5")
        self.assertEqual(len(api.get_review_history(first)), history)
        self.refused("submitted with another", sample, ("GLU", "6"), id="m3")
        self.assertTrue(doActionFor(first, "retract")[0])
        (retest,) = [a for a in self.analyses(sample, "GLU") if a != first]
        self.taken(sample, ("GLU", "5"))
        self.holds(retest, "", "", "unassigned")
        self.taken(sample, ("GLU", "6"), id="m3")
        self.holds(retest, "", "6")
        self.holds(first, "", "5", "retracted")

    def test_samples(self):
        self.service("GLU")
        sample = self.sample("GLU", receive=False)
        self.refused("not received yet", sample, ("GLU", "5"))
        self.assertTrue(doActionFor(sample, "receive")[0])
        self.refused("no sample", api.get_id(sample).lower(), ("GLU", "5"))
        self.refused("none of these", sample, ("NA", "5"))
        self.taken("  " + api.get_id(sample) + " ", ("GLU", "5"))

    def test_values(self):
        self.service("MANUAL", AllowManualDetectionLimit=True)
        self.service("NOLIMIT")
        self.service("SELECTOR", DetectionLimitSelector=True)
        self.service("TEXT", ResultType="string")
        self.service("ONE", ResultType="select", ResultOptions=OPTIONS)
        self.service("MANY", ResultType="multiselect", ResultOptions=OPTIONS)
        self.service("UNIT", Unit="mg/dL")
        self.service("EARLY")
        sample = self.sample(*self.services)
        report = self.send(
            sample, ("MANUAL", "<0.5"), ("NOLIMIT", "<0.5"),
            ("SELECTOR", "<0.5"), ("TEXT", u"<0.5 \xb5"), ("ONE", "positive"),
            ("MANY", "Positive"),
            {"test": "UNIT", "value": "3", "units": "mmol/L"},
            {"test": "EARLY", "value": "3", "status": "P"})
        self.assertEqual(len(report.refused), 3, report.refused)
        for keyword, held in (
                ("MANUAL", ("<", "0.5")),
                ("NOLIMIT", ("", "", "unassigned")),
                ("SELECTOR", ("", "", "unassigned")),
                ("TEXT", ("", "<0.5 \xc2\xb5")),
                ("ONE", ("", "1")), ("MANY", ("", '["1"]')),
                ("UNIT", ("", "", "unassigned")),
                ("EARLY", ("", "3", "unassigned"))):
            self.holds(self.analyses(sample, keyword)[0], *held)
        self.taken(sample, ("EARLY", "4"), id="m2")
        self.holds(self.analyses(sample, "EARLY")[0], "", "4")

    def test_unit_that_the_service_offers(self):
        self.service("GLU", Unit="mmol/L", UnitChoices=[
            {"value": "mmol/L"}, {"value": "mg/dL"}])
        sample = self.sample("GLU")
        (analysis,) = self.analyses(sample, "GLU")
        result = {"test": "GLU", "value": "90", "units": "mg/dL"}
        self.refused("not a number", sample, dict(result, value="POS"))
        self.assertEqual(analysis.getUnit(), "mmol/L")
        self.taken(sample, result)
        self.holds(analysis, "", "90")
        self.assertEqual(analysis.getUnit(), "mg/dL")

    def test_what_setresult_alone_would_do(self):
        """Why the importer refuses: SENAITE changes these without a word."""
        self.service("NOLIMIT")
        self.service("SELECTOR", DetectionLimitSelector=True)
        sample = self.sample("NOLIMIT", "SELECTOR")
        for keyword, held in (("NOLIMIT", ("", "0.5", "unassigned")),
                              ("SELECTOR", ("<", "0", "unassigned"))):
            (analysis,) = self.analyses(sample, keyword)
            analysis.setResult("<0.5")
            self.holds(analysis, *held)

    def test_calculations(self):
        self.service("A")
        self.service("B")
        calculations = self.portal.bika_setup.bika_calculations
        for keyword, formula, interims in (
                ("SUM", "[A] + [B]", []),
                ("TWICE", "[raw] * 2",
                 [{"keyword": "raw", "title": "raw", "value": ""}])):
            calculation = api.create(
                calculations, "Calculation", title=keyword)
            calculation.setInterimFields(interims)
            calculation.setFormula(formula)
            service = self.service(keyword)
            service.setUseDefaultCalculation(False)
            service.setCalculation(calculation)
            service.setInterimFields(interims)
        sample = self.sample("A", "B", "SUM", "TWICE")
        keywords = importer.INSTRUMENTS["*"]["keywords"]
        keywords["R"] = "TWICE:raw"
        try:
            self.taken(sample, ("A", "1"), ("B", "2"), ("SUM", "9"),
                       ("R", "21"))
        finally:
            del keywords["R"]
        self.holds(self.analyses(sample, "SUM")[0], "", "3.0")
        self.holds(self.analyses(sample, "TWICE")[0], "", "42.0")

    def test_entered_by_hand(self):
        self.service("GLU")
        sample = self.sample("GLU")
        (analysis,) = self.analyses(sample, "GLU")
        analysis.setResult("7")
        self.refused("somebody entered", sample, ("GLU", "8"))
        self.holds(analysis, "", "7", "unassigned")

    def test_control_on_a_worksheet(self):
        glucose = self.service("GLU")
        supplier = api.create(
            self.portal.setup.suppliers, "Supplier", title="S")
        control = api.create(
            supplier, "ReferenceSample", title="Level 1", ReferenceResults=[
                {"uid": glucose.UID(), "result": "5", "min": "4", "max": "6",
                 "error": "0"}])
        sample = self.sample("GLU")
        worksheet = api.create(self.portal.worksheets, "Worksheet")
        worksheet.addAnalyses(sample.getAnalyses(full_objects=True))
        worksheet.addReferenceAnalyses(control, [glucose])
        run = {"test": "GLU", "value": "5.1", "kind": "qc"}
        self.taken(api.get_id(control), run, kind="qc")
        (analysis,) = control.getReferenceAnalyses()
        self.holds(analysis, "", "5.1")
        self.taken(api.get_id(control), dict(run, value="9"), kind="qc",
                   id="m2")
        self.holds(analysis, "", "5.1")
        # A sample's analysis that is on a worksheet takes its result too.
        self.taken(sample, ("GLU", "5.2"), id="m3")
        self.holds(self.analyses(sample, "GLU")[0], "", "5.2")

    def push(self, envelope, user=TEST_USER_NAME, consumer="assaygate.import"):
        if not isinstance(envelope, str):
            envelope = json.dumps(envelope)
        transaction.commit()
        answer = requests.post(
            "http://%s:%s/%s/@@API/senaite/v1/push" % (
                self.layer["host"], self.layer["port"], self.portal.getId()),
            auth=(user, TEST_USER_PASSWORD),
            data={"consumer": consumer, "messages": envelope})
        transaction.begin()
        return answer.status_code, answer.json().get("success")

    def test_answers(self):
        self.service("GLU")
        self.service("NA")
        sample = self.sample("GLU", "NA")
        message = self.envelope(sample, ("GLU", "5"))
        self.assertEqual(self.push(message), (200, True))
        self.assertEqual(self.push(message), (200, True))
        self.holds(self.analyses(sample, "GLU")[0], "", "5")
        nowhere = self.envelope("B-9999", ("GLU", "5"))
        self.assertEqual(self.push(nowhere), (422, False))
        self.assertEqual(self.push("{nonsense"), (422, False))
        # What could be imported stays, though the answer is a refusal.
        self.assertEqual(self.push(self.envelope(
            sample, ("GLU", "6"), ("NA", "140"), id="m2")), (422, False))
        self.holds(self.analyses(sample, "NA")[0], "", "140")

    def test_answers_of_the_stock_consumer(self):
        stock = "senaite.core.lis2a.import"
        self.service("GLU")
        sample = self.sample("GLU")
        self.assertEqual(self.push(self.envelope(
            sample, ("GLU", "5")), consumer=stock), (200, True))
        self.holds(self.analyses(sample, "GLU")[0], "", "5")
        # It says success whatever became of it ...
        self.assertEqual(self.push(self.envelope(
            "B-9999", ("GLU", "5")), consumer=stock), (200, True))
        # ... and cannot take a header without a sender's name.
        nameless = self.envelope(sample, ("GLU", "5"))
        nameless["H"][0]["sender"]["name"] = None
        self.assertEqual(self.push(nameless, consumer=stock), (500, False))
        self.assertEqual(self.push(nameless), (200, True))

    def test_users(self):
        self.service("GLU")
        for user, roles, answer, result in (
                ("member", [], 422, ""), ("clerk", ["LabClerk"], 403, ""),
                ("analyst", ["Analyst"], 200, "5")):
            self.portal.acl_users.userFolderAddUser(
                user, TEST_USER_PASSWORD, ["Member"] + roles, [])
            sample = self.sample("GLU")
            got, _ = self.push(
                self.envelope(sample, ("GLU", "5"), id=user), user=user)
            self.assertEqual(got, answer, user)
            self.assertEqual(
                self.analyses(sample, "GLU")[0].getResult(), result)

    def test_an_error_takes_everything_back(self):
        self.service("GLU")
        sample = self.sample("GLU")
        real = importer.finish

        def broken(*_):
            raise RuntimeError("broken")

        importer.finish = broken
        try:
            answer = self.push(self.envelope(sample, ("GLU", "5")))
        finally:
            importer.finish = real
        self.assertEqual(answer, (500, False))
        self.holds(self.analyses(sample, "GLU")[0], "", "", "unassigned")
        self.assertEqual(self.push(self.envelope(sample, ("GLU", "5"))),
                         (200, True))
