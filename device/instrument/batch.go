package instrument

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/assaygate/assaygate/envelope"
	"github.com/assaygate/assaygate/protocols/hl7"
	"github.com/assaygate/assaygate/protocols/mllp"
)

var errStopped = errors.New("the box was stopped inside a batch; the sender has to send the rest again")

// receiveBlock takes the messages of one block, usually one. Each is stored by
// itself and answered in a block of its own, in their order, as soon as it is
// durable: what a sender has no answer to it sends again.
//
// The segments of the batch protocol hold no result; they are kept with the
// message before them, or the first one, so that all that came is kept.
func (b *mllpLink) receiveBlock(ctx context.Context, block []byte) error {
	var counted tally
	var end time.Time // of the grace period
	messages := slices.DeleteFunc(slices.Collect(hl7.Parts(block)), func(part hl7.Part) bool {
		counted.part(part)
		return part.Message == nil
	})
	for i, part := range messages {
		from, to := part.At, len(block)
		if i == 0 {
			from = 0
		} else if ctx.Err() != nil {
			if end.IsZero() {
				end = time.Now().Add(b.grace())
			}
			if !time.Now().Before(end) {
				return errStopped
			}
		}
		if i+1 < len(messages) {
			to = messages[i+1].At
		}
		b.progress()
		raw := b.message(b.member(envelope.HL7, part.Message), envelope.HL7)
		raw.Whole = slices.Clone(block[from:to])
		raw.Text = raw.Whole[part.At-from:][:len(part.Message)]
		if err := b.answer(func() ([][]byte, error) { return b.receive(ctx, raw) }); err != nil {
			return err
		}
	}
	if counted.wrong && b.news.first("batch count "+b.members[0].Name+" "+hostOf(b.remote)) {
		b.log.Warn("a batch says that it holds another number of messages or batches than it does", "messages", counted.messages)
	}
	if counted.messages > 0 {
		return nil
	}
	return b.answer(func() ([][]byte, error) {
		raw := b.message(b.member(envelope.HL7, block), envelope.HL7)
		raw.Text = slices.Clone(block)
		return b.reject(ctx, raw, hl7.CodeSequence, "a block without a message"), nil
	})
}

// answer has a message taken, and sends its acknowledgements if there are any.
func (b *mllpLink) answer(take func() ([][]byte, error)) error {
	b.Observer.Sessions(1)
	answers, err := take()
	b.Observer.Sessions(-1)
	if err != nil {
		return err
	}
	return b.send(answers)
}

// send sends each answer in a block of its own, and in a write of its own: there
// are peers that take what they read at once for one answer.
func (b *mllpLink) send(answers [][]byte) error {
	if len(answers) == 0 {
		return b.write(nil)
	}
	for _, answer := range answers {
		if err := b.write(mllp.AppendBlock(nil, answer)); err != nil {
			return err
		}
	}
	return nil
}

// tally counts what the trailers of a batch count.
type tally struct {
	messages int // in the block
	batch    int // messages since the last BHS or BTS
	batches  int // since the last FHS or FTS
	open     bool
	wrong    bool // a trailer said something else
}

func (t *tally) part(p hl7.Part) {
	if p.Message != nil {
		t.messages++
		t.batch++
		return
	}
	said, stated := p.Count()
	found := 0
	switch p.Segment.Name {
	case "BHS", "FHS":
		t.close()
		t.open = p.Segment.Name == "BHS"
		if p.Segment.Name == "FHS" {
			t.batches = 0
		}
		return
	case "BTS":
		found = t.batch
		t.open = true
		t.close()
	case "FTS":
		t.close()
		found, t.batches = t.batches, 0
	}
	t.wrong = t.wrong || stated && said != found
}

// close ends a batch, which need not have a header or a trailer.
func (t *tally) close() {
	if t.open || t.batch > 0 {
		t.batches++
	}
	t.batch, t.open = 0, false
}
