package profile

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/text/encoding/simplifiedchinese"

	"github.com/assaygate/assaygate/envelope"
	"github.com/assaygate/assaygate/protocols/lis01"
)

// ownSet is a set with one definition of the user's.
func ownSet(t *testing.T, lines string) *Set {
	t.Helper()
	directory := t.TempDir()
	if err := os.WriteFile(filepath.Join(directory, "mine.yaml"), []byte(definitionOf("astm", lines)), 0o600); err != nil {
		t.Fatal(err)
	}
	return load(t, Options{Directory: directory})
}

func TestQuery(t *testing.T) {
	set := load(t, Options{})
	for _, tt := range []struct {
		name    string
		records []string
		samples []string
		tests   []string
		cancel  bool
	}{
		{"a specimen", []string{`H|\^&|||Lab`, `Q|1|^S1||^^^GLU`, `L|1|N`}, []string{"S1"}, []string{"GLU"}, false},
		{"patient and specimen", []string{`H|\^&|||Lab`, `Q|1|P7^ S1 ||^^^GLU\^^^CA^2`, `L|1|N`}, []string{"S1"}, []string{"GLU", "CA"}, false},
		{"a bare id and test", []string{`H|\^&|||Lab`, `Q|1|S1||GLU`, `L|1|N`}, []string{"S1"}, []string{"GLU"}, false},
		{"with rack and position", []string{`H|\^&|||Lab`, `Q|1|^S1^R2^7`, `L|1|N`}, []string{"S1"}, nil, false},
		{"where the profile says", []string{`H|\^&|||XN-550^1`, `Q|1|2^7^   S1^B`, `L|1|N`}, []string{"S1"}, nil, false},
		{"several", []string{`H|\^&|||Lab`, `Q|1|^S1\^S2`, `Q|2|^S3`, `L|1|N`}, []string{"S1", "S2", "S3"}, nil, false},
		{"all", []string{`H|\^&|||Lab`, `Q|1|ALL||ALL`, `L|1|N`}, nil, nil, false},
		{"nothing named", []string{`H|\^&|||Lab`, `Q|1`, `L|1|N`}, nil, nil, false},
		{"an escaped id", []string{`H|\^&|||Lab`, `Q|1|^A&F&1`, `L|1|N`}, []string{"A|1"}, nil, false},
		{"taken back", []string{`H|\^&|||Lab`, `Q|1|^S1||||||||||A`, `L|1|N`}, []string{"S1"}, nil, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			q, found := set.Query(astmMessage(tt.records...))
			if !found || !slices.Equal(q.Samples, tt.samples) || !slices.Equal(q.Tests, tt.tests) || q.Cancel != tt.cancel {
				t.Errorf("found %v, samples %q, tests %q, cancel %v", found, q.Samples, q.Tests, q.Cancel)
			}
		})
	}
	for _, m := range []Raw{
		astmMessage(`H|\^&|||Lab`, `P|1`, `O|1|S1`, `L|1|N`),
		astmMessage(`Q|1|^S1`, `L|1|N`),
		hl7Message(`MSH|^~\&|a|b`, "Q|1|^S1"),
	} {
		if _, found := set.Query(m); found {
			t.Errorf("%q asks nothing that can be answered", m.Text)
		}
	}
	if _, found := faulty(t, Options{}).Query(astmMessage(`H|\^&|||Lab`, `Q|1|^S1`, `L|1|N`)); found {
		t.Error("a query over which the program fails was found")
	}
}

func TestQueryAnswers(t *testing.T) {
	set := load(t, Options{})
	m := astmMessage(`H|\^&|||Lab^1|||||Host||P|1`, `Q|1|^S1\^S&F&2||^^^GLU\^^^CA`, `L|1|N`)
	m.Zone = time.FixedZone("", 3600)
	q, _ := set.Query(m)
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	const header = "H|\\^&|||Host|||||Lab^1||P|1|20260102040405\r"
	for name, tt := range map[string]struct{ got, want string }{
		"no information": {string(q.NoInformation(at)), header + "L|1|I\r"},
		"no order": {string(q.NoOrder(at)), header +
			"P|1\rO|1|S1||^^^GLU\\^^^CA|||||||||||||||||||||Y\rP|2\rO|1|S&F&2||^^^GLU\\^^^CA|||||||||||||||||||||Y\rL|1|F\r"},
		"orders": {
			string(q.Answer(at, []Order{{Sample: "S|2", Patient: "7", Tests: []string{"GLU", "C\x02A"}, Priority: "S"}})),
			header + "P|1|7\rO|1|S&F&2||^^^GLU\\^^^CA|S||||||N||||||||||||||Q\rL|1|F\r",
		},
	} {
		if tt.got != tt.want {
			t.Errorf("%s:\n got %q\nwant %q", name, tt.got, tt.want)
		}
	}
	all, _ := set.Query(astmMessage(`H|\^&|||Lab`, `Q|1|ALL`, `L|1|N`))
	if got, want := string(all.NoOrder(at)), string(all.NoInformation(at)); got != want {
		t.Errorf("a query for all: %q, want %q", got, want)
	}
}

// An answer is in the query's character set, and what did not decode comes back
// as it was; what a frame must not hold does not.
func TestQueryAnswerBytes(t *testing.T) {
	gbk, _ := simplifiedchinese.GBK.NewEncoder().String("誰") // its second byte is a delimiter
	m := astmMessage(`H|\^&|||Lab`+gbk, `Q|1|^S`+gbk+"\xFF\x05", `L|1|N`)
	m.Charset = "gbk"
	q, found := load(t, Options{}).Query(m)
	answer := string(q.NoOrder(at))
	if want := "O|1|S" + gbk + "\xFF|"; !found || !strings.Contains(answer, want) {
		t.Errorf("answer %q has no %q", answer, want)
	}
	if q.Samples[0] != "S誰\uFFFD\x05" {
		t.Errorf("sample %q", q.Samples[0])
	}
}

// The instrument's charset wins over its profile's, and that over the protocol's.
func TestCharsetOfAProfile(t *testing.T) {
	set := ownSet(t, "match: {H.5: ['Mine']}\ncharset: cp850\n")
	for configured, want := range map[string]string{"": "M\u00fcller", "auto": "M\u0081ller", "latin-1": "M\u0081ller", "cp437": "M\u00fcller"} {
		m := astmMessage(`H|\^&|||Mine`, "P|1||||M\x81ller", `O|1|S1`, `R|1|^^^GLU|5`, `L|1|N`)
		m.Charset = configured
		e := set.Envelopes(m, at)[0]
		if got := e.Records.P[0].Text("name"); got != want || e.Profile != "mine" {
			t.Errorf("charset %q: %q of profile %s, want %q", configured, got, e.Profile, want)
		}
	}
	m := astmMessage(`H|\^&|||Mine`, "Q|1|^M\x81", `L|1|N`)
	if q, _ := set.Query(m); q.Raw != "^M\u00fc" {
		t.Errorf("query %q", q.Raw)
	}
}

func TestQuirks(t *testing.T) {
	set := ownSet(t, "match: {H.5: ['Mine']}\nquirks: {query: no_order, frame_size: 1024, receiver_timeout: 1m, reply_timeout: 20s}\n")
	of := set.Quirks("", []byte("H|\\^&|||Mine\r"))
	want := Quirks{Query: QueryNoOrder, FrameSize: 1024, ReceiverTimeout: time.Minute, ReplyTimeout: 20 * time.Second}
	if of != want {
		t.Errorf("quirks %+v, want %+v", of, want)
	}
	over := Quirks{Checksum: "ignore", FrameNumbers: "ignore", End: "eot", Query: QueryNone, FrameSize: lis01.MaxText, ReceiverTimeout: time.Second, ReplyTimeout: time.Second}
	if got := of.Over(over); got != over {
		t.Errorf("laid over %+v", got)
	}
	if got := of.Over(Quirks{}); got != want {
		t.Errorf("nothing laid over gives %+v", got)
	}
	if list := over.Problems(); list != nil {
		t.Errorf("problems %v", list)
	}
	if list := (Quirks{Query: "x", FrameSize: -1, ReplyTimeout: time.Hour}).Problems(); len(list) != 3 {
		t.Errorf("problems %v", list)
	}
}

// Whatever an instrument asks, its answer can be carried in frames and is read
// as what it is.
func FuzzQuery(f *testing.F) {
	f.Add([]byte("H|\\^&|||Lab\rQ|1|^S1||^^^GLU\rL|1|N\r"), "")
	f.Add([]byte("H|\rQ|1|\xD1|\x05\rL"), "gbk")
	set := load(f, Options{})
	f.Fuzz(func(t *testing.T, text []byte, charset string) {
		m := Raw{Protocol: envelope.ASTM, Text: text, Charset: charset}
		q, found := set.Query(m)
		if !found {
			return
		}
		for _, answer := range [][]byte{q.NoInformation(at), q.NoOrder(at), q.Answer(at, []Order{{Sample: "S|^1", Tests: []string{"a", "b"}}})} {
			if cleaned := lis01.Clean(slices.Clone(answer)); len(cleaned) != len(answer) {
				t.Fatalf("%q holds what a frame must not", answer)
			}
		}
	})
}
