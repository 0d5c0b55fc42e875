package senaite

import (
	"context"
	"errors"
	"net/url"
	"strings"

	"github.com/assaygate/assaygate/envelope"
	"github.com/assaygate/assaygate/uplink"
)

// maxBatchBody is what the usual proxy lets through by default. A message that
// is larger goes alone, as it ever did.
const maxBatchBody = 1 << 20

// Batch implements uplink.Batcher.
func (c *Client) Batch() int { return c.settings.Batch }

// DeliverAll implements uplink.Batcher: a push whose field messages comes several
// times. The consumer takes one after the other, and what it took before it
// failed at one stays.
func (c *Client) DeliverAll(ctx context.Context, list []envelope.Envelope) (handed int, err error) {
	consumer := c.settings.Consumer.of(list[0])
	body, handed, err := c.form(consumer, list)
	if err != nil {
		return 1, &uplink.Failure{Kind: uplink.Invalid, Err: err}
	}
	if err := c.check(ctx); err != nil {
		return handed, err
	}
	err = c.push(ctx, consumer, body)
	var f *uplink.Failure
	if errors.As(err, &f) {
		switch {
		case f.Kind == uplink.Hold && f.Scope == "":
			c.mu.Lock()
			c.checked, c.refused = false, true
			c.mu.Unlock()
		case handed > 1 && errors.Is(err, errTooLarge):
			c.bodyLimit.Store(int64(len(body) / 2))
		}
	}
	return handed, err
}

// form makes the body of a push with as many of the messages as fit; the first
// always does. An error is about the first message.
func (c *Client) form(consumer string, list []envelope.Envelope) (body string, handed int, err error) {
	var form strings.Builder
	// The order of the fields and their encoding are those of senaite.astm.
	form.WriteString("consumer=" + url.QueryEscape(consumer))
	for _, e := range list {
		text, err := message(e, c.settings.Format)
		if err != nil {
			if handed > 0 {
				break // it is the first one of the next request
			}
			return "", 0, err
		}
		field := "&messages=" + url.QueryEscape(text)
		if handed > 0 && int64(form.Len()+len(field)) > c.bodyLimit.Load() {
			break
		}
		form.WriteString(field)
		handed++
	}
	return form.String(), handed, nil
}
