package api

import (
	"context"
	"net/http"

	"github.com/assaygate/assaygate/envelope/spool"
)

// verifyLine is one line of what verify answers: progress, the report, or an
// error that came after the status was sent.
type verifyLine struct {
	Done   uint64        `json:"done,omitempty"`
	Total  uint64        `json:"total,omitempty"`
	Report *spool.Report `json:"report,omitempty"`
	Fault  *Failure      `json:"fault,omitempty"`
}

// verify streams: a full store takes minutes on an SD card.
func (a api) verify(w http.ResponseWriter, r *http.Request) {
	ctx, stop := context.WithCancel(r.Context())
	defer stop()
	lines := newLines(w, stop)
	report, err := a.store.Verify(ctx, func(done, total uint64) {
		if lines.due("", done, total) {
			lines.send(verifyLine{Done: done, Total: total})
		}
	})
	if err != nil {
		_, fault := Describe(err)
		lines.send(verifyLine{Report: &report, Fault: &fault}) // with what was found so far
		return
	}
	lines.send(verifyLine{Report: &report})
}
