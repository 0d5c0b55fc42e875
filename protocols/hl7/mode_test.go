package hl7

import (
	"fmt"
	"strings"
	"testing"
)

// TestAnswers walks everything that can rule an acknowledgement: MSH-15 and
// MSH-16 with each value of table HL70155, absent, empty, null and unknown; each
// outcome; each mode. What is wanted is written down as the package doc says it,
// not as the code finds it.
func TestAnswers(t *testing.T) {
	values := []string{"absent", "", `""`, "AL", "NE", "ER", "SU", "0", " al "}
	asks := map[string]string{"AL": "AL", "NE": "NE", "ER": "ER", "SU": "SU", " al ": "AL"}
	codes := map[Outcome][2]string{Stored: {"CA", "AA"}, Failed: {"CE", "AE"}, Rejected: {"CR", "AR"}}
	// sent tells for a condition whether there is an answer, by outcome.
	sent := map[string]map[Outcome]bool{
		"AL": {Stored: true, Failed: true, Rejected: true},
		"NE": {},
		"ER": {Failed: true, Rejected: true},
		"SU": {Stored: true},
	}
	empty := map[string]bool{"absent": true, "": true, `""`: true}
	// means is what a field says once the mode is enhanced.
	means := func(value string) string {
		switch {
		case empty[value]:
			return "NE"
		case asks[value] == "":
			return "AL"
		}
		return asks[value]
	}
	walked := 0
	for _, accept := range values {
		for _, application := range values {
			if accept == "absent" && application != "absent" {
				continue // a later field makes the earlier one empty
			}
			message := "MSH|^~\\&|Lab||||||ORU^R01|1|P|2.5.1||"
			if accept != "absent" {
				message += "|" + accept
			}
			if application != "absent" {
				message += "|" + application
			}
			m, err := ParseHeader([]byte(message + "\rPID|1\r"))
			if err != nil {
				t.Fatal(err)
			}
			for outcome, code := range codes {
				for _, mode := range []Mode{Auto, Original, Enhanced} {
					walked++
					var want Answers
					says := asks[accept] != "" || asks[application] != ""
					switch {
					case mode == Original || mode == Auto && !says:
						want.Application = code[1]
					case !says:
						want = Answers{Accept: code[0], Enhanced: true}
					default:
						want.Enhanced = true
						if sent[means(accept)][outcome] {
							want.Accept = code[0]
						}
						if sent[means(application)][outcome] {
							want.Application = code[1]
						}
					}
					if got := mode.Answers(m, outcome); got != want {
						t.Errorf("mode %d, MSH-15 %q, MSH-16 %q, outcome %d: %+v, want %+v", mode, accept, application, outcome, got, want)
					}
				}
			}
		}
	}
	if want := (1 + 8*9) * 3 * 3; walked != want {
		t.Errorf("walked %d cases, want %d", walked, want)
	}
}

// The cases that people ask for, written out.
func TestAnswersByName(t *testing.T) {
	for _, tt := range []struct {
		name, fields string
		mode         Mode
		outcome      Outcome
		want         string
	}{
		{"original mode", "||", Auto, Stored, "/AA"},
		{"IHE LAW", "|NE|AL", Auto, Stored, "/AA"},
		{"IHE LAW, store failed", "|NE|AL", Auto, Failed, "/AE"},
		{"IHE LAW, rejected", "|NE|AL", Auto, Rejected, "/AR"},
		{"both", "|AL|AL", Auto, Stored, "CA/AA"},
		{"both, store failed", "|AL|AL", Auto, Failed, "CE/AE"},
		{"BA200, stored", "|ER|AL", Auto, Stored, "/AA"},
		{"BA200, rejected", "|ER|AL", Auto, Rejected, "CR/AR"},
		{"commit only", "|AL|", Auto, Stored, "CA/"},
		{"nothing", "|NE|NE", Auto, Failed, "/"},
		{"nothing, but the line says original", "|NE|NE", Original, Failed, "/AE"},
		{"nothing, and the line says enhanced", "|NE|NE", Enhanced, Failed, "/"},
		{"empty, and the line says enhanced", "||", Enhanced, Stored, "CA/"},
		{"the kind of result, as Mindray has it", "||0", Auto, Stored, "/AA"},
		{"an unknown value beside a known one", "|AL|0", Auto, Stored, "CA/AA"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m, err := ParseHeader([]byte("MSH|^~\\&|Lab||||||ORU^R01|1|P|2.5.1||" + tt.fields + "\r"))
			if err != nil {
				t.Fatal(err)
			}
			a := tt.mode.Answers(m, tt.outcome)
			if got := a.Accept + "/" + a.Application; got != tt.want || a.None() != (tt.want == "/") {
				t.Errorf("%q, none %v; want %q", got, a.None(), tt.want)
			}
		})
	}
}

func TestAckEnhanced(t *testing.T) {
	const head = "MSH|^~\\&|cobas|Lab|Host|H|20240831||%s|a7|P|2.5.1|||%s||UNICODE UTF-8|||LAB-29^IHE\r"
	for _, tt := range []struct {
		name, kind, ask string
		a               Acknowledgment
		want            string
	}{
		{
			"accept", "OUL^R22^OUL_R22", "AL|AL",
			Acknowledgment{Code: Commit},
			"MSH|^~\\&|Host|H|cobas|Lab|T||ACK^R22^ACK|1|P|2.5.1|||NE|NE||UNICODE UTF-8|||LAB-29^IHE\rMSA|CA|a7\r",
		},
		{
			"application", "OUL^R22^OUL_R22", "NE|AL",
			Acknowledgment{Code: Accept, Enhanced: true},
			"MSH|^~\\&|Host|H|cobas|Lab|T||ACK^R22^ACK|1|P|2.5.1|||NE|NE||UNICODE UTF-8|||LAB-29^IHE\rMSA|AA|a7\r",
		},
		{
			"original though it asks", "OUL^R22^OUL_R22", "NE|AL",
			Acknowledgment{Code: Accept},
			"MSH|^~\\&|Host|H|cobas|Lab|T||ACK^R22^ACK|1|P|2.5.1||||||UNICODE UTF-8\rMSA|AA|a7\r",
		},
		{
			"commit error", "OUL^R22", "AL|",
			Acknowledgment{Code: CommitError, Err: &ErrorDetail{Code: CodeInternal}},
			"MSH|^~\\&|Host|H|cobas|Lab|T||ACK^R22^ACK|1|P|2.5.1|||NE|NE||UNICODE UTF-8|||LAB-29^IHE\rMSA|CE|a7\rERR|||207^Application internal error^HL70357|E\r",
		},
		{
			"orders get the general acknowledgement first", "OML^O33^OML_O33", "AL|AL",
			Acknowledgment{Code: Commit},
			"MSH|^~\\&|Host|H|cobas|Lab|T||ACK^O33^ACK|1|P|2.5.1|||NE|NE||UNICODE UTF-8|||LAB-29^IHE\rMSA|CA|a7\r",
		},
		{
			"and then their own", "OML^O33^OML_O33", "AL|AL",
			Acknowledgment{Code: Accept, Enhanced: true},
			"MSH|^~\\&|Host|H|cobas|Lab|T||ORL^O34^ORL_O34|1|P|2.5.1|||NE|NE||UNICODE UTF-8|||LAB-29^IHE\rMSA|AA|a7\rSPM|1|s1\rORC|OK|p1\r",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.a.ControlID, tt.a.Time = "1", "T"
			request := fmt.Sprintf(head, tt.kind, tt.ask)
			if strings.HasPrefix(tt.kind, "OML") {
				request += "SPM|1|s1\rORC|NW|p1\r"
			}
			if got := string(Ack([]byte(request), tt.a)); got != tt.want {
				t.Errorf("\n got %q\nwant %q", got, tt.want)
			}
		})
	}
}

// What an answer takes from the request, field by field, where requests are odd.
func TestAckOfOddHeaders(t *testing.T) {
	reject := Acknowledgment{Code: Reject, ControlID: "1", Time: "T", Err: &ErrorDetail{Location: "MSH^1^9^1^1", Code: CodeUnsupportedType, Text: "why"}}
	for _, tt := range []struct{ name, request, want string }{
		{
			"no version", "MSH|^~\\&|A|B|C|D|||ADT^A01|9|P\r",
			"MSH|^~\\&|C|D|A|B|T||ACK^A01^ACK|1|P\rMSA|AR|9\rERR|MSH^1^9^200&Unsupported message type&HL70357\r",
		},
		{
			"no processing id", "MSH|^~\\&|A|B|C|D|||ADT^A01|9||2.5.1\r",
			"MSH|^~\\&|C|D|A|B|T||ACK^A01^ACK|1||2.5.1\rMSA|AR|9\rERR||MSH^1^9^1^1|200^Unsupported message type^HL70357|E||||why\r",
		},
		{
			"no control id", "MSH|^~\\&|A|B|C|D|||ADT^A01||P|2.3\r",
			"MSH|^~\\&|C|D|A|B|T||ACK^A01|1|P|2.3\rMSA|AR|\rERR|MSH^1^9^200&Unsupported message type&HL70357\r",
		},
		{
			"version 2.3.1 below 2.5", "MSH|^~\\&|A|B|C|D|||ADT^A01|9|T|2.3.1||||||ASCII\r",
			"MSH|^~\\&|C|D|A|B|T||ACK^A01^ACK|1|T|2.3.1||||||ASCII\rMSA|AR|9\rERR|MSH^1^9^200&Unsupported message type&HL70357\r",
		},
		{
			"version 2.4 with components", "MSH|^~\\&|A|B|C|D|||ADT^A01|9|T^I|2.4^DEU&Germany\r",
			"MSH|^~\\&|C|D|A|B|T||ACK^A01^ACK|1|T^I|2.4^DEU&Germany\rMSA|AR|9\rERR|MSH^1^9^200&Unsupported message type&HL70357\r",
		},
		{
			"other delimiters, no subcomponent", "MSH#/~\\#A#B#C#D###ADT/A01#9#P#2.4\r",
			"MSH#/~\\#C#D#A#B#T##ACK/A01/ACK#1#P#2.4\rMSA#AR#9\rERR#MSH/1/9/200\r",
		},
		{
			"other delimiters, 2.5.1", "MSH#/~\\&#A#B#C#D###ADT/A01#9#P#2.5.1\r",
			"MSH#/~\\&#C#D#A#B#T##ACK/A01/ACK#1#P#2.5.1\rMSA#AR#9\rERR##MSH/1/9/1/1#200/Unsupported message type/HL70357#E####why\r",
		},
		{
			"GBK, half a character is a field separator", "MSH|^~\\&|\xBC\xEC\x84|\x84^|B|C|D|||ADT^A01|9|P|2.3||||||GBK\r",
			"MSH|^~\\&|C|D|\xBC\xEC\x84|\x84^|B|T||ACK^A01|1|P|2.3||||||GBK\rMSA|AR|9\rERR|MSH^1^9^200&Unsupported message type&HL70357\r",
		},
		{
			"Big5", "MSH|^~\\&|\xA6|\xB1||B|C|D|||ADT^A01|9|P|2.3||||||BIG-5~\r",
			"MSH|^~\\&|C|D|\xA6|\xB1||B|T||ACK^A01|1|P|2.3||||||BIG-5~\rMSA|AR|9\rERR|MSH^1^9^200&Unsupported message type&HL70357\r",
		},
		{
			"Shift JIS", "MSH|^~\\&|\x83|\xB1|B|C|D|||ADT^A01|9|P|2.3||||||~Shift-JIS\r",
			"MSH|^~\\&|C|D|\x83|\xB1|B|T||ACK^A01|1|P|2.3||||||~Shift-JIS\rMSA|AR|9\rERR|MSH^1^9^200&Unsupported message type&HL70357\r",
		},
		{
			"says GBK and is UTF-8", "MSH|^~\\&|检验|B|C|D|||ADT^A01|9|P|2.3||||||GBK\r",
			"MSH|^~\\&|C|D|检验|B|T||ACK^A01|1|P|2.3||||||GBK\rMSA|AR|9\rERR|MSH^1^9^200&Unsupported message type&HL70357\r",
		},
		{
			"says GBK twice and is UTF-8", "MSH|^~\\&|检验|B|C|D|||ADT^A01|9|P|2.3||||||GBK|GBK\r",
			"MSH|^~\\&|C|D|检验|B|T||ACK^A01|1|P|2.3||||||GBK\rMSA|AR|9\rERR|MSH^1^9^200&Unsupported message type&HL70357\r",
		},
		{
			"latin-1 before a separator", "MSH|^~\\&|Labor M\xFC|B|C|D|||ADT^A01|9|P|2.3||||||8859/1\r",
			"MSH|^~\\&|C|D|Labor M\xFC|B|T||ACK^A01|1|P|2.3||||||8859/1\rMSA|AR|9\rERR|MSH^1^9^200&Unsupported message type&HL70357\r",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := string(Ack([]byte(tt.request), reject)); got != tt.want {
				t.Errorf("\n got %q\nwant %q", got, tt.want)
			}
		})
	}
}

// A field is the same, one by one and all together, whatever its characters.
func TestFieldsOfTwoByteCharacters(t *testing.T) {
	m, err := Parse([]byte("MSH|^~\\&|\x84|\x84^|B|C|D|||ADT^A01|9|P|2.3||||||GBK\r"))
	if err != nil {
		t.Fatal(err)
	}
	msh := m.First("MSH")
	fields := msh.Fields()
	if len(fields) != 19 || string(fields[3]) != "\x84|\x84^" || string(fields[18]) != "GBK" {
		t.Errorf("fields %q", fields)
	}
	for n, field := range fields {
		if got := msh.Field(n); string(got) != string(field) {
			t.Errorf("field %d is %q and %q", n, got, field)
		}
	}
}
