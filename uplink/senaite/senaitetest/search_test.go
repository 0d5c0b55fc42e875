package senaitetest

import (
	"fmt"
	"net/url"
	"reflect"
	"slices"
	"testing"
)

// pushed is a message that the importer understands.
func pushed(sample string, pairs ...string) string {
	results := ""
	for i := 0; i+1 < len(pairs); i += 2 {
		if i > 0 {
			results += ","
		}
		results += fmt.Sprintf(`{"test":%q,"value":%q,"kind":"result"}`, pairs[i], pairs[i+1])
	}
	return fmt.Sprintf(`{"H":[{"sender":{"name":"x"}}],"assaygate":{"sample_id":%q,"kind":"result","results":[%s]}}`, sample, results)
}

// push sends messages in one request and returns the status.
func push(t *testing.T, s *Server, messages ...string) int {
	t.Helper()
	status, _ := ask(t, s, "POST", "push", form, url.Values{"consumer": {StockConsumer}, "messages": messages}.Encode(), false)
	return status
}

// held lists keywords and results of a sample.
func held(s *Server, sample string) []string {
	var list []string
	for _, a := range s.Analyses(sample) {
		list = append(list, a.Keyword+" "+a.Operand+a.Result)
	}
	return list
}

func TestImport(t *testing.T) {
	for name, test := range map[string]struct {
		prepare func(s *Server)
		pairs   []string
		want    []string
	}{
		"all":             {nil, []string{"GLU", "5.4", "NA", "<140"}, []string{"GLU 5.4", "NA <140"}},
		"not ordered":     {nil, []string{"K", "4"}, []string{"GLU ", "NA "}},
		"no value":        {nil, []string{"GLU", " "}, []string{"GLU ", "NA "}},
		"fails":           {func(s *Server) { s.SetImport(ImportFails) }, []string{"GLU", "5"}, []string{"GLU ", "NA "}},
		"no importer":     {func(s *Server) { s.SetImport(ImportNowhere) }, []string{"GLU", "5"}, []string{"GLU ", "NA "}},
		"no mapping":      {func(s *Server) { s.SetImport(ImportUnmapped) }, []string{"GLU", "5"}, []string{"GLU ", "NA "}},
		"the first":       {func(s *Server) { s.SetImport(ImportFirst) }, []string{"GLU", "5", "NA", "140"}, []string{"GLU 5", "NA "}},
		"another value":   {func(s *Server) { s.SetImport(ImportOther) }, []string{"GLU", "5"}, []string{"GLU 4711", "NA "}},
		"no limit":        {func(s *Server) { s.SetImport(ImportNoLimit) }, []string{"GLU", "<5"}, []string{"GLU 5", "NA "}},
		"mapped":          {func(s *Server) { s.Map("767", "GLU") }, []string{"767", "5"}, []string{"GLU 5", "NA "}},
		"verified before": {func(s *Server) { s.Change("B-1", "GLU", func(a *Analysis) { a.State = "verified" }) }, []string{"GLU", "5"}, []string{"GLU ", "NA "}},
		"a choice": {
			func(s *Server) {
				s.Change("B-1", "GLU", func(a *Analysis) { a.Options = map[string]string{"1": "Positive"} })
			},
			[]string{"GLU", "POSITIVE"},
			[]string{"GLU 1", "NA "},
		},
		"retest":    {func(s *Server) { s.Retract("B-1", "GLU") }, []string{"GLU", "5"}, []string{"GLU ", "NA ", "GLU 5"}},
		"as pushed": {func(s *Server) { s.OrderAsPushed(true) }, []string{"K", "4"}, []string{"GLU ", "NA ", "K 4"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := New()
			defer s.Close()
			s.AddSample("B-1", "GLU", "NA")
			if test.prepare != nil {
				test.prepare(s)
			}
			if status := push(t, s, pushed("B-1", test.pairs...)); status != 200 {
				t.Errorf("status %d", status)
			}
			if got := held(s, "B-1"); !slices.Equal(got, test.want) {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
}

// TestSamples: whose sample it is that a push is for.
func TestSamples(t *testing.T) {
	s := New()
	defer s.Close()
	s.AddSample("B-1", "GLU")
	s.AddPartition("B-1", "B-1-P01", "NA")
	s.AddSample("B-2", "GLU")
	s.SetClientID("B-2", "client")
	for _, id := range []string{"B-1", "client", "B-3", ""} {
		if status := push(t, s, pushed(id, "GLU", "5", "NA", "140")); status != 200 {
			t.Errorf("%s: status %d", id, status)
		}
	}
	s.SetClientID("B-1", "client") // two have it now
	push(t, s, pushed("client", "GLU", "6"))
	for sample, want := range map[string][]string{"B-1": {"GLU 5"}, "B-1-P01": {"NA 140"}, "B-2": {"GLU 5"}, "B-3": nil} {
		if got := held(s, sample); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", sample, got, want)
		}
	}
	s.OrderAsPushed(true)
	push(t, s, pushed("B-3", "GLU", "5", "K", "4"))
	if got, want := held(s, "B-3"), []string{"GLU 5", "K 4"}; !slices.Equal(got, want) {
		t.Errorf("as pushed: %q, want %q", got, want)
	}
}

// TestBatch: a list of messages is one request.
func TestBatch(t *testing.T) {
	s := New()
	defer s.Close()
	s.AddSample("B-1", "GLU", "NA", "K")
	poison := `{"H":[{"sender":null}]}`
	if status := push(t, s, pushed("B-1", "GLU", "5"), poison, pushed("B-1", "K", "4")); status != 500 {
		t.Errorf("with a message that the consumer fails at: status %d", status)
	}
	if pushes := s.Pushes(); len(pushes) != 0 {
		t.Errorf("%d taken", len(pushes))
	}
	// What was imported before the failure stays, what comes after is not seen.
	if got, want := held(s, "B-1"), []string{"GLU 5", "NA ", "K "}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if status := push(t, s, pushed("B-1", "GLU", "5"), "no JSON", pushed("B-1", "K", "4")); status != 200 {
		t.Errorf("with what it passes over: status %d", status)
	}
	if got, want := held(s, "B-1"), []string{"GLU 5", "NA ", "K 4"}; !slices.Equal(got, want) || len(s.Pushes()) != 3 {
		t.Errorf("%q, want %q; %d taken", got, want, len(s.Pushes()))
	}
}

// TestSearch has senaite.jsonapi's answers.
func TestSearch(t *testing.T) {
	s := New()
	defer s.Close()
	s.AddSample("B-1", "GLU", "NA")
	s.AddPartition("B-1", "B-1-P01", "K")
	s.AddSample("B-2", "GLU")
	s.SetClientID("B-2", "client")
	root := s.sampleUID("B-1")
	ids := func(query string, anonymous bool) []string {
		status, answer := ask(t, s, "GET", "search?"+query, "", "", anonymous)
		list := []string{}
		items, _ := answer["items"].([]any)
		for _, item := range items {
			object := item.(map[string]any)
			name, _ := object["getKeyword"].(string)
			if name == "" {
				name = object["id"].(string)
			}
			list = append(list, name)
		}
		if status != 200 || answer["count"] != float64(len(list)) || answer["next"] != nil {
			t.Errorf("%s: status %d, %v", query, status, answer)
		}
		return list
	}
	for query, want := range map[string][]string{
		"portal_type=AnalysisRequest":                                      {"B-1", "B-1-P01", "B-2"},
		"portal_type=AnalysisRequest&getId=B-1":                            {"B-1"},
		"portal_type=AnalysisRequest&id=B-1&getId=B-2":                     {},
		"portal_type=AnalysisRequest&getClientSampleID=client":             {"B-2"},
		"portal_type=AnalysisRequest&Keyword=x":                            {"B-1", "B-1-P01", "B-2"}, // no index of it
		"portal_type=Analysis&getRequestID=B-1":                            {"GLU", "NA"},
		"portal_type=Analysis&getKeyword=GLU&review_state=unassigned":      {"GLU", "GLU"},
		"portal_type=Analysis&getAncestorsUIDs=" + root:                    {"GLU", "NA", "K"},
		"portal_type=Analysis&getAncestorsUIDs=x," + s.sampleUID("B-2"):    {"GLU"},
		"portal_type=Analysis&catalog=senaite_catalog_sample":              {},
		"portal_type=Analysis&catalog=senaite_catalog_analysis&complete=1": {"GLU", "NA", "K", "GLU"},
	} {
		if got := ids(query, false); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", query, got, want)
		}
	}
	if got := ids("portal_type=Analysis", true); len(got) != 0 {
		t.Errorf("anonymous is shown %q", got)
	}
	s.Blind(true)
	if got := ids("portal_type=Analysis", false); len(got) != 0 {
		t.Errorf("an account without a role is shown %q", got)
	}
	s.Blind(false)

	// Page by page.
	var got []any
	next := "search?portal_type=Analysis&limit=3"
	for page := 1.0; next != ""; page++ {
		_, answer := ask(t, s, "GET", next, "", "", false)
		got = append(got, answer["items"].([]any)...)
		if answer["page"] != page || answer["pages"] != 2.0 || answer["count"] != 4.0 || answer["pagesize"] != 3.0 {
			t.Errorf("page %v: %v", page, answer)
		}
		next = ""
		if address, _ := answer["next"].(string); address != "" {
			u, err := url.Parse(address)
			if err != nil {
				t.Fatal(err)
			}
			next = "search?" + u.RawQuery
		}
	}
	if len(got) != 4 {
		t.Errorf("%d analyses on all pages", len(got))
	}
}

func TestObjects(t *testing.T) {
	s := New()
	defer s.Close()
	s.AddSample("B-1")
	s.AddAnalysis("B-1", Analysis{Keyword: "HIV", Title: "HIV 1/2", Result: "1", Options: map[string]string{"1": "Positive"}})
	uid := s.Analyses("B-1")[0].uid

	_, brief := ask(t, s, "GET", "search?portal_type=Analysis", "", "", false)
	column := brief["items"].([]any)[0].(map[string]any)
	if _, complete := column["Result"]; complete || column["getResult"] != "1" || column["title"] != "HIV 1/2" || column["getRequestID"] != "B-1" {
		t.Errorf("columns of the catalog: %v", column)
	}
	status, whole := ask(t, s, "GET", uid, "", "", false)
	if status != 200 || whole["Keyword"] != "HIV" || whole["Result"] != "1" || whole["DetectionLimitOperand"] != nil || whole["getResult"] != "1" {
		t.Errorf("by UID: %d, %v", status, whole)
	}
	_, batched := ask(t, s, "GET", "analysis/"+uid, "", "", false)
	if item := batched["items"].([]any)[0].(map[string]any); !reflect.DeepEqual(item["ResultOptions"], []any{map[string]any{"ResultValue": "1", "ResultText": "Positive"}}) {
		t.Errorf("by resource: %v", item)
	}
	_, sample := ask(t, s, "GET", s.sampleUID("B-1"), "", "", false)
	if list := sample["Analyses"].([]any); len(list) != 1 || list[0].(map[string]any)["uid"] != uid {
		t.Errorf("analyses of the sample: %v", list)
	}
	if status, _ := ask(t, s, "GET", uid, "", "", true); status != 404 {
		t.Errorf("anonymous: %d", status)
	}
}

// sampleUID is what only the API tells.
func (s *Server) sampleUID(id string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.known(id).uid
}
