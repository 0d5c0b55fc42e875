# -*- coding: utf-8 -*-
"""The two ways into the importer: their answers, and how ZCML names them."""

import json
import os
import unittest
from xml.etree import ElementTree

from test_assaygate_importer import Case
from test_assaygate_importer import envelope
from test_assaygate_importer import fakes
from test_assaygate_importer import HERE
from test_assaygate_importer import importer


class Push(Case):
    def push(self, *messages, **keys):
        data = {"consumer": "assaygate.import", "messages": [
            m if isinstance(m, str) else json.dumps(m) for m in messages]}
        if len(messages) == 1:
            data["messages"] = data["messages"][0]
        return importer.PushConsumer(data).process(), fakes.PUSHED[:]

    def test_taken(self):
        self.sample("B-1", "GLU")
        self.assertEqual(
            self.push(envelope("B-1", ("GLU", "5"))), (True, []))
        self.holds(self.GLU, "", "5")

    def test_refused(self):
        for message in (envelope("B-1", ("GLU", "5")), "{nonsense", "[]",
                        '"text"', {"H": []}, {"assaygate": {"id": ""}}):
            del fakes.PUSHED[:]
            self.assertEqual(self.push(message), (False, [422]))

    def test_may_not(self):
        self.sample("B-1", "GLU", permitted=False)
        self.assertEqual(
            self.push(envelope("B-1", ("GLU", "5"))), (False, [403]))
        self.holds(self.GLU, "", "", "unassigned")

    def test_several(self):
        self.sample("B-1", "GLU", "NA")
        self.assertEqual(self.push(
            envelope("B-1", ("GLU", "5")),
            envelope("B-1", ("NA", "5"), id="m2")), (True, []))
        self.holds(self.NA, "", "5")

    def test_no_messages(self):
        with self.assertRaises(ValueError):
            importer.PushConsumer({}).process()

    def test_an_error_takes_everything_back(self):
        sample = self.sample("B-1", "GLU", "NA")

        def broken(analysis, result, real=importer.finish):
            if result.test == "NA":
                raise RuntimeError("broken")
            return real(analysis, result)

        importer.finish = broken
        with self.assertRaises(RuntimeError):
            self.push(envelope("B-1", ("GLU", "5"), ("NA", "140")))
        self.holds(self.GLU, "", "", "unassigned")
        self.holds(self.NA, "", "", "unassigned")
        self.assertEqual(sample.annotations, {})

    def test_through_the_stock_consumer(self):
        self.sample("B-1", "GLU")
        message = envelope("B-1", ("GLU", "5"))
        self.assertIsNone(
            importer.Importer(message, "", None).import_data())
        self.holds(self.GLU, "", "5")
        message = envelope("B-2", ("GLU", "5"))
        self.assertIn("there is no sample B-2",
                      importer.Importer(message, "", None).import_data())
        self.assertIn("not a message of Assaygate",
                      importer.Importer({"H": []}, "", None).import_data())


class Zcml(unittest.TestCase):
    def test_names_what_is_there(self):
        tree = ElementTree.parse(os.path.join(HERE, "configure.zcml"))
        adapters = [(a.get("name"), a.get("factory")) for a in tree.iter(
            "{http://namespaces.zope.org/zope}adapter")]
        module = "." + importer.__name__ + "."
        self.assertEqual(adapters, [
            ("assaygate.import", module + importer.PushConsumer.__name__),
            (None, module + importer.Importer.__name__)])
