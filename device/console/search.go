package console

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/assaygate/assaygate/device/console/api"
	"github.com/assaygate/assaygate/envelope"
	"github.com/assaygate/assaygate/envelope/spool"
)

// search is what a person looks for: the fields of the form, in a page's address.
// They are those of the API, and from and to, which are in the time zone of the
// box.
type search struct {
	Query    url.Values
	Mistakes []string // for that person; then nothing is searched for
	Retried  string   // how many deliveries were just sent again, or ""
	filter   spool.Filter
}

// searched reads the fields of a search.
func searched(query url.Values) (s search) {
	s.Query = url.Values{}
	for key, values := range query {
		if value := strings.TrimSpace(values[len(values)-1]); value != "" {
			s.Query.Set(key, value)
		}
	}
	rest := url.Values{}
	for key, values := range s.Query {
		rest[key] = values
	}
	if n, err := strconv.Atoi(rest.Get("retried")); err == nil && n >= 0 {
		s.Retried = strconv.Itoa(n)
	}
	for _, key := range []string{"from", "to", "retried"} {
		rest.Del(key)
	}
	s.Query.Del("retried")
	filter, err := api.ParseFilter(rest)
	if err != nil {
		s.Mistakes = strings.Split(err.Error(), "\n")
	}
	s.filter = filter
	s.readTimes()
	s.judge()
	return s
}

// readTimes reads the days and times of the form.
func (s *search) readTimes() {
	for _, one := range []struct {
		key, label string
		into       *time.Time
		end        bool
	}{{"from", "From", &s.filter.Since, false}, {"to", "To", &s.filter.Until, true}} {
		text := s.Query.Get(one.key)
		if text == "" {
			continue
		}
		at, length, err := parseMoment(text)
		if err != nil {
			s.Mistakes = append(s.Mistakes, one.label+": "+err.Error())
			continue
		}
		if one.end {
			at = at.Add(length) // the minute that is named belongs to it
		}
		*one.into = at
	}
	if since, until := s.filter.Since, s.filter.Until; !since.IsZero() && !until.IsZero() && !since.Before(until) {
		s.Mistakes = append(s.Mistakes, "From is not before To: nothing can be in between.")
	}
}

// parseMoment reads a day or a time as forms and people write them, in the time zone
// of the box. length is how long what was named lasts.
func parseMoment(text string) (at time.Time, length time.Duration, err error) {
	text = strings.Replace(text, "T", " ", 1)
	for _, one := range []struct {
		layout string
		length time.Duration
	}{{"2006-01-02 15:04", time.Minute}, {"2006-01-02 15:04:05", time.Second}, {"2006-01-02", 24 * time.Hour}} {
		if at, err := time.ParseInLocation(one.layout, text, time.Local); err == nil {
			if one.length == 24*time.Hour {
				one.length = at.AddDate(0, 0, 1).Sub(at) // days differ where clocks change
			}
			return at, one.length, nil
		}
	}
	return at, 0, fmt.Errorf("%q is no day or time; write for example 2026-11-27 14:05", plain(text))
}

// judge finds values that nothing can have.
func (s *search) judge() {
	f := s.filter
	if !slices.Contains([]spool.State{"", spool.Pending, spool.Held, spool.Delivered, spool.Confirmed, spool.Unconfirmed, spool.Parked, spool.Dropped}, f.State) {
		s.Mistakes = append(s.Mistakes, "State: there is no such state.")
	}
	if !slices.Contains([]envelope.Intake{"", envelope.Accepted, envelope.Parked, envelope.Incomplete, envelope.Rejected}, f.Intake) {
		s.Mistakes = append(s.Mistakes, "Intake: a message is accepted, parked, incomplete or rejected.")
	}
	if !slices.Contains([]envelope.Kind{"", envelope.KindResult, envelope.KindQC, envelope.KindCalibration, envelope.KindTest}, f.Kind) {
		s.Mistakes = append(s.Mistakes, "Kind: a message is a result, qc, calibration or test.")
	}
}

// mistake is what is wrong with the search as one error, nil where it is right.
func (s search) mistake() error {
	if len(s.Mistakes) == 0 {
		return nil
	}
	return api.BadRequest{Err: errors.New(strings.Join(s.Mistakes, "; "))}
}

// retryable reports whether the search can select what waits for a person.
func (s search) retryable() bool {
	f := s.filter
	return len(s.Mistakes) == 0 && f.MessageID == "" && slices.Contains([]spool.State{"", spool.Parked, spool.Unconfirmed}, f.State)
}

// selection is what the search selects of that.
func (s search) selection() spool.Selection {
	f := s.filter
	return spool.Selection{
		Destination: f.Destination, Instrument: f.Instrument, State: f.State, Reason: f.Reason,
		Intake: f.Intake, Kind: f.Kind, SampleID: f.SampleID, Since: f.Since, Until: f.Until,
	}
}

// with is the search with another value of a field, none for "".
func (s search) with(key, value string) search {
	changed := url.Values{}
	for key, values := range s.Query {
		changed[key] = values
	}
	if changed.Del(key); value != "" {
		changed.Set(key, value)
	}
	s.Query = changed
	return s
}

// address is that of a page about the search.
func (s search) address(path string) string {
	if text := s.Query.Encode(); text != "" {
		return path + "?" + text
	}
	return path
}

// Text is the search as it stands in an address.
func (s search) Text() string { return s.Query.Encode() }

// More reports whether a field is used that is not always seen.
func (s search) More() bool {
	return s.Query.Get("intake")+s.Query.Get("kind")+s.Query.Get("destination")+s.Query.Get("reason") != ""
}

// Parts tells the search in words.
func (s search) Parts() (list []string) {
	for _, one := range []struct{ key, label string }{
		{"sample_id", "sample"},
		{"instrument", "instrument"},
		{"from", "received from"},
		{"to", "received to"},
		{"since", "received since"},
		{"until", "received before"},
		{"state", "state"},
		{"intake", "intake"},
		{"kind", "kind"},
		{"destination", "destination"},
		{"reason", "reason with"},
	} {
		if value := s.Query.Get(one.key); value != "" {
			list = append(list, one.label+" "+strings.Replace(plain(value), "T", " ", 1))
		}
	}
	return list
}
