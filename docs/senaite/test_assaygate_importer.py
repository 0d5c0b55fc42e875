# -*- coding: utf-8 -*-
"""Runs the importer without a SENAITE: `make test-senaite`.

The messages are made by the gateway itself, out of the captures of its
simulator; SENAITE's objects are the stand-ins of senaite_fakes.py. Runs on
Python 2.7 and 3. in_senaite_test.py does it inside a real SENAITE.
"""

import copy
import json
import os
import subprocess
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, HERE)

import senaite_fakes as fakes   # noqa: E402

fakes.install()

import assaygate_importer as importer   # noqa: E402

BINARY = os.environ.get("ASSAYGATE", os.path.join(ROOT, "bin", "assaygate"))
CAPTURES = os.path.join(ROOT, "device", "simulator", "captures")


def captured(name):
    """The envelopes that the gateway makes of a capture, with new ids."""
    if not os.path.exists(BINARY):
        raise AssertionError("%s is not there: run make build" % BINARY)
    output = subprocess.check_output(
        [BINARY, "inspect", "json", os.path.join(CAPTURES, name)])
    return [json.loads(line) for line in output.decode("utf-8").splitlines()
            if line.strip()]


def envelope(sample_id, *results, **own):
    """A message about a sample; a result is (test, value) or a dict."""
    listed = []
    for result in results:
        if isinstance(result, tuple):
            result = {"test": result[0], "value": result[1]}
        full = {"name": "", "units": "", "reference_range": "", "flags": "",
                "status": "F", "observed_at": "", "kind": "result"}
        full.update(result)
        listed.append(full)
    box = {"id": "m1", "message_id": "mm", "protocol": "astm",
           "instrument": "sim", "kind": "result", "sample_id": sample_id,
           "duplicate_of": None, "problem": None, "results": listed}
    box.update(own)
    # As it comes out of JSON: unicode on Python 2.
    return json.loads(json.dumps({"assaygate": box}))


class Case(unittest.TestCase):
    def setUp(self):
        del fakes.WORLD[:], fakes.PUSHED[:], fakes.LOG.lines[:]
        kept = copy.deepcopy(importer.INSTRUMENTS)
        self.addCleanup(setattr, importer, "INSTRUMENTS", kept)
        for name in ("SUBMIT", "TAKE_TESTS", "finish"):
            self.addCleanup(
                setattr, importer, name, getattr(importer, name))

    def sample(self, id="B-1", *keywords, **attributes):
        sample = fakes.Sample(id)
        for keyword in keywords:
            analysis = fakes.Analysis(sample, keyword, **attributes)
            setattr(self, keyword, analysis)
        return sample

    def send(self, *args, **own):
        return importer.import_envelope(envelope(*args, **own))

    def taken(self, *args, **own):
        report = self.send(*args, **own)
        self.assertEqual(report.refused, [])
        return "\n".join(report.lines)

    def refused(self, why, *args, **own):
        report = self.send(*args, **own)
        self.assertEqual(len(report.refused), 1, report.refused)
        self.assertIn(why, report.refused[0])

    def holds(self, analysis, operand, result, state="to_be_verified"):
        self.assertEqual((analysis.operand, analysis.result, analysis.state),
                         (operand, result, state))


class Captures(Case):
    """What the gateway makes of real messages, in both protocols."""

    def test_hl7(self):
        self.sample("SIM-3001", "WBC", "HGB", "NEU_P")
        importer.INSTRUMENTS["*"]["keywords"] = {"NEU%": "NEU_P"}
        (message,) = captured("hemoscreen.hl7")
        report = importer.import_envelope(message)
        self.assertEqual(report.refused, [])
        self.holds(self.WBC, "", "7.18")
        self.holds(self.HGB, "", "14.2")
        self.holds(self.NEU_P, "", "58.8")
        self.assertEqual(self.WBC.captured.text, "2025/03/11 11:27:00")
        self.assertIn("sample SIM-3001, test MPV: no analysis MPV on this "
                      "sample", report.lines)

    def test_astm(self):
        self.sample("SIM-0001", "WBC", "RDW-SD")
        (message,) = captured("sysmex_xn.astm")
        self.assertEqual(importer.import_envelope(message).refused, [])
        self.holds(self.WBC, "", "6.42")
        self.holds(getattr(self, "RDW-SD"), "", "42.7")

    def test_detection_limit(self):
        self.sample("SIM-2001", "ALB", "BILI", manual_limits=True)
        importer.INSTRUMENTS["*"]["keywords"] = {"413": "ALB", "690": "BILI"}
        (message,) = captured("roche_cobas_c111.astm")
        self.assertEqual(importer.import_envelope(message).refused, [])
        self.holds(self.ALB, "", "38.6")
        self.holds(self.BILI, "<", "4.2")
        self.assertIn("Flags of the instrument: A", self.BILI.remarks)

    def test_two_orders_go_to_two_samples(self):
        first, second = captured("two_orders.astm")
        one = fakes.Analysis(fakes.Sample("SIM-4001"), "GLU")
        two = fakes.Analysis(fakes.Sample("SIM-4002"), "GLU")
        self.assertEqual(importer.import_envelope(first).refused, [])
        self.holds(one, "", "5.4")
        self.holds(two, "", "", "unassigned")
        self.assertIn("decimal_comma",
                      importer.import_envelope(second).refused[0])
        importer.INSTRUMENTS["*"]["decimal_comma"] = True
        self.assertEqual(importer.import_envelope(second).refused, [])
        self.holds(two, "", "11.2")


class Samples(Case):
    def test_unknown_is_refused(self):
        self.sample("B-10", "GLU")
        for sample_id in ("B-1", "B-100", "b-10", "", None, "  "):
            self.refused("there is no sample", sample_id, ("GLU", "5"))
        self.holds(self.GLU, "", "", "unassigned")

    def test_exact_goes_before_trimmed(self):
        padded = fakes.Analysis(fakes.Sample(" B-1"), "GLU")
        trimmed = fakes.Analysis(fakes.Sample("B-1"), "GLU")
        self.taken(" B-1", ("GLU", "5"))
        self.holds(padded, "", "5")
        self.holds(trimmed, "", "", "unassigned")
        self.taken("  B-1  ", ("GLU", "6"))
        self.holds(trimmed, "", "6")

    def test_two_of_one_id_are_refused(self):
        self.sample("B-1", "GLU"), self.sample("B-1", "GLU")
        self.refused("there is no sample", "B-1", ("GLU", "5"))

    def test_partition_is_another_sample(self):
        partition = self.sample("B-1-P1", "GLU")
        self.sample("B-1").partitions.append(partition)
        self.refused("none of these", "B-1", ("GLU", "5"))
        self.taken("B-1-P1", ("GLU", "5"))

    def test_not_received_yet(self):
        self.sample("B-1", "GLU", state="registered")
        self.refused("not received", "B-1", ("GLU", "5"))
        self.GLU.state = "unassigned"
        self.taken("B-1", ("GLU", "5"))

    def test_nothing_of_it_was_ordered(self):
        self.sample("B-1", "GLU")
        self.refused("none of these", "B-1", ("NA", "140"), ("K", "4"))

    def test_what_was_not_ordered_is_left_out(self):
        self.sample("B-1", "GLU")
        said = self.taken("B-1", ("NA", "140"), ("GLU", "5"))
        self.assertIn("test NA: no analysis NA on this sample", said)
        self.holds(self.GLU, "", "5")


class Values(Case):
    def try_value(self, value, **attributes):
        del fakes.WORLD[:]
        self.sample("B-1", "GLU", **attributes)
        return self.send("B-1", ("GLU", value))

    def test_numbers_keep_their_text(self):
        for value in ("5", "5.40", "-0.3", "+2", "1e3", "007", "0"):
            self.assertEqual(self.try_value(value).refused, [])
            self.holds(self.GLU, "", value)

    def test_limits(self):
        for value, goal in (("<0.5", ("<", "0.5")), ("> 700", (">", "700"))):
            report = self.try_value(value, manual_limits=True)
            self.assertEqual(report.refused, [])
            self.holds(self.GLU, *goal)

    def test_structured_numbers(self):
        for value, goal in (("<^0.5", ("<", "0.5")), ("^5.4", ("", "5.4")),
                            ("=^7", ("", "7"))):
            report = self.try_value(value, manual_limits=True)
            self.assertEqual(report.refused, [])
            self.holds(self.GLU, *goal)
        report = self.try_value("1^-^2", manual_limits=True)
        self.assertEqual(len(report.refused), 1)

    def test_limit_that_senaite_would_change(self):
        for selector in (False, True):
            report = self.try_value("<0.5", limit_selector=selector)
            self.assertIn("allow manual", report.refused[0])
            self.holds(self.GLU, "", "", "unassigned")

    def test_an_operand_does_not_stay(self):
        self.sample("B-1", "GLU", manual_limits=True, limit_selector=True)
        self.taken("B-1", {"test": "GLU", "value": "<1", "status": "P"})
        self.holds(self.GLU, "<", "1", "unassigned")
        self.taken("B-1", ("GLU", "3"), id="m2")
        self.holds(self.GLU, "", "3")

    def test_text_in_a_number(self):
        for value in ("POS", "1,2", "<=5", ">=5", "5 mg", "nan", "inf",
                      "+++++", "-----", "1.2.3", "1 000", "<"):
            report = self.try_value(value, manual_limits=True)
            self.assertEqual(len(report.refused), 1, value)
            self.holds(self.GLU, "", "", "unassigned")

    def test_decimal_comma(self):
        self.sample("B-1", "GLU", manual_limits=True)
        importer.INSTRUMENTS["sim"] = {"decimal_comma": True}
        self.taken("B-1", {"test": "GLU", "value": "1,2", "status": "P"})
        self.holds(self.GLU, "", "1.2", "unassigned")
        self.taken("B-1", ("GLU", "<0,5"), id="m2")
        self.holds(self.GLU, "<", "0.5")

    def test_string_keeps_everything(self):
        for value in (u"POS", u"<0.5", u"1,2", u"\xb5g/l: n\xe9g."):
            report = self.try_value(value, result_type="string")
            self.assertEqual(report.refused, [])
            self.holds(self.GLU, "", importer.native(value))

    OPTIONS = [{"ResultValue": "0", "ResultText": "Negative"},
               {"ResultValue": "1", "ResultText": "Positive"}]

    def test_options(self):
        for value, goal in (("Positive", "1"), ("POSITIVE", "1"), ("0", "0")):
            report = self.try_value(
                value, options=self.OPTIONS, result_type="select")
            self.assertEqual(report.refused, [])
            self.holds(self.GLU, "", goal)
        report = self.try_value(
            "Positive", options=self.OPTIONS, result_type="multiselect")
        self.holds(self.GLU, "", '["1"]')
        report = self.try_value("POS", options=self.OPTIONS)
        self.assertIn("no option", report.refused[0])
        self.holds(self.GLU, "", "", "unassigned")

    def test_what_senaite_changes_is_taken_back(self):
        self.sample("B-1", "GLU", "NA")
        self.GLU.setResult = lambda value: setattr(
            self.GLU, "result", "something else")
        self.refused("made another value", "B-1", ("GLU", "5"), ("NA", "140"))
        self.holds(self.GLU, "", "", "unassigned")
        self.holds(self.NA, "", "140")

    def test_no_result(self):
        self.sample("B-1", "GLU")
        for status, value in (("X", "5"), ("F", ""), ("F", "  "), ("I", "1")):
            said = self.taken(
                "B-1", {"test": "GLU", "value": value, "status": status})
            self.assertIn("gives no result", said)
        self.holds(self.GLU, "", "", "unassigned")

    def test_units(self):
        self.sample("B-1", "GLU", unit="mmol/L")
        other = {"test": "GLU", "value": "90", "units": "mg/dL"}
        self.refused("unit is mg/dL", "B-1", other)
        self.holds(self.GLU, "", "", "unassigned")
        self.GLU.unit_choices = ["mmol/L", "mg/dL"]
        # A result that is not set leaves the unit alone, too.
        self.refused("not a number", "B-1", dict(other, value="POS"))
        self.assertEqual(self.GLU.unit, "mmol/L")
        self.taken("B-1", other)
        self.assertEqual(self.GLU.unit, "mg/dL")
        self.holds(self.GLU, "", "90")

    def test_same_number_in_another_unit(self):
        self.sample("B-1", "GLU", unit="mmol/L", state="verified",
                    result="5", unit_choices=["mmol/L", "mg/dL"])
        self.refused("submitted with another", "B-1",
                     {"test": "GLU", "value": "5", "units": "mg/dL"})
        self.assertEqual(self.GLU.unit, "mmol/L")

    def test_unit_spelt_differently(self):
        self.sample("B-1", "WBC", unit=importer.native(u"10\xb3/\xb5L"))
        result = {"test": "WBC", "value": "6", "units": "10*3/uL"}
        importer.INSTRUMENTS["sim"] = {
            "units": {"10*3/uL": importer.native(u"10\xb3/\xb5L")}}
        self.taken("B-1", result)
        self.holds(self.WBC, "", "6")


class Interims(Case):
    def setUp(self):
        Case.setUp(self)
        self.sample("B-1", "GLU", interims={"raw": "", "factor": "2"},
                    calculation=lambda i: i["raw"] and
                    float(i["raw"]) * float(i["factor"]) or None)

    def test_calculated_analysis_is_left_to_senaite(self):
        report = self.send("B-1", ("GLU", "9"))
        self.assertIn("SENAITE calculates analysis GLU", report.lines[0])
        self.holds(self.GLU, "", "", "unassigned")

    def test_into_an_interim_field(self):
        importer.INSTRUMENTS["sim"] = {"keywords": {"R": "GLU:raw"}}
        self.taken("B-1", ("R", "21"))
        self.assertEqual(self.GLU.interims, {"raw": "21", "factor": "2"})
        self.holds(self.GLU, "", "42.0")

    def test_field_that_is_not_there(self):
        importer.INSTRUMENTS["sim"] = {"keywords": {"R": "GLU:row"}}
        self.refused("no interim field row", "B-1", ("R", "21"))


class Mapping(Case):
    def test_instrument_wins_over_all(self):
        self.sample("B-1", "GLU", "GLU2")
        importer.INSTRUMENTS = {"*": {"keywords": {"G": "GLU", "X": None}},
                                "sim": {"keywords": {"G": "GLU2"}}}
        said = self.taken("B-1", ("G", "5"), ("X", "1"))
        self.holds(self.GLU2, "", "5")
        self.holds(self.GLU, "", "", "unassigned")
        self.assertIn("test X: not wanted", said)

    def test_only_unwanted_tests_are_fine(self):
        self.sample("B-1", "GLU")
        importer.INSTRUMENTS = {"sim": {"keywords": {"X": None}}}
        self.taken("B-1", ("X", "1"))

    def test_two_that_wait(self):
        self.sample("B-1", "GLU", "GLU")
        self.refused("2 analyses GLU await", "B-1", ("GLU", "5"))


class Twice(Case):
    def test_same_message_changes_nothing(self):
        sample = self.sample("B-1", "GLU")
        self.taken("B-1", ("GLU", "5"))
        before = dict(self.GLU.__dict__)
        for own in ({}, {"id": "m2", "duplicate_of": "m1"}):
            self.assertIn("imported before",
                          self.taken("B-1", ("GLU", "5"), **own))
        self.assertEqual(self.GLU.__dict__, before)
        # Nor does it fill the retest that somebody asked for since.
        self.GLU.state = "retracted"
        retest = fakes.Analysis(sample, "GLU")
        self.taken("B-1", ("GLU", "5"))
        self.holds(retest, "", "", "unassigned")
        # A new measurement does.
        self.taken("B-1", ("GLU", "6"), id="m3")
        self.holds(retest, "", "6")

    def test_duplicate_of_what_never_came(self):
        self.sample("B-1", "GLU")
        self.taken("B-1", ("GLU", "5"), id="m2", duplicate_of="m1")
        self.holds(self.GLU, "", "5")

    def test_the_rest_comes_later(self):
        self.sample("B-1", "GLU", "NA")
        self.NA.unit = "mmol/L"
        results = (("GLU", "5"),
                   {"test": "NA", "value": "140", "units": "mM"})
        self.refused("unit is mM", "B-1", *results)
        self.holds(self.GLU, "", "5")
        importer.INSTRUMENTS["*"]["units"] = {"mM": "mmol/L"}
        said = self.taken("B-1", *results)
        self.assertIn("test GLU: was imported before", said)
        self.holds(self.NA, "", "140")


class Submitted(Case):
    def test_is_never_overwritten(self):
        for state in ("to_be_verified", "verified", "published"):
            del fakes.WORLD[:]
            self.sample("B-1", "GLU", state=state, result="5")
            self.refused("submitted with another", "B-1", ("GLU", "6"))
            self.holds(self.GLU, "", "5", state)
            self.assertIn("same result", self.taken("B-1", ("GLU", "5")))

    def test_no_longer_wanted(self):
        for state in ("cancelled", "rejected", "retracted"):
            del fakes.WORLD[:]
            self.sample("B-1", "GLU", "NA")
            self.GLU.state = state
            self.assertIn("no longer wanted",
                          self.taken("B-1", ("GLU", "6"), ("NA", "1")))

    def test_entered_by_hand(self):
        self.sample("B-1", "GLU", result="5")
        self.refused("somebody entered", "B-1", ("GLU", "6"))
        self.holds(self.GLU, "", "5", "unassigned")

    def test_default_result_gives_way(self):
        self.sample("B-1", "GLU", result="0", default="0")
        self.taken("B-1", ("GLU", "6"))
        self.holds(self.GLU, "", "6")

    def test_preliminary_waits_for_the_final(self):
        self.sample("B-1", "GLU")
        for protocol, status in (("astm", "P"), ("hl7", "R"), ("hl7", "S")):
            self.taken("B-1", {"test": "GLU", "value": "5",
                               "status": status}, protocol=protocol,
                       id=protocol + status)
            self.holds(self.GLU, "", "5", "unassigned")
        self.taken("B-1", ("GLU", "6"), id="final")
        self.holds(self.GLU, "", "6")

    def test_submitting_can_be_left_to_people(self):
        self.sample("B-1", "GLU")
        importer.SUBMIT = False
        self.taken("B-1", ("GLU", "6"))
        self.holds(self.GLU, "", "6", "unassigned")

    def test_what_depends_on_it(self):
        self.sample("B-1", "GLU", "SUM")
        self.SUM.calculation = lambda _: float(self.GLU.result) + 1
        self.GLU.dependents = [self.SUM]
        self.taken("B-1", ("GLU", "6"))
        self.holds(self.SUM, "", "7.0")


class Kinds(Case):
    def test_held_back_from_patients(self):
        self.sample("B-1", "GLU")
        for kind in ("test", "calibration", "image", "qc"):
            for own in ({"kind": kind}, {}):
                result = {"test": "GLU", "value": "5", "kind": kind}
                self.assertIn("held back", self.taken("B-1", result, **own))
        self.holds(self.GLU, "", "", "unassigned")

    def test_test_message_with_results(self):
        self.sample("B-1", "GLU")
        self.taken("B-1", ("GLU", "5"), kind="test")
        self.holds(self.GLU, "", "", "unassigned")
        importer.TAKE_TESTS = True
        self.taken("B-1", ("GLU", "5"), kind="test")
        self.holds(self.GLU, "", "5")

    def test_unknown_kind(self):
        self.sample("B-1", "GLU")
        self.refused("kind new is not known", "B-1",
                     {"test": "GLU", "value": "5", "kind": "new"})
        self.holds(self.GLU, "", "", "unassigned")

    def test_control(self):
        control = fakes.ReferenceSample("QC-1")
        first = fakes.Analysis(control, "GLU", state="assigned")
        run = {"test": "GLU", "value": "5.1", "kind": "qc"}
        self.taken("QC-1", run, kind="qc")
        self.holds(first, "", "5.1")
        second = fakes.Analysis(control, "GLU", state="assigned")
        self.assertIn("imported before", self.taken("QC-1", run, kind="qc"))
        self.holds(second, "", "", "assigned")
        # The same bytes again are a second run of the control.
        self.taken("QC-1", run, kind="qc", id="m2", duplicate_of="m1")
        self.holds(second, "", "5.1")
        self.assertIn("0 reference analyses await",
                      self.taken("QC-1", run, kind="qc", id="m3"))

    def test_control_that_is_not_plain(self):
        control = fakes.ReferenceSample("QC-1")
        run = {"test": "GLU", "value": "5.1", "kind": "qc"}
        entered = fakes.Analysis(control, "GLU", state="assigned", result="4")
        self.assertIn("0 reference analyses await",
                      self.taken("QC-1", run, kind="qc"))
        self.holds(entered, "", "4", "assigned")
        for _ in range(2):
            fakes.Analysis(control, "GLU", state="assigned")
        self.assertIn("2 reference analyses await",
                      self.taken("QC-1", run, kind="qc"))

    def test_patient_s_result_never_goes_to_a_control(self):
        control = fakes.ReferenceSample("QC-1")
        waiting = fakes.Analysis(control, "GLU", state="assigned")
        self.refused("there is no sample", "QC-1", ("GLU", "5"))
        self.holds(waiting, "", "", "assigned")


class Details(Case):
    def test_instrument_log_and_remarks(self):
        self.sample("B-1", "GLU", remarks="seen")
        instrument = fakes.Instrument("i1", "Sysmex")
        self.GLU.allowed_instruments = [instrument]
        importer.INSTRUMENTS["sim"] = {"title": "Sysmex"}
        self.taken("B-1", {
            "test": "GLU", "value": "5", "flags": "HH",
            "comments": [u"h\xe4molytic", ""],
            "observed_at": "2025-03-11T11:58:30+01:00"})
        self.assertEqual(self.GLU.remarks, importer.native(
            u"seen\nFlags of the instrument: HH\nh\xe4molytic"))
        self.assertIs(self.GLU.instrument, instrument)
        self.assertEqual(self.GLU.captured.text, "2025-03-11T11:58:30+01:00")
        self.assertEqual(instrument.logs[0].results,
                         "sample B-1, test GLU: set and submitted")

    def test_remarks_are_not_repeated(self):
        self.sample("B-1", "GLU")
        for value in ("5", "6"):
            self.taken("B-1", {"test": "GLU", "value": value, "status": "P",
                               "comments": ["lipaemic"]}, id=value)
        self.assertEqual(self.GLU.remarks, "lipaemic")
        for flags in ("HH", "H"):
            self.taken("B-1", {"test": "GLU", "value": "7%d" % len(flags),
                               "status": "P", "flags": flags}, id=flags)
        self.assertEqual(self.GLU.remarks.splitlines()[1:],
                         ["Flags of the instrument: HH",
                          "Flags of the instrument: H"])

    def test_times(self):
        for sent, kept in (
                ("20250311115830", "2025/03/11 11:58:30"),
                ("202503111158", "2025/03/11 11:58:00"),
                ("20250311115830.25+0100", "2025/03/11 11:58:30 GMT+0100"),
                ("2025-03-11T11:58:30Z", "2025-03-11T11:58:30Z"),
                ("21990311115830", None), ("20250311", None), ("T", None),
                ("yesterday", None), ("", None)):
            when = importer.moment(sent)
            self.assertEqual(when and when.text, kept, sent)

    def test_logs_tell_nothing_of_a_patient(self):
        self.sample("B-1", "GLU", "NA", "K", "TXT")
        self.TXT.result_type = "string"
        message = envelope(
            "B-1", ("GLU", "CANARY"), ("NA", "4711"), ("TXT", "CANARY"),
            {"test": "K", "value": "4,711", "comments": ["CANARY"]},
            {"test": "X", "value": "CANARY", "kind": "new"})
        message["P"] = [{"name": "CANARY"}]
        instrument = fakes.Instrument("i1", "sim")
        importer.import_envelope(message)
        said = "\n".join(fakes.LOG.lines + [instrument.logs[0].results])
        self.assertIn("test NA: set", said)
        for secret in ("CANARY", "4711", "4,711"):
            self.assertNotIn(secret, said)


if __name__ == "__main__":
    unittest.main()
