package instrument

import (
	"context"
	"time"

	"github.com/assaygate/assaygate/device/profile"
)

// Query is what an instrument asks its host: what is to be measured in these
// samples.
type Query struct {
	Instrument string   // the configured name
	Samples    []string // specimen ids; none where it asks for all
	Tests      []string // codes; none where it asks for all
	Raw        string   // what names the samples as sent (ASTM: Q-3), where rack and position may stand
}

// Order is what a worklist has for a sample.
type Order = profile.Order

// Worklist knows what is to be measured. A box without one tells every
// instrument that it knows nothing, as the quirk query says.
type Worklist interface {
	// Orders returns the orders that a query asks for; none where there are
	// none. It has worklistTimeout, and the line waits meanwhile: an answer that
	// takes longer is as good as none. It is called from many goroutines.
	Orders(ctx context.Context, q Query) ([]Order, error)
}

// worklistTimeout is how long a worklist may think. The instrument may begin a
// session meanwhile, and wants its ACK within 15 seconds.
const worklistTimeout = 5 * time.Second

// What becomes of queries, each exactly once.
const (
	QueryAnswered    = "answered"
	QueryUndelivered = "undelivered" // the instrument did not take the answer
	QueryReplaced    = "replaced"    // by a newer one, before it was answered
	QueryCanceled    = "canceled"    // by the instrument, before it was answered
	QueryIgnored     = "ignored"     // the quirk query says none
)

// QueryOutcomes are all of them, so that their counters stand at 0 before the
// first.
func QueryOutcomes() []string {
	return []string{QueryAnswered, QueryUndelivered, QueryReplaced, QueryCanceled, QueryIgnored}
}

// orders asks the worklist. What it cannot answer is as if it knew nothing: the
// instrument must not hang.
func (s *Service) orders(ctx context.Context, q Query) []Order {
	if s.Worklist == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, worklistTimeout)
	defer cancel()
	orders, err := s.Worklist.Orders(ctx, q)
	if err != nil {
		if s.news.first("worklist " + q.Instrument) {
			s.Log.Warn("the worklist gave no answer; the instrument is told that nothing is known", "instrument", q.Instrument, "error", err)
		}
		return nil
	}
	return orders
}

// queried counts what became of a query, and says so: each time of those that
// went well, once of those that did not.
func (l *line) queried(instrument, outcome, why string) {
	l.Observer.Query(instrument, outcome)
	switch outcome {
	case QueryAnswered:
		l.log.Info("query answered", "from", instrument)
	case QueryUndelivered:
		if l.news.first("query " + instrument + " " + why) {
			l.log.Warn("the answer to a query was not delivered; the instrument has to ask again", "from", instrument, "reason", why)
		}
	default:
		l.log.Debug("query not answered", "from", instrument, "outcome", outcome)
	}
}
