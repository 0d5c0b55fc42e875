package instrument

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/assaygate/assaygate/device/profile"
	"github.com/assaygate/assaygate/envelope"
	"github.com/assaygate/assaygate/envelope/spool"
	"github.com/assaygate/assaygate/protocols/hl7"
	"github.com/assaygate/assaygate/protocols/lis01"
	"github.com/assaygate/assaygate/protocols/mllp"
)

// bench is a service with a real store, and the instrument's end of one line.
type bench struct {
	t       testing.TB
	service *Service
	store   *spool.Spool
	pair    func(testing.TB) (here, there net.Conn) // the two ends of a line
	line    net.Conn
	ended   chan error
	stop    context.CancelFunc
}

func newBench(t testing.TB, settings Settings) *bench {
	t.Helper()
	return newScrubbedBench(t, settings, envelope.Allowlist{})
}

// newScrubbedBench is newBench with an allowlist.
func newScrubbedBench(t testing.TB, settings Settings, allow envelope.Allowlist) *bench {
	t.Helper()
	return newBenchOver(t, socketPair, settings, allow)
}

// newPipedBench is newBench for a bubble of synctest: it would wait for a socket
// as if there were work.
func newPipedBench(t testing.TB, settings Settings) *bench {
	t.Helper()
	pipe := func(testing.TB) (here, there net.Conn) { return net.Pipe() }
	return newBenchOver(t, pipe, settings, envelope.Allowlist{})
}

func newBenchOver(t testing.TB, pair func(testing.TB) (here, there net.Conn), settings Settings, allow envelope.Allowlist) *bench {
	t.Helper()
	store, err := spool.Open(t.Context(), spoolSettings(t), spool.Options{
		Destinations: []spool.Destination{{Name: "files", Everything: true}, {Name: "lims"}},
		Log:          slog.New(slog.DiscardHandler),
		ClockSet:     func() bool { return true },
	})
	if err != nil {
		t.Fatal(err)
	}
	profiles, err := profile.Load(profile.Options{Box: "box", Key: store.Key(), Allow: allow})
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, store: store, pair: pair, service: &Service{
		Profiles: profiles, Spool: store, Clock: func() string { return envelope.ClockSet }, Grace: lasting(time.Second),
		Log: slog.New(slog.DiscardHandler), Observer: silent{},
	}}
	b.connect(settings)
	t.Cleanup(func() {
		b.hangUp()
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

func spoolSettings(t testing.TB) spool.Settings {
	s := spool.Defaults()
	s.Directory = t.TempDir() + "/spool"
	return s
}

// connect opens a line to the service.
func (b *bench) connect(settings Settings) {
	b.t.Helper()
	b.connectTo(Instrument{Name: "analyser", Settings: settings})
}

// connectTo opens a line that several instruments share.
func (b *bench) connectTo(members ...Instrument) {
	here, there := b.pair(b.t)
	ctx, stop := context.WithCancel(b.t.Context())
	b.line, b.stop, b.ended = here, stop, make(chan error, 1)
	go func() {
		defer there.Close()
		b.ended <- b.service.serve(ctx, there, "peer", members, b.service.Log, func() {}, func(bool) {})
	}()
}

// hangUp closes the instrument's end and waits until the service has seen it.
func (b *bench) hangUp() {
	b.line.Close()
	<-b.ended
	b.ended <- nil
	b.stop()
}

func socketPair(t testing.TB) (here, there net.Conn) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	if here, err = net.Dial("tcp", listener.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if there, err = listener.Accept(); err != nil {
		t.Fatal(err)
	}
	return here, there
}

// say sends bytes and expects exactly these replies.
func (b *bench) say(bytes, want string) {
	b.t.Helper()
	if _, err := io.WriteString(b.line, bytes); err != nil {
		b.t.Fatal(err)
	}
	got := make([]byte, len(want))
	b.line.SetReadDeadline(time.Now().Add(20 * time.Second))
	if n, err := io.ReadFull(b.line, got); err != nil || string(got) != want {
		b.t.Fatalf("%.60q got %q (%v), want %q", bytes, got[:n], err, want)
	}
}

// silence expects that no reply is on its way: it asks for one that always
// comes, and takes whatever comes before it.
func (b *bench) silence() {
	b.t.Helper()
	b.say("\x05", "\x06")
	b.say("\x04", "")
}

// kept returns raw text and intake of all that is stored, oldest first.
func (b *bench) kept() []string { return b.newest(1000) }

// newest does so for the last few envelopes.
func (b *bench) newest(limit int) (list []string) {
	b.t.Helper()
	summaries, err := b.store.List(b.t.Context(), spool.Filter{Limit: limit})
	if err != nil {
		b.t.Fatal(err)
	}
	slices.Reverse(summaries)
	seen := map[string]bool{}
	for _, s := range summaries {
		if seen[s.MessageID] {
			continue
		}
		seen[s.MessageID] = true
		raw, err := b.store.Raw(b.t.Context(), s.ID)
		if err != nil {
			b.t.Fatal(err)
		}
		list = append(list, string(s.Intake)+" "+string(raw))
	}
	return list
}

func (b *bench) wantKept(want ...string) {
	b.t.Helper()
	if got := b.kept(); !slices.Equal(got, want) {
		b.t.Errorf("kept %q\nwant %q", got, want)
	}
}

// frame is one frame with its right checksum.
func frame(n byte, text string, end bool) string {
	return string(lis01.AppendFrame(nil, lis01.Frame{Number: n, Text: []byte(text), End: end}))
}

func block(text string) string { return string(mllp.AppendBlock(nil, []byte(text))) }

const ack, nak = "\x06", "\x15"

type silent struct{}

func (silent) Message(string, envelope.Protocol, string) {}
func (silent) NegativeAck(string, string)                {}
func (silent) Query(string, string)                      {}
func (silent) SerialErrors(string, string, uint64)       {}
func (silent) Up(string, bool)                           {}
func (silent) Connections(string, int)                   {}
func (silent) Sessions(int)                              {}
func (silent) Commits(int)                               {}
func (silent) Committed(time.Duration)                   {}
func (silent) NotCommitted(error)                        {}

const (
	header = "H|\\^&|||Lab^1|||||||P|1|20240102030405\r"
	order  = "O|1|S1||^^^GLU\r"
	result = "R|1|^^^GLU|5.1|mmol/L\r"
	last   = "L|1|N\r"
)

func TestASTMIsStoredBeforeItsLastACK(t *testing.T) {
	b := newBench(t, Defaults())
	b.say("\x05", ack)
	one, two, three := frame('1', header, true), frame('2', order+result[:8], false), frame('3', result[8:]+last, true)
	b.say(one, ack)
	b.say(two, ack)
	if got := b.kept(); len(got) != 0 {
		t.Fatalf("stored before its end: %q", got)
	}
	b.say(three, ack)
	b.wantKept("accepted " + one + two + three)
	b.say("\x04", "")
	b.silence()
	b.wantKept("accepted " + one + two + three)
}

func TestASTMStoreFailureGetsNAK(t *testing.T) {
	b := newBench(t, Defaults())
	b.say("\x05", ack)
	b.say(frame('1', header+order+result, true), ack)
	if err := b.store.Close(); err != nil {
		t.Fatal(err)
	}
	b.say(frame('2', last, true), nak)
	b.say(frame('2', last, true), nak)
}

func TestASTMRepeatIsStoredOnce(t *testing.T) {
	b := newBench(t, Defaults())
	whole := frame('1', header+order+result+last, true)
	b.say("\x05", ack)
	b.say(whole, ack)
	b.say(whole, ack) // our ACK was lost
	b.say("\x04", "")
	b.silence()
	b.wantKept("accepted " + whole)
}

func TestASTMTwoMessagesInOneFrame(t *testing.T) {
	b := newBench(t, Defaults())
	first, second := header+order+result+last, strings.Replace(header+order+result+last, "S1", "S2", 1)
	b.say("\x05", ack)
	b.say(frame('1', first+second, true), ack)
	b.wantKept("accepted "+frame('1', first, true), "accepted "+frame('1', second, true))
}

func TestASTMEndsWithoutTerminator(t *testing.T) {
	b := newBench(t, Defaults())
	whole := frame('1', header+order+result, true)
	b.say("\x05", ack)
	b.say(whole, ack)
	b.say("\x04", "")
	b.silence()
	b.wantKept("parked " + whole)
}

func TestASTMBrokenOffIsIncomplete(t *testing.T) {
	cut := frame('1', header+order, false)
	for name, end := range map[string]string{
		"EOT after an intermediate frame": "\x04",
		"a new session":                   "\x05",
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, Defaults())
			b.say("\x05", ack)
			b.say(cut, ack)
			b.say(end, strings.Repeat(ack, strings.Count(end, "\x05")))
			b.silence()
			b.wantKept("incomplete " + cut)
		})
	}
	t.Run("the line is lost", func(t *testing.T) {
		b := newBench(t, Defaults())
		b.say("\x05", ack)
		b.say(cut, ack)
		b.hangUp()
		b.wantKept("incomplete " + cut)
	})
}

func TestASTMEndAtEOT(t *testing.T) {
	settings := Defaults()
	settings.Quirks.End = "eot"
	whole := frame('1', header, true) + frame('2', order+result, true)
	t.Run("delivered", func(t *testing.T) {
		b := newBench(t, settings)
		b.say("\x05", ack)
		b.say(frame('1', header, true), ack)
		b.say(frame('2', order+result, true), ack)
		if status, err := b.store.Status(t.Context()); err != nil || status.Drafts != 1 {
			t.Fatalf("%d drafts before EOT (%v), want 1", status.Drafts, err)
		}
		b.say("\x04", "")
		b.silence()
		b.wantKept("accepted " + whole)
		if status, err := b.store.Status(t.Context()); err != nil || status.Drafts != 0 {
			t.Errorf("%d drafts after EOT (%v), want 0", status.Drafts, err)
		}
	})
	t.Run("parked when the line is lost before EOT", func(t *testing.T) {
		b := newBench(t, settings)
		b.say("\x05", ack)
		b.say(frame('1', header, true), ack)
		b.say(frame('2', order+result, true), ack)
		b.hangUp()
		b.wantKept("parked " + whole)
	})
}

// The cut of the stream must not matter, nor must what one read holds.
func TestASTMAnyCut(t *testing.T) {
	whole := "\x05" + frame('1', header+order, false) + frame('2', result+last, true) + "\x04\x05" +
		frame('1', strings.Replace(header+order+result+last, "S1", "S2", 1), true) + "\x04"
	want := []string{
		"accepted " + frame('1', header+order, false) + frame('2', result+last, true),
		"accepted " + frame('1', strings.Replace(header+order+result+last, "S1", "S2", 1), true),
	}
	b := newBench(t, Defaults())
	for cut := range whole {
		b.say(whole[:cut], "")
		b.say(whole[cut:], strings.Repeat(ack, 5))
		b.silence()
		if got := b.newest(2); !slices.Equal(got, want) {
			t.Fatalf("cut at %d: kept %q\nwant %q", cut, got, want)
		}
		b.hangUp()
		b.connect(Defaults())
	}
}

func TestASTMJunkClosesTheLine(t *testing.T) {
	b := newBench(t, Defaults())
	if _, err := io.WriteString(b.line, strings.Repeat("x", 5<<10)); err != nil {
		t.Fatal(err)
	}
	if err := <-b.ended; !errors.Is(err, errJunk) {
		t.Errorf("line ended with %v, want %v", err, errJunk)
	}
	b.ended <- nil
}

func TestASTMFrameWithoutEnd(t *testing.T) {
	b := newBench(t, Defaults())
	b.say("\x05", ack)
	b.say("\x02"+strings.Repeat("x", 70<<10), nak)
}

func TestStopLetsAMessageFinish(t *testing.T) {
	b := newBench(t, Defaults())
	b.service.Grace = lasting(time.Minute)
	one, two := frame('1', header+order+result, true), frame('2', last, true)
	b.say("\x05", ack)
	b.say(one, ack)
	b.stop()
	b.say(two, ack)
	b.say("\x04", "")
	if err := <-b.ended; err != nil {
		t.Errorf("line ended with %v", err)
	}
	b.ended <- nil
	b.wantKept("accepted " + one + two)
}

func TestStopClosesAnIdleLineAtOnce(t *testing.T) {
	b := newBench(t, Defaults())
	b.service.Grace = lasting(time.Hour)
	b.silence()
	b.stop()
	if err := <-b.ended; err != nil {
		t.Errorf("line ended with %v", err)
	}
	b.ended <- nil
	if _, err := b.line.Read(make([]byte, 1)); !errors.Is(err, io.EOF) && !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("read on a closed line: %v", err)
	}
}

// Some senders end a record with its frame alone, and leave the CR out.
func TestASTMRecordsWithoutCR(t *testing.T) {
	b := newBench(t, Defaults())
	b.say("\x05", ack)
	records := []string{`H|\^&|||Lab`, "P|1", "O|1|S1||^^^GLU", "R|1|^^^GLU|5", "L|1|N"}
	for i, record := range records {
		b.say(frame(byte('1'+i), record, true), ack)
	}
	b.say("\x04", "")
	summaries, err := b.store.List(t.Context(), spool.Filter{})
	if err != nil || len(summaries) != 1 || summaries[0].SampleID != "S1" || summaries[0].Intake != envelope.Accepted {
		t.Errorf("stored %+v (%v)", summaries, err)
	}
}

func TestASTMTooLongGetsNAK(t *testing.T) {
	settings := Defaults()
	settings.Limits.Message = 1 << 10
	b := newBench(t, settings)
	b.say("\x05", ack)
	b.say(frame('1', header+order, true), ack)
	b.say(frame('2', "C|1|"+strings.Repeat("x", 1<<10)+"\r", true), nak)
	b.silence()
	b.wantKept("rejected " + frame('1', header+order, true))
}

// What an allowlist cannot look into is not kept, and so not acknowledged.
func TestNotKeptIsNotAcknowledged(t *testing.T) {
	allow := envelope.Allowlist{ASTM: &envelope.Allowed{Fields: map[string][]int{"R": {4}}}, HL7: &envelope.Allowed{Fields: map[string][]int{"OBX": {5}}}}
	b := newScrubbedBench(t, Defaults(), allow)
	b.say("\x05", ack)
	b.say(frame('1', "P|1||||Adam\r"+result+last, true), nak)
	b.wantKept("rejected ")

	b = newScrubbedBench(t, hl7Settings(), allow)
	if answer := b.ask(block(oru+strings.Repeat("Z\r", 60_000)), 1)[0]; msa(answer, 1) != "AR" {
		t.Errorf("answer %q", hl7.Append(nil, answer))
	}
	b.wantKept("rejected ")
}

// The quirks that a header told hold for a repeat of the message's last frame.
func TestQuirksOutliveTheMessage(t *testing.T) {
	b := newBench(t, Defaults())
	a := &astm{line: &line{Service: b.service, members: []Instrument{{Name: "analyser", Settings: Defaults()}}}}
	a.enter()
	a.adopt([]byte(frame('1', "H|\\^&|||H500^1^2\r", true)))
	if !a.receiver.Rules.IgnoreNumbers {
		t.Fatal("the header's quirks were not taken")
	}
	a.adopt([]byte(frame('5', last, true)))
	if !a.receiver.Rules.IgnoreNumbers {
		t.Error("a repeated last frame has undone the header's quirks")
	}
}

// lasting is a grace period that stays as it is.
func lasting(grace time.Duration) func() time.Duration {
	return func() time.Duration { return grace }
}
