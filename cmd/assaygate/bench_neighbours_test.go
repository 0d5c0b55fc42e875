package main

import (
	"context"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/assaygate/assaygate/device/simulator"
	"github.com/assaygate/assaygate/protocols/lis01"
)

const (
	neighbours = 63
	// lineRate is what 115200 baud carry, in bytes a second. A serial device
	// server passes on what came in the last few milliseconds.
	lineRate   = 11520
	packetTime = 10 * time.Millisecond
	// quietBefore lets the lines settle before a phase is measured.
	quietBefore = 500 * time.Millisecond
	phaseSize   = 50 // messages
)

// BenchmarkNeighbours measures what an analyser sees of 63 others that misbehave:
// the time from its ENQ to the ACK of its last frame, which leaves only when the
// message is durable. The gateway is the real service with a real store; it and
// the 64 analysers are one process, over loopback, on the same processors. Each of
// the 63 sends without a pause, as fast as a serial device server at 115200 baud:
//
//   - bytes that mean nothing, until the gateway closes; then it dials again
//   - good messages, byte by byte, 100 bytes a second
//   - ENQ after ENQ
//   - frames with wrong checksums
//   - a frame without an end
//   - good frames, but each session broken off inside one
//
// Phases with and without them take turns. ratio is the mean time of a message
// among them by that alone, median-ratio the same of the medians.
func BenchmarkNeighbours(b *testing.B) {
	r := start(b, base(b.TempDir())+`
instruments: [{name: lan, astm: {listen: "127.0.0.1:0"}, limits: {connections: 512, per_address: 512}}]
destinations: []
`)
	address := r.addresses["lan"]
	conn := dial(b, address)
	message := benchMessages(b)
	phase := func(n int) (times []time.Duration) {
		time.Sleep(quietBefore)
		for range n {
			begun := time.Now()
			result, err := simulator.Play(b.Context(), conn, message, simulator.Options{})
			times = append(times, time.Since(begun))
			if err != nil || len(result.Acknowledged) != 1 {
				b.Fatalf("%+v, %v", result, err)
			}
		}
		return times
	}
	phase(phaseSize) // the first messages find everything cold
	var alone, among []time.Duration
	for b.ResetTimer(); len(among) < b.N; {
		b.StopTimer()
		n := min(phaseSize, b.N-len(among))
		alone = append(alone, phase(n)...)
		stop := misbehave(b, address, message)
		b.StartTimer()
		among = append(among, phase(n)...)
		b.StopTimer()
		stop()
	}
	b.ReportMetric(float64(mean(among))/float64(mean(alone)), "ratio")
	b.ReportMetric(float64(median(among))/float64(median(alone)), "median-ratio")
	b.ReportMetric(float64(mean(alone)), "ns/alone")
	b.ReportMetric(float64(mean(among)), "ns/op") // without the pauses
}

func benchMessages(b *testing.B) []simulator.Message {
	b.Helper()
	data, err := simulator.Capture("roche_cobas_c111.astm")
	if err != nil {
		b.Fatal(err)
	}
	messages, err := simulator.Read(data)
	if err != nil {
		b.Fatal(err)
	}
	return messages
}

// misbehave starts the 63 and returns once all are connected. They end with
// stop.
func misbehave(b *testing.B, address string, messages []simulator.Message) (stop func()) {
	b.Helper()
	kinds := []func(context.Context, net.Conn){
		pour(func() []byte { return garbage }),
		playBadly(b, messages, "slow"),
		pour(func() []byte { return enquiries }),
		playBadly(b, messages, "checksum:always"),
		pour(endlessFrame),
		playBadly(b, messages, "enq-storm"),
	}
	ctx, cancel := context.WithCancel(b.Context())
	var running, connected sync.WaitGroup
	connected.Add(neighbours)
	for i := range neighbours {
		running.Go(func() {
			time.Sleep(rand.N(packetTime)) // not all in step
			for first := true; ctx.Err() == nil; first = false {
				conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
				if err != nil {
					break
				}
				if first {
					connected.Done()
				}
				closing := context.AfterFunc(ctx, func() { conn.Close() })
				kinds[i%len(kinds)](ctx, paced{conn})
				closing()
				conn.Close()
				select { // the gateway has closed it
				case <-ctx.Done():
				case <-time.After(time.Second):
				}
			}
		})
	}
	connected.Wait()
	return func() {
		cancel()
		running.Wait()
	}
}

// paced is a connection behind a serial line of 115200 baud.
type paced struct{ net.Conn }

func (p paced) Write(data []byte) (n int, err error) {
	const most = lineRate / int(time.Second/packetTime)
	for n < len(data) && err == nil {
		part := data[n:min(n+most, len(data))]
		time.Sleep(time.Duration(len(part)) * time.Second / lineRate)
		var written int
		written, err = p.Conn.Write(part)
		n += written
	}
	return n, err
}

var (
	garbage   = slices.Repeat([]byte("\x0b\x1c!?#x9\x7f\x80\xff\x00 garbage ~"), 100)
	enquiries = slices.Repeat([]byte{lis01.ENQ}, 1000)
)

// pour writes without listening until the connection ends. What the gateway
// answers is read and forgotten.
func pour(next func() []byte) func(context.Context, net.Conn) {
	return func(ctx context.Context, conn net.Conn) {
		var hearing sync.WaitGroup
		hearing.Go(func() {
			for chunk := make([]byte, 4096); ; {
				if _, err := conn.Read(chunk); err != nil {
					return
				}
			}
		})
		for ctx.Err() == nil {
			if _, err := conn.Write(next()); err != nil {
				break
			}
		}
		conn.Close()
		hearing.Wait()
	}
}

// endlessFrame begins a session and a frame, and goes on with its text for longer
// than limits.frame.
func endlessFrame() []byte {
	return slices.Concat([]byte{lis01.ENQ, lis01.STX, '1'}, endless)
}

var endless = slices.Repeat([]byte("R|1|^^^GLU|5.1|mmol/L||N||F "), 4096)

// playBadly plays with a fault, again and again.
func playBadly(b *testing.B, messages []simulator.Message, name string) func(context.Context, net.Conn) {
	b.Helper()
	fault, err := simulator.ParseFault(name)
	if err != nil {
		b.Fatal(err)
	}
	return func(ctx context.Context, conn net.Conn) {
		// Its error is the end of the benchmark, or that the gateway has closed.
		_, _ = simulator.Play(ctx, conn, messages, simulator.Options{Count: 1 << 20, Fault: fault})
	}
}

func mean(times []time.Duration) (all time.Duration) {
	for _, t := range times {
		all += t
	}
	return all / time.Duration(len(times))
}

func median(times []time.Duration) time.Duration {
	return slices.Sorted(slices.Values(times))[len(times)/2]
}
