package instrument

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"runtime/debug"
	"sync"
	"time"

	"github.com/assaygate/assaygate/envelope"
	"github.com/assaygate/assaygate/protocols/lis01"
)

// once is ready as its zero value. It lets a kind of event into the log when it begins, not each time: again
// only after it has not happened for a while.
type once struct {
	mu   sync.Mutex
	seen map[string]time.Time
}

// onceAgain is how long an event must stay away to be news again.
const onceAgain = time.Minute

// mostNews is how many kinds of events are news at a time: whoever comes from
// very many addresses fills neither memory nor log.
const mostNews = 256

// first reports whether what is to be said.
func (o *once) first(what string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.seen == nil {
		o.seen = map[string]time.Time{}
	}
	last, known := o.seen[what]
	if !known && len(o.seen) >= mostNews {
		maps.DeleteFunc(o.seen, func(_ string, last time.Time) bool { return time.Since(last) > onceAgain })
		if len(o.seen) >= mostNews {
			return false
		}
	}
	o.seen[what] = time.Now()
	return !known || time.Since(last) > onceAgain
}

// onChange calls f only when the value is another than at the call before.
func onChange(f func(bool)) func(bool) {
	var last bool
	return func(now bool) {
		if now != last {
			last = now
			f(now)
		}
	}
}

// reportPanic logs where a panic came from. Its value is left out: it may hold
// bytes of a message.
func reportPanic(log *slog.Logger, p any) error {
	log.Error("a fault in this program closed the line", "type", fmt.Sprintf("%T", p), "stack", string(debug.Stack()))
	return fmt.Errorf("panic of type %T", p)
}

// Why a line answered with a negative acknowledgement, beside the reasons of
// lis01.Refusal and port.Refusal.
const (
	reasonStore        = "store"
	reasonChecksum     = string(lis01.RefusedChecksum)
	reasonPanic        = "panic"
	reasonRejected     = "rejected"
	reasonTooLong      = "message_too_long"
	reasonFrameTooLong = "frame_too_long"
	reasonTLS          = "tls"
	reasonIdle         = "idle"
	reasonSession      = "session"
	reasonJunk         = "junk"
	reasonCrowded      = "crowded"
)

// closedFor is the reason for which a line was closed on the box's side, "" for
// one that is counted where it arises, or that is none.
func closedFor(err error) string {
	for reason, is := range map[string]error{
		reasonIdle: errIdle, reasonSession: errSession, reasonJunk: errJunk, reasonCrowded: errCrowded,
	} {
		if errors.Is(err, is) {
			return reason
		}
	}
	return ""
}

// NegativeAckReasons are the reasons that an instrument's line may report, so
// that their counters stand at 0 before the first.
func NegativeAckReasons(protocol envelope.Protocol) []string {
	reasons := []string{
		reasonStore, reasonPanic, reasonIdle, reasonSession, reasonJunk, reasonCrowded, reasonTLS,
		"allow_from", "connections", "per_address", "total", "made_room",
	}
	switch protocol {
	case envelope.HL7:
		return append(reasons, reasonRejected, reasonTooLong)
	case envelope.Vendor:
		return append(reasons, reasonChecksum, reasonTooLong)
	}
	return append(reasons, "checksum", "frame_number", "malformed", reasonFrameTooLong, reasonTooLong)
}
