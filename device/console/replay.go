package console

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"github.com/assaygate/assaygate/device/console/api"
	"github.com/assaygate/assaygate/envelope"
	"github.com/assaygate/assaygate/envelope/spool"
)

// Replay sends what was received once more, as if its instrument did, to a
// destination that is for staging, and to nobody else.
type Replay struct {
	// Destinations are the names of those for staging. Nil: there are none.
	Destinations func() []string
	// Capture and Message replay a file or a kept message. With dry nothing is sent,
	// and the answer says what would be. Their error wraps spool.ErrRefused for a
	// destination that is not for staging, and while another replay goes on.
	Capture func(ctx context.Context, destination, name, to string, dry bool) (Replayed, error)
	Message func(ctx context.Context, e envelope.Envelope, to string, dry bool) (Replayed, error)
}

// Replayed is what became of a replay. Where there are problems, nothing was sent.
type Replayed struct {
	Messages  int                `json:"messages"`
	Problems  []string           `json:"problems,omitempty"` // why nothing of it can be sent
	Notes     []string           `json:"notes,omitempty"`    // what a person should know
	Envelopes []ReplayedEnvelope `json:"envelopes"`
}

// ReplayedEnvelope is what became of one order of it, or would become.
type ReplayedEnvelope struct {
	SampleID string        `json:"sample_id"`
	Profile  string        `json:"profile"`
	Kind     envelope.Kind `json:"kind"`
	Results  int           `json:"results"`
	Problem  string        `json:"problem,omitempty"` // what could not be understood
	Outcome  string        `json:"outcome"`           // "would be sent", "delivered", "not taken: REASON"
	Taken    bool          `json:"taken"`             // it is there, or would be
}

// Taken is how many envelopes the destination has, or would get.
func (r Replayed) Taken() (n int) {
	for _, e := range r.Envelopes {
		if e.Taken {
			n++
		}
	}
	return n
}

// replaying is one replay that a person asks for: of what, and how it is run.
type replaying struct {
	what     string // as the audit calls it
	back     string // the page that it was asked for on
	action   string
	sequence uint64
	run      func(ctx context.Context, to string, dry bool) (Replayed, error)
}

type replayView struct {
	Destinations []string
	To           string // chosen; "" where there is none yet
	What         string
	Back, Action string
	Done         bool      // it was sent
	Replayed     *Replayed // nil while no destination is chosen
}

// askReplay shows what would be sent to the chosen destination.
func (c *Console) askReplay(w http.ResponseWriter, r *http.Request, one replaying) {
	view := replayView{Destinations: c.staging(), To: r.URL.Query().Get("to"), What: one.what, Back: one.back, Action: one.action}
	if view.To == "" && len(view.Destinations) == 1 {
		view.To = view.Destinations[0]
	}
	if view.To != "" {
		would, err := one.run(r.Context(), view.To, true)
		if err != nil {
			c.fail(w, r, err)
			return
		}
		view.Replayed = &would
	}
	c.render(w, r, http.StatusOK, "replay.html", "Replay", view)
}

// replay sends it, for a person.
func (c *Console) replay(w http.ResponseWriter, r *http.Request, one replaying) {
	to := r.PostFormValue("to")
	done, err := c.send(r, one, to)
	if err != nil {
		c.fail(w, r, err)
		return
	}
	c.render(w, r, http.StatusOK, "replay.html", "Replay", replayView{To: to, What: one.what, Back: one.back, Done: true, Replayed: &done})
}

// replayByProgram takes {"to": NAME, "dry_run": BOOL}, and answers with Replayed.
func (c *Console) replayByProgram(w http.ResponseWriter, r *http.Request, one replaying) {
	var asked struct {
		To     string `json:"to"`
		DryRun bool   `json:"dry_run"`
	}
	var done Replayed
	err := api.ReadBody(w, r, &asked)
	switch {
	case err != nil:
	case asked.DryRun:
		done, err = one.run(r.Context(), asked.To, true)
	default:
		done, err = c.send(r, one, asked.To)
	}
	if done.Envelopes == nil {
		done.Envelopes = []ReplayedEnvelope{} // an array also where there is nothing
	}
	api.Answer(w, done, err)
}

// send replays. That is in the audit before anything leaves, and what became of it
// afterwards, also where nobody waits for that any more.
func (c *Console) send(r *http.Request, one replaying, to string) (Replayed, error) {
	if !slices.Contains(c.staging(), to) {
		return Replayed{}, fmt.Errorf("%w: %q is not for staging, and replays go nowhere else", spool.ErrRefused, to)
	}
	if err := c.note(r, spool.Replayed, one.sequence, "to "+to+": "+one.what); err != nil {
		return Replayed{}, err
	}
	done, err := one.run(r.Context(), to, false)
	outcome := strconv.Itoa(done.Taken()) + " of " + strconv.Itoa(len(done.Envelopes)) + " taken"
	switch {
	case err != nil:
		outcome = "failed"
	case len(done.Problems) > 0:
		outcome = "nothing sent"
	}
	noted := c.note(r.WithContext(context.WithoutCancel(r.Context())), spool.Replayed, one.sequence, "to "+to+": "+outcome)
	return done, errors.Join(err, noted)
}

func (c *Console) ofCapture(r *http.Request) (replaying, error) {
	destination, name := r.PathValue("destination"), r.PathValue("name")
	file, content, err := c.openCapture(destination, name)
	if err != nil {
		return replaying{}, err
	}
	if err := content.Close(); err != nil {
		return replaying{}, err
	}
	run := c.options.Replay.Capture
	if run == nil {
		return replaying{}, spool.ErrNotFound
	}
	return replaying{
		what: "capture " + file.Name, back: "/captures?destination=" + url.QueryEscape(destination),
		action: "/captures/" + url.PathEscape(destination) + "/" + url.PathEscape(name) + "/replay",
		run: func(ctx context.Context, to string, dry bool) (Replayed, error) {
			return run(ctx, destination, name, to, dry)
		},
	}, nil
}

func (c *Console) ofMessage(r *http.Request) (replaying, error) {
	store, err := c.options.Store()
	if err != nil {
		return replaying{}, err
	}
	detail, err := store.Show(r.Context(), r.PathValue("id"))
	if err != nil {
		return replaying{}, err
	}
	run := c.options.Replay.Message
	if run == nil {
		return replaying{}, spool.ErrNotFound
	}
	page := "/messages/" + url.PathEscape(detail.Envelope.ID)
	return replaying{
		what: "message " + strconv.FormatUint(detail.Envelope.Sequence, 10), back: page, action: page + "/replay",
		sequence: detail.Envelope.Sequence,
		run: func(ctx context.Context, to string, dry bool) (Replayed, error) {
			return run(ctx, detail.Envelope, to, dry)
		},
	}, nil
}

func (c *Console) askReplayCapture(w http.ResponseWriter, r *http.Request) {
	c.with(w, r, c.ofCapture, c.askReplay)
}

func (c *Console) replayCapture(w http.ResponseWriter, r *http.Request) {
	c.with(w, r, c.ofCapture, c.replay)
}

func (c *Console) replayCaptureByProgram(w http.ResponseWriter, r *http.Request) {
	c.with(w, r, c.ofCapture, c.replayByProgram)
}

func (c *Console) replayMessageByProgram(w http.ResponseWriter, r *http.Request) {
	c.with(w, r, c.ofMessage, c.replayByProgram)
}

func (c *Console) askReplayMessage(w http.ResponseWriter, r *http.Request) {
	c.with(w, r, c.ofMessage, c.askReplay)
}

func (c *Console) replayMessage(w http.ResponseWriter, r *http.Request) {
	c.with(w, r, c.ofMessage, c.replay)
}

func (c *Console) with(w http.ResponseWriter, r *http.Request, of func(*http.Request) (replaying, error), do func(http.ResponseWriter, *http.Request, replaying)) {
	one, err := of(r)
	if err != nil {
		c.fail(w, r, err)
		return
	}
	do(w, r, one)
}

// errCaptureLimit is of a list that is longer than one can be.
var errCaptureLimit = errors.New("limit: want 1 to " + strconv.Itoa(capturesListed))
