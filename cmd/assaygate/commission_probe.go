package main

import (
	"context"
	"errors"
	"reflect"
	"sync"
	"time"

	"github.com/assaygate/assaygate/device/commission"
	"github.com/assaygate/assaygate/uplink/senaite"
)

const (
	// probeEvery is how often a LIMS is asked at most while somebody looks.
	probeEvery = 5 * time.Second
	// refusedPause is how much longer it is not asked after each time in a row that it
	// has refused the credentials, and longestProbePause at most: some lock an account that
	// is tried too often, and a page may be left open for days. Other credentials are
	// tried at once.
	refusedPause      = 30 * time.Second
	longestProbePause = 10 * time.Minute
	// probeLimit is how long one question may take.
	probeLimit = 12 * time.Second
	// probePatience is how long who looks waits for an answer; the next look has it.
	probePatience = time.Second
)

// prober asks destinations whether they can be reached, one after the other, and
// only while somebody looks.
type prober struct {
	wanted chan limsQuestion

	mu      sync.Mutex
	answers map[string]limsAnswer // by destination
}

// limsQuestion is one destination to be asked.
type limsQuestion struct {
	destination Destination
	made        destinationMade
	clock       func() time.Time
	asked       chan struct{} // closed when there is an answer
}

// limsAnswer is what came of one.
type limsAnswer struct {
	made  destinationMade // with what settings it was asked
	at    time.Time
	probe commission.Probe

	refusals int // of the credentials, in a row
}

func newProber() *prober {
	return &prober{wanted: make(chan limsQuestion), answers: map[string]limsAnswer{}}
}

// run asks what is to be asked until ctx ends.
func (p *prober) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case q := <-p.wanted:
			probe := q.ask(ctx)
			p.note(q, probe)
			close(q.asked)
		}
	}
}

// of returns what a destination answers, by the settings in use. It waits a short
// time for a new answer where the last one is old, and else gives that.
func (p *prober) of(ctx context.Context, d Destination, made destinationMade, clock func() time.Time) commission.Probe {
	ctx, cancel := context.WithTimeout(ctx, probePatience)
	defer cancel()
	if last, is := p.answer(d.Name, made); is && time.Since(last.at) < last.pause() {
		return last.probe
	}
	q := limsQuestion{d, made, clock, make(chan struct{})}
	select {
	case p.wanted <- q:
		select {
		case <-q.asked:
		case <-ctx.Done():
		}
	case <-ctx.Done(): // it is at another one
	}
	last, _ := p.answer(d.Name, made)
	return last.probe
}

// answer is the last one that was given for these settings.
func (p *prober) answer(name string, made destinationMade) (limsAnswer, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	last, is := p.answers[name]
	if !is || !reflect.DeepEqual(last.made, made) {
		return limsAnswer{}, false
	}
	return last, true
}

// note keeps an answer.
func (p *prober) note(q limsQuestion, probe commission.Probe) {
	refusals := 0
	if probe.Stage == commission.AtLogin {
		last, _ := p.answer(q.destination.Name, q.made)
		refusals = last.refusals + 1
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answers[q.destination.Name] = limsAnswer{q.made, time.Now(), probe, refusals}
}

// pause is how long the answer holds.
func (a limsAnswer) pause() time.Duration {
	return max(probeEvery, min(longestProbePause, time.Duration(a.refusals)*refusedPause))
}

// ask asks the destination with a client of its own.
func (q limsQuestion) ask(ctx context.Context) commission.Probe {
	ctx, cancel := context.WithTimeout(ctx, probeLimit)
	defer cancel()
	d := q.destination
	probe := commission.Probe{Asked: true, Stage: commission.Well}
	to, _, err := d.open(q.clock)
	if err != nil {
		probe.Stage, probe.Why = commission.AtSettings, err.Error()
		return probe
	}
	client, is := to.(*senaite.Client)
	if !is {
		probe.Where = d.Capture.Directory
		if err := to.Probe(ctx); err != nil {
			probe.Stage, probe.Why = commission.AtConnection, err.Error()
		}
		return probe
	}
	probe.Where, probe.Proxy = client.Host(), client.Proxy()
	if err := client.Examine(ctx); err != nil {
		probe.Stage, probe.Why = stageOf(err), err.Error()
	}
	return probe
}

// stageOf is where a question to SENAITE came to its end.
func stageOf(err error) commission.Stage {
	var ended *senaite.StageError
	if !errors.As(err, &ended) {
		return commission.AtSettings
	}
	return map[senaite.Stage]commission.Stage{
		senaite.StageRequest: commission.AtSettings, senaite.StageName: commission.AtName,
		senaite.StageConnection: commission.AtConnection, senaite.StageProxy: commission.AtProxy,
		senaite.StageTLS: commission.AtTLS, senaite.StageAnswer: commission.AtAnswer, senaite.StageLogin: commission.AtLogin,
	}[ended.Stage]
}
