package senaite

import (
	"fmt"
	"html"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"github.com/assaygate/assaygate/uplink"
	"github.com/assaygate/assaygate/uplink/senaite/senaitetest"
)

// answers serves given texts by what is asked: "search sample", "search
// ancestors", "search request" or an object's UID. It lets nothing but reading
// through.
func answers(t *testing.T, texts map[string]string) *Client {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); r.Method != http.MethodGet || user != senaitetest.Username || password != senaitetest.Password {
			t.Errorf("%s %s by %q", r.Method, r.URL, user)
		}
		_, what, _ := strings.Cut(r.URL.Path, "/@@API/senaite/v1/")
		switch q := r.URL.Query(); {
		case what != "search":
		case q.Get("b_start") != "":
			what = "page " + q.Get("b_start")
		case q.Get("portal_type") == "AnalysisRequest" && (q.Get("getId") == specimen || q.Get("getClientSampleID") == specimen):
			what = "search sample"
		case q.Get("getAncestorsUIDs") != "":
			what = "search ancestors"
		case q.Get("getRequestID") == specimen:
			what = "search request"
		}
		text, found := texts[what]
		if !found {
			if strings.Contains(r.URL.Path, ".") {
				t.Errorf("%s was asked for", r.URL)
			}
			http.NotFound(w, r)
			return
		}
		_, _ = io.WriteString(w, text)
	}))
	t.Cleanup(server.Close)
	settings := Defaults()
	settings.URL, settings.Username, settings.Password = server.URL, senaitetest.Username, senaitetest.Password
	c, err := New("lims", settings)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestOtherAnswers reads answers of other shapes than a stock SENAITE's today.
func TestOtherAnswers(t *testing.T) {
	const (
		none   = `{"items": []}`
		sample = `{"items": [{"id": "B-0001", "uid": "s1", "portal_type": "AnalysisRequest"}]}`
	)
	for name, test := range map[string]struct {
		texts map[string]string
		want  uplink.Finding
	}{
		"columns of the catalog alone": {
			map[string]string{"search sample": sample, "search ancestors": `{"items": [{"uid": "a", "getKeyword": "GLU", "getResult": "5.4", "review_state": "verified"}]}`},
			confirmed,
		},
		"the field wins over the column": {
			map[string]string{"search sample": sample, "search ancestors": `{"items": [{"uid": "a", "Keyword": "GLU", "Result": null, "getResult": "5.4"}]}`},
			missing("GLU has no result"),
		},
		"lower case": {
			map[string]string{"search sample": sample, "search ancestors": `{"items": [{"keyword": "GLU", "result": 5.40}]}`},
			confirmed,
		},
		"only the formatted result is the same": {
			map[string]string{"search sample": sample, "search ancestors": `{"items": [{"keyword": "GLU", "result": "5.3999", "formatted_result": "about<br/>&#53;.4"}]}`},
			confirmed,
		},
		"no result to format": {
			map[string]string{"search sample": sample, "search ancestors": `{"items": [{"keyword": "GLU", "Result": "", "FormattedResult": "5.4"}]}`},
			missing("GLU has no result"),
		},
		"the account may see the analysis and not its result": {
			map[string]string{"search sample": sample, "search ancestors": `{"items": [{"Keyword": "GLU"}]}`},
			missing("GLU has a result that the account may not see"),
		},
		"the name alone": {
			map[string]string{"search sample": sample, "search ancestors": `{"items": [{"Keyword": "G1", "ShortTitle": "Glu", "Result": "6"}]}`},
			missing("GLU holds another result"),
		},
		"a retest beside another result": {
			map[string]string{"search sample": sample, "search ancestors": `{"items": [{"Keyword": "GLU", "Result": "6"}, {"Keyword": "GLU", "Result": ""}]}`},
			missing("GLU holds another result"),
		},
		"by the sample's id": {
			map[string]string{"search sample": sample, "search ancestors": none, "search request": `{"items": [{"Keyword": "GLU", "Result": "5.4", "getRequestID": "B-0001"}]}`},
			confirmed,
		},
		"a search that ignores what it is asked": {
			map[string]string{
				"search sample":    `{"items": [{"id": "B-0002", "uid": "s2"}, {"id": "B-0001", "uid": "s1"}]}`,
				"search ancestors": `{"items": [{"Keyword": "GLU", "Result": "5.4", "getRequestID": "B-0002", "parent_uid": "s2"}]}`,
				"search request":   `{"items": [{"Keyword": "GLU", "Result": "5.4", "parent_id": "B-0002"}]}`,
				"s1":               `{"Analyses": []}`,
			},
			missing("GLU has no analysis"),
		},
		"a list in the sample, with results": {
			map[string]string{
				"search sample":    `{"items": [{"id": "B-0001", "uid": "s1", "Analyses": [{"uid": "a1", "Keyword": "GLU", "Result": "5.4"}]}]}`,
				"search ancestors": none, "search request": none, "a1": `{"Keyword": "GLU", "Result": "not asked for"}`,
			},
			confirmed,
		},
		"a list of addresses in the sample's details": {
			map[string]string{
				"search sample": sample, "search ancestors": none, "search request": none,
				"s1": `{"Analyses": [{"uid": "a1", "api_url": "http://127.0.0.1:1/a1"}, {"uid": "a2"}, {"uid": "../../x"}, {"uid": ".."}, {"uid": "x/../y"}, {"uid": "x?y=z"}]}`,
				"a1": `{"items": [{"Keyword": "GLU", "Result": "5.4"}]}`, // a2 may not be seen
			},
			confirmed,
		},
		"pages, with the address of another host": {
			map[string]string{
				"search sample":    sample,
				"search ancestors": `{"items": [{"Keyword": "NA", "Result": "140"}], "next": "http://127.0.0.1:1/other/search?b_start=1&x=y"}`,
				"page 1":           `{"items": [{"Keyword": "GLU", "Result": "5.4"}], "next": null}`,
			},
			confirmed,
		},
		"an interim field": {
			map[string]string{"search sample": sample, "search ancestors": `{"items": [{"Keyword": "RATIO", "Result": "", "InterimFields": [{"keyword": "G", "value": "5.40"}]}]}`},
			confirmed,
		},
		"a duplicate for quality control": {
			map[string]string{"search sample": sample, "search ancestors": `{"items": [{"Keyword": "GLU", "Result": "5.4", "portal_type": "DuplicateAnalysis"}]}`},
			missing("GLU has no analysis"),
		},
	} {
		t.Run(name, func(t *testing.T) {
			confirm(t, answers(t, test.texts), report("GLU", "5.4"), test.want)
		})
	}
}

// TestStrangeAnswers has answers that nobody can make anything of.
func TestStrangeAnswers(t *testing.T) {
	for name, text := range map[string]string{
		"no items":    `{"success": false}`,
		"no object":   `[]`,
		"null":        `null`,
		"two objects": `{"items": []}{"items": []}`,
		"items twice": `{"items": {"items": []}}`,
		"too long":    `{"items": [], "x": "` + strings.Repeat("x", maxAnswer) + `"}`,
		"no end":      `{"items": [{"id": "x"}], "next": "?b_start=1"}`,
	} {
		t.Run(name, func(t *testing.T) {
			c := answers(t, map[string]string{"search sample": text, "page 1": text})
			_, err := c.Confirm(t.Context(), report("GLU", "5.4"))
			expect(t, err, uplink.Transient, "")
			if err != nil && !strings.HasPrefix(err.Error(), "search: ") || name == "too long" && !strings.Contains(err.Error(), "too long") {
				t.Errorf("error %v", err)
			}
		})
	}
}

// TestLabels: what an instrument calls a test is shown, but within bounds.
func TestLabels(t *testing.T) {
	s := senaitetest.New()
	defer s.Close()
	s.AddSample(specimen, "GLU")
	e := report("413", "5", "ä\n"+strings.Repeat("ä", 50), "6", "", "7", "", "8")
	e.Results[0].Name = "Creatinine"
	confirm(t, client(t, s), e, missing("Creatinine has no analysis", strings.Repeat("ä", 40)+"… has no analysis",
		"a result without a name has no analysis", "a result without a name has no analysis"))
}

func TestSameValue(t *testing.T) {
	for _, test := range []struct {
		a, b string
		same bool
	}{
		{"1,2", "1.20", true},
		{"1e3", "1000", true},
		{"+0.5", ".5", true},
		{"5.", "5", true},
		{"-0", "0", true},
		{"-1", "1", false},
		{"=5", "5", true},
		{"≤5", "<=5.0", true},
		{"<=5", "<5", false},
		{"<5", ">5", false},
		{"1,234.5", "1234.5", false}, // nobody knows which is the decimal sign
		{"1e99999", "1e99998", false},
		{"10", "1", false},
		{"0", "", false},
		{"", "", false},
		{"20240131", "202401310815", false}, // numbers
		{"2024-01-31T08:15:00", "20240131", true},
		{"2024-01-31 08:15", "2024-01-31", true},
		{"2024-01-31", "2024-01-30", false},
		{"2024-01-31", "2024", false},
		{"Ä", "ä", true},
	} {
		if got := sameValue(test.a, test.b); got != test.same {
			t.Errorf("%q and %q: %t", test.a, test.b, got)
		}
	}
	for value, want := range map[string][]string{
		"5.4":                     {"5.4"},
		"<^0.5":                   {"<^0.5"},
		"10^5":                    {"10^5"},
		"POS^12.3":                {"POS^12.3", "12.3", "POS"},
		"NEG^":                    {"NEG^", "", "NEG"},
		"260385009^Negative^1234": {"260385009^Negative^1234", "Negative"},
	} {
		if got := alternatives(value); !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %q, want %q", value, got, want)
		}
	}
}

// FuzzSameValue compares with numbers of the standard library.
func FuzzSameValue(f *testing.F) {
	f.Add("1,20", "1.2")
	f.Add("<^0.5", "<0.50")
	f.Add("2024-01-31 08:15", "20240131")
	f.Add("1e-3", "0.001")
	f.Fuzz(func(t *testing.T, a, b string) {
		same := sameValue(a, b)
		if sameValue(a, a) != (strings.TrimSpace(a) != "") {
			t.Errorf("%q is not itself", a)
		}
		x, okX := parseNumber(a)
		y, okY := parseNumber(b)
		if !okX || !okY || len(a) > 50 || len(b) > 50 || max(x.exponent, y.exponent, -x.exponent, -y.exponent) > 100 {
			return
		}
		if sameValue(b, a) != same {
			t.Errorf("%q and %q are the same in one direction only", a, b)
		}
		p, q := rational(t, a), rational(t, b)
		if want := x.comparator == y.comparator && p.Cmp(q) == 0; want != same {
			t.Errorf("%q and %q: %t", a, b, same)
		}
	})
}

func rational(t *testing.T, text string) *big.Rat {
	text = strings.TrimLeft(text, " \t\n\v\f\r\u0085\u00a0<>=≤≥^")
	r, ok := new(big.Rat).SetString(strings.TrimRight(strings.ReplaceAll(strings.TrimSpace(text), ",", "."), " "))
	if !ok {
		t.Skip("written in a way that big.Rat does not know")
	}
	return r
}

// FuzzReadBack reads arbitrary answers. Only one that holds the value confirms.
func FuzzReadBack(f *testing.F) {
	f.Add([]byte(`{"items": [{"Keyword": "GLU", "Result": "Xyzzy"}]}`))
	f.Add([]byte(`{"items": [{"getKeyword": "GLU", "getResult": "1", "getResultOptions": [{"ResultValue": "1", "ResultText": "xyzzy"}]}]}`))
	f.Add([]byte(`{"items": [{"title": "glu", "result": "[\"a\", \"XYZZY\"]", "review_state": "retracted"}]}`))
	f.Add([]byte(`{"items": [{"keyword": "NA", "result": 1, "FormattedResult": "<br/>x&#121;zzy", "InterimFields": [{"value": "xyzzy"}]}]}`))
	f.Add([]byte(`{"items": [{"Keyword": "GLU", "Result": "xyzzy", "DetectionLimitOperand": "<", "Calculation": {}}], "next": "?b_start=1"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		wanted := observations(report("GLU", "Xyzzy"))
		answer, err := readAnswer(body)
		if err != nil {
			return
		}
		found := items(answer["items"])
		got := judge(wanted, found, false)
		if got.Nothing || len(got.Missing) > 1 || got.Note != "" {
			t.Errorf("found %+v", got)
		}
		everything := html.UnescapeString(strings.ToLower(fmt.Sprint(answer)))
		if len(got.Missing) == 0 && !strings.Contains(everything, "xyzzy") && !strings.Contains(everything, `\u`) {
			t.Errorf("confirmed by %s", body)
		}
		for _, text := range got.Missing {
			if strings.Contains(strings.ToLower(text), "xyzzy") {
				t.Errorf("the value shows: %s", text)
			}
		}
		// An answer without a valid analysis confirms nothing.
		for _, one := range found {
			one["review_state"] = "rejected"
		}
		if got := judge(wanted, found, false); len(got.Missing) == 0 {
			t.Errorf("confirmed by rejected analyses: %s", body)
		}
	})
}
