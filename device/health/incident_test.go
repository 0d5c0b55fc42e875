package health

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// stackOf is how a goroutine looks that waits for a lock.
func stackOf(number, address string) string {
	return "goroutine " + number + ` [sync.Mutex.Lock, 3 minutes]:
sync.(*Mutex).Lock(0x` + address + `)
	/go/src/sync/mutex.go:46 +0x17
main.(*standing).now({0x` + address + `, 0x41})
	/src/standing.go:80 +0x` + number + `
created by sync.(*WaitGroup).Go in goroutine ` + number + `
	/go/src/sync/waitgroup.go:237 +0x73`
}

func TestEqualStacksAreWrittenOnce(t *testing.T) {
	other := "goroutine 9 [running]:\nmain.main()\n\t/src/main.go:10 +0x5"
	stacks := strings.Join([]string{stackOf("21", "c000010203"), other, stackOf("34", "c0000a0b0c"), stackOf("55", "c0000d0e0f")}, "\n\n") + "\n"
	want := `goroutine 21 [sync.Mutex.Lock, 3 minutes]: and 2 more like it
sync.(*Mutex).Lock(...)
	/go/src/sync/mutex.go:46
main.(*standing).now(...)
	/src/standing.go:80
created by sync.(*WaitGroup).Go
	/go/src/sync/waitgroup.go:237

goroutine 9 [running]:
main.main(...)
	/src/main.go:10

`
	if got := string(condense([]byte(stacks), 1<<20)); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	got := string(condense([]byte(stacks), 250))
	if first, _, _ := strings.Cut(want, "goroutine 9"); got != first+"and 1 more different stacks\n\n" {
		t.Errorf("cut off:\n%s", got)
	}
}

// Whoever waits for a lock that nobody gives back is in the dump by the name of
// its function, and what it was called with is not.
func TestDumpShowsWhoWaits(t *testing.T) {
	var lock sync.Mutex
	lock.Lock()
	var waiting sync.WaitGroup
	for range 50 {
		waiting.Go(func() { standsStill(&lock, "DOE^JANE") })
	}
	var text string
	for end := time.Now().Add(time.Minute); !strings.Contains(text, "[sync.Mutex.Lock]: and 49 more like it\n"); {
		if time.Now().After(end) {
			t.Fatalf("not within a minute: all wait for the lock\n%s", text)
		}
		var out bytes.Buffer
		dump(&out, slog.New(slog.DiscardHandler))
		text = out.String()
	}
	lock.Unlock()
	waiting.Wait()
	if strings.Count(text, "health.standsStill(...)") != 1 || strings.Contains(text, "0x") {
		t.Errorf("the dump is\n%s", text)
	}
}

//go:noinline
func standsStill(lock *sync.Mutex, text string) int {
	lock.Lock()
	defer lock.Unlock()
	return len(text)
}

type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }

// Each part is named when it falls silent, the stacks are dumped once, and a dump
// that cannot be written keeps nobody from looking on.
func TestAnIncidentIsToldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var journal bytes.Buffer
		var dumps count
		log := slog.New(slog.NewTextHandler(&journal, nil))
		var i incident
		a, b := silence{"a", time.Minute, time.Second}, silence{"b", time.Minute, time.Second}
		for _, silent := range [][]silence{nil, {a}, {a}, {b, a}, {b}, nil, nil, {a}} {
			i.report(Options{Log: log, Dump: &dumps}, silent)
		}
		if text := journal.String(); strings.Count(text, "part=a") != 2 || strings.Count(text, "part=b") != 1 || strings.Count(text, "healthy again") != 1 {
			t.Errorf("the journal is\n%s", text)
		}
		if dumps != 2 {
			t.Errorf("%d dumps", dumps)
		}
		var next incident
		next.report(Options{Log: log, Dump: brokenPipe{}}, []silence{a})
		if !strings.Contains(journal.String(), "broken pipe") {
			t.Errorf("the journal is\n%s", &journal)
		}
	})
}

// count is how often it was written to.
type count int

func (c *count) Write(p []byte) (int, error) { *c++; return len(p), nil }
