package spool

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/assaygate/assaygate/envelope"
)

// kilobyte is a message of about 1 KiB with ten results.
func kilobyte(lane string, n uint64) envelope.Envelope {
	e := message(lane, fmt.Sprint(n))
	text := string(e.Raw)
	e.Results, e.Records.R = nil, nil
	for i := range 10 {
		value := fmt.Sprint(n%977, ".", i)
		text += fmt.Sprintf("\x02%dR|%d|^^^PARAM-%02d^1|%s|10*3/uL||N||F||||20260301120000^%s\r\x03%02X\r\n", i%8, i+1, i, value, e.ID[24:], i)
		e.Results = append(e.Results, envelope.Result{Test: fmt.Sprintf("PARAM-%02d", i), Value: value, Units: "10*3/uL", Flags: "N", Status: "F", Kind: envelope.KindResult})
		e.Records.R = append(e.Records.R, envelope.Object{
			{Key: "seq", Value: fmt.Sprint(i + 1)},
			{Key: "test", Value: fmt.Sprintf("PARAM-%02d", i)},
			{Key: "value", Value: value},
			{Key: "units", Value: "10*3/uL"},
			{Key: "abnormal_flag", Value: "N"},
			{Key: "status", Value: "F"},
			{Key: "completed_at", Value: "20260301120000"},
		})
	}
	e.Raw, e.Metadata.ASTM, e.Metadata.LIS2A = []byte(text), text, text
	return e
}

// another makes a message that nothing but its results has in common with the
// last one.
func another(e *envelope.Envelope, n uint64) {
	e.ID = uuid.Must(uuid.NewV7()).String()
	e.MessageID, e.SampleID, e.ControlID = e.ID, fmt.Sprint("S-", n), fmt.Sprint(n)
	e.Digest = fmt.Sprintf("%016x%016x%016x%016x", rand.Uint64(), rand.Uint64(), rand.Uint64(), rand.Uint64())
}

// floor measures what the file system takes for 1 KiB appended and synced.
func floor(b *testing.B) time.Duration {
	file, err := os.Create(filepath.Join(b.TempDir(), "floor"))
	if err != nil {
		b.Fatal(err)
	}
	defer file.Close()
	line := make([]byte, 1<<10)
	const n = 300
	start := time.Now()
	for range n {
		if _, err := file.Write(line); err != nil {
			b.Fatal(err)
		}
		if err := datasync(file); err != nil {
			b.Fatal(err)
		}
	}
	return time.Since(start) / n
}

// written returns the bytes that this process has given to write calls.
func written() (n float64) {
	text, _ := os.ReadFile("/proc/self/io") // where there is none, the figure is left out
	for line := range strings.Lines(string(text)) {
		_, _ = fmt.Sscanf(line, "wchar: %g", &n)
	}
	return n
}

// BenchmarkPut reports, beside the time: the rate of the raw append and
// fdatasync of the same run, Put's rate as a multiple of it, commits per
// message, and bytes written per message, checkpoints included.
func BenchmarkPut(b *testing.B) {
	for _, producers := range []int{1, 8, 64} {
		b.Run(fmt.Sprintf("producers=%d", producers), func(b *testing.B) {
			raw := floor(b)
			s := open(b, settings(b), lims)
			var commits atomic.Int64
			commit := s.writer.commit
			s.writer.commit = func() error { commits.Add(1); return commit() }
			var next atomic.Uint64
			before := written()
			b.ResetTimer()
			var wait sync.WaitGroup
			for p := range producers {
				e := kilobyte(fmt.Sprint("lane ", p), uint64(p)) // making a message is not the store's work
				wait.Go(func() {
					for {
						n := next.Add(1)
						if n > uint64(b.N) {
							return
						}
						another(&e, n)
						if _, err := s.Put(b.Context(), e); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wait.Wait()
			b.StopTimer()
			after := written()
			raw = (raw + floor(b)) / 2 // other work on the machine comes and goes
			each := b.Elapsed() / time.Duration(b.N)
			b.ReportMetric(float64(time.Second)/float64(raw), "floor/s")
			b.ReportMetric(float64(time.Second)/float64(each), "messages/s")
			b.ReportMetric(float64(raw)/float64(each), "x-floor")
			b.ReportMetric(float64(commits.Load())/float64(b.N), "commits/message")
			if after > 0 {
				b.ReportMetric((after-before)/1024/float64(b.N), "KiB-written/message")
			}
		})
	}
}

// BenchmarkHeads asks for the heads of lanes with 100 000 messages pending.
func BenchmarkHeads(b *testing.B) {
	const pending = 100_000
	for _, lanes := range []int{1, 20, 1000} {
		b.Run(fmt.Sprintf("lanes=%d", lanes), func(b *testing.B) {
			s := open(b, settings(b), lims)
			fillPending(b, s, pending, lanes)
			b.ResetTimer()
			for b.Loop() {
				heads, err := s.Heads(b.Context(), "lims")
				if err != nil || len(heads) != lanes {
					b.Fatalf("%d heads, %v", len(heads), err)
				}
			}
		})
	}
}

// BenchmarkOpen opens a store with 100 000 messages pending.
func BenchmarkOpen(b *testing.B) {
	dir := settings(b)
	s := open(b, dir, lims)
	fillPending(b, s, 100_000, 20)
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		s, err := Open(b.Context(), dir, Options{Destinations: []Destination{lims}})
		if err != nil {
			b.Fatal(err)
		}
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

// fillPending stores messages in few transactions.
func fillPending(b *testing.B, s *Spool, n, lanes int) {
	b.Helper()
	for from := 0; from < n; from += 1000 {
		var messages [][]record
		for i := from; i < min(n, from+1000); i++ {
			records, err := s.records([]envelope.Envelope{message(fmt.Sprint("lane ", i%lanes), fmt.Sprint(i))})
			if err != nil {
				b.Fatal(err)
			}
			messages = append(messages, records)
		}
		if err := s.writer.write(b.Context(), func(t *tx) error { return t.storeAll(messages) }); err != nil {
			b.Fatal(err)
		}
	}
}
