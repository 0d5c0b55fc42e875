package lis02

import (
	"strings"
	"testing"
)

func TestQuery(t *testing.T) {
	const asks = "H|\\^&|7|secret|C111^Roche|||||LIS^box||P|1|20260102030405\rQ|1|^S1||^^^GLU\\^^^CA||||||||O\rL|1|N\r"
	for _, tt := range []struct {
		name   string
		text   string
		orders []Order
		code   byte
		want   string
	}{
		{"no information", asks, nil, NoInformation, "H|\\^&|||LIS^box|||||C111^Roche||P|1|20260405060708\rL|1|I\r"},
		{
			"no order", asks,
			[]Order{{Specimen: []byte("S1"), Tests: [][]byte{[]byte("^^^GLU"), []byte("^^^CA")}, Report: ReportNoOrder}},
			Processed,
			"H|\\^&|||LIS^box|||||C111^Roche||P|1|20260405060708\rP|1\rO|1|S1||^^^GLU\\^^^CA|||||||||||||||||||||Y\rL|1|F\r",
		},
		{
			"orders", asks,
			[]Order{
				{Patient: []byte("7"), Specimen: []byte("S1"), Tests: [][]byte{[]byte("^^^GLU")}, Priority: []byte("S"), Action: 'N', Report: ReportQuery},
				{Specimen: []byte("S2"), Report: ReportQuery},
			},
			Processed,
			"H|\\^&|||LIS^box|||||C111^Roche||P|1|20260405060708\rP|1|7\rO|1|S1||^^^GLU|S||||||N||||||||||||||Q\r" +
				"P|2\rO|1|S2|||||||||||||||||||||||Q\rL|1|F\r",
		},
		{"other delimiters", "H!~$%!!!a$b\rQ!1!$S1\rL!1\r", nil, NoInformation, "H!~$%!!!!!!!!a$b!!!!20260405060708\rL!1!I\r"},
		{"a doubled delimiter is given back", "H|\\\\^&|||a\rQ|1|S1\rL|1\r", nil, NoInformation, "H|\\\\^&||||||||a||||20260405060708\rL|1|I\r"},
		{
			"no repeat delimiter", "H|\rQ|1|S1\rL|1\r", nil, NoInformation, "H|||||||||||||20260405060708\rL|1|I\r",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m, err := Parse([]byte(tt.text))
			q, found := ParseQuery(m)
			if err != nil || !found || !Asks([]byte(tt.text)) || q.Canceled() {
				t.Fatalf("found %v (%v), asks %v, cancelled %v", found, err, Asks([]byte(tt.text)), q.Canceled())
			}
			got := AppendAnswer(nil, q, "20260405060708", tt.orders, tt.code)
			if string(got) != tt.want {
				t.Errorf("\n got %q\nwant %q", got, tt.want)
			}
			if !Complete(got) {
				t.Error("the answer is no whole message")
			}
		})
	}
}

// Without a repeat delimiter each test is an order of its own.
func TestAnswerWithoutRepeats(t *testing.T) {
	q := Query{Header: Record{Type: 'H', Raw: []byte("H|"), Delimiters: Delimiters{Field: '|'}}}
	got := string(AppendAnswer(nil, q, "", []Order{{Specimen: []byte("S1"), Tests: [][]byte{[]byte("A"), []byte("B")}, Report: 'Q'}}, Processed))
	if strings.Count(got, "\rP|") != 2 || strings.Count(got, "\rO|1|S1||A|")+strings.Count(got, "\rO|1|S1||B|") != 2 {
		t.Errorf("got %q", got)
	}
}

func TestQueryCanceled(t *testing.T) {
	for text, want := range map[string]bool{
		"H|\\^&\rQ|1|^S1||||||||||A\rL|1\r":              true,
		"H|\\^&\rQ|1|^S1||||||||||O\rQ|2|||||||||| A\rL": false, // in Q-12
		"H|\\^&\rq|1|^S1|||||||||| a \rL|1\r":            true,
		"H|\\^&\rQ|1|^S1\rL|1\r":                         false,
	} {
		m, _ := Parse([]byte(text))
		if q, found := ParseQuery(m); !found || q.Canceled() != want {
			t.Errorf("%q: found %v, cancelled %v", text, found, q.Canceled())
		}
	}
}

func TestNoQuery(t *testing.T) {
	for _, text := range []string{"", "H|\\^&\rP|1\rL|1\r", "H|\\^&\rC|1|Q|1\rL|1\r"} {
		m, _ := Parse([]byte(text))
		if _, found := ParseQuery(m); found || Asks([]byte(text)) {
			t.Errorf("%q asks nothing", text)
		}
	}
	m, _ := Parse([]byte("Q|1|S1\rL|1\r"))
	if _, found := ParseQuery(m); found {
		t.Error("a query without a header cannot be answered")
	}
}

func TestAppendEscaped(t *testing.T) {
	for text, want := range map[string]string{
		"plain":       "plain",
		`a|b\c^d&e`:   "a&F&b&R&c&S&d&E&e",
		"a\r\x02\nb":  "ab",
		"GLU\u00fc\\": "GLU\u00fc&R&",
	} {
		d := DefaultDelimiters()
		got := AppendEscaped(nil, []byte(text), d)
		if string(got) != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
		if back := string(Unescape(nil, got, d)); !strings.ContainsAny(text, "\r\x02\n") && back != text {
			t.Errorf("%q comes back as %q", text, back)
		}
	}
	if got := string(AppendEscaped(nil, []byte("a|b^c"), Delimiters{Field: '|', Component: '^'})); got != "abc" {
		t.Errorf("without an escape delimiter: %q", got)
	}
}
