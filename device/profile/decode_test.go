package profile

import (
	"strings"
	"testing"
)

// definitionOf is a right definition with lines added to it.
func definitionOf(protocol, lines string) string {
	return "name: mine\nprotocol: " + protocol + "\ntitle: my analyser\n" + lines
}

func TestMistakesInDefinitions(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"no YAML", "name: [", "mine.yaml:1:1: not YAML, here or in the lines just above or below: did not find expected node content"},
		{"empty", "", "mine.yaml:1:1: the file is empty; begin with name:, protocol: and title:"},
		{"a list", "- a", "mine.yaml:1:1: not a mapping; begin with name:, protocol: and title:"},
		{"other name", "name: other\nprotocol: astm\ntitle: x\n", "mine.yaml:1:7: name: other is in a file called mine.yaml; a profile NAME is in NAME.yaml"},
		{"nothing needed", "version: 1.0\n", "mine.yaml:1:1: name: is missing"},
		{"unknown protocol", "name: mine\nprotocol: poct\ntitle: x\n", "mine.yaml:2:11: protocol: poct is not one of astm, hl7, vendor"},
		{"unknown key", definitionOf("astm", "tittle: x\n"), "mine.yaml:4:1: profile: unknown key tittle; allowed are name, protocol"},
		{"key twice", definitionOf("astm", "title: x\n"), "mine.yaml:4:1: profile: title stands there twice, first in line 3; remove one"},
		{"no value", definitionOf("astm", "version:\n"), `mine.yaml:4:9: version: has no value; write "" for an empty text`},
		{"match without place", definitionOf("astm", "match: {sender: x}\n"), `mine.yaml:4:9: match: "sender" is no place in a message: write R.3 or R.3.4`},
		{"bad expression", definitionOf("astm", "match: {H.5: '(?<=x)y'}\n"), "mine.yaml:4:14: match.H.5: error parsing regexp: invalid named capture: `(?<=x)y`; the syntax is that of RE2"},
		{"unknown quirk", definitionOf("astm", "quirks: {parity: none}\n"), "mine.yaml:4:10: quirks: unknown key parity; allowed are checksum, frame_numbers, end, query, frame_size, receiver_timeout, reply_timeout, ack"},
		{"unknown quirk value", definitionOf("astm", "quirks: {end: maybe}\n"), "mine.yaml:4:15: quirks.end: maybe is not one of record, eot"},
		{"unknown answer to queries", definitionOf("astm", "quirks:\n  query: nothing\n"), "mine.yaml:5:10: quirks.query: nothing is not one of no_information, no_order, none"},
		{"a frame size in words", definitionOf("astm", "quirks: {frame_size: large}\n"), "mine.yaml:4:22: quirks.frame_size: large is no whole number such as 240"},
		{"a frame that nobody takes", definitionOf("astm", "quirks: {frame_size: 64000}\n"), "mine.yaml:4:22: quirks.frame_size: 64000 is not between 1 and 63993; 240 is what every receiver takes"},
		{"a frame of nothing", definitionOf("astm", "quirks: {frame_size: 0}\n"), "mine.yaml:4:22: quirks.frame_size: 0 is not between 1 and 63993"},
		{"a time without unit", definitionOf("astm", "quirks: {receiver_timeout: 30}\n"), "mine.yaml:4:28: quirks.receiver_timeout: 30 is no duration such as 15s"},
		{"a time too long", definitionOf("astm", "quirks: {reply_timeout: 1h}\n"), "mine.yaml:4:25: quirks.reply_timeout: 1h0m0s is not between 1s and 10m0s"},
		{"a quirk without value", definitionOf("astm", "quirks: {query: }\n"), `mine.yaml:4:17: quirks.query: has no value; write "" for an empty text`},
		{"unknown character set", definitionOf("astm", "charset: klingon\n"), `mine.yaml:4:10: charset: character set "klingon" is not known; try latin-1, cp1252, utf-8 or gbk`},
		{"unknown acknowledgement", definitionOf("hl7", "quirks: {ack: never}\n"), "mine.yaml:4:15: quirks.ack: never is not one of auto, original, enhanced"},
		{"acknowledgement of ASTM", definitionOf("astm", "quirks: {ack: original}\n"), "mine.yaml:4:15: quirks.ack: only HL7 messages are acknowledged so; remove it"},
		{"unknown record", definitionOf("astm", "records:\n  X:\n    3: name\n"), `mine.yaml:5:3: "X" is no record of these: H, P, O, R, C, M, L, Q`},
		{"unknown segment", definitionOf("hl7", "records:\n  R:\n    3: name\n"), `mine.yaml:5:3: "R" is no segment; they have names of three characters such as OBX`},
		{"field 0", definitionOf("astm", "records:\n  R:\n    0: name\n"), "mine.yaml:6:5: records.R: 0 is no number from 1 to 500; fields and components are counted from 1"},
		{"unknown type", definitionOf("astm", "records:\n  R:\n    4: {name: value, type: float}\n"), "mine.yaml:6:28: records.R.4.type: float is not one of text, number"},
		{"no name", definitionOf("astm", "records:\n  R:\n    4: {type: number}\n"), "mine.yaml:6:8: records.R.4: a field needs a name"},
		{"odd name", definitionOf("astm", "records:\n  R:\n    4: the value\n"), `mine.yaml:6:8: records.R.4: the name "the value" cannot be used`},
		{"name taken", definitionOf("astm", "records:\n  R:\n    4: status\n"), "mine.yaml:6:5: records.R: two fields are called status"},
		{"component in component", definitionOf("astm", "records:\n  R:\n    3: {name: test, components: [a, {name: b, components: [c]}]}\n"), "mine.yaml:6:37: records.R.3: a component cannot be taken apart further"},
		{"two forms", definitionOf("astm", "records:\n  R:\n    3: {name: test, components: [a], repeats: [b]}\n"), "mine.yaml:6:8: records.R.3: components and repeats say different things; remove one"},
		{"default and constant", definitionOf("astm", "records:\n  R:\n    9: {name: status, default: F, constant: C}\n"), "mine.yaml:6:8: records.R.9: default and constant say different things; remove one"},
		{"now", definitionOf("astm", "records:\n  R:\n    9: {name: status, default: now}\n"), "mine.yaml:6:8: records.R.9: default: now goes with type: time"},
		{"prefer", definitionOf("astm", "records:\n  R:\n    3: {name: test, prefer: [4]}\n"), "mine.yaml:6:8: records.R.3: prefer goes with type: significant"},
		{"replace what is not there", definitionOf("astm", "replace: [Z]\n"), "mine.yaml:4:11: replace: there are no generic names for Z records"},
		{"foreign match", definitionOf("astm", "match: {MSH.3: Lab}\n"), `mine.yaml:4:9: "MSH" is no record of these`},
		{"HL7's own spelling", definitionOf("hl7", "results:\n  units: [OBX-6.1]\n"), `mine.yaml:5:11: results.units: "OBX-6.1" is no place in a message: write OBX.6.1`},
		{"a value elsewhere", definitionOf("hl7", "results:\n  value: [PID.3]\n"), "mine.yaml:5:11: results.value: a value stands in the result itself (R, OBX), not in PID"},
		{"a comment elsewhere", definitionOf("hl7", "results:\n  comment: [ZCM.3]\n"), "mine.yaml:5:13: results.comment: a comment stands in C or NTE, or in the result itself"},
		{"default of another type", definitionOf("astm", "records:\n  R:\n    4: {name: value, type: number, default: x}\n"), `mine.yaml:6:8: records.R.4: the default "x" is not of type number`},
		{"a tab", "name: mine\n\ttitle: x\n", "mine.yaml:2:1: not YAML, here or in the lines just above or below: found a tab character that violates indentation; indent with blanks"},
		{"double quotes", definitionOf("astm", "match: {H.5: \"\\d+\"}\n"), `mine.yaml:4:1: not YAML, here or in the lines just above or below: found unknown escape character; write expressions in single quotes: '\d+'`},
		{"the type's field", definitionOf("astm", "records:\n  R:\n    1: kind\n"), "mine.yaml:6:5: records.R: field 1 is the record's type"},
		{"the number's field", definitionOf("astm", "records:\n  R:\n    2: ~\n"), "mine.yaml:6:5: records.R: field 2 is the record's number"},
		{"a name that is taken", definitionOf("hl7", "records:\n  OBX:\n    3: type\n"), "mine.yaml:6:8: records.OBX.3: the name type is taken"},
		{"replace in HL7", definitionOf("hl7", "replace: [OBX]\n"), "mine.yaml:4:10: replace: is for ASTM records"},
		{"no components", definitionOf("astm", "records:\n  R:\n    3: {name: test, components: []}\n"), "mine.yaml:6:33: records.R.3: an empty list names nothing"},
		{"no test", definitionOf("astm", "results:\n  test: []\n"), "mine.yaml:5:3: results.test: nothing is left to read a result by"},
		{"a match for all", definitionOf("astm", "match: {H.5: 'x*'}\n"), "mine.yaml:4:14: match.H.5: the expression fits the empty text, and so every sender"},
		{"a match for none", definitionOf("astm", "match: {H.5: []}\n"), "mine.yaml:4:14: match.H.5: an empty list fits nothing"},
		{"a kind for none", definitionOf("astm", "kinds:\n  - {kind: qc, field: O.12, is: []}\n"), "mine.yaml:5:5: kinds: an empty list fits nothing"},
		{"two documents", definitionOf("astm", "---\nname: other\n"), "mine.yaml:4:1: something stands behind the profile"},
		{"plot in HL7", definitionOf("hl7", "plot: {record: OBX, kind: value, points: {from: value}, thresholds: {from: value}}\n"), "mine.yaml:4:7: plot: an ASTM record holds a plot"},
		{"unknown part", definitionOf("astm", "results:\n  unit: [R.5]\n"), "mine.yaml:5:3: results: unknown key unit; allowed are sample, test, name, value, units"},
		{"part in no record", definitionOf("astm", "results:\n  units: [OBX.6]\n"), `mine.yaml:5:11: "OBX" is no record of these`},
		{"rule without condition", definitionOf("astm", "kinds:\n  - {kind: qc, field: O.12}\n"), "mine.yaml:5:5: kinds: a rule has kind, field, and one of is and matches"},
		{"unknown kind", definitionOf("astm", "kinds:\n  - {kind: control, field: O.12, is: [Q]}\n"), "mine.yaml:5:12: kind: control is not one of result, qc, calibration, test, image"},
		{"an order as image", definitionOf("astm", "kinds:\n  - {kind: image, field: O.12, is: [Q]}\n"), "mine.yaml:5:5: kinds: only a result is an image; its field is one of R or OBX"},
		{"plot of nothing", definitionOf("astm", "plot: {record: M, kind: kind, points: {from: y}, thresholds: {from: x}}\n"), `mine.yaml:4:7: plot: record M has no field called "kind"`},
		{"names are the generic ones'", definitionOf("astm", "names: {R: [type]}\n"), "mine.yaml:4:1: profile: unknown key names"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			mistakes, err := Check("mine.yaml", []byte(tt.text))
			if err != nil {
				t.Fatal(err)
			}
			if len(mistakes) == 0 || !strings.HasPrefix(mistakes[0].Error(), tt.want) {
				t.Errorf("got  %v\nwant %s", mistakes, tt.want)
			}
		})
	}
}

func TestOneLookShowsAllMistakes(t *testing.T) {
	mistakes, err := Check("mine.yaml", []byte(definitionOf("astm", "version:\nquirks: {end: x}\nrecords:\n  R:\n    x: y\n    4: [a]\n")))
	if err != nil {
		t.Fatal(err)
	}
	var lines []int
	for _, m := range mistakes {
		lines = append(lines, m.Line)
	}
	if want := []int{4, 5, 8, 9}; len(lines) != len(want) || lines[0] != 4 || lines[3] != 9 {
		t.Errorf("mistakes in lines %v, want %v:\n%v", lines, want, mistakes)
	}
}

func TestRightDefinition(t *testing.T) {
	mistakes, err := Check("mine.yaml", []byte(definitionOf("astm", `
version: "1.0.0"
header_rx: '.*Mine\^'
match: {H.5.1: [Mine, MINE], O.4: '^M'}
quirks: {checksum: ignore, frame_numbers: ignore, end: eot, query: no_order, frame_size: 1024, receiver_timeout: 1m, reply_timeout: 20s}
charset: cp1252
replace: [M]
records:
  O: {5: {name: test, repeats: [_, __, ___, code]}}
  R:
    4: {name: value, components: [text, {name: number, type: number}]}
    9: {name: status, constant: F}
  M: {3: {name: curve, type: stream}}
results: {sample: [O.3.1, O.4], name: []}
kinds:
  - {kind: result, field: O.12, is: [Q]}
  - {kind: image, field: R.4, matches: 'png$'}
`)))
	if err != nil || len(mistakes) > 0 {
		t.Errorf("%v %v", err, mistakes)
	}
}

func FuzzCheck(f *testing.F) {
	f.Add([]byte(definitionOf("astm", "records: {R: {4: {name: value, components: [a]}}}\n")))
	f.Add([]byte(definitionOf("hl7", "plot: {}\nkinds: [{}]\nmatch: {? : }\n")))
	f.Add([]byte("&a [*a]"))
	f.Fuzz(func(t *testing.T, text []byte) {
		mistakes, err := Check("mine.yaml", text)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range mistakes {
			if m.Line < 1 || m.Column < 1 || m.Text == "" {
				t.Errorf("a mistake without place or text: %+v", m)
			}
		}
	})
}

// A generic profile is checked with all that are laid over it.
func TestMistakesInGenericDefinitions(t *testing.T) {
	for _, tt := range []struct{ file, text, want string }{
		{"generic_astm.yaml", "name: generic_astm\nprotocol: astm\ntitle: x\n", "generic_astm.yaml:1:1: names: is missing"},
		{"generic_astm.yaml", "name: generic_astm\nprotocol: hl7\ntitle: x\n", "generic_astm.yaml:1:1: protocol: generic_astm is the profile that all of astm are laid over"},
		{"generic_hl7.yaml", "name: generic_hl7\nprotocol: hl7\ntitle: x\nbuckets: {OBX: X}\n", "generic_hl7.yaml:4:16: buckets.OBX: X is not one of H, P, O, R, C, M, L, Q"},
		{"mine.yml", definitionOf("astm", ""), "mine.yml:1:1: profiles are read from files that end in .yaml"},
	} {
		mistakes, err := Check(tt.file, []byte(tt.text))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(mistakes.Error(), tt.want) {
			t.Errorf("got  %v\nwant %s", mistakes, tt.want)
		}
	}
}
