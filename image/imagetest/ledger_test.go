package imagetest

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/assaygate/assaygate/uplink/senaite/senaitetest"
)

// ledger is what instruments were promised: the samples of the messages that the box has acknowledged.
type ledger struct {
	mu      sync.Mutex
	samples []string
	added   chan struct{}
}

func newLedger() *ledger { return &ledger{added: make(chan struct{})} }

func (l *ledger) add(sample string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.samples = append(l.samples, sample)
	close(l.added)
	l.added = make(chan struct{})
}

func (l *ledger) all() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.samples...)
}

// wait waits until there are that many of the given sender.
func (l *ledger) wait(sender string, n int, within time.Duration) error {
	end := time.NewTimer(within)
	defer end.Stop()
	for {
		l.mu.Lock()
		have, added := 0, l.added
		for _, sample := range l.samples {
			if strings.HasPrefix(sample, sender+"-") {
				have++
			}
		}
		l.mu.Unlock()
		if have >= n {
			return nil
		}
		select {
		case <-added:
		case <-end.C:
			return fmt.Errorf("%d messages of %s were acknowledged within %v, want %d", have, sender, within, n)
		}
	}
}

// settle waits until the LIMS has all that was promised. It returns how many messages came again under their identity.
func (l *ledger) settle(lims *senaitetest.Server, within time.Duration) (repeats int, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	for {
		list, err := arrivals(lims)
		if err != nil {
			return 0, err
		}
		missing, repeats, err := l.compare(list)
		if err != nil || len(missing) == 0 {
			return repeats, err
		}
		if err := lims.Wait(ctx, len(list)+1); err != nil {
			return 0, fmt.Errorf("acknowledged and not in the LIMS: %q (%w)", missing, err)
		}
	}
}

// compare says what of the promises has not arrived. That anything has arrived under two identities is an error; a message
// that comes again under the same one is a repeat that SENAITE's side knows as such.
func (l *ledger) compare(list []arrival) (missing []string, repeats int, err error) {
	ids := map[string]string{}
	for _, a := range list {
		switch ids[a.sample] {
		case "":
			ids[a.sample] = a.id
		case a.id:
			repeats++
		default:
			return nil, 0, fmt.Errorf("sample %s is in the LIMS under two identities: doubled", a.sample)
		}
	}
	for _, sample := range l.all() {
		if ids[sample] == "" {
			missing = append(missing, sample)
		}
	}
	return missing, repeats, nil
}
