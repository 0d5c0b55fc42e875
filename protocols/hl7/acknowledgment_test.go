package hl7

import (
	"strings"
	"testing"
)

func TestAck(t *testing.T) {
	const at, id = "20240831164019+0000", "42"
	accept := Acknowledgment{Code: Accept, ControlID: id, Time: at}
	for _, tt := range []struct {
		name, request string
		a             Acknowledgment
		want          string
	}{
		{
			"ORU^R01",
			"MSH|^~\\&|HemoScreen|PixCell|LIS|Lab|20231224174110||ORU^R01|0|P|2.4\rPID||35\r",
			accept,
			"MSH|^~\\&|LIS|Lab|HemoScreen|PixCell|20240831164019+0000||ACK^R01^ACK|42|P|2.4\rMSA|AA|0\r",
		},
		{
			"OUL^R22 with character set",
			"MSH|^~\\&|BA200|Biosystems|Host|Host|20240831||OUL^R22^OUL_R22|a7|P|2.5.1|||ER|AL||UNICODE UTF-8|||LAB-29^IHE\r",
			accept,
			"MSH|^~\\&|Host|Host|BA200|Biosystems|20240831164019+0000||ACK^R22^ACK|42|P|2.5.1||||||UNICODE UTF-8\rMSA|AA|a7\r",
		},
		{
			"other delimiters, odd control id",
			"MSH$%*!@$A$B$$$$$ORU%R01$ a%b*c!d@e $T$2.3.1\r",
			accept,
			"MSH$%*!@$$$A$B$20240831164019+0000$$ACK%R01%ACK$42$T$2.3.1\rMSA$AA$ a%b*c!d@e \r",
		},
		{
			"control id that is no text",
			"MSH|^~\\&|A||||||ORU^R01|\xff\xfe\x01|P|2.4\r",
			accept,
			"MSH|^~\\&|||A||20240831164019+0000||ACK^R01^ACK|42|P|2.4\rMSA|AA|\xff\xfe\x01\r",
		},
		{
			"no control id, no trigger",
			"MSH|^~\\&|A||||||ORU||P|2.4\r",
			accept,
			"MSH|^~\\&|||A||20240831164019+0000||ACK|42|P|2.4\rMSA|AA|\r",
		},
		{
			"text is escaped",
			"MSH|^~\\&|A||||||ORU^R01|9|P|2.4\r",
			Acknowledgment{Code: Error, ControlID: id, Time: at, Text: "disk full | try again\r"},
			"MSH|^~\\&|||A||20240831164019+0000||ACK^R01^ACK|42|P|2.4\rMSA|AE|9|disk full \\F\\ try again\\X0D\\\r",
		},
		{
			"error from 2.5 on",
			"MSH|^~\\&|A||||||ADT^A01^ADT_A01|9|P|2.5^DEU\r",
			Acknowledgment{Code: Reject, ControlID: id, Time: at, Err: &ErrorDetail{Location: "MSH^1^9", Code: CodeUnsupportedType, Text: "only results are taken"}},
			"MSH|^~\\&|||A||20240831164019+0000||ACK^A01^ACK|42|P|2.5^DEU\rMSA|AR|9\rERR||MSH^1^9|200^Unsupported message type^HL70357|E||||only results are taken\r",
		},
		{
			"error below 2.5",
			"MSH|^~\\&|A||||||ADT^A01|9|P|2.3.1\r",
			Acknowledgment{Code: Reject, ControlID: id, Time: at, Err: &ErrorDetail{Location: "MSH^1^9", Code: CodeUnsupportedType, Text: "only results are taken"}},
			"MSH|^~\\&|||A||20240831164019+0000||ACK^A01^ACK|42|P|2.3.1\rMSA|AR|9\rERR|MSH^1^9^200&Unsupported message type&HL70357\r",
		},
		{
			"error below 2.5 without location, other delimiters",
			"MSH$%*!@$A$$$$$$ADT%A01$9$P$2.4\r",
			Acknowledgment{Code: Error, ControlID: id, Time: at, Err: &ErrorDetail{Code: CodeInternal}},
			"MSH$%*!@$$$A$$20240831164019+0000$$ACK%A01%ACK$42$P$2.4\rMSA$AE$9\rERR$%%%207@Application internal error@HL70357\r",
		},
		{
			"error with a code of one's own and a severity",
			"MSH|^~\\&|A||||||ORU^R01|9|P|2.10\r",
			Acknowledgment{Code: Accept, ControlID: id, Time: at, Err: &ErrorDetail{Code: "999", Severity: "W"}},
			"MSH|^~\\&|||A||20240831164019+0000||ACK^R01^ACK|42|P|2.10\rMSA|AA|9\rERR|||999|W\r",
		},
		{
			"no MSH-2",
			"MSH||A\r",
			accept,
			"MSH|^~\\&|||A||20240831164019+0000||ACK|42\rMSA|AA|\r",
		},
		{
			"one character in MSH-2",
			"MSH|^|A||||||ORU^R01|9|P|2.4\r",
			accept,
			"MSH|^|||A||20240831164019+0000||ACK^R01^ACK|42|P|2.4\rMSA|AA|9\r",
		},
		{
			"only MSH and a separator",
			"MSH|",
			accept,
			"MSH|^~\\&|||||20240831164019+0000||ACK|42\rMSA|AA|\r",
		},
		{
			"garbage",
			"\x00\x01GET / HTTP/1.1\r\n",
			Acknowledgment{Code: Reject, ControlID: id, Time: at, Text: "no MSH segment", Err: &ErrorDetail{Code: CodeSequence}},
			"MSH|^~\\&|||||20240831164019+0000||ACK|42|P|2.5.1\rMSA|AR||no MSH segment\rERR|||100^Segment sequence error^HL70357|E\r",
		},
		{
			"2.7 has no MSA-3",
			"MSH|^~\\&|A|B|C|D|||ADT^A01|9|P|2.7\r",
			Acknowledgment{Code: Reject, Text: "no", ControlID: id, Time: at, Err: &ErrorDetail{Code: CodeUnsupportedType, Text: "no"}},
			"MSH|^~\\&|C|D|A|B|20240831164019+0000||ACK^A01^ACK|42|P|2.7\rMSA|AR|9\rERR|||200^Unsupported message type^HL70357|E||||no\r",
		},
		{
			"2.3 has two parts in MSH-9",
			"MSH|^~\\&|A|B|C|D|||ORU^R01|9|P|2.3\r",
			Acknowledgment{Code: Accept, ControlID: id, Time: at},
			"MSH|^~\\&|C|D|A|B|20240831164019+0000||ACK^R01|42|P|2.3\rMSA|AA|9\r",
		},
		{
			"an offset's sign is the field separator",
			"MSH+^~\\&+A+B+C+D+++ORU^R01+9+P+2.5.1\r",
			Acknowledgment{Code: Accept, ControlID: id, Time: at},
			"MSH+^~\\&+C+D+A+B+20240831164019++ACK^R01^ACK+42+P+2.5.1\rMSA+AA+9\r",
		},
		{
			"2.3.1 has three",
			"MSH|^~\\&|A|B|C|D|||ORU^R01|9|P|2.3.1\r",
			Acknowledgment{Code: Accept, ControlID: id, Time: at},
			"MSH|^~\\&|C|D|A|B|20240831164019+0000||ACK^R01^ACK|42|P|2.3.1\rMSA|AA|9\r",
		},
		{
			"nothing",
			"",
			Acknowledgment{Code: Reject, ControlID: id, Time: at},
			"MSH|^~\\&|||||20240831164019+0000||ACK|42|P|2.5.1\rMSA|AR|\r",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := string(Ack([]byte(tt.request), tt.a)); got != tt.want {
				t.Errorf("\n got %q\nwant %q", got, tt.want)
			}
		})
	}
}

func TestAckOrders(t *testing.T) {
	const (
		head    = "MSH|^~\\&|LIS|Lab|Host|H|20240831||OML^O33^OML_O33|77|P|2.5.1||||||UNICODE UTF-8\r"
		answer  = "MSH|^~\\&|Host|H|LIS|Lab|T||ORL^O34^ORL_O34|1|P|2.5.1||||||UNICODE UTF-8\r"
		patient = "PID|1||p^^^x||Doe^J\r"
		one     = "SPM|1|s1^a&b||SER\rOBX|1|x\rSAC|||s1\rORC|NW|p1^x|f1||||||2024\rTQ1|||||||\rOBR|1|p1||GLU\rORC|NW|p2\rOBR|2|p2||UREA\r"
		two     = "SPM|2|s2||U\rORC|CA|p3\rOBR|1|p3\r"
		before  = "PID|1||p\rPV1||\rORC|NW|old\rOBR|1|old\rOBX|1|NM\r"
	)
	for _, tt := range []struct {
		name, body, code, want string
	}{
		{
			"two specimens", patient + one + two, Accept,
			"MSA|AA|77\r" + patient + "SPM|1|s1^a&b||SER\rSAC|||s1\rORC|OK|p1^x|f1\rORC|OK|p2\rSPM|2|s2||U\rORC|CR|p3\r",
		},
		{
			"not accepted", patient + one + two, Error,
			"MSA|AE|77\r" + patient + "SPM|1|s1^a&b||SER\rSAC|||s1\rORC|UA|p1^x|f1\rORC|UA|p2\rSPM|2|s2||U\rORC|UC|p3\r",
		},
		{"no patient", two, Accept, "MSA|AA|77\rSPM|2|s2||U\rORC|CR|p3\r"},
		{"no specimen", patient + "ORC|NW|p1\rOBR|1|p1\r", Accept, "MSA|AA|77\r"},
		{"prior results", patient + two + before + two, Accept, "MSA|AA|77\r" + patient + "SPM|2|s2||U\rORC|CR|p3\rSPM|2|s2||U\rORC|CR|p3\r"},
		{"nothing ordered", "", Accept, "MSA|AA|77\r"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := string(Ack([]byte(head+tt.body), Acknowledgment{Code: tt.code, ControlID: "1", Time: "T"}))
			if want := answer + tt.want; got != want {
				t.Errorf("\n got %q\nwant %q", got, want)
			}
		})
	}
	t.Run("error stands before the orders", func(t *testing.T) {
		got := string(Ack([]byte(head+two), Acknowledgment{Code: Error, ControlID: "1", Time: "T", Err: &ErrorDetail{Code: CodeInternal}}))
		if !strings.Contains(got, "MSA|AE|77\rERR|||207^Application internal error^HL70357|E\rSPM|2") {
			t.Errorf("%q", got)
		}
	})
}

// FuzzAck holds that every request gets an answer that can be read, and that
// MSA-2 is what was received.
func FuzzAck(f *testing.F) {
	f.Add([]byte("MSH|^~\\&|A|B|C|D|20240831||ORU^R01^ORU_R01|1|P|2.5.1\r"), "AA", "text")
	f.Add([]byte("MSH$%*!@$A$$$$$$OML%O33$9$P$2.4\rPID$1\rSPM$1\rSAC$\rORC$CA$7\r"), "AE", "")
	f.Add([]byte("MSH|\xff\x00"), "AR", "a\r|b")
	f.Add([]byte("MSH&"), "AR", "0")
	f.Add([]byte("MSH|^~\\&|\x84|\x84^|B|C|D|||OML^O33|9|P|2.3||||||GBK\rPID|1\rSPM|1\rORC|NW\r"), "CA", "x")
	f.Add([]byte("MSH||\x84|||||||^\x84 |||0.1||||||GBK"), "0", "0")
	f.Fuzz(func(t *testing.T, request []byte, code, text string) {
		switch code {
		case Accept, Error, Commit, CommitError, CommitReject:
		default:
			code = Reject
		}
		answer := Ack(request, Acknowledgment{Code: code, Text: text, ControlID: "42", Time: "20240831", Err: &ErrorDetail{Location: "MSH^1^9", Code: CodeDataType, Text: text}})
		got, err := Parse(answer)
		if err != nil {
			t.Fatalf("%q is answered with %q", request, answer)
		}
		asked, _ := Parse(request)
		msa := got.First("MSA")
		if string(msa.Field(1)) != code && got.Field != code[0] || ControlID(got) != "42" {
			t.Fatalf("%q is answered with %q", request, answer)
		}
		// Not by fields: in a set of two bytes, such as GBK, a field separator may be
		// half of a character of the control id.
		f := string(got.Field)
		id := "MSA" + f + string(msa.Field(1)) + f + string(asked.First("MSH").Field(10))
		if rest, found := strings.CutPrefix(string(msa.Raw), id); !found || rest != "" && rest[:1] != f {
			t.Fatalf("%q: MSA is %q", request, msa.Raw)
		}
	})
}
