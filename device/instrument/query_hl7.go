package instrument

import (
	"context"
	"time"

	"github.com/assaygate/assaygate/device/profile"
	"github.com/assaygate/assaygate/protocols/hl7"
)

// Queried is the outcome of a message that asks for orders. It holds no result
// and is not stored: an analyser may ask every minute.
const Queried = "query"

// answerQuery decides what a query gets. This box knows of no orders, so there
// are none; a worklist would be asked here.
func (b *mllpLink) answerQuery(context.Context, profile.Raw) (status string) {
	return hl7.NoDataFound
}

// query answers a query, each time that it comes. The response is what its
// sender waits for, so it is sent whatever MSH-16 says. An accept
// acknowledgement comes before it where one is asked for: nothing has to be kept
// for an answer that is on its way already.
func (b *mllpLink) query(ctx context.Context, raw profile.Raw, header hl7.Message) (answers [][]byte) {
	b.Observer.Message(raw.Instrument, raw.Protocol, Queried)
	status := b.answerQuery(ctx, raw)
	b.log.Debug("a query is answered", "from", raw.Instrument, "status", status)
	b.note("a query: it is answered, and not stored")
	wanted := b.ackMode(raw).Answers(header, hl7.Stored)
	if wanted.Accept != "" && wanted.Enhanced {
		answers = append(answers, b.acknowledge(raw.Text, wanted.Accept, false, "", ""))
	}
	now := time.Now()
	return append(answers, hl7.AppendQueryResponse(nil, raw.Text, hl7.QueryResponse{
		Status: status, ControlID: b.controlID(now), Time: hl7Time(now), Enhanced: wanted.Enhanced,
	}))
}
