package commission

import (
	"fmt"
	"strings"
)

const (
	receivedTitle  = "LIMS has received it"
	confirmedTitle = "Results stand in the LIMS"
)

// received: has the destination taken the message?
func (f Facts) received() Layer {
	is := func(v Verdict, seen, do string) Layer { return layer(ReceivedLayer, receivedTitle, v, seen, do) }
	switch {
	case f.LIMS.Kind == NoLIMS:
		return is(NotApplicable, nowhere, "")
	case !f.taken():
		return is(Waiting, "No complete message to deliver so far.", "")
	case f.arrived():
		return is(OK, f.LIMS.Name+" has taken message "+f.Newest.ID+".", "")
	}
	m := f.Newest
	why := ""
	if m.Why != "" {
		why = ": " + strings.TrimSuffix(m.Why, ".")
	}
	switch m.Delivery {
	case SetAside:
		return is(Fault, "The message is parked for a person"+why+".", "Put right what the reason names, then retry the message.")
	case Dropped:
		return is(Waiting, "The message was kept from the LIMS"+why+".", "Send another result: of a real sample, and not the same once more.")
	case NoDelivery:
		return is(Waiting, "The message is not for this destination.", "Send a result of a kind that deliver names.")
	}
	switch {
	case f.LIMS.Held != "":
		return is(Waiting, "It waits, because the destination took nothing: "+strings.TrimSuffix(f.LIMS.Held, ".")+".",
			"Wait: the box asks again every 5 minutes, and at once when the destination's settings change.")
	case f.LIMS.Last == Refusal && m.Why != "":
		return is(Fault, "The LIMS answers, and does not take the message"+why+".",
			"Ask who keeps SENAITE to look into its log at this time. The message is kept and tried again; after some refusals it is parked.")
	}
	return is(Waiting, "It is on its way"+why+".", "")
}

// confirmed: do its results stand in the LIMS? SENAITE says that it took a
// message also where it could make nothing of it.
func (f Facts) confirmed() Layer {
	if l, is := f.noSENAITE(ConfirmedLayer, confirmedTitle); is {
		return l
	}
	is := func(v Verdict, seen, do string) Layer {
		return layer(ConfirmedLayer, confirmedTitle, v, seen, do)
	}
	switch {
	case !f.LIMS.Reads:
		return is(NotApplicable, "Results are not read back (confirm is off).", "")
	case f.LIMS.Unread != "":
		return is(NotKnown, "Results are not read back: "+strings.TrimSuffix(f.LIMS.Unread, ".")+".", "")
	case !f.arrived():
		return is(Waiting, "There is nothing to read back so far.", "")
	}
	switch m := f.Newest; m.Delivery {
	case Bare:
		return is(NotKnown, "The message holds nothing that is read back: it is a control or a test, or has no sample id, or no result.",
			"Look in SENAITE for what became of it, or send a result of a registered sample.")
	case Confirmed:
		return is(OK, "The results of message "+m.ID+" were read back.", "")
	case Unconfirmed:
		l := is(Fault, "SENAITE took the message, and results of it do not stand there.",
			"Look whether the sample is registered in SENAITE under this id, whether its analyses have the keywords that the analyser sends, and whether an import interface is set for the instrument.")
		l.Detail = m.Why // it names tests
		return l
	}
	return is(Waiting, fmt.Sprintf("The results are looked for until %s after the delivery.", f.LIMS.After), "")
}
