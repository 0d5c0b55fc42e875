package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/assaygate/assaygate/envelope/spool"
)

// Client asks the API. Its errors wrap the spool's own (spool.ErrNotFound,
// spool.ErrRefused, ...), so that a caller branches as if it held the spool.
type Client struct {
	// Transport leads to the API: [Socket] or [InProcess]. Required.
	Transport http.RoundTripper
	// By is who the audit names for what this client changes.
	By string
}

// Status returns how the store and its destinations stand.
func (c *Client) Status(ctx context.Context) (spool.Status, error) {
	var status spool.Status
	err := c.ask(ctx, http.MethodGet, "/v1/status", nil, &status)
	return status, err
}

// List returns the messages that the filter selects, newest first.
func (c *Client) List(ctx context.Context, f spool.Filter) ([]spool.Summary, error) {
	var messages []spool.Summary
	err := c.ask(ctx, http.MethodGet, "/v1/messages?"+formatFilter(f).Encode(), nil, &messages)
	return messages, err
}

// Show returns one message, by the id of its envelope.
func (c *Client) Show(ctx context.Context, id string) (Message, error) {
	var message Message
	err := c.ask(ctx, http.MethodGet, "/v1/messages/"+url.PathEscape(id), nil, &message)
	return message, err
}

// Raw returns the bytes of a message as kept.
func (c *Client) Raw(ctx context.Context, id string) ([]byte, error) {
	response, err := c.do(ctx, http.MethodGet, "/v1/messages/"+url.PathEscape(id)+"/raw", nil)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	raw, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, fmt.Errorf("reading message %s: %w", id, err)
	}
	return raw, nil
}

// Retry makes a parked message pending again.
func (c *Client) Retry(ctx context.Context, id string) error {
	return c.ask(ctx, http.MethodPost, "/v1/messages/"+url.PathEscape(id)+"/retry", struct{}{}, nil)
}

// RetryAll makes the parked and unconfirmed messages of the selection pending
// again, and returns how many those were.
func (c *Client) RetryAll(ctx context.Context, s spool.Selection) (int, error) {
	return c.retryAll(ctx, retryAllRequest{Selection: s})
}

// Selected returns how many messages RetryAll would make pending.
func (c *Client) Selected(ctx context.Context, s spool.Selection) (int, error) {
	return c.retryAll(ctx, retryAllRequest{Selection: s, DryRun: true})
}

func (c *Client) retryAll(ctx context.Context, request retryAllRequest) (int, error) {
	var reply retryAllReply
	err := c.ask(ctx, http.MethodPost, "/v1/retry", request, &reply)
	return reply.Retried, err
}

// Drop decides that a message is not wanted. The reason is required.
func (c *Client) Drop(ctx context.Context, id, reason string) error {
	return c.ask(ctx, http.MethodPost, "/v1/messages/"+url.PathEscape(id)+"/drop", dropRequest{reason}, nil)
}

// Verify checks the whole store. Progress, if not nil, is called from this
// goroutine now and then. Damage is in the report; an error means that the check
// did not come to its end, and the report has what it found so far.
func (c *Client) Verify(ctx context.Context, progress func(done, total uint64)) (spool.Report, error) {
	response, err := c.do(ctx, http.MethodPost, "/v1/verify", struct{}{})
	if err != nil {
		return spool.Report{}, err
	}
	defer response.Body.Close()
	decoder := json.NewDecoder(response.Body)
	for {
		var line verifyLine
		if err := decoder.Decode(&line); err != nil {
			return spool.Report{}, fmt.Errorf("verify broke off: %w", err)
		}
		switch {
		case line.Fault != nil && line.Report != nil:
			return *line.Report, line.Fault.asError()
		case line.Report != nil:
			return *line.Report, nil
		case progress != nil:
			progress(line.Done, line.Total)
		}
	}
}

// ask sends one request and decodes its answer into reply, where that is not nil.
func (c *Client) ask(ctx context.Context, method, path string, body, reply any) error {
	response, err := c.do(ctx, method, path, body)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if reply == nil {
		return nil
	}
	if err := json.NewDecoder(response.Body).Decode(reply); err != nil {
		return fmt.Errorf("reading the gateway's answer: %w", err)
	}
	return nil
}

// do sends one request. The response that it returns has status 200; the caller
// closes its body.
func (c *Client) do(ctx context.Context, method, path string, body any) (*http.Response, error) {
	var text io.Reader = http.NoBody
	if body != nil {
		encoded, err := json.Marshal(body)
		if err != nil {
			return nil, fmt.Errorf("asking the gateway: %w", err)
		}
		text = bytes.NewReader(encoded)
	}
	request, err := http.NewRequestWithContext(ctx, method, "http://spool"+path, text)
	if err != nil {
		return nil, fmt.Errorf("asking the gateway: %w", err)
	}
	request.Header.Set("Content-Type", "application/json")
	return c.ok(request)
}

// send is do with a long body, which is only read when the gateway wants it.
func (c *Client) send(ctx context.Context, path string, body io.Reader) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://spool"+path, body)
	if err != nil {
		return nil, fmt.Errorf("asking the gateway: %w", err)
	}
	request.Header.Set("Content-Type", "application/x-tar")
	request.Header.Set("Expect", "100-continue")
	return c.ok(request)
}

func (c *Client) ok(request *http.Request) (*http.Response, error) {
	request.Header.Set(byHeader, c.By)
	response, err := (&http.Client{Transport: c.Transport}).Do(request)
	if err != nil {
		return nil, fmt.Errorf("asking the gateway: %w", err)
	}
	if response.StatusCode == http.StatusOK {
		return response, nil
	}
	defer response.Body.Close()
	var fault Failure
	if err := json.NewDecoder(io.LimitReader(response.Body, bodyLimit)).Decode(&fault); err != nil {
		return nil, fmt.Errorf("the gateway answered %s", response.Status)
	}
	return nil, fault.asError()
}

// asError gives back what Describe took apart.
func (e Failure) asError() error {
	for _, f := range faults() {
		if f.code == e.Code {
			return remoteError{e.Error, f.is}
		}
	}
	return errors.New(e.Error)
}

// remoteError has the text that the other side gave and the kind that it meant.
type remoteError struct {
	text string
	is   error
}

func (e remoteError) Error() string { return e.text }
func (e remoteError) Unwrap() error { return e.is }

// formatFilter is the other half of ParseFilter.
func formatFilter(f spool.Filter) url.Values {
	query := make(url.Values)
	set := func(key, value string) {
		if value != "" {
			query.Set(key, value)
		}
	}
	set("state", string(f.State))
	set("destination", f.Destination)
	set("reason", f.Reason)
	set("intake", string(f.Intake))
	set("kind", string(f.Kind))
	set("instrument", f.Instrument)
	set("sample_id", f.SampleID)
	set("message_id", f.MessageID)
	if !f.Since.IsZero() {
		query.Set("since", f.Since.Format(time.RFC3339Nano))
	}
	if !f.Until.IsZero() {
		query.Set("until", f.Until.Format(time.RFC3339Nano))
	}
	if f.Before != 0 {
		query.Set("before", strconv.FormatUint(f.Before, 10))
	}
	if f.Limit != 0 {
		query.Set("limit", strconv.Itoa(f.Limit))
	}
	return query
}
