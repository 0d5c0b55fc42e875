package hl7

import (
	"bytes"
	"testing"
)

func TestQueryResponse(t *testing.T) {
	none := QueryResponse{Status: NoDataFound, ControlID: "1", Time: "T"}
	for _, tt := range []struct {
		name, query string
		response    QueryResponse
		want        string
	}{
		{
			"IHE LAW, LAB-27",
			"MSH|^~\\&|Analyzer|A|Manager|M|2024||QBP^Q11^QBP_Q11|q1|P|2.5.1|||NE|AL||UNICODE UTF-8|||LAB-27^IHE\rQPD|WOS^Work Order Step^IHELAW|tag7|S1^x\rRCP|I||R^Real Time^HL70394\r",
			QueryResponse{Status: NoDataFound, ControlID: "1", Time: "T", Enhanced: true},
			"MSH|^~\\&|Manager|M|Analyzer|A|T||RSP^K11^RSP_K11|1|P|2.5.1|||NE|NE||UNICODE UTF-8|||LAB-27^IHE\rMSA|AA|q1\rQAK|tag7|NF|WOS^Work Order Step^IHELAW\rQPD|WOS^Work Order Step^IHELAW|tag7|S1^x\r",
		},
		{
			"cobas, original mode",
			"MSH|^~\\&|cobas||host||2016||QBP^Q11^QBP_Q11|1233|P|2.5.1||||||UNICODE UTF-8|||LAB-27R^ROCHE\rQPD|INISEQ^^99ROC|query1233|123|50001|1|||||SERPLAS^^99ROC|SC^^99ROC|R\rRCP|I|1|R^^HL70394\r",
			none,
			"MSH|^~\\&|host||cobas||T||RSP^K11^RSP_K11|1|P|2.5.1||||||UNICODE UTF-8|||LAB-27R^ROCHE\rMSA|AA|1233\rQAK|query1233|NF|INISEQ^^99ROC\rQPD|INISEQ^^99ROC|query1233|123|50001|1|||||SERPLAS^^99ROC|SC^^99ROC|R\r",
		},
		{
			"another event, other delimiters",
			"MSH#/~\\&#A#B#C#D###QBP/Q22#9#P#2.5#\rQPD#Q22/x#t#\r",
			none,
			"MSH#/~\\&#C#D#A#B#T##RSP/K22/RSP_K22#1#P#2.5\rMSA#AA#9\rQAK#t#NF#Q22/x\rQPD#Q22/x#t#\r",
		},
		{
			"a table is asked for",
			"MSH|^~\\&|A||||||QBP^Q13^QBP_Q13|9|P|2.5\rQPD|x|t\r",
			none,
			"MSH|^~\\&|||A||T||RTB^K13^RTB_K13|1|P|2.5\rMSA|AA|9\rQAK|t|NF|x\rQPD|x|t\r",
		},
		{
			"a display is asked for",
			"MSH|^~\\&|A||||||QBP^Q15|9|P|2.5\rQPD|x|t\r",
			none,
			"MSH|^~\\&|||A||T||RDY^K15^RDY_K15|1|P|2.5\rMSA|AA|9\rQAK|t|NF|x\rQPD|x|t\r",
		},
		{
			"an event of one's own, no tag",
			"MSH|^~\\&|A||||||QBP^Z01^QBP_Z01||P|2.5\rQPD|x\r",
			none,
			"MSH|^~\\&|||A||T||RSP^K11^RSP_K11|1|P|2.5\rMSA|AA|\rQAK||NF|x\rQPD|x\r",
		},
		{
			"no event",
			"MSH|^~\\&|A||||||QBP|9|P|2.5\rQPD|x|t\r",
			none,
			"MSH|^~\\&|||A||T||RSP^K11^RSP_K11|1|P|2.5\rMSA|AA|9\rQAK|t|NF|x\rQPD|x|t\r",
		},
		{
			"no QPD",
			"MSH|^~\\&|A||||||QBP^Q11^QBP_Q11|9|P|2.5.1\rRCP|I\r",
			none,
			"MSH|^~\\&|||A||T||RSP^K11^RSP_K11|1|P|2.5.1\rMSA|AE|9\rERR||QPD^1|100^Segment sequence error^HL70357|E\rQAK||AE\r",
		},
		{
			"refused",
			"MSH|^~\\&|A||||||QBP^Q11^QBP_Q11|9|P|2.5.1\rQPD|x|t\r",
			QueryResponse{Status: QueryReject, ControlID: "1", Time: "T"},
			"MSH|^~\\&|||A||T||RSP^K11^RSP_K11|1|P|2.5.1\rMSA|AR|9\rQAK|t|AR|x\rQPD|x|t\r",
		},
		{
			"Mindray BS",
			"MSH|^~\\&|Mindray|BS-200E|||20070723170707||QRY^Q02|1|P|2.3.1||||||ASCII|||\rQRD|20070723170707|R|D|1|||RD|34567743|OTH|||T|\rQRF|BS-200E|20070723170749|20070723170749|||RCT|COR|ALL||\r",
			QueryResponse{Status: NoDataFound, ControlID: "7", Time: "T"},
			"MSH|^~\\&|||Mindray|BS-200E|T||QCK^Q02|7|P|2.3.1||||||ASCII\rMSA|AA|1|Message accepted|||0\rERR|0\rQAK|SR|NF\r",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := string(AppendQueryResponse([]byte("before "), []byte(tt.query), tt.response)); got != "before "+tt.want {
				t.Errorf("\n got %q\nwant %q", got, tt.want)
			}
			if m, err := ParseHeader([]byte(tt.query)); err != nil || !IsQuery(m) {
				t.Errorf("it is no query (%v)", err)
			}
		})
	}
	for _, kind := range []string{"QRY^R02", "QRY^A19", "ORU^R01", "RSP^K11", ""} {
		if m, err := ParseHeader([]byte("MSH|^~\\&|A||||||" + kind + "|9|P|2.5\r")); err != nil || IsQuery(m) {
			t.Errorf("%s is a query (%v)", kind, err)
		}
	}
}

// FuzzQueryResponse holds that every query gets a response that can be read,
// which names the query and its tag, and that bounds hold.
func FuzzQueryResponse(f *testing.F) {
	f.Add([]byte("MSH|^~\\&|A|B|C|D|20240831||QBP^Q11^QBP_Q11|1|P|2.5.1\rQPD|WOS^x|tag|S1\rRCP|I\r"), NoDataFound)
	f.Add([]byte("MSH$%*!@$A$$$$$$QBP%Q22$9$P$2.4\rQPD$a$b\r"), DataFound)
	f.Add([]byte("MSH|^~\\&|A||||||QRY^Q02|1|P|2.3.1\r"), QueryReject)
	f.Add([]byte("MSH|\xff\x00"), "")
	f.Fuzz(func(t *testing.T, query []byte, status string) {
		switch status {
		case DataFound, NoDataFound, QueryError, QueryReject:
		default:
			status = NoDataFound
		}
		answer := AppendQueryResponse(nil, query, QueryResponse{Status: status, ControlID: "42", Time: "20240831"})
		got, err := Parse(answer)
		if err != nil || ControlID(got) != "42" {
			t.Fatalf("%q is answered with %q (%v)", query, answer, err)
		}
		asked, _ := Parse(query)
		if !bytes.Equal(got.First("MSA").Field(2), asked.First("MSH").Field(10)) {
			t.Fatalf("%q: MSA-2 is %q", query, got.First("MSA").Field(2))
		}
		if code, _, _ := MessageType(asked); code == "QRY" {
			return
		}
		if tag := got.First("QAK").Field(1); !bytes.Equal(tag, oneLine(asked.First("QPD").Field(2))) {
			t.Fatalf("%q: QAK-1 is %q", query, tag)
		}
		if len(answer) > 3*len(query)+200 {
			t.Fatalf("%d bytes are answered with %d", len(query), len(answer))
		}
	})
}
