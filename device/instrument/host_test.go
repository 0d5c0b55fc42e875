package instrument

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/assaygate/assaygate/device/profile"
)

// outcomes counts what becomes of queries.
type outcomes struct {
	silent
	mu   sync.Mutex
	list []string
}

func (o *outcomes) Query(instrument, outcome string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.list = append(o.list, instrument+" "+outcome)
}

func (o *outcomes) want(t *testing.T, want ...string) {
	t.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	if !slices.Equal(o.list, want) {
		t.Errorf("outcomes %q, want %q", o.list, want)
	}
}

// asking is a line in a bubble of synctest, with the instrument at its end.
type asking struct {
	*bench
	*peer
	*outcomes
	t   *testing.T
	log bytes.Buffer
}

func newAsking(t *testing.T, worklist Worklist) *asking {
	t.Helper()
	a := &asking{bench: newPipedBench(t, Defaults()), outcomes: &outcomes{}, t: t}
	a.hangUp()
	a.service.Observer, a.service.Worklist, a.service.Grace = a.outcomes, worklist, lasting(time.Hour)
	a.service.Log = slog.New(slog.NewTextHandler(&a.log, nil))
	a.connect(Defaults())
	a.plug()
	return a
}

// plug puts a peer at the end of the line.
func (a *asking) plug() {
	a.peer = &peer{conn: a.line}
	go a.peer.read()
}

// clear forgets what came.
func (p *peer) clear() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.got = nil
}

// says sends bytes as a dialogue writes them, and expects what comes at once.
func (a *asking) says(text, want string) {
	a.t.Helper()
	if err := a.peer.send(text); err != nil {
		a.t.Fatal(err)
	}
	a.gets(0, want)
}

// gets expects what comes within a time.
func (a *asking) gets(within time.Duration, want string) {
	a.t.Helper()
	time.Sleep(within)
	synctest.Wait()
	if err := a.peer.expect(want); err != nil {
		a.t.Fatal(err)
	}
	if left := a.peer.left(); len(left) > 0 {
		a.t.Fatalf("behind %s there came %s", want, spell(left))
	}
}

const (
	asks = "<STX>1H|\\^&|||Lab^1|||||Host||P|1<CR>Q|1|^S1^R2^7||^^^GLU\\^^^CA<CR>L|1|N<CR><ETX><SUM><CR><LF>"
	head = "<STX>1H|\\^&|||Host|||||Lab^1||P|1|<TIME><CR>"
	done = "<ETX><SUM><CR><LF>"
	none = head + "L|1|I<CR>" + done
)

// ask has the instrument ask.
func (a *asking) ask() {
	a.t.Helper()
	a.says("<ENQ>", "<ACK>")
	a.says(asks, "<ACK>")
	a.says("<EOT>", "")
}

// bubble runs a test in a bubble of synctest.
func bubble(t *testing.T, name string, f func(*testing.T)) {
	t.Run(name, func(t *testing.T) { synctest.Test(t, f) })
}

// worklist is one of functions.
type worklist func(context.Context, Query) ([]Order, error)

func (w worklist) Orders(ctx context.Context, q Query) ([]Order, error) { return w(ctx, q) }

func TestWorklist(t *testing.T) {
	var asked Query
	for _, tt := range []struct {
		name  string
		knows worklist
		think time.Duration
		want  string
	}{
		{
			"two orders",
			func(_ context.Context, q Query) ([]Order, error) {
				asked = q
				return []Order{{Sample: "S1", Patient: "P7", Tests: []string{"GLU", "CA"}, Priority: "R"}, {Sample: "S|1", Tests: []string{"NA"}}}, nil
			},
			0,
			head + "P|1|P7<CR>O|1|S1||^^^GLU\\^^^CA|R||||||N||||||||||||||Q<CR>P|2<CR>O|1|S&F&1||^^^NA|||||||N||||||||||||||Q<CR>L|1|F<CR>" + done,
		},
		{"nothing", func(context.Context, Query) ([]Order, error) { return nil, nil }, 0, none},
		{"an error", func(context.Context, Query) ([]Order, error) { return nil, errors.New("no connection") }, 0, none},
		{
			"no answer in time",
			func(ctx context.Context, _ Query) ([]Order, error) { <-ctx.Done(); return nil, ctx.Err() },
			worklistTimeout, none,
		},
	} {
		bubble(t, tt.name, func(t *testing.T) {
			a := newAsking(t, tt.knows)
			a.ask()
			a.gets(time.Second+tt.think, "<ENQ>")
			a.says("<ACK>", tt.want)
			a.says("<ACK>", "<EOT>")
			a.outcomes.want(t, "analyser answered")
			if strings.Contains(a.log.String(), "S1") {
				t.Errorf("the log tells a sample:\n%s", &a.log)
			}
		})
	}
	if want := (Query{Instrument: "analyser", Samples: []string{"S1"}, Tests: []string{"GLU", "CA"}, Raw: "^S1^R2^7"}); !reflect.DeepEqual(asked, want) {
		t.Errorf("asked %+v, want %+v", asked, want)
	}
}

// The end of the box ends a session of its own at once, in whatever state.
func TestStopWhileAnswering(t *testing.T) {
	for _, tt := range []struct{ name, before, last string }{
		{"before it began", "", ""},
		{"enquiry", "<ENQ>", "<EOT>"},
		{"transfer", "<ENQ> <ACK> " + none, "<EOT>"},
		{"waiting for a busy instrument", "<ENQ> <NAK> ", ""},
	} {
		bubble(t, tt.name, func(t *testing.T) {
			a := newAsking(t, nil)
			a.ask()
			if tt.before != "" {
				steps := strings.Split(tt.before, " ")
				a.gets(time.Second, steps[0])
				if len(steps) > 1 {
					a.says(steps[1], steps[2])
				}
			}
			begun := time.Now()
			a.stop()
			if err := <-a.ended; err != nil || time.Since(begun) > stopTimeout {
				t.Errorf("ended with %v after %v", err, time.Since(begun))
			}
			a.ended <- nil
			a.gets(0, tt.last)
			a.outcomes.want(t, "analyser undelivered")
		})
	}
}

func TestHangUpWhileAnswering(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAsking(t, nil)
		a.ask()
		a.gets(time.Second, "<ENQ>")
		a.says("<ACK>", none)
		a.hangUp()
		a.outcomes.want(t, "analyser undelivered")
	})
}

func TestQueryOutcomes(t *testing.T) {
	cancel := strings.Replace(asks, "\\^^^CA<CR>", "||||||||A<CR>", 1)
	for _, tt := range []struct {
		name string
		play func(*asking)
		want []string
	}{
		{"refused", func(a *asking) {
			a.ask()
			a.gets(time.Second, "<ENQ>")
			a.says("<ACK>", none)
			for range 5 {
				a.says("<NAK>", none)
			}
			a.says("<NAK>", "<EOT>")
		}, []string{QueryUndelivered}},
		{"replaced", func(a *asking) {
			a.ask()
			a.ask()
			a.gets(time.Second, "<ENQ>")
			a.says("<ACK>", none)
			a.says("<ACK>", "<EOT>")
		}, []string{QueryReplaced, QueryAnswered}},
		{"canceled", func(a *asking) {
			a.ask()
			a.says("<ENQ>", "<ACK>")
			a.says(cancel, "<ACK>")
			a.says("<EOT>", "")
			a.gets(time.Minute, "")
		}, []string{QueryCanceled}},
		{"nothing to cancel", func(a *asking) {
			a.says("<ENQ>", "<ACK>")
			a.says(cancel, "<ACK>")
			a.says("<EOT>", "")
			a.gets(time.Minute, "")
		}, nil},
	} {
		bubble(t, tt.name, func(t *testing.T) {
			a := newAsking(t, nil)
			tt.play(a)
			for i, one := range tt.want {
				tt.want[i] = "analyser " + one
			}
			a.outcomes.want(t, tt.want...)
		})
	}
}

// An instrument that never takes an answer is named once, not each time it asks.
func TestUndeliveredIsLoggedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAsking(t, nil)
		for range 3 {
			a.ask()
			a.gets(time.Second, "<ENQ>")
			a.gets(16*time.Second, "<EOT>")
		}
		a.outcomes.want(t, slices.Repeat([]string{"analyser undelivered"}, 3)...)
		if n := strings.Count(a.log.String(), "not delivered"); n != 1 {
			t.Errorf("said %d times:\n%s", n, &a.log)
		}
	})
}

// What comes in one piece with a reply is not lost, and noise is one refusal.
func TestAnswerInPieces(t *testing.T) {
	bubble(t, "the instrument begins behind its last ACK", func(t *testing.T) {
		a := newAsking(t, nil)
		a.ask()
		a.gets(time.Second, "<ENQ>")
		a.says("<ACK>", none)
		a.says("<ACK><ENQ>", "<EOT><ACK>")
		a.says(asks, "<ACK>")
	})
	bubble(t, "the instrument begins behind its ACK to ENQ", func(t *testing.T) {
		a := newAsking(t, nil)
		a.ask()
		a.gets(time.Second, "<ENQ>")
		a.says("<ACK><ENQ>", none+"<EOT><ACK>")
	})
	bubble(t, "noise", func(t *testing.T) {
		a := newAsking(t, nil)
		a.ask()
		a.gets(time.Second, "<ENQ>")
		a.says("<ACK>", none)
		a.says("noise<x80>", none)
		a.says("<ACK>", "<EOT>")
		a.outcomes.want(t, "analyser answered")
	})
	bubble(t, "two ENQ in contention", func(t *testing.T) {
		a := newAsking(t, nil)
		a.ask()
		a.gets(time.Second, "<ENQ>")
		a.says("<ENQ><ENQ>", "<ACK>")
	})
}

// A packet in a maker's own format comes without ENQ, and nobody sends it again:
// it is kept though the box had begun to send.
func TestPacketWhileAnswering(t *testing.T) {
	for _, state := range []string{"enquiry", "waiting"} {
		bubble(t, state, func(t *testing.T) {
			a := newAsking(t, nil)
			a.ask()
			a.gets(time.Second, "<ENQ>")
			packet := vidas("4711")
			want := "<EOT>"
			if state == "waiting" {
				a.says("<NAK>", "")
				want = ""
			}
			if _, err := a.line.Write([]byte(packet)); err != nil {
				t.Fatal(err)
			}
			a.gets(2*time.Second, want)
			if kept := a.kept(); len(kept) != 2 || !strings.Contains(kept[1], packet) {
				t.Errorf("kept %q", kept)
			}
			a.gets(20*time.Second, "<ENQ>")
		})
	}
}

// What a profile says of its instrument's line holds, and the configuration wins.
func TestQuirksOfAProfile(t *testing.T) {
	directory := t.TempDir()
	mine := "name: mine\nprotocol: astm\ntitle: mine\nmatch: {H.5.1: [Lab]}\nquirks: {query: no_order, receiver_timeout: 90s, frame_size: 40}\n"
	if err := os.WriteFile(filepath.Join(directory, "mine.yaml"), []byte(mine), 0o600); err != nil {
		t.Fatal(err)
	}
	profiles, err := profile.Load(profile.Options{Directory: directory})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		own    profile.Quirks
		answer string
	}{
		{"profile", profile.Quirks{FrameSize: 240}, head + "P|1<CR>O|1|S1||^^^GLU\\^^^CA|||||||||||||||||||||Y<CR>L|1|F<CR>" + done},
		{"configuration", profile.Quirks{Query: "no_information", FrameSize: 240}, none},
	} {
		bubble(t, tt.name, func(t *testing.T) {
			a := newAsking(t, nil)
			a.hangUp()
			a.service.Profiles = profiles
			settings := Defaults()
			settings.Quirks = tt.own
			a.connect(settings)
			a.plug()
			a.ask()
			a.gets(time.Second, "<ENQ>")
			a.says("<ACK>", tt.answer)
			a.says("<ACK>", "<EOT>")

			a.says("<ENQ>", "<ACK>")
			a.says("<STX>1H|\\^&|||Lab<CR>O|1|S1<CR>"+done, "<ACK>")
			time.Sleep(89 * time.Second)
			a.says("<STX>2R|1|^^^GLU|1<CR>L|1|N<CR>"+done, "<ACK>")
		})
	}
}

// Whatever an instrument does while the box has something to say, its own session
// comes through: ENQ gets ACK, and so does its message, which is kept.
func TestAnsweringNeverHarmsReception(t *testing.T) {
	pieces := []string{
		"<ENQ>", "<ENQ>", "<ACK>", "<ACK>", "<NAK>", "<EOT>", "<STX>", "<ETX>", "<CR><LF>", "x", "<ACK><ENQ>", "<EOT><ENQ>",
		asks, "<STX>1H|\\^&|||Lab<CR>O|1|S1<CR>" + done, "<STX>2R|1|^^^GLU|1<CR>L|1|N<CR>" + done,
	}
	waits := []time.Duration{0, 0, 100 * time.Millisecond, time.Second, 11 * time.Second, 16 * time.Second, 31 * time.Second}
	for seed := range uint64(6) {
		bubble(t, fmt.Sprint(seed), func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 1))
			a := newAsking(t, nil)
			for range 40 {
				if random.IntN(4) == 0 {
					a.peer.send("<ENQ>")
					a.peer.send(asks)
					a.peer.send("<EOT>")
				}
				if err := a.peer.send(pieces[random.IntN(len(pieces))]); err != nil {
					t.Fatal(err)
				}
				time.Sleep(waits[random.IntN(len(waits))])
				synctest.Wait()
			}
			time.Sleep(3 * time.Minute) // every timer is over, or the box has just begun again
			synctest.Wait()
			before := len(a.kept())
			whole := frame('1', header+order+result+last, true)
			for tries, taken := 0, false; !taken; tries++ {
				if tries == 3 {
					t.Fatalf("ENQ got no ACK in %d tries: %s", tries, spell(a.peer.left()))
				}
				a.peer.clear()
				a.peer.send("<ENQ>")
				synctest.Wait()
				taken = bytes.HasSuffix(a.peer.left(), []byte(ack))
				time.Sleep(time.Second) // as the standard asks in contention
			}
			a.peer.clear()
			if _, err := a.line.Write([]byte(whole)); err != nil {
				t.Fatal(err)
			}
			a.gets(0, "<ACK>")
			if kept := a.kept(); len(kept) != before+1 || kept[before] != "accepted "+whole {
				t.Errorf("kept %q", kept[min(before, len(kept)):])
			}
		})
	}
}
