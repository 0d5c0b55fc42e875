package senaite

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/assaygate/assaygate/envelope"
	"github.com/assaygate/assaygate/uplink"
	"github.com/assaygate/assaygate/uplink/senaite/senaitetest"
)

var _ uplink.Confirmer = (*Client)(nil)

// specimen is the id of the tests' sample; no finding and no error shows it.
const specimen = "B-0001"

// report makes the message of an instrument from tests and their values.
func report(pairs ...string) envelope.Envelope {
	e := result()
	e.SampleID = specimen
	for i := 0; i+1 < len(pairs); i += 2 {
		e.Results = append(e.Results, envelope.Result{Test: pairs[i], Value: pairs[i+1], Kind: envelope.KindResult})
	}
	return e
}

func missing(texts ...string) uplink.Finding { return uplink.Finding{Missing: texts} }

var (
	confirmed = uplink.Finding{}
	nothing   = uplink.Finding{Nothing: true}
)

// confirm reads a message back and checks what is found.
func confirm(t *testing.T, c *Client, e envelope.Envelope, want uplink.Finding) {
	t.Helper()
	got, err := c.Confirm(t.Context(), e)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, error %v, want %+v", got, err, want)
	}
	if strings.Contains(strings.Join(got.Missing, " ")+got.Note, specimen) {
		t.Errorf("the sample's id shows: %+v", got)
	}
}

// TestSilentFailures has every way in which SENAITE says success and imports
// nothing, or something else.
func TestSilentFailures(t *testing.T) {
	for name, test := range map[string]struct {
		prepare  func(s *senaitetest.Server)
		settings func(*Settings)
		change   func(e *envelope.Envelope)
		want     uplink.Finding
	}{
		"none": {want: confirmed},
		"the importer raises an exception": {
			prepare: func(s *senaitetest.Server) { s.SetImport(senaitetest.ImportFails) },
			want:    missing("GLU has no result", "CREA has no result"),
		},
		"no importer for the instrument": {
			prepare: func(s *senaitetest.Server) { s.SetImport(senaitetest.ImportNowhere) },
			want:    missing("GLU has no result", "CREA has no result"),
		},
		"no analysis is matched": {
			prepare: func(s *senaitetest.Server) { s.SetImport(senaitetest.ImportUnmapped) },
			want:    missing("GLU has no result", "CREA has no result"),
		},
		"imported in part": {
			prepare: func(s *senaitetest.Server) { s.SetImport(senaitetest.ImportFirst) },
			want:    missing("CREA has no result"),
		},
		"another value is written": {
			prepare: func(s *senaitetest.Server) { s.SetImport(senaitetest.ImportOther) },
			want:    missing("GLU holds another result", "CREA holds another result"),
		},
		"the < is lost": {
			prepare: func(s *senaitetest.Server) { s.SetImport(senaitetest.ImportNoLimit) },
			want:    missing("CREA holds another result"),
		},
		"verified before": {
			prepare: func(s *senaitetest.Server) {
				s.Change(specimen, "GLU", func(a *senaitetest.Analysis) { a.State, a.Result = "verified", "9.9" })
			},
			want: missing("GLU holds another result"),
		},
		"verified before with the same": {
			prepare: func(s *senaitetest.Server) {
				s.Change(specimen, "GLU", func(a *senaitetest.Analysis) { a.State, a.Result = "published", "5.40" })
			},
			want: confirmed,
		},
		"the message is not JSON": {
			settings: func(s *Settings) { s.Format = "lis2a" },
			want:     missing("GLU has no result", "CREA has no result"),
		},
		"no analysis for one, and all are wanted": {
			prepare: func(s *senaitetest.Server) {
				s.AddSample("B-0003", "GLU")
				s.Change("B-0003", "GLU", func(a *senaitetest.Analysis) { a.Result = "5.4" })
			},
			settings: func(s *Settings) { s.Confirm.Require = requireAll },
			change:   func(e *envelope.Envelope) { e.SampleID = "B-0003" },
			want:     missing("CREA has no analysis"),
		},
		"several headers": {
			change: func(e *envelope.Envelope) { e.Records.H = append(e.Records.H, e.Records.H...) },
			want:   missing("GLU has no result", "CREA has no result"),
		},
		"no such sample": {
			change: func(e *envelope.Envelope) { e.SampleID = "B-0002" },
			want:   missing("sample not found"),
		},
		"the account sees no sample": {
			prepare: func(s *senaitetest.Server) { s.Blind(true) },
			want:    missing("sample not found"),
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := senaitetest.New()
			defer s.Close()
			s.AddSample(specimen, "GLU", "CREA")
			if test.prepare != nil {
				test.prepare(s)
			}
			c := client(t, s)
			if test.settings != nil {
				c = client(t, s, test.settings)
			}
			e := report("GLU", "5.4", "CREA", "<0.5")
			if test.change != nil {
				test.change(&e)
			}
			if err := c.Deliver(t.Context(), e); err != nil {
				t.Fatalf("SENAITE does not say success: %v", err)
			}
			confirm(t, c, e, test.want)
		})
	}
}

// TestStands has what counts as a result that stands at the sample. What is
// pushed is imported by keyword, unless a case says what the sample holds.
func TestStands(t *testing.T) {
	analysis := func(a senaitetest.Analysis) func(s *senaitetest.Server) {
		if a.State == "" {
			a.State = "verified" // no push changes it
		}
		return func(s *senaitetest.Server) { s.AddSample(specimen); s.AddAnalysis(specimen, a) }
	}
	holds := func(result string) func(s *senaitetest.Server) {
		return analysis(senaitetest.Analysis{Keyword: "GLU", Result: result, State: "verified"})
	}
	for name, test := range map[string]struct {
		sample func(s *senaitetest.Server)
		pairs  []string
		want   uplink.Finding
	}{
		"same text":              {holds("positive"), []string{"GLU", " POSITIVE "}, confirmed},
		"other text":             {holds("positive"), []string{"GLU", "negative"}, missing("GLU holds another result")},
		"same number":            {holds("1.20"), []string{"GLU", "1,2"}, confirmed},
		"other number":           {holds("12"), []string{"GLU", "1.2"}, missing("GLU holds another result")},
		"name in another case":   {holds("5"), []string{" glu ", "5"}, confirmed},
		"a limit":                {analysis(senaitetest.Analysis{Keyword: "GLU", Operand: "<", Result: "0.5"}), []string{"GLU", "< 0.50"}, confirmed},
		"a limit of HL7":         {analysis(senaitetest.Analysis{Keyword: "GLU", Operand: ">", Result: "500"}), []string{"GLU", ">^500"}, confirmed},
		"a limit, held as text":  {holds("<0.5"), []string{"GLU", "<0.5"}, confirmed},
		"a limit that was lost":  {holds("0.5"), []string{"GLU", "<^0.5"}, missing("GLU holds another result")},
		"a limit that is none":   {analysis(senaitetest.Analysis{Keyword: "GLU", Operand: "<", Result: "0.5"}), []string{"GLU", "0.5"}, missing("GLU holds another result")},
		"a choice by its text":   {analysis(senaitetest.Analysis{Keyword: "HIV", Result: "1", Options: map[string]string{"0": "Negative", "1": "Positive"}}), []string{"HIV", "POSITIVE"}, confirmed},
		"another choice":         {analysis(senaitetest.Analysis{Keyword: "HIV", Result: "0", Options: map[string]string{"0": "Negative", "1": "Positive"}}), []string{"HIV", "POSITIVE"}, missing("HIV holds another result")},
		"one of several choices": {analysis(senaitetest.Analysis{Keyword: "AB", Result: `["2", "7"]`, Options: map[string]string{"2": "anti-K", "7": "anti-D"}}), []string{"AB", "Anti-D"}, confirmed},
		"no choice yet":          {analysis(senaitetest.Analysis{Keyword: "AB", Result: `[]`}), []string{"AB", "Anti-D"}, missing("AB has no result")},
		"a date":                 {holds("2024-01-31 08:15"), []string{"GLU", "20240131081500"}, confirmed},
		"another date":           {holds("2024-01-31"), []string{"GLU", "20240201"}, missing("GLU holds another result")},
		"the text of a code":     {holds("Reactive"), []string{"GLU", "11214006^Reactive^SCT"}, confirmed},
		"by title":               {analysis(senaitetest.Analysis{Keyword: "G1", Title: "Glucose", Result: "5"}), []string{"GLUCOSE", "5"}, confirmed},
		"by short title":         {analysis(senaitetest.Analysis{Keyword: "G1", ShortTitle: "Glu", Result: "5"}), []string{"GLU", "5"}, confirmed},

		"twice, the last holds": {
			func(s *senaitetest.Server) { s.AddSample(specimen, "GLU") }, []string{"GLU", "5", "GLU", "6"}, confirmed,
		},
		"twice, the first holds": {holds("5"), []string{"GLU", "5", "GLU", "6"}, confirmed},
		"twice, neither holds":   {holds("7"), []string{"GLU", "5", "GLU", "6"}, missing("GLU holds another result")},
		"an empty value beside":  {holds("5"), []string{"GLU", "5", "CREA", " "}, confirmed},
		"not ordered": {
			holds("5"),
			[]string{"GLU", "5", "RDW", "1", "PCT", "2"},
			uplink.Finding{Note: "the sample has no analysis for RDW, PCT"},
		},
		"nothing ordered": {holds("5"), []string{"RDW", "1", "PCT", "2"}, missing("RDW has no analysis", "PCT has no analysis")},
		"nothing ordered, and one missing": {
			holds("5"), []string{"RDW", "1", "GLU", "2"}, missing("RDW has no analysis", "GLU holds another result"),
		},
		"a sample without analyses": {func(s *senaitetest.Server) { s.AddSample(specimen) }, []string{"GLU", "5"}, missing("GLU has no analysis")},
		"mapped codes": {
			func(s *senaitetest.Server) {
				s.AddSample(specimen, "GLU", "CREA")
				s.Map("767", "GLU")
				s.Map("690", "CREA")
			},
			[]string{"690", "4.2", "767", "4.2"},
			confirmed,
		},
		"a name and a mapped code, of one value": {
			func(s *senaitetest.Server) { s.AddSample(specimen, "GLU", "CREA"); s.Map("690", "CREA") },
			[]string{"GLU", "5", "690", "5"},
			confirmed,
		},
		"a value that another result has claimed": {
			holds("5"), []string{"GLU", "5", "690", "5"}, uplink.Finding{Note: "the sample has no analysis for 690"},
		},
		"one analysis for two codes": {
			holds("5"), []string{"690", "5", "767", "5"}, uplink.Finding{Note: "the sample has no analysis for 767"},
		},
		"calculated, otherwise": {
			func(s *senaitetest.Server) {
				s.AddSample(specimen, "GLU")
				s.AddAnalysis(specimen, senaitetest.Analysis{Keyword: "LDL", Calculated: true, Result: "2.61"})
			},
			[]string{"GLU", "5", "LDL", "2.6"},
			uplink.Finding{Note: "SENAITE calculates LDL"},
		},
		"calculated, the same": {
			analysis(senaitetest.Analysis{Keyword: "LDL", Calculated: true, Result: "2.6"}), []string{"LDL", "2.6"}, confirmed,
		},

		"retracted": {
			func(s *senaitetest.Server) { holds("5")(s); s.Retract(specimen, "GLU") }, []string{"GLU", "5"}, confirmed, // by the retest, which the push fills
		},
		"retracted, and the retest verified with another": {
			func(s *senaitetest.Server) {
				holds("5")(s)
				s.Retract(specimen, "GLU")
				s.Change(specimen, "GLU", func(a *senaitetest.Analysis) {
					if a.State == "unassigned" {
						a.State, a.Result = "verified", "6"
					}
				})
			},
			[]string{"GLU", "5"},
			missing("GLU holds another result"),
		},
		"rejected": {
			analysis(senaitetest.Analysis{Keyword: "GLU", Result: "5", State: "rejected"}), []string{"GLU", "5"}, missing("GLU has no analysis"),
		},
		"in a partition": {
			func(s *senaitetest.Server) {
				s.AddSample(specimen, "GLU")
				s.AddPartition(specimen, specimen+"-P01", "CREA")
				s.AddPartition(specimen+"-P01", specimen+"-P01-P01", "NA")
			},
			[]string{"GLU", "5", "CREA", "6", "NA", "140"},
			confirmed,
		},
		"in another sample": {
			func(s *senaitetest.Server) {
				s.AddSample(specimen, "GLU")
				s.AddSample("B-00011", "CREA")
				s.Change("B-00011", "CREA", func(a *senaitetest.Analysis) { a.Result = "6" })
			},
			[]string{"GLU", "5", "CREA", "6"},
			uplink.Finding{Note: "the sample has no analysis for CREA"},
		},
		"the id is only the beginning of another": {
			func(s *senaitetest.Server) { s.AddSample(specimen+"-R01", "GLU") }, []string{"GLU", "5"}, missing("sample not found"),
		},
		"by the client's id": {
			func(s *senaitetest.Server) { s.AddSample("H2O-7", "GLU"); s.SetClientID("H2O-7", specimen) }, []string{"GLU", "5"}, confirmed,
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := senaitetest.New()
			defer s.Close()
			test.sample(s)
			c := client(t, s)
			e := report(test.pairs...)
			if err := c.Deliver(t.Context(), e); err != nil {
				t.Fatal(err)
			}
			confirm(t, c, e, test.want)
			s.MostOnPage(1) // the same, page by page
			confirm(t, c, e, test.want)
		})
	}
}

// TestNothing has messages of which nothing can be read back, and results that
// are none beside one that is.
func TestNothing(t *testing.T) {
	s := senaitetest.New()
	defer s.Close()
	c := client(t, s)
	with := func(change func(e *envelope.Envelope)) envelope.Envelope {
		e := report("GLU", "5")
		change(&e)
		return e
	}
	for name, e := range map[string]envelope.Envelope{
		"no results":        report(),
		"no value":          report("GLU", " "),
		"no sample":         with(func(e *envelope.Envelope) { e.SampleID = " " }),
		"a test message":    with(func(e *envelope.Envelope) { e.Kind = envelope.KindTest }),
		"control":           with(func(e *envelope.Envelope) { e.Results[0].Kind = envelope.KindQC }),
		"control, all":      with(func(e *envelope.Envelope) { e.Kind, e.Results[0].Kind = envelope.KindQC, "" }),
		"calibration":       with(func(e *envelope.Envelope) { e.Results[0].Kind = envelope.KindCalibration }),
		"an image":          with(func(e *envelope.Envelope) { e.Results[0].Kind = envelope.KindImage }),
		"test":              with(func(e *envelope.Envelope) { e.Results[0].Kind = envelope.KindTest }),
		"status X":          with(func(e *envelope.Envelope) { e.Results[0].Status = "X" }),
		"withdrawn, of HL7": with(func(e *envelope.Envelope) { e.Results[0].Status, e.Protocol = "W", envelope.HL7 }),
	} {
		t.Run(name, func(t *testing.T) { confirm(t, c, e, nothing) })
	}
	if n := s.Requests(""); n != 0 {
		t.Errorf("%d requests for nothing", n)
	}
	s.AddSample(specimen, "GLU", "CREA")
	e := report("GLU", "5", "CREA", "6")
	e.Results[1].Kind = envelope.KindImage
	if err := c.Deliver(t.Context(), report("GLU", "5")); err != nil {
		t.Fatal(err)
	}
	confirm(t, c, e, confirmed)
}

// TestReadFaults has answers to the search that say nothing about a message.
func TestReadFaults(t *testing.T) {
	for _, test := range []struct {
		mode senaitetest.Mode
		want error // nil for a passing one
	}{
		{senaitetest.Status(401), uplink.ErrMayNotRead},
		{senaitetest.Status(403), uplink.ErrMayNotRead},
		{senaitetest.Status(404), uplink.ErrMayNotRead},
		{senaitetest.Login, uplink.ErrMayNotRead},
		{senaitetest.Status(400), nil},
		{senaitetest.Status(407), nil},
		{senaitetest.Status(429), nil},
		{senaitetest.Status(500), nil},
		{senaitetest.Status(503), nil},
		{senaitetest.Status(504), nil},
		{senaitetest.Status(302), nil},
		{senaitetest.Status(204), nil},
		{senaitetest.Cut, nil},
		{senaitetest.Half, nil},
		{senaitetest.NotJSON, nil},
	} {
		t.Run(string(test.mode), func(t *testing.T) {
			s := senaitetest.New()
			defer s.Close()
			s.AddSample(specimen, "GLU")
			c := client(t, s)
			e := report("GLU", "5")
			if err := c.Deliver(t.Context(), e); err != nil {
				t.Fatal(err)
			}
			s.SetReading(test.mode)
			got, err := c.Confirm(t.Context(), e)
			if !reflect.DeepEqual(got, uplink.Finding{}) {
				t.Errorf("found %+v", got)
			}
			if test.want != nil {
				if !errors.Is(err, test.want) {
					t.Errorf("error %v, want %v", err, test.want)
				}
			} else {
				expect(t, err, uplink.Transient, "")
			}
			if err != nil && strings.Contains(err.Error(), specimen) {
				t.Errorf("the sample's id shows: %v", err)
			}
			// Deliveries go on, and so does reading back once it is well.
			if err := c.Deliver(t.Context(), e); err != nil {
				t.Errorf("delivery: %v", err)
			}
			s.SetReading(senaitetest.Up)
			confirm(t, c, e, confirmed)
		})
	}
}

func TestSlowReading(t *testing.T) {
	s := senaitetest.New()
	defer s.Close()
	s.AddSample(specimen, "GLU")
	c := client(t, s)
	e := report("GLU", "5")
	if err := c.Deliver(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	s.SlowReading(20 * time.Millisecond)
	confirm(t, c, e, confirmed)

	s.SetReading(senaitetest.Hang)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := c.Confirm(ctx, e)
	expect(t, err, uplink.Transient, "")

	// What SENAITE imports later shows later.
	s.SetReading(senaitetest.Up)
	s.AppearAfter(time.Hour)
	confirm(t, c, e, missing("GLU has no result"))
	s.AppearAfter(0)
	confirm(t, c, e, confirmed)
}

// TestChangedPassword: to whom it does not know SENAITE shows no sample. That
// says nothing about the message.
func TestChangedPassword(t *testing.T) {
	s := senaitetest.New()
	defer s.Close()
	s.AddSample(specimen, "GLU")
	c := client(t, s)
	e := report("GLU", "5")
	if err := c.Deliver(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	s.SetCredentials(senaitetest.Username, "another")
	_, err := c.Confirm(t.Context(), e)
	expect(t, err, uplink.Transient, "")
	s.SetCredentials(senaitetest.Username, senaitetest.Password)
	confirm(t, c, e, confirmed)
	s.Close()
	_, err = c.Confirm(t.Context(), e)
	expect(t, err, uplink.Transient, "")
}
