package api

import (
	"context"
	"encoding/json"
	"net/http"
	"time"
)

// lines answers long work with one JSON object a line, each sent at once: the
// person should see that it moves.
type lines struct {
	w       http.ResponseWriter
	control *http.ResponseController
	encoder *json.Encoder
	stop    context.CancelFunc
	began   bool
	step    string
	told    uint64
}

// newLines answers to w; stop ends the work when nobody listens any more.
func newLines(w http.ResponseWriter, stop context.CancelFunc) *lines {
	return &lines{w: w, control: http.NewResponseController(w), encoder: json.NewEncoder(w), stop: stop}
}

// due reports whether progress is to be told: at each hundredth of a step, and
// at its end.
func (l *lines) due(step string, done, total uint64) bool {
	if step != l.step {
		l.step, l.told = step, 0
	}
	if done != total && done-l.told < max(1, total/100) {
		return false
	}
	l.told = done
	return true
}

func (l *lines) send(line any) {
	if !l.began {
		l.began = true
		// A server's write deadline is for answers that are ready; where there is
		// none to lift, there is none that cuts this one off.
		_ = l.control.SetWriteDeadline(time.Time{})
		l.w.Header().Set("Content-Type", "application/x-ndjson")
	}
	if l.encoder.Encode(line) != nil || l.control.Flush() != nil {
		l.stop() // the asker left: no need to go on
	}
}
