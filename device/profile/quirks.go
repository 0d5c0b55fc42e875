package profile

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/assaygate/assaygate/protocols/lis01"
)

// Quirks are the ways in which an instrument's line deviates from LIS01-A2 or
// HL7, and what it wants where the standards leave a choice. Each is zero where
// the standard's behaviour, or the usual choice, holds.
type Quirks struct {
	Checksum     string `yaml:"checksum"`      // strict, ignore
	FrameNumbers string `yaml:"frame_numbers"` // strict, ignore
	End          string `yaml:"end"`           // record: an L record ends a message; eot: EOT does
	// Query is what a query gets about which nothing is known: no_information
	// (L-3 is I), no_order (an order whose O-26 is Y), none (no answer).
	Query           string        `yaml:"query"`
	FrameSize       int           `yaml:"frame_size"`       // most characters of text in a frame that the box sends
	ReceiverTimeout time.Duration `yaml:"receiver_timeout"` // for the instrument's next frame or EOT
	ReplyTimeout    time.Duration `yaml:"reply_timeout"`    // for its reply to what the box sends
	Ack             string        `yaml:"ack"`              // HL7: auto, original, enhanced
}

// The values of Quirks.Query.
const (
	QueryNoInformation = "no_information"
	QueryNoOrder       = "no_order"
	QueryNone          = "none"
)

// Bounds of the quirks that are numbers.
const (
	leastTimeout, mostTimeout = time.Second, 10 * time.Minute
	leastFrame, mostFrame     = 1, lis01.MaxText
)

// quirk is one of them: its key, where it stands and what it may be.
type quirk struct {
	key     string
	allowed []string // of a text
	text    *string
	size    *int
	timeout *time.Duration
	hl7     bool // means something for HL7 messages only
}

func (q *Quirks) all() []quirk {
	return []quirk{
		{key: "checksum", allowed: []string{"strict", "ignore"}, text: &q.Checksum},
		{key: "frame_numbers", allowed: []string{"strict", "ignore"}, text: &q.FrameNumbers},
		{key: "end", allowed: []string{"record", "eot"}, text: &q.End},
		{key: "query", allowed: []string{QueryNoInformation, QueryNoOrder, QueryNone}, text: &q.Query},
		{key: "frame_size", size: &q.FrameSize},
		{key: "receiver_timeout", timeout: &q.ReceiverTimeout},
		{key: "reply_timeout", timeout: &q.ReplyTimeout},
		{key: "ack", allowed: []string{"auto", "original", "enhanced"}, text: &q.Ack, hl7: true},
	}
}

// problem is what is wrong with a value that was given, or "".
func (k quirk) problem() string {
	switch {
	case k.text != nil && !slices.Contains(k.allowed, *k.text):
		return fmt.Sprintf("%s is not one of %s", *k.text, strings.Join(k.allowed, ", "))
	case k.size != nil && (*k.size < leastFrame || *k.size > mostFrame):
		return fmt.Sprintf("%d is not between %d and %d; %d is what every receiver takes", *k.size, leastFrame, mostFrame, lis01.SafeText)
	case k.timeout != nil && (*k.timeout < leastTimeout || *k.timeout > mostTimeout):
		return fmt.Sprintf("%s is not between %s and %s", *k.timeout, leastTimeout, mostTimeout)
	}
	return ""
}

// given reports whether the quirk has a value.
func (k quirk) given() bool {
	switch {
	case k.text != nil:
		return *k.text != ""
	case k.size != nil:
		return *k.size != 0
	}
	return *k.timeout != 0
}

// Problems returns what is wrong, each beginning with the key.
func (q Quirks) Problems() (list []error) {
	for _, one := range q.all() {
		if problem := one.problem(); one.given() && problem != "" {
			list = append(list, fmt.Errorf("%s: %s", one.key, problem))
		}
	}
	return list
}

// Over returns q with what over sets laid over it.
func (q Quirks) Over(over Quirks) Quirks {
	from := over.all()
	for i, to := range q.all() {
		switch {
		case !from[i].given():
		case to.text != nil:
			*to.text = *from[i].text
		case to.size != nil:
			*to.size = *from[i].size
		default:
			*to.timeout = *from[i].timeout
		}
	}
	return q
}
