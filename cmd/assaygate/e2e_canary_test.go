package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/assaygate/assaygate/envelope"
	"github.com/assaygate/assaygate/envelope/spool"
	"github.com/assaygate/assaygate/protocols/lis01"
	"github.com/assaygate/assaygate/protocols/mllp"
	"github.com/assaygate/assaygate/uplink/senaite/senaitetest"
)

// canary is a patient's name that no allowlist lets through. Its halves are
// looked for one by one: a frame may end inside it.
const canary = "ZIEGLERMUSTERFRAU"

// fieldsOf are the fields of an allowlist that stay, by record or segment.
type fieldsOf map[string][]int

func (f fieldsOf) keeps(name string, n int) bool { return slices.Contains(f[name], n) }

// The allowlists: what importing results needs at the least.
var (
	leastASTM = fieldsOf{"H": {12, 14}, "O": {3}, "R": {3, 4, 5}}
	leastHL7  = fieldsOf{"MSH": {9, 11, 12}, "OBR": {4}, "OBX": {2, 3, 5, 6}}
)

// named adds records of which nothing stays. Where those that are not named
// pass whole, it is these that an allowlist has to name.
func (f fieldsOf) named(names ...string) fieldsOf {
	all := maps.Clone(f)
	for _, name := range names {
		if all[name] == nil {
			all[name] = []int{}
		}
	}
	return all
}

// aviary is one run: a gateway with its allowlists and what is planted.
type aviary struct {
	*running
	server      *senaitetest.Server
	trial       *senaitetest.Server // for staging; may be nil
	directory   string
	astm, hl7   fieldsOf
	dropped     bool // records that are not named are dropped, so those may be planted too
	bird        string
	inAllowed   bool // plant in the fields that stay
	transmitted int
	onlookers   []*onlooker // one on each line, from the start
}

const canaryConfig = `
box: {name: ward}
instruments:
  - {name: lan, astm: {listen: "127.0.0.1:0"}}
  - {name: drafts, astm: {listen: "127.0.0.1:0"}, quirks: {end: eot}}
  - {name: short, astm: {listen: "127.0.0.1:0"}, limits: {message: 2KiB}}
  - {name: hl7, hl7: {listen: "127.0.0.1:0"}}
privacy:
  astm: {allow: %s, drop_unmatched_records: %t}
  hl7: {allow: %s, drop_unmatched_segments: %[2]t}
log: {level: debug}
`

func newAviary(t *testing.T, astm, hl7 fieldsOf, dropped bool) *aviary {
	t.Helper()
	a := &aviary{server: newLIMS(t), trial: newLIMS(t), directory: t.TempDir(), astm: astm, hl7: hl7, dropped: dropped, bird: canary}
	text := func(f fieldsOf) []byte {
		list, err := json.Marshal(f)
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	a.running = start(t, base(a.directory)+fmt.Sprintf(canaryConfig, text(astm), dropped, text(hl7))+traced(undemanding(a.server, a.directory))+trialDestination(a.trial))
	a.onlookers = a.lookOnAll()
	return a
}

// undemanding is lims with a consumer that takes messages without a sender too:
// an allowlist may drop it.
func undemanding(server *senaitetest.Server, directory string) string {
	server.Register("acme.import")
	return strings.Replace(lims(server, directory), "senaite: {", "senaite: {consumer: acme.import, ", 1)
}

// planted reports whether a place of a message gets the canary.
func (a *aviary) planted(allow fieldsOf, name string, n int) bool {
	return allow.keeps(name, n) == a.inAllowed
}

// A form is how the canary stands in a field.
type form func(bird string) string

func hexEscape(escape string) form {
	return func(bird string) string { return fmt.Sprintf("%sX%X%s", escape, bird, escape) }
}

func around(before, after string) form {
	return func(bird string) string { return before + bird + after }
}

var astmForms = map[string]form{
	"alone": around("", ""), "component": around("x^", "^y"), "repeat": around(`x^y\`, `\z`),
	"escaped": around("x&F&", "&S&"), "hexadecimal": hexEscape("&"), "other escape": around(`\X0D\`, `\.br\`),
}

var hl7Forms = map[string]form{
	"alone": around("", ""), "component": around("x^", "^y"), "subcomponent": around("x&", "&y"), "repeat": around("x~", "~y"),
	"escaped": around(`x\F\`, `\S\`), "hexadecimal": hexEscape(`\`), "other escape": around("&X0D&", "&E&"),
}

// astmMessage has the canary in every field of every record.
func (a *aviary) astmMessage(f form) []byte {
	a.transmitted++
	harmless := map[string]string{
		"H.12": "P", "H.14": fmt.Sprintf("20260102%06d", a.transmitted), "O.3": fmt.Sprint("S", a.transmitted), "R.3": "^^^GLU", "R.4": "5.5", "R.5": "mmol/L",
	}
	names := strings.Split("HPCMOCRCMQcr", "")
	if a.dropped {
		names = append(names, "S", "Z", "5", "Xyz")
	}
	var text strings.Builder
	for _, name := range append(names, "L") {
		text.WriteString(name)
		if name == "H" {
			text.WriteString(`|\^&`)
		} else {
			text.WriteString("|1")
		}
		listed := strings.ToUpper(name)
		for n := 3; n <= 36; n++ {
			text.WriteByte('|')
			switch {
			case a.planted(a.astm, listed, n):
				text.WriteString(f(a.bird + name + fmt.Sprint(n)))
			case a.astm.keeps(listed, n):
				text.WriteString(harmless[fmt.Sprintf("%s.%d", listed, n)])
			}
		}
		text.WriteByte('\r')
	}
	return []byte(text.String())
}

// hl7Message has the canary in every field of every segment, but for its type.
func (a *aviary) hl7Message(kind string, f form) []byte {
	a.transmitted++
	harmless := map[string]string{
		"MSH.9": kind, "MSH.11": "P", "MSH.12": "2.5.1", "OBR.4": "GLU", "OBX.2": "NM", "OBX.3": "GLU", "OBX.5": "5.5", "OBX.6": "mmol/L",
	}
	names := []string{"MSH", "SFT", "PID", "PD1", "PV1", "SPM", "SAC", "ORC", "OBR", "NTE", "TQ1", "OBX", "NTE", "pd1", "obx"}
	if a.dropped {
		names = append(names, "NK1", "ZPI", "FT1", "DSC")
	}
	numbered := []string{"PID", "OBR", "NTE", "TQ1", "OBX", "SPM"}
	var text strings.Builder
	for _, name := range names {
		text.WriteString(name)
		first, listed := 1, strings.ToUpper(name)
		switch {
		case name == "MSH":
			text.WriteString(`|^~\&`)
			first = 3
		case slices.Contains(numbered, listed):
			text.WriteString("|1")
			first = 2
		}
		for n := first; n <= 40; n++ {
			text.WriteByte('|')
			switch {
			case listed == "MSH" && n == 9: // what is accepted goes by it
				text.WriteString(kind)
			case a.planted(a.hl7, listed, n):
				text.WriteString(f(a.bird + name + fmt.Sprint(n)))
			case a.hl7.keeps(listed, n):
				text.WriteString(harmless[fmt.Sprintf("%s.%d", listed, n)])
			}
		}
		text.WriteByte('\r')
	}
	return []byte(text.String())
}

// sender is an instrument's end of a connection.
type sender struct {
	t testing.TB
	net.Conn
	replies *bufio.Reader
}

func (a *aviary) dial(name string) *sender {
	a.t.Helper()
	conn, err := net.Dial("tcp", a.addresses[name])
	if err != nil {
		a.t.Fatal(err)
	}
	a.t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(2 * time.Minute)); err != nil {
		a.t.Fatal(err)
	}
	return &sender{t: a.t, Conn: conn, replies: bufio.NewReader(conn)}
}

func (s *sender) send(data ...byte) {
	s.t.Helper()
	if _, err := s.Write(data); err != nil {
		s.t.Fatal(err)
	}
}

// ask sends and expects this reply.
func (s *sender) ask(data []byte, want byte) {
	s.t.Helper()
	s.send(data...)
	if got, err := s.replies.ReadByte(); err != nil || got != want {
		s.t.Fatalf("reply %#x, %v; want %#x", got, err, want)
	}
}

// session sends the frames of one session, without its EOT.
func (s *sender) session(frames ...[]byte) {
	s.t.Helper()
	s.ask([]byte{lis01.ENQ}, lis01.ACK)
	for _, frame := range frames {
		s.ask(frame, lis01.ACK)
	}
}

// block sends an MLLP block and expects this acknowledgement code.
func (s *sender) block(content []byte, code string) {
	s.t.Helper()
	s.send(mllp.AppendBlock(nil, content)...)
	answer, err := s.replies.ReadBytes(mllp.EndBlock)
	if err == nil {
		_, err = s.replies.ReadByte()
	}
	if err != nil || !bytes.Contains(answer, []byte("\rMSA|"+code+"|")) {
		s.t.Fatalf("answer %q, %v; want %s", answer, err, code)
	}
}

// ended waits until the gateway has closed the connection.
func (s *sender) ended() {
	s.t.Helper()
	if _, err := io.Copy(io.Discard, s.replies); err != nil && strings.Contains(err.Error(), "timeout") {
		s.t.Fatal("the connection is still open")
	}
}

// plantASTM sends the canary over the ASTM lines in every way there is.
func (a *aviary) plantASTM() {
	lan := a.dial("lan")
	for _, name := range slices.Sorted(maps.Keys(astmForms)) {
		lan.session(lis01.AppendMessage(nil, a.astmMessage(astmForms[name]), lis01.SafeText)...)
		lan.send(lis01.EOT)
	}
	again := lis01.AppendMessage(nil, a.astmMessage(around("", "")), 23) // frames end inside fields
	for range 2 {
		lan.session(again...)
		lan.send(lis01.EOT)
	}
	message := a.astmMessage(around("", ""))
	whole := message[:bytes.LastIndex(message, []byte("\rL|"))+1]
	lan.session(lis01.AppendMessage(nil, whole, lis01.SafeText)...)
	lan.send(lis01.EOT) // no terminator record: parked
	frames := lis01.AppendMessage(nil, message, 61)
	frames = frames[:len(frames)*2/3]
	lan.session(frames...)
	lan.send(lis01.EOT) // inside a message
	headless := lis01.AppendMessage(nil, []byte(a.bird+"0 without header\r"+a.bird+"1|1|"+a.bird+"2\rL|1|N\r"), 20)
	end := len(headless) - 1
	lan.session(headless[:end]...)
	lan.ask(headless[end], lis01.NAK) // what is not kept is not acknowledged
	lan.send(lis01.EOT)
	damaged := lis01.AppendMessage(nil, message, lis01.SafeText)[0]
	damaged[len(damaged)-4] ^= 1
	lan.ask([]byte{lis01.ENQ}, lis01.ACK)
	lan.ask(damaged, lis01.NAK)
	lan.send(lis01.EOT)
	lan.session(frames...)
	lan.Close() // inside a message

	noise := a.dial("lan")
	noise.ask([]byte{lis01.ENQ}, lis01.ACK)
	noise.send([]byte(strings.Repeat(a.bird+" ", 1000))...)
	noise.ended()

	short := a.dial("short")
	short.ask([]byte{lis01.ENQ}, lis01.ACK)
	for _, frame := range lis01.AppendMessage(nil, message, lis01.SafeText) {
		short.send(frame...)
		reply, err := short.replies.ReadByte()
		if err != nil {
			a.t.Errorf("no answer to a frame of a message that is too long: %v", err)
		}
		if reply != lis01.ACK {
			break
		}
	}
	short.Close()
}

// plantHL7 sends the canary over the HL7 line in every way there is.
func (a *aviary) plantHL7() {
	line := a.dial("hl7")
	for _, name := range slices.Sorted(maps.Keys(hl7Forms)) {
		line.block(a.hl7Message("ORU^R01", hl7Forms[name]), "AA")
	}
	for _, kind := range []string{"OUL^R22^OUL_R22", "OML^O33^OML_O33"} {
		line.block(a.hl7Message(kind, around("", "")), "AA")
	}
	again := a.hl7Message("ORU^R01", around("", ""))
	line.block(again, "AA")
	line.block(again, "AA")
	line.block(bytes.ReplaceAll(again, []byte("\r"), []byte("\r\n")), "AA")
	line.block(a.hl7Message("ADT^A01", around("", "")), "AR")
	line.block(a.hl7Message("OML^O21", around("", "")), "AR")
	batch := []byte("FHS|^~\\&|" + a.bird + "5\rBHS|^~\\&|" + a.bird + "6\r")
	line.block(append(append(batch, again...), "BTS|7|"+a.bird+"7\rFTS|8|"+a.bird+"8\r"...), "AA")
	line.block(append(batch, "BTS|0\rFTS|1\r"...), "AR")
	line.block([]byte(a.bird+"3|no header\rPID|1||"+a.bird+"4\r"), "AR")
	line.block([]byte("MSH"), "AR")
	excess := []byte(`MSH|^~\&|||||||ORU^R01|1|P|2.5` + "\r" + strings.Repeat("NTE|1||"+a.bird+"\r", 60_000))
	line.block(excess, "AR") // more than is taken apart, and so not kept
	line.send(append([]byte{mllp.StartBlock}, again[:len(again)*2/3]...)...)
	line.Close() // inside a block

	torn := a.dial("hl7")
	torn.send(append([]byte{mllp.StartBlock}, "MSH|^~"+a.bird+"5"...)...)
	torn.Close() // inside the header
	noise := a.dial("hl7")
	noise.send([]byte(strings.Repeat(a.bird+" ", 1000))...)
	noise.ended()
}

// draft leaves a message half sent to the instrument whose drafts are stored.
// It is whole up to its last record, so that a restart would deliver it.
func (a *aviary) draft() *sender {
	s := a.dial("drafts")
	message := a.astmMessage(around("x^", ""))
	s.session(lis01.AppendMessage(nil, message[:bytes.LastIndex(message, []byte("\rL|"))+1], lis01.SafeText)...)
	return s
}

// brokenOff is how many messages plantASTM and plantHL7 break off, the one that
// gets NAK for want of a header among them.
const brokenOff = 5

// kept waits until all that was planted is stored and delivered; then nobody
// writes any more.
func (a *aviary) kept() {
	a.t.Helper()
	eventually(a.t, "what broke off is stored", func() bool {
		found, err := a.store.List(a.t.Context(), spool.Filter{Intake: envelope.Incomplete, Limit: 1000})
		messages := map[string]bool{}
		for _, m := range found {
			messages[m.MessageID] = true
		}
		return err == nil && len(messages) == brokenOff
	})
	a.settled()
	for _, intake := range []envelope.Intake{envelope.Accepted, envelope.Parked, envelope.Rejected} {
		if found, err := a.store.List(a.t.Context(), spool.Filter{Intake: intake}); err != nil || len(found) == 0 {
			a.t.Errorf("no %s input is stored, %v", intake, err)
		}
	}
}

// TestCanary plants a name in every field that an allowlist does not keep, on
// every way into the gateway, and looks for it at every way out.
func TestCanary(t *testing.T) {
	for name, test := range map[string]struct {
		dropped   bool
		astm, hl7 fieldsOf
	}{
		"unmatched dropped": {true, leastASTM, leastHL7},
		"unmatched pass": {
			false,
			leastASTM.named("P", "C", "M", "Q", "L"),
			leastHL7.named("SFT", "PID", "PD1", "PV1", "SPM", "SAC", "ORC", "NTE", "TQ1"),
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newAviary(t, test.astm, test.hl7, test.dropped)
			a.parkOne()
			a.plantASTM()
			a.plantHL7()
			a.kept()
			half := a.draft()
			a.recovered().report(t)
			half.send(lis01.EOT)
			a.settled()
			a.everywhere().report(t)
			a.wantKept()
			a.end()
			s := seen{}
			s.files(t, "data directory after the end", a.directory)
			s.look("log after the end", []byte(a.log.text()))
			s.report(t)
		})
	}
}

// parkOne has SENAITE refuse a message, and sends it again: what is said of it
// on this way is looked at too.
func (a *aviary) parkOne() {
	a.t.Helper()
	line := a.dial("hl7")
	line.block(a.hl7Message("ORU^R01", around("", "")), "AA")
	a.settled() // the destination has logged in
	if err := a.server.Set(senaitetest.Status(http.StatusBadRequest)); err != nil {
		a.t.Fatal(err)
	}
	line.block(a.hl7Message("ORU^R01", around("", "")), "AA")
	eventually(a.t, "SENAITE has refused a message", func() bool {
		found, err := a.store.List(a.t.Context(), spool.Filter{State: spool.Parked})
		return err == nil && len(found) == 1
	})
	if err := a.server.Set(senaitetest.Up); err != nil {
		a.t.Fatal(err)
	}
	if n, err := a.store.RetryAll(a.t.Context(), spool.Selection{}, "test"); n != 1 || err != nil {
		a.t.Fatalf("retried %d, %v", n, err)
	}
}

// wantKept expects that what the allowlists keep did arrive: where nothing is
// left, nothing can leak.
func (a *aviary) wantKept() {
	a.t.Helper()
	found := map[string]bool{}
	for _, push := range a.server.Pushes() {
		var e struct {
			Assaygate struct {
				Protocol string            `json:"protocol"`
				Results  []envelope.Result `json:"results"`
			} `json:"assaygate"`
		}
		if err := json.Unmarshal([]byte(push.Message), &e); err != nil {
			a.t.Fatal(err)
		}
		for _, r := range e.Assaygate.Results {
			found[fmt.Sprint(e.Assaygate.Protocol, " ", r.Test, " ", r.Value, " ", r.Units)] = true
		}
	}
	for _, want := range []string{"astm GLU 5.5 mmol/L", "hl7 GLU 5.5 mmol/L"} {
		if !found[want] {
			a.t.Errorf("%s did not arrive, but %v", want, slices.Sorted(maps.Keys(found)))
		}
	}
}

// TestCanaryInStructure plants the name where only delimiters and numbers may
// stand, which stay under any allowlist.
func TestCanaryInStructure(t *testing.T) {
	t.Parallel()
	a := newAviary(t, leastASTM.named("P"), leastHL7.named("PID"), true)
	lan, line := a.dial("lan"), a.dial("hl7")
	for _, message := range []string{
		`H|\^&|||||||||||20260102030405` + "\rP|" + canary + "1\rO|" + canary + "2|S1\rR|" + canary + "3|^^^GLU|5.5\rL|" + canary + "4|N\r",
		`H|\^&` + canary + "5|||||||||||20260102030406\rP|1\rO|1|S2\rL|1|N\r",
	} {
		lan.session(lis01.AppendMessage(nil, []byte(message), lis01.SafeText)...)
		lan.send(lis01.EOT)
	}
	for _, message := range []string{
		`MSH|^~\&|||||||ORU^R01|1|P|2.5` + "\rPID|" + canary + "6\rOBR|" + canary + "7|||GLU\rOBX|" + canary + "8|NM|GLU||5.5\r",
		`MSH|^~\&` + canary + "9|||||||ORU^R01|2|P|2.5\rPID|1\rOBR|1|||GLU\rOBX|1|NM|GLU||5.5\r",
	} {
		line.block([]byte(message), "AA")
	}
	a.settled()
	a.everywhere().report(t)
}

// TestKindsSurviveAnAllowlist: an allowlist that forgets the field which says
// so must not make results of a patient out of tests and controls.
func TestKindsSurviveAnAllowlist(t *testing.T) {
	t.Parallel()
	server, directory := newLIMS(t), t.TempDir()
	r := start(t, base(directory)+`
instruments:
  - {name: lan, astm: {listen: "127.0.0.1:0"}, deliver: [result]}
  - {name: hl7, hl7: {listen: "127.0.0.1:0"}, deliver: [result]}
privacy:
  astm: {allow: {O: [3], R: [3, 4]}}
  hl7: {allow: {MSH: [9], OBR: [3, 4], OBX: [3, 5]}}
`+strings.Replace(undemanding(server, directory), "accept_test: true", "accept_test: false", 1))
	a := &aviary{running: r}
	lan, line := a.dial("lan"), a.dial("hl7")
	for _, message := range []string{
		`H|\^&||||||||||T|1|20260102030405` + "\rP|1\rO|1|TEST1\rR|1|^^^GLU|5.5\rL|1|N\r",
		`H|\^&||||||||||P|1|20260102030406` + "\rP|1\rO|1|QC1|||||||||Q\rR|1|^^^GLU|5.5\rO|2|PATIENT1\rR|1|^^^GLU|5.5\rL|1|N\r",
	} {
		lan.session(lis01.AppendMessage(nil, []byte(message), lis01.SafeText)...)
		lan.send(lis01.EOT)
	}
	line.block([]byte(`MSH|^~\&|||||||ORU^R01|1|T|2.5`+"\rPID|1\rOBR|1||TEST2|GLU\rOBX|1|NM|GLU||5.5\r"), "AA")
	line.block([]byte(`MSH|^~\&|||||||OUL^R22|2|P|2.5`+"\rSPM|1||||||||||Q\rOBR|1||QC2|GLU\rOBX|1|NM|GLU||5.5\rSPM|2\rOBR|1||PATIENT2|GLU\rOBX|1|NM|GLU||5.5\r"), "AA")
	r.settled()
	kinds := map[string]envelope.Kind{}
	stored, err := r.store.List(t.Context(), spoolFilter())
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range stored {
		kinds[m.SampleID] = m.Kind
	}
	want := map[string]envelope.Kind{
		"TEST1": envelope.KindTest, "TEST2": envelope.KindTest, "QC1": envelope.KindQC, "QC2": envelope.KindQC,
		"PATIENT1": envelope.KindResult, "PATIENT2": envelope.KindResult,
	}
	if !maps.Equal(kinds, want) {
		t.Errorf("kinds are %v, want %v", kinds, want)
	}
	for _, push := range server.Pushes() {
		if strings.Contains(push.Message, "TEST") || strings.Contains(push.Message, `"QC`) {
			t.Errorf("pushed %s", push.Message)
		}
	}
}

// TestCanaryIsSeen plants the name where the allowlists let it pass: then it has
// to be found in each place that the other test looks at, but for the counters.
func TestCanaryIsSeen(t *testing.T) {
	t.Parallel()
	a := newAviary(t, fieldsOf{"H": {3, 5}, "O": {3}}, fieldsOf{"MSH": {3, 4, 10}, "OBR": {3}}, true)
	a.inAllowed = true
	a.plantASTM()
	a.plantHL7()
	a.kept()
	half := a.draft()
	found := a.recovered()
	half.send(lis01.EOT)
	a.settled()
	maps.Copy(found, a.everywhere())
	for _, what := range found["support bundle log.txt"] { // control ids are told, samples never
		if !strings.HasSuffix(what, "H3") && !strings.HasSuffix(what, "MSH10") {
			t.Errorf("a support bundle's log shows %s", what)
		}
	}
	for _, where := range []string{
		"socket list", "socket show", "socket raw", "draft list", "draft show", "draft raw",
		"overview", "messages page", "message page", "console api", "pushed", "log", "captures", "store", "support bundle log.txt",
		"search", "raw download", "envelope download", "capture download", "replay", "replay page of a capture", "replayed",
	} {
		if len(found[where]) == 0 {
			t.Errorf("%s does not show it, so the other test proves nothing there", where)
		}
		delete(found, where)
	}
	delete(found, "replay page of a message") // whether a sample is among the newest is chance
	found.report(t)
}
