package instrument

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/assaygate/assaygate/device/port"
	"github.com/assaygate/assaygate/envelope"
	"github.com/assaygate/assaygate/envelope/spool"
)

// listen serves a listener with these members until the test ends.
func (b *bench) listen(members ...Instrument) (address string) {
	b.t.Helper()
	listener, err := port.Listen(b.t.Context(), "127.0.0.1:0")
	if err != nil {
		b.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- b.service.Listen(ctx, listener, port.NewGate(port.TotalConnections), members, func() {})
	}()
	b.t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			b.t.Error(err)
		}
	})
	return listener.Addr().String()
}

func (b *bench) dial(address string) {
	b.t.Helper()
	b.line.Close()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { conn.Close() })
	b.line = conn
}

// Instruments that share a listener are told apart by their headers.
func TestSharedListener(t *testing.T) {
	b := newBench(t, Defaults())
	named := func(name, profile string) Instrument {
		s := Defaults()
		s.Profile = profile
		return Instrument{Name: name, Settings: s}
	}
	b.dial(b.listen(named("any", ""), named("xn", "sysmex_xn"), named("c111", "roche_cobas_c111")))
	for sender, want := range map[string]string{"XN-550^1": "xn", "a^Roche^c111": "c111", "Star": "any"} {
		b.say("\x05", ack)
		b.say(frame('1', "H|\\^&|||"+sender+"\r"+order+result+last, true), ack)
		b.say("\x04", "")
		summaries, err := b.store.List(t.Context(), spool.Filter{Limit: 1})
		if err != nil || len(summaries) != 1 || summaries[0].Instrument != want {
			t.Errorf("%s is of %+v (%v), want %s", sender, summaries, err, want)
		}
	}
}

// panicking is an observer with a fault, as any code of ours might have.
type panicking struct {
	silent
	mu      sync.Mutex
	armed   bool
	reasons []string
}

func (p *panicking) Message(string, envelope.Protocol, string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.armed {
		p.armed = false
		panic("a fault")
	}
}

func (p *panicking) NegativeAck(_, reason string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.reasons = append(p.reasons, reason)
}

// A panic closes its line without an answer, and no other.
func TestPanicClosesOneLine(t *testing.T) {
	b := newBench(t, Defaults())
	observer := &panicking{armed: true}
	b.service.Observer = observer
	address := b.listen(Instrument{Name: "analyser", Settings: Defaults()})
	b.dial(address)
	b.say("\x05", ack)
	if _, err := io.WriteString(b.line, frame('1', header+order+result+last, true)); err != nil {
		t.Fatal(err)
	}
	if n, err := b.line.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Fatalf("read %d bytes, %v; want the end of the line", n, err)
	}
	b.dial(address)
	b.say("\x05", ack)
	b.say(frame('1', header+order+result+last, true), ack)
	observer.mu.Lock()
	defer observer.mu.Unlock()
	if strings.Join(observer.reasons, " ") != reasonPanic {
		t.Errorf("counted %q", observer.reasons)
	}
}

// An instrument that is the TCP server is dialled, and dialled again.
func TestDialledAgainAfterALoss(t *testing.T) {
	b := newBench(t, Defaults())
	analyser, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer analyser.Close()
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- b.service.Dial(ctx, Instrument{Name: "analyser", Settings: Defaults()}, port.Settings{Dial: analyser.Addr().String()}, func() {})
	}()
	for range 2 {
		b.line.Close()
		if b.line, err = analyser.Accept(); err != nil {
			t.Fatal(err)
		}
		b.say("\x05", ack)
		b.say(frame('1', header+order+result+last, true), ack)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// Where nobody knows whether a commit took place, neither answer is true.
func TestNoAnswerInDoubt(t *testing.T) {
	here, there := socketPair(t)
	defer here.Close()
	l := &line{conn: there, uncertain: spool.ErrUncertain}
	if err := l.write([]byte{0x06}); !errors.Is(err, spool.ErrUncertain) {
		t.Errorf("write: %v", err)
	}
	there.Close()
	here.SetReadDeadline(time.Now().Add(10 * time.Second))
	if n, err := here.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("%d bytes left the box (%v)", n, err)
	}
}

// Each connection is watched from its first moment to its end, and reports while
// nothing comes.
func TestConnectionsAreWatched(t *testing.T) {
	b := newBench(t, Defaults())
	began, reported, over := make(chan string, 1), make(chan bool, 64), make(chan bool, 1)
	b.service.Watch = func(instrument, remote string) (progress, ended func()) {
		began <- instrument + " " + remote
		return func() {
			select {
			case reported <- true:
			default:
			}
		}, func() { over <- true }
	}
	b.dial(b.listen(Instrument{Name: "lan", Settings: Defaults()}))
	if name := <-began; name != "lan "+b.line.LocalAddr().String() {
		t.Errorf("watched as %q", name)
	}
	<-reported // before the first byte
	for len(reported) > 0 {
		<-reported
	}
	b.say("\x05", ack)
	<-reported
	select {
	case <-over:
		t.Error("no longer watched")
	default:
	}
	b.line.Close()
	<-over
}

// slowWriter takes what it is given piece by piece.
type slowWriter struct {
	port.Line
	sizes []int
}

func (w *slowWriter) Write(p []byte) (int, error) {
	w.sizes = append(w.sizes, len(p))
	return len(p), nil
}
func (w *slowWriter) SetWriteDeadline(time.Time) error { return nil }

// An answer that takes minutes on a slow line is no standstill.
func TestALongAnswerReportsProgress(t *testing.T) {
	w, turns := &slowWriter{}, 0
	l := &line{conn: w, progress: func() { turns++ }}
	if err := l.write(make([]byte, 2*mostWritten+1)); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(w.sizes, []int{mostWritten, mostWritten, 1}) || turns != 2 {
		t.Errorf("written %v with %d reports", w.sizes, turns)
	}
	l.uncertain = errors.New("nobody knows")
	if err := l.write(make([]byte, 2*mostWritten)); err == nil {
		t.Error("answered though nobody knows")
	}
}
