package instrument

import (
	"bufio"
	"strings"
	"testing"
	"time"

	"github.com/assaygate/assaygate/protocols/hl7"
	"github.com/assaygate/assaygate/protocols/mllp"
)

func hl7Settings() Settings {
	s := Defaults()
	s.Protocol = "hl7"
	return s
}

// ask sends bytes and returns the acknowledgements, as many as asked for.
func (b *bench) ask(bytes string, answers int) (out []hl7.Message) {
	b.t.Helper()
	if _, err := b.line.Write([]byte(bytes)); err != nil {
		b.t.Fatal(err)
	}
	b.line.SetReadDeadline(time.Now().Add(20 * time.Second))
	blocks := bufio.NewScanner(b.line)
	blocks.Split(mllp.Split)
	for range answers {
		if !blocks.Scan() {
			b.t.Fatalf("no answer: %v", blocks.Err())
		}
		m, err := hl7.Parse(append([]byte(nil), blocks.Bytes()...))
		if err != nil {
			b.t.Fatalf("answer %q: %v", blocks.Bytes(), err)
		}
		out = append(out, m)
	}
	return out
}

func msa(m hl7.Message, n int) string { return string(m.First("MSA").Field(n)) }

const oru = "MSH|^~\\&|Lab|Site|Host|Here|20260102030405||ORU^R01|c1|P|2.5.1\rPID|1\rOBR|1||S1\rOBX|1|NM|GLU||5\r"

func TestHL7IsStoredBeforeItsAA(t *testing.T) {
	b := newBench(t, hl7Settings())
	answer := b.ask(block(oru), 1)[0]
	if msa(answer, 1) != "AA" || msa(answer, 2) != "c1" {
		t.Errorf("answer %q", hl7.Append(nil, answer))
	}
	msh := answer.First("MSH")
	for field, want := range map[int]string{3: "Host", 4: "Here", 5: "Lab", 6: "Site", 9: "ACK^R01^ACK", 11: "P", 12: "2.5.1"} {
		if got := string(msh.Field(field)); got != want {
			t.Errorf("MSH-%d is %q, want %q", field, got, want)
		}
	}
	b.wantKept("accepted " + oru)
}

func TestHL7AnyCutAndSeveralInOneRead(t *testing.T) {
	b := newBench(t, hl7Settings())
	whole := block(oru) + block(strings.ReplaceAll(oru, "c1", "c2"))
	for cut := range len(whole) {
		if _, err := b.line.Write([]byte(whole[:cut])); err != nil {
			t.Fatal(err)
		}
		answers := b.ask(whole[cut:], 2)
		if msa(answers[0], 2) != "c1" || msa(answers[1], 2) != "c2" || msa(answers[1], 1) != "AA" {
			t.Fatalf("cut at %d: answers %q and %q", cut, hl7.Append(nil, answers[0]), hl7.Append(nil, answers[1]))
		}
	}
}

func TestHL7StoreFailureGetsAE(t *testing.T) {
	b := newBench(t, hl7Settings())
	if err := b.store.Close(); err != nil {
		t.Fatal(err)
	}
	answer := b.ask(block(oru), 1)[0]
	if msa(answer, 1) != "AE" || !strings.HasPrefix(string(answer.First("ERR").Field(3)), "207^") {
		t.Errorf("answer %q", hl7.Append(nil, answer))
	}
}

func TestHL7NotAcceptedIsRejected(t *testing.T) {
	for name, tt := range map[string]struct{ message, control, code string }{
		"another type":  {strings.Replace(oru, "ORU^R01", "ADT^A01", 1), "c1", "200"},
		"another event": {strings.Replace(oru, "ORU^R01", "OML^O21", 1), "c1", "201"},
		"no HL7":        {"garbage", "", "207"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, hl7Settings())
			answer := b.ask(block(tt.message), 1)[0]
			if msa(answer, 1) != "AR" || msa(answer, 2) != tt.control || !strings.HasPrefix(string(answer.First("ERR").Field(3)), tt.code+"^") {
				t.Errorf("answer %q", hl7.Append(nil, answer))
			}
			b.wantKept("rejected " + tt.message)
			if msa(b.ask(block(oru), 1)[0], 1) != "AA" {
				t.Error("the connection was not kept")
			}
		})
	}
}

// answered is an answer with what changes each time, MSH-7 and MSH-10, as T and N.
func answered(m hl7.Message) string {
	fields := m.Segments[0].Fields()
	d := string(m.Field)
	now := d + string(fields[7]) + d
	return strings.NewReplacer(now, d+"T"+d, d+string(fields[10])+d, d+"N"+d).Replace(string(hl7.Append(nil, m)))
}

// Every result that was not asked for is taken, whatever its event.
func TestHL7MessageTypes(t *testing.T) {
	const (
		head    = "MSH|^~\\&|Host|Here|Lab|Site|T||"
		tail    = "|N|P|2.5.1\r"
		accept  = tail + "MSA|AA|c1\r"
		noType  = tail + "MSA|AR|c1|message type is not accepted here\rERR||MSH^1^9^1^1|200^Unsupported message type^HL70357|E||||message type is not accepted here\r"
		noEvent = tail + "MSA|AR|c1|event is not accepted here\rERR||MSH^1^9^1^2|201^Unsupported event code^HL70357|E||||event is not accepted here\r"
	)
	b := newBench(t, hl7Settings())
	for _, tt := range []struct{ sent, answer string }{
		{"ORU^R01", "ACK^R01^ACK" + accept},
		{"ORU^R01^ORU_R01", "ACK^R01^ACK" + accept},
		{"ORU^R30^ORU_R30", "ACK^R30^ACK" + accept},
		{"ORU^R31^ORU_R30", "ACK^R31^ACK" + accept},
		{"ORU^R32^ORU_R30", "ACK^R32^ACK" + accept},
		{"ORU^R40^ORU_R40", "ACK^R40^ACK" + accept},
		{"ORU^W01^ORU_W01", "ACK^W01^ACK" + accept},
		{"ORU^Z99", "ACK^Z99^ACK" + accept},
		{"OUL^R21^OUL_R21", "ACK^R21^ACK" + accept},
		{"OUL^R22^OUL_R22", "ACK^R22^ACK" + accept},
		{"OUL^R23^OUL_R23", "ACK^R23^ACK" + accept},
		{"OUL^R24^OUL_R24", "ACK^R24^ACK" + accept},
		{"ORU", "ACK" + accept},
		{"OUL", "ACK" + accept},
		{"ORU^", "ACK" + accept},
		{"ORU_R01", "ACK^R01^ACK" + accept},
		{" ORU ^ R01 ", "ACK^R01^ACK" + accept},
		{"oul^r22^oul_r22", "ACK^R22^ACK" + accept},
		{"OML^O33^OML_O33", "ORL^O34^ORL_O34" + accept},
		{"oml^o33", "ORL^O34^ORL_O34" + accept},
		{"OML^O21^OML_O21", "ACK^O21^ACK" + noEvent},
		{"OML^O35", "ACK^O35^ACK" + noEvent},
		{"OML", "ACK" + noEvent},
		{"ORM^O01", "ACK^O01^ACK" + noType},
		{"ADT^A01^ADT_A01", "ACK^A01^ACK" + noType},
		{"QBP^Q11^QBP_Q11", "ACK^Q11^ACK" + noType}, // it holds a result
		{"QRY^Q02", "ACK^Q02^ACK" + noType},
		{"QRY^R02", "ACK^R02^ACK" + noType},
		{"ACK^R01^ACK", "ACK^R01^ACK" + noType},
		{"ORUX^R01", "ACK^R01^ACK" + noType},
		{"", "ACK" + noType},
	} {
		if got := answered(b.ask(block(strings.Replace(oru, "ORU^R01", tt.sent, 1)), 1)[0]); got != head+tt.answer {
			t.Errorf("%q:\n got %q\nwant %q", tt.sent, got, head+tt.answer)
		}
	}
}

// An acknowledgement of an answer is not answered, or two who acknowledge
// everything would never end.
func TestHL7AcknowledgementOfAnAnswer(t *testing.T) {
	b := newBench(t, hl7Settings())
	id := hl7.ControlID(b.ask(block(oru), 1)[0])
	b.say(block("MSH|^~\\&|Lab||||1||ACK^R01^ACK|c2|P|2.5.1\rMSA|AA|"+id+"\r"), "")
	b.say(block("MSH|^~\\&|Lab||||1||ACK^R01^ACK|c3|P|2.5.1\rMSA|AA|other\r"), "")
	if answer := b.ask(block(oruNamed("c4")), 1)[0]; msa(answer, 2) != "c4" {
		t.Errorf("answer %q", hl7.Append(nil, answer))
	}
	b.wantKept("accepted "+oru, "accepted "+oruNamed("c4"))
}

func TestHL7OrdersGetORL(t *testing.T) {
	b := newBench(t, hl7Settings())
	answer := b.ask(block("MSH|^~\\&|Lab||||20260102030405||OML^O33^OML_O33|c1|P|2.5.1\rSPM|1|S1\rORC|NW|o1\rOBR|1||S1|GLU\r"), 1)[0]
	if got := string(answer.First("MSH").Field(9)); got != "ORL^O34^ORL_O34" || msa(answer, 1) != "AA" {
		t.Errorf("answer %q", hl7.Append(nil, answer))
	}
}

func TestHL7BrokenOffIsIncomplete(t *testing.T) {
	b := newBench(t, hl7Settings())
	b.ask(block(oru), 1)
	b.say("\x0B"+oru[:60], "")
	b.hangUp()
	b.wantKept("accepted "+oru, "incomplete "+oru[:60])
}

func TestHL7BlockWithoutEnd(t *testing.T) {
	settings := hl7Settings()
	settings.Limits.Message = 64 << 10
	b := newBench(t, settings)
	if answer := b.ask("\x0B"+strings.Repeat("x", 65<<10), 1)[0]; msa(answer, 1) != "AR" {
		t.Errorf("answer %q", hl7.Append(nil, answer))
	}
	<-b.ended
	b.ended <- nil
	b.wantKept()
}

// A sender that broke a block off and starts it anew is answered.
func TestHL7BlockBegunAnew(t *testing.T) {
	b := newBench(t, hl7Settings())
	long := strings.Replace(oru, "GLU||5", "GLU||"+strings.Repeat("5", 6<<10), 1)
	half := long[:len(long)-20]
	if answer := b.ask("\x0B"+half+block(long), 1)[0]; msa(answer, 1) != "AA" {
		t.Errorf("answer %q", hl7.Append(nil, answer))
	}
	b.wantKept("incomplete "+half, "accepted "+long)
}

// A long block that ends for want of bytes gives its share of memory back, or
// nobody else could send a long message while this line stays open.
func TestHL7LongBlockWithoutLastCRGivesMemoryBack(t *testing.T) {
	b := newBench(t, hl7Settings())
	long := strings.Replace(oru, "GLU||5", "GLU||"+strings.Repeat("5", 2*freeHeld), 1)
	if answer := b.ask("\x0B"+long+"\x1C", 1)[0]; msa(answer, 1) != "AA" {
		t.Errorf("answer %q", hl7.Append(nil, answer))
	}
	for end := time.Now().Add(10 * time.Second); b.service.held.Load() != 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d bytes are still counted", b.service.held.Load())
		}
	}
}
