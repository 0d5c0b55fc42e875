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
		"another event": {strings.Replace(oru, "ORU^R01", "ORU^R99", 1), "c1", "201"},
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
