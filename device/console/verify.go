package console

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/assaygate/assaygate/envelope/spool"
)

// verifyLine is one line of what verify answers: progress, the report, or an
// error that came after the status was sent.
type verifyLine struct {
	Done   uint64        `json:"done,omitempty"`
	Total  uint64        `json:"total,omitempty"`
	Report *spool.Report `json:"report,omitempty"`
	Fault  *apiError     `json:"fault,omitempty"`
}

// verify streams: a full store takes minutes on an SD card, and the person
// should see that it moves.
func (a api) verify(w http.ResponseWriter, r *http.Request) {
	control := http.NewResponseController(w)
	// A server's write deadline is for answers that are ready; where there is
	// none to lift, there is none that cuts this one off.
	_ = control.SetWriteDeadline(time.Time{})
	w.Header().Set("Content-Type", "application/x-ndjson")

	ctx, stop := context.WithCancel(r.Context())
	defer stop()
	encoder := json.NewEncoder(w)
	send := func(line verifyLine) {
		if encoder.Encode(line) != nil || control.Flush() != nil {
			stop() // the asker left: no need to read the rest of the card
		}
	}
	var told uint64
	report, err := a.store.Verify(ctx, func(done, total uint64) {
		if done == total || done-told >= max(1, total/100) {
			told = done
			send(verifyLine{Done: done, Total: total})
		}
	})
	if err != nil {
		_, fault := describe(err)
		send(verifyLine{Report: &report, Fault: &fault}) // with what was found so far
		return
	}
	send(verifyLine{Report: &report})
}
